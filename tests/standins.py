"""Made-up weights under published names: the values depend only on a tensor's name, so that no file is needed."""

import zlib
from functools import cache

import numpy as np
import torch

# Channels and blocks of each stage in the files of the published EfficientNet-Lite classifiers.
LITE_STAGES = {
    "lite0": ((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "lite1": ((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    "lite2": ((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
_LITE_KERNELS = (3, 3, 5, 3, 5, 5, 3)


def drawn(name, shape, scale, shift=0.0):
    """Return normally distributed values; eccv16_golden.safetensors was computed with these."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    return (shift + scale * rng.standard_normal(shape)).astype(np.float32)


def standin_norm(name, channels):
    """Return the tensors of a batch norm."""
    values = {"weight": (0.1, 1.0), "bias": (0.1, 0.0), "running_mean": (0.1, 0.4), "running_var": (0.02, 0.5)}
    tensors = {f"{name}.{key}": drawn(f"{name}.{key}", (channels,), *given) for key, given in values.items()}
    return {**tensors, f"{name}.num_batches_tracked": np.array(1, np.int64)}


def _lite_unit(conv, norm, shape, gain=1.4):
    weight = drawn(f"{conv}.weight", shape, gain / int(np.prod(shape[1:])) ** 0.5)
    return {f"{conv}.weight": weight, **standin_norm(norm, shape[0])}


def _lite_block(block, into, inner, out, kernel):
    tensors = _lite_unit(f"{block}._expand_conv", f"{block}._bn0", (inner, into, 1, 1)) if inner > into else {}
    tensors |= _lite_unit(f"{block}._depthwise_conv", f"{block}._bn1", (inner, 1, kernel, kernel))
    return tensors | _lite_unit(f"{block}._project_conv", f"{block}._bn2", (out, inner, 1, 1), gain=0.7)


@cache
def _lite(name):
    tensors = _lite_unit("_conv_stem", "_bn0", (32, 3, 3, 3))
    into, number = 32, 0
    for channels, blocks, kernel in zip(*LITE_STAGES[name], _LITE_KERNELS, strict=True):
        for _ in range(blocks):
            tensors |= _lite_block(f"_blocks.{number}", into, 6 * into if number else into, channels, kernel)
            into, number = channels, number + 1
    tensors |= _lite_unit("_conv_head", "_bn1", (1280, into, 1, 1))
    return tensors | {
        "_fc.weight": drawn("_fc.weight", (1000, 1280), 0.03),
        "_fc.bias": drawn("_fc.bias", (1000,), 0.1),
    }


def standin_lite(name="lite0"):
    """Return the tensors of a published EfficientNet-Lite classifier by their published names."""
    return {key: torch.from_numpy(values.copy()) for key, values in _lite(name).items()}
