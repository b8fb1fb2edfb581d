"""The panels of a run's report: which figures each shows, and what their curves should look like."""

from __future__ import annotations

from dataclasses import dataclass

from colorgan.metrics.registry import METRICS


@dataclass(frozen=True)
class Panel:
    """A panel of a run's report.

    Attributes:
        title: the heading.
        figures: the names of its figures in the log, each with its legend entry.
        should: what the curve of a run that goes well looks like, in one sentence.
    """

    title: str
    figures: dict[str, str]
    should: str


VALIDATION = (
    Panel(
        "AuC, %",
        {"auc": "predicted"},
        "Rises, or holds its level while the rebalanced one rises; if both fall, the run does harm.",
    ),
    Panel(
        "Rebalanced AuC, %",
        {"auc_rebalanced": "predicted"},
        "Rises: rare colors are right more often. If plain AuC falls as much, one is only traded for the other.",
    ),
    Panel(
        "Colorfulness",
        {"cf_hs": "predicted", "cf_hs_truth": "true"},
        "Comes near the true photos' and stays there; far above, the colors are oversaturated; far below, too pale.",
    ),
    Panel(
        "Colorfulness error",
        {"cf_hs_error": "of a photo"},
        "Falls: each photo nears its own colorfulness, not only their mean the true one.",
    ),
    Panel("CIEDE2000", {"ciede2000": "predicted"}, "Falls, then levels off; about 1 is the least that an eye can see."),
    Panel(
        "ab L1, Lab units",
        {"ab_l1": "predicted"},
        "Falls, then levels off; an adversarial stage may hold it a little higher, as the price of bolder colors.",
    ),
    Panel("PSNR, dB", {"psnr": "predicted"}, "Rises, then levels off; it rewards caution: a small fall is harmless."),
    Panel("SSIM", {"ssim": "predicted"}, "Stays where it is: lightness is given, so there is little to win or lose."),
    Panel(
        "Spread of mean colors, Lab units",
        {"ab_spread": "predicted", "ab_spread_truth": "true"},
        "Stays above a third of the true photos'; near 0 every photo gets the same colors: the model has collapsed.",
    ),
    Panel(
        "Color bleeding, %",
        {"color_bleeding": "predicted"},
        "Falls, or stays: colors keep to their side of an edge. A rise means that they bleed.",
    ),
    Panel(
        "Chroma on gray, Lab units",
        {"gray_chroma": "predicted"},
        "Falls, or stays low: what is truly gray stays gray. It climbs if the model adds color where none belongs.",
    ),
    Panel(
        "Out of gamut, %",
        {"out_of_gamut": "predicted"},
        "Stays under a few percent: a climb is the first sign of oversaturated colors.",
    ),
    Panel(
        "Colorfulness by absolute values",
        {"cf": "predicted", "cf_truth": "true", "cf_error": "error of a photo"},
        "The same as colorfulness, as CT2's and DDColor's tables define it: nears the true photos' and stays there.",
    ),
)

DISCRIMINATOR = (
    Panel(
        "Loss of D",
        {"d_loss": "loss"},
        "Stays between the dotted lines: at the lower, D is right about every patch and teaches nothing; at the upper, "
        "it is guessing.",
    ),
    Panel(
        "Loss of D by kind of patch",
        {"d_real": "real", "d_fake": "generated"},
        "Both stay at about the same level; if only one falls, D gives the same answer to everything.",
    ),
    Panel(
        "Loss of D on pairs",
        {"d_pairs": "real beside generated"},
        "Stays between the dotted lines; gradient penalties are not included.",
    ),
    Panel(
        "Accuracy of D",
        {"d_accuracy_real": "real patches", "d_accuracy_fake": "generated patches"},
        "Both stay between 0.55 and 0.9: near 1 D is saturated, near 0.5 it learns nothing.",
    ),
    Panel(
        "Accuracy of D on pairs",
        {"d_accuracy": "real above generated"},
        "Stays between 0.55 and 0.95: at 1 with a loss near 0 D is saturated, near 0.5 it learns nothing.",
    ),
    Panel(
        "Gradient penalties of D",
        {"d_r1": "R1, real photos", "d_r2": "R2, generated photos"},
        "Rise while D learns and level off; a steady climb means that D grows too steep: raise `r1` and `r2`.",
    ),
    Panel(
        "Share of steps in which D learns",
        {"d_updates": "share"},
        "Varies below 1 if D is paused while it is too good; at 0, G has stopped responding.",
    ),
    Panel(
        "Share of steps in which D learns alone",
        {"d_alone": "share"},
        "Is 1 while D warms up, and 0 from then on.",
    ),
)

GENERATOR = (
    Panel(
        "Loss of G",
        {"g_loss": "loss"},
        "The weighted sum of its terms; it may rise as D gets better, so the terms say more than the sum.",
    ),
    Panel(
        "GAN term of G",
        {"g_adversarial": "term"},
        "Stays around a level; a steady climb means that D wins and G cannot respond.",
    ),
    Panel("L1 term of G, Lab units", {"g_l1": "term"}, "Falls slowly, or stays where the model it started from was."),
    Panel("Perceptual term of G", {"g_perceptual": "term"}, "Falls slowly and levels off."),
    Panel(
        "Saturation term of G",
        {"g_saturation": "term"},
        "Falls near 0: no more color than the true photos have, and none where they are gray.",
    ),
    Panel(
        "Cross-entropy over the bins",
        {"g_bins": "term"},
        "Falls, then levels off; a climb means that the colors move away from the true ones.",
    ),
    Panel(
        "Length of the gradient that reaches G from each term",
        {
            "grad_adversarial": "GAN",
            "grad_l1": "L1",
            "grad_perceptual": "perceptual",
            "grad_saturation": "saturation",
        },
        "Of one order of magnitude: a term far above the others dominates, and one near 0 has no effect.",
    ),
)

SUPERVISED = (
    Panel(
        "Loss",
        {"loss": "loss"},
        "Falls fast at first, then slowly; if validation metrics worsen meanwhile, the model is overfitting.",
    ),
)

GROUPS = {
    "Validation photos": VALIDATION,
    "Loss": SUPERVISED,
    "Discriminator (D)": DISCRIMINATOR,
    "Generator (G)": GENERATOR,
}
_NAMED = {name for panels in GROUPS.values() for panel in panels for name in panel.figures}


def other_panels(names: list[str]) -> list[Panel]:
    """Return a panel for each figure that is in none of the above, so that all are shown."""
    return [Panel(_title(name), {name: name}, "") for name in names if name not in _NAMED]


def _title(name: str) -> str:
    metric = METRICS.get(name)
    return name.replace("_", " ") if metric is None else metric.title
