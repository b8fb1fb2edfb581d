"""Every command and every piece of code that the documentation shows is run."""

import re
import shutil

import pytest
import typer.main
from pages import CHECKOUT, NAMES, blocks_of, lines_of, run_line

from colorgan.cli.app import app
from colorgan.models import loading

GROUP = typer.main.get_command(app)
COMMANDS = GROUP.commands
SHOWING = [name for name in NAMES if any(not block.reason for block in blocks_of(CHECKOUT / name))]
# Options of other programs that the documentation names, and one that docs/decisions.md says there is not.
FOREIGN = {
    "--weights",
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
}


@pytest.mark.skipif(not shutil.which("bash"), reason="lines for a shell need bash")
@pytest.mark.parametrize("name", SHOWING)
@pytest.mark.slow
def test_the_code_of_a_page_runs(name, reader, monkeypatch):
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


@pytest.mark.slow
def test_the_examples_at_the_end_of_the_help_run(reader):
    for command in ("colorize", "prepare", "finetune", *sorted(set(COMMANDS) - {"colorize", "prepare", "finetune"})):
        run_line(COMMANDS[command].epilog.removeprefix("Example: "))


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_run_says_why(name):
    for block in blocks_of(CHECKOUT / name):
        assert block.reason is None or len(block.reason.split()) > 4


@pytest.mark.parametrize("name", NAMES)
def test_options_that_a_page_names_exist(name):
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    known = {
        opt for command in (GROUP, *COMMANDS.values()) for p in command.params for opt in (*p.opts, *p.secondary_opts)
    }
    scripts = " ".join(path.read_text(encoding="utf-8") for path in _scripts())
    known |= FOREIGN | {"--help", *re.findall(r"--[a-z][\w-]+", scripts)}
    shown = set(re.findall(r"(?<=[\s`(])--[a-z][\w-]+", text))
    assert shown - known == set()


def _scripts():
    return [path for folder in ("scripts", "benchmarks") for path in (CHECKOUT / folder).iterdir() if path.is_file()]
