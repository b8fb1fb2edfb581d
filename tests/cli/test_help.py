"""The help of every command: walked over as the program has it, so that a new option is held to the same."""

import re
from importlib import import_module

import pytest
import typer.main
from typer.testing import CliRunner

from colorgan.cli import options
from colorgan.cli.app import app
from colorgan.options import options_of

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
    "thread|decay|weight|rate|norm|times|layer|percentile|bits|page|random|lower is|port|beta"
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


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=lambda names: names and names[0])
def test_ranges_are_said_in_words_and_types_not_at_all(arguments):
    assert not re.search("<=|>=|<[a-z]", shown(*arguments))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_says_what_it_takes(name):
    for parameter in GROUP.commands[name].params:
        if parameter.param_type_name == "argument":
            assert parameter.help


# Options whose name several commands share, and which mean something of their own in each, as their help says.
OF_THEIR_OWN = {
    "--output": "a file, a folder of results, a set",
    "--overwrite": "what is replaced is photos, a set, a run",
    "--size": "of a set's photos, of training squares, of what is measured",
    "--workers": "threads, or processes of a data loader",
    "--batch-size": "photos in a step of training, or computed together",
    "--precision": "a training has no fp16",
    "--from": "finetune starts from scratch too",
    "--recipe": "each stage has its own",
    "--encoder": "what the network is built on, or what the loss looks at",
}


def said_of_shared_options():
    said = {}
    for _, option in OPTIONS:
        about = (option.help, option.metavar, option.is_flag, tuple(option.secondary_opts), option.envvar)
        said.setdefault(option.opts[0], []).append(about)
    return {name: each for name, each in said.items() if len(each) > 1}


def test_an_option_that_commands_share_says_the_same_in_each():
    assert {name for name, said in said_of_shared_options().items() if len(set(said)) > 1} == set(OF_THEIR_OWN)


def test_a_parameter_is_spelled_in_one_way_in_every_command():
    kinds = [getattr(import_module(f"colorgan.{module}"), name) for module, name in options._KINDS]
    spellings = {}
    for kind in kinds:
        for name, each in options_of(kind).items():
            spellings.setdefault(name, set()).add(each.spellings[0])
    assert {name: found for name, found in spellings.items() if len(found) > 1} == {}


def test_an_option_that_was_renamed_is_taken_by_its_old_name_which_no_help_shows():
    context = GROUP.commands["train"].make_context("train", ["--coarse-truth"])
    assert context.params["downsample_real"] is True
    assert "coarse-truth" not in shown("train")
