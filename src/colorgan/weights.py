"""From a model's name or path to a loaded network: the tables of networks and names, the cache, loading, saving."""

from __future__ import annotations

import difflib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import Tensor

from colorgan.errors import OutputError, UsageError, WeightsError
from colorgan.media.files import atomic_write
from colorgan.networks.compact import Compact
from colorgan.networks.eccv16 import ECCV16
from colorgan.networks.generator import Generator
from colorgan.weights_format import (
    COPY_AGAIN,
    SAFETENSORS_SUFFIXES,
    TORCH_SUFFIXES,
    ModelInfo,
    bad_weights,
    check_digest,
    file_bytes,
    info_from,
    read_tensors,
)

__all__ = [
    "NETWORKS",
    "Model",
    "ModelInfo",
    "build_network",
    "cache_folder",
    "load_model",
    "models_at_hand",
    "remember",
    "save_model",
]

NETWORKS: dict[str, type[Generator]] = {"eccv16": ECCV16, "compact": Compact}

PUBLISHED = ModelInfo(
    name="eccv16",
    network="eccv16",
    options={},
    stage="published",
    licence="BSD-2-Clause",
    made_by="R. Zhang, P. Isola and A. A. Efros, 2016",
    trained_on="ImageNet",
    figures={},
    render_size=256,
    temperature=1.0,
)

# Options also come from foreign files: within these bounds, no network is too large to be built and compared.
_MOST_LEVELS, _MOST_PER_LEVEL = 8, 1024
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Model:
    """A generator with its weights (evaluation mode, float32, on its device) and what its file says of it."""

    generator: Generator
    info: ModelInfo


@dataclass(frozen=True)
class _Named:
    """A row of the table of names: whether its file is in the package or in the cache, and how to get it."""

    bundled: bool
    advice: str


_OWN = "A finished training run puts it there; or give the path of a .safetensors file in place of the name."
_NAMES = {
    "compact": _Named(True, "It comes with the package: install colorgan again."),
    "eccv16": _Named(
        False,
        "In place of the name, give the path of the published colorization_release_v2-9b330a0b.pth (123 MB, "
        "https://colorizers.s3.us-east-2.amazonaws.com/colorization_release_v2-9b330a0b.pth) or of a .safetensors "
        "file with its tensors; or take compact, which needs none.",
    ),
    "finetuned": _Named(False, _OWN),
    "gan": _Named(False, _OWN),
}


def cache_folder() -> Path:
    """The folder of fetched models and of your own: COLORGAN_CACHE, or else the platform's cache."""
    chosen = os.environ.get("COLORGAN_CACHE")
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("colorgan")


@contextmanager
def _file_of(name: str) -> Iterator[Path]:
    """Where a named model's file is, or would be."""
    if _NAMES[name].bundled:
        with resources.as_file(resources.files("colorgan").joinpath("assets", f"{name}.safetensors")) as path:
            yield path
    else:
        yield cache_folder() / f"{name}.safetensors"


def models_at_hand() -> list[str]:
    """The names that load without anything being fetched or trained, in the table's order."""
    at_hand = []
    for name in _NAMES:
        with _file_of(name) as path:
            if os.path.isfile(path):  # noqa: PTH113
                at_hand.append(name)
    return at_hand


def build_network(name: str, options: Mapping[str, Any]) -> Generator:
    """Build a network with fresh weights.

    Args:
        name: a key of `NETWORKS`.
        options: its keyword arguments: whole numbers, or lists of them.

    Raises:
        UsageError: no such network, or not options of it.
    """
    if name not in NETWORKS:
        raise UsageError("a network", repr(name[:80]), f"Known are {' and '.join(NETWORKS)}.")
    try:
        for value in options.values():
            _check_option(value)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # torch does no more than warn about a layer without channels
            return NETWORKS[name](**options)
    except (TypeError, ValueError, RuntimeError, UserWarning) as error:
        found = f"{str(dict(options))[:200]} ({error})"
        raise UsageError(f"options of the network {name}", found, "Leave them out to get the usual ones.") from error


def _check_option(value: object) -> None:
    numbers = value if isinstance(value, list | tuple) else [value]
    if len(numbers) > _MOST_LEVELS:
        raise ValueError(f"more than {_MOST_LEVELS} levels")
    for number in numbers:
        if type(number) is not int or not 0 <= number <= _MOST_PER_LEVEL:
            raise ValueError(f"not a whole number from 0 to {_MOST_PER_LEVEL}: {str(number)[:80]}")


