"""From gray to color: what the network sees of a photo, what it says of it, and the photo with its colors."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from colorgan.colorize import upsample
from colorgan.colorize.encoded import ColorizedPhoto, encode_result, read_options, result_suffix, with_hints
from colorgan.colorize.engine import CPU, Engine, Results
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions, Fit, Unsure
from colorgan.colorize.pictures import Picture, given
from colorgan.colorize.steering import hint_planes, hold
from colorgan.colorize.uncertainty import confidence, confidence_image, fade_unsure, variants
from colorgan.devices import is_out_of_memory, resolve_device, resolve_precision
from colorgan.errors import PhotoError, UsageError, WeightsError
from colorgan.images.decode import read
from colorgan.images.hints import Hint
from colorgan.images.lightness import Samples
from colorgan.images.photo import Photo
from colorgan.models.download import Progress
from colorgan.models.loading import Model, ModelInfo, load_model
from colorgan.networks.generator import Prediction

_MOST_ASPECT = 8  # beyond this the long side stops growing: a photo of 1 x 5000 must not cost 256 x 1280000


@dataclass(frozen=True, eq=False)
class PredictedColors:
    """What the network says of one photo, at the size at which it saw it; float32 on the CPU.

    Attributes:
        variants: (N, 2, h, w), Lab units; the first is the plain prediction.
        confidence: (ceil(h/4), ceil(w/4)), 0..1, or None where it was not asked for.
        guide: (h, w), the L that it saw, where its colors are to end at the photo's edges; else None.
        steered_by: (4, h, w), L and hints as it saw them, of a photo with hints; else None.
    """

    variants: Tensor
    confidence: Tensor | None = None
    guide: Tensor | None = None
    steered_by: Tensor | None = None

    @property
    def ab(self) -> Tensor:
        """The plain prediction, (2, h, w), Lab units."""
        return self.variants[0]


@dataclass(frozen=True, eq=False)
class Colorizer:
    """A loaded model that colors photos.

    One photo is `shrink`, `predict_batch`, `finish` in a row; whoever has many calls them apart.

    Attributes:
        info: what the model's file says of it.
        engine: runs its generator.
    """

    info: ModelInfo
    engine: Engine

    @classmethod
    def load(
        cls,
        model: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: str = "auto",
        notify: Callable[[str], None] = warnings.warn,
        progress: Progress | None = None,
    ) -> Colorizer:
        """Load a model; a published one is fetched on its first use.

        Args:
            model: its name, or the path of its file.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: of the convolutions: auto, fp32, bf16 or fp16; auto takes bf16 or fp16 where the hardware has it.
            notify: told in words when memory does not suffice and something slower is done instead.
            progress: called while it is fetched, with the bytes that are here and with those of the whole file where
                they are known.

        Raises:
            DeviceError: no such device.
            UsageError: no such model, or no such precision.
            WeightsError: its file is missing or damaged, or not to be fetched.
        """
        where = resolve_device(device)
        dtype = resolve_precision(precision, where)
        loaded = load_model(model, CPU, progress)
        return cls(loaded.info, Engine.start(loaded.generator, where, dtype, notify))

    @classmethod
    def of(cls, model: Model) -> Colorizer:
        """Take a model in memory, in float32 on the CPU; the model stays as it is."""
        generator = copy.deepcopy(model.generator).to(CPU)
        return cls(model.info, Engine.start(generator, CPU, torch.float32, warnings.warn))

    def __repr__(self) -> str:
        return f"<Colorizer {self.info.name} ({self.info.network}) on {self.device}>"

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.engine.place.device

    @property
    def batch_size(self) -> int:
        """How many photos of one `network_size` are worth computing together: 1 on a CPU."""
        return self.engine.most

    def colorize(
        self,
        image: Picture,
        *,
        saturation: float = 1.0,
        temperature: float | None = None,
        render_size: int | None = None,
        fit: Fit = "shape",
        edges: bool | None = None,
        unsure: Unsure = "keep",
        hints: Sequence[Hint] = (),
    ) -> Any:
        """Color a picture.

        Args:
            image: a path, the bytes of a file, an open file, a PIL image, or an array of (H, W), (H, W, 1) or (H, W, 3)
                in uint8, uint16 or floats of 0 to 1, sRGB; it stays as it is.
            saturation: multiplies the colors, 0..4.
            temperature: of the decoding, 0.01..100; the model's own where None.
            render_size: the short side at which the network sees it, 16..4096 pixels; the model's own where None.
            fit: shape, or square as in the demo that ECCV16 was published with.
            edges: whether colors end at the photo's edges; the model's own choice where None.
            unsure: keep, or gray to leave regions gray whose colors the network does not know.
            hints: colors for places of it.

        Returns:
            For an array one of (H, W, 3) of its type. Else a PIL image of the same size, upright where EXIF said that
            it lay: RGB, or RGBA where it had transparency, sRGB by its profile, with the resolution in its `info`.

        Raises:
            TypeError: no such picture.
            PhotoError: a picture that cannot be read, or too large for the memory; a hint outside of it.
            UsageError: a value out of its range; it is a ValueError too.
        """
        rendering = ColorizeOptions(
            saturation, temperature, render_size, fit, edges=edges, unsure=unsure, hints=tuple(hints)
        )
        picture = given(image, rendering.hints)
        return picture.give_back(self.colorize_photo(picture.photo, rendering, picture.bit_depth))

    def colorize_bytes(
        self, data: bytes, *, name: str = "", options: ColorizeOptions = ColorizeOptions()
    ) -> ColorizedPhoto:
        """Color a photo as `colorgan colorize` does, from the bytes of its file to those of the result's.

        All that the command does for a photo is done: it is set upright, its profile and 16 bits are heeded, and what
        its file said is kept. No file is touched; options and result can be pickled.

        Args:
            data: of the photo's file.
            name: of that file: its suffix says what kind the result is of, where the options keep the photo's.
            options: of the photo.

        Raises:
            PhotoError: it cannot be read or encoded, or is too large for the memory.
            UsageError: something that needs bins, of a network that has none.
            WeightsError: the network gives no finite colors.
            OutputError: 16 bits without tifffile.
        """
        photo = with_hints(read(io.BytesIO(data), read_options(options), name=name), options)
        colors = self.predict(photo, options)
        return encode_result(self, photo, colors, options, result_suffix(name, photo, options))

    def colorize_variants(
        self,
        image: Picture,
        count: int,
        *,
        seed: int = 0,
        saturation: float = 1.0,
        temperature: float | None = None,
        render_size: int | None = None,
        fit: Fit = "shape",
        edges: bool | None = None,
        unsure: Unsure = "keep",
        hints: Sequence[Hint] = (),
    ) -> list[Any]:
        """Color a picture in several plausible ways, out of one forward pass.

        Args:
            image: as for `colorize`, which also says what is given back.
            count: how many, 1..16; the first is what `colorize` gives.
            seed: of the others; the same seed gives the same ones.
            saturation: this and the others as for `colorize`.
            temperature: of the decoding.
            render_size: the short side at which the network sees it.
            fit: shape or square.
            edges: whether colors end at the photo's edges.
            unsure: keep or gray.
            hints: they hold in each.

        Raises:
            PhotoError: a picture of a mode that is not known, or too large for the memory.
            UsageError: a value out of its range, or a network without bins.
        """
        rendering = ColorizeOptions(
            saturation,
            temperature,
            render_size,
            fit,
            variants=count,
            seed=seed,
            edges=edges,
            unsure=unsure,
            hints=tuple(hints),
        )
        picture = given(image, rendering.hints)
        colors = self.predict(picture.photo, rendering)
        return [
            picture.give_back(self.finish(picture.photo, colors, rendering, picture.bit_depth, variant=number))
            for number in range(count)
        ]

    def confidence(
        self,
        image: Picture,
        *,
        temperature: float | None = None,
        render_size: int | None = None,
        fit: Fit = "shape",
        hints: Sequence[Hint] = (),
    ) -> Image.Image:
        """Tell how sure the network is of a picture's colors.

        Args:
            image: as for `colorize`.
            temperature: likewise, and so the others; what only a result has plays no part.
            render_size: the short side at which the network sees it.
            fit: shape or square.
            hints: where they reach, it is surer.

        Returns:
            A small gray picture of like shape: how likely the true color is within 10 ab units of the one shown, from
            black (never) to white (always).

        Raises:
            PhotoError: a picture of a mode that is not known, or too large for the memory.
            UsageError: a network without bins.
        """
        rendering = ColorizeOptions(
            temperature=temperature, render_size=render_size, fit=fit, confidence=True, hints=tuple(hints)
        )
        sure = self.predict(given(image, rendering.hints).photo, rendering).confidence
        assert sure is not None
        return confidence_image(sure)

    def colorize_photo(self, photo: Photo, rendering: ColorizeOptions, bit_depth: int = 8) -> Samples:
        """Color a photo as it was read.

        Args:
            photo: as it was read.
            rendering: how.
            bit_depth: of the result, 8 or 16.

        Returns:
            (H, W, 3) sRGB at the photo's own size, uint8 or uint16.

        Raises:
            PhotoError: memory does not suffice.
            UsageError: something that needs bins, of a network that has none.
            WeightsError: the network gives no finite colors.
        """
        return self.finish(photo, self.predict(photo, rendering), rendering, bit_depth)

    def predict(self, photo: Photo, rendering: ColorizeOptions) -> PredictedColors:
        """Predict the colors of one photo.

        Raises:
            PhotoError: memory does not suffice.
            UsageError: something that needs bins, of a network that has none.
            WeightsError: the network gives no finite colors.
        """
        (colors,) = self.predict_batch(self.shrink(photo, rendering)[None], rendering)
        if isinstance(colors, PhotoError):
            raise colors
        return colors

    def network_size(self, height: int, width: int, rendering: ColorizeOptions) -> tuple[int, int]:
        """The height and width at which the network sees a photo; those with the same can share a batch."""
        render_size = rendering.render_size or self.info.render_size
        return (render_size, render_size) if rendering.fit == "square" else network_size(height, width, render_size)

    def shrink(self, photo: Photo, rendering: ColorizeOptions) -> Tensor:
        """Reduce a photo to what the network sees of it.

        Returns:
            L: (1, h, w), 0..100; or (4, h, w) of a photo with hints, as `Generator.forward` takes them.
        """
        size = self.network_size(*photo.lightness.shape, rendering)
        # The square with the published demo's filter.
        how = (Image.Resampling.BICUBIC,) if rendering.fit == "square" else ()
        L = torch.from_numpy(photo.lightness.reduced(*size, *how))[None]
        if photo.hints is None:
            return L
        return torch.cat([L, hint_planes(photo.hints, photo.lightness.shape, *size)])

    def predict_batch(
        self, L: Tensor, rendering: ColorizeOptions, *, with_confidence: bool = False
    ) -> list[PredictedColors | PhotoError]:
        """Predict the colors of photos that share a `network_size`.

        Where memory is short, fewer are computed at once, and then on the CPU, and `notify` is told.

        Args:
            L: (B, 1, h, w), 0..100, on the CPU; or (B, 4, h, w), as `shrink` gives it.
            rendering: its saturation is left to `finish`.
            with_confidence: tell how sure the network was, where it has bins; with `rendering.confidence` it must.

        Returns:
            One for each photo, in their order. On a CPU a photo's colors have the same bits in whatever batch it was;
            elsewhere they differ by rounding. In place of a photo that memory does not suffice for: the reason.

        Raises:
            UsageError: something that needs bins, of a network that has none.
            WeightsError: the network gives no finite colors.
        """
        temperature = self.info.temperature if rendering.temperature is None else rendering.temperature

        def read(prediction: Prediction) -> Results:
            self._check(prediction, rendering)
            colored = variants(prediction, temperature, rendering.variants, rendering.seed)
            if prediction.logits is None or not (with_confidence or rendering.confidence or rendering.unsure == "gray"):
                return (colored,)
            sure = confidence(prediction.logits, prediction.ab, self.info.confidence_temperature)
            return fade_unsure(colored, sure) if rendering.unsure == "gray" else colored, sure

        with_edges = self.info.edges if rendering.edges is None else rendering.edges

        def colors(seen: Tensor, results: Results) -> PredictedColors:
            return PredictedColors(
                results[0],
                results[1] if len(results) > 1 else None,
                seen[0] if with_edges else None,
                seen if len(seen) > 1 else None,
            )

        results = self.engine.run(L, temperature, read)
        return [
            part if isinstance(part, PhotoError) else colors(seen, part) for seen, part in zip(L, results, strict=True)
        ]

    def _check(self, prediction: Prediction, rendering: ColorizeOptions) -> None:
        if prediction.logits is None:
            wanted = {
                "temperature": rendering.temperature is not None,
                "confidence": rendering.confidence,
                "unsure": rendering.unsure == "gray",
                "variants": rendering.variants > 1,
            }
            for name in (name for name, is_wanted in wanted.items() if is_wanted):
                found = f"{self.info.name} has no bins, and so no {name}"
                raise UsageError("a model that decodes bins", found, f"Leave {name} out, or choose another model.")
        if not bool(prediction.ab.isfinite().all()):
            if self.engine.place.dtype is torch.float32:
                advice = "The weights are damaged or were trained to nothing: choose another model."
            else:
                advice = "Compute with the precision fp32; if that fails too, the weights are damaged."
            raise WeightsError(f"finite colors from {self.info.name}", "values that are no numbers", advice)

    def finish(
        self, photo: Photo, colors: PredictedColors, rendering: ColorizeOptions, bit_depth: int = 8, *, variant: int = 0
    ) -> Samples:
        """Give a photo the colors that were predicted for it.

        Args:
            photo: as it was read.
            colors: as predicted.
            rendering: as for the prediction.
            bit_depth: of the result, 8 or 16.
            variant: which of the colorings, from 0.

        Returns:
            (H, W, 3) sRGB, uint8 or uint16.

        Raises:
            PhotoError: memory does not suffice.
        """
        ab = colors.variants[variant]
        if colors.steered_by is not None:
            is_steered = self.engine.place.generator.takes_hints
            ab = hold(ab, photo, colors.steered_by, colors.guide, rendering.saturation, is_steered)
        paint = partial(
            upsample.render,
            photo.lightness,
            ab,
            rendering.saturation,
            guide=colors.guide,
            bit_depth=bit_depth,
            is_clipped=rendering.fit == "square",
        )
        for device in [self.device] * (self.device.type == "cuda") + [CPU]:
            try:
                return paint(device=device)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            if device.type != "cpu":
                self.engine.notify(f"Not enough memory on {device} for the result: going on with it on the CPU.")
        width, height = photo.size
        found = f"not enough memory for a result of {width} x {height}"
        raise PhotoError("enough memory", found, "Make the photo smaller, or end other programs.")


def network_size(height: int, width: int, render_size: int) -> tuple[int, int]:
    """The height and width at which a network sees a photo: `render_size` on the short side, of like shape.

    A photo longer than eight times its breadth is held at eight times the render size on its long side.
    """
    scale = min(render_size / min(height, width), _MOST_ASPECT * render_size / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
