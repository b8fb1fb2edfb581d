from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from processes import DEADLINE_S

from colorgan.cli.colorize_progress import photo_bar
from colorgan.cli.console import Console, DownloadBar, print_error
from colorgan.cli.options import option_of
from colorgan.errors import UsageError


def test_a_download_shows_in_words_what_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(DownloadBar(Console())) as bar:
        assert capsys.readouterr().err == ""
        bar.show("eccv16", 10, None)
        bar.show("eccv16", 20, 40)
        bar.show("eccv16", 40, 40)
        bar.show("siggraph17", 1, 2)
    words = capsys.readouterr().err
    assert words == "Downloading eccv16, only once ...\nDownloading siggraph17, only once ...\n"


def test_quiet_is_quiet_of_downloads_too(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(DownloadBar(Console(quiet=True))) as bar:
        bar.show("eccv16", 10, 20)
    assert capsys.readouterr().err == ""


def test_prose_is_broken_between_words_on_a_terminal_alone_and_a_path_nowhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    line = "The training helped, on 10 validation photos."
    for is_terminal, lines in (("1", ["The training helped, on 10", "validation photos."]), ("", [line])):
        monkeypatch.setenv("FORCE_COLOR", is_terminal)
        Console().note(line, is_prose=True)
        Console().note(line)
        assert [each.rstrip() for each in capsys.readouterr().err.splitlines()] == [*lines, line]


def test_an_error_is_broken_between_words_and_neither_in_a_path_nor_in_a_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    path = "/a/path/that/is/longer/than/the/terminal"
    command = "Make one: colorgan prepare PHOTOS -o data"
    lines = {
        "1": ["colorgan: expected a set at", f"{path}:", "no such folder", "  Name another output, or make", "  it."],
        "": [f"colorgan: expected a set at {path}: no such folder", "  Name another output, or make it."],
    }
    for is_terminal, wanted in lines.items():
        monkeypatch.setenv("FORCE_COLOR", is_terminal)
        print_error(UsageError(f"a set at {path}", "no such folder", "Name another output, or make it."))
        assert [line.rstrip() for line in capsys.readouterr().err.splitlines()] == wanted
        print_error(UsageError("a set", "none", command))
        assert capsys.readouterr().err.splitlines()[-1] == f"  {command}"


@pytest.mark.parametrize(
    ("parameter", "option"),
    [("max_megapixels", "--max-megapixels"), ("keep_metadata", "--strip-metadata"), ("inputs", "INPUT")],
)
def test_an_error_that_names_a_parameter_is_printed_with_the_option(
    parameter: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert option_of(parameter) == option
    print_error(UsageError("one", "two", "Choose.", parameter=parameter))
    assert f"Choose. ({option})" in capsys.readouterr().err


def test_the_bar_over_photos_says_how_many_of_how_many_and_how_fast(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("TTY_COMPATIBLE", "1"), ("COLUMNS", "80"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    counted = threading.Event()

    def numbers() -> Iterator[int]:
        yield from (3, 5)
        counted.set()

    with photo_bar(Console(), numbers()) as advance:
        assert counted.wait(DEADLINE_S)
        for _ in range(4):
            advance()
            time.sleep(0.15)  # rich draws ten times a second
    assert re.search(r"4 of 8 photos .* \d+\.\d/s .*0:00:\d\d", capsys.readouterr().err)
