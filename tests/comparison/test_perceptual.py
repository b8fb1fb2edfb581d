"""FID, KID and LPIPS with stand-ins for the networks, which would have to be fetched."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from colorgan.color.lab import rgb_to_lab
from colorgan.comparison import perceptual
from colorgan.comparison.compare import compare
from colorgan.comparison.options import CompareOptions
from colorgan.comparison.perceptual import Perceptual, check_perceptual, notes_on_perceptual
from colorgan.errors import UsageError, WeightsError

torch_fidelity = pytest.importorskip("torch_fidelity", reason="the extra metrics is not installed")

from torch_fidelity.feature_extractor_base import FeatureExtractorBase  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch-fidelity's own, which are not ours to mend


class MeanColors(FeatureExtractorBase):
    """Features that can be computed by hand: the mean of each channel."""

    def __init__(self, name: str, features_list: list[str], **options: object) -> None:
        super().__init__(name, features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("means",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "means"

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        return (pictures.float().mean((2, 3)) / 255,)


@pytest.fixture(scope="session")
def extractor() -> str:
    torch_fidelity.register_feature_extractor("mean-colors", MeanColors)
    return "mean-colors"


@pytest.fixture
def standins(monkeypatch: pytest.MonkeyPatch, extractor: str) -> None:
    monkeypatch.setattr(perceptual, "_EXTRACTOR", extractor)
    monkeypatch.setattr(perceptual, "load_lpips", lambda: lambda a, b: (a - b).abs().mean())


def colors(count: int) -> Iterator[tuple[Tensor, Tensor]]:
    for seed in range(count):
        lab = rgb_to_lab(torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)))
        yield lab[:, :1], lab[:, 1:]


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    root = np.linalg.svd(np.linalg.cholesky(np.cov(a.T)).T @ np.linalg.cholesky(np.cov(b.T)), compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T)) + np.trace(np.cov(b.T)) - 2 * root)


@pytest.mark.usefixtures("standins")
def test_fid_is_the_frechet_distance_of_features_and_lower_is_nearer(tmp_path: Path) -> None:
    pixels: dict[str, list[np.ndarray]] = {"original": [], "near": [], "gray": []}
    gathered = Perceptual(list(pixels), torch.device("cpu"), tmp_path)
    for L, ab in colors(60):
        of_row = {"original": ab, "near": 0.8 * ab, "gray": 0 * ab}
        gathered.add(L, of_row)
    for name, folder in gathered._folders.items():
        for path in sorted(folder.iterdir()):
            with Image.open(path) as image:
                pixels[name].append(np.asarray(image, np.float64).mean((0, 1)) / 255)
    found = gathered.metrics()
    for name in ("near", "gray"):
        expected = frechet(np.array(pixels[name]), np.array(pixels["original"]))
        assert found[name]["fid"] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert set(found) == {"near", "gray"}
    for figure in ("fid", "kid", "lpips"):
        assert found["near"][figure] < found["gray"][figure]


@pytest.mark.usefixtures("standins")
def test_a_comparison_says_them_of_every_row_and_warns_of_few_photos(
    photos: Path,
    tmp_path: Path,
    models: tuple[str, str],
    watching: Any,
    colored: Callable[[int], Image.Image],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crops = tmp_path / ("crops" * 20)  # longer than the path of a socket may be
    crops.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(crops))
    for seed in range(6, 52):
        colored(seed).save(photos / f"{seed}.png")
    options = CompareOptions(models=models[:1], size=32, examples=0, device="cpu", perceptual=True)
    found = compare([photos], tmp_path / "out", options, callbacks=watching)
    assert set(found.row("first").perceptual) == {"fid", "kid", "kid_std", "lpips"}
    assert found.row("gray").perceptual["fid"] > 0
    assert found.row("original").perceptual == {}
    assert any("use 2000" in note for note in found.notes)
    assert not any(crops.iterdir())
    for seed in range(3):
        colored(seed).convert("L").save(photos / f"{seed}.png")
    again = compare([photos], tmp_path / "out", replace(options, overwrite=True), callbacks=watching)
    assert again.row("first").perceptual == {}
    assert any("left out: 49 photos" in note for note in again.notes)


def test_too_few_photos_are_refused_before_anything_is_computed(
    photos: Path, tmp_path: Path, models: tuple[str, str], watching: Any
) -> None:
    options = CompareOptions(models=models, size=32, device="cpu", perceptual=True)
    with pytest.raises(UsageError, match="under 50"):
        compare([photos], tmp_path / "out", options, callbacks=watching)


def test_enough_photos_need_no_words() -> None:
    assert notes_on_perceptual(2000) == []


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"colorgan\[metrics\]"):
        check_perceptual(100)


def test_offline_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="COLORGAN_OFFLINE"):
        perceptual.load_lpips()


def test_an_inception_that_cannot_be_had_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(perceptual, "load_lpips", lambda: lambda a, b: (a - b).abs().mean())
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    gathered = Perceptual(["gray", "original"], torch.device("cpu"), tmp_path)
    for L, ab in colors(50):
        gathered.add(L, {"gray": 0 * ab, "original": ab})
    with pytest.raises(WeightsError, match="Inception"):
        gathered.metrics()
