"""`colorgan train` as a process, from a model and a set to a better one.

Two kills here; COLORGAN_TEST_KILLS=20 for as many as one likes.
"""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from processes import DEADLINE_S, wait_until
from safetensors import safe_open
from safetensors.torch import load_file

KILLS = int(os.environ.get("COLORGAN_TEST_KILLS", "2"))
COMMON = [
    "--lambda-perceptual",
    "0",
    *("--batch-size", "4", "--size", "24", "--val-photos", "4", "--log-every", "1", "--precision", "fp32"),
]


def train(*arguments):
    return ("train", "--from", "small.safetensors", *COMMON, *arguments)


def log(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "elapsed_s"} for line in lines]


def size_of(path):
    return path.stat().st_size if path.exists() else 0


@pytest.mark.slow
def test_the_reports_recipe_from_a_model_to_a_named_one_and_on_from_its_discriminator(place, colorgan):
    done = colorgan(*train("--epochs", "2"))
    assert done.returncode == 0, done.stderr
    run = place / "runs" / "train"
    assert done.stdout.strip() == str(Path("runs/train/weights/best.safetensors"))
    assert (place / "cache" / "gan.safetensors").read_bytes() == (run / "weights" / "best.safetensors").read_bytes()
    with safe_open(run / "weights" / "best.safetensors", "np") as weights:
        assert weights.metadata()["stage"] == "gan"
        assert weights.metadata()["temperature"] == "0.38"  # of the model that it started from
    verdict = json.loads((run / "verdict.json").read_text())["lines"]
    assert len(verdict) == 3
    assert "\n".join(verdict) in done.stderr
    assert (run / "report.html").exists()
    epochs = [line for line in log(run) if line["kind"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2]
    assert {"d_loss", "d_real", "d_fake", "d_accuracy_real", "d_accuracy_fake", "g_loss", "g_adversarial", "g_l1"} < (
        epochs[0].keys()
    )
    assert {"grad_adversarial", "grad_l1"} < epochs[0].keys()
    options = json.loads((run / "run.json").read_text())["options"]
    assert (options["recipe"], options["adversarial"], options["lr"], options["d_lr"]) == ("report", "bce", 2e-4, 1e-4)
    discriminator = str(run / "weights" / "discriminator.safetensors")
    on = colorgan(
        "train", "--from", "gan", "--from-discriminator", discriminator, *COMMON, "--run", "on", "--epochs", "1"
    )
    assert on.returncode == 0, on.stderr
    first = next(line for line in log(place / "on") if line["kind"] == "train")
    assert first["d_loss"] < epochs[0]["d_loss"]


@pytest.mark.slow
def test_a_balanced_run_killed_at_any_moment_goes_on_to_the_same_networks(place, colorgan, start):
    losses = ("--recipe", "balanced", "--downsample-real", "--lambda-l1", "0", "--lambda-bins", "1")
    whole = (*losses, "--epochs", str(3 * KILLS), "--schedule", "cosine", "--save-minutes", "0.01")
    assert colorgan(*train(*whole, "--run", "whole")).returncode == 0
    moments = random.Random(0)
    for _ in range(KILLS):
        before = size_of(place / "killed" / "metrics.jsonl")
        killed = start(*train(*whole, "--run", "killed"))
        wait_until(lambda before=before: size_of(place / "killed" / "metrics.jsonl") > before, killed)
        time.sleep(moments.uniform(0.0, 0.3))
        assert killed.poll() is None, "it was done before the kill"
        killed.kill()
        killed.communicate()
    done = colorgan(*train(*whole, "--run", "killed"))
    assert done.returncode == 0, done.stderr
    assert log(place / "killed") == log(place / "whole")
    for name in ("best", "last", "discriminator"):
        first, second = (load_file(place / run / "weights" / f"{name}.safetensors") for run in ("whole", "killed"))
        assert all((first[key] == second[key]).all() for key in first)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals between processes")
@pytest.mark.slow
def test_a_signal_finishes_the_step_saves_and_a_damaged_checkpoint_falls_back_with_a_word(place, colorgan, start):
    running = start(*train("--epochs", "100000", "--run", "stopped", "--save-minutes", "0.01"))
    wait_until(lambda: len(list((place / "stopped" / "checkpoints").glob("epoch-*"))) >= 2, running)
    running.send_signal(signal.SIGTERM)
    _, words = running.communicate(timeout=DEADLINE_S)
    assert running.returncode == 143, words
    assert "colorgan train --resume --data data --run stopped" in words
    newest = max((place / "stopped" / "checkpoints").glob("epoch-*"), key=lambda path: path.stat().st_mtime)
    os.truncate(newest / "tensors.safetensors", 1000)
    done = colorgan("train", "--resume", "--data", "data", "--run", "stopped", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert f"{newest.name} is damaged" in done.stderr


def test_without_a_finetuned_model_the_error_says_how_to_come_by_one(place, colorgan):
    done = colorgan("train")
    assert done.returncode == 4
    assert "colorgan finetune" in done.stderr
    assert "--from" in done.stderr
    assert not (place / "runs").exists()
