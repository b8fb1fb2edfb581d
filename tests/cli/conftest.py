"""Fixtures for the commands: a prepared set, a working folder, and functions that run commands."""

import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from processes import DEADLINE_S, running

from colorgan.cli.app import main
from colorgan.data.options import PrepareOptions
from colorgan.data.prepare import prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """A folder with photos and a set made of them."""
    folder = tmp_path_factory.mktemp("prepared")
    noise = np.random.default_rng(0)
    for index in range(20):
        photo = Image.fromarray(noise.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((24, 24))
        target = folder / "photos" / f"class{index % 2}" / f"{index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        photo.save(target)
    options = PrepareOptions(min_side=16, val_fraction=0.2)
    prepare([folder / "photos"], folder / "data", options)
    return folder


@pytest.fixture
def place(place, prepared) -> Path:
    """The working folder of a test, also with photos and a set made of them."""
    shutil.copytree(prepared, place, dirs_exist_ok=True)
    return place


@pytest.fixture
def colorgan():
    """A function that runs a command to its end."""

    def run(*arguments, **options):
        command = [sys.executable, "-m", "colorgan", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, **options)

    return run


@pytest.fixture
def start():
    """A function that starts a command, which is stopped at the end of the test."""
    with ExitStack() as started:

        def run(*arguments, **options):
            command = [sys.executable, "-m", "colorgan", *map(str, arguments)]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            return started.enter_context(running(command, **pipes | options))

        yield run


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate a test from the models, variables and terminal of the user."""
    for name in ("COLORGAN_MODEL", "COLORGAN_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "no cache"))
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def call(monkeypatch, capsys, alone):
    """A function that runs colorize in this process; it returns exit code, standard output and standard error."""

    def call_main(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["colorgan", "colorize", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), printed.out, printed.err

    return call_main
