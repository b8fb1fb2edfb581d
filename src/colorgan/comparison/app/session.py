"""The app's operations on an uploaded photo, without Streamlit: read, color by several models, measure, and encode."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize import upsample
from colorgan.colorize.encoded import with_hints
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions
from colorgan.colorize.prediction import PredictedColors
from colorgan.comparison.crops import colorless_reason, crop
from colorgan.comparison.models import ComparedModel
from colorgan.comparison.results import GRAY, ORIGINAL
from colorgan.errors import PhotoError
from colorgan.images.decode import ReadOptions, read, read_rgb
from colorgan.images.encode import WriteOptions, encode
from colorgan.images.formats import FORMATS, PHOTO_SUFFIXES
from colorgan.images.hints import Hint
from colorgan.images.lightness import Samples
from colorgan.images.photo import Photo, from_image
from colorgan.metrics.registry import METRICS, ImageBatch, measure

MOST_SIDE_PX = 1024  # of previews
MOST_MEGAPIXELS = 100.0
VARIANTS = 4  # that are shown side by side
_QUALITY = 92


@dataclass(frozen=True, eq=False)
class UploadedPhoto:
    """A photo that was uploaded to the app.

    Attributes:
        name: of its file.
        photo: at full size and depth.
        preview: reduced to at most `MOST_SIDE_PX` a side.
        original: the preview in its own colors, or None if it has none.
        lab: the square that is measured, (1, 3, S, S), or None if the photo has no true colors.
    """

    name: str
    photo: Photo
    preview: Photo
    original: Image.Image | None
    lab: Tensor | None


def open_photo(name: str, data: bytes, size_px: int) -> UploadedPhoto:
    """Read a photo from a file's name and content; `size_px` is the side of the square that is measured.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    options = ReadOptions(max_megapixels=MOST_MEGAPIXELS)
    try:
        photo, image = read(io.BytesIO(data), options), read_rgb(io.BytesIO(data), options)
    except PhotoError as error:
        if error.parameter != "max_megapixels":
            raise
        advice = "Make it smaller first, or color it with `colorgan colorize`, which takes larger ones."
        raise PhotoError(error.expected, error.found, advice) from error
    square = crop(image, size_px)
    image.thumbnail((MOST_SIDE_PX, MOST_SIDE_PX), Image.Resampling.BICUBIC)
    preview = from_image(image)
    if colorless_reason(square, data):
        return UploadedPhoto(name, photo, preview, None, None)
    rgb = torch.from_numpy(square.copy()).permute(2, 0, 1)[None]
    return UploadedPhoto(name, photo, preview, image, rgb_to_lab(rgb.float() / 255))


@dataclass(frozen=True, eq=False)
class ModelOutput:
    """A model's prediction for a photo, before saturation is applied.

    Attributes:
        model: the model.
        options: with which it was predicted.
        colors: of the whole photo, at the size of the network's input.
        square: ab of the square that is measured, (2, S, S), without hints; None without true colors.
        variant: index of the coloring to use, from 0.
    """

    model: ComparedModel
    options: ColorizeOptions
    colors: PredictedColors
    square: Tensor | None
    variant: int = 0

    def rendered(self, photo: Photo, predicted: Photo, saturation: float) -> Samples:
        """Render a photo in the predicted colors: (H, W, 3) sRGB.

        Args:
            photo: the photo of the prediction, or its preview.
            predicted: the photo of the prediction, in whose pixels hints are counted.
            saturation: multiplies the colors.

        Raises:
            PhotoError: memory does not suffice.
        """
        hints = tuple(_rescaled(hint, predicted.size, photo.size) for hint in self.options.hints)
        options = replace(self.options, saturation=saturation, hints=hints)
        colorizer = self.model.colorizer
        return colorizer.finish(with_hints(photo, options), self.colors, options, variant=self.variant)


