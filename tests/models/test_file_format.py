import ast
import io
import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file
from small_networks import SMALL, small_liteunet

import colorgan
from colorgan.errors import WeightsError
from colorgan.models.file_format import digest, read_tensors
from colorgan.models.info import ModelInfo
from colorgan.models.loading import load_model, save_model

CPU = torch.device("cpu")


@pytest.fixture
def small_file(tmp_path, small_network, model_info):
    path = tmp_path / "small.safetensors"
    save_model(path, small_network, model_info)
    return path


def refusal(path):
    """Return the message for a file that must not load."""
    with pytest.raises(WeightsError) as caught:
        load_model(str(path), CPU)
    assert str(path) in caught.value.expected
    assert caught.value.advice
    assert caught.value.exit_code == 4
    return caught.value.found


def rewrite(path, change_metadata=None, change_tensors=None, signed=True):
    """Rewrite a file with other content and the matching digest."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    if signed:
        del metadata["sha256"]
    metadata |= change_metadata or {}
    tensors |= change_tensors or {}
    metadata = {key: text for key, text in metadata.items() if text is not None}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    save_file(tensors, path, {**metadata, "sha256": digest(metadata, tensors)} if signed else metadata)


def test_a_file_says_in_its_metadata_all_that_the_design_promises(small_file):
    with safe_open(small_file, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["colorgan_format"] == "1"
    assert metadata["network"] == "liteunet"
    assert json.loads(metadata["options"]) == SMALL
    assert metadata["licence"] == "MIT"
    assert metadata["made_by"] == "colorgan 1.2.3"
    assert json.loads(metadata["figures"])["auc"] == 88.25


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.safetensors"
    path.touch()
    assert refusal(path) == "an empty file"


def test_a_folder_is_refused(tmp_path):
    assert refusal(tmp_path) == "a folder"
    (tmp_path / "folder.safetensors").mkdir()
    assert refusal(tmp_path / "folder.safetensors") == "a folder"


def test_a_missing_file_is_refused(tmp_path):
    assert refusal(tmp_path / "none.safetensors") == os.strerror(2).lower()


def test_a_file_of_another_ending_is_refused(small_file):
    renamed = small_file.rename(small_file.with_suffix(".ckpt"))
    assert refusal(renamed) == "a name ending in '.ckpt'"


@pytest.mark.parametrize("kept", [3, 8, 300, 0.5, 0.999])
def test_a_truncated_file_is_refused(small_file, kept):
    whole = small_file.read_bytes()
    small_file.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else kept])
    assert refusal(small_file).startswith("not a readable safetensors file")


def test_a_file_with_something_behind_its_end_is_refused(small_file):
    small_file.write_bytes(small_file.read_bytes() + b"more")
    assert refusal(small_file).startswith("not a readable safetensors file")


def test_an_oversized_header_is_refused(small_file):
    small_file.write_bytes((1 << 60).to_bytes(8, "little") + small_file.read_bytes()[8:])
    assert "header too large" in refusal(small_file)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_disguised_as_safetensors_is_refused(tmp_path, zipped):
    path = tmp_path / "disguised.safetensors"
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=zipped)
    assert refusal(path) == "a pickle by torch.save, not safetensors"


class Bomb:
    """An object whose unpickling would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_holds_code_is_refused_and_runs_none(tmp_path, zipped):
    path, trace = tmp_path / "model.pth", tmp_path / "trace"
    torch.save({"model1.0.weight": Bomb(trace)}, path, _use_new_zipfile_serialization=zipped)
    assert refusal(path) == "not a torch.save file of plain tensors (UnpicklingError)"
    assert not trace.exists()


def test_safetensors_renamed_to_pth_are_refused(small_file):
    renamed = small_file.rename(small_file.with_suffix(".pth"))
    assert refusal(renamed).startswith("not a torch.save file of plain tensors")


@pytest.mark.parametrize("content", [[1, 2], {"weights": {}, "epoch": 3}, {"params": {"a": [1]}}, torch.zeros(3)])
def test_a_pth_that_is_no_table_of_tensors_is_refused(tmp_path, content):
    path = tmp_path / "model.pth"
    torch.save(content, path)
    assert refusal(path).endswith("that is not a dict of tensors")


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"layer1.0.conv1.weight": torch.zeros(3)}, path)
    found = refusal(path)
    assert found == "tensors of no known network (such as 'layer1.0.conv1.weight')"


