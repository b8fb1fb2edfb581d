"""The executable itself: what it answers at once, and how it ends."""

import os
import platform
import subprocess
import sys

import pytest
import torch
import typer.main
from pictures import noise, saved
from processes import DEADLINE_S

from colorgan import __version__
from colorgan.cli.app import _MODULES, app, main
from colorgan.cli.console import print_bug, print_error
from colorgan.errors import UsageError


def colorgan(*arguments):
    command = [sys.executable, "-m", "colorgan", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def run_main(*arguments):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["colorgan", *arguments])
        main()


COMMANDS = sorted(typer.main.get_command(app).commands)


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_is_answered_without_torch(arguments):
    code = (
        "import sys\nfrom colorgan.cli.app import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout


FIRST_WORDS = {
    "colorize": (["{photo}", "-o", "out"], "Coloring {photo} with compact."),
    "prepare": (["{photo}", "-o", "set"], "Preparing a set in set ..."),
    "finetune": (["--data", "set", "--run", "run"], "Training on the set set, with the run folder run ..."),
    "train": (["--data", "set", "--run", "run"], "Training on the set set, with the run folder run ..."),
    "compare": (["{photo}", "-o", "out"], "Loading the models ..."),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_first_word_waits_for_no_large_library_and_for_no_other_command(name, tmp_path):
    photo = str(saved(tmp_path / "photo.png", noise()))
    arguments, words = FIRST_WORDS[name]
    commands = sorted({_MODULES.get(each, each) for each in COMMANDS})
    line = [name, *(argument.format(photo=photo) for argument in arguments)]
    code = (
        "import sys\nfrom colorgan.cli.app import app\nfrom colorgan.cli.console import Console\n"
        "def leave(self, text):\n"
        "    print(text, *sorted({'numpy', 'PIL', 'torch'} & sys.modules.keys()))\n"
        f"    print(*(name for name in {commands!r} if 'colorgan.cli.' + name in sys.modules))\n"
        "    raise SystemExit\n"
        f"Console.note = leave\napp({line!r})"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == [words.format(photo=photo), _MODULES.get(name, name)]


def test_the_module_is_the_executable():
    done = colorgan("--version")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == f"colorgan {__version__}"


@pytest.mark.parametrize(("chosen", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_before_torch_is_imported_unless_the_user_says_otherwise(chosen, found):
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": chosen} if chosen else {}
    code = (
        "import atexit, os, sys\nfrom colorgan.cli.app import main\nsys.argv = ['colorgan', '--help']\n"
        "atexit.register(lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules))\nmain()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == f"{found} False"


def test_the_version_says_what_a_bug_report_needs(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "[cache]"))
    with pytest.raises(SystemExit) as done:
        run_main("--version")
    lines = capsys.readouterr().out.splitlines()
    assert done.value.code == 0
    assert f"torch {torch.__version__}" in lines
    assert f"cache: {tmp_path / '[cache]'}" in lines
    assert any(line.startswith("available models: compact") for line in lines)
    assert any(line.startswith("device: ") for line in lines)
    assert any(line.startswith(f"Python {platform.python_version()} on ") for line in lines)


def test_the_version_is_printed_where_torch_is_broken(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit) as done:
        run_main("--version")
    printed = capsys.readouterr().out
    assert done.value.code == 0
    assert "torch: ModuleNotFoundError: " in printed


def test_a_mistyped_command_or_option_is_answered_with_what_was_meant():
    assert "Did you mean 'colorize'?" in colorgan("colourize").stderr
    assert "--model" in colorgan("colorize", "x.jpg", "--modle", "compact").stderr


def test_a_mistyped_model_is_answered_with_what_was_meant(tmp_path):
    photo = saved(tmp_path / "photo.png", noise())
    done = colorgan("colorize", str(photo), "--model", "compct")
    assert done.returncode == 2
    assert "Did you mean compact?" in done.stderr


def test_there_are_no_other_subcommands_than_the_documented():
    done = colorgan("--help")
    assert all(f"│ {name} " in done.stdout for name in COMMANDS)
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
    assert printed.err.splitlines() == ["colorgan: expected a photo at [x].jpg: a folder", "  Name a file."]


def test_a_bug_is_three_lines_and_a_traceback_only_on_request(capsys):
    error = RuntimeError("odd [thing]")
    assert print_bug(error, debug=False) == 1
    short = capsys.readouterr().err
    assert len(short.splitlines()) == 3
    assert "odd [thing]" in short
    assert "--debug" in short
    assert print_bug(error, debug=True) == 1
    assert "RuntimeError: odd [thing]" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["prepare", "compare"])
def test_an_address_where_photos_have_to_lie_on_a_disk_is_one_clear_error(verb, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["colorgan", verb, "s3://b/photos", "-o", "out"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "the address s3://b/photos" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_process_that_ends_is_not_searched_for_garbage():
    code = """
import atexit, gc, sys
atexit.register(lambda: print("objects left alone:", gc.get_freeze_count() > 0))
from colorgan.cli.app import main
sys.argv = ["colorgan", "--version"]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "objects left alone: True")
