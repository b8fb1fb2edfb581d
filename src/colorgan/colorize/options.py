"""How a photo is to be coloured: what a user may choose, checked before anything is loaded."""

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
)

CONFIDENCE = "-confidence.png"
DEFAULT_MODEL = "compact-gan"

Fit = Literal["shape", "square"]


@dataclass(frozen=True)
class Rendering:
    """What is chosen for a photo; None leaves it to the model.

    Attributes:
        saturation: multiplies the colours, 0..4; 1 is as predicted, 0 is grey.
        temperature: of the decoding, 0.01..100; lower is more decided, higher is calmer.
        render_size: the short side at which the network sees the photo, 16..4096 pixels.
        fit: how the network sees the photo: in its own shape, or squeezed into a square, as the demo that ECCV16 was
            published with does; then colours that sRGB does not have are clipped channel by channel as there.
        confidence: whether to tell how sure the network was.
        variants: how many colourings to make, 1..16; the first is the plain one.
        seed: of the other variants' hues, 0 or more.
        edges: whether colours end at the photo's edges, however coarse the network's answer is.

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

    def __post_init__(self) -> None:
        for name, lowest, highest in _RANGES:
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                option = name.replace("_", " ")
                raise UsageError(f"a {option} from {lowest} to {highest}", f"{value}", "Choose one within that range.")
        if self.fit not in get_args(Fit):
            raise UsageError("a fit of shape or square", repr(self.fit), "Choose one of them.")

    @property
    def endings(self) -> tuple[str, ...]:
        """Of the names of what is written beside each result."""
        return ((CONFIDENCE,) if self.confidence else ()) + self.variant_endings

    @property
    def variant_endings(self) -> tuple[str, ...]:
        """Of the names of the further colourings."""
        return tuple(f"-variant-{number}" for number in range(2, self.variants + 1))
