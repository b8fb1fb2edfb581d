"""A photo as it is worked on, and how it is taken from a Pillow picture."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

from colorgan.media.lightness import Lightness, Plane
from colorgan.media.metadata import Metadata, metadata_of
from colorgan.media.pixels import decode


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture as the colorizer needs it: upright, and its lightness at full size and depth.

    Attributes:
        lightness: of each pixel.
        alpha: (H, W) uint8, or None where the photo has no transparency.
        had_color: whether more than one pixel in a thousand was visibly not grey.
        format: Pillow's name of the file's format, empty for a picture from memory.
        metadata: what else the file said.
        oddities: what a user should know about the file, in words.
    """

    lightness: Lightness
    alpha: Plane | None
    had_color: bool
    format: str
    metadata: Metadata = field(default_factory=Metadata)
    oddities: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.lightness.shape
        return width, height


def from_image(image: Image.Image) -> Photo:
    """Read a Pillow picture of any mode; it is turned upright as its EXIF says, and is left as it is.

    Raises:
        PhotoError: a mode that is no picture.
    """
    words: list[str] = []
    if not image.mode.startswith("I") and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        words.append("16 bits a channel, read as 8")
    image.load()
    if getattr(image, "is_animated", False) and image.format != "MPO":
        words.append("more than one picture inside; the first was taken")
    orientation, metadata = metadata_of(image, words)
    lightness, alpha, coloured = decode(image, orientation, words)
    had_color = coloured * 1000 > image.width * image.height
    file_format = "JPEG" if image.format == "MPO" else image.format or ""
    return Photo(lightness, alpha, had_color, file_format, metadata, tuple(words))


def to_image(rgb: Plane, alpha: Plane | None = None) -> Image.Image:
    """Make a Pillow picture, RGB or RGBA, of (H, W, 3) and (H, W)."""
    picture = Image.fromarray(rgb)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    return picture
