"""ONNX files of models, as another program meets them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import small_liteunet

from colorgan.errors import OutputError, UsageError
from colorgan.models.info import ModelInfo
from colorgan.models.loading import Model
from colorgan.models.onnx_export import export_onnx

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="the extra onnx is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:onnxscript", "ignore::DeprecationWarning:torch.onnx"),
]


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    network = small_liteunet().eval()
    with torch.no_grad():
        network.head.bins.weight.mul_(20)  # so that colors differ from place to place
    return Model(network, ModelInfo("tiny", "liteunet", network.options, "finetune", "MIT", "a test", "-", {}, 64, 0.5))


@pytest.fixture(scope="module")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "folder" / "tiny.onnx")


def session(file: Path):
    import onnxruntime

    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    ("batch", "height", "width"), [(1, 64, 64), (3, 64, 96), (1, 160, 64), (2, 128, 128), (1, 96, 320)]
)
def test_it_gives_what_pytorch_gives_at_any_size(model: Model, file: Path, batch: int, height: int, width: int) -> None:
    L = torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(height)) * 100
    with torch.no_grad():
        wanted = model.generator(L, model.info.temperature)
    ab, logits = session(file).run(None, {"L": L.numpy()})
    assert wanted.logits is not None
    assert wanted.ab.std() > 1
    assert np.abs(ab - wanted.ab.numpy()).max() < 0.05
    assert np.abs(logits - wanted.logits.numpy()).max() < 1e-3


def test_its_metadata_say_what_it_is_and_how_its_numbers_are_scaled(file: Path) -> None:
    said = session(file).get_modelmeta().custom_metadata_map
    assert (said["name"], said["license"], said["render_size"], said["multiple"]) == ("tiny", "MIT", "64", "32")
    assert "0 to 100" in said["L"]
    assert "Lab units" in said["ab"]


def test_a_size_can_be_fixed(model: Model, tmp_path: Path) -> None:
    opened = session(export_onnx(model, tmp_path / "fixed.onnx", height=96, width=64))
    assert opened.get_inputs()[0].shape[1:] == [1, 96, 64]
    assert opened.run(None, {"L": np.full((1, 1, 96, 64), 50, np.float32)})[0].shape == (1, 2, 96, 64)


def test_the_model_that_was_exported_stays_as_it_was(model: Model, tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in model.generator.state_dict().items()}
    export_onnx(model, tmp_path / "model.onnx", height=64, width=64)
    after = model.generator.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("size", [{"height": 63}, {"width": 32}, {"width": 80}, {"height": 8192}])
def test_sizes_that_the_network_does_not_take_are_refused(model: Model, tmp_path: Path, size: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="32 divides") as refused:
        export_onnx(model, tmp_path / "wrong.onnx", **size)
    assert refused.value.parameter in size
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="an ONNX file at"):
        export_onnx(model, tmp_path / "file" / "model.onnx", height=64, width=64)


def test_without_the_extra_it_is_said_which(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="the extra onnx is not installed"):
        export_onnx(model, tmp_path / "model.onnx")
