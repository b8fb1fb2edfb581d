"""Add a trained hint branch to a bundled model, whose other weights stay unchanged.

python scripts/add_hints.py runs/hints/weights/last.safetensors --to compact
python scripts/add_hints.py runs/hints/weights/last.safetensors --to compact-gan --anyway
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from colorgan.files import atomic_write
from colorgan.models.file_format import file_bytes, info_from, read_tensors

ASSETS = Path(__file__).parents[1] / "src" / "colorgan" / "assets"
BRANCH = "hints."


def main() -> None:
    """Rewrite assets/NAME.safetensors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="of a run of `colorgan finetune --hint-branch`")
    parser.add_argument("--to", default="compact", help="the model's name (default: compact)")
    parser.add_argument("--anyway", action="store_true", help="even if the model's other weights differ from the run's")
    parser.add_argument(
        "--further",
        type=float,
        default=0.0,
        help="less weight of no hint: hints spread further",
    )
    arguments = parser.parse_args()
    target = ASSETS / f"{arguments.to}.safetensors"
    (_, trained), (metadata, bundled) = read_tensors(arguments.weights), read_tensors(target)
    kept = {name: tensor.clone() for name, tensor in bundled.items() if not name.startswith(BRANCH)}
    moved = [name for name, tensor in kept.items() if not torch.equal(trained[name], tensor.to(trained[name].dtype))]
    if moved and not arguments.anyway:
        raise SystemExit(f"trained on other weights than {target} has, such as {moved[0]}")
    branch = {name: tensor.clone() for name, tensor in trained.items() if name.startswith(BRANCH)}
    branch[f"{BRANCH}elsewhere"] += arguments.further
    info = info_from(target, metadata)
    assert info is not None
    info = replace(info, options={**info.options, "hint_heads": len(branch[f"{BRANCH}elsewhere"])})
    with atomic_write(target) as file:
        file.writelines(file_bytes(info, kept | {name: tensor.half() for name, tensor in branch.items()}))
    print(
        f"{target}: {target.stat().st_size / 1e6:.1f} MB, of which {sum(t.numel() for t in branch.values())} for hints"
    )


if __name__ == "__main__":
    main()
