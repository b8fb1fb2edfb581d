"""What the package promises to whoever imports it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from processes import DEADLINE_S

import colorgan

NAMES = [name for name in colorgan.__all__ if name != "__version__"]


def printed(code: str) -> str:
    """What a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, colorgan; print(*sorted(n for n in sys.modules if n.startswith(('colorgan', 'torch'))))"
    assert printed(code) == "colorgan"


def test_each_name_is_what_it_says_in_a_fresh_process_also_after_its_package_was_imported() -> None:
    code = (
        f"import importlib\nimport colorgan\nbefore = {{name: getattr(colorgan, name) for name in {NAMES!r}}}\n"
        "for name in before:\n"
        "    importlib.import_module('colorgan.' + colorgan._MODULES[name])\n"
        "    assert getattr(colorgan, name) is before[name], name\n"
        "    assert callable(before[name]), name\n"
        "print(len(before))"
    )
    assert printed(code) == str(len(NAMES))


@pytest.mark.parametrize("verb", ["colorize_files", "prepare", "compare", "finetune", "train"])
def test_no_package_takes_the_name_of_a_verb(verb: str) -> None:
    packages = "batch, colorgan.colorize, colorgan.comparison, colorgan.data, colorgan.training"
    code = f"import colorgan.{packages}\nfrom colorgan import {verb}\n"
    assert printed(code + f"print(type({verb}).__name__)") == "function"


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        colorgan.nonsense  # noqa: B018


def test_everything_promised_is_listed_and_has_a_docstring() -> None:
    assert sorted(NAMES) == sorted(colorgan._MODULES)
    assert all(getattr(colorgan, name).__doc__ for name in NAMES)


@pytest.mark.parametrize("verb", ["colorize_files", "prepare", "compare"])
def test_one_path_is_taken_as_one_and_not_letter_by_letter(verb: str, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for path in (missing, str(missing)):
        with pytest.raises(ValueError, match=f"at {missing}:"):
            getattr(colorgan, verb)(path, tmp_path / "out")
