from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from nursery import nursery
from PIL import Image
from processes import DEADLINE_S, Process, Start, running, wait_until

OPTIONS = ["prepare", "--size", "32", "--min-side", "16"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "colorgan", *OPTIONS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE_S)


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
        (["missing"], 2, "it does not exist"),
        (["PHOTOS", "--classes", "class0,cats"], 2, "a class named cats"),
        (["PHOTOS", "--classes", ","], 2, "--classes to be a number or names"),
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


HANGUP = getattr(signal, "SIGHUP", 1)  # which Windows does not have
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


def slow_photos(folder: Path) -> Path:
    """Photos that take long enough to be caught at work."""
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "00.png", compress_level=1)
    for index in range(1, 60):
        os.link(folder / "00.png", folder / f"{index:02d}.png")
    return folder


def wait_for_staging(output: Path, process: Process) -> None:
    wait_until((output.with_name(f".{output.name}.partial") / "lock").exists, process)


@posix
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (HANGUP, 129), (signal.SIGKILL, -9)]
)
def test_interrupted_it_leaves_nothing_that_looks_whole(
    number: int, code: int, photos: Path, tmp_path: Path, start: Start
) -> None:
    source, output = slow_photos(tmp_path / "photos"), tmp_path / "data"
    process = start(*OPTIONS, source, "-o", output, "--workers", "1")
    wait_for_staging(output, process)
    process.send_signal(number)
    _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert "Traceback" not in words
    assert not output.exists()
    if number != signal.SIGKILL:
        assert "run the same command to start over" in words
        assert list(tmp_path.glob(".*")) == []
        return
    assert run(photos, "-o", output).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "photos"]


# Photos that are never done, as those on a disk that has gone.
ENDLESS = """
import sys, threading
from colorgan.cli.app import main
import colorgan.data.selection
def wait(*arguments):
    print("reading", flush=True)
    threading.Event().wait()
colorgan.data.selection.reduce_photo = wait
main()
"""


@posix
def test_a_second_ctrl_c_waits_for_no_photo_and_the_next_run_cleans_up(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "data"
    command = [sys.executable, "-c", ENDLESS, *OPTIONS, str(photos), "-o", str(output)]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert "reading" in process.stdout.readline()
        while process.poll() is None:  # of two in a row the system may make one
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "run the same command to start over" in words
    assert "Traceback" not in words
    assert not output.exists()
    assert run(photos, "-o", output).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@posix
@pytest.mark.parametrize(
    ("where", "last", "moments"),
    [("", 18_000, 16), ("threading.py", 300, 24)],
    ids=["anywhere", "while it takes and gives back locks"],
)
def test_a_signal_at_any_moment_is_answered_and_leaves_nothing(
    where: str, last: int, moments: int, photos: Path, tmp_path: Path
) -> None:
    """A moment is a call or return of the main thread: one that leaves a lock taken would have it wait for ever."""
    rng, log, codes = random.Random(0), tmp_path / "log", Counter[int | str]()
    with nursery() as commands:
        for _ in range(moments):
            output = tmp_path / "data"
            number = rng.choice((signal.SIGINT, signal.SIGTERM))
            told = ("prepare", photos, "-o", output, *OPTIONS[1:], "--workers", "2")
            commands.start(log, *told, signal=(number, rng.randint(1, last), where))
            code, words = commands.wait(), log.read_text()
            codes[code] += 1
            if code == 0:  # it came when the set had its name already, or not at all
                assert "kept: " in words
                shutil.rmtree(output)
            else:
                assert code == 128 + number, words
                assert "sent" in words
                assert "run the same command to start over" in words
            assert "Traceback" not in words
            assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert codes[0] < moments / 4, codes
