"""Batch norms folded into the convolutions before them: what inference computes is the same, in fewer passes."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every batch norm that directly follows its convolution, in place.

    A norm behind a ReLU stays, as in ECCV16: its shift could move into the next convolution only where that one sees
    no zero padding.

    Args:
        module: in evaluation mode; its children stand in the order in which they are applied.
    """
    children = list(module.named_children())
    for _, child in children:
        fold_batch_norms(child)
    for (conv_name, conv), (norm_name, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())
