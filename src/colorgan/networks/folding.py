"""Folding of batch norms into the convolutions before them: inference gives the same in fewer passes."""

from __future__ import annotations

from itertools import pairwise

from torch import nn
from torch.nn.utils import fuse_conv_bn_eval


def fold_batch_norms(module: nn.Module) -> None:
    """Fold every batch norm that directly follows its convolution, in place.

    A norm after a ReLU stays, as in ECCV16: its shift could move into the next convolution only if that one has no
    zero padding.

    Args:
        module: in evaluation mode; its children are registered in the order in which they are applied.
    """
    children = list(module.named_children())
    for _, child in children:
        fold_batch_norms(child)
    for (conv_name, conv), (norm_name, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
            setattr(module, norm_name, nn.Identity())
