"""The file format of weights: metadata, digest, and reading of tensors. No network is built here."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import stat
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from colorgan.errors import WeightsError, reason_of
from colorgan.metrics.registry import with_current_names
from colorgan.models.info import SAFETENSORS_SUFFIXES, TORCH_SUFFIXES, ModelInfo

FORMAT_VERSION = "1"
COPY_AGAIN = "The file is damaged or incomplete: copy or download it again."

_FORMAT_KEY, _DIGEST_KEY = "colorgan_format", "sha256"
_ZIP_START, _PICKLE_START = b"PK\x03\x04", b"\x80"  # how files of torch.save begin, new and old
_LONGEST_TEXT = 1000
_RENDER_SIZES_PX = range(8, 4097)
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def bad_weights(path: Path, found: str, advice: str) -> WeightsError:
    """Return the error for a weights file, with `found` made safe to print."""
    return WeightsError(f"weights in {path}", _sanitized(found), advice)


def _sanitized(text: str) -> str:
    """Replace what is not printable, as terminal escapes and surrogates are, and cut endless text."""
    return "".join(char if char.isprintable() else "?" for char in text[:_LONGEST_TEXT])


def _mapping(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _figures(text: str) -> dict[str, float]:
    return with_current_names({_sanitized(name): float(value) for name, value in _mapping(text).items()})


def _render_size(text: str) -> int:
    if int(text) not in _RENDER_SIZES_PX:
        raise ValueError("not within 8..4096")
    return int(text)


def _temperature(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise ValueError("not above 0")
    return value


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("neither true nor false")
    return text == "true"


_READERS: dict[str, Callable[[str], Any]] = {
    "options": _mapping,
    "figures": _figures,
    "render_size": _render_size,
    "temperature": _temperature,
    "edges": _yes_or_no,
    "confidence_temperature": _temperature,
}


_KEYS = {"license": "licence"}  # old spelling, under which files are checked


def digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of a file's tensors and of its metadata, except the digest itself.

    Tensors may come in any order; they are contiguous, and on the CPU.
    """
    total = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def file_bytes(info: ModelInfo, tensors: Mapping[str, Tensor]) -> Iterator[bytes]:
    """Yield a weights file, in pieces, of contiguous tensors on the CPU; the same content gives the same bytes."""
    data = save(dict(tensors), _metadata_of(info, tensors))
    # safetensors writes metadata in a new order each time, so that the header is written again, sorted: 8 bytes of
    # its length, JSON, blanks up to a multiple of 8.
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    yield len(header).to_bytes(8, "little") + header
    yield data[end:]


