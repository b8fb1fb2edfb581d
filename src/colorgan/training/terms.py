"""The terms of the loss over an epoch, gathered on the device without waiting for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from colorgan.training.ranks import Ranks


class TermMeans:
    """Sums each term step by step, for its mean over the epoch.

    Args:
        ranks: the terms of all of them count.
        device: where the terms are.
    """

    def __init__(self, ranks: Ranks, device: torch.device) -> None:
        self._ranks, self._device = ranks, device
        self._names: tuple[str, ...] = ()
        self._sums = torch.zeros(0, device=device)
        self._steps = 0

    def add(self, terms: dict[str, Tensor]) -> None:
        """Take in a step's terms, the same ones in each step."""
        if not self._steps:
            self._names = tuple(terms)
            self._sums = torch.zeros(len(terms), device=self._device)
        self._sums += torch.stack([terms[name].float() for name in self._names])
        self._steps += 1

    def means(self) -> dict[str, float]:
        """The mean of each term over the steps and the ranks, which all have to ask."""
        sums = self.state()["sums"]
        return {name: total / self._steps for name, total in zip(self._names, sums, strict=True)}

    def state(self) -> dict[str, Any]:
        """What a checkpoint has to hold, JSON-serializable; all ranks have to ask."""
        sums = self._sums.clone()
        self._ranks.average([sums])
        return {"names": list(self._names), "sums": sums.tolist(), "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._names, self._steps = tuple(state["names"]), state["steps"]
        self._sums = torch.tensor(state["sums"], device=self._device)
