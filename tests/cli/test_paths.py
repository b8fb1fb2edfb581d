"""Paths that the system refuses to look at: names too long for any disk, folders that may not be entered."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from colorgan.cli.app import main

SRC = Path(__file__).parents[2] / "src"
TOO_LONG = "n" * 300
ASKED = [
    ("colorize {}.png -o out", 2),
    ("colorize photos -o {}", 4),
    ("colorize photos/class0/0.png -o {}/", 4),
    ("colorize photos -o out --model {}.safetensors", 4),
    ("colorize photos -o out --like {}.png", 2),
    ("colorize photos/class0/0.png -o out --hints {}.json", 3),
    ("colorize --from-file {} -o out", 2),
    ("compare {}.png", 2),
    ("compare photos -o {}", 4),
    ("compare photos --models {}.safetensors", 4),
    ("compare photos --with {}", 2),
    ("prepare {} -o out", 2),
    ("prepare photos -o {}", 4),
    ("finetune --data {}", 4),
    ("finetune --data data --run {}", 4),
    ("finetune --data data --run {} --resume", 4),
    ("finetune --data data --from {}.safetensors", 4),
    ("finetune --data data --from scratch --encoder {}.pth", 4),
    ("train --data data --from {}", 2),
]


def call(line: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["colorgan", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize(("line", "code"), [*ASKED, ("colorize photos/class0/0.png -o {}.png", 3)])
def test_a_name_that_no_disk_takes_is_an_error_with_its_reason(
    line: str, code: int, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(line.format(TOO_LONG), monkeypatch) == code
    said = capsys.readouterr().err.lower()
    assert TOO_LONG[:50] in said
    assert "too long" in said or "neither a name nor a file" in said
    assert not list(place.glob("out/[!.]*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is kept from this user")
@pytest.mark.parametrize(("line", "code"), [*ASKED, ("colorize photos/class0/0.png -o {}.png", 4)])
def test_a_folder_that_may_not_be_entered_is_an_error_with_its_reason(
    line: str, code: int, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "closed").mkdir(mode=0)
    assert call(line.format("closed/it"), monkeypatch) == code
    said = capsys.readouterr().err.lower()
    assert "closed/" in said or "it.json" in said  # a journal in it, and hints by their name alone
    assert "permission denied" in said or "neither a name nor a file" in said


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is kept from this user")
def test_photos_that_may_only_be_listed_are_counted_as_unreadable(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "photos/class0").chmod(0o600)
    assert call("prepare photos -o out --min-side 16", monkeypatch) == 0
    assert "left out, unreadable: 10" in capsys.readouterr().out
    assert call("compare photos -o compared --models small.safetensors", monkeypatch) == 3
    assert "failed: class0/0.png: " in capsys.readouterr().err


def test_a_photo_in_place_of_the_command_may_have_any_name(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(f"{TOO_LONG}.png", monkeypatch) == 2
    assert f"colorgan colorize {TOO_LONG}.png" in capsys.readouterr().err


def test_no_path_is_looked_at_in_a_way_that_raises_where_the_system_refuses() -> None:
    # Before Python 3.14, Path's own methods do; those of a folder's entries and of a package's files (html) do not.
    raising = re.compile(r"(?<!entry)\.(is_dir|is_file|exists|is_symlink)\(\)")
    sources = (path for path in SRC.rglob("*.py") if path.parent.name != "html")
    found = [str(path) for path in sources if raising.search(path.read_text("utf-8"))]
    assert found == []
