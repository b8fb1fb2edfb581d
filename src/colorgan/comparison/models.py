"""Load the models of a comparison, and predict the colors of crops."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from colorgan.callbacks import StopCheck
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.guided_filter import apply_linear_model, fit_linear_model
from colorgan.colorize.options import ColorizeOptions
from colorgan.colorize.prediction import PredictedColors
from colorgan.comparison.options import CompareOptions
from colorgan.comparison.results import GRAY, ORIGINAL
from colorgan.errors import PhotoError, UsageError
from colorgan.images.lightness import Lightness
from colorgan.models.registry import available_models


@dataclass
class ComparedModel:
    """A model in a comparison.

    Attributes:
        name: of its row.
        colorizer: the loaded model.
        options: render size and decoding.
        network_s: seconds that its network has taken so far.
    """

    name: str
    colorizer: Colorizer
    options: ColorizeOptions = field(default_factory=ColorizeOptions)
    network_s: float = field(default=0.0, init=False)

    def predict(self, L: Tensor) -> list[tuple[Tensor, Tensor | None] | PhotoError]:
        """Predict the colors of crops, (B, 1, S, S), 0..100, on the CPU.

        Each crop is resized to a square of the render size, and the predicted colors back to the crop's size.

        Returns:
            ab of each, (2, S, S), Lab units, and its confidence, (h, w) at the network's output size, or None if the
            network has none; in place of a photo for which memory does not suffice, the error.
        """
        side = self.options.render_size or self.colorizer.info.render_size
        reduced = [Lightness.from_plane(crop.numpy()).reduced(side, side) for crop in L[:, 0]]
        small = torch.from_numpy(np.stack(reduced))[:, None]
        start = time.perf_counter()
        predicted = self.colorizer.predict_batch(small, self.options, with_confidence=True)
        self.network_s += time.perf_counter() - start
        return [
            part if isinstance(part, PhotoError) else (_enlarged(part, crop[0]), part.confidence)
            for crop, part in zip(L, predicted, strict=True)
        ]


def _enlarged(colors: PredictedColors, L: Tensor) -> Tensor:
    if colors.guide is not None:
        return apply_linear_model(L, fit_linear_model(colors.guide, colors.ab))
    return F.interpolate(colors.ab[None], L.shape, mode="bilinear", align_corners=False)[0]


def row_names(models: Sequence[str]) -> list[str]:
    """Return a unique name for each model's row: the model's name, or one made of its path.

    `runs/gan/weights/best.safetensors` is called gan, the name of its run; any other file by its stem.
    """
    names: list[str] = []
    for model in models:
        path = Path(model)
        is_of_run = path.stem in ("best", "last") and path.parent.name == "weights" and path.parent.parent.name
        wanted = path.parent.parent.name if is_of_run else path.stem if path.suffix else model
        taken = {GRAY, ORIGINAL, *names}
        candidates = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
        names.append(next(name for name in candidates if name not in taken))
    return names


def load_models(options: CompareOptions, check: StopCheck) -> list[ComparedModel]:
    """Load the models of the options, or every available one.

    `check` is called between models and during downloads; its callbacks are warned when memory is short and something
    slower is done instead.

    Raises:
        UsageError: no such model, or one is named twice.
        WeightsError: one cannot be downloaded, or is damaged.
        DeviceError: no such device.
    """
    models = options.models or tuple(available_models())
    twice = next((model for model in models if models.count(model) > 1), None)
    if twice:
        raise UsageError("different models", f"{twice} twice", "Name each once.")
    loaded = []
    for name, model in zip(row_names(models), models, strict=True):
        check()
        colorizer = Colorizer.load(
            model,
            device=options.device,
            precision=options.precision,
            notify=check.callbacks.on_warning,
            progress=partial(check.downloaded, model),
        )
        loaded.append(ComparedModel(name, colorizer))
    return loaded


def device_of(models: Sequence[ComparedModel]) -> torch.device:
    """Return the device of all models."""
    return models[0].colorizer.device
