"""What a model is, in words and numbers; torch is not needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SAFETENSORS_SUFFIXES, TORCH_SUFFIXES = (".safetensors",), (".pth", ".pt")


@dataclass(frozen=True)
class ModelInfo:
    """What a model's file says of it.

    Attributes:
        name: what it is called.
        network: which network it is of: a key of `weights.NETWORKS`, or one that is loaded elsewhere (ddcolor, vgg19).
        options: the keyword arguments that build the network again.
        stage: how it was trained: published, scratch, finetune or gan.
        license: the terms under which the weights may be used.
        made_by: the program and version that wrote them.
        trained_on: the photos, in words.
        figures: what was measured on it, by name.
        render_size: the short side at which the network sees a photo, 8..4096 pixels.
        temperature: what its logits are divided by before they are decoded, above 0.
        edges: whether its colors are made to end at the photo's edges.
        confidence_temperature: what its logits are divided by where it says how sure it is, above 0; 1 where nobody
            fitted it (`scripts/calibrate.py`).
    """

    name: str
    network: str
    options: dict[str, Any]
    stage: str
    license: str
    made_by: str
    trained_on: str
    figures: dict[str, float]
    render_size: int
    temperature: float
    edges: bool = False
    confidence_temperature: float = 1.0
