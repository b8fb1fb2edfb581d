"""Published weights by name: fetched from a real server on this machine, converted, kept."""

import dataclasses
import hashlib
import io
import os
import subprocess
import sys

import pytest
import torch
from PIL import Image
from processes import DEADLINE_S
from safetensors import safe_open

from colorgan.cli.app import main
from colorgan.errors import OutputError, WeightsError
from colorgan.models import loading, registry
from colorgan.models.loading import load_model, load_vgg19, save_model
from colorgan.models.registry import available_models, install_model
from colorgan.networks.vgg19 import VGG19
from colorgan.training.finetune_task import FINETUNE
from colorgan.training.options import FinetuneOptions

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("COLORGAN_CACHE", str(folder))
    return folder


def saved(tensors):
    """Return the bytes of a file by `torch.save`."""
    buffer = io.BytesIO()
    torch.save(dict(tensors), buffer)
    return buffer.getvalue()


def publish(web, published, content):
    """Return the published file with other content, served by the test's server."""
    web.files["/x.pth"] = content
    sha256 = hashlib.sha256(content).hexdigest()
    return dataclasses.replace(published, addresses=(web.address("/x.pth"),), sha256=sha256)


@pytest.fixture
def eccv16_online(web, standin_eccv16, monkeypatch):
    row = registry.NAMED_MODELS["eccv16"]
    file = publish(web, row.published.file, saved(standin_eccv16))
    named = dataclasses.replace(row, published=dataclasses.replace(row.published, file=file))
    monkeypatch.setitem(registry.NAMED_MODELS, "eccv16", named)


@pytest.fixture
def siggraph17_online(web, standin_siggraph17, monkeypatch):
    row = registry.NAMED_MODELS["siggraph17"]
    file = publish(web, row.published.file, saved(standin_siggraph17))
    named = dataclasses.replace(row, published=dataclasses.replace(row.published, file=file))
    monkeypatch.setitem(registry.NAMED_MODELS, "siggraph17", named)


@pytest.fixture
def small_online(web, small_network, model_info, monkeypatch):
    """A small published network in place of ECCV16."""
    row = registry.NAMED_MODELS["eccv16"]
    file = publish(web, row.published.file, saved(small_network.state_dict()))
    published = registry.PublishedModel(file, model_info)
    monkeypatch.setitem(registry.NAMED_MODELS, "eccv16", dataclasses.replace(row, published=published))


