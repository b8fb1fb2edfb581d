"""The help of every command: walked over as the program has it, so that a new option is held to the same."""

import re

import pytest
import typer.main
from typer.testing import CliRunner

from colorgan.cli.app import app

GROUP = typer.main.get_command(app)
COMMANDS = sorted(GROUP.commands)
OPTIONS = [
    (name, parameter)
    for name in COMMANDS
    for parameter in GROUP.commands[name].params
    if parameter.param_type_name == "option" and parameter.name != "help"
]
# What a number can be counted in; an option that takes a number says one of these.
UNITS = (
    "pixel|minute|second|photo|step|epoch|passes|batch|Lab|L |MB|GB|share|strength|factor|percent|quality|process|"
    "thread|decay|weight|rate|norm|times|layer|percentile|bits|page|random|lower is"
)


def shown(*arguments):
    result = CliRunner().invoke(app, [*arguments, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return result.output


def entry(command, option):
    """The lines of an option in its command's help, without the frame and the breaks."""
    lines = shown(command).splitlines()
    (start,) = [n for n, line in enumerate(lines) if re.match(rf"│ {option.opts[0]}[,\s]", line)]
    rest = lines[start + 1 :]
    end = next(n for n, line in enumerate(rest) if re.match(r"│ -|╰", line))
    return " ".join(" ".join(line.strip("│ ") for line in lines[start : start + 1 + end]).split())


def first_of(command):
    """The options that a command's help shows before its panels."""
    return [option for name, option in OPTIONS if name == command and not option.rich_help_panel]


def named(case):
    return case if isinstance(case, str) else case.opts[0]


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=lambda names: names and names[0])
def test_it_fits_80_columns(arguments):
    assert max(map(len, shown(*arguments).splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_with_an_example_of_itself(name):
    last = shown(name).rpartition("╯")[2].split()
    assert last[:3] == ["Example:", "colorgan", name]


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=named)
def test_every_option_stands_in_a_panel_and_says_what_it_does(command, option):
    assert option.rich_help_panel or option in first_of(command)
    assert option.help.rstrip().endswith("."), option.help


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=named)
def test_every_option_shows_what_it_is_when_not_given(command, option):
    switch = option.is_flag and not option.secondary_opts
    assert switch or option.required or "[default: " in entry(command, option)


@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=named)
def test_every_number_says_what_it_counts(command, option):
    if option.metavar == "NUMBER":  # where it is no unit
        assert re.search(UNITS, option.help, re.IGNORECASE), option.help


@pytest.mark.parametrize("name", COMMANDS)
def test_the_six_options_that_most_people_need_come_first(name):
    assert len(first_of(name)) == 6
    lines = [line for line in shown(name).splitlines() if re.match("│ -|╭", line)]
    first = next(n for n, line in enumerate(lines) if "╭─ Options" in line)
    shown_first = [line.split()[1].split(",")[0] for line in lines[first + 1 : first + 7]]
    assert shown_first == [option.opts[0] for option in first_of(name)]


@pytest.mark.parametrize("name", COMMANDS)
def test_ranges_are_said_in_words(name):
    assert not re.search("<=|>=|<float|<int", shown(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_says_what_it_takes(name):
    for parameter in GROUP.commands[name].params:
        if parameter.param_type_name == "argument":
            assert parameter.help


def test_the_same_option_says_the_same_everywhere():
    """An option that several commands share is of one kind."""
    kinds = {}
    for _, option in OPTIONS:
        kinds.setdefault(option.opts[0], set()).add(option.is_flag)
    assert [name for name, found in kinds.items() if len(found) > 1] == []
