from __future__ import annotations

import errno
import itertools
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from colorgan import files
from colorgan.batch.jobs import Outcome, OutputRules, Status
from colorgan.batch.journal import JOURNAL_NAME, Journals
from colorgan.batch.planner import plan_outputs
from colorgan.batch.run import Batch, colorize_all
from colorgan.batch.shards import Share
from colorgan.batch.worker import Painter, PixelBudget, Treatment
from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.options import Rendering
from colorgan.errors import Interrupted, OutputError
from colorgan.images import decode
from colorgan.images.encode import WriteOptions
from colorgan.images.photo import Photo

RAMP = np.tile(np.arange(40, 216, 4, dtype=np.uint8), (20, 1))  # 44 x 20
RAMP16 = RAMP.astype(np.uint16) * 257


@pytest.fixture
def colorizer(tiny_model: Path) -> Colorizer:
    return Colorizer.load(str(tiny_model), device="cpu")


def never() -> None:
    """No signal came."""


@dataclass
class Folder:
    """A run over a folder of photos, as the command makes it."""

    colorizer: Colorizer
    photos: Path
    output: Path | None
    treatment: Treatment = field(default_factory=Treatment)
    model: str = "a model"
    overwrite: bool = False
    workers: int = 2
    group: int = 1
    share: Share = field(default_factory=Share)
    check: Callable[[], None] = never
    words: list[str] = field(default_factory=list)
    rules: dict[str, object] = field(default_factory=dict)

    def outcomes(self) -> Iterator[Outcome]:
        endings = self.treatment.rendering.endings
        jobs = plan_outputs([self.photos], OutputRules(self.output, endings=endings, **self.rules))
        homes = [self.output or self.photos]
        with Journals(homes, self.words.append, beyond=self.output is None) as journals:
            yield from colorize_all(
                Batch(
                    jobs,
                    journals,
                    self.treatment.digest(self.model),
                    endings=endings,
                    overwrite=self.overwrite,
                    skip_color=self.treatment.skip_color,
                    share=self.share,
                ),
                Painter(lambda: self.colorizer, self.treatment, cores=1, budget=PixelBudget()),
                workers=self.workers,
                group=lambda: self.group,
                before=never,
                check=self.check,
            )


