"""The options of `colorgan colorize`, each as a user meets it."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from colorizing import Call, command, make_photos, tree
from PIL import Image
from processes import DEADLINE_S, Start

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    make_photos(folder, "a.jpg", "b.png", "sub/c.tif")
    return folder


def json_lines(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_format_is_that_of_every_result(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(photos, "a.png")
    code, _, err = call(photos, "-o", tmp_path / "out", "--model", tiny_model, "--format", "webp")
    assert (code, tree(tmp_path / "out")) == (0, ["a-2.webp", "a.webp", "b.webp", "sub/c.webp"])
    assert "named a-2.webp, since another photo's result is a.webp" in err
    for name in tree(tmp_path / "out"):
        with Image.open(tmp_path / "out" / name) as image:
            assert image.format == "WEBP"


def test_the_same_command_again_repeats_nothing_and_another_setting_all(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    base = (photos, "-o", tmp_path / "out", "--model", tiny_model)
    sums = [
        call(*base, *more)[1].split(" failed")[0]
        for more in ((), (), ("--quality", 80), ("--saturation", 0.5), ("--quality", 80), ("--overwrite",))
    ]
    assert sums[:2] == ["3 written, 0 skipped, 0", "0 written, 3 skipped, 0"]
    assert sums[2:] == ["3 written, 0 skipped, 0"] * 4


def test_json_says_what_becomes_of_each_photo(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    (photos / "bad.jpg").write_text("no photo")
    code, out, _ = call(photos, "-o", tmp_path / "out", "--model", tiny_model, "--json")
    lines = json_lines(out)
    assert code == 3
    assert {line["schema"] for line in lines} == {2}
    kinds = [line["type"] for line in lines]
    assert kinds == ["status", "status", "status", "photo", "photo", "error", "photo", "summary"]
    assert [line["state"] for line in lines[:3]] == ["started", "loading", "computing"]
    assert lines[3]["source"] == str(photos / "a.jpg")
    assert lines[3]["output"] == str(tmp_path / "out" / "a.jpg")
    assert lines[3]["status"] == "written"
    assert lines[5]["source"] == str(photos / "bad.jpg")
    assert "not a JPEG" in lines[5]["reason"]
    wanted = {"written": 3, "skipped": 0, "in_colour": 0, "failed": 1, "exit_code": 3, "dry_run": False}
    assert lines[-1].items() >= wanted.items()


def test_json_says_why_a_run_cannot_be(photos: Path, tmp_path: Path, call: Call) -> None:
    code, out, err = call(photos, "-o", tmp_path / "out", "--model", "no-such", "--json")
    (*_, last) = json_lines(out)
    assert code == 2
    assert last.items() >= {"type": "error", "source": None, "exit_code": 2}.items()
    assert "no-such" in err


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    base = (photos, "-o", tmp_path / "out", "--model", tiny_model)
    code, out, _ = call(*base, "--dry-run")
    assert (code, tmp_path.joinpath("out").exists()) == (0, False)
    lines = out.splitlines()
    assert lines[0] == f"to do: {photos / 'a.jpg'} -> {tmp_path / 'out' / 'a.jpg'}"
    assert lines[-1].startswith("3 to do, 0 done before, 0 would fail. ")
    assert call(*base)[0] == 0
    make_photos(photos, "d.jpg")
    (tmp_path / "out" / "sub" / "c.tif").unlink()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    planned = json_lines(call(*base, "--dry-run", "--json")[1])
    assert [line["status"] for line in planned if line["type"] == "photo"] == [
        "skipped",
        "skipped",
        "planned",
        "planned",
    ]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_dry_run_loads_no_torch(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from colorgan.cli.app import app; app(sys.argv[1:], standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    arguments = ["colorize", str(photos), "-o", str(tmp_path / "out"), "--model", str(tiny_model), "--dry-run"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 to do" in done.stdout


def test_a_list_names_photos_one_a_line_or_with_nul_between(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, data in enumerate((b"in/a.jpg\nin/sub/c.tif\nin/gone.jpg\n", b"in/a.jpg\0in/sub/c.tif\0in/gone.jpg")):
        (tmp_path / "list").write_bytes(data)
        code, out, err = call("--from-file", "list", "-o", f"out{number}", "--model", tiny_model)
        assert (code, tree(tmp_path / f"out{number}")) == (3, ["in/a.jpg", "in/sub/c.tif"])
        assert out.startswith("2 written, 0 skipped, 1 failed.")
        assert "failed: in/gone.jpg: no such file" in err
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"in/b.png\n")))
    assert call("--from-file", "-", "--model", tiny_model)[0] == 0
    assert (tmp_path / "in" / "b-color.png").exists()
    code, _, err = call("--from-file", "no list", "-o", "out", "--model", tiny_model)
    assert code == 2
    assert "no such file" in err


def test_photos_in_colour_are_left_out_and_counted(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    Image.new("RGB", (20, 20), (200, 30, 30)).save(photos / "red.png")
    code, out, _ = call(photos, "-o", tmp_path / "out", "--model", tiny_model, "--skip-color")
    assert code == 0
    assert out.startswith("3 written, 0 skipped, 1 in color, 0 failed.")
    assert "red.png" not in tree(tmp_path / "out")


def test_toned_photos_are_colored_and_those_in_color_are_counted_where_they_are_too(
    tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    (tmp_path / "in").mkdir()
    ramp = np.tile(np.linspace(20, 235, 64), (48, 1))
    sepia = Image.fromarray(np.stack([ramp, ramp * 0.85, ramp * 0.7], -1).astype(np.uint8))
    sepia.save(tmp_path / "in/sepia.png")
    Image.new("RGB", (20, 20), (200, 30, 30)).save(tmp_path / "in/red.png")
    code, out, _ = call(tmp_path / "in", "-o", tmp_path / "left", "--model", tiny_model, "--skip-color")
    assert (code, tree(tmp_path / "left")) == (0, ["sepia.png"])
    code, out, err = call(tmp_path / "in", "-o", tmp_path / "all", "--model", tiny_model)
    assert out.startswith("2 written")
    assert "Already in color, and recolored: 1; --skip-color skips these." in err
    code, out, _ = call(tmp_path / "in", "-o", tmp_path / "json", "--model", tiny_model, "--json")
    assert json.loads(out.splitlines()[-1])["had_color"] == 1


def test_every_page_of_a_tiff_becomes_a_file(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    pages = [Image.fromarray(np.full((10, 20), level, np.uint8)) for level in (40, 120, 200)]
    pages[0].save(tmp_path / "letter.tif", save_all=True, append_images=pages[1:])
    code, _, _ = call(tmp_path / "letter.tif", "-o", tmp_path / "out", "--model", tiny_model, "--all-pages")
    assert (code, tree(tmp_path / "out")) == (0, [f"letter-page-{number}.tif" for number in (1, 2, 3)])
    means = [np.asarray(Image.open(tmp_path / "out" / name)).mean() for name in tree(tmp_path / "out")]
    assert means == sorted(means)
    assert means[2] - means[0] > 100


def test_too_large_a_photo_is_told_by_its_size(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    code, _, err = call(photos / "a.jpg", "-o", tmp_path / "o.jpg", "--model", tiny_model, "--max-megapixels", 0.0001)
    # 20 x 30 pixels are 0.0006 megapixels, and the option ends at 0.001.
    assert code == 2
    Image.new("L", (50, 50)).save(photos / "a.jpg")
    code, _, err = call(photos / "a.jpg", "-o", tmp_path / "o.jpg", "--model", tiny_model, "--max-megapixels", 0.001)
    assert code == 3
    assert "50 x 50 pixels, more than 0.001 megapixels" in err


def test_confidence_and_variants_stand_beside_each_result(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    base = (photos / "a.jpg", "-o", tmp_path / "out", "--model", tiny_model, "--confidence", "--variants", 3)
    assert call(*base)[0] == 0
    assert tree(tmp_path / "out") == ["a-confidence.png", "a-variant-2.jpg", "a-variant-3.jpg", "a.jpg"]
    contents = {(tmp_path / "out" / name).read_bytes() for name in tree(tmp_path / "out")}
    assert len(contents) == 4
    assert call(*base)[1].startswith("0 written, 1 skipped")
    (tmp_path / "out" / "a-variant-3.jpg").unlink()
    assert call(*base)[1].startswith("1 written, 0 skipped")


def test_a_photo_goes_through_pipes(photos: Path, tiny_model: Path) -> None:
    gray = (photos / "b.png").read_bytes()
    done = subprocess.run(command("-", "--model", tiny_model), input=gray, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert (image.format, image.size) == ("PNG", (30, 20))
        assert np.ptp(np.asarray(image).astype(int), axis=2).mean() > 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "in"], "several inputs"),
        (["-", "-o", "out"], "no photo suffix"),
        (["-", "--json"], "--json"),
        (["in", "-o", "-"], "is a folder"),
        (["-", "-o", "there.jpg"], "already exists"),
    ],
)
def test_pipes_that_cannot_be_meant_are_refused(
    photos: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path, "there.jpg")
    code, out, err = call(*arguments)
    assert code == 2
    assert said in re.sub(r"\s+", " ", out + err)


def test_no_photo_on_standard_input_is_a_photo_that_failed(
    tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"no photo")))
    code, _, err = call("-", "-o", tmp_path / "a.jpg", "--model", tiny_model)
    assert code == 3
    assert "not a JPEG" in err
    assert not (tmp_path / "a.jpg").exists()


@pytest.mark.skipif(os.name == "nt", reason="pipes of POSIX")
def test_a_reader_that_goes_away_ends_the_work_with_a_word(tiny_model: Path, tmp_path: Path, start: Start) -> None:
    make_photos(tmp_path / "in", *(f"{number}.jpg" for number in range(50)))
    options = ("--model", tiny_model, "--json", "--quiet")
    process = start("colorize", tmp_path / "in", "-o", tmp_path / "out", *options)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read().startswith("colorgan: expected to print results: their reader has closed the pipe")
    assert process.wait(DEADLINE_S) == 4
