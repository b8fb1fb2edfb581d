"""DDColor by its file: a small one with random weights, as spandrel builds it."""

import copy
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from processes import DEADLINE_S
from safetensors.torch import save_file

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.color.lab import lab_to_rgb, rgb_to_lab
from colorgan.colorize.colorizer import Colorizer
from colorgan.errors import UsageError, WeightsError
from colorgan.models.loading import load_model
from colorgan.training import launch
from colorgan.training.finetune_task import FINETUNE
from colorgan.training.options import FinetuneOptions

CPU = torch.device("cpu")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    extra_arches = pytest.importorskip("spandrel_extra_arches", reason="needs the extra peers")


@pytest.fixture(scope="module")
def tensors():
    """The smallest DDColor that its encoder allows: 40 million weights."""
    architecture = extra_arches.EXTRA_REGISTRY.get("DDColor").architecture
    module = sys.modules[type(architecture).__module__]
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        network = module.DDColor(
            encoder_name="convnext-t", num_output_channels=2, last_norm="Spectral", num_queries=4, dec_layers=1
        )
        with torch.no_grad():
            for _ in range(10):  # until its spectral norms have converged
                network.train()(torch.rand(1, 3, 64, 64))
            strength = 20 / network.eval().decoder().std()  # so that there are colors, and within reach
            for parameter in network.decoder.color_decoder.color_embed.layers[2].parameters():
                parameter.mul_(strength)
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


@pytest.fixture(scope="module")
def ddcolor(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("peers") / "ddcolor_tiny.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def model(ddcolor):
    return load_model(str(ddcolor), CPU)


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        load_model(str(path), CPU)
    return caught.value


def test_a_ddcolor_is_a_model_like_any_other(model):
    info = model.info
    assert (info.name, info.network, info.render_size) == ("ddcolor_tiny", "ddcolor", 512)
    assert info.license == "unknown: see where the file came from"
    L = torch.rand(2, 1, 33, 50) * 100
    with torch.inference_mode():
        both, second = model.generator(L), model.generator(L[1:])
    assert both.ab.shape == (2, 2, 33, 50)
    assert both.logits is None
    assert both.ab.std() > 1
    assert torch.allclose(both.ab[1:], second.ab, atol=1e-3)
    with torch.inference_mode():
        copied = copy.deepcopy(model.generator)  # as for another device
        assert torch.allclose(copied(L).ab, both.ab, atol=1e-3)


def test_it_gives_what_spandrel_gives(model, tensors):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = extra_arches.EXTRA_REGISTRY.get("DDColor").architecture.load(dict(tensors)).eval()
    gray = torch.linspace(0.02, 0.98, 256).expand(1, 1, 256, 256).contiguous()
    L = rgb_to_lab(gray.expand(1, 3, 256, 256))[:, :1]
    with torch.inference_mode():
        ab, raw, expected = model.generator(L).ab, theirs.model(gray.expand(1, 3, 256, 256)), theirs(gray)
    assert (ab - raw).abs().mean() < 1e-3 * raw.abs().mean()
    # Their color maths rounds its constants, and cuts colors beyond the gamut elsewhere.
    found = lab_to_rgb(torch.cat([L, ab], dim=1))
    assert (found - expected).abs().mean() < 0.1 * (expected - gray).abs().mean()


def test_a_photo_is_colored_by_it_like_any_other(ddcolor):
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 48), dtype=np.uint8))
    found = np.asarray(Colorizer.load(str(ddcolor), device="cpu").colorize(photo, render_size=32))
    assert found.shape == (40, 48, 3)
    assert (found.max(axis=2) != found.min(axis=2)).any()


def test_it_is_not_trained_here(ddcolor):
    options = FinetuneOptions(start=str(ddcolor))
    with pytest.raises(UsageError, match="a network that can be trained"):
        launch._initial_network(FINETUNE, options, None, CPU, StopCheck(Callbacks(), "again"))


def test_loading_draws_no_random_numbers(ddcolor):
    before = torch.random.get_rng_state()
    load_model(str(ddcolor), CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_published_pth_with_its_tensors_under_a_name_is_read(tmp_path, tensors):
    path = tmp_path / "ddcolor_paper_tiny.pth"
    torch.save({"params": tensors}, path)
    found = load_model(str(path), CPU)
    assert found.info.network == "ddcolor"


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("mean", torch.full((1, 3, 1, 1), float("nan")), "mean contains NaN or infinity"),
        ("mean", torch.zeros(1, 5, 1, 1), "not a DDColor that spandrel can load"),
        ("refine_net.0.0.weight_orig", torch.zeros(2, 10**6, 1, 1), "larger than any DDColor's"),
        ("encoder.arch.stages.0.99.gamma", torch.zeros(96), "larger than any DDColor's"),
        ("mean", torch.zeros(()).expand(9000, 9000, 9000), "fewer values than its shape has"),
        ("mean", torch.zeros(1, 3, 1, 1, dtype=torch.complex64), "mean as"),
    ],
)
def test_a_damaged_or_hostile_ddcolor_is_refused_with_the_reason(tmp_path, tensors, name, tensor, words):
    path = tmp_path / "model.pth"
    torch.save({key: value[:1] if value.ndim else value for key, value in tensors.items()} | {name: tensor}, path)
    assert words in refusal(path).found


def test_another_network_is_refused_with_what_can_be_read(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"conv_first.weight": torch.zeros(4, 3, 3, 3)}, path)
    error = refusal(path)
    assert error.found == "tensors of no known network (such as 'conv_first.weight')"
    assert "DDColor" in error.advice


WITHOUT_THE_EXTRA = """
import sys
import torch
sys.modules["spandrel_extra_arches"] = None  # importing it fails
from colorgan.models.loading import load_model
load_model(sys.argv[1], torch.device("cpu"))
print("loaded")
load_model(sys.argv[2], torch.device("cpu"))
"""


def test_without_the_extra_our_files_load_and_for_others_the_error_names_it(tmp_path, tiny_model):
    foreign = tmp_path / "model.safetensors"
    save_file({"conv_first.weight": torch.zeros(4, 3, 3, 3)}, foreign)
    command = [sys.executable, "-c", WITHOUT_THE_EXTRA, str(tiny_model), str(foreign)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.stdout == "loaded\n"
    assert 'pip install "colorgan[peers]"' in done.stderr
