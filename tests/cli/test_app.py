"""The executable itself: what it answers at once, and how it ends."""

import subprocess
import sys

import pytest

from colorgan import __version__
from colorgan.cli.console import print_bug, print_error
from colorgan.errors import UsageError


def colorgan(*arguments):
    command = [sys.executable, "-m", "colorgan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["prepare", "--help"], ["finetune", "--help"], ["colorize", "--help"]]
)
def test_help_is_answered_without_torch(arguments):
    code = (
        "import sys\nfrom colorgan.cli.app import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout


def test_the_module_is_the_executable():
    done = colorgan("--version")
    assert (done.returncode, done.stdout) == (0, f"colorgan {__version__}\n")


def test_there_are_no_other_subcommands_than_the_documented():
    done = colorgan("--help")
    assert all(name in done.stdout for name in ("prepare", "finetune", "colorize"))
    assert colorgan("evaluate").returncode == 2


def test_a_wrong_option_is_wrong_usage_and_no_traceback():
    done = colorgan("colorize", "--colour", "x.jpg")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_error_says_what_was_expected_found_and_what_to_do(capsys):
    print_error(UsageError("a photo at [x].jpg", "a folder", "Name a file."))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["colorgan: a photo at [x].jpg: a folder", "  Name a file."]


def test_a_bug_is_three_lines_and_a_traceback_only_on_request(capsys):
    error = RuntimeError("odd [thing]")
    assert print_bug(error, debug=False) == 1
    short = capsys.readouterr().err
    assert len(short.splitlines()) == 3
    assert "odd [thing]" in short
    assert "--debug" in short
    assert print_bug(error, debug=True) == 1
    assert "RuntimeError: odd [thing]" in capsys.readouterr().err