@pytest.fixture(scope="module")
def standin_vgg19():
    """The tensors of a whole VGG19 under torchvision's names: random if they are used, small otherwise."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tensors = VGG19().state_dict()
    return {**tensors, "features.25.weight": torch.zeros(4, 4, 3, 3), "classifier.6.bias": torch.zeros(5)}


@pytest.fixture
def vgg19_online(web, standin_vgg19, monkeypatch):
    file = publish(web, registry.published_vgg19(), saved(standin_vgg19))
    monkeypatch.setattr(loading, "published_vgg19", lambda: file)


def test_eccv16_is_fetched_on_its_first_use_converted_and_kept(web, cache, eccv16_online, standin_eccv16):
    assert "eccv16" not in available_models()
    model = load_model("eccv16", CPU)
    assert torch.equal(model.generator.state_dict()["model8.6.weight"], standin_eccv16["model8.6.weight"])
    assert "eccv16" in available_models()
    with safe_open(cache / "eccv16.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata["licence"] == "BSD-2-Clause"
    assert "https://colorizers.s3.us-east-2.amazonaws.com/colorization_release_v2-9b330a0b.pth" in metadata["made_by"]
    again = load_model("eccv16", CPU)
    assert again.info == model.info
    assert len(web.requests) == 1
    assert {path.suffix for path in cache.iterdir()} <= {".safetensors", ".lock"}


def test_siggraph17_is_fetched_without_the_part_that_it_does_not_use(web, cache, siggraph17_online, standin_siggraph17):
    model = load_model("siggraph17", CPU)
    assert (model.info.name, model.info.license) == ("siggraph17", "BSD-2-Clause")
    state = model.generator.state_dict()
    assert torch.equal(state["model10.1.weight"], standin_siggraph17["model10.1.weight"])
    assert not any(name.startswith("model_class") for name in state)
    assert load_model("siggraph17", CPU).info == model.info
    assert len(web.requests) == 1


def test_the_published_siggraph17_is_known_by_its_tensors(tmp_path, web, standin_siggraph17):
    path = tmp_path / "downloaded.pth"
    path.write_bytes(saved(standin_siggraph17))
    assert load_model(str(path), CPU).info.name == "siggraph17"


def test_a_fetched_model_is_reported_on_its_way(small_online):
    seen = []
    load_model("eccv16", CPU, lambda *numbers: seen.append(numbers))
    assert seen
    assert seen[-1][0] == seen[-1][1]


def test_the_bundled_model_and_ones_own_are_never_fetched(web, tmp_path, small_network, model_info):
    load_model("compact", CPU)
    save_model(tmp_path / "own.safetensors", small_network, model_info)
    install_model("finetuned", tmp_path / "own.safetensors")
    load_model("finetuned", CPU)
    assert web.requests == []


def test_the_right_hash_over_the_wrong_content_is_refused_and_nothing_is_kept(web, cache, small_online, monkeypatch):
    row = registry.NAMED_MODELS["eccv16"]
    file = publish(web, row.published.file, saved({"a": torch.zeros(2)}))
    published = dataclasses.replace(row.published, file=file)
    monkeypatch.setitem(registry.NAMED_MODELS, "eccv16", dataclasses.replace(row, published=published))
    with pytest.raises(WeightsError, match="its tensors differ from those of liteunet"):
        load_model("eccv16", CPU)
    assert "eccv16" not in available_models()


def test_a_full_disk_while_converting_is_said_and_the_download_is_not_lost(web, cache, small_online, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.replace", full)
        with pytest.raises(OutputError, match="no space left on device"):
            load_model("eccv16", CPU)
    assert "eccv16" not in available_models()
    load_model("eccv16", CPU)
    assert len(web.requests) == 1


@pytest.mark.parametrize("name", ["eccv16", "siggraph17"])
def test_offline_a_published_model_is_asked_for_with_the_ways_out(monkeypatch, name):
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    with pytest.raises(WeightsError) as caught:
        load_model(name, CPU)
    assert caught.value.exit_code == 4
    assert "COLORGAN_OFFLINE" in caught.value.found
    assert "give its path instead of the name" in caught.value.advice
    assert "compact, which is bundled" in caught.value.advice


def test_the_table_asks_the_publishers_for_the_published_files():
    for row in registry.NAMED_MODELS.values():
        if row.published:
            first, mirror = row.published.file.addresses
            assert first.startswith("https://colorizers.s3.us-east-2.amazonaws.com/")
            assert mirror.startswith("https://github.com/clibdev/colorization/releases/latest/download/")
            assert len(row.published.file.sha256) == 64
            # The name has the first digits of the hash too.
            assert first.endswith(f"-{row.published.file.sha256[:8]}.pth")


def test_vgg19_is_fetched_cut_and_kept(web, cache, vgg19_online, standin_vgg19):
    network = load_vgg19(None, CPU)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(tensor, standin_vgg19[name]) for name, tensor in network.state_dict().items())
    again = load_vgg19(None, CPU)
    rgb = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(rgb), again(rgb))
    assert len(web.requests) == 1
    with safe_open(cache / "vgg19.safetensors", framework="pt") as file:
        assert set(file.keys()) == set(network.state_dict())
        assert file.metadata()["licence"] == "BSD-3-Clause"
    assert "vgg19" not in available_models()


def test_a_local_vgg19_is_taken_whole_or_cut(web, tmp_path, cache, vgg19_online, standin_vgg19):
    (tmp_path / "vgg19-dcbb9e9d.pth").write_bytes(web.files["/x.pth"])
    whole = load_vgg19(tmp_path / "vgg19-dcbb9e9d.pth", CPU).state_dict()
    assert web.requests == []
    load_vgg19(None, CPU)
    cut = load_vgg19((cache / "vgg19.safetensors").rename(tmp_path / "cut.safetensors"), CPU).state_dict()
    assert all(torch.equal(whole[name], standin_vgg19[name]) for name in whole)
    assert all(torch.equal(cut[name], standin_vgg19[name]) for name in whole)


def test_another_file_than_vgg19_is_refused(tmp_path, small_network, model_info, standin_vgg19):
    path = tmp_path / "model.safetensors"
    save_model(path, small_network, model_info)
    with pytest.raises(WeightsError, match="its tensors differ from those of vgg19"):
        load_vgg19(path, CPU)
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(saved({**standin_vgg19, "features.0.bias": torch.full((64,), float("nan"))}))
    with pytest.raises(WeightsError, match=r"features\.0\.bias contains NaN or infinity"):
        load_vgg19(damaged, CPU)


def test_a_cut_vgg19_that_was_changed_is_refused(cache, vgg19_online):
    load_vgg19(None, CPU)
    content = bytearray((cache / "vgg19.safetensors").read_bytes())
    content[-1] ^= 1
    (cache / "vgg19.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="does not match its own SHA-256"):
        load_vgg19(None, CPU)


def test_vgg19_comes_from_where_torchvision_says_under_the_hash_that_its_name_begins():
    pytest.importorskip("torchvision")
    published = registry.published_vgg19()
    assert published.addresses == ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",)
    assert published.sha256 == "dcbb9e9d"


def test_offline_without_vgg19_the_error_names_the_ways_out(monkeypatch):
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    with pytest.raises(WeightsError, match="COLORGAN_OFFLINE") as caught:
        load_vgg19(None, CPU)
    assert "its path as `vgg_weights`" in caught.value.advice
    assert "with `lambda_perceptual=0`" in caught.value.advice


def run(monkeypatch, *arguments):
    """Run a command in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["colorgan", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        main()
    return left.value.code


def test_colorize_fetches_a_model_by_its_name_and_then_needs_no_network(
    web, tmp_path, small_online, monkeypatch, capsys
):
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    Image.new("L", (20, 30), 99).save(photo)
    command = ("colorize", photo, "-o", out, "--model", "eccv16", "--device", "cpu")
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    assert run(monkeypatch, *command) == 4
    assert "give its path instead of the name" in capsys.readouterr().err
    monkeypatch.setenv("COLORGAN_OFFLINE", "0")
    assert run(monkeypatch, *command) == 0
    assert "Downloading eccv16" in capsys.readouterr().err
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    assert run(monkeypatch, *command, "--overwrite") == 0
    assert "Downloading" not in capsys.readouterr().err
    assert len(web.requests) == 1
    assert (out / "photo.png").exists()


def test_a_training_fetches_the_model_that_it_starts_from(web, small_online, small_network):
    seen = []
    generator, _ = FINETUNE.load(FinetuneOptions(start="eccv16"), CPU, lambda *numbers: seen.append(numbers))
    assert seen[-1] == ("eccv16", len(web.files["/x.pth"]), len(web.files["/x.pth"]))
    assert all(torch.equal(tensor, small_network.state_dict()[name]) for name, tensor in generator.state_dict().items())


WITHOUT_SOCKETS = """
import sys
import torch
from colorgan.models import loading
from colorgan.errors import WeightsError

def forbid(event, arguments):
    if event.startswith("socket."):
        raise RuntimeError(f"{event} {arguments}")

sys.addaudithook(forbid)
cpu = torch.device("cpu")
loading.load_model("compact", cpu)
for load in (lambda: loading.load_model("eccv16", cpu), lambda: loading.load_vgg19(None, cpu)):
    try:
        load()
    except WeightsError as error:
        print(error.found)
"""


@pytest.mark.parametrize("offline", ["1", "0"])
def test_offline_opens_no_socket(cache, offline):
    environment = {**os.environ, "COLORGAN_OFFLINE": offline}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SOCKETS],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    if offline == "1":
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("COLORGAN_OFFLINE") == 2
    else:  # so that the check can fail
        assert "RuntimeError: socket." in done.stderr
