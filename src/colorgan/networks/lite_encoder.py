"""EfficientNet-Lite without its classifier, as an encoder of lightness, and the conversion of its published weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The norms of EfficientNet have an epsilon of their own (Tan and Le 2019, their published code).
_ENCODER_EPS = 1e-3


class _StageRow(NamedTuple):
    """A stage of EfficientNet-B0 (Tan and Le 2019, table 1), whose channels and blocks are the encoder's own."""

    kernel: int
    stride: int
    expansion: int


_STAGES = (
    _StageRow(3, 1, 1),
    _StageRow(3, 2, 6),
    _StageRow(5, 2, 6),
    _StageRow(3, 2, 6),
    _StageRow(5, 1, 6),
    _StageRow(5, 2, 6),
    _StageRow(3, 1, 6),
)
STEM_CHANNELS = 32


class LiteShape(NamedTuple):
    """The channels and the blocks of each stage of an encoder."""

    channels: tuple[int, ...]
    repeats: tuple[int, ...]


# The published encoders (EfficientNet-Lite).
LITE_SHAPES = {
    "lite0": LiteShape((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "lite1": LiteShape((16, 24, 40, 80, 112, 192, 320), (1, 3, 3, 4, 4, 5, 1)),
    "lite2": LiteShape((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding, which at stride 2 has its odd pixel at the right and the bottom.

    Expects heights and widths that the stride divides.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        size, stride = self.kernel_size[0], self.stride[0]
        total = size - stride
        before, after = total // 2, total - total // 2
        padding = before
        if before != after:
            x, padding = F.pad(x, (before, after, before, after)), 0
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


def conv_unit(conv: nn.Conv2d, eps: float = 1e-5, activation: nn.Module | None = None) -> nn.Sequential:
    """Build a convolution, its norm, and its activation if there is one."""
    parts: list[tuple[str, nn.Module]] = [("conv", conv), ("norm", nn.BatchNorm2d(conv.out_channels, eps=eps))]
    return nn.Sequential(OrderedDict([*parts, ("activation", activation)] if activation else parts))


def _encoder_unit(conv: nn.Conv2d, active: bool = True) -> nn.Sequential:
    return conv_unit(conv, _ENCODER_EPS, nn.ReLU6() if active else None)


class MBConv(nn.Module):
    """An inverted bottleneck without squeeze and excitation (Sandler et al. 2018, figure 3; EfficientNet-Lite).

    Its depthwise convolution has the kernel, the stride, and `expansion` times as many channels as the input.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = _encoder_unit(nn.Conv2d(channels_in, inner, 1, bias=False)) if expansion > 1 else nn.Identity()
        self.depthwise = _encoder_unit(SameConv2d(inner, inner, kernel, stride, groups=inner, bias=False))
        self.project = _encoder_unit(nn.Conv2d(inner, channels_out, 1, bias=False), active=False)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C', H / stride, W / stride)."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class LiteEncoder(nn.Module):
    """EfficientNet-Lite without its classifier, for lightness alone.

    Its batch norms keep their pretrained statistics, also in training mode: a batch of a few photos says less than the
    million that they were taken from. `statistics_fixed` is False for an encoder that starts untrained.

    Args:
        channels: channels of each of the seven stages.
        repeats: blocks of each stage.
        stem: channels of the first convolution.

    Attributes:
        shape: the arguments that build it again, by their names in `LiteUNet`.
        level_channels: channels of each level that `forward` returns.
        statistics_fixed: whether batch norms stay in evaluation mode in training.
    """

    def __init__(self, channels: Sequence[int], repeats: Sequence[int], stem: int = STEM_CHANNELS) -> None:
        super().__init__()
        if not len(channels) == len(repeats) == len(_STAGES) or min(repeats) < 1:
            raise ValueError(f"{len(_STAGES)} stages of a block or more are needed: {channels=}, {repeats=}")
        self.shape: dict[str, Any] = {
            "encoder_channels": list(channels),
            "encoder_repeats": list(repeats),
            "stem": stem,
        }
        self.statistics_fixed = True
        self.stem = _encoder_unit(SameConv2d(1, stem, 3, 2, bias=False))
        self.blocks = nn.ModuleList()
        self._level_ends: list[int] = []
        self.level_channels: list[int] = []
        width = stem
        for row, wider, count in zip(_STAGES, channels, repeats, strict=True):
            if row.stride == 2:
                self._end_level(width)
            for number in range(count):
                stride = row.stride if number == 0 else 1
                self.blocks.append(MBConv(width, wider, row.kernel, stride, row.expansion))
                width = wider
        self._end_level(width)

    def _end_level(self, channels: int) -> None:
        self._level_ends.append(len(self.blocks) - 1)
        self.level_channels.append(channels)

    def train(self, mode: bool = True) -> LiteEncoder:
        """Set the mode of all modules except, if their statistics are fixed, the batch norms."""
        super().train(mode)
        if self.statistics_fixed:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def freeze(self, blocks: int) -> None:
        """Freeze the stem and the first `blocks` blocks; 0 freezes nothing."""
        if blocks:
            for module in [self.stem, *list(self.blocks)[:blocks]]:
                module.requires_grad_(False)

    def forward(self, L: Tensor) -> list[Tensor]:
        """Map L (B, 1, H, W), 0..100, with H and W divisible by 32, to features at 1/2, 1/4, 1/8, 1/16 and 1/32."""
        # The published networks take (x - 127) / 128 of bytes, which for gray is nearly this.
        x = self.stem((L - 50.0) / 50.0)
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self._level_ends:
                levels.append(x)
        return levels


# Our names of the parts of a block, and those in the published files.
_PUBLISHED_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_NORM_TENSORS = ("weight", "bias", "running_mean", "running_var")
_COUNTER = ".num_batches_tracked"
_CLASSIFIER = ("_conv_head.", "_bn1.", "_fc.")


def encoder_from_published(tensors: Mapping[str, Tensor]) -> LiteEncoder:
    """Build an encoder from the tensors of a published EfficientNet-Lite classifier.

    The stem's weights are summed over red, green and blue, which is what they do to gray; the classifier is left out.

    Args:
        tensors: the tensors of `efficientnet-liteN-*.pth`, by their published names.

    Raises:
        ValueError: they are not those of lite0, lite1 or lite2.
    """
    for shape in LITE_SHAPES.values():
        with torch.device("meta"):
            encoder = LiteEncoder(*shape)
        found = _renamed(tensors, encoder)
        if found is not None:
            encoder.load_state_dict(found, strict=True, assign=True)
            return encoder
    raise ValueError(f"its tensors are not those of {', '.join(LITE_SHAPES)}")


def _renamed(tensors: Mapping[str, Tensor], encoder: LiteEncoder) -> dict[str, Tensor] | None:
    """Return the tensors under our names, or None if they are not of this shape of encoder."""
    wanted = encoder.state_dict()
    found: dict[str, Tensor] = {}
    names = dict(_published_names(encoder))
    for ours, published in names.items():
        tensor = tensors.get(published)
        if tensor is None:
            return None
        tensor = tensor.detach().clone().float()
        found[ours] = tensor.sum(1, keepdim=True) if ours == "stem.conv.weight" else tensor
    if any(found[name].shape != wanted[name].shape for name in found):
        return None
    # EfficientNet-B0 has all of lite0's tensors, and more: it would compute something else without them.
    if any(
        not name.startswith(_CLASSIFIER) and not name.endswith(_COUNTER) for name in tensors.keys() - names.values()
    ):
        return None
    return found | {name: torch.zeros((), dtype=torch.int64) for name in wanted if name.endswith(_COUNTER)}


def _published_names(encoder: LiteEncoder) -> Iterator[tuple[str, str]]:
    """Yield our name and the published name of each of the encoder's tensors."""
    units = [("stem", "_conv_stem", "_bn0")]
    for number, block in enumerate(encoder.blocks):
        for part, (conv, norm) in _PUBLISHED_PARTS.items():
            if not isinstance(getattr(block, part), nn.Identity):
                units.append((f"blocks.{number}.{part}", f"_blocks.{number}.{conv}", f"_blocks.{number}.{norm}"))
    for ours, conv, norm in units:
        yield f"{ours}.conv.weight", f"{conv}.weight"
        for tensor in _NORM_TENSORS:
            yield f"{ours}.norm.{tensor}", f"{norm}.{tensor}"
