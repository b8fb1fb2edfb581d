"""Options of a run over many photos, beside those of each photo, and the digest of the settings for the journal."""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from colorgan.batch.journals.records import FileState
from colorgan.colorize.options import ColorizeOptions
from colorgan.files import read_file
from colorgan.options import COLORS, DEVICE, FILES, OVERWRITE, RESULTS, RUNNING, Checked, Option

# Options outside the digest: they leave a result as it is, its name implies them, or (hints, reference) the file's
# content is hashed instead of its name.
_NO_CHANGE = ("max_megapixels", "format", "hints_file", "like")
# The options of the first version, in the groups under which they are hashed in all existing journals.
_COLOR = ("saturation", "temperature", "render_size", "fit", "confidence", "variants", "seed", "edges")
_WRITING = ("quality", "keep_metadata", "bit_depth")


@dataclass(frozen=True)
class BatchOptions(Checked):
    """Options of a run over many photos; none of them changes a result, except for rounding by `precision`.

    Raises:
        UsageError: a value out of its range.
    """

    overwrite: Annotated[bool, OVERWRITE] = False
    dry_run: Annotated[bool, Option("Show what would be done without writing anything.", FILES)] = False
    all_pages: Annotated[bool, Option("Color every page of a TIFF, each into a file of its own.", FILES)] = False
    skip_color: Annotated[
        bool, Option("Skip photos that are in color already; toned ones, such as sepia, are colored.", FILES)
    ] = False
    workers: Annotated[
        int | None,
        Option(
            "Photos computed at the same time; as many more are being read and written.",
            RUNNING,
            minimum=1,
            maximum=256,
            unset="one per core",
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        Option(
            "Photos of similar shape computed in one batch.",
            RUNNING,
            minimum=1,
            maximum=1024,
            unset="by device",
        ),
    ] = None
    device: Annotated[str, DEVICE] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        Option("Number format of the network; auto takes half precision if the device is fast at it.", RUNNING),
    ] = "auto"
    shard: Annotated[
        str,
        Option(
            "The part of the photos that this process takes, such as 3/16; /16 takes N from JOB_COMPLETION_INDEX.",
            RUNNING,
            metavar="N/COUNT",
            unset="all, or the Slurm array's",
        ),
    ] = ""
    album: Annotated[
        bool,
        Option("Share one palette among all photos: what looks alike, such as a wall, gets similar colors.", COLORS),
    ] = False
    page: Annotated[
        bool, Option("Also write index.html: every photo before and after, the least confident first.", RESULTS)
    ] = False

    @property
    def cores(self) -> int:
        """How many photos are computed at the same time: `workers`, or the number of cores this process may use."""
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return self.workers or allowed or 1


def settings_digest(options: ColorizeOptions, model: str) -> bytes:
    """Return the digest by which a journal tells results of different settings or models apart.

    Options added after the first version are hashed only if they differ from their default, so that the digests of
    earlier results stay valid. `model` is the digest of the weights and the precision that it computes in.
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


def with_hints(settings: bytes, files: Sequence[str], states: Sequence[FileState] = ()) -> bytes:
    """Return a settings digest that includes a photo's hint files: by their `states` from a listing, else by content.

    An unreadable file is hashed by its error number. Without files, `settings` is returned unchanged.
    """
    digest = hashlib.blake2b(settings, digest_size=16)
    for state in states:
        digest.update(state.digest or f"{state.size_bytes} {state.mtime_ns}".encode())
    for file in () if states else files:
        try:
            content = read_file(Path(file))
        except OSError as error:
            content = f"unreadable: {error.errno}".encode()
        digest.update(hashlib.blake2b(content).digest())
    return digest.digest() if files else settings
