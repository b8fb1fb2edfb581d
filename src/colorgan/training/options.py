"""Options of every training run and of `finetune`, without torch; `cli` makes its parameters from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from colorgan.errors import UsageError
from colorgan.options import DEVICE, FILES, RUNNING, SEED, Checked, Option

SCRATCH = "scratch"
SMALLEST_SIDE_PX = 16
Recipes = Mapping[str, Mapping[str, Any]]

_MOST_TIMES = 1000
ALWAYS_THERE = object()
RECIPE, _LENGTH, _AUGMENTATION = "Recipe", "Length", "Augmentation"


@dataclass(frozen=True)
class RunOption(Option):
    """An option of a training run.

    Attributes:
        before: of an option added later, the value that runs had implicitly before, whatever the default is now; it
            lets a run be resumed whose `run.json` lacks the option.
        may_change: whether a run may be resumed with another value, as for how long, how often and where it runs.
    """

    before: Any = ALWAYS_THERE
    may_change: bool = False


def parse_weights(given: Sequence[str]) -> dict[str, float]:
    """Parse texts such as slides=3 to weights by source.

    Raises:
        UsageError: a text is malformed, or its number out of range.
    """
    weights = {}
    for text in given:
        name, _, times = text.rpartition("=")
        try:
            weights[name] = float(times)
        except ValueError:
            weights[name] = -1.0
        if not name or not 0 <= weights[name] <= _MOST_TIMES:
            expected = f"`weights` to be SOURCE=TIMES, from 0 to {_MOST_TIMES}"
            advice = "Name a source of the set, as slides=3."
            raise UsageError(expected, repr(text), advice, parameter="weights")
    return weights


Options = TypeVar("Options", bound="RunOptions")


@dataclass(frozen=True)
class RunOptions(Checked):
    """Options of every training run.

    Attributes:
        recipes: for each recipe, the options that differ from the defaults.
        usual_epochs: the number of epochs if neither `epochs` nor `max_minutes` is given.
    """

    recipes: ClassVar[Recipes]
    usual_epochs: ClassVar[int]

    recipe: str = ""
    start: Annotated[
        str, RunOption("The model to start from: a name or a path.", FILES, flags="--from", completes="model")
    ] = "compact"
    lr: Annotated[float, RunOption("Adam's learning rate for the generator.", RECIPE, above=0, maximum=1)] = 1e-4
    encoder_lr: Annotated[
        float,
        RunOption("Learning rate of a pretrained encoder; 0 takes `lr`.", RECIPE, minimum=0, maximum=1, before=0.0),
    ] = 0.0
    freeze_encoder: Annotated[
        int,
        RunOption(
            "Freeze the stem and this many blocks of a pretrained encoder; 0 trains all of it.",
            RECIPE,
            minimum=0,
            unit="blocks",
            before=0,
        ),
    ] = 0
    weight_decay: Annotated[float, RunOption("Weight decay (AdamW); 0 is plain Adam.", RECIPE, minimum=0)] = 0.0
    clip_norm: Annotated[
        float, RunOption("Clip the norm of the generator's gradient to this; 0 does not clip.", RECIPE, minimum=0)
    ] = 0.0
    ema: Annotated[
        float, RunOption("Decay of the moving average of the weights; 0 for none.", RECIPE, minimum=0, maximum=0.99999)
    ] = 0.0
    schedule: Annotated[
        Literal["constant", "cosine"],
        RunOption("Learning rate over the run; cosine decays it to 0 at the end.", RECIPE),
    ] = "constant"
    warmup: Annotated[
        float, RunOption("Share of the run over which the learning rate rises from 0.", RECIPE, minimum=0, maximum=0.5)
    ] = 0.0
    epochs: Annotated[
        int,
        RunOption(
            "Maximum passes over the training photos; 0 runs until `max_minutes`, or without it for 3 (train 50).",
            _LENGTH,
            minimum=0,
            unit="epochs",
            may_change=True,
        ),
    ] = 0
    max_minutes: Annotated[
        float,
        RunOption(
            "Maximum minutes of training, those before a resume included; 0 for no limit.",
            _LENGTH,
            minimum=0,
            unit="minutes",
            may_change=True,
        ),
    ] = 0.0
    patience: Annotated[
        int,
        RunOption(
            "Stop after this many epochs without better validation metrics; 0 never stops early.",
            _LENGTH,
            minimum=0,
            unit="epochs",
            before=0,
            may_change=True,
        ),
    ] = 0
    batch_size: Annotated[int, RunOption("Photos per step, over all processes.", _LENGTH, minimum=1, unit="photos")] = (
        16
    )
    drop_last: Annotated[
        bool,
        RunOption(
            "Leave out an epoch's last batch if it is incomplete; several processes always do.",
            _LENGTH,
            flags="--drop-last/--keep-last",
            before=True,
        ),
    ] = True
    size: Annotated[
        int, RunOption("Side of the training crops.", _LENGTH, minimum=SMALLEST_SIDE_PX, maximum=1024, unit="pixels")
    ] = 256
    size_min: Annotated[
        int,
        RunOption(
            "Draw each batch's crop side between this and `size`, in steps of 16 pixels; 0 always takes `size`.",
            _LENGTH,
            minimum=0,
            maximum=1024,
            unit="pixels",
            before=0,
        ),
    ] = 0
    weights: Annotated[
        Mapping[str, float],
        RunOption(
            "How often an epoch draws each photo of a source; can be repeated.",
            _LENGTH,
            flags="--weight",
            metavar="SOURCE=TIMES",
            unset="1 for each",
            parse=parse_weights,
            repeated=True,
            before={},
        ),
    ] = field(default_factory=dict)
    cache: Annotated[
        Literal["none", "device"],
        RunOption(
            "device decodes all photos once into the device's memory, where they are cropped and augmented.",
            RUNNING,
            before="none",
            may_change=True,
        ),
    ] = "none"
    data_cache_gb: Annotated[
        float,
        RunOption(
            "Disk space for the local copies of sets at addresses, over all processes.",
            RUNNING,
            above=0,
            unit="GB",
            before=20.0,
            may_change=True,
        ),
    ] = 20.0
    flip: Annotated[bool, RunOption("Mirror half of the photos.", _AUGMENTATION, flags="--flip/--no-flip")] = True
    crop_min: Annotated[
        float, RunOption("Smallest crop, as a share of the photo's short side.", _AUGMENTATION, minimum=0.1, maximum=1)
    ] = 0.8
    brightness: Annotated[float, RunOption("Largest random shift of L.", _AUGMENTATION, minimum=0, maximum=50)] = 0.0
    contrast: Annotated[
        float, RunOption("Largest random change of L's contrast, as a share.", _AUGMENTATION, minimum=0, maximum=0.9)
    ] = 0.0
    aged: Annotated[
        float,
        RunOption(
            "Share of photos whose L is made to look old: faded, grainy, stained, as early film saw it.",
            _AUGMENTATION,
            minimum=0,
            maximum=1,
            before=0.0,
        ),
    ] = 0.0
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        RunOption("Number format of the networks; auto takes bf16 if the device is fast at it.", RUNNING),
    ] = "auto"
    compile: Annotated[
        bool,
        RunOption(
            "Compile the networks: takes minutes once, then faster steps.", RUNNING, before=False, may_change=True
        ),
    ] = False
    tensorboard: Annotated[
        bool,
        RunOption("Also write TensorBoard events (the extra tensorboard).", RUNNING, before=False, may_change=True),
    ] = False
    device: Annotated[str, RunOption(**vars(DEVICE), may_change=True)] = "auto"
    workers: Annotated[
        int,
        RunOption(
            "Processes that decode photos; 0 decodes in the training process.",
            RUNNING,
            minimum=0,
            unit="processes",
            may_change=True,
        ),
    ] = 0
    seed: Annotated[int, SEED] = 0
    log_every: Annotated[
        int, RunOption("Steps between lines of metrics.jsonl.", _LENGTH, minimum=1, unit="steps", may_change=True)
    ] = 20
    checkpoint_every: Annotated[
        int,
        RunOption(
            "Keep the checkpoint of every Nth epoch for good; 0 keeps only the newest.",
            _LENGTH,
            minimum=0,
            unit="epochs",
            may_change=True,
        ),
    ] = 0
    save_minutes: Annotated[
        float,
        RunOption(
            "Minutes between checkpoints inside an epoch.", _LENGTH, minimum=0.01, unit="minutes", may_change=True
        ),
    ] = 10.0
    val_photos: Annotated[int, RunOption("Maximum validation photos.", _LENGTH, minimum=1, unit="photos")] = 512
    validate_every: Annotated[
        int,
        RunOption(
            "Epochs between validations; the last epoch and those of kept checkpoints are always validated.",
            _LENGTH,
            minimum=1,
            unit="epochs",
            before=1,
            may_change=True,
        ),
    ] = 1

    @classmethod
    def from_recipe(cls: type[Options], given: Mapping[str, Any]) -> Options:
        """Return the options of a recipe, overridden by those in `given`.

        Args:
            given: options by name; without a `recipe`, the class's default recipe applies.
        """
        return cls(**{**cls.recipes[given.get("recipe", cls.recipe)], **given})

    @property
    def most_epochs(self) -> int | None:
        """The number of epochs after which the run ends, or None if only time ends it."""
        return self.epochs or (None if self.max_minutes else self.usual_epochs)


Rebalance = Annotated[
    float,
    RunOption("Strength of the class rebalancing over the bins: 0 none, 1 full.", RECIPE, minimum=0, maximum=1),
]


@dataclass(frozen=True)
class FinetuneOptions(RunOptions):
    """Options of a supervised run; the defaults are what the README recommends for photos of one's own."""

    usual_epochs = 3
    recipes: ClassVar[Recipes] = {
        "recommended": {},
        "report": {
            "crop_min": 1.0,
            "drop_last": False,
            "flip": False,
            "loss": "mse",
            "precision": "fp32",
            "start": "eccv16",
        },
    }

    recipe: Annotated[
        Literal["recommended", "report"],
        RunOption(
            "recommended has the defaults shown here; report is the published first stage: eccv16, mean squared "
            "error, no augmentation, fp32. Options that are given override the recipe's.",
            RECIPE,
            before="report",
            may_change=True,
        ),
    ] = "recommended"
    start: Annotated[
        str, RunOption("The model to start from: a name, a path, or scratch.", FILES, flags="--from", completes="start")
    ] = "compact"
    network: Annotated[Literal["liteunet", "eccv16"], RunOption("Network to build for `start=scratch`.", RECIPE)] = (
        "liteunet"
    )
    encoder: Annotated[
        str,
        RunOption(
            "A published EfficientNet-Lite .pth to take the encoder from, for `start=scratch`.",
            RECIPE,
            metavar="PATH",
            unset="none",
            before="",
        ),
    ] = ""
    loss: Annotated[
        Literal["mse", "l1", "huber", "bins"],
        RunOption(
            "mse, l1 and huber compare ab; bins is the class-rebalanced cross-entropy over the 313 bins.", RECIPE
        ),
    ] = "bins"
    rebalance: Rebalance = 0.25
    hint_branch: Annotated[
        bool,
        RunOption(
            "Train only the branch that takes a user's hints, and freeze all other weights; `loss` is not used.",
            RECIPE,
            before=False,
        ),
    ] = False
