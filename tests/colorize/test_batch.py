from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, TiffImagePlugin

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize import batch
from colorgan.colorize.batch import Outcome, colorize_all
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.rendering import Rendering
from colorgan.errors import Interrupted, OutputError, PhotoError
from colorgan.media import reading
from colorgan.media.files import Job, plan_outputs
from colorgan.media.photo import Photo

RAMP = np.tile(np.arange(40, 216, 4, dtype=np.uint8), (20, 1))  # 44 x 20
RAMP16 = RAMP.astype(np.uint16) * 257


@pytest.fixture
def colorizer(tiny_model: Path) -> Colorizer:
    return Colorizer.load(str(tiny_model), device="cpu")


@dataclass
class Counting:
    """A check between two photos that raises at the n-th."""

    stop_at: int = 10**9
    calls: int = field(default=0)

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.stop_at:
            raise Interrupted(2, "Go on.")


def run(colorizer: Colorizer, folder: Path, output: Path | None, **options: object) -> list[Outcome]:
    options.setdefault("check", Counting())
    jobs = plan_outputs([folder], output)
    return list(colorize_all(colorizer, jobs, Rendering(), **options))


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.job.source.name: outcome.status for outcome in outcomes}


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
    Image.fromarray(RAMP).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("no photo")
    (tmp_path / "c.jpg").mkdir()
    Image.fromarray(RAMP).save(tmp_path / "d.jpg")
    outcomes = run(colorizer, tmp_path, tmp_path / "out")
    assert statuses(outcomes) == {"a.jpg": "written", "b.jpg": "failed", "c.jpg": "failed", "d.jpg": "written"}
    assert "not a JPEG" in outcomes[1].words[0]
    assert outcomes[2].words == ("a folder",)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.jpg", "d.jpg"]


def test_a_photo_without_memory_fails_and_the_rest_goes_on(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP.T.copy()).save(tmp_path / "b.png")
    paint = Colorizer.colorize_photo

    def without_memory(self: Colorizer, photo: Photo, rendering: Rendering) -> object:
        if photo.size == (44, 20):
            raise MemoryError
        return paint(self, photo, rendering)

    monkeypatch.setattr(Colorizer, "colorize_photo", without_memory)
    outcomes = run(colorizer, tmp_path, tmp_path / "out")
    assert statuses(outcomes) == {"a.png": "failed", "b.png": "written"}
    assert "memory" in outcomes[0].words[0]


def test_results_that_are_there_are_skipped_unless_to_be_overwritten(tmp_path: Path, colorizer: Colorizer) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    assert statuses(run(colorizer, tmp_path, tmp_path / "out")) == {"a.png": "skipped"}
    assert (tmp_path / "out" / "a.png").read_bytes() == b"mine"
    assert statuses(run(colorizer, tmp_path, tmp_path / "out", overwrite=True)) == {"a.png": "written"}
    assert reading.read(tmp_path / "out" / "a.png").had_color


def test_a_second_run_beside_the_photos_finds_nothing_new(tmp_path: Path, colorizer: Colorizer) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    assert statuses(run(colorizer, tmp_path, None)) == {"a.png": "written"}
    assert statuses(run(colorizer, tmp_path, None)) == {"a.png": "skipped"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-color.png", "a.png"]


def test_sources_are_not_touched(tmp_path: Path, colorizer: Colorizer) -> None:
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    before = ((tmp_path / "a.png").read_bytes(), (tmp_path / "a.png").stat().st_mtime_ns)
    for output in (None, tmp_path / "out"):
        run(colorizer, tmp_path, output, overwrite=True)
    assert ((tmp_path / "a.png").read_bytes(), (tmp_path / "a.png").stat().st_mtime_ns) == before


def test_an_interruption_comes_between_two_photos(tmp_path: Path, colorizer: Colorizer) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(RAMP).save(tmp_path / name)
    with pytest.raises(Interrupted):
        run(colorizer, tmp_path, tmp_path / "out", check=Counting(stop_at=3))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]


def test_a_place_that_cannot_be_written_ends_the_run(
    tmp_path: Path, colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(RAMP).save(tmp_path / name)

    def full(*_: object, **__: object) -> None:
        raise OutputError("writing", "no space left on device", "Make room.")

    monkeypatch.setattr(batch.writing, "write", full)
    with pytest.raises(OutputError):
        run(colorizer, tmp_path, tmp_path / "out")


def test_what_was_odd_is_told(tmp_path: Path, colorizer: Colorizer) -> None:
    with_alpha("RGBA").save(tmp_path / "a.jpg", format="PNG")
    (outcome,) = colorize_all(
        colorizer, [Job(tmp_path / "a.jpg", tmp_path / "b.jpg", note="renamed")], Rendering(), check=Counting()
    )
    assert outcome.words == (
        "renamed",
        "a PNG picture in spite of its name",
        "JPEG has no transparency; it was dropped",
    )


def test_quality_reaches_the_encoder(tmp_path: Path, colorizer: Colorizer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(noise).save(tmp_path / "in" / "a.jpg")
    for quality in (20, 95):
        run(colorizer, tmp_path / "in", tmp_path / f"{quality}", quality=quality)
    assert (tmp_path / "20" / "a.jpg").stat().st_size < (tmp_path / "95" / "a.jpg").stat().st_size


def test_leftovers_of_a_killed_run_are_gone_after_the_next(tmp_path: Path, colorizer: Colorizer) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(RAMP).save(tmp_path / "in" / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".colorgan-killed.tmp").write_bytes(b"half")
    run(colorizer, tmp_path / "in", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_a_photo_error_is_shown_as_its_reason_alone() -> None:
    assert str(PhotoError("a photo", "the file is empty", "Copy it again.")) == "the file is empty"