def run(colorizer: Colorizer, photos: Path, output: Path | None, **options: object) -> list[Outcome]:
    return list(Folder(colorizer, photos, output, **options).outcomes())


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {Path(outcome.job.source).name: outcome.status.value for outcome in outcomes}


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
    ("grey.jpg", lambda: Image.fromarray(RAMP), {}, False),
    ("rgb.jpg", lambda: Image.fromarray(RAMP).convert("RGB"), {}, False),
    ("grey.png", lambda: Image.fromarray(RAMP), {}, False),
    ("grey.webp", lambda: Image.fromarray(RAMP), {}, False),
    ("grey.tif", lambda: Image.fromarray(RAMP), {}, False),
    ("grey.bmp", lambda: Image.fromarray(RAMP), {}, False),
    ("palette.png", lambda: palette(False), {}, False),
    ("clear palette.png", lambda: palette(True), {}, True),
    ("clear colour.png", lambda: Image.fromarray(RAMP), {"transparency": 40}, True),
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
    colorizer: Colorizer,
    name: str,
    make: Callable[[], Image.Image],
    options: dict[str, object],
    clear: bool,
) -> None:
    (tmp_path / "in").mkdir()
    make().save(tmp_path / "in" / name, **options)
    (outcome,) = run(colorizer, tmp_path / "in", tmp_path / "out")
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
def test_a_turned_photo_comes_out_upright_and_says_so(tmp_path: Path, colorizer: Colorizer, orientation: int) -> None:
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = orientation, "somebody"
    Image.fromarray(RAMP).save(tmp_path / "in" / "a.jpg", exif=exif)
    run(colorizer, tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.jpg") as result:
        assert result.size == ((44, 20) if orientation <= 4 else (20, 44))
        assert dict(result.getexif()) == {0x013B: "somebody"}


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (30, 20)])
@pytest.mark.parametrize("level", [0, 255])
def test_the_thinnest_and_plainest_photos_stay_neutral_at_their_size(
    tmp_path: Path, colorizer: Colorizer, size: tuple[int, int], level: int
) -> None:
    (tmp_path / "in").mkdir()
    Image.new("L", size, level).save(tmp_path / "in" / "a.png")
    run(colorizer, tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.png") as result:
        assert result.size == size
        assert set(result.tobytes()) == {level}


def test_a_bad_photo_fails_with_its_reason_and_the_rest_goes_on(tmp_path: Path, colorizer: Colorizer) -> None:
    save_ramps(tmp_path, "a.jpg", "d.jpg")
    (tmp_path / "b.jpg").write_text("no photo")
    (tmp_path / "c.jpg").mkdir()
    outcomes = run(colorizer, tmp_path, tmp_path / "out")
    assert statuses(outcomes) == {"a.jpg": "written", "b.jpg": "failed", "c.jpg": "failed", "d.jpg": "written"}
    assert "not a JPEG" in outcomes[1].words[0]
    assert outcomes[2].words == ("a folder",)
    assert entries(tmp_path / "out") == ["a.jpg", "d.jpg"]


@pytest.mark.parametrize(("error", "said"), [(MemoryError(), "memory"), (KeyError("x"), "unexpected KeyError")])
def test_a_photo_that_nobody_foresaw_fails_and_the_rest_goes_on(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP.T.copy()).save(tmp_path / "b.png")
    finish = Colorizer.finish

    def fail(self: Colorizer, photo: Photo, *arguments: Any, **options: Any) -> object:
        if photo.size == (44, 20):
            raise error
        return finish(self, photo, *arguments, **options)

    monkeypatch.setattr(Colorizer, "finish", fail)
    outcomes = run(colorizer, tmp_path, tmp_path / "out")
    assert statuses(outcomes) == {"a.png": "failed", "b.png": "written"}
    assert said in outcomes[0].words[0]


# --- what was done before ---


def test_what_was_done_is_skipped_unless_it_is_to_be_overwritten(tmp_path: Path, colorizer: Colorizer) -> None:
    photos = save_ramps(tmp_path / "in", "a.png", "b.png")
    assert statuses(run(colorizer, photos, tmp_path / "out")) == {"a.png": "written", "b.png": "written"}
    before = contents(tmp_path / "out")
    assert statuses(run(colorizer, photos, tmp_path / "out")) == {"a.png": "skipped", "b.png": "skipped"}
    again = run(colorizer, photos, tmp_path / "out", overwrite=True)
    assert statuses(again) == {"a.png": "written", "b.png": "written"}
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    "change",
    [
        lambda photos, out: {"treatment": Treatment(Rendering(saturation=0.5))},
        lambda photos, out: {"treatment": Treatment(writing=WriteOptions(quality=50))},
        lambda photos, out: {"model": "another"},
        lambda photos, out: (out / "a.png").write_bytes((out / "a.png").read_bytes()[:-10]) and {},
        lambda photos, out: (out / "a.png").unlink() or {},
        lambda photos, out: Image.fromarray(RAMP + np.uint8(9)).save(photos / "a.png") or {},
    ],
    ids=["saturation", "quality", "model", "truncated", "missing", "another photo"],
)
def test_what_was_made_otherwise_or_is_no_more_as_it_was_made_is_made_again(
    tmp_path: Path, colorizer: Colorizer, change: Callable[[Path, Path], dict[str, object]]
) -> None:
    photos, out = save_ramps(tmp_path / "in", "a.png"), tmp_path / "out"
    run(colorizer, photos, out)
    options = change(photos, out)
    assert statuses(run(colorizer, photos, out, **options)) == {"a.png": "written"}
    assert statuses(run(colorizer, photos, out, **options)) == {"a.png": "skipped"}
    with Image.open(out / "a.png") as result:
        result.load()


