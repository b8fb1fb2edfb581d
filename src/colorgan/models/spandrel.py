"""Third-party networks, loaded by spandrel (the extra `peers`): DDColor (Kang et al. 2023)."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import remove_spectral_norm, remove_weight_norm

from colorgan.color.lab import lab_to_rgb
from colorgan.models.file_format import bad_weights, check_values, own_copies
from colorgan.models.info import ModelInfo
from colorgan.networks.generator import Generator, Prediction

# Limits on the shapes and names in a file, from which a network is built before they are compared with it: DDColor's
# largest has 6,144 channels and 27 blocks in a row.
_LARGEST_SIDE, _MOST_IN_A_ROW = 16384, 64
_ADVICE = "Give a colorgan file, or the published weights of ECCV16, SIGGRAPH17 or DDColor."


class DDColor(Generator):
    """DDColor as a generator: gray sRGB in, ab out, all of it in float32.

    Args:
        network: spandrel's module, with its weights.
    """

    network = "ddcolor"
    multiple = 32

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.theirs = network
        self.float32_parts = tuple(name for name, _ in self.named_modules())

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        """Compute `forward` for an L whose height and width are divisible by 32; the temperature has no effect."""
        gray = lab_to_rgb(torch.cat([L, torch.zeros_like(L), torch.zeros_like(L)], dim=1))
        with torch.autocast(L.device.type, enabled=False):
            ab: Tensor = self.theirs(gray)  # (B, 2, H, W), Lab units
        _drop_features(self.theirs)
        return Prediction(ab, None)


def load_peer(path: Path, tensors: Mapping[str, Tensor]) -> tuple[Generator, ModelInfo]:
    """Build the network that spandrel recognizes by its tensors, which are on the CPU; return it with its metadata.

    Raises:
        WeightsError: the extra is missing, spandrel knows no such colorization network, or the file is damaged.
    """
    found = f"tensors of no known network (such as {next(iter(tensors), '')[:80]!r})"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what their code uses
        try:
            from spandrel_extra_arches import EXTRA_REGISTRY
        except ImportError as error:
            advice = f'{_ADVICE} DDColor needs the extra peers: pip install "colorgan[peers]".'
            raise bad_weights(path, found, advice) from error
        architecture = EXTRA_REGISTRY.get(DDColor.__name__)
        if architecture is None or not architecture.detect(dict(tensors)):
            raise bad_weights(path, found, _ADVICE)
        _check(path, tensors)
        with torch.random.fork_rng(devices=[]):
            try:
                network = architecture.architecture.load(own_copies(tensors)).model
            except Exception as error:  # their code can fail in any way over a foreign file
                reason = str(error).partition("\n")[0]
                raise bad_weights(path, f"not a DDColor that spandrel can load ({reason})", _ADVICE) from error
        _simplify(network)
    return DDColor(network).eval(), _info(path)


def _info(path: Path) -> ModelInfo:
    return ModelInfo(
        name=path.stem,
        network=DDColor.network,
        options={},
        stage="published",
        license="unknown: see where the file came from",
        made_by="unknown; read by spandrel",
        trained_on="unknown",
        figures={},
        render_size=512,  # as in its authors' own script
        temperature=1.0,
    )


def _check(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise WeightsError for tensors that would need much more memory than the file's size, or that are not finite."""
    for name, tensor in tensors.items():
        in_a_row = max(map(int, re.findall(r"\d{1,9}", name)), default=0)
        if max(tensor.shape, default=0) > _LARGEST_SIDE or in_a_row > _MOST_IN_A_ROW:
            raise bad_weights(path, f"{name} of the shape {tuple(tensor.shape)}, larger than any DDColor's", _ADVICE)
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise bad_weights(path, f"{name} with fewer values than its shape has", _ADVICE)
        check_values(path, name, tensor, _ADVICE)


def _simplify(network: nn.Module) -> None:
    """Fold spectral and weight norms, which only training needs, into the weights, which can then be copied."""
    for module in network.modules():
        for remove in (remove_spectral_norm, remove_weight_norm):
            with contextlib.suppress(ValueError):  # most layers have neither
                remove(module)
    _drop_features(network)


def _drop_features(network: nn.Module) -> None:
    """Drop the features that its encoder would otherwise keep until the next photo."""
    for hook in network.encoder.hooks:  # type: ignore[union-attr]
        hook.feature = None
