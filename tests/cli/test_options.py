"""Options of a command made of the fields of a dataclass: a made-up one, so that each kind of option is there."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
import typer.main
from typer.testing import CliRunner

import colorgan
from colorgan.cli.console import print_error
from colorgan.cli.options import Command, Given, all_spellings, command, spelled, with_options
from colorgan.errors import UsageError, missing_extra
from colorgan.options import Checked, Option


@dataclass(frozen=True)
class Some(Checked):
    size: Annotated[int, Option("Side, no less than `most`.", "Panel", minimum=16, unit="pixels")] = 256
    color_mode: Annotated[
        Literal["gray", "full"], Option("What is kept.", "Panel", formerly=("colour_mode", "grey_mode"))
    ] = "full"
    places: Annotated[tuple[Path, ...], Option("Where.", "Panel", flags="--at", unset="nowhere")] = ()
    levels: Annotated[Literal[8, 16], Option("Bits.", "Panel")] = 8
    mark: Annotated[bool, Option("Say so.", "Panel", formerly=("sign",))] = True
    pairs: Annotated[
        dict[str, int] | None,
        Option("Pairs.", "Panel", parse=lambda given: {text: len(text) for text in given}, repeated=True, unset="none"),
    ] = None


@command(Some, first="size most")
def some(given: Given, most: Annotated[int, Option("Most.", "Panel", maximum=9)] = 1) -> None:
    typer.echo(repr((given[Some], most)))


APP = typer.Typer()
APP.command(cls=Command)(with_options(some))


def run(*arguments: str) -> tuple[object, ...]:
    done = CliRunner().invoke(APP, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return eval(done.output, {"PosixPath": Path, "WindowsPath": Path})


def test_only_what_was_given_comes_to_the_command_and_as_the_field_wants_it() -> None:
    assert run() == ({}, 1)
    assert run("--size", "64", "--most", "3", "--no-mark") == ({"size": 64, "mark": False}, 3)
    assert run("--at", "a", "--at", "b", "--levels", "16") == ({"places": (Path("a"), Path("b")), "levels": 16}, 1)
    assert run("--pairs", "x", "--pairs", "yy") == ({"pairs": {"x": 1, "yy": 2}}, 1)


@pytest.mark.parametrize("spelling", ["--color-mode", "--colour-mode", "--grey-mode"])
def test_the_spellings_that_an_option_had_before_are_taken_and_not_shown(spelling: str) -> None:
    assert run(spelling, "gray") == ({"color_mode": "gray"}, 1)
    assert ("colour" in CliRunner().invoke(APP, ["--help"]).output) is False


def test_a_switch_that_had_another_name_is_taken_by_it() -> None:
    assert run("--sign") == ({"mark": True}, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "8"], "`size` to be 16 or more: 8"),
        (["--color-mode", "red"], "`color_mode` to be gray or full: 'red'"),
        (["--levels", "12"], "`levels` to be 8 or 16: '12'"),
        (["--most", "10"], "`most` to be at most 9: 10"),
    ],
)
def test_a_value_that_there_is_not_is_refused_before_the_command(arguments: list[str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        CliRunner().invoke(APP, arguments, catch_exceptions=False)


def test_the_advice_fits_what_was_expected() -> None:
    for value, advice in (
        ({"size": 8}, "Give a number in that range."),
        ({"color_mode": "red"}, "Choose one of these."),
    ):
        with pytest.raises(UsageError) as caught:
            Some(**value)
        assert caught.value.advice == advice


def test_an_extra_is_no_option_of_the_same_name(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(missing_extra("what the app needs", "app"))
    assert "the extra app is not installed" in capsys.readouterr().err


def test_parameters_in_a_text_of_the_library_are_spelled_as_options() -> None:
    text = "Try a lower `lr`, `clip_norm=1` or `start=compact`; `gan` is a model, `weights` are many."
    assert spelled(text) == ("Try a lower --lr, --clip-norm 1 or --from compact; `gan` is a model, --weight are many.")


def _strings_of(path: Path) -> list[str]:
    """The texts of a module that are neither docstrings nor an option's own flags."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    left_out |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "flags"}
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in left_out]
    return [node.value for node in nodes if isinstance(node.value, str)]


def test_no_message_of_the_library_spells_an_option() -> None:
    sources = Path(colorgan.__file__).parent
    known = {spelling for spelling in all_spellings().values() if spelling.startswith("--")} | {"-o"}
    spelling = {
        (path.relative_to(sources).as_posix(), option)
        for path in sources.rglob("*.py")
        if path.relative_to(sources).parts[0] != "cli"
        for text in _strings_of(path)
        for option in re.findall(r"--[a-z][\w-]+|(?<!\S)-[a-z]\b", text)
        if option in known
    }
    # Whole commands: that which makes a result of the page anew, a set, or the app's variants.
    assert {name for name, _ in spelling} <= {"batch/gallery.py", "data/shards.py", "comparison/app/variants.py"}