def test_published_weights_with_other_tensors_are_refused_by_name(tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"layer1.0.conv1.weight": torch.zeros(3), "model_out.weight": torch.zeros(2, 313, 1, 1)}, path)
    found = refusal(path)
    assert "81 missing (such as 'model1.0.weight')" in found
    assert "1 foreign (such as 'layer1.0.conv1.weight')" in found


@pytest.mark.parametrize(
    "odd",
    [
        torch.sparse_coo_tensor(
            torch.zeros(4, 1, dtype=torch.long), torch.ones(1), (64, 1, 3, 3), check_invariants=True
        ),
        torch.zeros(64, 1, 3, 3, dtype=torch.complex64),
        torch.zeros(64, 1, 3, 3, dtype=torch.int64),
        torch.zeros(64, 1, 3, 3, device="meta"),
        torch.zeros(1).expand(10**6, 10**6),
    ],
)
def test_a_pth_with_odd_tensors_is_refused(tmp_path, standin_eccv16, odd):
    small = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in standin_eccv16.items()}
    path = tmp_path / "model.pth"
    torch.save({**small, "model1.0.weight": odd}, path)
    assert refusal(path).startswith("model1.0.weight ")


def test_weights_of_a_pth_are_contiguous_whatever_strides_it_has(tmp_path, standin_eccv16):
    path = tmp_path / "model.pth"
    last = {name: t.to(memory_format=torch.channels_last) for name, t in standin_eccv16.items() if t.dim() == 4}
    torch.save({**standin_eccv16, **last}, path)
    loaded = load_model(str(path), CPU).generator.state_dict()
    assert all(tensor.stride() == torch.empty(tensor.shape).stride() for tensor in loaded.values())
    assert all(torch.equal(loaded[name], tensor) for name, tensor in last.items())


def test_renamed_tensors_are_refused_by_name(small_file):
    rewrite(small_file, change_tensors={"context.squeeze.bias": None, "context.squeezed.bias": torch.zeros(4)})
    found = refusal(small_file)
    assert "1 missing (such as 'context.squeeze.bias')" in found
    assert "1 foreign (such as 'context.squeezed.bias')" in found


@pytest.mark.parametrize("shape", [(3,), (1, 4), (0,)])
def test_a_wrong_shape_is_refused_with_both_shapes(small_file, shape):
    rewrite(small_file, change_tensors={"context.squeeze.bias": torch.zeros(shape)})
    assert refusal(small_file) == f"context.squeeze.bias of the shape {shape}, but liteunet has (4,)"


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.float8_e4m3fn, torch.bool])
def test_a_wrong_kind_of_number_is_refused(small_file, dtype):
    rewrite(small_file, change_tensors={"context.squeeze.bias": torch.zeros(4, dtype=dtype)})
    assert str(dtype) in refusal(small_file)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("half", [True, False])
def test_weights_that_are_no_numbers_are_refused(small_file, value, half):
    bias = torch.tensor([0.0, value, 0.0, 0.0])
    rewrite(small_file, change_tensors={"context.squeeze.bias": bias.half() if half else bias})
    assert refusal(small_file) == "context.squeeze.bias contains NaN or infinity"


def test_one_changed_weight_is_noticed(small_file):
    rewrite(small_file, change_tensors={"context.squeeze.bias": torch.zeros(4)}, signed=False)
    assert refusal(small_file) == "its content does not match its own SHA-256"


def test_one_changed_word_of_the_description_is_noticed(small_file):
    rewrite(small_file, {"licence": "public domain"}, signed=False)
    assert refusal(small_file) == "its content does not match its own SHA-256"


@pytest.mark.parametrize("field", ["name", "network", "options", "figures", "render_size", "temperature"])
def test_a_missing_field_is_named(small_file, field):
    rewrite(small_file, {field: None})
    assert refusal(small_file) == f"its description lacks {field!r}"


def test_metrics_of_an_older_file_have_the_names_that_they_bear_now(small_file):
    rewrite(small_file, {"figures": '{"auc": 88.0, "spill": 40.0, "grey_chroma": 2.5}'})
    assert load_model(str(small_file), CPU).info.figures == {"auc": 88.0, "color_bleeding": 40.0, "gray_chroma": 2.5}


