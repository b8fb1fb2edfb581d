"""`--album` and `--like`, as a user meets them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from colorizing import Call, hashes, tree
from pages import CHECKOUT
from PIL import Image

from colorgan.batch.album import FOLDER_NAME, PREDICTIONS, Album
from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.colorizer import Colorizer

pytestmark = pytest.mark.usefixtures("alone")


def results(out: Path) -> dict[str, str]:
    return {name: digest for name, digest in hashes(out).items() if not name.startswith(".")}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos that share a half, in another lightness."""
    folder = tmp_path / "in"
    folder.mkdir()
    with Image.open(CHECKOUT / "docs" / "examples" / "cat.jpg") as image:
        scene = np.asarray(image.convert("L").resize((384, 256))).astype(float) / 255
    for name, part, gamma in (("a.png", scene[:, :256], 0.8), ("b.png", scene[:, 128:], 1.25)):
        Image.fromarray((255 * part**gamma).astype(np.uint8)).save(folder / name)
    return folder


def distance(out: Path) -> float:
    """How far apart the colors of the half are that both photos show, Lab units."""
    one, other = (
        rgb_to_lab(torch.from_numpy(np.array(Image.open(out / name))).movedim(-1, 0)[None] / 255)[0, 1:]
        for name in ("a.png", "b.png")
    )
    return float((one[..., 128:] - other[..., :128]).norm(dim=0).mean())


def test_the_same_things_come_out_more_alike_and_the_same_way_each_time(
    photos: Path, tmp_path: Path, call: Call
) -> None:
    for out, more in (("alone", ()), ("album", ("--album",)), ("again", ("--album", "--workers", 2))):
        code, printed, _ = call(photos, "-o", tmp_path / out, *more)
        assert (code, printed.split(",")[0]) == (0, "2 written")
    assert distance(tmp_path / "album") < 0.7 * distance(tmp_path / "alone")
    assert results(tmp_path / "album") == results(tmp_path / "again")
    assert not (tmp_path / "album" / FOLDER_NAME / PREDICTIONS).exists()


def test_the_second_pass_runs_no_network(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    predict = Colorizer.predict_batch
    monkeypatch.setattr(Colorizer, "predict_batch", lambda *a, **k: seen.append(len(a[1])) or predict(*a, **k))
    call(photos, "-o", tmp_path / "out", "--model", tiny_model, "--album")
    assert sum(seen) == 2


def test_a_photo_that_comes_later_takes_the_palette_and_the_others_stay_until_a_word(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    command = (photos, "-o", tmp_path / "out", "--model", tiny_model, "--album")
    call(*command)
    before = results(tmp_path / "out")
    (photos / "c.png").write_bytes((photos / "a.png").read_bytes())
    _, printed, err = call(*command)
    assert printed.startswith("1 written, 2 skipped")
    assert "which use it unchanged: 1. Overwriting recolors the whole album." in err
    assert before.items() <= results(tmp_path / "out").items()
    _, printed, err = call(*command, "--overwrite")
    assert printed.startswith("3 written, 0 skipped")
    assert "which use it unchanged" not in err


def test_a_run_that_was_stopped_between_the_passes_goes_on_with_what_was_kept(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = (photos, "-o", tmp_path / "out", "--model", tiny_model, "--album")
    with monkeypatch.context() as context:
        context.setattr(Album, "make", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert call(*command)[0] == 130
    seen = []
    monkeypatch.setattr(Colorizer, "predict_batch", lambda *a, **k: seen.append(a))
    code, printed, _ = call(*command)
    assert (code, printed.split(",")[0], seen) == (0, "2 written", [])


def test_a_second_command_on_an_album_is_refused_and_one_that_writes_nothing_leaves_all_as_it_is(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    command = (photos, "-o", tmp_path / "out", "--model", tiny_model, "--album")
    with Album(tmp_path / "out", b"").locked():
        code, _, words = call(*command)
    assert (code, tree(tmp_path / "out")) == (2, [])
    assert "another command is using it" in words
    assert call(*command)[0] == 0
    kept = tmp_path / "out" / FOLDER_NAME / PREDICTIONS / "of-the-first-pass"
    kept.parent.mkdir()
    kept.touch()
    assert call(*command, "--dry-run")[0] == 0
    assert kept.exists()


def test_an_album_of_one_is_that_photo_as_it_is_without(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    (photos / "b.png").unlink()
    for out, more in (("alone", ()), ("album", ("--album",))):
        call(photos, "-o", tmp_path / out, "--model", tiny_model, *more)
    assert results(tmp_path / "alone") == results(tmp_path / "album")


def test_a_bad_photo_is_left_out_of_the_album(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    (photos / "bad.jpg").write_text("no photo")
    command = (photos, "-o", tmp_path / "out", "--model", tiny_model, "--album")
    assert call(*command)[:2] == (3, f"2 written, 0 skipped, 1 failed. Results: {tmp_path / 'out'}\n")
    assert "which use it unchanged" not in call(*command)[2]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--album", "--shard", "1/2"), "an album in one process"),
        (("--album", "--ray", "auto"), "--album without a Ray cluster"),
        (("--like", "gray.png"), "gray.png is gray"),
        (("--like", "none.png"), "none.png: it does not exist"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    photos: Path,
    tiny_model: Path,
    tmp_path: Path,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("L", (40, 30), 90).save("gray.png")
    code, _, err = call(photos, "-o", tmp_path / "out", "--model", tiny_model, *more)
    assert code == 2
    assert words in err
    assert not (tmp_path / "out").exists() or tree(tmp_path / "out") == []


def test_an_album_needs_a_folder_of_its_own(photos: Path, tiny_model: Path, call: Call) -> None:
    code, _, err = call(photos, "--model", tiny_model, "--album")
    assert code == 2
    assert "an output folder for the album" in err


def test_photos_take_the_colors_of_a_reference_and_are_colored_anew_when_it_changes(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    with Image.open(photos / "a.png") as gray:
        dark = gray.point(lambda level: level // 3)
        Image.merge("RGB", [gray, dark, dark]).save(tmp_path / "reference.png")
        command = (photos, "-o", tmp_path / "out", "--model", tiny_model, "--like", tmp_path / "reference.png")
        assert call(*command)[1].startswith("2 written")
        red = np.asarray(Image.open(tmp_path / "out" / "a.png")).astype(int)
        assert (red[..., 0] - red[..., 2]).mean() > 20
        assert call(*command)[1].startswith("0 written, 2 skipped")
        Image.merge("RGB", [dark, dark, gray]).save(tmp_path / "reference.png")
    assert call(*command)[1].startswith("2 written")
