"""Add a run's weights to the package as a bundled model, in half precision, with its measured metrics.

python scripts/bundle.py runs/NAME/weights/last.safetensors imagenet-validation.tar --temperature 0.4 --edges
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from colorgan.color.bins import prior
from colorgan.comparison.crops import open_inputs
from colorgan.images.decode import read_rgb
from colorgan.images.photo import from_image
from colorgan.models.info import ModelInfo
from colorgan.models.loading import load_model, save_model
from colorgan.networks.generator import Generator
from colorgan.training.stages.supervised import PRIOR_FLOOR

ASSETS = Path(__file__).parents[1] / "src" / "colorgan" / "assets"


def tilt(generator: Generator, by: float) -> None:
    """Multiply the probability of each bin by prior^-by, in the biases of the last layer."""
    with torch.no_grad():
        generator.get_parameter("head.bins.bias").sub_(by * prior().clamp(min=PRIOR_FLOOR).log())


def mix(generator: Generator, other: Path, share: float) -> None:
    """Move each weight by `share` towards those that training started from (Wortsman et al. 2022, WiSE-FT)."""
    start = load_model(str(other), torch.device("cpu")).generator.state_dict()
    for name, weight in generator.state_dict().items():
        if weight.is_floating_point():
            weight.lerp_(start[name], share)


def moved_by_half(exact: Generator, target: Path, photos: Path, side: int) -> float:
    """Return the mean change of ab by half precision over the first photos, Lab units."""
    rounded = load_model(str(target), torch.device("cpu")).generator
    entries = [entry for source in open_inputs([photos]) for entry in source.entries][:64]
    seen = [from_image(read_rgb(io.BytesIO(entry.read()))).lightness.reduced(side, side) for entry in entries]
    with torch.no_grad():
        ab = [network.eval()(torch.tensor(np.stack(seen))[:, None]).ab for network in (exact, rounded)]
    return float((ab[0] - ab[1]).norm(dim=1).mean())


def measured(weights: Path, photos: Path) -> dict[str, float]:
    """Return the metrics of a weights file, as measured by `colorgan compare`."""
    with tempfile.TemporaryDirectory() as folder:
        compare = [sys.executable, "-m", "colorgan", "compare", photos, "--models", weights, "--photos", "0"]
        subprocess.run([*map(str, compare), "--quiet", "-o", f"{folder}/results"], check=True)
        rows = json.loads(Path(folder, "results", "results.json").read_text(encoding="utf-8"))["rows"]
    (row,) = (row for row in rows if row["kind"] == "model")
    return {name: round(metric["value"], 3) for name, metric in row["metrics"].items()}


def main() -> None:
    """Write assets/NAME.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("photos", type=Path, help="color photos to measure it on, which it was not trained on")
    parser.add_argument("--name", default="compact", help="the model's name")
    parser.add_argument("--temperature", type=float, default=1.0, help="what its logits are divided by")
    parser.add_argument("--render-size", type=int, default=64, help="short side at which it sees photos, pixels")
    parser.add_argument("--tilt", type=float, default=0.0, help="makes rare colors likelier by prior^-TILT")
    parser.add_argument("--mix-with", type=Path, help="weights that the run started from")
    parser.add_argument("--mix-share", type=float, default=0.5, help="their share (default: 0.5)")
    parser.add_argument("--license", required=True, help="the terms under which it may be used")
    parser.add_argument("--trained-on", required=True, help="a description of the photos")
    parser.add_argument("--edges", action="store_true", help="align its colors with the photo's edges")
    arguments = parser.parse_args()
    model = load_model(str(arguments.weights), torch.device("cpu"))
    if arguments.mix_with:
        mix(model.generator, arguments.mix_with, arguments.mix_share)
    tilt(model.generator, arguments.tilt)
    info: ModelInfo = replace(
        model.info,
        name=arguments.name,
        license=arguments.license,
        trained_on=arguments.trained_on,
        temperature=arguments.temperature,
        render_size=arguments.render_size,
        edges=arguments.edges,
    )
    target = ASSETS / f"{arguments.name}.safetensors"
    save_model(target, model.generator, info, half=True)
    save_model(target, model.generator, replace(info, figures=measured(target, arguments.photos)), half=True)
    moved = moved_by_half(model.generator, target, arguments.photos, arguments.render_size)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB; half precision moves ab by {moved:.3f} on average")


if __name__ == "__main__":
    main()
