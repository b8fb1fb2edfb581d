"""How a photo is colored: what a user may choose, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from colorgan.errors import UsageError

# Name, lowest and highest value. A network sees a photo of 4096 pixels with gigabytes of memory, and no better.
_RANGES = (
    ("render_size", 16, 4096),
    ("saturation", 0.0, 4.0),
    ("temperature", 0.01, 100.0),
    ("variants", 1, 16),
    ("seed", 0, 2**63 - 1),
    ("max_megapixels", 0.001, float("inf")),
    ("quality", 1, 100),
)

CONFIDENCE = "-confidence.png"
DEFAULT_MODEL = "compact"

Fit = Literal["shape", "square"]
Unsure = Literal["keep", "gray"]
FormatName = Literal["keep", "jpg", "png", "webp", "tiff"]
_CHOICES: dict[str, tuple[object, ...]] = {
    "fit": get_args(Fit),
    "format": get_args(FormatName),
    "bit_depth": (8, 16),
    "unsure": get_args(Unsure),
}
_SUFFIXES: dict[FormatName, str] = {"keep": "", "jpg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif"}


@dataclass(frozen=True)
class ColorizeOptions:
    """What is chosen for a photo: its colors, how it is read, and how its result is written.

    `Colorizer` looks at the colors alone; reading and writing are for whoever handles files.

    Attributes:
        saturation: multiplies the colors, 0..4; 1 is as predicted, 0 is gray.
        temperature: of the decoding, 0.01..100; lower is more decided, higher is calmer; None leaves it to the model.
        render_size: the short side at which the network sees the photo, 16..4096 pixels; None leaves it to the model.
        fit: how the network sees the photo: in its own shape, or squeezed into a square, as the demo that ECCV16 was
            published with does; then colors that sRGB does not have are clipped channel by channel as there.
        confidence: whether to tell how sure the network was.
        unsure: what becomes of regions whose colors the network does not know: kept, or left gray.
        variants: how many colorings to make, 1..16; the first is the plain one.
        seed: of the other variants' hues, 0 or more.
        edges: whether colors end at the photo's edges, however coarse the network's answer is; None leaves it to the
            model.
        max_megapixels: of the largest photo that is accepted.
        format: of the result's file; keep is the photo's own, or what stands for it where that is not written.
        quality: of lossy results, 1..100.
        keep_metadata: whether what the photo's file said goes into the result.
        mark: say in the result, as IPTC's standard has it, which model colored it.
        bit_depth: bits a channel of the result, 8 or 16; 16 in TIFFs alone.

    Raises:
        UsageError: a value out of its range.
    """

    saturation: float = 1.0
    temperature: float | None = None
    render_size: int | None = None
    fit: Fit = "shape"
    confidence: bool = False
    variants: int = 1
    seed: int = 0
    edges: bool | None = None
    max_megapixels: float = 500.0
    format: FormatName = "keep"
    quality: int = 95
    keep_metadata: bool = True
    mark: bool = True
    bit_depth: Literal[8, 16] = 8
    unsure: Unsure = "keep"

    def __post_init__(self) -> None:
        for name, lowest, highest in _RANGES:
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                expected = f"a {name.replace('_', ' ')} from {lowest} to {highest}"
                raise UsageError(expected, f"{value}", "Choose one within that range.", parameter=name)
        for name, known in _CHOICES.items():
            if (value := getattr(self, name)) not in known:
                expected = f"a {name.replace('_', ' ')} of {', '.join(map(str, known[:-1]))} or {known[-1]}"
                raise UsageError(expected, repr(value), "Choose one of them.", parameter=name)

    @property
    def suffix(self) -> str:
        """Of the results, with its full stop; empty keeps each photo's."""
        return _SUFFIXES[self.format]

    @property
    def sidecar_suffixes(self) -> tuple[str, ...]:
        """Of the names of what is written beside each result."""
        return ((CONFIDENCE,) if self.confidence else ()) + self.variant_suffixes

    @property
    def variant_suffixes(self) -> tuple[str, ...]:
        """Of the names of the further colorings."""
        return tuple(f"-variant-{number}" for number in range(2, self.variants + 1))
