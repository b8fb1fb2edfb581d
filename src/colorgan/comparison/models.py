"""The models of a comparison: loaded once each, and asked for the colours of crops."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.colorize.colorizer import Colorizer, Colours
from colorgan.colorize.guided_filter import ab_along, lines
from colorgan.colorize.options import ColorizeOptions
from colorgan.comparison.options import CompareOptions
from colorgan.comparison.results import GREY, ORIGINAL
from colorgan.errors import PhotoError, UsageError
from colorgan.images.lightness import Lightness
from colorgan.models.loading import available_models


@dataclass
class Contender:
    """A model in a comparison.

    Attributes:
        name: of its row.
        colorizer: the loaded model.
        rendering: how its network sees photos and decodes colours.
        network_s: seconds that its network took so far.
    """

    name: str
    colorizer: Colorizer
    rendering: ColorizeOptions = field(default_factory=ColorizeOptions)
    network_s: float = field(default=0.0, init=False)

    def predict(self, L: Tensor) -> list[Tensor | PhotoError]:
        """Predict the colours of crops.

        The network sees each crop as a square of its render size; its colours are brought back to the crop's size.

        Args:
            L: (B, 1, S, S), 0..100, on the CPU.

        Returns:
            (2, S, S) each, Lab units; in place of a photo that memory does not suffice for: the reason.
        """
        side = self.rendering.render_size or self.colorizer.info.render_size
        seen = [Lightness.from_plane(crop.numpy()).reduced(side, side) for crop in L[:, 0]]
        small = torch.from_numpy(np.stack(seen))[:, None]
        start = time.perf_counter()
        predicted = self.colorizer.predict_batch(small, self.rendering)
        self.network_s += time.perf_counter() - start
        return [
            part if isinstance(part, PhotoError) else _enlarged(part, crop[0])
            for crop, part in zip(L, predicted, strict=True)
        ]


def _enlarged(colours: Colours, L: Tensor) -> Tensor:
    if colours.guide is not None:
        return ab_along(L, lines(colours.guide, colours.ab))
    return F.interpolate(colours.ab[None], L.shape, mode="bilinear", align_corners=False)[0]


def row_names(models: Sequence[str]) -> list[str]:
    """A name for each model's row: its own, or for a path what tells it from others; all different.

    `runs/gan/weights/best.safetensors` is called gan, the name of its run, and any other file by its stem.
    """
    names: list[str] = []
    for model in models:
        path = Path(model)
        is_of_run = path.stem in ("best", "last") and path.parent.name == "weights" and path.parent.parent.name
        wanted = path.parent.parent.name if is_of_run else path.stem if path.suffix else model
        taken = {GREY, ORIGINAL, *names}
        candidates = (wanted if number == 1 else f"{wanted}-{number}" for number in range(1, len(taken) + 2))
        names.append(next(name for name in candidates if name not in taken))
    return names


def load_contenders(options: CompareOptions, callbacks: Callbacks, check: StopCheck) -> list[Contender]:
    """Load the models that were asked for, or every one that is at hand.

    Args:
        options: which, and where they compute.
        callbacks: are warned when memory does not suffice for the quick way.
        check: called between models and while they are fetched.

    Raises:
        UsageError: no such model, or one that was named twice.
        WeightsError: one cannot be had, or is damaged.
        DeviceError: no such device.
    """
    models = options.models or tuple(available_models())
    twice = next((model for model in models if models.count(model) > 1), None)
    if twice:
        raise UsageError("different models", f"{twice} twice", "Name each once.")
    return list(_loaded(models, options, callbacks, check))


def _loaded(
    models: Sequence[str], options: CompareOptions, callbacks: Callbacks, check: StopCheck
) -> Iterator[Contender]:
    for name, model in zip(row_names(models), models, strict=True):
        check()
        colorizer = Colorizer.load(
            model,
            device=options.device,
            precision=options.precision,
            notify=callbacks.on_warning,
            progress=partial(check.downloaded, model),
        )
        yield Contender(name, colorizer)


def device_of(contenders: Sequence[Contender]) -> torch.device:
    """Where they compute."""
    return contenders[0].colorizer.device
