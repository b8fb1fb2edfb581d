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
        float, Option("Factor on the colors; 0 is gray, 1 as predicted.", COLORS, minimum=0, maximum=4)
    ] = 1.0
    temperature: Annotated[
        float | None,
        Option(
            "How decided the colors are: lower is bolder and surer, higher is softer and browner.",
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
            "Short side at which the network sees a photo.",
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
            "The network sees a photo in its own shape, or squeezed into a square as ECCV16's demo does it; colors "
            "that sRGB does not have are then clipped channel by channel as there.",
            COLORS,
        ),
    ] = "shape"
    confidence: Annotated[
        bool, Option("Also write NAME-confidence.png, white where the network was sure of its colors.", RESULTS)
    ] = False
    variants: Annotated[
        int,
        Option(
            "Number of plausible colorings of each photo, the first of them the plain one; further ones are written as "
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
            "Let colors end where the photo has edges, however coarse the network's answer is.",
            COLORS,
            unset=_MODELS_OWN,
        ),
    ] = None
    max_megapixels: Annotated[
        float, Option("Megapixels of the largest photo that is accepted.", FILES, minimum=0.001, unit="megapixels")
    ] = 500.0
    format: Annotated[
        FormatName,
        Option(
            "File format of the results; keep is that of each photo, or what stands for it where that is not written.",
            RESULTS,
        ),
    ] = "keep"
    quality: Annotated[int, Option("Quality of JPEG and WebP results.", RESULTS, minimum=1, maximum=100)] = 95
    keep_metadata: Annotated[
        bool,
        Option(
            "Keep, or drop, EXIF data and the like in the results.", RESULTS, flags="--keep-metadata/--strip-metadata"
        ),
    ] = True
    mark: Annotated[
        bool,
        Option("Say in the results, as IPTC's standard has it, that a trained model colored them, and which.", RESULTS),
    ] = True
    bit_depth: Annotated[
        Literal[8, 16], Option("Bits a channel; 16 in TIFFs, with the extra tiff.", RESULTS, unit="bits")
    ] = 8
    unsure: Annotated[
        Unsure, Option("Keep the colors of regions where the network does not know them, or leave those gray.", COLORS)
    ] = "keep"
    like: Annotated[
        str,
        Option(
            "A photo in color: what is like something in it takes its colors.",
            COLORS,
            metavar="REFERENCE",
            unset="none",
        ),
    ] = ""
    hints: Annotated[
        tuple[Hint, ...],
        Option(
            "A color for a place of the photo, counted in pixels from its top left: #8b1a1a, navy, or keep for what is "
            "to stay gray; as often as wanted.",
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
            "A PNG of the photo's size that is transparent but where colors are painted, or places as JSON; what lies "
            "beside the photo is then not looked at.",
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
