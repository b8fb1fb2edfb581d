"""The metadata of a model, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SAFETENSORS_SUFFIXES, TORCH_SUFFIXES = (".safetensors",), (".pth", ".pt")


@dataclass(frozen=True)
class ModelInfo:
    """The metadata in a model's file.

    Attributes:
        name: the model's name.
        network: the name of its network: a key of `loading.NETWORKS`, or one that is loaded elsewhere (ddcolor, vgg19).
        options: the keyword arguments that build the network.
        stage: how it was trained: published, scratch, finetune or gan.
        license: the terms under which the weights may be used.
        made_by: the program and version that wrote them.
        trained_on: a description of the photos.
        figures: its measured metrics, by name.
        render_size: the short side at which the network sees a photo, 8..4096 pixels.
        temperature: divides its logits before they are decoded, above 0.
        edges: whether its colors are aligned with the photo's edges.
        confidence_temperature: divides its logits when its confidence is computed, above 0; 1 if it was not fitted
            (`scripts/calibrate.py`).
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
