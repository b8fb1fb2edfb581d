from colorgan.comparison.published import comparable_published_rows

VAL5K = [f"val/ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 5001)]


def test_published_figures_stand_beside_those_of_the_same_photos_alone() -> None:
    rows = {row.name: row.metrics for row in comparable_published_rows(VAL5K, 256)}
    assert rows["DDColor-large"] == {"cf": 38.26, "psnr": 23.85}
    assert len(rows) == 7


def test_published_figures_stay_away_from_other_photos_and_sizes() -> None:
    assert comparable_published_rows(VAL5K, 224) == []
    assert comparable_published_rows(VAL5K[1:], 256) == []
    assert comparable_published_rows([*VAL5K, "ILSVRC2012_val_00005001.JPEG"], 256) == []
    assert comparable_published_rows([*VAL5K, "another.jpg"], 256) == []
