"""Perceptual metrics by third-party networks: FID, KID and LPIPS (the extra `metrics`).

FID and KID compare whole sets by features of an Inception network, LPIPS pairs of photos by an AlexNet. torch-fidelity
and torchmetrics download these on first use. The crops are kept on disk, so memory does not grow with them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from colorgan.color.lab import lab_to_rgb
from colorgan.comparison.results import ORIGINAL
from colorgan.errors import UsageError, WeightsError, missing_extra
from colorgan.models.download import is_offline

FEWEST_PHOTOS, FEW_PHOTOS = 50, 2000
_EXTRACTOR: str | None = None  # None: torch-fidelity's own Inception; tests set a small one
_MOST_IN_SUBSET = 1000  # KID's subset size, as in its paper
_ADVICE = "Connect to the internet once, or do without FID, KID and LPIPS."

Lpips = Callable[[Tensor, Tensor], Tensor]


def check_perceptual(photos: int) -> None:
    """Check, before anything is computed, that these metrics can be measured.

    Raises:
        UsageError: there are too few photos, or the extra is not installed.
    """
    if photos < FEWEST_PHOTOS:
        found = f"{photos}; under {FEWEST_PHOTOS}, FID, KID and LPIPS mean nothing"
        raise UsageError("enough photos for FID and KID", found, "Give more, or leave it out.")
    if any(importlib.util.find_spec(name) is None for name in ("torch_fidelity", "torchmetrics")):
        raise missing_extra("what FID, KID and LPIPS need", "metrics")


def notes_on_perceptual(photos: int) -> list[str]:
    """Return notes if there are too few photos for these metrics, or for precise ones."""
    if photos < FEWEST_PHOTOS:
        return [f"FID, KID and LPIPS were left out: {photos} photos have true colors; {FEWEST_PHOTOS} are needed."]
    if photos < FEW_PHOTOS:
        return [f"FID and KID of {photos} photos mean little, and do not compare to other sets': use {FEW_PHOTOS}."]
    return []


def load_lpips() -> Lpips:
    """Load LPIPS with AlexNet (Zhang et al. 2018): from two of (B, 3, H, W), 0..1, to the mean over the batch.

    Raises:
        WeightsError: its network is not cached and cannot be downloaded.
    """
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    _check_offline("AlexNet", "alexnet-owt-7be5be79.pth")
    try:
        with redirect_stdout(sys.stderr):  # torch.hub prints downloads to standard output, which is for results
            metric: Lpips = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError("the AlexNet of LPIPS", str(error), _ADVICE) from error
    return metric


def _check_offline(name: str, file: str) -> None:
    """Raise a WeightsError if another library would have to download this file, and COLORGAN_OFFLINE forbids it."""
    folder = Path(torch.hub.get_dir(), "checkpoints")
    if is_offline() and not os.path.isfile(Path(folder, file)):
        found = f"no {file} in {folder}, and COLORGAN_OFFLINE is set"
        advice = "Unset it and connect to the internet once, or do without FID, KID and LPIPS."
        raise WeightsError(f"the {name} network", found, advice)


class Perceptual:
    """Stores the crops of every row on disk, then measures them all.

    Args:
        rows: their names, including the original's.
        device: on which FID and KID are computed.
        folder: an empty folder for the crops.

    Raises:
        WeightsError: a network is not cached and cannot be downloaded.
    """

    def __init__(self, rows: Sequence[str], device: torch.device, folder: Path) -> None:
        self._device = device
        self._folders = {name: folder / str(number) for number, name in enumerate(rows)}
        for of_row in self._folders.values():
            of_row.mkdir()
        self._lpips = load_lpips()
        self._sums = dict.fromkeys(rows, 0.0)
        self._photos = 0

    def add(self, L: Tensor, colors: Mapping[str, Tensor]) -> None:
        """Add a batch: L, (B, 1, S, S), 0..100, and ab of every row, (B, 2, S, S), Lab units."""
        pictures = {name: lab_to_rgb(torch.cat([L, ab], 1)).cpu() for name, ab in colors.items()}
        for name, rgb in pictures.items():
            pixels = (rgb * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
            for number, photo in enumerate(pixels, start=self._photos):
                Image.fromarray(photo).save(self._folders[name] / f"{number:08d}.png", compress_level=1)
            self._sums[name] += len(rgb) * float(self._lpips(rgb, pictures[ORIGINAL]))
        self._photos += len(L)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Measure all batches: fid, kid (its mean), kid_std and lpips by row, without the original's row.

        Empty with fewer than `FEWEST_PHOTOS`.

        Raises:
            WeightsError: the network is not cached and cannot be downloaded.
        """
        if self._photos < FEWEST_PHOTOS:
            return {}
        return {
            name: self._against_original(folder) | {"lpips": self._sums[name] / self._photos}
            for name, folder in self._folders.items()
            if name != ORIGINAL
        }

    def _against_original(self, folder: Path) -> dict[str, float]:
        from torch_fidelity import calculate_metrics

        if _EXTRACTOR is None:
            _check_offline("Inception", "weights-inception-2015-12-05-6726825d.pth")
        try:
            with redirect_stdout(sys.stderr):
                found = calculate_metrics(
                    input1=str(folder),
                    input2=str(self._folders[ORIGINAL]),
                    cuda=self._device.type == "cuda",
                    fid=True,
                    kid=True,
                    kid_subset_size=min(_MOST_IN_SUBSET, self._photos // 2),
                    cache=False,
                    # Without reader processes, which hang if TMPDIR is too long for a socket's path.
                    save_cpu_ram=True,
                    verbose=False,
                    feature_extractor=_EXTRACTOR,
                )
        except OSError as error:
            raise WeightsError("the Inception network of FID and KID", str(error), _ADVICE) from error
        return {
            "fid": float(found["frechet_inception_distance"]),
            "kid": float(found["kernel_inception_distance_mean"]),
            "kid_std": float(found["kernel_inception_distance_std"]),
        }
