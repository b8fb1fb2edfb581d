"""The options that both subcommands that train have, each declared once, and which of them a user gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from colorgan.cli.options import FILES, RUNNING
from colorgan.errors import UsageError
from colorgan.training.options import SMALLEST_SIDE_PX, RunOptions

_MOST_TIMES = 1000

RECIPE, LENGTH, AUGMENTATION = "Recipe", "Length", "Augmentation"


class ScheduleName(str, Enum):
    """How the rate goes."""

    constant = "constant"
    cosine = "cosine"


class PrecisionName(str, Enum):
    """What the network computes in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class CacheName(str, Enum):
    """Where decoded photos are kept."""

    none = "none"
    device = "device"


DataOption = Annotated[Path, typer.Option("--data", help="The set that prepare wrote.", rich_help_panel=FILES)]
RunOption = Annotated[
    Path, typer.Option("--run", help="The run folder: log, samples, weights, checkpoints.", rich_help_panel=FILES)
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the run's own options where none is given.", rich_help_panel=FILES),
]
OverwriteRunOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Remove the run in the run folder and start afresh.", rich_help_panel=FILES),
]
RebalanceOption = Annotated[
    float,
    typer.Option(
        "--rebalance",
        min=0,
        max=1,
        help="Strength of the rebalancing of the cross-entropy over the bins: 0 none, 1 full.",
        rich_help_panel=RECIPE,
    ),
]
LrOption = Annotated[
    float, typer.Option("--lr", min=1e-9, max=1, help="Adam's rate for the generator.", rich_help_panel=RECIPE)
]
EncoderLrOption = Annotated[
    float,
    typer.Option(
        "--encoder-lr",
        min=0,
        max=1,
        help="The rate of a pretrained encoder; 0 takes --lr.",
        rich_help_panel=RECIPE,
    ),
]
FreezeEncoderOption = Annotated[
    int,
    typer.Option(
        "--freeze-encoder",
        min=0,
        help="Blocks of a pretrained encoder that do not learn, with its stem; 0 lets all of it learn.",
        rich_help_panel=RECIPE,
    ),
]
WeightDecayOption = Annotated[
    float,
    typer.Option(
        "--weight-decay", min=0, max=1, help="Decoupled weight decay; 0 is plain Adam.", rich_help_panel=RECIPE
    ),
]
ClipNormOption = Annotated[
    float,
    typer.Option(
        "--clip-norm",
        min=0,
        help="Cut the norm of the generator's gradient to this; 0 leaves it.",
        rich_help_panel=RECIPE,
    ),
]
EmaOption = Annotated[
    float,
    typer.Option(
        "--ema", min=0, max=0.99999, help="Decay of the averaged weights; 0 for none.", rich_help_panel=RECIPE
    ),
]
ScheduleOption = Annotated[
    ScheduleName, typer.Option("--schedule", help="How the rate goes over the run.", rich_help_panel=RECIPE)
]
WarmupOption = Annotated[
    float,
    typer.Option(
        "--warmup", min=0, max=0.5, help="Share of the run in which the rate climbs from 0.", rich_help_panel=RECIPE
    ),
]
EpochsOption = Annotated[
    int,
    typer.Option(
        "--epochs",
        min=0,
        help="Passes over the training photos, at most; 0 goes on until --max-minutes, or without it for 3 (train 50).",
        rich_help_panel=LENGTH,
    ),
]
DropLastOption = Annotated[
    bool,
    typer.Option(
        "--drop-last/--keep-last",
        help="Leave out an epoch's last batch where it would hold fewer photos than the others.",
        rich_help_panel=LENGTH,
    ),
]
MaxMinutesOption = Annotated[
    float,
    typer.Option("--max-minutes", min=0, help="Minutes of training, at most; 0 for no limit.", rich_help_panel=LENGTH),
]
PatienceOption = Annotated[
    int,
    typer.Option(
        "--patience",
        min=0,
        help="End after so many epochs without better validation figures; 0 goes on.",
        rich_help_panel=LENGTH,
    ),
]
BatchSizeOption = Annotated[
    int,
    typer.Option("--batch-size", min=1, help="Photos in a step, over all processes.", rich_help_panel=LENGTH),
]
SizeOption = Annotated[
    int,
    typer.Option(
        "--size", min=SMALLEST_SIDE_PX, max=1024, help="Side of the training squares, pixels.", rich_help_panel=LENGTH
    ),
]
SizeMinOption = Annotated[
    int,
    typer.Option(
        "--size-min",
        min=0,
        max=1024,
        help="Draw each batch's side from here up to --size, in steps of 16 pixels; 0 always takes --size.",
        rich_help_panel=LENGTH,
    ),
]
WeightsOption = Annotated[
    list[str],
    typer.Option(
        "--weight",
        metavar="SOURCE=TIMES",
        help="How often an epoch draws the photos of a source; as often as wanted.",
        show_default="1 for each",
        rich_help_panel=LENGTH,
    ),
]
CacheOption = Annotated[
    CacheName,
    typer.Option(
        "--cache",
        help="device decodes all photos once into the memory of the device, where they are cut and varied.",
        rich_help_panel=RUNNING,
    ),
]
ValidateEveryOption = Annotated[
    int,
    typer.Option(
        "--validate-every",
        min=1,
        help="Epochs between validations; the last, and those of kept checkpoints, have one always.",
        rich_help_panel=LENGTH,
    ),
]
ValPhotosOption = Annotated[
    int, typer.Option("--val-photos", min=1, help="Validation photos, at most.", rich_help_panel=LENGTH)
]
LogEveryOption = Annotated[
    int, typer.Option("--log-every", min=1, help="Steps between lines of metrics.jsonl.", rich_help_panel=LENGTH)
]
CheckpointEveryOption = Annotated[
    int,
    typer.Option(
        "--checkpoint-every",
        min=0,
        help="Keep the checkpoint of every so many epochs for good.",
        rich_help_panel=LENGTH,
    ),
]
SaveMinutesOption = Annotated[
    float,
    typer.Option(
        "--save-minutes", min=0.01, help="Minutes between checkpoints inside an epoch.", rich_help_panel=LENGTH
    ),
]
FlipOption = Annotated[
    bool, typer.Option("--flip/--no-flip", help="Mirror half of the photos.", rich_help_panel=AUGMENTATION)
]
CropMinOption = Annotated[
    float,
    typer.Option(
        "--crop-min",
        min=0.1,
        max=1,
        help="Smallest share of the short side that a crop takes.",
        rich_help_panel=AUGMENTATION,
    ),
]
BrightnessOption = Annotated[
    float,
    typer.Option(
        "--brightness", min=0, max=50, help="The most that L is shifted by, 0..50.", rich_help_panel=AUGMENTATION
    ),
]
ContrastOption = Annotated[
    float,
    typer.Option(
        "--contrast", min=0, max=0.9, help="The most that L's contrast changes, share.", rich_help_panel=AUGMENTATION
    ),
]
AgedOption = Annotated[
    float,
    typer.Option(
        "--aged",
        min=0,
        max=1,
        help="Share of photos whose L is made to look old: faded, grainy, stained, seen by early film.",
        rich_help_panel=AUGMENTATION,
    ),
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        "--precision", help="auto takes bf16 where the device computes it in hardware.", rich_help_panel=RUNNING
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option("--compile", help="Compile the networks first: minutes once, faster steps.", rich_help_panel=RUNNING),
]
TensorboardOption = Annotated[
    bool,
    typer.Option(
        "--tensorboard", help="Also write TensorBoard events (the extra tensorboard).", rich_help_panel=RUNNING
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers", min=0, help="Processes that decode photos; 0 for none of their own.", rich_help_panel=RUNNING
    ),
]


def given_options(ctx: typer.Context, kind: type[RunOptions]) -> dict[str, Any]:
    """The training options that stand on the command line or in the environment, without the defaults."""
    names = [field.name for field in fields(kind)]
    sources = {name: ctx.get_parameter_source(name) for name in names}
    given = {name: _plain(ctx.params[name]) for name, source in sources.items() if source and source.name != "DEFAULT"}
    return given | ({"weights": _weights(given["weights"])} if "weights" in given else {})


def _weights(given: Sequence[str]) -> dict[str, float]:
    """The weights of sources by name, of texts such as slides=3."""
    weights = {}
    for text in given:
        name, _, times = text.rpartition("=")
        try:
            weights[name] = float(times)
        except ValueError:
            weights[name] = -1.0
        if not name or not 0 <= weights[name] <= _MOST_TIMES:
            found, advice = repr(text), "Name one of the set's sources, as in --weight slides=3."
            raise UsageError(f"--weight SOURCE=TIMES, from 0 to {_MOST_TIMES}", found, advice)
    return weights


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value
