from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from colorgan.batch.run import colorize_files
from colorgan.callbacks import Callbacks
from colorgan.colorize.options import ColorizeOptions
from colorgan.data import shards
from colorgan.data.options import PrepareOptions
from colorgan.data.photoset import PhotoSet
from colorgan.data.prepare import PrepareReport, prepare
from colorgan.errors import Interrupted, OutputError, SetError, UsageError

Paint = Callable[..., bytes]
OPTIONS = PrepareOptions(size=32, min_side=16, val_fraction=0.25)


def run(source: Path, output: Path, **changes: Any) -> PrepareReport:
    return prepare([source], output, replace(OPTIONS, **changes))


def manifest(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "manifest.jsonl").read_text().splitlines()]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_set_has_the_files_of_the_design_and_counts_that_agree(photos: Path, tmp_path: Path) -> None:
    report = run(photos, tmp_path / "data")
    assert sorted(bytes_of(tmp_path / "data")) == [
        "manifest.jsonl",
        "set.json",
        "train-00000.tar",
        "train.index.npy",
        "val-00000.tar",
        "val.index.npy",
    ]
    description = json.loads((tmp_path / "data" / "set.json").read_text())
    assert description["photos"] == report.kept == {"train": 18, "val": 6}
    assert description["classes"] == ["class0", "class1", "class2"]
    assert description["identity"] == report.identity
    assert sum(description["ab_prior"]) == pytest.approx(1)
    assert len(description["ab_prior"]) == 313
    assert report.left_out == {}
    assert sorted(line["split"] for line in manifest(tmp_path / "data")) == ["train"] * 18 + ["val"] * 6


def test_shards_are_tar_files_that_the_index_points_into(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "data")
    index = np.load(tmp_path / "data" / "train.index.npy", mmap_mode="r")
    shard = (tmp_path / "data" / "train-00000.tar").read_bytes()
    with tarfile.open(tmp_path / "data" / "train-00000.tar") as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    assert list(members)[:3] == ["00000000.jpg", "00000000.cls", "00000001.jpg"]
    for number, row in enumerate(index):
        jpeg = shard[row["offset"] : row["offset"] + row["length"]]
        assert jpeg == members[f"{number:08d}.jpg"]
        assert Image.open(io.BytesIO(jpeg)).size == (row["width"], row["height"])
        assert members[f"{number:08d}.cls"] == str(row["class"]).encode()


def test_a_set_in_webp_holds_the_same_photos_and_is_read_like_any_other(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "jpeg")
    run(photos, tmp_path / "webp", encoding="webp")
    with tarfile.open(tmp_path / "webp" / "train-00000.tar") as archive:
        assert archive.getnames()[:2] == ["00000000.webp", "00000000.cls"]
    jpeg, webp = PhotoSet.open(tmp_path / "jpeg").train, PhotoSet.open(tmp_path / "webp").train
    assert len(jpeg) == len(webp) == 18
    for position in range(18):
        difference = np.subtract(webp.read(position), jpeg.read(position), dtype=np.float64)
        assert np.abs(difference).mean() < 12


def test_an_unknown_encoding_is_refused(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="png"):
        run(photos, tmp_path / "data", encoding="png")


def test_shards_are_cut_before_they_grow_too_large(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "MAX_SHARD_BYTES", 20_000)
    run(photos, tmp_path / "data")
    found = sorted((tmp_path / "data").glob("train-*.tar"))
    assert len(found) > 1
    assert all(path.stat().st_size <= 20_000 for path in found)
    index = np.load(tmp_path / "data" / "train.index.npy")
    assert index["shard"].max() == len(found) - 1
    for row in index:
        with (tmp_path / "data" / f"train-{row['shard']:05d}.tar").open("rb") as file:
            file.seek(row["offset"])
            assert file.read(2) == b"\xff\xd8"


def test_the_same_photos_and_options_give_the_same_bytes_whatever_the_workers(photos: Path, tmp_path: Path) -> None:
    for name, workers in (("one", 1), ("many", 7)):
        run(photos, tmp_path / name, workers=workers, per_class=5)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "many")


