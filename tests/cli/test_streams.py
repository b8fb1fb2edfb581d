"""Standard streams that are closed, full, of few letters, or read by nobody; and names that a terminal would obey."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from colorizing import make_photos, run, tree
from processes import DEADLINE_S, Start

posix = pytest.mark.skipif(os.name == "nt", reason="streams of POSIX")
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def in_shell(place: Path, arguments: str, model: Path) -> subprocess.CompletedProcess[str]:
    line = f"{sys.executable} -m colorgan {arguments}"
    environment = os.environ | {"COLORGAN_MODEL": str(model)}
    return subprocess.run(
        ["sh", "-c", line], capture_output=True, text=True, cwd=place, env=environment, timeout=DEADLINE_S, check=False
    )


@posix
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("colorize photos -o out >&-", 0),
        ("colorize photos -o out 2>&-", 0),
        ("colorize photos -o out <&- >&- 2>&-", 0),
        pytest.param("colorize photos -o out 2>/dev/full", 0, marks=full),
        pytest.param("colorize photos -o out >/dev/full", 4, marks=full),
    ],
)
def test_photos_are_colored_whatever_the_streams_are(line: str, code: int, tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    done = in_shell(tmp_path, line, tiny_model)
    assert (done.returncode, tree(tmp_path / "out")) == (code, ["a.jpg"]), done.stderr
    assert "bug" not in done.stderr
    assert "Exception ignored" not in done.stderr


@posix
@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("colorize - -o b.jpg <&-", 2, "it was empty"),
        pytest.param("colorize photos -o out --json >/dev/full", 4, "no space left", marks=full),
        pytest.param("--help >/dev/full", 4, "no space left", marks=full),
        pytest.param("--version >/dev/full", 4, "no space left", marks=full),
        pytest.param("colorize photos/a.jpg -o - >/dev/full", 4, "no space left", marks=full),
    ],
)
def test_a_stream_that_cannot_serve_is_an_error_with_words(
    line: str, code: int, words: str, tiny_model: Path, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    done = in_shell(tmp_path, line, tiny_model)
    assert done.returncode == code, done.stderr
    assert words in done.stderr.lower()
    assert "bug" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_letters_that_the_terminal_does_not_have_stop_nothing(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "\N{CYRILLIC SMALL LETTER A}.jpg")
    (tmp_path / "photos" / "\N{CYRILLIC SMALL LETTER BE}.jpg").write_bytes(b"no photo")
    environment = os.environ | {"PYTHONIOENCODING": "cp1252:strict"}
    done = run(tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model, env=environment)
    assert (done.returncode, len(tree(tmp_path / "out"))) == (3, 1), done.stderr
    assert "1 written, 0 skipped, 1 failed" in done.stdout


@posix
def test_names_are_shown_and_never_obeyed(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    names = ["scan:a:1.jpg", "box:100:07.jpg", "a\nb.jpg", "\x1b[31mred.jpg", "\u202egpj.exe.jpg"]
    for name in names:
        (tmp_path / "photos" / name).write_bytes(b"no photo")
    done = run("photos", "-o", "out", "--model", tiny_model, "--quiet", cwd=tmp_path)
    lines = sorted(line.partition(": ")[2].partition(".jpg")[0] for line in done.stderr.splitlines())
    shown = ["photos/box:100:07", "photos/scan:a:1", "photos/a\\nb", "photos/\\x1b[31mred", "photos/\\u202egpj.exe"]
    assert lines == sorted(shown)
    wrong = run("nosuch:x:\nfolder", "-o", "out", cwd=tmp_path)
    assert "nosuch:x:\\nfolder" in wrong.stderr


@posix
def test_a_reader_that_takes_nothing_keeps_no_signal_waiting(tiny_model: Path, tmp_path: Path, start: Start) -> None:
    make_photos(tmp_path / "photos", *(f"{number}.jpg" for number in range(2000)))
    options = ("--model", tiny_model, "--dry-run", "--json", "--quiet")
    process = start("colorize", tmp_path / "photos", "-o", tmp_path / "out", *options)
    time.sleep(4)  # its pipe is full by now
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143


@posix
@pytest.mark.parametrize("kind", ["standard input", "a pipe"])
def test_a_list_that_does_not_come_keeps_no_signal_waiting(
    kind: str, tiny_model: Path, tmp_path: Path, start: Start
) -> None:
    os.mkfifo(tmp_path / "list")
    source = "-" if kind == "standard input" else tmp_path / "list"
    options = ("-o", tmp_path / "out", "--model", tiny_model)
    process = start("colorize", "--from-file", source, *options, stdin=subprocess.PIPE)
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143


@posix
@pytest.mark.parametrize(
    "arguments",
    [
        "--help",
        "finetune --help",
        "--version",
        "colorize photos -o out --dry-run",
        "colorize photos -o out --dry-run --json",
    ],
)
def test_a_reader_who_has_seen_enough_of_what_is_only_told_ends_it_silently(
    arguments: str, tiny_model: Path, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    reader, writer = os.pipe()
    os.close(reader)  # as `head` does, at the earliest moment
    environment = os.environ | {"COLORGAN_MODEL": str(tiny_model)}
    line = [sys.executable, "-m", "colorgan", *arguments.split(), *(["--quiet"] if "dry" in arguments else [])]
    with os.fdopen(writer, "wb") as output:
        done = subprocess.run(
            line, stdout=output, stderr=subprocess.PIPE, cwd=tmp_path, env=environment, timeout=DEADLINE_S, check=False
        )
    assert (done.returncode, done.stderr) == (0, b"")
