"""Sample sheets: the same photos after each epoch, as JPEG files and embedded in the report."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from colorgan.color.lab import lab_to_rgb
from colorgan.files import atomic_write
from colorgan.html import data_uri

SHEET_PHOTOS = 8
HEAD_PX = 42
COLUMNS = ("gray", "predicted", "true")

# Most width of a photo and most sheets embedded in a page: 4 MB at most.
EMBEDDED_PX = 192
MOST_EMBEDDED = 60


def write_sheet(path: Path, epoch: int, L: Tensor, ab: Tensor, truth: Tensor) -> None:
    """Write a sheet of photos, a row each, under a head that names the epoch and the columns: gray, predicted, true.

    Args:
        path: the JPEG to write.
        epoch: the epoch that the predicted colors are of.
        L: (B, 1, H, W), 0..100.
        ab: predicted, (B, 2, H, W), Lab units.
        truth: true, the same.
    """
    columns = [lab_to_rgb(torch.cat([L, colors], 1)) for colors in (torch.zeros_like(ab), ab, truth)]
    rows = torch.cat(columns, dim=3)  # (B, 3, H, 3W)
    photos = torch.cat(list(rows), dim=1)  # (3, B * H, 3W)
    pixels = (photos * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    sheet = Image.new("RGB", (pixels.shape[1], HEAD_PX + pixels.shape[0]), "white")
    sheet.paste(Image.fromarray(pixels), (0, HEAD_PX))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for index, word in enumerate(COLUMNS):
        left = index * sheet.width // len(COLUMNS)
        draw.text((left + 4, 22), word, fill="black", font=font)
    draw.text((4, 3), f"epoch {epoch}", fill="black", font=font)
    with atomic_write(path) as file:
        sheet.save(file, "JPEG", quality=92)


@dataclass(frozen=True)
class Sheets:
    """A run's sheets as embedded in a page: each picture is a data URL.

    Attributes:
        gray: the photos without color.
        predicted: the photos in predicted colors, by epoch, in order.
        true: the photos in their true colors.
    """

    gray: str
    predicted: dict[int, str]
    true: str


def embed_sheets(folder: Path, best_epoch: int) -> Sheets | None:
    """Read a run's sheets for its report; None if there are none.

    Of more than `MOST_EMBEDDED`, evenly spaced ones are taken, and always that of the best epoch.
    """
    paths = {int(path.stem.removeprefix("epoch-")): path for path in folder.glob("epoch-*.jpg")}
    epochs = sorted(paths)
    if not epochs:
        return None
    if len(epochs) > MOST_EMBEDDED:
        spaced = {epochs[round(i * (len(epochs) - 1) / (MOST_EMBEDDED - 1))] for i in range(MOST_EMBEDDED)}
        epochs = sorted(spaced | ({best_epoch} & set(epochs)))
    first = paths[epochs[0]]  # its gray and true photos are the same as in all others
    return Sheets(
        gray=_column(first, "gray", first.stat().st_mtime_ns),
        predicted={epoch: _column(paths[epoch], "predicted", paths[epoch].stat().st_mtime_ns) for epoch in epochs},
        true=_column(first, "true", first.stat().st_mtime_ns),
    )


@lru_cache(maxsize=2 * MOST_EMBEDDED)  # a page is written after each epoch, with every sheet before it
def _column(path: Path, name: str, modified_ns: int) -> str:
    """Cut a column out of a sheet; `modified_ns` only distinguishes versions of the file in the cache."""
    index = COLUMNS.index(name)
    with Image.open(path) as sheet:
        width = sheet.width // len(COLUMNS)
        column = sheet.crop((index * width, HEAD_PX, (index + 1) * width, sheet.height))
    scale = min(1.0, EMBEDDED_PX / width)
    small = column.resize((round(width * scale), round(column.height * scale)), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return data_uri(buffer.getvalue())
