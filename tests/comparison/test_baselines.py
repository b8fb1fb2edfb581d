"""The reference baselines: gray, and one brown tint, on the 393 photos of `imagenet-validation.tar`.

The photos are not in the repository: COLORGAN_REFERENCE_PHOTOS says where they are.
"""

import os
from pathlib import Path

import pytest
import torch

from colorgan.color.lab import rgb_to_lab
from colorgan.comparison.crops import Crop, open_inputs, read_crops
from colorgan.metrics.registry import ImageBatch, MetricResult, measure

PHOTOS = os.environ.get("COLORGAN_REFERENCE_PHOTOS", "")


@pytest.mark.skipif(not PHOTOS, reason="COLORGAN_REFERENCE_PHOTOS does not name imagenet-validation.tar")
def test_gray_and_a_brown_tint_land_on_the_reference_anchors() -> None:
    (source,) = open_inputs([Path(PHOTOS)])
    tints = {"gray": (0.0, 0.0), "brown": (6.0, 14.0)}
    measured: dict[tuple[str, str], list[MetricResult]] = {}
    for crop in read_crops(source.entries, 256):
        assert isinstance(crop, Crop)
        lab = rgb_to_lab(torch.from_numpy(crop.rgb.copy()).permute(2, 0, 1)[None].float() / 255)
        truth = ImageBatch(lab[:, :1], lab[:, 1:])
        for name, tint in tints.items():
            ab = torch.tensor(tint).view(1, 2, 1, 1).expand_as(truth.ab)
            for figure, found in measure(ImageBatch(truth.L, ab), truth, ("auc", "auc_rebalanced")).items():
                measured.setdefault((name, figure), []).append(found)
    figures = {}
    for which, parts in measured.items():
        values, weights = torch.cat([p.value for p in parts]).double(), torch.cat([p.weight for p in parts]).double()
        figures[which] = round(float((values * weights).sum() / weights.sum()), 1)
    assert figures == {
        ("gray", "auc"): 88.3,
        ("gray", "auc_rebalanced"): 59.5,
        ("brown", "auc"): 86.9,
        ("brown", "auc_rebalanced"): 61.6,
    }
