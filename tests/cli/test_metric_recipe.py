"""CONTRIBUTING's recipe for a metric, done in a copy of the sources: one function and one row are all it takes."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pages import CHECKOUT, blocks_of
from processes import DEADLINE_S

import colorgan
from colorgan.comparison.compare import compare
from colorgan.comparison.options import CompareOptions
from colorgan.comparison.results_io import JSON_NAME

# One process for all commands, since each start takes the seconds of torch.
_COMMANDS = """
import json, sys
from typer.testing import CliRunner
from colorgan.cli.app import app
outputs = []
for arguments in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert done.exit_code == 0, (arguments, done.output, done.exception)
    outputs.append(done.stdout)
print(json.dumps(outputs))
"""


def _copy_with_the_recipe(folder: Path) -> Path:
    """A copy of the sources in which CONTRIBUTING's recipe for a metric is followed."""
    copy = folder / "sources" / "colorgan"
    shutil.copytree(Path(colorgan.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (recipe,) = (block.text for block in blocks_of(CHECKOUT / "CONTRIBUTING.md") if "row = Metric(" in block.text)
    function = re.search(r"^def \w+\(.*?(?=^row)", recipe, re.DOTALL | re.MULTILINE)
    row = re.search(r"^row = (Metric\(.*\))$", recipe, re.MULTILINE)
    assert function, recipe
    assert row, recipe
    fidelity, registry = copy / "metrics" / "fidelity.py", copy / "metrics" / "registry.py"
    fidelity.write_text(fidelity.read_text() + "\n\n" + function[0])
    text = registry.read_text().replace("fidelity import ", "fidelity import opposed, ")
    registry.write_text(text.replace("_TABLE = (\n", f"_TABLE = (\n    {row[1]},\n"))
    return copy.parent


def test_one_function_and_one_row_make_a_metric_everywhere(place):
    small = str(place / "small.safetensors")
    options = CompareOptions(models=(small,), size=32, examples=3, device="cpu")
    compare([place / "photos"], place / "earlier", options)
    comparing = ["compare", "photos", "--models", small, "--size", "32", "--photos", "1"]
    commands = [
        [*comparing, "-o", "table", "--with", str(place / "earlier" / JSON_NAME)],
        [*comparing, "-o", "lines", "--json"],
        ["finetune", "--from", small, "--batch-size", "4", "--size", "16", "--epochs", "1", "--precision", "fp32"],
    ]
    has_tensorboard = importlib.util.find_spec("tensorboard") is not None
    if has_tensorboard:
        commands[-1].append("--tensorboard")
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(commands)],
        env=os.environ | {"PYTHONPATH": str(_copy_with_the_recipe(place))},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table, lines, _ = json.loads(done.stdout.splitlines()[-1])
    printed = [line.split()[3:] for line in table.splitlines() if "opposed hues, %" in line]
    assert (len(printed[0]), printed[0][:2], printed[1]) == (3, ["0.0", "-"], ["-"])
    rows = [entry for entry in map(json.loads, lines.splitlines()) if entry["type"] == "row"]
    assert 0 < rows[2]["metrics"]["opposed"]["value"] <= 100
    results = json.loads((place / "table" / JSON_NAME).read_text())
    assert [("opposed" in row["values"], row["kind"]) for row in results["rows"]] == [
        (True, "baseline"),
        (False, "baseline"),
        (True, "model"),
        (False, "previous"),
    ]
    head, first = (place / "table" / "results.csv").read_text().splitlines()[1:3]
    assert first.split(",")[head.split(",").index("opposed")] == "0"
    assert "opposed hues, %" in (place / "table" / "report.html").read_text("utf-8")
    log = [json.loads(line) for line in (place / "runs/finetune/metrics.jsonl").read_text().splitlines()]
    assert all(0 <= line["opposed"] <= 100 for line in log if line["kind"] == "validation")
    assert "opposed hues, %" in (place / "runs/finetune/report.html").read_text("utf-8")
    events = list((place / "runs/finetune").glob("tensorboard/events*"))
    assert [b"validation/opposed" in path.read_bytes() for path in events] == [True] * has_tensorboard
