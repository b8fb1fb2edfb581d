"""From gray to color: what the network sees of a photo, what it says of it, and the photo with its colors."""

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
from colorgan.colorize.pictures import Given, Picture, color_image, given
from colorgan.colorize.prediction import PredictedColors, PredictionReader, network_size, steered
from colorgan.colorize.steering import hint_planes, hold
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
    """What `Colorizer.colorize` takes beside the picture."""

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

    One photo is `shrink`, `predict_batch`, `finish` in a row; whoever has many calls them apart.

    Attributes:
        info: what the model's file says of it.
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
        """Load a model; a published one is fetched on its first use.

        Args:
            model: its name, or the path of its file.
            device: auto, cpu, cuda, cuda:N or mps.
            precision: of the convolutions: auto, fp32, bf16 or fp16; auto takes bf16 or fp16 where that is faster.
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
        """How many photos of one size at the network are worth computing together: 1 on a CPU."""
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
        like: Picture | None = None,
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
            like: a picture in color: what is like something in it takes its colors.

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
        picture, colors = self._predicted(image, rendering, like)
        return picture.give_back(self.finish(picture.photo, colors, rendering, picture.bit_depth))

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
            OutputError: 16 bits without tifffile.
        """
        photo = with_hints(read(io.BytesIO(data), ReadOptions(options.max_megapixels), name=name), options)
        colors = self.predict(photo, options)
        return encode_result(self, photo, colors, options, result_suffix(name, photo, options))

    def colorize_variants(
        self, image: Picture, count: int, *, seed: int = 0, **options: Unpack[ColorKeywords]
    ) -> list[Any]:
        """Color a picture in several plausible ways, out of one forward pass.

        Args:
            image: as for `colorize`, which also says what is given back.
            count: how many, 1..16; the first is what `colorize` gives.
            seed: of the others; the same seed gives the same ones.
            options: all others of `colorize`; hints hold in each.

        Raises:
            PhotoError: a picture of a mode that is not known, or too large for the memory.
            UsageError: a value out of its range, or a network without bins.
        """
        rendering = _rendering(options, variants=count, seed=seed)
        picture, colors = self._predicted(image, rendering, options.get("like"))
        return [
            picture.give_back(self.finish(picture.photo, colors, rendering, picture.bit_depth, variant=number))
            for number in range(count)
        ]

    def confidence(self, image: Picture, **options: Unpack[ColorKeywords]) -> Image.Image:
        """Tell how sure the network is of a picture's colors.

        Args:
            image: as for `colorize`.
            options: all others of `colorize`; where hints reach, it is surer.

        Returns:
            A small gray picture of like shape: how likely the true color is within 10 ab units of the predicted one,
            from black (never) to white (always).

        Raises:
            PhotoError: a picture of a mode that is not known, or too large for the memory.
            UsageError: a value out of its range, or a network without bins.
        """
        _, colors = self._predicted(image, _rendering(options, confidence=True), options.get("like"))
        assert colors.confidence is not None
        return confidence_image(colors.confidence)

    def _predicted(
        self, image: Picture, rendering: ColorizeOptions, like: Picture | None
    ) -> tuple[Given, PredictedColors]:
        """A picture and its colors, by the palette of another where there is one."""
        picture = given(image, rendering.hints)
        return picture, self.predict(picture.photo, rendering, None if like is None else self.palette_of(like))

    def predict(self, photo: Photo, rendering: ColorizeOptions, palette: Palette | None = None) -> PredictedColors:
        """Predict the colors of one photo; by a palette where one is given.

        Raises:
            PhotoError: memory does not suffice, or the network makes no numbers of it.
            UsageError: something that needs bins, of a network that has none.
        """
        (colors,) = self.predict_batch(self.shrink(photo, rendering)[None], rendering, palette=palette)
        if isinstance(colors, PhotoError):
            raise colors
        return colors

    def palette_of(self, reference: Picture) -> Palette:
        """The palette of a picture in color, for `like`; that of a path is kept.

        Raises:
            UsageError: it cannot be read or has no colors, or the network tells no regions apart.
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
        """Whether colors end at the photo's edges: as was asked for, else as the model has it."""
        return self.info.edges if rendering.edges is None else rendering.edges

    def shrink(self, photo: Photo, rendering: ColorizeOptions) -> Tensor:
        """Reduce a photo to what the network sees of it; photos that come out in one size can share a batch.

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
        """Predict the colors of photos that have one size at the network.

        Where memory is short, fewer are computed at once, and then on the CPU, and `notify` is told.

        Args:
            L: (B, 1, h, w), 0..100, on the CPU; or (B, 4, h, w), as `shrink` gives it.
            rendering: its saturation is left to `finish`.
            with_confidence: tell how sure the network was, where it has bins; with `rendering.confidence` it must.
            with_regions: divide each photo into regions of like features.
            palette: that their colors are to be of; that of `rendering.like` where None.

        Returns:
            One for each photo, in their order. On a CPU a photo's colors have the same bits in whatever batch it was;
            elsewhere they differ by rounding. In place of a photo that memory does not suffice for, or that the network
            makes no numbers of: the reason.

        Raises:
            UsageError: something that needs bins, or regions, of a network that has none.
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
        """Give a photo the colors that were predicted for it with these options, as one of its variants, from 0.

        Returns:
            (H, W, 3) sRGB, uint8 or uint16.

        Raises:
            PhotoError: memory does not suffice.
        """
        ab = colors.variants[variant]
        if photo.hints is not None:
            is_steered = self.engine.place.generator.takes_hints
            ab = hold(ab, photo, colors.seen, colors.guide, rendering.saturation, is_steered)
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
                self.engine.notify(f"Not enough memory on {device} for the result: going on with it on the CPU.")
        width, height = photo.size
        found = f"not enough memory for a result of {width} x {height}"
        raise PhotoError("enough memory", found, "Make the photo smaller, or end other programs.")


def _rendering(keywords: ColorKeywords, **more: Any) -> ColorizeOptions:
    """The options among the keywords, and more of them; `like` is none."""
    named: dict[str, Any] = {**keywords, "hints": tuple(keywords.get("hints", ())), **more}
    named.pop("like", None)
    return ColorizeOptions(**named)
