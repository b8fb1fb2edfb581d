"""`compare` as a user meets it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import noise, saved
from processes import DEADLINE_S
from typer.testing import CliRunner

from colorgan.cli import compare_output
from colorgan.cli.app import app
from colorgan.cli.console import Console
from colorgan.errors import ColorganError, UsageError


def run(*arguments):
    return CliRunner().invoke(app, ["compare", *map(str, arguments)], env={"COLUMNS": "80"})


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(4):
        saved(folder / f"{seed}.png", noise(40 + seed))
    return folder


def test_a_folder_gets_a_table_sentences_and_files(photos, tmp_path, tiny_model):
    done = run(photos, "-o", tmp_path / "out", "--models", f"compact,{tiny_model}", "--size", 32)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines()[:40])) <= 80
    for word in ("4 photos", "CIEDE2000", "gray", "original", "compact", "tiny", "Higher is better"):
        assert word in done.stdout
    assert done.stdout.startswith("4 photos are too few to call a model better: use 30 or more.\n")
    assert " is better than" not in done.stdout
    assert "set " in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"results.json", "results.csv", "pictures", "sheets"}


def test_it_begins_with_the_answer_and_says_of_each_two_models_a_line(photos, tmp_path, tiny_model):
    for seed in range(4, 12):
        saved(photos / f"{seed}.png", noise(40 + seed))
    other = tmp_path / "other.safetensors"
    other.write_bytes(tiny_model.read_bytes())
    models = f"compact,{tiny_model},{other}"
    done = run(photos, "-o", tmp_path / "out", "--models", models, "--size", 32, "--quiet")
    assert done.exit_code == 0, done.output
    answer = done.stdout.splitlines()[0]
    assert answer.startswith("On these 12 photos: ")
    assert " ties with " in answer
    assert "No difference between tiny and other is certain." in done.stdout.splitlines()
    after = done.stdout.partition("colorfulness (abs.)")[2].splitlines()
    sentences = [line for line in after if line.endswith(".")]
    assert len(sentences) == 3
    assert json.loads((tmp_path / "out" / "results.json").read_text())["answer"] == answer
    assert answer in (tmp_path / "out" / "report.html").read_text("utf-8")
    # What to beware of is said though nothing else is.
    assert "With 12 photos the intervals are too narrow" in done.stderr
    assert "Leaving the photos gray would be better than tiny in " in done.stderr
    assert "Measured on" not in done.stderr


def test_a_sentence_is_broken_between_words_on_a_terminal_alone(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "30")
    sentence = "On these 392 photos: compact is best in AuC (certain)."
    for is_terminal, lines in (
        (True, ["On these 392 photos: compact", "is best in AuC (certain)."]),
        (False, [sentence]),
    ):
        monkeypatch.setattr(sys.stdout, "isatty", lambda answer=is_terminal: answer)
        compare_output._print_sentence(Console(), sentence)
        assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize("option", ["--models", "--model"])
def test_one_photo_gets_a_sheet(photos, tmp_path, tiny_model, option):
    done = run(photos / "0.png", "-o", tmp_path / "out", option, tiny_model, "--size", 32)
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("Sheet: ")]
    assert Path(line.removeprefix("Sheet: ")).is_file()
    assert "difference between" not in done.stdout


def test_by_default_every_model_at_hand_is_compared(photos, tmp_path, monkeypatch):
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "cache"))
    done = run(photos / "0.png", "-o", tmp_path / "out", "--size", 32)
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["gray", "original", "compact", "compact-gan"]


def test_json_lines_end_with_a_summary(photos, tmp_path, tiny_model):
    (photos / "broken.png").write_bytes(b"nonsense")
    (photos / "copy.png").write_bytes((photos / "0.png").read_bytes())
    done = run(photos, "-o", tmp_path / "out", "--models", tiny_model, "--size", 32, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 3
    assert {line["schema"] for line in lines} == {2}
    kinds = [line["type"] for line in lines]
    assert [kind for number, kind in enumerate(kinds) if kind not in kinds[:number]] == [
        "error",
        "answer",
        "row",
        "difference",
        "note",
        "summary",
    ]
    assert lines[0]["photo"] == "broken.png"
    assert "1 photo is a copy of another, pixel by pixel, and counted once." in [line.get("text") for line in lines]
    assert (lines[-1]["photos"], lines[-1]["failed"]) == (4, 1)


def test_a_bad_photo_is_named_and_the_exit_code_says_so(photos, tmp_path, tiny_model):
    (photos / "broken.png").write_bytes(b"nonsense")
    done = run(photos, "-o", tmp_path / "out", "--models", tiny_model, "--size", 32)
    assert done.exit_code == 3
    assert "failed: broken.png: " in done.stderr


def test_quiet_leaves_results(photos, tmp_path, tiny_model):
    done = run(photos, "-o", tmp_path / "out", "--models", tiny_model, "--size", 32, "--quiet")
    assert done.exit_code == 0
    assert done.stderr == ""
    assert "CIEDE2000" in done.stdout


def test_a_model_that_cannot_be_had_is_an_error(photos, tmp_path):
    done = run(photos, "-o", tmp_path / "out", "--models", "compct")
    assert isinstance(done.exception, ColorganError)
    assert "Did you mean compact" in str(done.exception)


def test_a_path_with_a_comma_is_one_model(photos, tmp_path, tiny_model):
    odd = tmp_path / "a,b.safetensors"
    odd.write_bytes(tiny_model.read_bytes())
    done = run(photos / "0.png", "-o", tmp_path / "out", "--models", odd, "--models", "compact", "--size", 32)
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["gray", "original", "a,b", "compact"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_ctrl_c_ends_it_with_130_and_no_results(photos, tmp_path, tiny_model):
    code = (
        "import os, signal, sys\nfrom colorgan.cli.app import main\nimport colorgan.comparison.evaluate as module\n"
        "measure = module._measure_batch\n"
        "def interrupted(*arguments):\n    os.kill(os.getpid(), signal.SIGINT)\n    measure(*arguments)\n"
        "module._measure_batch = interrupted\n"
        f"sys.argv = ['colorgan', 'compare', {str(photos)!r}, '-o', {str(tmp_path / 'out')!r}, "
        f"'--models', {str(tiny_model)!r}, '--size', '32']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert "no results" in done.stderr
    assert not (tmp_path / "out" / "results.json").exists()


def test_without_photos_it_says_what_to_give(tmp_path):
    done = run("-o", tmp_path / "out")
    assert isinstance(done.exception, UsageError)
    assert "--app" in done.exception.advice


def test_the_app_takes_no_photos_from_the_command(photos):
    done = run(photos, "--app")
    assert isinstance(done.exception, UsageError)
    assert "browser" in done.exception.advice
