import dataclasses
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from standins import standin_lite

from colorgan.errors import OutputError, UsageError, WeightsError
from colorgan.models import loading, registry
from colorgan.models.loading import build_network, load_encoder, load_model, save_model
from colorgan.models.registry import available_models, cache_folder, install_model
from colorgan.networks.liteunet import LiteUNet

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("COLORGAN_CACHE", str(folder))
    return folder


@pytest.fixture
def small_file(tmp_path, small_network, model_info):
    path = tmp_path / "small.safetensors"
    save_model(path, small_network, model_info)
    return path


def same_tensors(found, expected):
    found, expected = found.state_dict(), expected.state_dict()
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_saved_model_comes_back_bit_for_bit_and_ready_for_use(small_file, small_network, model_info):
    model = load_model(str(small_file), CPU)
    assert isinstance(model.generator, LiteUNet)
    assert same_tensors(model.generator, small_network)
    assert model.info == model_info
    assert not model.generator.training
    assert all(parameter.requires_grad for parameter in model.generator.parameters())
    L = torch.rand(1, 1, 9, 7) * 100
    assert torch.equal(model.generator(L).ab, small_network(L).ab)


def test_half_precision_halves_the_file_and_comes_back_as_float32(tmp_path, small_file, small_network, model_info):
    path = tmp_path / "half.safetensors"
    save_model(path, small_network, model_info, half=True)
    assert path.stat().st_size < 0.7 * small_file.stat().st_size  # the header stays
    loaded = load_model(str(path), CPU).generator.state_dict()
    for name, tensor in small_network.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor)


def test_the_same_model_is_always_the_same_bytes(tmp_path, small_file, small_network, model_info):
    again = tmp_path / "again.safetensors"
    save_model(again, small_network, model_info)
    assert again.read_bytes() == small_file.read_bytes()


def test_the_file_names_the_network_that_was_saved_whatever_the_description_says(tmp_path, small_network, model_info):
    path = tmp_path / "model.safetensors"
    save_model(path, small_network, dataclasses.replace(model_info, network="eccv16", options={}))
    info = load_model(str(path), CPU).info
    assert (info.network, info.options) == ("liteunet", small_network.options)


def test_a_description_with_control_characters_is_kept_harmless(tmp_path, small_network, model_info):
    path = tmp_path / "model.safetensors"
    save_model(path, small_network, dataclasses.replace(model_info, trained_on="a\x1b[31m\nb\udcffc é"))
    assert load_model(str(path), CPU).info.trained_on == "a?[31m?b?c é"