def test_a_file_that_was_not_made_here_is_replaced_only_when_asked_for(tmp_path: Path, colorizer: Colorizer) -> None:
    photos = save_ramps(tmp_path / "in", "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    (outcome,) = run(colorizer, photos, tmp_path / "out")
    assert outcome.status is Status.failed
    assert "--overwrite" in outcome.words[0]
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert statuses(run(colorizer, photos, tmp_path / "out", overwrite=True)) == {"a.png": "written"}
    assert decode.read(tmp_path / "out" / "a.png").had_color


def test_a_second_run_beside_the_photos_finds_nothing_new(tmp_path: Path, colorizer: Colorizer) -> None:
    save_ramps(tmp_path, "a.png")
    assert statuses(run(colorizer, tmp_path, None)) == {"a.png": "written"}
    assert statuses(run(colorizer, tmp_path, None)) == {"a.png": "skipped"}
    assert entries(tmp_path) == ["a-color.png", "a.png"]


def test_photos_in_colour_are_left_out_when_asked_for_and_remembered(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = save_ramps(tmp_path / "in", "a.png")
    Image.new("RGB", (30, 20), (200, 30, 30)).save(photos / "b.png")
    treatment = Treatment(skip_color=True)
    expected = {"a.png": "written", "b.png": "in colour"}
    assert statuses(run(colorizer, photos, tmp_path / "out", treatment=treatment)) == expected
    assert entries(tmp_path / "out") == ["a.png"]
    with monkeypatch.context() as patch:
        patch.setattr(decode, "read", None)
        expected = {"a.png": "skipped", "b.png": "in colour"}
        assert statuses(run(colorizer, photos, tmp_path / "out", treatment=treatment)) == expected
    assert statuses(run(colorizer, photos, tmp_path / "out")) == {"a.png": "skipped", "b.png": "written"}


def test_a_map_of_confidence_stands_beside_each_result_and_is_made_again_when_missing(
    tmp_path: Path, colorizer: Colorizer
) -> None:
    photos = save_ramps(tmp_path / "in", "a.jpg")
    treatment = Treatment(Rendering(confidence=True))
    run(colorizer, photos, tmp_path / "out", treatment=treatment)
    assert entries(tmp_path / "out") == ["a-confidence.png", "a.jpg"]
    with Image.open(tmp_path / "out" / "a-confidence.png") as image:
        assert np.asarray(image).std() > 0
    assert statuses(run(colorizer, photos, tmp_path / "out", treatment=treatment)) == {"a.jpg": "skipped"}
    (tmp_path / "out" / "a-confidence.png").unlink()
    assert statuses(run(colorizer, photos, tmp_path / "out", treatment=treatment)) == {"a.jpg": "written"}


def test_sources_are_not_touched(tmp_path: Path, colorizer: Colorizer) -> None:
    save_ramps(tmp_path, "a.png")
    before = ((tmp_path / "a.png").read_bytes(), (tmp_path / "a.png").stat().st_mtime_ns)
    for output in (None, tmp_path / "out"):
        run(colorizer, tmp_path, output, overwrite=True)
    assert ((tmp_path / "a.png").read_bytes(), (tmp_path / "a.png").stat().st_mtime_ns) == before


# --- together ---


def test_results_are_the_same_however_many_work_at_once(tmp_path: Path, colorizer: Colorizer) -> None:
    names = [f"{number}.png" for number in range(12)]
    photos = save_ramps(tmp_path / "in", *names)
    Image.fromarray(RAMP.T.copy()).save(photos / "5.png")
    seen = []
    for number, (workers, group) in enumerate(((1, 1), (3, 1), (2, 5))):
        outcomes = run(colorizer, photos, tmp_path / f"{number}", workers=workers, group=group)
        assert list(statuses(outcomes)) == sorted(names)
        seen.append(contents(tmp_path / f"{number}"))
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0]) == 12


def test_shares_are_each_others_rest(tmp_path: Path, colorizer: Colorizer) -> None:
    photos = save_ramps(tmp_path / "in", *(f"{number}.png" for number in range(12)))
    parts = [run(colorizer, photos, tmp_path / "out", share=Share(rank, 3)) for rank in range(3)]
    names = [name for part in parts for name in statuses(part)]
    assert sorted(names) == sorted(path.name for path in photos.iterdir())
    assert all(parts)
    assert set(statuses(run(colorizer, photos, tmp_path / "out")).values()) == {"skipped"}


# --- interrupted, and failing disks ---


def test_an_interruption_finishes_what_is_under_way_and_the_next_run_the_rest(
    tmp_path: Path, colorizer: Colorizer
) -> None:
    photos = save_ramps(tmp_path / "in", *(f"{number:02}.png" for number in range(30)))
    came: list[bool] = []

    def check() -> None:
        if came:
            raise Interrupted(2, "Go on.")

    outcomes = Folder(colorizer, photos, tmp_path / "out", check=check).outcomes()
    done = [next(outcomes)]
    came.append(True)
    with pytest.raises(Interrupted):
        done.extend(outcomes)
    assert 1 <= len(done) < 30
    assert entries(tmp_path / "out") == sorted(statuses(done))
    rest = statuses(run(colorizer, photos, tmp_path / "out"))
    assert [name for name, status in rest.items() if status == "skipped"] == sorted(statuses(done))
    assert len(entries(tmp_path / "out")) == 30


