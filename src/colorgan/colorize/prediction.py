"""What is read of a network's prediction for a photo: its colors, and how sure the network was of them."""

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

_MOST_ASPECT = 8  # beyond this the long side stops growing: a photo of 1 x 5000 must not cost 256 x 1280000


@dataclass(frozen=True, eq=False)
class PredictedColors:
    """What the network says of one photo, at the size at which it saw it; float32 on the CPU.

    Attributes:
        seen: (1, h, w), the L that it saw; or (4, h, w), L and hints, of a photo with hints.
        variants: (N, 2, h, w), Lab units; the first is the plain prediction.
        confidence: (ceil(h/4), ceil(w/4)), 0..1, or None where it was not asked for.
        regions: of the photo, where they were asked for; else None.
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
        """The L that colors follow where they end at the photo's edges, (h, w); else None."""
        return self.seen[0] if self.with_edges else None


@dataclass(frozen=True)
class PredictionReader:
    """Reads what is wanted of a model's predictions; how sure it was, only where it has bins."""

    info: ModelInfo
    rendering: ColorizeOptions
    with_edges: bool
    with_confidence: bool
    with_regions: bool

    @property
    def temperature(self) -> float:
        """Of the decoding: as was asked for, else the model's own."""
        return self.info.temperature if self.rendering.temperature is None else self.rendering.temperature

    def read(self, prediction: Prediction) -> Results:
        """Read a batch, on the device: variants, features and shares of bins for regions, confidence; each (B, ...).

        Raises:
            UsageError: something that needs bins, or regions, of a network that has none.
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
        """The colors of one photo, of what was read of its prediction, without the first dimension."""
        colored, *others = results
        regions = regions_of(others.pop(0), others.pop(0)) if self.with_regions else None
        return PredictedColors(seen, colored, others[0] if others else None, regions, self.with_edges)

    def _check(self, prediction: Prediction) -> None:
        if self.with_regions and not prediction.levels:
            found = f"{self.info.name} is of the network {self.info.network}"
            raise UsageError("a model that tells regions apart, such as compact", found, "Choose another model.")
        if prediction.logits is None:
            wanted = {
                "temperature": self.rendering.temperature is not None,
                "confidence": self.rendering.confidence,
                "unsure": self.rendering.unsure == "gray",
                "variants": self.rendering.variants > 1,
            }
            for name in (name for name, is_wanted in wanted.items() if is_wanted):
                found = f"{self.info.name} has no bins, and so no {name}"
                raise UsageError("a model that decodes bins", found, f"Leave {name} out, or choose another model.")


def steered(
    colors: PredictedColors, rendering: ColorizeOptions, palette: Palette | None, photo: int = -1
) -> PredictedColors:
    """Colors by a palette, if there is one, and gray where the network knew too little, if that is asked for.

    A palette needs regions; the number of the photo in it is -1 where it is not in it.
    """
    ab = colors.variants
    if palette is not None and colors.regions is not None:
        ab = recolor(ab, colors.regions, palette.colors(colors.regions, photo))
    if rendering.unsure == "gray" and colors.confidence is not None:
        ab = fade_unsure(ab[None], colors.confidence[None])[0]
    return replace(colors, variants=ab)


def network_size(height: int, width: int, render_size: int) -> tuple[int, int]:
    """The height and width at which a network sees a photo: `render_size` on the short side, of like shape.

    A photo longer than eight times its breadth is held at eight times the render size on its long side.
    """
    scale = min(render_size / min(height, width), _MOST_ASPECT * render_size / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
