"""Options of `train`, without torch; `cli` makes its parameters from them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from colorgan.options import FILES
from colorgan.training.options import RECIPE, Rebalance, Recipes, RunOption, RunOptions

_LOSSES, _DISCRIMINATOR = "Losses", "Discriminator"


def loss_weight(of: str) -> RunOption:
    """Return the option for the weight of a loss term.

    Args:
        of: the term as the help text names it, with its unit.
    """
    return RunOption(f"Weight of {of}; 0 leaves it out.", _LOSSES, minimum=0, before=0.0)


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """Options of an adversarial run; the defaults are the recipe `report`, the published run."""

    usual_epochs = 50
    recipes: ClassVar[Recipes] = {
        "report": {},
        # docs/training.md has the results of both.
        "balanced": {
            "adversarial": "hinge",
            "crop_min": 0.8,
            "d_norm": "spectral",
            "d_target_accuracy": 0.8,
            "drop_last": True,
            "ema": 0.99,
            "flip": True,
            "g_twice": False,
            "lambda_adversarial": 10.0,
            "lambda_saturation": 1.0,
            "precision": "auto",
            "real_label": 1.0,
        },
    }

    start: str = "finetuned"
    lr: float = 2e-4
    checkpoint_every: int = 5
    drop_last: bool = False
    flip: bool = False
    crop_min: float = 1.0
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    recipe: Annotated[
        Literal["report", "balanced"],
        RunOption(
            "report is the published run and has the defaults shown here; balanced keeps the discriminator from "
            "winning. Options that are given override the recipe's.",
            RECIPE,
            before="report",
            may_change=True,
        ),
    ] = "report"
    start_discriminator: Annotated[
        str,
        RunOption(
            "A run's weights/discriminator.safetensors to start from.",
            FILES,
            flags="--from-discriminator",
            metavar="PATH",
            unset="a fresh one",
        ),
    ] = ""
    perceptual_network: Annotated[
        Literal["vgg19", "encoder"],
        RunOption(
            "Network whose features `lambda_perceptual` compares: VGG19 (548 MB), or the EfficientNet-Lite that "
            "`encoder` names.",
            _LOSSES,
            before="vgg19",
        ),
    ] = "vgg19"
    vgg_weights: Annotated[
        str, RunOption("A local file of VGG19's weights.", FILES, metavar="PATH", unset="fetched once", may_change=True)
    ] = ""
    encoder: Annotated[
        str,
        RunOption(
            "A published EfficientNet-Lite .pth, for `perceptual_network=encoder`.",
            FILES,
            metavar="PATH",
            unset="none",
            before="",
        ),
    ] = ""
    d_lr: Annotated[float, RunOption("Adam's learning rate for the discriminator.", RECIPE, above=0, maximum=1)] = 1e-4
    beta1: Annotated[
        float,
        RunOption("Adam's beta1, for both networks.", RECIPE, minimum=0, maximum=0.9999),
    ] = 0.5
    beta2: Annotated[float, RunOption("Adam's beta2, for both networks.", RECIPE, minimum=0, maximum=0.99999)] = 0.999
    adversarial: Annotated[
        Literal["bce", "hinge", "lsgan", "relativistic"],
        RunOption("Adversarial loss; relativistic compares each generated patch with the true one.", _LOSSES),
    ] = "bce"
    real_label: Annotated[
        float,
        RunOption(
            "Discriminator target for true colors; 0.9 is one-sided label smoothing. Not for relativistic.",
            _DISCRIMINATOR,
            minimum=0.5,
            maximum=1,
        ),
    ] = 0.9  # as the published report implies: the least loss of D that it prints is the minimum for this label
    d_norm: Annotated[
        Literal["batch", "instance", "spectral"], RunOption("Normalization of the discriminator.", _DISCRIMINATOR)
    ] = "batch"
    g_norm: Annotated[
        Literal["train", "frozen"],
        RunOption(
            "Batch norms of the generator: train on each batch's statistics, or frozen at those it started with.",
            RECIPE,
        ),
    ] = "train"
    g_twice: Annotated[
        bool,
        RunOption(
            "Run the generator again for its own step, as the published run does: its batch norms see a batch twice.",
            RECIPE,
            flags="--g-twice/--g-once",
            before=False,
        ),
    ] = True
    lambda_adversarial: Annotated[float, loss_weight("the adversarial loss")] = 1.0
    lambda_l1: Annotated[float, loss_weight("the L1 distance in ab, Lab units")] = 10.0
    lambda_perceptual: Annotated[float, loss_weight("the perceptual loss, by a frozen network's features")] = 10.0
    lambda_saturation: Annotated[float, loss_weight("chroma above the true one, Lab units, gray pixels most")] = 0.0
    lambda_bins: Annotated[float, loss_weight("the cross-entropy over the 313 bins")] = 0.0
    rebalance: Rebalance = 0.25
    r1: Annotated[
        float, RunOption("Weight of the gradient penalty on true photos (R1); 0 for none.", _DISCRIMINATOR, minimum=0)
    ] = 0.0
    r2: Annotated[
        float,
        RunOption(
            "Weight of the gradient penalty on generated photos (R2); 0 for none.",
            _DISCRIMINATOR,
            minimum=0,
            before=0.0,
        ),
    ] = 0.0
    d_target_accuracy: Annotated[
        float,
        RunOption(
            "Pause the discriminator while its running accuracy on patches is above this share; 1 never pauses it.",
            _DISCRIMINATOR,
            minimum=0.5,
            maximum=1,
        ),
    ] = 1.0
    downsample_real: Annotated[
        bool,
        RunOption(
            "Show the discriminator true colors as coarse as the generator's bins, to judge color and not detail.",
            _DISCRIMINATOR,
            formerly=("coarse_truth",),
            before=False,
        ),
    ] = False
    d_augment: Annotated[
        bool,
        RunOption(
            "Shift the discriminator's photos and cut a square out of them, against memorizing (DiffAugment).",
            _DISCRIMINATOR,
            before=False,
        ),
    ] = False
    d_warmup_steps: Annotated[
        int,
        RunOption(
            "Train the discriminator alone for this many first steps, with a fixed generator (NoGAN).",
            _DISCRIMINATOR,
            minimum=0,
            unit="steps",
            before=0,
        ),
    ] = 0