def test_another_seed_gives_another_order_and_another_identity(photos: Path, tmp_path: Path) -> None:
    first, second = (run(photos, tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert first.kept == second.kept
    assert first.identity != second.identity


def test_every_reason_is_counted_and_listed_with_what_exactly_is_wrong(
    photos: Path, paint: Paint, tmp_path: Path
) -> None:
    (photos / "class0" / "broken.png").write_bytes(paint(50)[:-100])
    (photos / "class0" / "tiny.png").write_bytes(paint(51, 12, 12))
    (photos / "class1" / "copy.png").write_bytes((photos / "class1" / "01.png").read_bytes())
    gray = Image.open(photos / "class2" / "02.png").convert("L")
    gray.save(photos / "class2" / "gray.png")
    bluer = gray.point([round(value * 0.8) for value in range(256)])
    Image.merge("RGB", [gray, gray, bluer]).save(photos / "class2" / "toned.png")
    (photos / "notes.txt").write_text("no photo")
    report = run(photos, tmp_path / "data")
    assert report.left_out == {"unreadable": 1, "tiny": 1, "gray": 1, "toned": 1, "duplicate": 1}
    assert report.ignored == 1
    lines = manifest(tmp_path / "data")
    assert len(lines) == 29
    assert sum("split" in line for line in lines) == sum(report.kept.values()) == 24
    details = {line["left_out"]: line["detail"] for line in lines if "left_out" in line}
    assert "truncated" in details["unreadable"]
    assert details["tiny"] == "12 x 12"
    assert details["gray"].startswith("mean chroma 0.")
    assert "one tone" in details["toned"]
    assert details["duplicate"] == "same pixels as class1/01.png"


def test_a_class_gives_as_many_good_photos_as_were_asked_for(photos: Path, paint: Paint, tmp_path: Path) -> None:
    for index in range(3):
        (photos / "class0" / f"tiny{index}.png").write_bytes(paint(index, 12, 12))
    report = run(photos, tmp_path / "data", per_class=7, seed=3)
    kept = Counter(line["class"] for line in manifest(tmp_path / "data") if "split" in line)
    assert kept == {"class0": 7, "class1": 7, "class2": 7}
    assert report.left_out["over per-class"] + report.left_out.get("tiny", 0) == 6


def test_near_duplicates_stay_on_one_side_of_the_split(tmp_path: Path, paint: Paint) -> None:
    for seed in range(12):
        for quality in (95, 80, 70):
            path = tmp_path / "photos" / f"{seed}-{quality}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(paint(seed, 64, 64, kind="JPEG", quality=quality))
    run(tmp_path / "photos", tmp_path / "data", val_fraction=0.3)
    sides: dict[str, set[str]] = {}
    for line in manifest(tmp_path / "data"):
        sides.setdefault(line["name"].split("-")[0], set()).add(line["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert {"train"} in sides.values()
    assert {"val"} in sides.values()


def test_classes_are_chosen_by_number_or_by_name(photos: Path, tmp_path: Path) -> None:
    by_number = run(photos, tmp_path / "number", classes=2)
    by_name = run(photos, tmp_path / "name", classes=("class1",))
    assert by_number.left_out == {"class not chosen": 8}
    assert by_name.left_out == {"class not chosen": 16}
    assert json.loads((tmp_path / "name" / "set.json").read_text())["classes"] == ["class1"]


@pytest.mark.parametrize(("classes", "found"), [(4, "3 class folders"), (("cats", "class0"), "class0, class1, class2")])
def test_classes_that_are_not_there_are_wrong_usage(
    photos: Path, tmp_path: Path, classes: int | tuple[str, ...], found: str
) -> None:
    with pytest.raises(UsageError, match=found):
        run(photos, tmp_path / "data", classes=classes)
    assert not (tmp_path / "data").exists()


def test_no_validation_photos_are_held_back_when_none_are_wanted(photos: Path, tmp_path: Path) -> None:
    assert run(photos, tmp_path / "data", val_fraction=0.0).kept == {"train": 24, "val": 0}
    assert not list((tmp_path / "data").glob("val-*"))


@pytest.mark.parametrize(("min_side", "found"), [(16, "there are none"), (100, "all were left out: 24 tiny")])
def test_a_set_without_photos_is_an_error_and_nothing_is_written(
    photos: Path, tmp_path: Path, min_side: int, found: str
) -> None:
    source = photos if min_side == 100 else tmp_path / "empty"
    source.mkdir(exist_ok=True)
    with pytest.raises(SetError, match=found):
        run(source, tmp_path / "data", min_side=min_side)
    assert not [path for path in tmp_path.iterdir() if "data" in path.name]


def test_a_source_that_is_missing_costs_nothing_that_was_there(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "data")
    before = bytes_of(tmp_path / "data")
    with pytest.raises(UsageError, match="it does not exist"):
        run(tmp_path / "missing", tmp_path / "data", overwrite=True)
    assert bytes_of(tmp_path / "data") == before


class Counting(Callbacks):
    """Callbacks that record the progress at each call of `should_stop`, and stop at one of these calls."""

    def __init__(self, stop_at: int = 0) -> None:
        self.asked: list[int] = []
        self.done, self.stop_at = 0, stop_at

    def on_progress(self, done: int, total: int) -> None:
        self.done = done

    def should_stop(self) -> int | None:
        self.asked.append(self.done)
        return 2 if len(self.asked) == self.stop_at else None


def test_whenever_it_is_stopped_nothing_is_left_and_a_whole_set_stays(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "data")
    before = bytes_of(tmp_path / "data")
    told = Counting()
    prepare([photos], tmp_path / "other", OPTIONS, callbacks=told)
    shutil.rmtree(tmp_path / "other")
    while_listed, after_reading = told.asked.count(0), told.asked.count(24) - 1
    assert while_listed == 24
    assert after_reading >= 24 + 24, "for each photo in the shards, and for each line of the manifest"
    every, changed = len(told.asked), replace(OPTIONS, overwrite=True, seed=1)
    for moment in (1, while_listed, while_listed + 1, *range(while_listed + 20, every + 1, 5), every):
        with pytest.raises(Interrupted, match="Nothing was written"):
            prepare([photos], tmp_path / "data", changed, callbacks=Counting(stop_at=moment))
        assert bytes_of(tmp_path / "data") == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "photos"]


@pytest.mark.parametrize("failing_write", range(9))
def test_a_full_disk_is_one_clear_error_and_a_whole_set_stays(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_write: int
) -> None:
    run(photos, tmp_path / "other", seed=1)
    run(photos, tmp_path / "data")
    old, new = bytes_of(tmp_path / "data"), bytes_of(tmp_path / "other")
    writes = iter(range(100))

    def fsync(handle: int) -> None:
        if next(writes) == failing_write:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    if failing_write < 8:
        with pytest.raises(OutputError, match="no space left on device"):
            run(photos, tmp_path / "data", seed=1, overwrite=True)
    else:
        run(photos, tmp_path / "data", seed=1, overwrite=True)
    # The last flush is that of the rename itself: the new set is whole by then, and in its place.
    assert bytes_of(tmp_path / "data") == (old if failing_write < 7 else new)
    assert not (tmp_path / ".data.partial").exists()


def test_a_replaced_set_is_wholly_the_new_one(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "data")
    run(photos, tmp_path / "data", val_fraction=0.0, overwrite=True)
    assert sorted(bytes_of(tmp_path / "data")) == [
        "manifest.jsonl", "set.json", "train-00000.tar", "train.index.npy", "val.index.npy"
    ]  # fmt: skip


def test_what_colorgan_made_of_photos_is_no_photo_to_learn_from(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    first = next(path for path in sorted(photos.rglob("*")) if path.is_file())
    colorize_files([first], photos / "out", ColorizeOptions(render_size=32), model=str(tiny_model))
    for name in ("samples/epoch-000.jpg", "run.json", "metrics.jsonl"):
        (photos / name).parent.mkdir(exist_ok=True)
        shutil.copy(first, photos / name)
    report = run(photos, tmp_path / "data")
    assert report.kept == {"train": 18, "val": 6}
    assert report.left_out == {"colored by colorgan": 1}
    assert report.ignored == 3 + 1, "the two files, what stands beside the result, and the folder of samples"
