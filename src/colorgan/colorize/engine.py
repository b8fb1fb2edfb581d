"""Running a generator: on its device, in its precision, in batches that fit its memory."""

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
class Place:
    """A generator where it computes.

    Attributes:
        generator: in evaluation mode, on the device, its convolutions in the precision.
        device: where it is.
        dtype: float32, bfloat16 or float16.
    """

    generator: Generator
    device: torch.device
    dtype: torch.dtype = torch.float32

    def run(self, L: Tensor, temperature: float, read: Read) -> Results:
        """Compute on (B, 1 or 4, h, w) of the CPU, L and hints; the results are float32 on the CPU."""
        # Pinned memory is copied while the device still computes what came before.
        sent = L.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else L.to(self.device)
        half = self.dtype is not torch.float32
        with torch.inference_mode():
            with torch.autocast(self.device.type, self.dtype if half else None, enabled=half):
                hints = (sent[:, 1:],) if sent.shape[1] > 1 and self.generator.takes_hints else ()
                prediction = self.generator(sent[:, :1], temperature, *hints)
            return tuple(result.float().cpu() for result in read(prediction))


def place(generator: Generator, device: torch.device, dtype: torch.dtype) -> Place:
    """Make a generator ready to compute: norms folded, weights in the precision, channels last. In place."""
    generator.eval().requires_grad_(False)
    if generator.can_fold:
        fold_batch_norms(generator)
    for name, module in generator.named_modules():
        # The rest is left to autocast, which finds these weights as it wants them.
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and name not in generator.float32_parts:
            for key, weight in list(module.named_parameters(recurse=False)):
                layout = torch.channels_last if weight.dim() == 4 else torch.preserve_format
                moved = weight.detach().to(device, dtype, memory_format=layout)
                module.register_parameter(key, nn.Parameter(moved, requires_grad=False))
    return Place(generator.to(device), device, dtype)


@dataclass(eq=False)
class Engine:
    """Computes photos of one size together where that pays, in smaller batches where memory is short, else on the CPU.

    On a CPU each photo is computed alone, so that its result has the same bits in whatever company it came; elsewhere
    it depends on the others by rounding alone.

    Attributes:
        place: where to compute.
        reserve: the CPU with float32, for when `place` has too little memory; None where `place` is the CPU.
        notify: told in words what memory was too short for.
        most: photos that are worth computing together.
        exact: float32, for photos of which `place` makes no numbers in half precision; None where it is that itself.
    """

    place: Place
    reserve: Place | None
    notify: Callable[[str], None]
    most: int
    exact: Place | None = None
    # What did not fit once is not tried again: pixels of a whole batch.
    _too_many_px: float = field(default=float("inf"), init=False)

    @classmethod
    def start(
        cls, generator: Generator, device: torch.device, dtype: torch.dtype, notify: Callable[[str], None]
    ) -> Engine:
        """Make an engine of a float32 generator on the CPU, which is the engine's own from then on."""
        if device.type == "cpu" and dtype is torch.float32:
            return cls(place(generator, device, dtype), None, notify, most=1)
        own = place(copy.deepcopy(generator), device, dtype)
        exact = place(generator, CPU, torch.float32)
        if device.type == "cpu":
            return cls(own, None, notify, most=1, exact=exact)
        return cls(own, exact, notify, most=16, exact=exact)

    def run(self, L: Tensor, temperature: float, read: Read) -> list[Results | PhotoError]:
        """Compute a batch.

        Args:
            L: (B, 1, h, w), 0..100, on the CPU; or (B, 4, h, w) with hints, as `Generator.forward` takes them.
            temperature: of the decoding.
            read: what is wanted of a prediction for a part of the batch, still on the device: tensors of (B, ...).

        Returns:
            For each photo its part of the results, without the first dimension; or why not: memory did not suffice for
            it alone on the CPU, or the first of the results are no numbers in float32 either.
        """
        if len(L) > self.most:
            return [result for part in L.split(self.most) for result in self.run(part, temperature, read)]
        if L.numel() < self._too_many_px:
            results = self._try(self.place, L, temperature, read)
            if results is not None:
                parts = zip(L.split(1), zip(*results, strict=True), strict=True)
                return [self._with_numbers(one, part, temperature, read) for one, part in parts]
            self._note(L)
        if len(L) > 1:
            return [result for part in L.split((len(L) + 1) // 2) for result in self.run(part, temperature, read)]
        results = self._try(self.reserve, L, temperature, read) if self.reserve else None
        if results is not None:
            return [_checked(part) for part in zip(*results, strict=True)]
        height, width = L.shape[-2:]
        found = f"not enough memory to compute its colors at {width} x {height}"
        return [PhotoError("enough memory", found, "Lower the render size, or end other programs.")]

    def _with_numbers(self, L: Tensor, part: Results, temperature: float, read: Read) -> Results | PhotoError:
        """A photo's results, computed once more where they are no numbers: half precision has a narrow range."""
        if _is_finite(part) or self.exact is None:
            return _checked(part)
        again = self._try(self.exact, L, temperature, read)
        return _checked(part if again is None else tuple(result[0] for result in again))

    def _try(self, place: Place, L: Tensor, temperature: float, read: Read) -> Results | None:
        try:
            return place.run(L, temperature, read)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Out here nothing holds the frames of the failed attempt, and with them its tensors.
        if place.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _note(self, L: Tensor) -> None:
        """Remember what was too much, where there is another way, and say which."""
        where = self.place.device
        if len(L) > 1:
            self.notify(f"Not enough memory on {where} for {len(L)} photos at once: going on with fewer.")
        elif self.reserve:
            self.notify(f"Not enough memory on {where} for a photo of this size: going on with it on the CPU.")
        else:
            return
        self._too_many_px = L.numel()


def _is_finite(part: Results) -> bool:
    return bool(part[0].isfinite().all())


def _checked(part: Results) -> Results | PhotoError:
    if _is_finite(part):
        return part
    found = "the network made no numbers of it, in float32 either"
    return PhotoError(
        "finite colors", found, "Choose another model; where no photo comes out, its weights are damaged."
    )
