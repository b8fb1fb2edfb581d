"""Means of the loss terms over an epoch, summed on the device without synchronizing with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from colorgan.distributed import ProcessGroup


class LossMeter:
    """Running sums of the loss terms; the mean of each is over the steps that had it, in all processes."""

    def __init__(self, group: ProcessGroup, device: torch.device) -> None:
        self._group, self._device = group, device
        self._steps: dict[str, int] = {}
        self._sums = torch.zeros(0, device=device)

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add a step's terms, whose names must be the same on all ranks."""
        new = [name for name in terms if name not in self._steps]
        if new:
            self._steps |= dict.fromkeys(new, 0)
            self._sums = torch.cat([self._sums, torch.zeros(len(new), device=self._device)])
        nothing = torch.zeros((), device=self._device)
        self._sums += torch.stack([terms[name].float() if name in terms else nothing for name in self._steps])
        for name in terms:
            self._steps[name] += 1

    def means(self) -> dict[str, float]:
        """Return the mean of each term over its steps and all ranks, each of which must call this."""
        sums = self.state()["sums"]
        return {name: total / steps for (name, steps), total in zip(self._steps.items(), sums, strict=True)}

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, JSON-serializable; all ranks must call this."""
        sums = self._sums.clone()
        self._group.all_reduce_mean([sums])
        return {"names": list(self._steps), "sums": sums.tolist(), "steps": list(self._steps.values())}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore what `state` returned."""
        steps = state["steps"]
        # Earlier versions had each term in every step, and wrote how many there were.
        counts = steps if isinstance(steps, list) else [steps] * len(state["names"])
        self._steps = dict(zip(state["names"], counts, strict=True))
        self._sums = torch.tensor(state["sums"], device=self._device)
