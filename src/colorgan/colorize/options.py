"""The options for coloring a photo, validated before anything is loaded."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from colorgan.images.hints import Hint
from colorgan.options import COLORS, FILES, RESULTS, SEED, Checked, Option

CONFIDENCE = "-confidence.png"
DEFAULT_MODEL = "compact"
_MODELS_OWN = "the model's own"

Fit = Literal["shape", "square"]
Unsure = Literal["keep", "gray"]
FormatName = Literal["keep", "jpg", "png", "webp", "tiff"]
_SUFFIXES: dict[FormatName, str] = {"keep": "", "jpg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif"}


@dataclass(frozen=True)
class ColorizeOptions(Checked):
    """Options of a photo: of its colors, of how it is read, and of how its result is written.

    `Colorizer` uses the color options alone, but in `colorize_bytes`; the others are for callers that handle files.

    Raises:
        UsageError: a value out of its range.
    """

    saturation: Annotated[
        float, Option("Factor on the predicted chroma; 0 is gray, 1 as predicted.", COLORS, minimum=0, maximum=4)
    ] = 1.0
    temperature: Annotated[
        float | None,
        Option(
            "Softmax temperature of the predicted colors: lower is bolder, higher is softer and browner.",
            COLORS,
            minimum=0.01,
            maximum=100,
            unset=_MODELS_OWN,
        ),
    ] = None
    # An input of 4096 pixels takes gigabytes of memory, and colors get no better.
    render_size: Annotated[
        int | None,
        Option(
            "Short side to which a photo is resized for the network.",
            COLORS,
            minimum=16,
            maximum=4096,
            unit="pixels",
            unset=_MODELS_OWN,
        ),
    ] = None
    fit: Annotated[
        Fit,
        Option(
            "shape keeps a photo's aspect ratio for the network; square squeezes it into a square and clips out-of-"
            "gamut colors channel by channel, as ECCV16's demo does.",
            COLORS,
        ),
    ] = "shape"
    confidence: Annotated[
        bool, Option("Also write NAME-confidence.png: white where the network is sure of its colors.", RESULTS)
    ] = False
    variants: Annotated[
        int,
        Option(
            "Number of plausible colorings of each photo; the first is the usual result, the others are written as "
            "NAME-variant-2 and so on.",
            RESULTS,
            minimum=1,
            maximum=16,
        ),
    ] = 1
    seed: Annotated[int, SEED] = 0
    edges: Annotated[
        bool | None,
        Option(
            "Align the network's coarse colors with the edges of the photo (guided filter).",
            COLORS,
            unset=_MODELS_OWN,
        ),
    ] = None
    max_megapixels: Annotated[
        float, Option("Size of the largest photo that is accepted.", FILES, minimum=0.001, unit="megapixels")
    ] = 500.0
    format: Annotated[
        FormatName,
        Option(
            "File format of the results; keep is each photo's own, or a similar one if colorgan cannot write that.",
            RESULTS,
        ),
    ] = "keep"
    quality: Annotated[int, Option("Quality of JPEG and WebP results.", RESULTS, minimum=1, maximum=100)] = 95
    keep_metadata: Annotated[
        bool,
        Option(
            "Copy EXIF, IPTC and XMP data into the results, or strip it.",
            RESULTS,
            flags="--keep-metadata/--strip-metadata",
        ),
    ] = True
    mark: Annotated[
        bool,
        Option("Mark the results as colored by a trained model, by the IPTC standard, with the model's name.", RESULTS),
    ] = True
    bit_depth: Annotated[
        Literal[8, 16], Option("Bits per channel; 16 is for TIFFs, with the extra tiff.", RESULTS, unit="bits")
    ] = 8
    unsure: Annotated[
        Unsure, Option("What to do where the network is unsure: keep its colors, or fade to gray.", COLORS)
    ] = "keep"
    like: Annotated[
        str,
        Option(
            "A color photo as a reference: what looks like something in it gets its colors.",
            COLORS,
            metavar="REFERENCE",
            unset="none",
        ),
    ] = ""
    hints: Annotated[
        tuple[Hint, ...],
        Option(
            "A color for a place of the photo, in pixels from its top left: #8b1a1a, navy, or keep to leave it gray; "
            "can be repeated.",
            COLORS,
            flags="--hint",
            metavar="X,Y=COLOR",
            unset="none",
            parse=lambda texts: tuple(map(Hint.parse, texts)),
            repeated=True,
        ),
    ] = ()
    hints_file: Annotated[
        str,
        Option(
            "A PNG of the photo's size, transparent except where colors are painted, or a JSON file of places; hint "
            "files beside the photo are then ignored.",
            COLORS,
            flags="--hints",
            metavar="FILE",
            unset="NAME.hints.png and NAME.hints.json beside each photo",
        ),
    ] = ""

    @property
    def has_hints(self) -> bool:
        """Whether it has hints, which belong to a single photo."""
        return bool(self.hints or self.hints_file)

    @property
    def hints_files(self) -> tuple[str, ...]:
        """The hints file that it names, if any."""
        return (self.hints_file,) if self.hints_file else ()

    @property
    def suffix(self) -> str:
        """File suffix of the results, with the dot; empty to keep each photo's."""
        return _SUFFIXES[self.format]

    @cached_property  # it is read for each of a million photos
    def sidecar_suffixes(self) -> tuple[str, ...]:
        """What is appended to a result's stem for each file that is written beside it."""
        return ((CONFIDENCE,) if self.confidence else ()) + self.variant_suffixes

    @property
    def variant_suffixes(self) -> tuple[str, ...]:
        """What is appended to a result's stem for the second and further variants."""
        return tuple(f"-variant-{number}" for number in range(2, self.variants + 1))
