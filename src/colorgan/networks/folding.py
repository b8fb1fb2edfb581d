"""Batch norms folded into the convolutions before them: what inference computes is the same, in fewer passes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def fold_batch_norms(module: nn.Module) -> int:
    """Fold every batch norm that directly follows its convolution, in place.

    A norm behind a ReLU stays, as in ECCV16: its shift could move into the next convolution only where that one sees
    no zero padding.

    Args:
        module: in evaluation mode; its children stand in the order in which they are applied.

    Returns:
        How many norms are gone.
    """
    folded = 0
    before: tuple[str, nn.Module] = ("", module)
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(before[1], nn.Conv2d):
            _fold(before[1], child)
            setattr(module, name, nn.Identity())
            folded += 1
        else:
            folded += fold_batch_norms(child)
        before = (name, child)
    return folded


@torch.no_grad()
def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = _tensor(norm.running_mean), _tensor(norm.running_var)
    scale = _tensor(norm.weight) * (variance + norm.eps).rsqrt()
    shift = _tensor(norm.bias) - mean * scale
    conv.weight.mul_(scale[:, None, None, None])
    conv.bias = nn.Parameter(shift if conv.bias is None else shift + conv.bias * scale, requires_grad=False)


def _tensor(value: Tensor | None) -> Tensor:
    if value is None:
        raise ValueError("a batch norm without a scale of its own, or without statistics")
    return value
