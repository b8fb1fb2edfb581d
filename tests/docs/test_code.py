"""Every command and every piece of code that the documentation shows is run."""

import re
import shutil

import numpy as np
import pytest
import torch
import typer.main
from pages import CHECKOUT, NAMES, blocks_of, lines_of, run_line

from colorgan.cli.app import app
from colorgan.color.lab import lab_to_rgb
from colorgan.models import loading

GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands
SHOWING = [name for name in NAMES if any(not block.reason for block in blocks_of(CHECKOUT / name))]
NEEDED = {"docs/reference/onnx.md": ("onnxscript", "onnxruntime")}
# Options of other programs that the documentation names.
FOREIGN = {
    "--upgrade-deps",
    "--torch-backend",
    "--index-url",
    "--group",
    "--editable",
    "--nproc_per_node",
    "--nproc-per-node",
    "--nnodes",
    "--max-restarts",
    "--strict",
    "--array",
    "--gpus-per-task",
    "--wrap",
    "--no-deps",
}


def _options(command):
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


OPTIONS = {name: _options(command) | {"--help"} for name, command in COMMANDS.items()}
OPTION = re.compile(r"(?<=[\s`(\"])--[a-z][\w-]+")
NAMED = re.compile(rf"colorgan ({'|'.join(COMMANDS)})\b|`({'|'.join(COMMANDS)})\b")
CALL = re.compile(rf"(?:colorgan |`)({'|'.join(COMMANDS)}) ([^`\n|&;]*)")
# What a page or section is about whose title says so.
SUBJECTS = {"train": ("finetune", "train"), "evaluation": ("compare",)}


@pytest.mark.skipif(not shutil.which("bash"), reason="lines for a shell need bash")
@pytest.mark.parametrize("name", SHOWING)
@pytest.mark.slow
def test_the_code_of_a_page_runs(name, reader, monkeypatch):
    for package in NEEDED.get(name, ()):
        pytest.importorskip(package, reason="the extra that the page is about is not installed")
    monkeypatch.setattr(loading, "NETWORKS", dict(loading.NETWORKS))
    namespace = {"__name__": "page"}
    for block in blocks_of(CHECKOUT / name):
        if block.reason:
            continue
        if block.language == "python":
            exec(compile(block.text, name, "exec"), namespace)
        else:
            for line in lines_of(block):
                run_line(line)


def test_the_page_on_onnx_turns_any_lab_into_the_colors_of_the_library():
    code = (CHECKOUT / "docs/reference/onnx.md").read_text(encoding="utf-8")
    lab = torch.cartesian_prod(*(torch.linspace(*axis) for axis in ((0, 100, 11), (-110, 110, 12), (-110, 110, 12))))
    page = {"np": np, **dict(zip(("L", "a", "b"), lab.numpy().T, strict=True))}
    exec(code[code.index("y = (L") : code.index("Image.fromarray((rgb")], page)
    colors = lab_to_rgb(lab.T[..., None])[..., 0].T.numpy()
    assert np.abs(page["rgb"].clip(0, 1) - colors).max() < 1e-3


@pytest.mark.slow
def test_the_examples_at_the_end_of_the_help_run(reader):
    for command in ("colorize", "prepare", "finetune", *sorted(set(COMMANDS) - {"colorize", "prepare", "finetune"})):
        run_line(COMMANDS[command].epilog.removeprefix("Example: "))


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_run_says_why(name):
    for block in blocks_of(CHECKOUT / name):
        assert block.reason is None or len(block.reason.split()) > 4


@pytest.mark.parametrize("name", NAMES)
def test_options_that_a_page_names_are_those_of_the_command_that_it_names_with_them(name):
    of_scripts = {option for script in _scripts() for option in OPTION.findall(script)}
    others = FOREIGN | of_scripts.difference(*OPTIONS.values())
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    assert [(where, option) for where, option in _misplaced(name, text) if option not in others] == []


def test_an_option_under_a_command_that_does_not_have_it_is_found():
    assert list(_misplaced("x.md", "Run `colorize --epochs 3`.")) == [("colorize", "--epochs")]
    assert list(_misplaced("x.md", "## How\n\nBy `colorgan prepare`:\n\n- `--size`, `--model`")) == [
        ("prepare", "--model")
    ]
    assert list(_misplaced("training.md", "`--epochs` and `--render-size`")) == [("finetune, train", "--render-size")]


def _misplaced(name, text):
    """The options of a page that are none of the command in whose line, or of those in whose section, they stand."""
    for section in re.split(r"\n(?=#+ )", text):
        for command, line in CALL.findall(section.replace("\\\n", " ")):
            yield from ((command, option) for option in OPTION.findall(line) if option not in OPTIONS[command])
        title = name + section.partition("\n")[0].lower()
        named = {command for pair in NAMED.findall(section) for command in pair if command}
        named |= {command for word, commands in SUBJECTS.items() if word in title for command in commands}
        known = _options(GROUP).union(*(OPTIONS[command] for command in named or COMMANDS))
        yield from ((", ".join(sorted(named)), option) for option in sorted(set(OPTION.findall(section)) - known))


def _scripts():
    folders = [CHECKOUT / "scripts", CHECKOUT / "benchmarks"]
    return [path.read_text(encoding="utf-8") for folder in folders for path in folder.iterdir() if path.is_file()]
