import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from colorgan.batch.run import colorize_files
from colorgan.callbacks import Callbacks
from colorgan.color.lab import rgb_to_lab
from colorgan.comparison.compare import compare
from colorgan.comparison.crops import crop
from colorgan.comparison.options import CompareOptions
from colorgan.comparison.results import CHROMA_BINS
from colorgan.comparison.results_io import read_previous
from colorgan.errors import Interrupted, UsageError, WeightsError
from colorgan.metrics.registry import METRICS, MetricAccumulator

Draw = Callable[..., Image.Image]


@pytest.fixture
def options(models: tuple[str, str]) -> CompareOptions:
    return CompareOptions(models=models, size=32, examples=3, device="cpu")


def open_image(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def test_every_photo_goes_through_every_model(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    found = compare([photos], tmp_path / "out", options, callbacks=watching)
    assert [row.name for row in found.rows] == ["gray", "original", "first", "second"]
    assert [photo.name for photo in found.photos] == [f"{seed}.png" for seed in range(6)]
    for row in found.models:
        assert list(row.values) == list(METRICS)
        assert all(len(values) == 6 for values in row.values.values())
        assert row.metrics["psnr"].photos == 6
        assert row.metrics["psnr"].low < row.metrics["psnr"].value < row.metrics["psnr"].high
        assert row.model["license"] == "MIT"
        assert len(row.chroma) == CHROMA_BINS
        assert sum(row.chroma) == pytest.approx(1)
    assert found.row("gray").chroma[0] == 1
    assert math.isnan(found.row("gray").ece)
    for row in found.models:
        assert 0 <= row.ece <= 100
        assert sum(share for share, _, _ in row.reliability) == pytest.approx(1)
        assert row.ece == pytest.approx(100 * sum(part * abs(sure - true) for part, sure, true in row.reliability))
    assert found.protocol.photos == 6
    assert watching.progress[-1] == (6, 6)


def test_copies_of_one_photo_count_once_with_a_word(photos: Path, tmp_path: Path, options: CompareOptions) -> None:
    once = compare([photos], tmp_path / "once", options)
    (photos / "9-copy.png").write_bytes((photos / "0.png").read_bytes())
    with Image.open(photos / "1.png") as image:
        image.save(photos / "9-other-file.tif")
    found = compare([photos], tmp_path / "twice", options)
    assert [photo.name for photo in found.photos] == [photo.name for photo in once.photos]
    assert found.row("first").metrics == once.row("first").metrics
    assert "2 photos are copies of another, pixel by pixel, and counted once." in found.notes


def test_figures_are_those_of_validation_on_the_same_crops(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any, colored: Draw
) -> None:
    gray = compare([photos], tmp_path / "out", options, callbacks=watching).row("gray")
    sums = MetricAccumulator()
    for seed in range(6):
        rgb = torch.from_numpy(crop(colored(seed), 32).copy()).permute(2, 0, 1)[None].float() / 255
        lab = rgb_to_lab(rgb)
        sums.add(lab[:, :1], torch.zeros_like(lab[:, 1:]), lab[:, 1:])
    expected = sums.means().known()
    measured = {name: gray.metrics[name].value for name in METRICS if name in expected}
    assert measured == pytest.approx({name: expected[name] for name in measured}, rel=1e-4, abs=1e-3)
    assert len(measured) >= 11


def test_the_original_has_only_figures_that_say_something_of_itself(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    original = compare([photos], tmp_path / "out", options, callbacks=watching).row("original")
    assert set(original.metrics) == {name for name, metric in METRICS.items() if metric.defined_for_ground_truth}
    assert original.metrics["cf_hs"].value > 10
    assert original.metrics["out_of_gamut"].value == 0


def test_the_same_photos_in_an_archive_and_in_other_batches_give_the_same_figures(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(photos.iterdir()):
            file.write(path, f"of/{path.name}")
    folder = compare([photos], tmp_path / "a", options, callbacks=watching)
    monkeypatch.setattr("colorgan.comparison.evaluate._BATCH", 4)
    zipped = compare([archive], tmp_path / "b", options, callbacks=watching)
    single = compare(sorted(photos.iterdir()), tmp_path / "c", options, callbacks=watching)
    for other in (zipped, single):
        assert other.protocol.photo_set == folder.protocol.photo_set
        np.testing.assert_equal(other.row("first").values, folder.row("first").values)


def test_pairs_of_models_are_compared_photo_by_photo(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    found = compare([photos], tmp_path / "out", options, callbacks=watching)
    by_pair = {(d.metric, d.first, d.second): d for d in found.differences}
    assert {metric for metric, first, second in by_pair if (first, second) == ("first", "second")} == set(METRICS)
    difference = by_pair["ciede2000", "first", "second"]
    means = [np.mean(found.row(name).values["ciede2000"]) for name in ("first", "second")]
    assert difference.interval.value == pytest.approx(means[0] - means[1])
    assert difference.significant is False  # of six photos nothing is
    assert by_pair["cf", "first", "original"].interval.value == pytest.approx(
        found.row("first").metrics["cf"].value - found.row("original").metrics["cf"].value
    )
    assert ("auc", "second", "gray") in by_pair


def test_gray_and_unreadable_photos_are_told_apart_from_those_with_figures(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any, colored: Draw
) -> None:
    colored(9).convert("L").save(photos / "old.png")
    deep = np.linspace(0, 65535, 40 * 48).astype(np.uint16).reshape(40, 48)
    Image.fromarray(deep).save(photos / "scan.tif")
    (photos / "broken.jpg").write_bytes((photos / "0.png").read_bytes()[:200])
    found = compare([photos], tmp_path / "out", options, callbacks=watching)
    assert len(found.photos) == 6
    assert found.left_out == {"gray": 2}
    assert [(failure.photo, "damaged" in failure.reason) for failure in found.failures] == [("broken.jpg", True)]
    old = [example for example in found.examples if example.why == "gray"]
    assert {example.photo for example in old} == {"old.png", "scan.tif"}
    assert list(old[0].pictures) == ["gray", "first", "second"]
    assert old[0].metrics == {}


def test_examples_are_the_best_the_worst_and_one_between(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    out = tmp_path / "out"
    found = compare([photos], out, options, callbacks=watching)
    means = np.mean([row.values["ciede2000"] for row in found.models], axis=0)
    by_why = {example.why: example for example in found.examples}
    assert by_why["best"].photo == found.photos[int(means.argmin())].name
    assert by_why["worst"].photo == found.photos[int(means.argmax())].name
    assert len(found.examples) == 3
    for example in found.examples:
        assert list(example.pictures) == ["gray", "first", "second", "original"]
        sizes = {open_image(out / path).size for path in example.pictures.values()}
        assert sizes == {(56, 40)}
        assert open_image(out / example.sheet).width > 4 * 56
        gray = np.asarray(open_image(out / example.pictures["gray"]), np.int16)
        assert np.ptp(gray, axis=2).max() <= 1
    assert by_why["best"].metrics["first"]["psnr"] == found.row("first").values["psnr"][int(means.argmin())]


def test_results_are_read_back_as_they_were_written(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    found = compare([photos], tmp_path / "out", options, callbacks=watching)
    previous = read_previous(tmp_path / "out" / "results.json")
    assert (previous.protocol, previous.photos) == (found.protocol, found.photos)
    np.testing.assert_equal(
        [vars(row) for row in previous.rows], [vars(replace(row, kind="previous")) for row in found.models]
    )
    lines = (tmp_path / "out" / "results.csv").read_text().splitlines()
    assert lines[0] == f"# {found.protocol.line()}"
    assert len(lines) == 2 + 6 * 4
    assert lines[2].startswith("0.png,photos,gray,")


def test_earlier_results_stand_beside_new_ones_of_the_same_photos(
    photos: Path, tmp_path: Path, options: CompareOptions, models: tuple[str, str], watching: Any
) -> None:
    compare([photos], tmp_path / "a", replace(options, models=models[:1]), callbacks=watching)
    renamed = tmp_path / "elsewhere"
    renamed.mkdir()
    for number, path in enumerate(sorted(photos.iterdir(), reverse=True)):
        path.rename(renamed / f"photo {number}.png")
    with_earlier = replace(options, models=models, previous=(tmp_path / "a" / "results.json",))
    found = compare([renamed], tmp_path / "b", with_earlier, callbacks=watching)
    assert [row.name for row in found.rows] == ["gray", "original", "first", "second", "first (earlier)"]
    np.testing.assert_equal(found.row("first (earlier)").values, found.row("first").values)
    same = next(d for d in found.differences if (d.first, d.second) == ("first", "first (earlier)"))
    assert same.interval.value == 0


def test_results_of_the_first_format_stand_beside_new_ones(tmp_path: Path, options: CompareOptions) -> None:
    """The file was written by the last version that had it, of these very photos."""
    y, x = np.mgrid[:40, :56]
    for number in range(3):
        planes = [x // 8 * (37 + number), y // 8 * (53 + number), (x // 8 + y // 8) * (29 + 7 * number)]
        Image.fromarray((np.stack(planes, 2) % 256).astype(np.uint8)).save(tmp_path / f"{number}.bmp")
    first_format = Path(__file__).with_name("results-format-1.json")
    found = compare([tmp_path], tmp_path / "out", replace(options, previous=(first_format,)))
    assert [row.name for row in found.rows] == ["gray", "original", "first", "second", "compact"]
    compact = found.row("compact")
    assert (compact.kind, list(compact.values)) == ("previous", list(METRICS))
    assert compact.metrics["color_bleeding"].value == pytest.approx(86.2, abs=0.05)
    assert compact.metrics["auc"].value == pytest.approx(65.44, abs=0.005)
    assert found.row("gray").metrics["auc"].value == pytest.approx(66.56, abs=0.005)


@pytest.mark.parametrize("change", ["photos", "size"])
def test_earlier_results_of_other_photos_or_another_protocol_are_refused_before_anything_is_computed(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any, change: str
) -> None:
    compare([photos], tmp_path / "a", options, callbacks=watching)
    later = replace(options, previous=(tmp_path / "a" / "results.json",), models=("nothing.safetensors",))
    if change == "photos":
        (photos / "0.png").unlink()
    else:
        later = replace(later, size=40)
    with pytest.raises(UsageError, match=f"its {change}|its size px"):
        compare([photos], tmp_path / "b", later, callbacks=watching)


@pytest.mark.parametrize(
    "damage",
    ["", "[]", "{}", '{"format": 99}', '{"format": 1, "protocol": {}, "photos": [], "rows": []}', "row", "photo"],
)
def test_a_file_that_is_no_results_is_refused(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any, damage: str
) -> None:
    compare([photos], tmp_path / "a", options, callbacks=watching)
    path = tmp_path / "a" / "results.json"
    found = json.loads(path.read_text())
    if damage == "row":
        found["rows"][2]["values"]["psnr"].pop()
    if damage == "photo":
        found["photos"][0]["sha256"] = "0"
    if damage == "count":
        found["rows"][2]["figures"]["psnr"]["photos"] = float("inf")
    path.write_text(damage if damage not in ("row", "photo", "count") else json.dumps(found))
    with pytest.raises(UsageError, match="earlier results"):
        compare([photos], tmp_path / "b", replace(options, previous=(path,)), callbacks=watching)


def test_an_earlier_row_cannot_bring_control_codes_into_a_terminal(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    compare([photos], tmp_path / "a", options, callbacks=watching)
    path = tmp_path / "a" / "results.json"
    found = json.loads(path.read_text())
    found["rows"][2]["name"] = "\x1b[2Jred" + "d" * 200
    path.write_text(json.dumps(found))
    assert read_previous(path).rows[0].name == "[2Jred" + "d" * 73


def test_results_are_only_replaced_when_asked(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    compare([photos], tmp_path / "out", options, callbacks=watching)
    before = (tmp_path / "out" / "results.json").read_bytes()
    with pytest.raises(UsageError, match="overwrite"):
        compare([photos], tmp_path / "out", options, callbacks=watching)
    assert (tmp_path / "out" / "results.json").read_bytes() == before
    compare([photos], tmp_path / "out", replace(options, overwrite=True), callbacks=watching)


@pytest.mark.parametrize("name", ["report.html", "results.csv", "results.json", "pictures", "sheets"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_in_a_results_place_stays_the_users(
    photos: Path, tmp_path: Path, options: CompareOptions, name: str, kind: str
) -> None:
    place = tmp_path / "out" / name
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("gone")
    with pytest.raises(UsageError, match=name) as caught:
        compare([photos], tmp_path / "out", options)
    assert caught.value.parameter == "overwrite"
    assert list((tmp_path / "out").iterdir()) == [place]
    assert not (tmp_path / "out" / "gone").exists()


def test_a_second_comparison_in_a_folder_is_refused_and_harms_nothing(
    photos: Path, tmp_path: Path, options: CompareOptions
) -> None:
    refused: list[UsageError] = []

    class Beginning(Callbacks):
        def on_progress(self, done: int, total: int) -> None:
            with pytest.raises(UsageError, match="another is using it") as caught:
                compare([photos], tmp_path / "out", replace(options, overwrite=True))
            refused.append(caught.value)

    compare([photos], tmp_path / "out", options, callbacks=Beginning())
    assert refused
    assert (tmp_path / "out" / "results.json").exists()
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]


def test_a_model_that_was_asked_for_and_cannot_be_had_is_an_error(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    for models, error in ((("gone.safetensors",), WeightsError), (("compacct",), UsageError)):
        with pytest.raises(error):
            compare([photos], tmp_path / "out", replace(options, models=models), callbacks=watching)
    twice = (options.models[0], options.models[0])
    with pytest.raises(UsageError, match="twice"):
        compare([photos], tmp_path / "out", replace(options, models=twice), callbacks=watching)


def test_a_signal_ends_it_and_leaves_no_results(
    photos: Path, tmp_path: Path, options: CompareOptions, watching: Any
) -> None:
    watching.signal = 2
    with pytest.raises(Interrupted, match="start over"):
        compare([photos], tmp_path / "out", options, callbacks=watching)
    assert list((tmp_path / "out").iterdir()) == []


def test_photos_without_any_true_colors_have_pictures_and_no_metrics(
    tmp_path: Path, options: CompareOptions, watching: Any, colored: Draw
) -> None:
    colored(1).convert("L").save(tmp_path / "old.png")
    found = compare([tmp_path / "old.png"], tmp_path / "out", options, callbacks=watching)
    assert (found.photos, found.differences, found.row("first").metrics) == ([], [], {})
    assert len(found.examples) == 1
    assert "no metrics" in found.notes[0]


def test_what_colorgan_made_of_photos_is_not_measured_as_if_it_were_true(
    photos: Path, tmp_path: Path, options: CompareOptions
) -> None:
    once = compare([photos], photos / "comparison", options)
    assert list((photos / "comparison" / "pictures").iterdir())
    colorize_files([photos / "0.png"], photos / "out", model=options.models[0])
    twice = compare([photos], tmp_path / "out", options)
    assert [photo.name for photo in twice.photos] == [photo.name for photo in once.photos]
    assert twice.left_out == {"colored by colorgan": 1}
    assert twice.row("first").metrics == once.row("first").metrics
    assert {example.why for example in twice.examples} <= {"best", "between", "worst"}
