"""Published metrics, shown if they were measured on the same photos as a comparison, by the same protocol.

The photos are recognized by their names: the 5,000 of Kang et al. (DDColor) are ILSVRC2012_val_00000001 to
_00005000, cropped to squares of 256. Zhang et al. 2016 did not name their 10,000, so their table is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from colorgan.comparison.results import PublishedRow

_VAL5K_SIZE_PX, _VAL5K_PHOTOS = 256, 5000
_SOURCE = "Kang et al. 2023 (DDColor), table 1, rerun by its authors"
# Method, CF (of absolute opponents), PSNR.
_VAL5K = (
    ("ECCV16", 31.60, 22.64),
    ("DeOldify", 21.29, 24.11),
    ("CT2", 38.48, 23.50),
    ("BigColor", 39.74, 21.24),
    ("ColorFormer", 38.00, 23.10),
    ("DDColor-tiny", 37.66, 23.54),
    ("DDColor-large", 38.26, 23.85),
)


def comparable_published_rows(names: Iterable[str], size_px: int) -> list[PublishedRow]:
    """Return the published rows that were measured on photos of these names, at this size."""
    numbers = {_number_of(name) for name in names}
    if size_px != _VAL5K_SIZE_PX or numbers != set(range(1, _VAL5K_PHOTOS + 1)):
        return []
    return [PublishedRow(method, _SOURCE, {"cf": cf, "psnr": psnr}) for method, cf, psnr in _VAL5K]


def _number_of(name: str) -> int:
    """Return the number of an ImageNet validation photo, 0 for any other."""
    found = re.fullmatch(r"ILSVRC2012_val_(\d{8})", PurePosixPath(name).stem)
    return int(found[1]) if found else 0