def _metadata_of(info: ModelInfo, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return a file's metadata: the format, the fields of `ModelInfo`, and the digest of everything."""
    metadata = {_FORMAT_KEY: FORMAT_VERSION}
    for field in fields(ModelInfo):
        value = getattr(info, field.name)
        metadata[_KEYS.get(field.name, field.name)] = _sanitized(value) if isinstance(value, str) else json.dumps(value)
    return {**metadata, _DIGEST_KEY: digest(metadata, tensors)}


def info_from(path: Path, metadata: Mapping[str, str]) -> ModelInfo | None:
    """Parse a file's metadata; return None if it is not colorgan's.

    Raises:
        WeightsError: it is of another format version, or a field is missing or invalid.
    """
    if not metadata.keys() & {_FORMAT_KEY, _DIGEST_KEY}:
        return None
    version = metadata.get(_FORMAT_KEY, "")
    if version != FORMAT_VERSION:
        raise bad_weights(path, f"format {version!r}, where this colorgan knows {FORMAT_VERSION}", "Update colorgan.")
    values = {}
    for field in fields(ModelInfo):
        key = _KEYS.get(field.name, field.name)
        if key not in metadata and field.default is not MISSING:
            continue  # the file is older than this field
        try:
            values[field.name] = _READERS.get(key, _sanitized)(metadata[key])
        except KeyError:
            raise bad_weights(path, f"its description lacks {key!r}", COPY_AGAIN) from None
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            found = f"{key} is {metadata[key][:80]!r}: {error}"
            raise bad_weights(path, found, COPY_AGAIN) from error
    return ModelInfo(**values)


def check_digest(path: Path, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> None:
    """Check a file's content by the digest in its metadata.

    Raises:
        WeightsError: the digest is missing or differs.
    """
    rest = {key: value for key, value in metadata.items() if key != _DIGEST_KEY}
    if metadata.get(_DIGEST_KEY) != digest(rest, tensors):
        raise bad_weights(path, "its content does not match its own SHA-256", COPY_AGAIN)


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read a weights file without running any code that it may hold.

    Returns:
        Its metadata (empty for a `.pth`) and its tensors on the CPU, which may still be mapped from the file.

    Raises:
        WeightsError: it is not a file, of another kind, or unreadable.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise bad_weights(path, "a folder" if os.path.isdir(path) else "not a file", "Give the path of a file.")
        with path.open("rb") as file:
            start = file.read(len(_ZIP_START))
    except (OSError, ValueError) as error:
        raise bad_weights(path, reason_of(error), "Give the path of a file that can be read.") from error
    suffix = path.suffix.lower()
    if suffix not in SAFETENSORS_SUFFIXES + TORCH_SUFFIXES:
        raise bad_weights(path, f"a name ending in {suffix!r}", "Give a .safetensors file, or a published .pth.")
    if not start:
        raise bad_weights(path, "an empty file", COPY_AGAIN)
    return _read_safetensors(path, start) if suffix in SAFETENSORS_SUFFIXES else ({}, read_torch(path))


@contextlib.contextmanager
def _named_in_utf8(path: Path) -> Iterator[str]:
    """Yield a path of the file that is valid UTF-8, since its reader takes no other."""
    name = str(path)
    if not any("\ud800" <= character <= "\udfff" for character in name):
        yield name
        return
    with path.open("rb") as file:  # on POSIX alone names are bytes
        yield f"/dev/fd/{file.fileno()}"


def _read_safetensors(path: Path, start: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    try:
        with _named_in_utf8(path) as name, safe_open(name, framework="pt") as file:
            keys = list(file.keys())
            return dict(file.metadata() or {}), {key: file.get_tensor(key) for key in keys}
    except Exception as error:  # a foreign file can make the reader fail in any way
        if start.startswith((_ZIP_START, _PICKLE_START)):
            found, advice = "a pickle by torch.save, not safetensors", "Only where you trust it, rename it to .pth."
            raise bad_weights(path, found, advice) from error
        raise bad_weights(path, f"no readable safetensors file ({error})", COPY_AGAIN) from error


def read_torch(path: Path) -> dict[str, Tensor]:
    """Read a file by `torch.save`, whatever its name: the one place that unpickles, and only as `weights_only` allows.

    Raises:
        WeightsError: it holds anything but plain tensors by name.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whatever torch thinks of old files, the checks that follow decide
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a foreign file can make the reader fail in any way
        found = f"no file of plain tensors by torch.save ({type(error).__name__})"
        raise bad_weights(path, found, "Give the published .pth, or a .safetensors file.") from error
    state = _unwrapped(state)
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        found = f"a {type(state).__name__} that is no table of tensors"
        raise bad_weights(path, found, "Give the published .pth, or a .safetensors file.")
    return {str(name): tensor.detach() for name, tensor in state.items()}


def _unwrapped(state: object) -> object:
    """Return the table of tensors, which some training programs nest under a name (BasicSR: params, params_ema)."""
    if isinstance(state, dict):
        for name in ("params_ema", "params", "state_dict"):
            if isinstance(state.get(name), dict):
                return state[name]
    return state


def check_tensors(path: Path, network: str, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Check that a file's tensors, `found`, fit a network's state, `wanted`, which may be on the meta device.

    Raises:
        WeightsError: a tensor is missing, foreign, of another shape or kind, or not finite.
    """
    advice = f"Give a file of colorgan's own, or the published weights; these are not of the network {network}."
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
        if tensor.is_floating_point() != wanted[name].is_floating_point():
            raise bad_weights(path, f"{name} as {tensor.dtype}", advice)
        check_values(path, name, tensor, advice)


def check_values(path: Path, name: str, tensor: Tensor, advice: str) -> None:
    """Check that a tensor is of a usual kind and finite.

    Raises:
        WeightsError: it is of another kind, or holds NaN or infinity.
    """
    if tensor.dtype not in (*_FLOATS, torch.int64) or tensor.layout is not torch.strided or tensor.device.type != "cpu":
        raise bad_weights(path, f"{name} as {tensor.layout} {tensor.dtype}", advice)
    # In one pass: the extremes are not finite if any value is not.
    if tensor.numel() and not all(math.isfinite(extreme) for extreme in tensor.aminmax()):
        raise bad_weights(path, f"{name} holds values that are no numbers", "Take weights from an earlier state.")


def own_copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors, floats as float32, since they may be mapped from a file that will be replaced.

    The copies are contiguous, whereas a `.pth` keeps strides: a run that starts from these would compute in another
    order than when it resumes from a checkpoint, which does not keep them.
    """
    return {
        name: torch.empty(tensor.shape, dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype).copy_(
            tensor
        )
        for name, tensor in tensors.items()
    }
