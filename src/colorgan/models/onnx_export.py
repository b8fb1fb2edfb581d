"""Export of models to ONNX, for programs without Python or PyTorch (the extra `onnx`)."""

from __future__ import annotations

import copy
import importlib.util
import json
import logging
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from colorgan.errors import OutputError, UsageError, missing_extra
from colorgan.files import atomic_write
from colorgan.models.loading import Model, load_model
from colorgan.networks.folding import fold_batch_norms
from colorgan.networks.generator import Generator

SMALLEST_PX, LARGEST_PX = 64, 4096
_NEEDED = ("onnx", "onnxscript")


class _Decoded(nn.Module):
    """A generator with its model's temperature built in, for sizes that need no padding."""

    def __init__(self, generator: Generator, temperature: float) -> None:
        super().__init__()
        self.generator, self.temperature = generator, temperature

    def forward(self, L: Tensor) -> tuple[Tensor, ...]:
        """Map L (B, 1, H, W) to ab (B, 2, H, W) and, if the network has bins, their logits at a quarter."""
        prediction = self.generator.compute(L, self.temperature)
        return (prediction.ab,) if prediction.logits is None else (prediction.ab, prediction.logits)


def export_onnx(
    model: Model | str, path: str | os.PathLike[str], *, height: int | None = None, width: int | None = None
) -> Path:
    """Write a model as one ONNX file.

    Its input `L` is (batch, 1, height, width), float32, lightness 0..100; its output `ab` is (batch, 2, height, width)
    in Lab units, and for a network with bins `logits` is (batch, 313, height / 4, width / 4). The temperature
    is applied inside. The batch size is dynamic; height and width are too unless they are given, from 64 pixels up in
    steps that the file's metadata names `multiple`. The metadata also has name, license, render size and the scales of
    L and ab.

    Args:
        model: a loaded model, or the name or path of one for `load_model`.
        path: the file to write.
        height: fixes the height, pixels.
        width: fixes the width, pixels.

    Returns:
        The path.

    Raises:
        UsageError: the extra is not installed, or the network does not take the size.
        OutputError: the file cannot be written.
        WeightsError: the model cannot be loaded.
    """
    if any(importlib.util.find_spec(name) is None for name in _NEEDED):
        raise missing_extra("what an ONNX file is written with", "onnx")
    if isinstance(model, str):
        model = load_model(model, torch.device("cpu"))
    for name, side in (("height", height), ("width", width)):
        _check_side(name, side, model.generator.multiple)
    content = _exported(model, height, width)
    path = Path(path)
    try:
        with atomic_write(path) as file:
            file.write(content)
    except OSError as error:
        raise OutputError.of(f"an ONNX file at {path}", error, "choose another place") from error
    return path


def _check_side(name: str, side: int | None, multiple: int) -> None:
    if side is not None and (side % multiple or not SMALLEST_PX <= side <= LARGEST_PX):
        expected = f"a {name} from {SMALLEST_PX} to {LARGEST_PX} that {multiple} divides"
        raise UsageError(expected, str(side), f"Give one, or leave it out to let the {name} be free.", parameter=name)


def _exported(model: Model, height: int | None, width: int | None) -> bytes:
    """Return the bytes of the ONNX file; the model itself is not changed."""
    generator = copy.deepcopy(model.generator).cpu().eval()
    if generator.can_fold:
        fold_batch_norms(generator)
    multiple = generator.multiple
    network = _Decoded(generator, model.info.temperature).eval()
    # Two photos with different sides: an axis of size one, or two of the same size, would be taken for fixed.
    example = torch.full((2, 1, height or 2 * max(multiple, 32), width or 3 * max(multiple, 32)), 50.0)
    axes: dict[int, object] = {0: torch.export.Dim("batch", min=1, max=4096)}
    for axis, name, side in ((2, "height", height), (3, "width", width)):
        if side is None:
            steps = torch.export.Dim(f"{name}_steps", min=max(2, SMALLEST_PX // multiple), max=LARGEST_PX // multiple)
            axes[axis] = multiple * steps
    with torch.no_grad(), warnings.catch_warnings():
        # Run once before it is traced: that fills caches, which must not be filled with traced values.
        outputs = ["ab", "logits"][: len(network(example))]
        warnings.simplefilter("ignore")
        program = _quietly_exported(network, example, axes, outputs)
    for name, value in _metadata(model).items():
        program.model.metadata_props[name] = value
    content: bytes = program.model_proto.SerializeToString()
    return content


def _quietly_exported(
    network: nn.Module, example: Tensor, axes: dict[int, object], outputs: list[str]
) -> torch.onnx.ONNXProgram:
    """Trace the network, without the exporter's warnings about operators that are not needed here."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["L"],
            output_names=outputs,
            dynamic_shapes={"L": axes},
        )
    finally:
        logger.setLevel(level)
    assert program is not None
    return program


def _metadata(model: Model) -> dict[str, str]:
    info = model.info
    return {
        "name": info.name,
        "network": info.network,
        "license": info.license,
        "made_by": info.made_by,
        "trained_on": info.trained_on,
        "render_size": str(info.render_size),
        "multiple": str(model.generator.multiple),
        "L": "lightness of CIE Lab, D65, 0 to 100",
        "ab": "a and b of CIE Lab, D65, in Lab units",
        "figures": json.dumps(info.figures),
    }
