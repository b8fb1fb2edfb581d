"""The options of `prepare`, importable without torch: the command line takes its defaults from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PrepareOptions:
    """What is to be in a set.

    Attributes:
        size: pixels, the short side that larger photos are reduced to.
        classes: how many class folders to choose, or which; None for all.
        per_class: photos to keep of each class at most.
        val_fraction: the share held back for validation, 0 to below 1.
        min_chroma: Lab units; photos whose mean chroma is below are gray. 0 keeps gray and toned ones.
        min_side: pixels; photos with a shorter side are left out.
        workers: threads that read and reduce; the set does not depend on it.
        encoding: jpeg (quality 95, full color resolution) or webp (quality 65), a third of its bytes.
        seed: decides the classes, the split and the order.
        overwrite: replace a set that is there.
    """

    size: int = 256
    classes: int | tuple[str, ...] | None = None
    per_class: int | None = None
    val_fraction: float = 0.05
    min_chroma: float = 2.0
    min_side: int = 64
    encoding: str = "jpeg"
    workers: int = 2
    seed: int = 0
    overwrite: bool = False
