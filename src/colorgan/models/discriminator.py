"""The file of a discriminator, written beside its generator's, so that others can continue a shared run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from colorgan.files import atomic_write
from colorgan.models.file_format import (
    COPY_AGAIN,
    bad_weights,
    check_digest,
    check_tensors,
    file_bytes,
    info_from,
    own_copies,
    read_tensors,
)
from colorgan.models.info import ModelInfo
from colorgan.networks.patchgan import PatchGAN

_ADVICE = "Give the weights/discriminator.safetensors of a run of colorgan train."


def save_discriminator(path: Path, discriminator: PatchGAN, info: ModelInfo) -> None:
    """Write a discriminator with the metadata of its generator; the write is atomic."""
    named = replace(
        info, name="discriminator", network=PatchGAN.network, options=discriminator.options, figures={}, temperature=1.0
    )
    tensors = {name: value.detach().cpu().contiguous() for name, value in discriminator.state_dict().items()}
    with atomic_write(path) as file:
        file.writelines(file_bytes(named, tensors))


def load_discriminator(path: Path, device: torch.device) -> PatchGAN:
    """Load a discriminator, strictly, by the metadata in its file.

    Raises:
        WeightsError: the file is missing, damaged, or of something else.
    """
    metadata, tensors = read_tensors(path)
    info = info_from(path, metadata)
    if info is None or info.network != PatchGAN.network:
        raise bad_weights(path, "not a colorgan discriminator", _ADVICE)
    check_digest(path, metadata, tensors)
    try:
        # On the meta device nothing is allocated, whatever a foreign file claims.
        with torch.device("meta"):
            discriminator = PatchGAN(info.options["norm"], tuple(info.options["channels"]))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise bad_weights(path, f"another network ({str(error).splitlines()[0]})", COPY_AGAIN) from error
    check_tensors(path, PatchGAN.network, discriminator.state_dict(), tensors)
    discriminator.load_state_dict(own_copies(tensors), assign=True)
    return discriminator.to(device)
