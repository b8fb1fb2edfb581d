"""Small photos, two small models, and a comparison of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_networks import small_liteunet

from colorgan.callbacks import Callbacks
from colorgan.models.info import ModelInfo
from colorgan.models.loading import save_model


class Watching(Callbacks):
    """Records its calls."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.progress: list[tuple[int, int]] = []
        self.signal: int | None = None

    def on_progress(self, done: int, total: int) -> None:
        self.progress.append((done, total))

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)

    def should_stop(self) -> int | None:
        return self.signal


@pytest.fixture
def watching() -> Watching:
    return Watching()


def draw_blocks(seed: int, height: int = 40, width: int = 56) -> Image.Image:
    """Return an image of color blocks with some texture."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 256, (4, 4, 3)).repeat(16, 0).repeat(16, 1)[:height, :width]
    return Image.fromarray(np.clip(blocks + random.normal(0, 8, blocks.shape), 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def colored() -> Callable[..., Image.Image]:
    """A function that draws a color photo by its seed."""
    return draw_blocks


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six color photos, as PNG."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(6):
        draw_blocks(seed).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two weights files of small networks that predict different colors, in folders as of training runs."""
    paths = []
    for seed, name in enumerate(("first", "second")):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = small_liteunet()
            for module in network.modules():
                if isinstance(module, torch.nn.Conv2d):
                    torch.nn.init.normal_(module.weight, std=0.4)
        path = tmp_path_factory.mktemp("runs") / name / "weights" / "best.safetensors"
        path.parent.mkdir(parents=True)
        info = ModelInfo(
            name=name,
            network="liteunet",
            options={},
            stage="scratch",
            license="MIT",
            made_by="the tests",
            trained_on="nothing",
            figures={},
            render_size=16,
            temperature=0.2 if seed else 1.0,
        )
        save_model(path, network.eval(), info)
        paths.append(str(path))
    return paths[0], paths[1]
