"""What a shell offers behind an option that takes models; it completes files by itself where nothing is offered."""

from __future__ import annotations

import glob
import os

from colorgan.models.info import SAFETENSORS_SUFFIXES, TORCH_SUFFIXES


def complete_model(incomplete: str) -> list[str]:
    """The names and the files of weights here that start like this."""
    from colorgan.models.registry import (
        NAMED_MODELS,  # late: it brings what fetches files, which takes as long as typer
    )

    names = [name for name in NAMED_MODELS if name.startswith(incomplete)]
    return names + [path for path in sorted(glob.glob(glob.escape(incomplete) + "*")) if _is_weights(path)]  # noqa: PTH207


def complete_models(incomplete: str) -> list[str]:
    """The same for the last of several with commas between; what stands before stays."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in complete_model(last)]


def complete_start(incomplete: str) -> list[str]:
    """The same for a training's start, which may be from scratch."""
    return complete_model(incomplete) + [name for name in ("scratch",) if name.startswith(incomplete)]


def _is_weights(path: str) -> bool:
    return path.lower().endswith(SAFETENSORS_SUFFIXES + TORCH_SUFFIXES) and os.path.isfile(path)  # noqa: PTH113