def test_loading_draws_no_random_numbers(small_file):
    before = torch.random.get_rng_state()
    load_model(str(small_file), CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", loading.NETWORKS)
def test_all_that_a_network_needs_is_in_its_state(name):
    with torch.device("meta"):
        network = build_network(name, {})
    held = {*dict(network.named_parameters()), *dict(network.named_buffers())}
    assert held == set(network.state_dict())
    assert network.network == name


def test_a_loaded_model_does_not_depend_on_its_file_any_more(small_file, small_network):
    model = load_model(str(small_file), CPU)
    small_file.write_bytes(bytes(small_file.stat().st_size))
    assert same_tensors(model.generator, small_network)


def test_the_published_pth_loads(tmp_path, standin_eccv16):
    path = tmp_path / "colorization_release_v2.PTH"
    torch.save(standin_eccv16, path, _use_new_zipfile_serialization=False)
    model = load_model(str(path), CPU)
    assert model.info.license == "BSD-2-Clause"
    assert model.info.stage == "published"
    assert torch.equal(model.generator.state_dict()["model8.6.weight"], standin_eccv16["model8.6.weight"])


def test_the_published_tensors_load_from_a_bare_safetensors_in_the_cache(cache, standin_eccv16):
    cache.mkdir()
    save_file(standin_eccv16, cache / "eccv16.safetensors", {"format": "pt"})
    model = load_model("eccv16", CPU)
    assert model.info.name == "eccv16"
    assert torch.equal(model.generator.state_dict()["model1.0.bias"], standin_eccv16["model1.0.bias"])


def test_the_cache_is_where_the_variable_says(tmp_path, cache, monkeypatch):
    assert cache_folder() == cache
    monkeypatch.setenv("COLORGAN_CACHE", "~/models")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_folder() == tmp_path / "models"
    monkeypatch.delenv("COLORGAN_CACHE")
    assert "colorgan" in str(cache_folder())


@pytest.mark.parametrize("name", ["finetuned", "gan"])
def test_a_remembered_run_can_be_named(name, small_file, small_network):
    assert name not in available_models()
    with pytest.raises(WeightsError, match=r"no file .*\. Finish a training run, which puts it there"):
        load_model(name, CPU)
    install_model(name, small_file)
    assert name in available_models()
    assert same_tensors(load_model(name, CPU).generator, small_network)


def test_a_newer_run_replaces_the_remembered_one(tmp_path, small_file, small_network, model_info):
    install_model("finetuned", small_file)
    save_model(tmp_path / "newer.safetensors", small_network, dataclasses.replace(model_info, name="newer"))
    install_model("finetuned", tmp_path / "newer.safetensors")
    assert load_model("finetuned", CPU).info.name == "newer"


def test_a_missing_bundled_file_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_ASSETS", tmp_path)
    with pytest.raises(WeightsError, match=r"weights of compact: no file .* Install colorgan again"):
        load_model("compact", CPU)


def test_a_misspelt_name_is_wrong_usage_and_names_the_likely_one():
    with pytest.raises(UsageError, match=r"'eccv-16' is neither a name nor a file\. Did you mean eccv16\?") as caught:
        load_model("eccv-16", CPU)
    assert caught.value.exit_code == 2


def test_a_name_like_no_other_gets_the_list_of_names():
    with pytest.raises(UsageError) as caught:
        load_model("zzzz", CPU)
    assert caught.value.advice.startswith("Give compact, compact-gan, eccv16, siggraph17, finetuned, gan, or")


@pytest.mark.parametrize("name", ["", "x" * 5000, "\0", "no/such/folder"])
def test_odd_names_are_wrong_usage_too(name):
    with pytest.raises((UsageError, WeightsError)):
        load_model(name, CPU)


def test_an_unknown_network_is_wrong_usage():
    with pytest.raises(UsageError, match=r"'resnet'\. Choose eccv16, siggraph17, liteunet"):
        build_network("resnet", {})


@pytest.mark.parametrize(
    "options",
    [
        {"widths": [4, 4, 4]},
        {"channels": [4, 4]},
        {"channels": [0, 0, 0], "blocks": [0, 0, 0]},
        {"channels": [10**9, 4, 4]},
        {"channels": [-1, 4, 4]},
        {"channels": [4.0, 4, 4]},
        {"channels": [True, 4, 4]},
        {"channels": ["4", 4, 4]},
        {"channels": [4] * 9, "blocks": [0] * 9},
        {"channels": None},
        {"channels": 4},
    ],
)
def test_options_that_are_not_the_networks_are_refused_before_anything_is_built(options):
    with pytest.raises(UsageError, match="options of the network liteunet"):
        build_network("liteunet", options)


def test_a_variance_too_large_for_half_precision_stays_as_it_is(tmp_path, small_network, model_info):
    path = tmp_path / "half.safetensors"
    variances = [name for name, _ in small_network.named_buffers() if name.endswith("running_var")]
    small_network.get_buffer(variances[-1]).fill_(1e5)
    save_model(path, small_network, model_info, half=True)
    stored = load_file(path)
    floats = {name: tensor.dtype for name, tensor in stored.items() if tensor.is_floating_point()}
    assert [name for name, dtype in floats.items() if dtype != torch.float16] == variances[-1:]
    loaded = load_model(str(path), CPU).generator.state_dict()
    assert torch.equal(loaded[variances[-1]], small_network.get_buffer(variances[-1]))
    assert all(loaded[name].dtype == torch.float32 for name in floats)


def test_a_place_that_cannot_be_written_is_said_in_words(tmp_path, small_file, small_network, model_info, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    before = small_file.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OutputError, match="no space left on device"):
        save_model(small_file, small_network, model_info)
    with pytest.raises(OutputError, match="no space left on device"):
        install_model("gan", small_file)
    assert small_file.read_bytes() == before
    assert "gan" not in available_models()
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.endswith(".tmp")]


class Hostile:
    """An object that creates a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("made-by-the-file",)


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_a_published_encoder_comes_with_what_is_to_be_said_of_it(tmp_path, name):
    torch.save(standin_lite(name), tmp_path / "published.pth")
    encoder, info = load_encoder(tmp_path / "published.pth")
    assert info.license.startswith("Apache-2.0")
    assert "ImageNet" in info.trained_on
    assert info.network == "liteunet"
    assert build_network(info.network, info.options).encoder.shape == encoder.shape


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"model_out.weight": torch.zeros(2, 313, 1, 1)}, "its tensors are not those of lite0, lite1, lite2"),
        (standin_lite() | {"_blocks.2._bn2.running_var": torch.full((24,), torch.inf)}, "NaN or infinity"),
        (standin_lite() | {"_blocks.2._bn2.running_var": torch.zeros(25)}, "are not those of"),
        (standin_lite() | {"epoch": 3}, "not a dict of tensors"),
        ({"weights": Hostile()}, "not a torch.save file of plain tensors"),
        (None, "no such file"),
    ],
)
def test_another_file_than_a_published_encoder_is_refused(tmp_path, monkeypatch, content, found):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        torch.save(content, "published.pth")
    with pytest.raises(WeightsError, match=r"published\.pth") as refused:
        load_encoder(Path("published.pth"))
    assert found in refused.value.found
    assert refused.value.exit_code == 4
    assert not Path("made-by-the-file").exists()
