"""What a user may choose of a run over many photos, beside what is chosen for each photo."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import UsageError

_RANGES = (("workers", 1, 256), ("batch_size", 1, 1024))
# Options of a photo that leave its result as it is: what is accepted, and what its name already says.
_NO_CHANGE = ("max_megapixels", "format")
# The groups and names under which the digests of all journals have the options of the first version.
_COLOR = ("saturation", "temperature", "render_size", "fit", "confidence", "variants", "seed", "edges")
_WRITING = ("quality", "keep_metadata", "bit_depth")


@dataclass(frozen=True)
class BatchOptions:
    """How a run over many photos goes; none of this changes a result, but for a rounding of the precision.

    Attributes:
        overwrite: do again what is done, and replace what stands in a result's place.
        dry_run: say what would be done, and write nothing.
        all_pages: each page of a TIFF is a photo of its own, with a result of its own.
        skip_color: leave out, and count, what is in color already.
        workers: threads, 1..256; None takes one per core, and two where photos or results are at addresses.
        batch_size: photos of like shape that are computed together, 1..1024; None is what the device likes.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, fp32, bf16 or fp16.
        shard: the part of the photos to do, such as `3/16`; `/16` takes the number from JOB_COMPLETION_INDEX; empty is
            what the environment of a Slurm array says, or all.

    Raises:
        UsageError: a value out of its range.
    """

    overwrite: bool = False
    dry_run: bool = False
    all_pages: bool = False
    skip_color: bool = False
    workers: int | None = None
    batch_size: int | None = None
    device: str = "auto"
    precision: str = "auto"
    shard: str = ""

    def __post_init__(self) -> None:
        for name, lowest, highest in _RANGES:
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                expected = f"{name.replace('_', ' ')} from {lowest} to {highest}"
                raise UsageError(expected, f"{value}", "Choose a number within that range.", parameter=name)


def settings_digest(options: ColorizeOptions, model: str) -> bytes:
    """What tells results of different settings, or of different models, apart in a journal.

    An option that came later counts where it is not at its default, so that it makes no earlier result another one.

    Args:
        options: of the photos.
        model: a digest of its weights, and the precision that it computes in.
    """
    settings: dict[str, Any] = {
        "model": model,
        "rendering": {name: getattr(options, name) for name in _COLOR},
        "writing": {name: getattr(options, name) for name in _WRITING} | {"mark": None},
        "mark": options.mark,
    }
    for option in fields(options):
        value = getattr(options, option.name)
        if option.name not in (*_COLOR, *_WRITING, "mark", *_NO_CHANGE) and value != option.default:
            settings[option.name] = value
    return hashlib.blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=16).digest()
