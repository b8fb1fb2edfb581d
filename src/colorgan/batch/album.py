"""One palette for the photos of a folder, in two passes.

The first pass runs the network on every photo and stores its predictions on disk; from the regions of all of them a
palette is made, which stays in the output folder. The second pass colors each photo by the palette, without running the
network. A photo that is added later uses the palette as it is, so that finished results stay valid.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
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
        settings: digest of the options and the model.
        palette: the shared palette, once it is made or loaded.
        digest: SHA-256 of the palette's file.
        numbers: each photo's index in the palette, by the hash of its identity; -1 if it could not be read.
    """

    output: Path
    settings: bytes
    palette: Palette | None = None
    digest: bytes = b""
    numbers: dict[int, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of the palette and of the predictions between the passes."""
        return self.output / FOLDER_NAME

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of the album, so that no other process writes to its folder.

        Raises:
            UsageError: another process holds it.
            OutputError: the folder cannot be made.
        """
        with ExitStack() as held:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                expected, advice = f"the album in {self.output} for this command", "Wait for it, or stop it."
                held.enter_context(locked_alone(self.folder / "lock", expected, "another command is using it", advice))
            except OSError as error:
                raise OutputError.of(str(self.folder), error, _ELSEWHERE, parameter="output") from error
            yield

    def load(self) -> bool:
        """Load the palette that an earlier run made with these settings; return whether there is one."""
        found = _read(self.folder / _PALETTE, self.settings.hex())
        if found is None:
            return False
        self.numbers = dict(zip(found.pop("names").tolist(), found.pop("numbers").tolist(), strict=True))
        self.palette = Palette.from_tensors(found)
        self.digest = hashlib.sha256((self.folder / _PALETTE).read_bytes()).digest()
        return True

    def make(self, jobs: Sequence[tuple[Job, FileState]]) -> bool:
        """Make and write the palette of the photos that have stored predictions; False if fewer than two have.

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
        return self.load()

    def has(self, job: Job, state: FileState) -> bool:
        """Whether a prediction is stored that was made with these settings from the photo's current file."""
        return _read(self._path(job), self._stamp(job, state)) is not None

    def keep(self, job: Job, state: FileState, colors: PredictedColors) -> None:
        """Store the prediction of a photo, in float16.

        Raises:
            OutputError: it cannot be written.
        """
        assert colors.regions is not None
        tensors = vars(colors.regions) | {"variants": colors.variants}
        if colors.confidence is not None:
            tensors["confidence"] = colors.confidence
        halves = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
        path = self._path(job)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Not flushed: a file that a power cut left incomplete is computed again.
            path.write_bytes(save(halves, {"stamp": self._stamp(job, state)}))
        except OSError as error:
            raise OutputError.of(str(path.parent), error, _ELSEWHERE, parameter="output") from error

    def colors(self, job: Job, seen: Tensor, with_edges: bool, options: ColorizeOptions) -> PredictedColors:
        """Return a photo's stored prediction, recolored by the palette; `seen` is as in `PredictedColors`."""
        kept = _tensors(self._path(job))
        predicted = PredictedColors(seen, kept["variants"], kept.get("confidence"), _regions(kept), with_edges)
        number = self.numbers.get(stable_hash(job.identity), -1)
        return steered(predicted, options, self.palette, number)

    def forget_predictions(self) -> None:
        """Remove the stored predictions."""
        shutil.rmtree(self.folder / PREDICTIONS, ignore_errors=True)

    def _path(self, job: Job) -> Path:
        return self.folder / PREDICTIONS / f"{stable_hash(job.identity) & (2**64 - 1):016x}.safetensors"

    def _stamp(self, job: Job, state: FileState) -> str:
        settings = with_hints(self.settings, job.hints)
        return f"{settings.hex()} {state.size_bytes} {state.mtime_ns}"


def _read(path: Path, stamp: str) -> dict[str, Tensor] | None:
    """Return the tensors of a file with this stamp; None if it is missing or damaged, or has another."""
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            if (file.metadata() or {}).get("stamp") != stamp:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file in float32."""
    return {name: tensor.float() for name, tensor in load_file(path).items()}


def _regions(kept: dict[str, Tensor]) -> Regions:
    return Regions(**{field.name: kept[field.name] for field in fields(Regions)})
