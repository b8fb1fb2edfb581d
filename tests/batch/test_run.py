from __future__ import annotations

import errno
import itertools
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from colorgan import files
from colorgan.batch.journals.sqlite_store import JOURNAL_NAME
from colorgan.batch.options import BatchOptions
from colorgan.batch.run import colorize_files
from colorgan.callbacks import Callbacks, PhotoOutcome, PhotoStatus
from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import Interrupted, OutputError
from colorgan.images import decode
from colorgan.images.photo import Photo

RAMP = np.tile(np.arange(40, 216, 4, dtype=np.uint8), (20, 1))  # 44 x 20
RAMP16 = RAMP.astype(np.uint16) * 257


@dataclass
class Told(Callbacks):
    """Keeps what it is told, and stops once so many photos are done."""

    outcomes: list[PhotoOutcome] = field(default_factory=list)
    stop_after: int | None = None

    def on_photo(self, outcome: PhotoOutcome) -> None:
        self.outcomes.append(outcome)

    def should_stop(self) -> int | None:
        return 2 if self.stop_after is not None and len(self.outcomes) >= self.stop_after else None


def run(
    model: Path,
    photos: Path,
    output: Path | None,
    options: ColorizeOptions = ColorizeOptions(),
    **batch: object,
) -> list[PhotoOutcome]:
    told = Told()
    batch_options = BatchOptions(**{"workers": 2, "device": "cpu"} | batch)
    summary = colorize_files([photos], output, options, batch=batch_options, model=str(model), callbacks=told)
    assert summary.counts == Counter(outcome.status for outcome in told.outcomes)
    return told.outcomes


def statuses(outcomes: list[PhotoOutcome]) -> dict[str, str]:
    return {Path(outcome.source).name: outcome.status.value for outcome in outcomes}


def entries(folder: Path) -> list[str]:
    """What a folder holds, but for the journal."""
    return sorted(path.name for path in folder.iterdir() if path.name != JOURNAL_NAME)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in entries(folder)}


