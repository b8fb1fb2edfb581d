from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMAND = [sys.executable, "-m", "colorgan", "prepare", "--size", "32", "--min-side", "16"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for index in range(20):
        coarse = np.random.default_rng(index).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        (folder / f"class{index % 2}").mkdir(exist_ok=True)
        Image.fromarray(coarse).resize((40, 40)).save(folder / f"class{index % 2}" / f"{index:02d}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    return folder


def test_it_reports_what_was_kept_what_was_left_out_and_what_comes_next(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "data"
    done = run(photos, "-o", output, "--val-fraction", "0.1")
    assert done.returncode == 0
    assert done.stdout.splitlines() == ["kept: 18 for training, 2 for validation", "left out, unreadable: 1"]
    assert f"colorgan finetune --data {output}" in done.stderr
    again = run(photos, "-o", output)
    assert again.returncode == 2
    assert "--overwrite" in again.stderr
    replaced = run(photos, "-o", output, "--overwrite", "--classes", "class0", "--quiet")
    assert replaced.returncode == 0
    assert replaced.stderr == ""
    assert "left out, class not chosen: 11" in replaced.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing"], 2, "there is nothing"),
        (["PHOTOS", "--classes", "class0,cats"], 2, "a class named cats"),
        (["PHOTOS", "--classes", ","], 2, "names none"),
        (["PHOTOS", "--size", "0"], 2, "--size"),
        (["PHOTOS", "--min-side", "41"], 4, "all were left out: 1 unreadable, 20 tiny"),
    ],
)
def test_bad_input_is_two_lines_and_an_exit_code(
    arguments: list[str], code: int, words: str, photos: Path, tmp_path: Path
) -> None:
    given = [str(photos) if argument == "PHOTOS" else argument for argument in arguments]
    done = run("-o", tmp_path / "data", *given)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_interrupted_it_leaves_nothing_that_looks_whole(number: int, code: int, photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "data"
    source = tmp_path / "photos"
    source.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(source / "00.png", compress_level=1)
    for index in range(1, 60):  # slow enough to be caught at work
        os.link(source / "00.png", source / f"{index:02d}.png")
    process = subprocess.Popen([*COMMAND, source, "-o", output, "--workers", "1"], stderr=subprocess.PIPE, text=True)
    while not (tmp_path / ".data.partial" / "lock").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    _, words = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in words
    assert not output.exists()
    if number != signal.SIGKILL:
        assert "the same command starts anew" in words
        assert list(tmp_path.glob(".*")) == []
        return
    assert run(photos, "-o", output).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "photos"]
