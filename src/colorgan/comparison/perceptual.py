"""Perceptual metrics, by the networks of others: FID, KID and LPIPS (the extra `metrics`).

FID and KID compare whole sets by features of an Inception network, LPIPS pairs of photos by an AlexNet. Both networks
are fetched by torch-fidelity and torchmetrics themselves, on first use. The crops wait on the disk: memory stays flat.
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
_EXTRACTOR: str | None = None  # None: torch-fidelity's own Inception; tests put a small one here
_MOST_IN_SUBSET = 1000  # of KID, as its authors have it
_ADVICE = "Connect to the network once, or do without FID, KID and LPIPS."

Lpips = Callable[[Tensor, Tensor], Tensor]


def check_perceptual(photos: int) -> None:
    """Make sure, before anything is computed, that these metrics can be measured.

    Raises:
        UsageError: there are too few photos, or the extra is not installed.
    """
    if photos < FEWEST_PHOTOS:
        found = f"{photos}, and under {FEWEST_PHOTOS} FID, KID and LPIPS say nothing"
        raise UsageError("photos enough for FID and KID", found, "Give more, or leave it out.")
    if any(importlib.util.find_spec(name) is None for name in ("torch_fidelity", "torchmetrics")):
        raise missing_extra("what FID, KID and LPIPS need", "metrics")


def notes_on_perceptual(photos: int) -> list[str]:
    """What a reader of these metrics should know."""
    if photos < FEWEST_PHOTOS:
        return [f"FID, KID and LPIPS were refused: {photos} photos have true colors, and {FEWEST_PHOTOS} are needed."]
    if photos < FEW_PHOTOS:
        return [
            f"FID and KID of {photos} photos say little, and nothing beside those of other sets: take {FEW_PHOTOS}."
        ]
    return []


def load_lpips() -> Lpips:
    """LPIPS with AlexNet (Zhang et al. 2018): two of (B, 3, H, W), 0..1, to the mean over the batch.

    Raises:
        WeightsError: its network is not here and cannot be fetched.
    """
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    _check_offline("AlexNet", "alexnet-owt-7be5be79.pth")
    try:
        with redirect_stdout(sys.stderr):  # torch's hub announces downloads among the results
            metric: Lpips = LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError("the AlexNet of LPIPS", str(error), _ADVICE) from error
    return metric


def _check_offline(name: str, file: str) -> None:
    """Refuse before another library opens a connection that COLORGAN_OFFLINE forbids."""
    folder = Path(torch.hub.get_dir(), "checkpoints")
    if is_offline() and not os.path.isfile(Path(folder, file)):
        found = f"no {file} in {folder}, and COLORGAN_OFFLINE is set"
        advice = "Unset it and connect to the network once, or do without FID, KID and LPIPS."
        raise WeightsError(f"the {name} network", found, advice)


class Perceptual:
    """Keeps the crops of every row until all are there, then measures them.

    Args:
        rows: their names, the original's among them.
        device: where FID and KID are computed.
        folder: an empty one, for the crops.

    Raises:
        WeightsError: a network is not here and cannot be fetched.
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
        """Take in a batch: L (B, 1, S, S), 0..100, and ab of every row, (B, 2, S, S), Lab units."""
        pictures = {name: lab_to_rgb(torch.cat([L, ab], 1)).cpu() for name, ab in colors.items()}
        for name, rgb in pictures.items():
            pixels = (rgb * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
            for number, photo in enumerate(pixels, start=self._photos):
                Image.fromarray(photo).save(self._folders[name] / f"{number:08d}.png", compress_level=1)
            self._sums[name] += len(rgb) * float(self._lpips(rgb, pictures[ORIGINAL]))
        self._photos += len(L)

    def metrics(self) -> dict[str, dict[str, float]]:
        """Measure all that was taken in: by row but the original fid, kid (its mean), kid_std, and lpips.

        Empty under `FEWEST_PHOTOS`.

        Raises:
            WeightsError: the network is not here and cannot be fetched.
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
                    # Without processes that read, which wait for ever where TMPDIR is too long for a socket.
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
