"""Batch norms folded into the convolutions before them: what inference computes is the same, in fewer passes."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


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
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
            folded += 1
        else:
            folded += fold_batch_norms(child)
        before = (name, child)
    return folded