def test_what_took_its_place_before_a_kill_is_not_made_again(tmp_path: Path, colorizer: Colorizer) -> None:
    photos = save_ramps(tmp_path / "in", "a.png", "b.png")
    outcomes = Folder(colorizer, photos, tmp_path / "out", workers=1).outcomes()
    next(outcomes)
    del outcomes  # closed before anything more is noted, as by a kill
    with Journals([tmp_path / "out"], print, beyond=False) as journals:
        assert journals is not None
    before = (tmp_path / "out" / "a.png").stat()
    assert statuses(run(colorizer, photos, tmp_path / "out"))["a.png"] == "skipped"
    assert (tmp_path / "out" / "a.png").stat().st_ino == before.st_ino


WRITES = [
    (files.os, "fsync"),
    (files.os, "open"),
    (files.Path, "replace"),
    (files.Path, "chmod"),
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
        def make_and_wrap(**options: object) -> object:
            file = make(**options)
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
        patch.setattr(files.tempfile, "NamedTemporaryFile", self.temporary_file(files.tempfile.NamedTemporaryFile))
        connect, failing = sqlite3.connect, self.connection()

        def connect_failing(place: object, **options: object) -> sqlite3.Connection:
            return connect(place, factory=failing if place else sqlite3.Connection, **options)

        patch.setattr(sqlite3, "connect", connect_failing)


def test_whichever_write_fails_ends_the_run_with_whole_results_and_the_next_run_makes_the_rest(
    tmp_path: Path, colorizer: Colorizer
) -> None:
    photos = save_ramps(tmp_path / "in", "a.png", "b.jpg")
    run(colorizer, photos, tmp_path / "whole")
    whole, failed = contents(tmp_path / "whole"), []
    for fail_at, number in enumerate(itertools.cycle((errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS)), start=1):
        out, disk = tmp_path / f"{fail_at}", FailingDisk(fail_at, number)
        with pytest.MonkeyPatch.context() as patch:
            disk.replace_writes(patch)
            try:
                run(colorizer, photos, out, workers=1)
            except OutputError as error:
                failed.append(error.found)
        if disk.calls < fail_at:
            break
        assert failed[-1] == os.strerror(number).lower(), fail_at
        assert len(failed) == fail_at
        assert not out.exists() or contents(out).items() <= whole.items()
        run(colorizer, photos, out)
        assert contents(out) == whole
    assert len(failed) > 20


def test_what_was_odd_is_told(tmp_path: Path, colorizer: Colorizer) -> None:
    (tmp_path / "in").mkdir()
    with_alpha("RGBA").save(tmp_path / "in" / "a.jpg", format="PNG")
    Image.fromarray(RAMP).save(tmp_path / "in" / "A.jpg")
    if len(entries(tmp_path / "in")) < 2:
        pytest.skip("a disk that knows no capitals")
    outcomes = run(colorizer, tmp_path / "in", tmp_path / "out")
    assert outcomes[1].words == (
        "named a-2.jpg, since another photo has the place of a.jpg",
        "a PNG picture in spite of its name",
        "JPEG has no transparency; it was dropped",
    )


def test_quality_reaches_the_encoder(tmp_path: Path, colorizer: Colorizer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(noise).save(tmp_path / "in" / "a.jpg")
    for quality in (20, 95):
        treatment = Treatment(writing=WriteOptions(quality))
        run(colorizer, tmp_path / "in", tmp_path / f"{quality}", treatment=treatment)
    assert (tmp_path / "20" / "a.jpg").stat().st_size < (tmp_path / "95" / "a.jpg").stat().st_size


def test_leftovers_of_a_killed_run_are_gone_after_the_next(tmp_path: Path, colorizer: Colorizer) -> None:
    photos = save_ramps(tmp_path / "in", "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".colorgan-killed.tmp").write_bytes(b"half")
    run(colorizer, photos, tmp_path / "out")
    assert entries(tmp_path / "out") == ["a.png"]
