"""Extract from a network's prediction what a photo needs: colors, variants, confidence and regions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from colorgan.colorize.engine import Results
from colorgan.colorize.options import ColorizeOptions
from colorgan.colorize.palette import Palette, Regions, features_of, log_shares_of, recolor, regions_of
from colorgan.colorize.uncertainty import confidence, fade_unsure, variants
from colorgan.errors import UsageError
from colorgan.models.info import ModelInfo
from colorgan.networks.generator import Prediction

_MOST_ASPECT = 8  # of the network's input: a photo of 1 x 5000 must not cost 256 x 1280000


@dataclass(frozen=True, eq=False)
class PredictedColors:
    """The network's prediction for one photo, at the size of its input; float32 on the CPU.

    Attributes:
        seen: the input: (1, h, w), L; or (4, h, w), L and hints.
        variants: (N, 2, h, w), Lab units; the first is the plain prediction.
        confidence: (ceil(h/4), ceil(w/4)), 0..1, or None if not requested.
        regions: of the photo, or None if not requested.
        with_edges: whether colors are to end at the photo's edges.
    """

    seen: Tensor
    variants: Tensor
    confidence: Tensor | None = None
    regions: Regions | None = None
    with_edges: bool = False

    @property
    def ab(self) -> Tensor:
        """The plain prediction, (2, h, w), Lab units."""
        return self.variants[0]

    @property
    def guide(self) -> Tensor | None:
        """The input L, (h, w), as the guide of the guided filter; None if colors do not follow edges."""
        return self.seen[0] if self.with_edges else None


@dataclass(frozen=True)
class PredictionReader:
    """Extracts what the options ask for from a model's predictions; confidence only if the model has bins."""

    info: ModelInfo
    rendering: ColorizeOptions
    with_edges: bool
    with_confidence: bool
    with_regions: bool

    @property
    def temperature(self) -> float:
        """Temperature of the decoding: by the options, else the model's own."""
        return self.info.temperature if self.rendering.temperature is None else self.rendering.temperature

    def read(self, prediction: Prediction) -> Results:
        """Extract from a batch, on its device: variants, features and log shares of regions, confidence; each (B, ...).

        Raises:
            UsageError: an option needs bins or regions, which the network does not have.
        """
        self._check(prediction)
        colored = variants(prediction, self.temperature, self.rendering.variants, self.rendering.seed)
        if prediction.logits is None:
            return (colored,)
        regions: Results = ()
        if self.with_regions:
            regions = features_of(prediction), log_shares_of(prediction.logits, self.temperature)
        sure: Results = ()
        if self.with_confidence:
            sure = (confidence(prediction.logits, prediction.ab, self.info.confidence_temperature),)
        return colored, *regions, *sure

    def colors(self, seen: Tensor, results: Results) -> PredictedColors:
        """Make the colors of one photo of its part of `read`'s results, without the batch dimension."""
        colored, *others = results
        regions = regions_of(others.pop(0), others.pop(0)) if self.with_regions else None
        return PredictedColors(seen, colored, others[0] if others else None, regions, self.with_edges)

    def _check(self, prediction: Prediction) -> None:
        if self.with_regions and not prediction.levels:
            found = f"{self.info.name} is of the network {self.info.network}"
            raise UsageError("a model with regions, such as compact", found, "Choose another model.")
        if prediction.logits is None:
            wanted = {
                "temperature": self.rendering.temperature is not None,
                "confidence": self.rendering.confidence,
                "unsure": self.rendering.unsure == "gray",
                "variants": self.rendering.variants > 1,
            }
            for name in (name for name, is_wanted in wanted.items() if is_wanted):
                found = f"{self.info.name} has no bins, and thus no {name}"
                raise UsageError("a model that decodes bins", found, f"Leave {name} out, or choose another model.")


def steered(
    colors: PredictedColors, rendering: ColorizeOptions, palette: Palette | None, photo: int = -1
) -> PredictedColors:
    """Adapt colors to a palette, if there is one, and fade uncertain ones to gray, if the options ask for it.

    A palette needs `colors.regions`; `photo` is the photo's number in it, -1 if it is not in it.
    """
    ab = colors.variants
    if palette is not None and colors.regions is not None:
        ab = recolor(ab, colors.regions, palette.colors(colors.regions, photo))
    if rendering.unsure == "gray" and colors.confidence is not None:
        ab = fade_unsure(ab[None], colors.confidence[None])[0]
    return replace(colors, variants=ab)


def network_size(height: int, width: int, render_size: int) -> tuple[int, int]:
    """Return height and width of the network's input: `render_size` on the short side, in the photo's aspect ratio.

    For a photo longer than eight times its width, the long side is eight times the render size instead.
    """
    scale = min(render_size / min(height, width), _MOST_ASPECT * render_size / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
