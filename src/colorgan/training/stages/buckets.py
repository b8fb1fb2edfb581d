"""Gradients averaged over processes while the backward pass still computes those of earlier layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from colorgan.distributed import ProcessGroup, Work

BUCKET_BYTES = 25 << 20
_LAST_BYTES = 4 << 20  # of the bucket that is ready last: no computation is left to overlap its transfer with


class GradientBuckets:
    """Gradients in buckets, of which each is summed over the processes as soon as all of it is computed.

    The sums are started in a fixed order, that of a backward pass, since processes have to agree on it.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], group: ProcessGroup) -> None:
        self._group = group
        self._buckets = _in_buckets(list(parameters))
        self._bucket_of = {id(each): number for number, bucket in enumerate(self._buckets) for each in bucket}
        self._missing: list[int] | None = None
        self._begun: list[tuple[list[Tensor], Tensor, Work]] = []
        self._next = 0
        for parameter in (each for bucket in self._buckets for each in bucket):
            parameter.register_post_accumulate_grad_hook(self._arrived)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Sum gradients as the last backward pass before a step computes them; none may be added later."""
        self._missing = [len(bucket) for bucket in self._buckets]
        try:
            yield
        finally:
            self._missing = None

    def _arrived(self, parameter: Tensor) -> None:
        if self._missing is None:
            return
        self._missing[self._bucket_of[id(parameter)]] -= 1
        while self._next < len(self._buckets) and not self._missing[self._next]:
            self._start()

    def _start(self) -> None:
        gradients = [each.grad for each in self._buckets[self._next] if each.grad is not None]
        self._next += 1
        if gradients:
            self._begun.append((gradients, *self._group.start_sum(gradients)))

    def finish(self) -> None:
        """Start the remaining sums, and replace all gradients by their means over the processes."""
        while self._next < len(self._buckets):
            self._start()
        for begun in self._begun:
            self._group.finish_mean(*begun)
        self._begun, self._next = [], 0


def _in_buckets(parameters: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Divide parameters into buckets in the order of a backward pass, the last ones first; the last bucket is small."""
    buckets: list[list[nn.Parameter]] = []
    size_bytes, limit_bytes = 0, 0
    for parameter in parameters:
        size_bytes += parameter.nbytes
        if size_bytes > limit_bytes or not buckets:
            limit_bytes = BUCKET_BYTES if buckets else _LAST_BYTES
            buckets.append([])
            size_bytes = parameter.nbytes
        buckets[-1].append(parameter)
    return [bucket[::-1] for bucket in buckets[::-1]]
