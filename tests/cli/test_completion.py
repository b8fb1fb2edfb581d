"""Completion as a shell asks for it."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from processes import DEADLINE_S


def asked(folder, **variables):
    """The program as a shell runs it to complete a line."""
    return subprocess.run(
        [sys.executable, "-c", "from colorgan.cli.app import main; main()"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        cwd=folder,
        env=os.environ | variables,
    )


def offered(line, folder=None):
    """What is offered behind a line, through the protocol of bash."""
    word = str(len(line.split(" ")) - 1)
    done = asked(folder, _COLORGAN_COMPLETE="complete_bash", COMP_WORDS=line, COMP_CWORD=word)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def offered_by_zsh(line, folder=None):
    """The words in what zsh is to evaluate; None where it is to offer files."""
    done = asked(folder, _COLORGAN_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=line)
    assert done.returncode == 0, done.stderr
    if done.stdout.strip() == "_files":
        return None
    before, _, entries = done.stdout.partition(":((")
    assert before.startswith("_arguments "), done.stdout
    return re.findall(r'^"([^"]+)"', entries, re.MULTILINE)


def offered_by_fish(line, folder=None):
    """The words before the tabs; None where the condition of the completion makes fish offer files."""
    variables = {"_COLORGAN_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": line}
    if asked(folder, _TYPER_COMPLETE_FISH_ACTION="is-args", **variables).returncode:
        return None
    done = asked(folder, _TYPER_COMPLETE_FISH_ACTION="get-args", **variables)
    assert done.returncode == 0, done.stderr
    return [entry.partition("\t")[0] for entry in done.stdout.splitlines()]


@pytest.mark.parametrize("ask", [offered_by_zsh, offered_by_fish])
def test_zsh_and_fish_are_offered_models_and_leave_files_to_themselves(ask, tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"")
    (tmp_path / "granny.jpg").write_bytes(b"")
    (tmp_path / "runs").mkdir()
    assert ask("colorgan colorize --mod", tmp_path) == ["--model"]
    assert ask("colorgan colorize --model comp", tmp_path) == ["compact", "compact-gan"]
    assert ask("colorgan train --from mi", tmp_path) == ["mine.safetensors"]
    assert ask("colorgan compare photos --models eccv16,comp", tmp_path) == ["eccv16,compact", "eccv16,compact-gan"]
    assert ask("colorgan colorize gran", tmp_path) is None
    assert ask("colorgan finetune --run ru", tmp_path) is None


@pytest.mark.parametrize("ask", [offered_by_zsh, offered_by_fish])
def test_a_long_help_is_no_option_of_its_own(ask, tmp_path):
    words = ask("colorgan colorize --", tmp_path)
    assert len(words) > 20
    assert all(word.startswith("--") for word in words)


def test_commands_and_options_are_completed():
    assert offered("colorgan prep") == ["prepare"]
    assert offered("colorgan colorize --mod") == ["--model"]


@pytest.mark.parametrize("option", ["colorize --model", "train --from"])
def test_models_are_completed_by_name(option):
    assert offered(f"colorgan {option} comp") == ["compact", "compact-gan"]
    assert set(offered(f"colorgan {option} ")) >= {"compact", "compact-gan", "eccv16", "siggraph17", "finetuned", "gan"}


def test_models_are_completed_by_file(tmp_path):
    for name in ("mine.safetensors", "mine.txt", "other.pth", "comrade.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert offered("colorgan colorize --model mi", tmp_path) == ["mine.safetensors"]
    assert offered("colorgan colorize --model com", tmp_path) == ["compact", "compact-gan", "comrade.safetensors"]


def test_the_last_of_several_models_is_completed():
    assert offered("colorgan compare photos --models eccv16,comp") == ["eccv16,compact", "eccv16,compact-gan"]


def test_a_training_starts_from_scratch_too():
    assert offered("colorgan finetune --from scr") == ["scratch"]


def test_choices_are_completed():
    assert offered("colorgan train --recipe ") == ["report", "balanced"]


@pytest.mark.skipif(not shutil.which("bash") or os.name == "nt", reason="needs bash")
def test_bash_itself_completes_models_and_leaves_files_to_itself(tmp_path):
    """Where nothing is offered, `complete -o default` makes bash offer files."""
    program = tmp_path / "colorgan"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m colorgan "$@"\n')
    program.chmod(0o755)
    script = f"""
        PATH={shlex.quote(str(tmp_path))}:$PATH
        eval "$(_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION=1 colorgan --show-completion bash)"
        complete -p colorgan
        COMP_WORDS=(colorgan colorize --model comp) COMP_CWORD=3
        _colorgan_completion colorgan; echo "models: ${{COMPREPLY[*]}}"
        COMP_WORDS=(colorgan colorize gran) COMP_CWORD=2
        _colorgan_completion colorgan; echo "photos: ${{COMPREPLY[*]}}"
    """
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert "-o default" in done.stdout
    assert "models: compact compact-gan\n" in done.stdout
    assert done.stdout.endswith("photos: \n")


def test_torch_is_not_waited_for():
    code = "import sys, colorgan.cli.app; from colorgan.cli.options import _complete_model; _complete_model('c')"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'torch' not in sys.modules"], check=True, timeout=DEADLINE_S)
