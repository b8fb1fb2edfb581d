"""The pages of the documentation, and the code that they show.

The tests run each block of ```sh or ```python, those of a page in order in one folder. A block that cannot be run
is marked in the line above it: <!-- not run in the tests: REASON -->
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from colorgan.cli.app import main

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
NAMES = [page.relative_to(CHECKOUT).as_posix() for page in PAGES]
_BLOCK = re.compile(
    r"(?:<!-- not run in the tests: (?P<reason>.*?) -->\n)?^```(?P<language>sh|python)\n(?P<text>.*?)^```$", re.M | re.S
)

# Options that the tests append to a page's commands, so that training takes a second instead of an hour.
TINY_TRAINING = "--epochs 1 --size 32 --batch-size 4 --val-photos 2 --log-every 1 --workers 0"
TINY = {"finetune": TINY_TRAINING, "train": TINY_TRAINING, "prepare": "--val-fraction 0.25 --min-side 16"}


@dataclass(frozen=True)
class Block:
    """A block of code in a page.

    Attributes:
        language: sh or python.
        text: the code.
        reason: why the tests cannot run it, or None.
    """

    language: str
    text: str
    reason: str | None


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [Block(match["language"], match["text"], match["reason"]) for match in found]


def furnish(folder: Path) -> None:
    """Write the files that the pages' commands name: color photos, and one to color."""
    for name in ("photos", "my-photos", "other-photos"):
        (folder / name).mkdir()
        for number in range(12):
            _picture(number).save(folder / name / f"{number:02}.jpg", quality=95)
    shutil.copy(CHECKOUT / "docs" / "examples" / "cat.jpg", folder / "grandma.jpg")
    (folder / "docs").mkdir()
    shutil.copytree(CHECKOUT / "docs" / "examples", folder / "docs" / "examples")


def _picture(number: int) -> Image.Image:
    rng = np.random.default_rng(number)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((72, 64), Image.Resampling.BICUBIC)


def run_line(line: str) -> None:
    """Run a line of a shell block, which must succeed: colorgan in this process, other commands in a shell."""
    words = shlex.split(line, comments=True)
    if words[:1] == ["colorgan"] and not re.search(r"[|<>&;$`]", line):
        run_colorgan(words[1:])
    elif words:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        subprocess.run(["bash", "-euc", line], check=True, env=os.environ | {"PATH": path})


def run_colorgan(arguments: list[str]) -> None:
    """Run a command like the executable, with the options of `TINY`."""
    before = sys.argv
    sys.argv = ["colorgan", *arguments, *TINY.get(arguments[0], "").split()]
    try:
        main()
    except SystemExit as done:
        assert done.code in (0, None), f"{shlex.join(sys.argv)} ended with {done.code}"  # noqa: PT017
    finally:
        sys.argv = before


def lines_of(block: Block) -> list[str]:
    """Return the lines of a shell block, with continued lines joined."""
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]