def load_model(name_or_path: str, device: torch.device) -> Model:
    """Load a model, strictly, from what its file says of itself.

    Args:
        name_or_path: a name of the table, a `.safetensors` file of ours or with the published ECCV16's tensors, or
            the published `.pth`.
        device: where its weights are to be.

    Raises:
        UsageError: no such name, and not a path.
        WeightsError: the file is missing, damaged, or of something else.
    """
    if name_or_path in _NAMES:
        with _file_of(name_or_path) as path:
            if not os.path.isfile(path):  # noqa: PTH113
                raise WeightsError(f"weights of {name_or_path}", f"no file {path}", _NAMES[name_or_path].advice)
            return _load_file(path, device)
    path = Path(name_or_path)
    # os.path here and above, since the methods of Path raise for a name too long, or a folder that must not be read.
    if path.suffix.lower() not in SAFETENSORS_SUFFIXES + TORCH_SUFFIXES and not os.path.exists(path):  # noqa: PTH110
        raise UsageError("a model", f"{name_or_path[:80]!r} is neither a name nor a file", _name_advice(name_or_path))
    return _load_file(path, device)


def _name_advice(name: str) -> str:
    near = difflib.get_close_matches(name, _NAMES, n=1)
    meant = f"Did you mean {near[0]}? " if near else ""
    return f"{meant}Names are {', '.join(_NAMES)}; anything else is the path of a .safetensors or .pth file."


def _load_file(path: Path, device: torch.device) -> Model:
    metadata, tensors = read_tensors(path)
    described = info_from(path, metadata)
    info = described or PUBLISHED
    if info.network not in NETWORKS:
        raise bad_weights(path, f"a network {info.network[:80]!r}, which is not known here", "Update colorgan.")
    try:
        # On the meta device nothing is allocated or drawn: whatever a file claims, it costs no more than its size.
        with torch.device("meta"):
            generator = build_network(info.network, info.options)
    except UsageError as error:
        raise bad_weights(path, f"{error.expected} {error.found}", COPY_AGAIN) from error
    _check_tensors(path, info.network, generator.state_dict(), tensors)
    if described:
        check_digest(path, metadata, tensors)
    # Copied, since tensors may be mapped from a file that will be replaced.
    state = {name: tensor.to(_kept_as(tensor), copy=True) for name, tensor in tensors.items()}
    generator.load_state_dict(state, strict=True, assign=True)
    return Model(generator.eval().to(device), info)


def _kept_as(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_floating_point() else tensor.dtype


def _check_tensors(path: Path, network: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are not the network's own: names, shapes, kinds, then values."""
    advice = f"Give a file of colorgan's own, or the published ECCV16 weights; these are not of the network {network}."
    missing, foreign = [n for n in wanted if n not in found], [n for n in found if n not in wanted]
    if missing or foreign:
        parts = [
            f"{len(names)} {word} (such as {names[0][:80]!r})"
            for names, word in ((missing, "missing"), (foreign, "foreign"))
            if names
        ]
        raise bad_weights(path, f"other tensors than {network} has: {' and '.join(parts)}", advice)
    for name, tensor in found.items():
        if tensor.shape != wanted[name].shape or not tensor.numel():
            shapes = f"{tuple(tensor.shape)}, where {network} has {tuple(wanted[name].shape)}"
            raise bad_weights(path, f"{name} of the shape {shapes}", advice)
        usual = _FLOATS if wanted[name].is_floating_point() else (torch.int64,)
        if tensor.dtype not in usual or tensor.layout is not torch.strided or tensor.device.type != "cpu":
            raise bad_weights(path, f"{name} as {tensor.layout} {tensor.dtype}", advice)
        if not bool(tensor.isfinite().all()):
            raise bad_weights(path, f"{name} holds values that are no numbers", "Take weights from an earlier state.")


def save_model(path: Path, generator: Generator, info: ModelInfo, half: bool = False) -> None:
    """Write a model so that it loads from this file alone; the file is whole or absent.

    Args:
        path: where to.
        generator: its weights are written as they are; it also says the network and its options, over `info`'s.
        info: what the file is to say of it.
        half: in float16, half the size, which loading turns back into float32.

    Raises:
        OutputError: the file cannot be written.
        WeightsError: weights too large for float16.
    """
    tensors = {}
    for name, tensor in generator.state_dict().items():
        dtype = torch.float16 if half and tensor.is_floating_point() else tensor.dtype
        tensors[name] = tensor.detach().to("cpu", dtype).contiguous()
        if half and not bool(tensors[name].isfinite().all()):
            raise bad_weights(path, f"{name} does not fit float16", "Save it in full precision.")
    info = replace(info, network=generator.network, options=generator.options)
    with _writing(path), atomic_write(path) as file:
        file.writelines(file_bytes(info, tensors))


def remember(name: str, path: Path) -> None:
    """Put a run's weights into the cache, so that they have a name.

    Args:
        name: finetuned or gan.
        path: the weights; they are copied.

    Raises:
        OutputError: the cache cannot be written, or the weights not read.
    """
    with _writing(cache_folder()), _file_of(name) as target, path.open("rb") as source, atomic_write(target) as copy:
        shutil.copyfileobj(source, copy)


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        found = error.strerror or str(error)
        raise OutputError(f"to write {place}", found, "Make room there, or choose another place.") from error
