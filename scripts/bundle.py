"""Put a run's weights into the package as the bundled model, in half precision.

python scripts/bundle.py runs/NAME/weights/last.safetensors
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from colorgan.weights import load_model, save_model

ASSETS = Path(__file__).parents[1] / "src" / "colorgan" / "assets"
LICENCE = "research, non-commercial: the terms of the photos it was trained on; see docs/model-card.md"
TRAINED_ON = "65,466 photos of ImageNet (Tiny ImageNet, Imagenette), Caltech-101, BSDS500 and UTKFace"


def main() -> None:
    """Write assets/NAME.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--name", default="compact", help="the model's name")
    parser.add_argument(
        "--temperature", type=float, default=1.0, help="what its logits are divided by, from validation"
    )
    arguments = parser.parse_args()
    model = load_model(str(arguments.weights), torch.device("cpu"))
    info = replace(
        model.info,
        name=arguments.name,
        licence=LICENCE,
        trained_on=TRAINED_ON,
        temperature=arguments.temperature,
    )
    target = ASSETS / f"{arguments.name}.safetensors"
    save_model(target, model.generator, info, half=True)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
