"""Choose example photos, and write their pictures in every row's colors."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colorgan.colorize import upsample
from colorgan.comparison.models import ComparedModel
from colorgan.comparison.report.contact_sheet import sheet
from colorgan.comparison.results import GRAY, ORIGINAL, Example, Row
from colorgan.data.sources import Entry
from colorgan.files import atomic_write
from colorgan.images.decode import read_rgb
from colorgan.images.photo import from_image

MOST_SIDE_PX = 640
PICTURES, SHEETS = "pictures", "sheets"
JUDGED_BY = "ciede2000"
_QUALITY = 92


@dataclass(frozen=True)
class Chosen:
    """A photo that was chosen as an example.

    Attributes:
        entry: the photo in its source.
        why: best, worst, between, or why it has no true colors.
        number: its index among the measured photos; None without true colors.
    """

    entry: Entry
    why: str
    number: int | None = None


def choose(entries: Sequence[Entry], models: Sequence[Row], most: int, seed: int) -> list[Chosen]:
    """Choose examples among photos with true colors: the best, the worst, and random ones between, a third each.

    Photos are ranked by CIEDE2000, averaged over the models.

    Args:
        entries: the photos, in the order of the rows' values.
        models: rows that were measured on them.
        most: the maximal number of examples.
        seed: of the random choice.
    """
    if not entries or not models:
        return []
    scores = np.mean([row.values_of(JUDGED_BY) for row in models], axis=0)
    order = [int(number) for number in np.argsort(scores, kind="stable")]
    most = min(most, len(order))
    third = most // 3
    best, worst = order[:third], order[len(order) - third :][::-1]
    rest = order[third : len(order) - third]
    picked = np.random.default_rng(seed).choice(len(rest), most - 2 * third, replace=False)
    between = [rest[place] for place in sorted(picked.tolist())]
    whys = (("best", best), ("between", between), ("worst", worst))
    return [Chosen(entries[number], why, number) for why, numbers in whys for number in numbers]


def write_example(
    folder: Path, position: int, chosen: Chosen, models: Sequence[ComparedModel], rows: Sequence[Row]
) -> Example:
    """Write a photo in gray, in each model's colors and, if it has some, in its own; and a contact sheet of all.

    The models' pictures are `colorize`'s results for the photo reduced to `MOST_SIDE_PX`. The files are numbered by the
    example's position, from 1.

    Raises:
        PhotoError: the photo cannot be read or colored.
    """
    images = _pictures(read_rgb(io.BytesIO(chosen.entry.read())), models, with_original=chosen.number is not None)
    paths = {name: f"{PICTURES}/{position:04d}-{number}-{_slug(name)}.jpg" for number, name in enumerate(images)}
    for name, image in images.items():
        _save(folder / paths[name], image)
    sheet_path = f"{SHEETS}/{position:04d}.jpg"
    _save(folder / sheet_path, sheet(images))
    metrics = {}
    if chosen.number is not None:
        metrics = {row.name: {name: each[chosen.number] for name, each in row.values.items()} for row in rows}
    source = chosen.entry.source.label
    return Example(chosen.entry.name, source, chosen.why, paths, sheet_path, metrics)


def _pictures(image: Image.Image, models: Sequence[ComparedModel], with_original: bool) -> dict[str, Image.Image]:
    image.thumbnail((MOST_SIDE_PX, MOST_SIDE_PX), Image.Resampling.BICUBIC)
    photo = from_image(image)
    pictures = {GRAY: Image.fromarray(upsample.render(photo.lightness, torch.zeros(2, 1, 1)))}
    for model in models:
        pictures[model.name] = model.colorizer.colorize(image)
    return pictures | ({ORIGINAL: image} if with_original else {})


def _slug(name: str) -> str:
    """Make a row's name safe for a file name; it need not be unique, since a number comes before it."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40] or "model"


def _save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        image.save(file, "JPEG", quality=_QUALITY, subsampling="4:4:4")
