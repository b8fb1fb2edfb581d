"""How sure a network was of its colours."""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor

from colorgan.color.bins import BINS


def confidence(logits: Tensor) -> Tensor:
    """One minus the entropy of the bins' distribution, over the entropy of knowing nothing.

    1 - H(p) / log 313, with p the softmax of the logits as the network gives them (whatever temperature they are
    decoded at): 1 where it is certain of one bin, 0 where all 313 are alike to it.

    Args:
        logits: (B, 313, h, w).

    Returns:
        (B, h, w) float32, 0..1.
    """
    log_shares = logits.movedim(1, -1).float().log_softmax(dim=-1)  # (B, h, w, 313)
    entropy = -(log_shares.exp() * log_shares).sum(dim=-1)
    return (1.0 - entropy / math.log(BINS)).clamp(0.0, 1.0)


def confidence_image(sure: Tensor) -> Image.Image:
    """A grey picture of (h, w), 0..1: black is 0, white is 1."""
    return Image.fromarray((sure * 255.0).round().to(torch.uint8).cpu().numpy())