def save_ramps(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        Image.fromarray(RAMP + np.uint8(number)).save(folder / name)
    return folder


def palette(transparent: bool) -> Image.Image:
    image = Image.fromarray(RAMP).quantize(44)
    if transparent:
        image.info["transparency"] = bytes(range(100, 144))
    return image


def with_alpha(mode: str) -> Image.Image:
    image = Image.fromarray(RAMP).convert(mode)
    image.putalpha(Image.fromarray(RAMP))
    return image


def min_is_white() -> TiffImagePlugin.ImageFileDirectory_v2:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    directory[262] = 0
    return directory


# Name, picture, further arguments of `save`, and whether transparency has to stay.
MATRIX: list[tuple[str, Callable[[], Image.Image], dict[str, object], bool]] = [
    ("gray.jpg", lambda: Image.fromarray(RAMP), {}, False),
    ("rgb.jpg", lambda: Image.fromarray(RAMP).convert("RGB"), {}, False),
    ("gray.png", lambda: Image.fromarray(RAMP), {}, False),
    ("gray.webp", lambda: Image.fromarray(RAMP), {}, False),
    ("gray.tif", lambda: Image.fromarray(RAMP), {}, False),
    ("gray.bmp", lambda: Image.fromarray(RAMP), {}, False),
    ("palette.png", lambda: palette(False), {}, False),
    ("clear palette.png", lambda: palette(True), {}, True),
    ("clear color.png", lambda: Image.fromarray(RAMP), {"transparency": 40}, True),
    ("LA.png", lambda: with_alpha("LA"), {}, True),
    ("RGBA.png", lambda: with_alpha("RGBA"), {}, True),
    ("RGBA.webp", lambda: with_alpha("RGBA"), {"lossless": True}, True),
    ("RGBA.tif", lambda: with_alpha("RGBA"), {}, True),
    ("cmyk.jpg", lambda: Image.fromarray(RAMP).convert("CMYK"), {}, False),
    ("cmyk.tif", lambda: Image.fromarray(RAMP).convert("CMYK"), {}, False),
    ("16 bit.png", lambda: Image.fromarray(RAMP16), {}, False),
    ("16 bit.tif", lambda: Image.fromarray(RAMP16), {}, False),
    ("16 bit big-endian.tif", lambda: Image.fromarray(RAMP16.astype(">u2")), {}, False),
    ("16 bit min-is-white.tif", lambda: Image.fromarray(65535 - RAMP16), {"tiffinfo": min_is_white()}, False),
    ("float.tif", lambda: Image.fromarray(RAMP.astype(np.float32) / 255), {}, False),
]


@pytest.mark.parametrize(("name", "make", "options", "clear"), MATRIX, ids=[row[0] for row in MATRIX])
def test_every_kind_of_photo_comes_out_in_colour_at_its_own_lightness(
    tmp_path: Path,
    tiny_model: Path,
    name: str,
    make: Callable[[], Image.Image],
    options: dict[str, object],
    clear: bool,
) -> None:
    (tmp_path / "in").mkdir()
    make().save(tmp_path / "in" / name, **options)
    (outcome,) = run(tiny_model, tmp_path / "in", tmp_path / "out")
    assert outcome.status == "written"
    with Image.open(tmp_path / "out" / name) as result:
        assert (result.size, result.mode) == ((44, 20), "RGBA" if clear else "RGB")
        rgb = np.array(result.convert("RGB"))
        alpha = np.array(result.getchannel("A")) if clear else None
    shown = np.ones_like(RAMP, bool) if alpha is None else alpha > 0
    lightness = rgb_to_lab(torch.from_numpy(rgb).movedim(-1, 0) / 255)[0].numpy()
    wanted = rgb_to_lab(torch.from_numpy(RAMP / 255).float().expand(3, 20, 44))[0].numpy()
    assert np.abs(lightness - wanted)[shown].mean() < 2
    assert np.ptp(rgb.astype(int), axis=2)[shown].mean() > 5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_comes_out_upright_and_says_so(tmp_path: Path, tiny_model: Path, orientation: int) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = orientation, "somebody"
    Image.fromarray(RAMP).save(tmp_path / "in" / "a.jpg", exif=exif)
    run(tiny_model, tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.jpg") as result:
        assert result.size == ((44, 20) if orientation <= 4 else (20, 44))
        assert dict(result.getexif()) == {0x013B: "somebody"}


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (30, 20)])
@pytest.mark.parametrize("level", [0, 255])
def test_the_thinnest_and_plainest_photos_stay_neutral_at_their_size(
    tmp_path: Path, tiny_model: Path, size: tuple[int, int], level: int
) -> None:
    (tmp_path / "in").mkdir()
    Image.new("L", size, level).save(tmp_path / "in" / "a.png")
    run(tiny_model, tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as result:
        assert result.size == size
        assert set(result.tobytes()) == {level}


def test_a_bad_photo_fails_with_its_reason_and_the_rest_goes_on(tmp_path: Path, tiny_model: Path) -> None:
    save_ramps(tmp_path, "a.jpg", "d.jpg")
    (tmp_path / "b.jpg").write_text("no photo")
    (tmp_path / "c.jpg").mkdir()  # no photo, whatever its name is
    outcomes = run(tiny_model, tmp_path, tmp_path / "out")
    assert statuses(outcomes) == {"a.jpg": "written", "b.jpg": "failed", "d.jpg": "written"}
    assert "not a JPEG" in outcomes[1].words[0]
    assert entries(tmp_path / "out") == ["a.jpg", "d.jpg"]


@pytest.mark.parametrize(("error", "said"), [(MemoryError(), "memory"), (KeyError("x"), "unexpected KeyError")])
def test_a_photo_that_nobody_foresaw_fails_and_the_rest_goes_on(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP.T.copy()).save(tmp_path / "b.png")
    finish = Colorizer.finish

    def fail(self: Colorizer, photo: Photo, *arguments: Any, **options: Any) -> object:
        if photo.size == (44, 20):
            raise error
        return finish(self, photo, *arguments, **options)

    monkeypatch.setattr(Colorizer, "finish", fail)
    outcomes = run(tiny_model, tmp_path, tmp_path / "out")
    assert statuses(outcomes) == {"a.png": "failed", "b.png": "written"}
    assert said in outcomes[0].words[0]


# --- what was done before ---


def test_what_was_done_is_skipped_unless_it_is_to_be_overwritten(tmp_path: Path, tiny_model: Path) -> None:
    photos = save_ramps(tmp_path / "in", "a.png", "b.png")
    assert statuses(run(tiny_model, photos, tmp_path / "out")) == {"a.png": "written", "b.png": "written"}
    before = contents(tmp_path / "out")
    assert statuses(run(tiny_model, photos, tmp_path / "out")) == {"a.png": "skipped", "b.png": "skipped"}
    again = run(tiny_model, photos, tmp_path / "out", overwrite=True)
    assert statuses(again) == {"a.png": "written", "b.png": "written"}
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda photos, out: {"options": ColorizeOptions(saturation=0.5)},
        lambda photos, out: {"options": ColorizeOptions(quality=50)},
        lambda photos, out: {"precision": "fp32"},
        lambda photos, out: (out / "a.png").write_bytes(b"") or {},
        lambda photos, out: (out / "a.png").unlink() or {},
        lambda photos, out: Image.fromarray(RAMP + np.uint8(9)).save(photos / "a.png") or {},
    ],
    ids=["saturation", "quality", "precision", "empty", "missing", "another photo"],
)
def test_what_was_made_otherwise_or_is_no_more_as_it_was_made_is_made_again(
    tmp_path: Path, tiny_model: Path, change: Callable[[Path, Path], dict[str, object]]
) -> None:
    photos, out = save_ramps(tmp_path / "in", "a.png"), tmp_path / "out"
    run(tiny_model, photos, out)
    options = change(photos, out)
    assert statuses(run(tiny_model, photos, out, **options)) == {"a.png": "written"}
    assert statuses(run(tiny_model, photos, out, **options)) == {"a.png": "skipped"}
    with Image.open(out / "a.png") as result:
        result.load()


