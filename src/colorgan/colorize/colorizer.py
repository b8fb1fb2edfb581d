"""One photo from grey to colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from colorgan.colorize import fullres
from colorgan.colorize.rendering import Rendering
from colorgan.devices import resolve_device
from colorgan.download import Progress
from colorgan.errors import UsageError, WeightsError
from colorgan.media.lightness import Lightness
from colorgan.media.photo import Photo, from_image, to_image
from colorgan.weights import Model, load_model

_MOST_ASPECT = 8  # beyond this the long side stops growing: a photo of 1 x 5000 must not cost 256 x 1280000


@dataclass(frozen=True, eq=False)
class Colorizer:
    """A loaded model that colours photos.

    Attributes:
        model: the generator and what its file says of it.
        device: where it computes.
    """

    model: Model
    device: torch.device

    @classmethod
    def load(cls, model: str = "compact", *, device: str = "auto", progress: Progress | None = None) -> Colorizer:
        """Load a model; a published one is fetched on its first use.

        Args:
            model: its name, or the path of its file.
            device: auto, cpu, cuda, cuda:N or mps.
            progress: called while it is fetched, with the bytes that are here and with those of the whole file where
                they are known.

        Raises:
            DeviceError: no such device.
            UsageError: no such model.
            WeightsError: its file is missing or damaged, or not to be fetched.
        """
        place = resolve_device(device)
        return cls(load_model(model, place, progress), place)

    def colorize(
        self,
        image: Image.Image,
        *,
        saturation: float = 1.0,
        temperature: float | None = None,
        render_size: int | None = None,
    ) -> Image.Image:
        """Colour a picture in memory.

        Args:
            image: of any mode; it stays as it is.
            saturation: multiplies the colours, 0..4.
            temperature: of the decoding, 0.01..100; the model's own where None.
            render_size: the short side at which the network sees it, 16..4096 pixels; the model's own where None.

        Returns:
            A picture of the same size, upright where EXIF said that it lay: RGB, or RGBA where it had transparency.

        Raises:
            PhotoError: a picture of a mode that is not known.
            UsageError: a value out of its range.
        """
        rendering = Rendering(saturation, temperature, render_size)
        photo = from_image(image)
        return to_image(self.colorize_photo(photo, rendering), photo.alpha)

    def colorize_photo(self, photo: Photo, rendering: Rendering) -> NDArray[np.uint8]:
        """Colour a photo as it was read.

        Returns:
            (H, W, 3) sRGB at the photo's own size.
        """
        return fullres.render(photo.lightness, self.predict(photo.lightness, rendering), rendering.saturation)

    def predict(self, lightness: Lightness, rendering: Rendering) -> Tensor:
        """Predict the colours at the size at which the network sees the photo.

        Args:
            lightness: of the photo, at full size.
            rendering: its saturation is left to `fullres`.

        Returns:
            (2, h, w) float32 on the CPU, Lab units.

        Raises:
            UsageError: a temperature for a network that has none.
            WeightsError: the network gives no finite colours.
        """
        info = self.model.info
        temperature = info.temperature if rendering.temperature is None else rendering.temperature
        height, width = lightness.shape
        size = network_size(height, width, rendering.render_size or info.render_size)
        with torch.inference_mode():
            small = torch.from_numpy(lightness.reduced(*size))[None, None]
            prediction = self.model.generator(small.to(self.device), temperature)
            ab: Tensor = prediction.ab[0].float().cpu()
        if prediction.logits is None and rendering.temperature is not None:
            advice = "Leave the temperature out, or choose another model."
            raise UsageError("a model that decodes bins", f"{info.name} has no temperature", advice)
        if not bool(ab.isfinite().all()):
            advice = "The weights are damaged or were trained to nothing: choose another model."
            raise WeightsError(f"finite colours from {info.name}", "values that are no numbers", advice)
        return ab


def network_size(height: int, width: int, render_size: int) -> tuple[int, int]:
    """The height and width at which a network sees a photo: `render_size` on the short side, of like shape.

    A photo longer than eight times its breadth is held at eight times the render size on its long side.
    """
    scale = min(render_size / min(height, width), _MOST_ASPECT * render_size / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