def test_a_file_from_before_models_spoke_of_edges_loads(small_file):
    rewrite(small_file, {"edges": None})
    assert not load_model(str(small_file), CPU).info.edges


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("options", "["),
        ("options", "[]"),
        ("options", "[" * 100_000),
        ("figures", '{"auc": "high\x1b[2J"}'),
        ("figures", '{"auc": [1]}'),
        ("render_size", "0"),
        ("render_size", "1e3"),
        ("render_size", "9" * 10_000),
        ("temperature", "0"),
        ("temperature", "NaN"),
        ("temperature", "Infinity"),
        ("edges", "perhaps"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(small_file, field, text):
    rewrite(small_file, {field: text})
    found = refusal(small_file)
    assert found.startswith(f"{field} is ")
    assert found.isprintable()


def test_a_newer_format_asks_for_a_newer_colorgan(small_file):
    rewrite(small_file, {"colorgan_format": "2"})
    assert refusal(small_file) == "format '2', but this colorgan reads 1"


@pytest.mark.parametrize("network", ["imaginary", "compact"])  # the latter was one before the third edition
def test_an_unknown_network_is_refused(small_file, network):
    rewrite(small_file, {"network": network})
    assert refusal(small_file) == f"an unknown network, {network!r}"


@pytest.mark.parametrize(
    "options",
    [
        {"channels": [10**9] * 3, "blocks": [0] * 3},
        {"encoder_channels": [1024] * 7, "encoder_repeats": [4] * 7, "channels": [1024] * 3, "blocks": [4] * 3},
        {"device": "cuda"},
        {"\x1b[2J": 1},
        {},
    ],
)
def test_hostile_options_build_nothing(small_file, options):
    rewrite(small_file, {"options": json.dumps(options)})
    found = refusal(small_file)
    assert (
        "options of the network liteunet" in found
        or "its tensors differ from those of liteunet" in found
        or "shape" in found
    )
    assert found.isprintable()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "small.safetensors"
    info = ModelInfo("small", "liteunet", {}, "scratch", "MIT", "colorgan 1.2.3", "nothing", {"auc": 88.25}, 96, 0.38)
    save_model(path, small_liteunet(), info)
    return path, load_model(str(path), CPU)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutated_bytes_give_a_documented_error_or_the_right_model(whole, data):
    whole_file, expected = whole
    content = whole_file.read_bytes()
    header_end = 8 + int.from_bytes(content[:8], "little")
    mutated = bytearray(content)
    where = st.one_of(st.integers(0, 7), st.integers(8, header_end - 1), st.integers(0, len(content) - 1))
    for position, value in data.draw(st.lists(st.tuples(where, st.integers(0, 255)), min_size=1, max_size=3)):
        mutated[position] = value
    path = whole_file.with_name("mutated.safetensors")
    path.write_bytes(mutated[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))])
    try:
        found = load_model(str(path), CPU)
    except WeightsError:
        return
    assert found.info == expected.info
    state = expected.generator.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.generator.state_dict().items())


@settings(max_examples=200, deadline=None)
@given(data=st.data(), zipped=st.booleans())
def test_mutated_bytes_of_a_pth_give_a_documented_error_or_tensors(tmp_path_factory, data, zipped):
    content = io.BytesIO()
    torch.save({"a": torch.ones(3), "b": torch.ones(2, 2)}, content, _use_new_zipfile_serialization=zipped)
    mutated = bytearray(content.getvalue())
    where = st.integers(0, len(mutated) - 1)
    for position, value in data.draw(st.lists(st.tuples(where, st.integers(0, 255)), min_size=1, max_size=3)):
        mutated[position] = value
    path = tmp_path_factory.getbasetemp() / "mutated.pth"
    path.write_bytes(mutated)
    try:
        _, tensors = read_tensors(path)
    except WeightsError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def loading_calls(tree):
    """Yield every call that could run code from a file: (function name, keyword arguments)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            risky = name in {"torch.load", "torch.save", "torch.jit.load", "eval", "exec"} or "hub" in name.split(".")
            risky = risky and name != "torch.hub.get_dir"  # names a folder, and loads nothing
            if risky or keywords.get("allow_pickle", "False") != "False":
                yield name, keywords


def imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_weights_are_unpickled_in_one_place_only_and_never_with_code():
    calls = []
    for path in sorted(Path(colorgan.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = set(imported_modules(tree))
        assert not {module.split(".")[0] for module in modules} & UNPICKLERS, path
        assert not modules & {"torch.load", "torch.save", "torch.hub"}, path
        calls += [(path.name, name, keywords.get("weights_only")) for name, keywords in loading_calls(tree)]
    assert calls == [("file_format.py", "torch.load", "True")]
