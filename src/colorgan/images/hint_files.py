"""Read and check all color hints of a photo: points, and a painted overlay."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.ImageFile import ImageFile

from colorgan.errors import PhotoError, UsageError, reason_of
from colorgan.files import read_file
from colorgan.images.hints import COUNT_FROM, HINTS_FORMAT, Hint
from colorgan.images.lightness import strips
from colorgan.images.openers import open_image

MOST_HINTS = 10_000

_MOST_BYTES = 10_000_000  # of a JSON file; many times what `MOST_HINTS` take
_OPAQUE = 128  # of 255: the least alpha of a painted pixel that counts


@dataclass(frozen=True, eq=False)
class PhotoHints:
    """All hints of one photo.

    Attributes:
        places: hints at single points, each inside the photo.
        painted: (H, W, 4) uint8, sRGB with alpha, of the photo's size, or None.
    """

    places: tuple[Hint, ...]
    painted: NDArray[np.uint8] | None = None

    def reduced(self, height: int, width: int, photo: tuple[int, int]) -> NDArray[np.float32]:
        """Average the hinted colors in each cell of a grid; points take precedence over paint.

        Args:
            height: of the grid, cells.
            width: of the grid, cells.
            photo: height and width of the photo, pixels.

        Returns:
            (4, height, width): red, green and blue, 0..1, and a mask, 1 in cells with a hint, else 0.
        """
        sums = np.zeros((4, height * width))
        if self.painted is not None:
            self._add_painted(sums, height, width)
        at_places = np.zeros_like(sums)
        for hint in self.places:
            cell = hint.y * height // photo[0] * width + hint.x * width // photo[1]
            at_places[:, cell] += (*(level / 255 for level in hint.rgb), 1)
        sums = np.where(at_places[3] > 0, at_places, sums)
        means = np.divide(sums[:3], sums[3], out=np.zeros_like(sums[:3]), where=sums[3] > 0)
        return np.concatenate([means, sums[3:] > 0]).reshape(4, height, width).astype(np.float32)

    def _add_painted(self, sums: NDArray[np.float64], height: int, width: int) -> None:
        assert self.painted is not None
        rows_px, columns_px = self.painted.shape[:2]
        for rows in strips(rows_px, columns_px):
            down, right = np.nonzero(self.painted[rows, :, 3] >= _OPAQUE)
            cells = (down + rows.start) * height // rows_px * width + right * width // columns_px
            colors = self.painted[rows][down, right, :3] / 255
            for channel, values in enumerate((*colors.T, None)):
                sums[channel] += np.bincount(cells, values, minlength=height * width)


def read_hints_file(file: str) -> bytes:
    """Read the bytes of a local hints file.

    Raises:
        PhotoError: it cannot be read.
    """
    try:
        return read_file(Path(file))
    except OSError as error:
        raise _hints_error(PurePath(file).name, reason_of(error)) from error


def photo_hints(
    places: Sequence[Hint],
    files: Iterable[str],
    size: tuple[int, int],
    read: Callable[[str], bytes] = read_hints_file,
) -> PhotoHints | None:
    """Gather all hints of a photo.

    Args:
        places: hints given directly.
        files: JSON files of points, and painted PNGs, each once.
        size: width and height of the upright photo, pixels.
        read: reads the bytes of such a file.

    Returns:
        The hints, or None if there are none.

    Raises:
        PhotoError: a file is no hints file, or a hint does not fit the photo.
    """
    found, painted = list(places), None
    for file in files:
        name = PurePath(file).name
        if name.lower().endswith(".json"):
            found += _places_of(name, read(file))
        else:
            painted = _painted_of(name, read(file), size)
    for hint in found:
        if hint.x >= size[0] or hint.y >= size[1]:
            where = f"{hint.x},{hint.y} lies outside of its {size[0]} x {size[1]} pixels"
            raise PhotoError("a hint inside the photo", f"the hint at {where}", COUNT_FROM, parameter="hints")
    return PhotoHints(tuple(found), painted) if found or painted is not None else None


def _hints_error(name: str, found: str) -> PhotoError:
    advice = "Paint a PNG of the photo's size, transparent elsewhere; or give places in JSON."
    return PhotoError(f"hints in {name}", f"its hints {name}: {found}", advice, parameter="hints_file")


def _places_of(name: str, data: bytes) -> list[Hint]:
    if len(data) > _MOST_BYTES:
        raise _hints_error(name, f"{len(data)} bytes, more than {_MOST_BYTES}")
    try:
        described = json.loads(data)
        if described["format"] != HINTS_FORMAT or described["version"] != 1:
            raise ValueError("of another format or version")
        rows = described["hints"]
        if len(rows) > MOST_HINTS:
            raise ValueError(f"{len(rows)} places, more than {MOST_HINTS}")
        return [_hint_of(row) for row in rows]
    except UsageError as error:
        raise _hints_error(name, f"{error.found} is not {error.expected}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _hints_error(name, f"not a list of places ({type(error).__name__}: {error})"[:200]) from error


def _hint_of(row: Any) -> Hint:
    color = row["color"]
    return Hint(row["x"], row["y"], tuple(color) if isinstance(color, list) else color)


def _painted_of(name: str, data: bytes, size: tuple[int, int]) -> NDArray[np.uint8]:
    try:
        with open_image(io.BytesIO(data)) as image:
            if problem := _overlay_problem(image, size):
                raise _hints_error(name, problem)
            return np.asarray(image.convert("RGBA"))
    except PhotoError as error:
        raise error if error.parameter else _hints_error(name, error.found) from error
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise _hints_error(name, f"not a readable PNG ({error})") from error


def _overlay_problem(image: ImageFile, size: tuple[int, int]) -> str:
    """Return why a picture is no overlay for a photo of that size (width, height); empty if it is one."""
    if image.format != "PNG":
        return f"a {image.format} picture, not a PNG"
    if image.size != size:
        return f"{image.width} x {image.height} pixels, but the photo has {size[0]} x {size[1]}"
    return "" if image.has_transparency_data else "nothing in it is transparent"
