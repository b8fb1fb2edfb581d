"""`colorgan colorize` with hints: as options, from files, and beside the photos of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from colorizing import Call, run, tree
from numpy.typing import NDArray
from PIL import Image

from colorgan.color.lab import rgb_to_lab

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Dark on the left, light on the right; 80 x 60."""
    image = Image.new("L", (80, 60), 70)
    image.paste(170, (40, 0, 80, 60))
    image.save(tmp_path / "wall.png")
    return tmp_path / "wall.png"


def ab(path: Path) -> NDArray[np.float32]:
    """Of a result, (H, W, 2)."""
    with Image.open(path) as image:
        rgb = torch.from_numpy(np.array(image.convert("RGB"))).movedim(-1, 0) / 255
    result: NDArray[np.float32] = rgb_to_lab(rgb)[1:].movedim(0, -1).numpy()
    return result


def ab_of(rgb: tuple[int, int, int]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = rgb_to_lab(torch.tensor(rgb)[:, None, None] / 255)[1:, 0, 0].numpy()
    return result


def places(*hints: tuple[int, int, str]) -> str:
    rows = [{"x": x, "y": y, "color": color} for x, y, color in hints]
    return json.dumps({"format": "colorgan-hints", "version": 1, "hints": rows})


def painted(path: Path, size: tuple[int, int], box: tuple[int, int, int, int], color: str) -> None:
    image = Image.new("RGBA", size)
    image.paste(color, box)
    image.save(path)


def test_hints_hold_at_their_places_and_the_lightness_stays(photo: Path, tiny_model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.png"
    done = run(photo, "-o", target, "--model", tiny_model, "--hint", "20,30=#7a4a3a", "--hint", "60, 30=keep")
    assert done.returncode == 0, done.stderr
    found = ab(target)
    assert np.abs(found[30, 20] - ab_of((0x7A, 0x4A, 0x3A))).max() < 3
    assert np.abs(found[30, 60]).max() < 3
    with Image.open(target) as image:
        gray = np.asarray(image.convert("L")).astype(int)
    assert abs(int(gray[30, 20]) - 70) < 12


def test_what_lies_beside_photos_is_no_photo_and_colors_its_own_one_anew(
    photo: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (folder / name).write_bytes(photo.read_bytes())
    painted(folder / "a.hints.png", (80, 60), (10, 10, 30, 50), "#3a4a8a")
    (folder / "b.hints.json").write_text(places((20, 30, "#7a4a3a"), (60, 30, "#3a6a4a")))
    out = tmp_path / "out"
    arguments = (folder, "-o", out, "--model", tiny_model)
    assert call(*arguments)[1] == f"3 written, 0 skipped, 0 failed. Results: {out}\n"
    assert tree(out) == ["a.png", "b.png", "c.png"]
    assert np.abs(ab(out / "a.png")[15:45, 15:25] - ab_of((0x3A, 0x4A, 0x8A))).mean() < 3
    assert np.abs(ab(out / "b.png")[30, 20] - ab_of((0x7A, 0x4A, 0x3A))).max() < 3
    assert call(*arguments)[1] == f"0 written, 3 skipped, 0 failed. Results: {out}\n"
    before = (out / "b.png").read_bytes()
    (folder / "b.hints.json").write_text(places((20, 30, "#3a4a8a")))
    (folder / "c.hints.json").write_text(places((20, 30, "#3a4a8a")))
    assert call(*arguments)[1] == f"2 written, 1 skipped, 0 failed. Results: {out}\n"
    assert (out / "b.png").read_bytes() != before
    (folder / "c.hints.json").unlink()
    assert call(*arguments)[1] == f"1 written, 2 skipped, 0 failed. Results: {out}\n"


def test_what_is_named_by_an_option_goes_before_what_lies_beside(
    photo: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    (tmp_path / "wall.hints.json").write_text(places((20, 30, "#7a4a3a")))
    painted(tmp_path / "blue.png", (80, 60), (15, 25, 25, 35), "#3a4a8a")
    code, _, _ = call(photo, "-o", tmp_path / "out.png", "--model", tiny_model, "--hints", tmp_path / "blue.png")
    assert code == 0
    assert np.abs(ab(tmp_path / "out.png")[30, 20] - ab_of((0x3A, 0x4A, 0x8A))).max() < 3


def test_what_is_painted_over_a_large_photo_is_not_held_to_pillows_own_limit(
    photo: Path, tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted(tmp_path / "blue.png", (80, 60), (15, 25, 25, 35), "#3a4a8a")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    out = tmp_path / "out.png"
    assert call(photo, "-o", out, "--model", tiny_model, "--hints", tmp_path / "blue.png")[0] == 0
    monkeypatch.undo()
    assert np.abs(ab(out)[30, 20] - ab_of((0x3A, 0x4A, 0x8A))).max() < 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--hint", "80,10=red"), 3, "the hint at 80,10 lies outside of its 80 x 60 pixels"),
        (("--hint", "1,1=reddish"), 2, "a color for a hint: 'reddish'"),
        (("--hint", "red"), 2, "a hint as X,Y=COLOR: 'red'"),
        (("--hints", "small.png"), 3, "small.png: 40 x 30 pixels, but the photo has 80 x 60"),
        (("--hints", "opaque.png"), 3, "opaque.png: nothing in it is transparent"),
        (("--hints", "text.png"), 3, "its hints text.png: not a JPEG"),
        (("--hints", "jpeg.png"), 3, "jpeg.png: a JPEG picture, not a PNG"),
        (("--hints", "missing.png"), 3, "missing.png: no such file"),
        (("--hints", "bad.json"), 3, "bad.json: not a list of places"),
        (("--hints", "torn.json"), 3, "torn.json: not a list of places (JSONDecodeError"),
        (("--hints", "far.json"), 3, "the hint at 900,3 lies outside"),
        (("--hints", "odd.json"), 3, "'reddish' is not a color for a hint"),
    ],
)
def test_what_is_wrong_with_hints_is_said(
    photo: Path,
    tiny_model: Path,
    tmp_path: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    painted(tmp_path / "small.png", (40, 30), (0, 0, 9, 9), "red")
    Image.new("RGB", (80, 60)).save(tmp_path / "opaque.png")
    Image.new("L", (80, 60)).save(tmp_path / "jpeg.png", "JPEG")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "bad.json").write_text('["red"]')
    (tmp_path / "torn.json").write_text(places((9, 3, "red"))[:-5])
    (tmp_path / "far.json").write_text(places((900, 3, "red")))
    (tmp_path / "odd.json").write_text(places((9, 3, "reddish")))
    found, _, err = call(photo, "-o", tmp_path / "out.png", "--model", tiny_model, *arguments)
    assert found == code
    assert words in err
    assert not (tmp_path / "out.png").exists()


def test_a_process_says_what_is_wrong_with_hints_in_three_parts_and_writes_nothing(
    photo: Path, tiny_model: Path, tmp_path: Path
) -> None:
    done = run(photo, "-o", tmp_path / "out.png", "--model", tiny_model, "--hint", "1,1=reddish")
    assert done.returncode == 2
    assert "expected a color for a hint: 'reddish'" in done.stderr
    assert "or keep to leave it gray" in done.stderr
    outside = run(photo, "-o", tmp_path / "out.png", "--model", tiny_model, "--hint", "80,10=red", "--quiet")
    assert outside.returncode == 3
    assert "the hint at 80,10 lies outside of its 80 x 60 pixels" in outside.stderr
    assert "Traceback" not in done.stderr + outside.stderr
    assert not (tmp_path / "out.png").exists()


def test_a_photo_that_is_given_twice_is_colored_once_by_its_hints_and_two_hints_of_a_place_meet_in_the_middle(
    photo: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    (tmp_path / "wall.hints.json").write_text(places((20, 30, "#7a4a3a"), (20, 30, "#4a7a3a")))
    _, text, _ = call(photo, photo, "-o", tmp_path / "out", "--model", tiny_model)
    assert text == f"1 written, 0 skipped, 0 failed. Results: {tmp_path / 'out'}\n"
    middle = (ab_of((0x7A, 0x4A, 0x3A)) + ab_of((0x4A, 0x7A, 0x3A))) / 2
    assert np.abs(ab(tmp_path / "out" / "wall.png")[30, 20] - middle).max() < 4


def test_hints_for_several_photos_are_refused(photo: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    code, _, err = call(tmp_path, "-o", tmp_path / "out", "--model", tiny_model, "--hint", "1,1=red")
    assert code == 2
    assert "NAME.hints.json" in err
