"""One palette for the photos of a folder, in two passes.

The first runs the network on every photo and keeps what it said on disk; of all regions a palette is made, which stays
beside the results. The second colors each photo by it, and runs no network. A photo that comes later takes the palette
as it is, so that nothing that is done changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from colorgan.batch.jobs import Job
from colorgan.batch.journals.records import FileState
from colorgan.batch.options import with_hints
from colorgan.colorize.palette import Palette, Regions
from colorgan.colorize.prediction import PredictedColors, steered
from colorgan.errors import OutputError
from colorgan.files import atomic_write
from colorgan.images.discovery import stable_hash
from colorgan.locks import locked_alone

if TYPE_CHECKING:
    from colorgan.colorize.options import ColorizeOptions

FOLDER_NAME = ".colorgan-album"
PREDICTIONS = "predictions"
_PALETTE = "palette.safetensors"
_ELSEWHERE = "name another output folder"


@dataclass(eq=False)
class Album:
    """The photos of a folder that share a palette.

    Attributes:
        output: the folder of the results.
        settings: a digest of the options and the model.
        palette: of its photos, once there is one.
        digest: of the palette.
        numbers: each photo's number in it, by a hash of its identity; -1 of those that could not be read.
    """

    output: Path
    settings: bytes
    palette: Palette | None = None
    digest: bytes = b""
    numbers: dict[int, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the palette is, and what is kept between the passes."""
        return self.output / FOLDER_NAME

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from what is kept between the passes.

        Raises:
            UsageError: another is at work on the album.
            OutputError: its folder cannot be made.
        """
        with ExitStack() as held:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                expected, advice = f"the album in {self.output} for this command", "Wait for it, or end it."
                held.enter_context(locked_alone(self.folder / "lock", expected, "another is at work on it", advice))
            except OSError as error:
                raise OutputError.of(str(self.folder), error, _ELSEWHERE, parameter="output") from error
            yield

    def open(self) -> bool:
        """Take the palette that was made before with these settings, and tell whether there is one."""
        found = _read(self.folder / _PALETTE, self.settings.hex())
        if found is None:
            return False
        self.numbers = dict(zip(found.pop("names").tolist(), found.pop("numbers").tolist(), strict=True))
        self.palette = Palette.from_tensors(found)
        self.digest = hashlib.sha256((self.folder / _PALETTE).read_bytes()).digest()
        return True

    def make(self, jobs: Sequence[tuple[Job, FileState]]) -> bool:
        """Make the palette of photos whose predictions are kept, and write it; tell whether there is one.

        Raises:
            OutputError: it cannot be written.
        """
        kept = [job for job, state in jobs if self.has(job, state)]
        if len(kept) < 2:
            return False
        palette = Palette.of(_regions(_tensors(self._path(job))) for job in kept)
        numbers = {job.identity: number for number, job in enumerate(kept)}
        tensors = {
            **palette.tensors(),
            "names": torch.tensor([stable_hash(job.identity) for job, _ in jobs]),
            "numbers": torch.tensor([numbers.get(job.identity, -1) for job, _ in jobs]),
        }
        try:
            with atomic_write(self.folder / _PALETTE) as file:
                file.write(save(tensors, {"stamp": self.settings.hex()}))
        except OSError as error:
            raise OutputError.of(str(self.folder), error, _ELSEWHERE, parameter="output") from error
        return self.open()

    def has(self, job: Job, state: FileState) -> bool:
        """Whether what the network says of a photo as it is now is kept."""
        return _read(self._path(job), self._stamp(job, state)) is not None

    def keep(self, job: Job, state: FileState, colors: PredictedColors) -> None:
        """Keep what the network says of a photo.

        Raises:
            OutputError: it cannot be written.
        """
        assert colors.regions is not None
        tensors = {name: getattr(colors.regions, name) for name in ("features", "log_shares", "sizes", "belongs")}
        tensors["variants"] = colors.variants
        if colors.confidence is not None:
            tensors["confidence"] = colors.confidence
        halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
        path = self._path(job)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not flushed: what a power cut leaves half written is computed again.
            path.write_bytes(save(halves, {"stamp": self._stamp(job, state)}))
        except OSError as error:
            raise OutputError.of(str(path.parent), error, _ELSEWHERE, parameter="output") from error

    def colors(self, job: Job, seen: Tensor, with_edges: bool, options: ColorizeOptions) -> PredictedColors:
        """The colors of a photo whose prediction is kept, by the palette.

        Args:
            job: the photo.
            seen: (1 or 4, h, w), L and hints as the network saw them.
            with_edges: whether its colors end at the photo's edges.
            options: of the photo.
        """
        kept = _tensors(self._path(job))
        predicted = PredictedColors(seen, kept["variants"], kept.get("confidence"), _regions(kept), with_edges)
        number = self.numbers.get(stable_hash(job.identity), -1)
        return steered(predicted, options, self.palette, number)

    def forget_predictions(self) -> None:
        """Remove what was kept between the passes."""
        shutil.rmtree(self.folder / PREDICTIONS, ignore_errors=True)

    def _path(self, job: Job) -> Path:
        return self.folder / PREDICTIONS / f"{stable_hash(job.identity) & (2**64 - 1):016x}.safetensors"

    def _stamp(self, job: Job, state: FileState) -> str:
        settings = with_hints(self.settings, job.hints)
        return f"{settings.hex()} {state.size_bytes} {state.mtime_ns}"


def _read(path: Path, stamp: str) -> dict[str, Tensor] | None:
    """The tensors of a file that bears a stamp; None where there is no such file, or a damaged one."""
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            if (file.metadata() or {}).get("stamp") != stamp:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that was just read, in float32."""
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def _regions(kept: dict[str, Tensor]) -> Regions:
    return Regions(*(kept[name] for name in ("features", "log_shares", "sizes", "belongs")))