def _rescaled(hint: Hint, size: tuple[int, int], other: tuple[int, int]) -> Hint:
    """Convert a hint to the same photo at another size; sizes are width and height."""
    return replace(hint, x=hint.x * other[0] // size[0], y=hint.y * other[1] // size[1])


def predict(uploaded: UploadedPhoto, model: ComparedModel, options: ColorizeOptions) -> ModelOutput:
    """Predict the colors of a photo.

    Raises:
        PhotoError: memory does not suffice.
    """
    colors = model.colorizer.predict(with_hints(uploaded.photo, options), options)
    if uploaded.lab is None:
        return ModelOutput(model, options, colors, None)
    as_asked = ComparedModel(model.name, model.colorizer, options)
    (predicted,) = as_asked.predict(uploaded.lab[:, :1])
    if isinstance(predicted, PhotoError):
        raise predicted
    square, _ = predicted
    return ModelOutput(model, options, colors, square)


def predict_with_hints(uploaded: UploadedPhoto, made: ModelOutput, hints: Sequence[Hint]) -> ModelOutput:
    """Predict a photo again by the same model, with hints.

    Raises:
        PhotoError: memory does not suffice, or a hint is outside the photo.
    """
    options = replace(made.options, hints=tuple(hints))
    colors = made.model.colorizer.predict(with_hints(uploaded.photo, options), options)
    return replace(made, options=options, colors=colors)


def predict_variants(uploaded: UploadedPhoto, made: ModelOutput, hints: Sequence[Hint], seed: int) -> list[ModelOutput]:
    """Predict `VARIANTS` plausible colorings by the same model, as `colorize --variants`, each following the hints.

    The first is the plain prediction; the seed determines the others.

    Raises:
        UsageError: the network has no bins.
        PhotoError: as for `predict_with_hints`.
    """
    options = replace(made.options, variants=VARIANTS, seed=seed)
    several = predict_with_hints(uploaded, replace(made, options=options), hints)
    return [replace(several, variant=number) for number in range(VARIANTS)]


def hint_at(uploaded: UploadedPhoto, across: float, down: float, color: str) -> Hint:
    """Make a hint at a clicked point, given as shares of the photo's width and height, 0..1.

    Raises:
        UsageError: no such color.
    """
    width, height = uploaded.photo.size
    return Hint(min(width - 1, int(across * width)), min(height - 1, int(down * height)), color)


def opening_model(names: Sequence[str]) -> str:
    """Return the model that is shown first: `colorize`'s default if available, else the first."""
    return DEFAULT_MODEL if DEFAULT_MODEL in names else names[0]


def pictures(uploaded: UploadedPhoto, outputs: Mapping[str, ModelOutput], saturation: float) -> dict[str, bytes]:
    """Encode the previews in gray, in each model's colors and, if there are any, in its own: JPEGs by row."""
    gray = Image.fromarray(upsample.render(uploaded.preview.lightness, torch.zeros(2, 1, 1)))
    shown = {GRAY: _jpeg(gray)} | {name: picture(uploaded, made, saturation) for name, made in outputs.items()}
    return shown | {ORIGINAL: _jpeg(uploaded.original)} if uploaded.original else shown


def picture(uploaded: UploadedPhoto, made: ModelOutput, saturation: float) -> bytes:
    """Encode the preview in a model's colors as JPEG."""
    return _jpeg(Image.fromarray(made.rendered(uploaded.preview, uploaded.photo, saturation)))


def _jpeg(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, subsampling="4:4:4")
    return file.getvalue()


def metrics(
    uploaded: UploadedPhoto, outputs: Mapping[str, ModelOutput], saturation: float
) -> dict[str, dict[str, float]]:
    """Return the metrics of gray, of each model and of the original, by row and metric; empty without true colors."""
    if uploaded.lab is None:
        return {}
    L, true_ab = uploaded.lab[:, :1], uploaded.lab[:, 1:]
    truth = ImageBatch(L, true_ab)
    squares = {name: made.square for name, made in outputs.items() if made.square is not None}
    colors = {GRAY: torch.zeros_like(true_ab)} | {name: ab[None] * saturation for name, ab in squares.items()}
    rows = {name: _measured(ImageBatch(L, ab), truth, tuple(METRICS)) for name, ab in colors.items()}
    names = [name for name, metric in METRICS.items() if metric.defined_for_ground_truth]
    return rows | {ORIGINAL: _measured(truth, truth, names)}


def _measured(predicted: ImageBatch, truth: ImageBatch, names: Sequence[str]) -> dict[str, float]:
    return {name: float(measured.value) for name, measured in measure(predicted, truth, names).items()}


def result_name(uploaded: UploadedPhoto, model: str, variant: int = 0) -> str:
    """Return the file name of a result: photo, model, variant, and the photo's own suffix, or its substitute."""
    which = f"-variant-{variant + 1}" if variant else ""
    return f"{PurePath(uploaded.name).stem}-{model}{which}{_suffix(uploaded)}"


def hints_name(uploaded: UploadedPhoto) -> str:
    """Return the file name under which `colorize` finds the hints beside the photo."""
    return f"{PurePath(uploaded.name).stem}.hints.json"


def _suffix(uploaded: UploadedPhoto) -> str:
    kind = FORMATS[uploaded.photo.format]
    return kind.written_as or kind.suffixes[0]


def result(uploaded: UploadedPhoto, made: ModelOutput, saturation: float) -> bytes:
    """Encode a result at the photo's full size, with its metadata, and with the model recorded in XMP.

    Raises:
        PhotoError: memory does not suffice.
    """
    rgb = made.rendered(uploaded.photo, uploaded.photo, saturation).astype(np.uint8)
    kind = PHOTO_SUFFIXES[_suffix(uploaded)]
    options = WriteOptions(mark=made.model.colorizer.info.name)
    photo = uploaded.photo
    data, _ = encode(kind, rgb, alpha=photo.alpha, metadata=photo.metadata, options=options)
    return data
