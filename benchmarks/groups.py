"""Measure how well the faces of each group are colored; a photo's folder is its group.

    python benchmarks/groups.py faces-validation.tar --model compact

Printed for each group: the mean ab error (distance between predicted and true ab, Lab units) with its 95% interval, and
the mean chroma of the predicted and of the true colors; for the whole photo, and for its middle, half of each side,
which is mostly skin.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath

import numpy as np
from judged import color_crops, lab_of, load_compared, photos_and_models, predict
from torch import Tensor

from colorgan.metrics.bootstrap import interval

CROP = 192


def middle(ab: Tensor) -> Tensor:
    """Return the middle of (2, S, S), half of each side."""
    quarter = ab.shape[-1] // 4
    return ab[:, quarter:-quarter, quarter:-quarter]


def numbers(ab: Tensor, truth: Tensor) -> list[float]:
    """Return mean error, chroma and true chroma of (2, S, S)."""
    return [float(part.norm(dim=0).mean()) for part in (ab - truth, ab, truth)]


def main() -> None:
    """Print the table."""
    arguments = photos_and_models(__doc__)
    crops = color_crops(arguments.photos, CROP)
    for name in arguments.model:
        model = load_compared(name)
        groups: dict[str, list[list[float]]] = defaultdict(list)
        for crop in crops:
            lab = lab_of(crop)
            ab, truth = predict(model, lab[:, :1])[0], lab[0, 1:]
            row = numbers(ab, truth) + numbers(middle(ab), middle(truth))
            groups[PurePosixPath(crop.entry.name).parent.name].append(row)
        print(f"{name}\n| group | photos | ab error | chroma | true | middle: ab error | chroma | true |")
        print("|---" * 8 + "|")
        for group, rows in sorted(groups.items()):
            columns = np.array(rows).T
            errors = [interval(columns[place]) for place in (0, 3)]
            spans = [f"{error.value:.1f} [{error.low:.1f}, {error.high:.1f}]" for error in errors]
            means = columns.mean(1)
            print(
                f"| {group} | {len(rows)} | {spans[0]} | {means[1]:.1f} | {means[2]:.1f} "
                f"| {spans[1]} | {means[4]:.1f} | {means[5]:.1f} |"
            )
        for what, place in (("whole", 0), ("middle", 3)):
            of_groups = [np.array(rows)[:, place].mean() for rows in groups.values()]
            print(f"{what}: the worst group's error is {max(of_groups) / min(of_groups):.2f} times the best one's")


if __name__ == "__main__":
    main()
