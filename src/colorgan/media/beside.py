"""How results are named that stand beside their photos, and how they are told from photos."""

from __future__ import annotations

import os
import re

from colorgan.media.formats import PHOTO_SUFFIXES
from colorgan.media.search import split_name

BESIDE = "-color"
_OWN_RESULT = re.compile(rf"(.+){BESIDE}(-page-\d+)?(-\d+)?(-confidence|-variant-\d+)?")


def with_ending(name: str, ending: str) -> str:
    """A name with an ending behind its stem; the ending may bring a suffix of its own."""
    stem, suffix = split_name(name)
    return stem + ending if "." in ending else stem + ending + suffix


def photo_stem(name: str) -> str | None:
    """The stem of the photo that a file beside it would be the result of, going by its name alone."""
    match = _OWN_RESULT.fullmatch(split_name(name)[0]) if BESIDE in name else None
    return match[1] if match else None


def without_own_results(names: list[str]) -> list[str]:
    """The names without those of results whose photo is among them."""
    if not any(BESIDE in name for name in names):
        return names
    stems = {split_name(name)[0] for name in names}
    return [name for name in names if photo_stem(name) not in stems]


def has_photo_beside(source: str) -> bool:
    """Whether a file is named as the result of a photo that stands beside it."""
    folder, name = os.path.split(source)
    stem = photo_stem(name)
    if stem is None:
        return False
    suffixes = [spelled for suffix in PHOTO_SUFFIXES for spelled in (suffix, suffix.upper())]
    return any(os.path.lexists(os.path.join(folder, stem + suffix)) for suffix in suffixes)
