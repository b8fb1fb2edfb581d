"""Color photos: reduce one to the network's input, predict its colors, and merge these with its own lightness."""

from __future__ import annotations

import copy
import io
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize import upsample
from colorgan.colorize.encoded import ColorizedPhoto, encode_result, result_suffix, with_hints
from colorgan.colorize.engine import CPU, Engine
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions, Fit, Unsure
from colorgan.colorize.palette import Palette, with_true_colors
from colorgan.colorize.pictures import LoadedPicture, Picture, color_image, load_picture
from colorgan.colorize.prediction import PredictedColors, PredictionReader, network_size, steered
from colorgan.colorize.steering import enforce_hints, hint_planes
from colorgan.colorize.uncertainty import confidence_image
from colorgan.devices import is_out_of_memory, resolve_device, resolve_precision
from colorgan.errors import PhotoError, UsageError
from colorgan.images.decode import ReadOptions, read
from colorgan.images.hints import Hint
from colorgan.images.lightness import Samples
from colorgan.images.photo import Photo
from colorgan.models.download import Progress
from colorgan.models.info import ModelInfo
from colorgan.models.loading import Model, load_model

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LEAST_CHROMA = 2.0  # Lab units, on average: below it a photo is gray, as for `prepare`


class ColorKeywords(TypedDict, total=False):
    """The keyword arguments of `Colorizer.colorize`."""

    saturation: float
    temperature: float | None
    render_size: int | None
    fit: Fit
    edges: bool | None
    unsure: Unsure
    hints: Sequence[Hint]
    like: Picture | None