def test_a_file_that_was_not_made_here_is_replaced_only_when_asked_for(tmp_path: Path, tiny_model: Path) -> None:
    photos = save_ramps(tmp_path / "in", "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    (outcome,) = run(tiny_model, photos, tmp_path / "out")
    assert outcome.status is PhotoStatus.failed
    assert "overwriting replaces it" in outcome.words[0]
    assert outcome.parameter == "overwrite"
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert statuses(run(tiny_model, photos, tmp_path / "out", overwrite=True)) == {"a.png": "written"}
    assert decode.read(tmp_path / "out" / "a.png").had_color


def test_a_second_run_beside_the_photos_finds_nothing_new(tmp_path: Path, tiny_model: Path) -> None:
    save_ramps(tmp_path, "a.png")
    assert statuses(run(tiny_model, tmp_path, None)) == {"a.png": "written"}
    assert statuses(run(tiny_model, tmp_path, None)) == {"a.png": "skipped"}
    assert entries(tmp_path) == ["a-color.png", "a.png"]


def test_photos_in_colour_are_left_out_when_asked_for_and_remembered(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = save_ramps(tmp_path / "in", "a.png")
    Image.new("RGB", (30, 20), (200, 30, 30)).save(photos / "b.png")
    expected = {"a.png": "written", "b.png": "in colour"}
    assert statuses(run(tiny_model, photos, tmp_path / "out", skip_color=True)) == expected
    assert entries(tmp_path / "out") == ["a.png"]
    with monkeypatch.context() as patch:
        patch.setattr(decode, "read", None)
        expected = {"a.png": "skipped", "b.png": "in colour"}
        assert statuses(run(tiny_model, photos, tmp_path / "out", skip_color=True)) == expected
    assert statuses(run(tiny_model, photos, tmp_path / "out")) == {"a.png": "skipped", "b.png": "written"}


def test_a_map_of_confidence_stands_beside_each_result_and_is_made_again_when_missing(
    tmp_path: Path, tiny_model: Path
) -> None:
    photos = save_ramps(tmp_path / "in", "a.jpg")
    options = ColorizeOptions(confidence=True)
    run(tiny_model, photos, tmp_path / "out", options=options)
    assert entries(tmp_path / "out") == ["a-confidence.png", "a.jpg"]
    with Image.open(tmp_path / "out" / "a-confidence.png") as image:
        assert np.asarray(image).std() > 0
    assert statuses(run(tiny_model, photos, tmp_path / "out", options=options)) == {"a.jpg": "skipped"}
    (tmp_path / "out" / "a-confidence.png").unlink()
    assert statuses(run(tiny_model, photos, tmp_path / "out", options=options)) == {"a.jpg": "written"}


def test_sources_are_not_touched(tmp_path: Path, tiny_model: Path) -> None:
    save_ramps(tmp_path, "a.png")
    before = ((tmp_path / "a.png").read_bytes(), (tmp_path / "a.png").stat().st_mtime_ns)
    for output in (None, tmp_path / "out"):
        run(tiny_model, tmp_path, output, overwrite=True)
    assert ((tmp_path / "a.png").read_bytes(), (tmp_path / "a.png").stat().st_mtime_ns) == before


# --- together ---


def test_results_are_the_same_however_many_work_at_once(tmp_path: Path, tiny_model: Path) -> None:
    names = [f"{number}.png" for number in range(12)]
    photos = save_ramps(tmp_path / "in", *names)
    Image.fromarray(RAMP.T.copy()).save(photos / "5.png")
    seen = []
    for number, (workers, size) in enumerate(((1, 1), (3, 1), (2, 5))):
        outcomes = run(tiny_model, photos, tmp_path / f"{number}", workers=workers, batch_size=size)
        assert list(statuses(outcomes)) == sorted(names)
        seen.append(contents(tmp_path / f"{number}"))
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 12


def test_shards_are_each_others_rest(tmp_path: Path, tiny_model: Path) -> None:
    photos = save_ramps(tmp_path / "in", *(f"{number}.png" for number in range(12)))
    parts = [run(tiny_model, photos, tmp_path / "out", shard=f"{number}/3") for number in range(1, 4)]
    names = [name for part in parts for name in statuses(part)]
    assert sorted(names) == sorted(path.name for path in photos.iterdir())
    assert all(parts)
    assert set(statuses(run(tiny_model, photos, tmp_path / "out")).values()) == {"skipped"}


# --- interrupted, and failing disks ---


def test_an_interruption_finishes_what_is_under_way_and_the_next_run_the_rest(tmp_path: Path, tiny_model: Path) -> None:
    photos = save_ramps(tmp_path / "in", *(f"{number:02}.png" for number in range(30)))
    told = Told(stop_after=1)
    with pytest.raises(Interrupted):
        # One worker: on a busy machine more might be done with all photos before anybody asks.
        colorize_files([photos], tmp_path / "out", batch=BatchOptions(workers=1), model=str(tiny_model), callbacks=told)
    done = told.outcomes
    assert 1 <= len(done) < 30
    assert entries(tmp_path / "out") == sorted(statuses(done))
    rest = statuses(run(tiny_model, photos, tmp_path / "out"))
    assert [name for name, status in rest.items() if status == "skipped"] == sorted(statuses(done))
    assert len(entries(tmp_path / "out")) == 30


def test_what_took_its_place_before_a_kill_is_not_made_again(tmp_path: Path, tiny_model: Path) -> None:
    photos = save_ramps(tmp_path / "in", "a.png", "b.png")
    killed = Told()
    killed.on_photo = lambda outcome: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        colorize_files(
            [photos], tmp_path / "out", batch=BatchOptions(workers=1), model=str(tiny_model), callbacks=killed
        )
    before = (tmp_path / "out" / "a.png").stat()
    assert statuses(run(tiny_model, photos, tmp_path / "out"))["a.png"] == "skipped"
    assert (tmp_path / "out" / "a.png").stat().st_ino == before.st_ino


WRITES = [
    (files.os, "fsync"),
    (files.os, "open"),
    (files.Path, "replace"),
    (files.Path, "mkdir"),
]


@dataclass
class FailingDisk:
    """Makes the n-th call of those that write to a disk fail, the journal's among them."""

    fail_at: int
    number: int
    calls: int = 0

    def count(self, error: Exception) -> None:
        self.calls += 1
        if self.calls == self.fail_at:
            raise error

    def wrap(self, call: Callable[..., object]) -> Callable[..., object]:
        def perhaps_fail(*arguments: object, **options: object) -> object:
            self.count(OSError(self.number, os.strerror(self.number)))
            return call(*arguments, **options)

        return perhaps_fail

    def temporary_file(self, make: Callable[..., IO[bytes]]) -> Callable[..., object]:
        def make_and_wrap(folder: Path) -> object:
            file = make(folder)
            file.write = self.wrap(file.write)
            return file

        return self.wrap(make_and_wrap)

    def connection(disk) -> type[sqlite3.Connection]:  # noqa: N805
        class Connection(sqlite3.Connection):
            def execute(self, statement: str, *arguments: object) -> sqlite3.Cursor:
                if not statement.startswith(("SELECT", "PRAGMA q", "ROLLBACK")) and statement != "PRAGMA user_version":
                    disk.count(sqlite3.OperationalError(os.strerror(disk.number)))
                return super().execute(statement, *arguments)

        return Connection

    def replace_writes(self, patch: pytest.MonkeyPatch) -> None:
        for owner, name in WRITES:
            patch.setattr(owner, name, self.wrap(getattr(owner, name)))
        patch.setattr(files.Disk, "of", lambda folder: files.Disk())  # what fails there is no failure
        patch.setattr(files, "_unfinished_file", self.temporary_file(files._unfinished_file))
        connect, failing = sqlite3.connect, self.connection()

        def connect_failing(place: object, **options: object) -> sqlite3.Connection:
            return connect(place, factory=failing if place else sqlite3.Connection, **options)

        patch.setattr(sqlite3, "connect", connect_failing)


def test_whichever_write_fails_ends_the_run_with_whole_results_and_the_next_run_makes_the_rest(
    tmp_path: Path, tiny_model: Path
) -> None:
    photos = save_ramps(tmp_path / "in", "a.png", "b.jpg")
    run(tiny_model, photos, tmp_path / "whole")
    whole, failed = contents(tmp_path / "whole"), []
    for fail_at, number in enumerate(itertools.cycle((errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EROFS)), start=1):
        out, disk = tmp_path / f"{fail_at}", FailingDisk(fail_at, number)
        with pytest.MonkeyPatch.context() as patch:
            disk.replace_writes(patch)
            try:
                run(tiny_model, photos, out, workers=1)
            except OutputError as error:
                failed.append(error.found)
        if disk.calls < fail_at:
            break
        assert failed[-1] == os.strerror(number).lower(), fail_at
        assert len(failed) == fail_at
        assert not out.exists() or contents(out).items() <= whole.items()
        run(tiny_model, photos, out)
        assert contents(out) == whole
    assert len(failed) > 20


def test_what_was_odd_is_told(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "in").mkdir()
    with_alpha("RGBA").save(tmp_path / "in" / "a.jpg", format="PNG")
    Image.fromarray(RAMP).save(tmp_path / "in" / "A.jpg")
    if len(entries(tmp_path / "in")) < 2:
        pytest.skip("a disk that knows no capitals")
    outcomes = run(tiny_model, tmp_path / "in", tmp_path / "out")
    assert outcomes[1].words == (
        "named a-2.jpg, since another photo's result is a.jpg",
        "a PNG picture, despite its name",
        "JPEG has no transparency; it was dropped",
    )


def test_quality_reaches_the_encoder(tmp_path: Path, tiny_model: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(noise).save(tmp_path / "in" / "a.jpg")
    for quality in (20, 95):
        options = ColorizeOptions(quality=quality)
        run(tiny_model, tmp_path / "in", tmp_path / f"{quality}", options=options)
    assert (tmp_path / "20" / "a.jpg").stat().st_size < (tmp_path / "95" / "a.jpg").stat().st_size


def test_leftovers_of_a_killed_run_are_gone_after_the_next(tmp_path: Path, tiny_model: Path) -> None:
    photos = save_ramps(tmp_path / "in", "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".colorgan-killed.tmp").write_bytes(b"half")
    run(tiny_model, photos, tmp_path / "out")
    assert entries(tmp_path / "out") == ["a.png"]


def test_hidden_folders_are_left_out_and_counted_unless_they_are_named(tmp_path: Path, tiny_model: Path) -> None:
    photos = save_ramps(tmp_path / "in", "a.png")
    save_ramps(photos / ".hidden", "b.png")
    summary = colorize_files([photos], tmp_path / "out", model=str(tiny_model))
    assert (summary.counts[PhotoStatus.written], summary.left_out_folders) == (1, 1)
    summary = colorize_files([photos / ".hidden"], tmp_path / "hidden", model=str(tiny_model))
    assert (summary.counts[PhotoStatus.written], summary.left_out_folders) == (1, 0)
