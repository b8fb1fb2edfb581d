"""CONTRIBUTING's recipes for an option and for a loss weight, followed in a copy of the sources."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pages import CHECKOUT, blocks_of
from PIL import Image
from processes import DEADLINE_S

import colorgan


def block_with(words):
    """The one block of CONTRIBUTING that has these words."""
    (block,) = (block.text for block in blocks_of(CHECKOUT / "CONTRIBUTING.md") if words in block.text)
    return block


def field_of(block, name):
    """The lines of a block that declare a field, as they stand in a class."""
    found = re.search(rf"^{name}: .*", block, re.DOTALL | re.MULTILINE)
    return "".join(f"    {line}\n" for line in found[0].splitlines())


def insert(path, after, text):
    """Put lines behind the line that ends like this, the only one of its kind."""
    before, found, rest = path.read_text(encoding="utf-8").partition(after + "\n")
    assert found
    assert after + "\n" not in rest
    path.write_text(before + found + text + rest, encoding="utf-8")


@pytest.fixture
def changed(tmp_path):
    """A copy of the sources in which both recipes are followed, and how to run its command."""
    copy = tmp_path / "sources" / "colorgan"
    shutil.copytree(Path(colorgan.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    options, use = block_with("warmth: Annotated["), block_with("rendering.warmth")
    insert(copy / "colorize" / "options.py", "    ] = 1.0", field_of(options, "warmth"))
    insert(copy / "colorize" / "colorizer.py", "        ab = colors.variants[variant]", use)
    weight, use = block_with("lambda_roughness: Annotated["), block_with("options.lambda_roughness")
    function = re.search(r"^def roughness.*?(?=^\w+:)", weight, re.DOTALL | re.MULTILINE)[0]
    losses, stage = copy / "training" / "stages" / "gan_losses.py", copy / "training" / "stages" / "adversarial.py"
    losses.write_text(losses.read_text(encoding="utf-8") + "\n\n" + function, encoding="utf-8")
    text = stage.read_text(encoding="utf-8").replace(" oversaturation\n", " oversaturation, roughness\n")
    stage.write_text(text, encoding="utf-8")
    insert(stage, '            weighted["saturation"] = options.lambda_saturation, oversaturation(colors, ab)', use)
    insert(
        copy / "training" / "train_options.py",
        """    lambda_bins: Annotated[float, loss_weight("the cross-entropy over the 313 bins")] = 0.0""",
        field_of(weight, "lambda_roughness"),
    )

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "colorgan", *arguments],
            env=os.environ | {"PYTHONPATH": str(copy.parent), "COLUMNS": "80"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    return run


def test_a_field_and_its_use_make_an_option(place, changed):
    helped = " ".join(changed("colorize", "--help").stdout.replace("│", " ").split())
    assert "Added to b of every pixel; below 0 is cooler (-20 to 20 Lab units)." in helped
    common = ("colorize", "photos/class0/0.png", "-o", "out/", "--model", "small.safetensors", "--device", "cpu")
    blue = []
    for warmth in ("-20", "20"):
        done = changed(*common, "--warmth", warmth)
        assert done.returncode == 0, done.stderr
        assert "1 written" in done.stdout  # although a result is there: one of another setting
        with Image.open("out/0.png") as photo:
            blue.append(np.asarray(photo)[..., 2].mean())
    assert blue[0] > blue[1]
    refused = changed(*common, "--warmth", "21")
    assert (refused.returncode, "--warmth to be -20 to 20 Lab units: 21.0" in refused.stderr) == (2, True)


def test_a_field_and_its_use_make_a_loss_weight(place, changed):
    common = ("train", "--from", "small.safetensors", "--lambda-perceptual", "0", "--batch-size", "4", "--size", "24")
    tiny = (*common, "--val-photos", "4", "--log-every", "1", "--epochs", "1")
    done = changed(*tiny, "--lambda-roughness", "0.5")
    assert done.returncode == 0, done.stderr
    run = place / "runs" / "train"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    assert steps
    for step in steps:
        weighted = step["g_adversarial"] + 10 * step["g_l1"] + 0.5 * step["g_roughness"]
        assert step["g_loss"] == pytest.approx(weighted, rel=1e-3)
    assert "g roughness" in (run / "report.html").read_text(encoding="utf-8")
    described = json.loads((run / "run.json").read_text())
    assert described["options"].pop("lambda_roughness") == 0.5
    (run / "run.json").write_text(json.dumps(described))  # as a run of before the weight was there
    other = changed(*tiny, "--lambda-roughness", "0.5")
    assert (other.returncode, "lambda_roughness 0.0 there, 0.5 here" in other.stderr) == (2, True)