@dataclass(frozen=True, eq=False)
class Colorizer:
    """A loaded model that colors photos.

    For one photo, `shrink`, `predict_batch` and `finish` run in a row; to batch photos, call them separately.

    Attributes:
        info: metadata from the model's file.
        engine: runs its generator.
    """

    info: ModelInfo
    engine: Engine
    _palettes: dict[str, Palette] = field(default_factory=dict, init=False)

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
        """Load a model; a published one is downloaded on its first use.

        Args:
            model: its name, or the path of its file.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: of the convolutions: auto, fp32, bf16 or fp16; auto takes bf16 or fp16 if that is faster.
            notify: called with a message when memory does not suffice and something slower is done instead.
            progress: called during a download with the bytes so far, and with those of the whole file, or None if
                unknown.

        Raises:
            DeviceError: no such device.
            UsageError: no such model, or no such precision.
            WeightsError: its file is missing or damaged, or cannot be downloaded.
        """
        where = resolve_device(device)
        dtype = resolve_precision(precision, where)
        loaded = load_model(model, CPU, progress)
        return cls(loaded.info, Engine.start(loaded.generator, where, dtype, notify))

    @classmethod
    def of(cls, model: Model) -> Colorizer:
        """Make a colorizer of a loaded model, in float32 on the CPU; the model is copied."""
        generator = copy.deepcopy(model.generator).to(CPU)
        return cls(model.info, Engine.start(generator, CPU, torch.float32, warnings.warn))

    def __repr__(self) -> str:
        return f"<Colorizer {self.info.name} ({self.info.network}) on {self.device}>"

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return self.engine.primary.device

    @property
    def batch_size(self) -> int:
        """The largest batch of photos of one input size that pays: 1 on a CPU."""
        return self.engine.max_batch

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
        like: Picture | None = None,
    ) -> Any:
        """Color a picture.

        Args:
            image: a path, the bytes of a file, an open file, a PIL image, or an array of (H, W), (H, W, 1) or (H, W, 3)
                in uint8, uint16 or floats of 0 to 1, sRGB; it is not modified.
            saturation: multiplies the colors, 0..4.
            temperature: of the decoding, 0.01..100; None for the model's own.
            render_size: short side of the network's input, 16..4096 pixels; None for the model's own.
            fit: shape keeps the aspect ratio; square squeezes it, as in the demo that ECCV16 was published with.
            edges: whether colors end at the photo's edges; None for the model's own choice.
            unsure: keep, or gray to leave regions gray whose colors the network does not know.
            hints: colors for points of it.
            like: a picture in color; regions similar to its regions take their colors.

        Returns:
            For an array, an array of (H, W, 3) of its type. Else a PIL image of the same size, upright by EXIF: RGB, or
            RGBA if it has transparency, with an sRGB profile and the resolution in its `info`.

        Raises:
            TypeError: `image` is of another type.
            PhotoError: the picture cannot be read, or memory does not suffice; a hint lies outside it.
            UsageError: a value out of its range; it is a ValueError too.
        """
        rendering = ColorizeOptions(
            saturation, temperature, render_size, fit, edges=edges, unsure=unsure, hints=tuple(hints)
        )
        picture, colors = self._predicted(image, rendering, like)
        return picture.to_output(self.finish(picture.photo, colors, rendering, picture.bit_depth))

    def colorize_bytes(
        self, data: bytes, *, name: str = "", options: ColorizeOptions = ColorizeOptions()
    ) -> ColorizedPhoto:
        """Color a photo as `colorgan colorize` does, from the bytes of its file to those of the result's.

        As by the command, the photo is turned upright, its profile and 16 bits are honored, and its metadata is kept.
        No file is touched; options and result can be pickled.

        Args:
            data: of the photo's file.
            name: of that file; its suffix gives the result's format, if the options keep the photo's.
            options: of the photo.

        Raises:
            PhotoError: it cannot be read or encoded, or memory does not suffice.
            UsageError: an option needs bins, which the network does not have.
            OutputError: 16 bits need tifffile, which is not installed.
        """
        photo = with_hints(read(io.BytesIO(data), ReadOptions(options.max_megapixels), name=name), options)
        colors = self.predict(photo, options)
        return encode_result(self, photo, colors, options, result_suffix(name, photo, options))

    def colorize_variants(
        self, image: Picture, count: int, *, seed: int = 0, **options: Unpack[ColorKeywords]
    ) -> list[Any]:
        """Color a picture in several plausible ways, by one forward pass.

        Args:
            image: as for `colorize`; so are the returned pictures.
            count: number of colorings, 1..16; the first is what `colorize` returns.
            seed: of the others; the same seed gives the same ones.
            options: all others of `colorize`; every coloring follows the hints.

        Raises:
            PhotoError: as `colorize`.
            UsageError: a value out of its range, or a network without bins.
        """
        rendering = _rendering(options, variants=count, seed=seed)
        picture, colors = self._predicted(image, rendering, options.get("like"))
        return [
            picture.to_output(self.finish(picture.photo, colors, rendering, picture.bit_depth, variant=number))
            for number in range(count)
        ]

    def confidence(self, image: Picture, **options: Unpack[ColorKeywords]) -> Image.Image:
        """Return a map of the network's confidence in a picture's colors.

        Args:
            image: as for `colorize`.
            options: all others of `colorize`; hints raise the confidence around them.

        Returns:
            A small gray picture of the same aspect ratio: the probability that the true color is within 10 ab units of
            the predicted one, from black (0) to white (1).

        Raises:
            PhotoError: as `colorize`.
            UsageError: a value out of its range, or a network without bins.
        """
        _, colors = self._predicted(image, _rendering(options, confidence=True), options.get("like"))
        assert colors.confidence is not None
        return confidence_image(colors.confidence)

    def _predicted(
        self, image: Picture, rendering: ColorizeOptions, like: Picture | None
    ) -> tuple[LoadedPicture, PredictedColors]:
        """Load a picture and predict its colors, by the palette of the picture `like` if there is one."""
        picture = load_picture(image, rendering.hints)
        return picture, self.predict(picture.photo, rendering, None if like is None else self.palette_of(like))

    def predict(self, photo: Photo, rendering: ColorizeOptions, palette: Palette | None = None) -> PredictedColors:
        """Predict the colors of one photo; by a palette, if one is given.

        Raises:
            PhotoError: memory does not suffice, or the network's output is not finite.
            UsageError: an option needs bins, which the network does not have.
        """
        (colors,) = self.predict_batch(self.shrink(photo, rendering)[None], rendering, palette=palette)
        if isinstance(colors, PhotoError):
            raise colors
        return colors

    def palette_of(self, reference: Picture) -> Palette:
        """Compute the palette of a picture in color, for `like`; it is cached if the picture is given by path.

        Raises:
            UsageError: it cannot be read or has no colors, or the network does not support regions.
        """
        key = str(reference) if isinstance(reference, str | os.PathLike) else ""
        if key in self._palettes:
            return self._palettes[key]
        advice = "Name a photo whose colors are to be taken."
        try:
            image = color_image(reference)
        except PhotoError as error:
            raise UsageError("a reference that can be read", f"{key}: {error}", advice, parameter="like") from error
        height, width = network_size(image.height, image.width, self.info.render_size)
        small = torch.from_numpy(np.array(image.resize((width, height), Image.Resampling.BICUBIC)))
        lab = rgb_to_lab(small.movedim(-1, 0)[None].float() / 255)[0]
        if float(lab[1:].norm(dim=0).mean()) < _LEAST_CHROMA:
            raise UsageError("a reference in color", f"{key or 'it'} is gray", advice, parameter="like")
        (colors,) = self.predict_batch(lab[:1][None], ColorizeOptions(), with_regions=True)
        if isinstance(colors, PhotoError):
            raise colors
        assert colors.regions is not None
        palette = Palette.of([with_true_colors(colors.regions, lab[1:])], is_reference=True)
        if key:
            self._palettes[key] = palette
        return palette

    def ends_at_edges(self, rendering: ColorizeOptions) -> bool:
        """Whether colors end at the photo's edges: by the options, else by the model's metadata."""
        return self.info.edges if rendering.edges is None else rendering.edges

    def shrink(self, photo: Photo, rendering: ColorizeOptions) -> Tensor:
        """Reduce a photo to the network's input; photos with inputs of one size can share a batch.

        Returns:
            L: (1, h, w), 0..100; or (4, h, w) of a photo with hints, as `Generator.forward` takes them.
        """
        side = rendering.render_size or self.info.render_size
        if rendering.fit == "square":
            size = side, side
            reduced = photo.lightness.reduced(*size, Image.Resampling.BICUBIC)  # the published demo's filter
        else:
            size = network_size(*photo.lightness.shape, side)
            reduced = photo.lightness.reduced(*size)
        L = torch.from_numpy(reduced)[None]
        if photo.hints is None:
            return L
        return torch.cat([L, hint_planes(photo.hints, photo.lightness.shape, *size)])

    def predict_batch(
        self,
        L: Tensor,
        rendering: ColorizeOptions,
        *,
        with_confidence: bool = False,
        with_regions: bool = False,
        palette: Palette | None = None,
    ) -> list[PredictedColors | PhotoError]:
        """Predict the colors of photos with inputs of one size.

        If memory is short, smaller batches are computed, and finally single photos on the CPU; `notify` is called.

        Args:
            L: (B, 1, h, w), 0..100, on the CPU; or (B, 4, h, w), as returned by `shrink`.
            rendering: the options; `finish` applies the saturation.
            with_confidence: also return confidence if the network has bins; `rendering.confidence` requires it.
            with_regions: divide each photo into regions of similar features.
            palette: the palette that the colors are adapted to; None for that of `rendering.like`.

        Returns:
            One for each photo, in order. On a CPU a photo's colors are bit-identical in every batch; on other devices
            they differ by rounding. In place of a photo for which memory does not suffice, or for which the network's
            output is not finite: the error.

        Raises:
            UsageError: an option needs bins or regions, which the network does not have.
        """
        if palette is None and rendering.like:
            palette = self.palette_of(rendering.like)
        reading = PredictionReader(
            self.info,
            rendering,
            with_edges=self.ends_at_edges(rendering),
            with_confidence=with_confidence or rendering.confidence or rendering.unsure == "gray",
            with_regions=with_regions or palette is not None,
        )
        results = self.engine.run(L, reading.temperature, reading.read)
        return [
            part if isinstance(part, PhotoError) else steered(reading.colors(seen, part), rendering, palette)
            for seen, part in zip(L, results, strict=True)
        ]

    def finish(
        self, photo: Photo, colors: PredictedColors, rendering: ColorizeOptions, bit_depth: int = 8, *, variant: int = 0
    ) -> Samples:
        """Render a photo in the colors that were predicted for it with these options; `variant` counts from 0.

        Returns:
            (H, W, 3) sRGB, uint8 or uint16.

        Raises:
            PhotoError: memory does not suffice.
        """
        ab = colors.variants[variant]
        if photo.hints is not None:
            is_steered = self.engine.primary.generator.takes_hints
            ab = enforce_hints(ab, photo, colors.seen, colors.guide, rendering.saturation, is_steered)
        paint = partial(
            upsample.render,
            photo.lightness,
            ab,
            rendering.saturation,
            guide=colors.guide,
            bit_depth=bit_depth,
            is_clipped=rendering.fit == "square",
        )
        devices = [self.device, CPU] if self.device.type == "cuda" else [CPU]
        for device in devices:
            try:
                return paint(device=device)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            if device.type != "cpu":
                self.engine.notify(f"Not enough memory on {device} for the result: continuing on the CPU.")
        width, height = photo.size
        found = f"not enough memory for a result of {width} x {height}"
        raise PhotoError("enough memory", found, "Make the photo smaller, or close other programs.")


def _rendering(keywords: ColorKeywords, **more: Any) -> ColorizeOptions:
    """Make options of the keywords and of more of them; `like` is dropped, as it may be a picture in memory."""
    named: dict[str, Any] = {**keywords, "hints": tuple(keywords.get("hints", ())), **more}
    named.pop("like", None)
    return ColorizeOptions(**named)
