"""Run a generator on its device, in its precision, in batches that fit its memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from colorgan.devices import is_out_of_memory
from colorgan.errors import PhotoError
from colorgan.networks.folding import fold_batch_norms
from colorgan.networks.generator import Generator, Prediction

CPU = torch.device("cpu")

Results = tuple[Tensor, ...]
Read = Callable[[Prediction], Results]


@dataclass(frozen=True, eq=False)
class LoadedGenerator:
    """A generator on its device, ready to run.

    Attributes:
        generator: in evaluation mode, on the device, its convolutions in `dtype`.
        device: its device.
        dtype: float32, bfloat16 or float16.
    """

    generator: Generator
    device: torch.device
    dtype: torch.dtype = torch.float32

    def run(self, L: Tensor, temperature: float, read: Read) -> Results:
        """Run on (B, 1 or 4, h, w) on the CPU, L and perhaps hints; the results are float32 on the CPU."""
        # Pinned memory is copied while the device still computes the previous batch.
        sent = L.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else L.to(self.device)
        half = self.dtype is not torch.float32
        with torch.inference_mode():
            with torch.autocast(self.device.type, self.dtype if half else None, enabled=half):
                hints = (sent[:, 1:],) if sent.shape[1] > 1 and self.generator.takes_hints else ()
                prediction = self.generator(sent[:, :1], temperature, *hints)
            return tuple(result.float().cpu() for result in read(prediction))


def prepare_generator(generator: Generator, device: torch.device, dtype: torch.dtype) -> LoadedGenerator:
    """Prepare a generator for inference, in place: norms folded, weights in the precision, channels last."""
    generator.eval().requires_grad_(False)
    if generator.can_fold:
        fold_batch_norms(generator)
    for name, module in generator.named_modules():
        # Autocast converts all others in each forward pass.
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and name not in generator.float32_parts:
            for key, weight in list(module.named_parameters(recurse=False)):
                layout = torch.channels_last if weight.dim() == 4 else torch.preserve_format
                moved = weight.detach().to(device, dtype, memory_format=layout)
                module.register_parameter(key, nn.Parameter(moved, requires_grad=False))
    return LoadedGenerator(generator.to(device), device, dtype)


@dataclass(eq=False)
class Engine:
    """Runs batches of photos of one size; if memory is short, in smaller batches, and finally on the CPU.

    On a CPU each photo is computed alone, so that its result is bit-identical in every batch; on other devices it
    depends on the other photos by rounding alone.

    Attributes:
        primary: the generator on the chosen device.
        cpu_fallback: float32 on the CPU, if `primary` runs out of memory; None if `primary` is on the CPU.
        notify: called with a message when memory is too short.
        max_batch: the largest batch that pays.
        float32_fallback: for photos for which `primary`'s output is not finite; None if `primary` is float32 on a CPU.
    """

    primary: LoadedGenerator
    cpu_fallback: LoadedGenerator | None
    notify: Callable[[str], None]
    max_batch: int
    float32_fallback: LoadedGenerator | None = None
    # Pixels of the smallest batch, all photos together, that did not fit: such batches are not tried again.
    _too_many_px: float = field(default=float("inf"), init=False)

    @classmethod
    def start(
        cls, generator: Generator, device: torch.device, dtype: torch.dtype, notify: Callable[[str], None]
    ) -> Engine:
        """Make an engine of a float32 generator on the CPU, of which it takes ownership."""
        if device.type == "cpu" and dtype is torch.float32:
            return cls(prepare_generator(generator, device, dtype), None, notify, max_batch=1)
        primary = prepare_generator(copy.deepcopy(generator), device, dtype)
        float32 = prepare_generator(generator, CPU, torch.float32)
        if device.type == "cpu":
            return cls(primary, None, notify, max_batch=1, float32_fallback=float32)
        return cls(primary, float32, notify, max_batch=16, float32_fallback=float32)

    def run(self, L: Tensor, temperature: float, read: Read) -> list[Results | PhotoError]:
        """Compute a batch.

        Args:
            L: (B, 1, h, w), 0..100, on the CPU; or (B, 4, h, w) with hints, as `Generator.forward` takes them.
            temperature: of the decoding.
            read: extracts the results, tensors of (B, ...), from a prediction for a part of the batch, on the device.

        Returns:
            For each photo its part of the results, without the first dimension; or the error: memory does not suffice
            for it alone on the CPU, or its first result is not finite even in float32.
        """
        if len(L) > self.max_batch:
            return [result for part in L.split(self.max_batch) for result in self.run(part, temperature, read)]
        if L.numel() < self._too_many_px:
            results = self._try(self.primary, L, temperature, read)
            if results is not None:
                parts = zip(L.split(1), zip(*results, strict=True), strict=True)
                return [self._retried_if_not_finite(one, part, temperature, read) for one, part in parts]
            self._record_too_large(L)
        if len(L) > 1:
            return [result for part in L.split((len(L) + 1) // 2) for result in self.run(part, temperature, read)]
        results = self._try(self.cpu_fallback, L, temperature, read) if self.cpu_fallback else None
        if results is not None:
            return [_checked(part) for part in zip(*results, strict=True)]
        height, width = L.shape[-2:]
        found = f"not enough memory to compute its colors at {width} x {height}"
        return [PhotoError("enough memory", found, "Lower the render size, or close other programs.")]

    def _retried_if_not_finite(self, L: Tensor, part: Results, temperature: float, read: Read) -> Results | PhotoError:
        """Return a photo's results, recomputed in float32 if not finite: half precision has a narrow range."""
        if _is_finite(part) or self.float32_fallback is None:
            return _checked(part)
        again = self._try(self.float32_fallback, L, temperature, read)
        return _checked(part if again is None else tuple(result[0] for result in again))

    def _try(self, loaded: LoadedGenerator, L: Tensor, temperature: float, read: Read) -> Results | None:
        """Run a generator; return None if it runs out of memory."""
        try:
            return loaded.run(L, temperature, read)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Out here nothing holds the frames of the failed attempt, and with them its tensors.
        if loaded.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _record_too_large(self, L: Tensor) -> None:
        """Record the size that did not fit, and notify how it goes on, if it can."""
        where = self.primary.device
        if len(L) > 1:
            self.notify(f"Not enough memory on {where} for {len(L)} photos at once: continuing with fewer.")
        elif self.cpu_fallback:
            self.notify(f"Not enough memory on {where} for a photo of this size: continuing on the CPU.")
        else:
            return
        self._too_many_px = L.numel()


def _is_finite(part: Results) -> bool:
    return bool(part[0].isfinite().all())


def _checked(part: Results) -> Results | PhotoError:
    if _is_finite(part):
        return part
    found = "the network gave no finite colors for it, even in float32"
    return PhotoError("finite colors", found, "Choose another model; if every photo fails, its weights are damaged.")
