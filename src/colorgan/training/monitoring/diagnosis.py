"""Diagnosis of an adversarial run from its log alone: each trouble is reported once, with what to try.

Nothing here reads or writes a file: a list of the lines of `metrics.jsonl` goes in, a list of troubles comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from colorgan.errors import TrainingError

# A trouble is reported when it has lasted for two epochs, and is over when two passed without it: what one epoch shows
# may be chance, and a figure that wavers about its threshold must not be reported at each crossing.
PATIENCE_EPOCHS = 2

# Saturated: D's loss is at most this share of the way up from that of a D that is always right to that of one that
# cannot tell. A run of the recipe `report` (real label 0.9) was at 11% in its first epoch, while its GAN term still
# taught, and at 0.5% or less from the third on, when nothing was left to learn from it.
SATURATED_SHARE = 0.05
# ... and it is right about nearly every patch: under R1 or label noise a loss can be low beside a D that errs.
SATURATED_ACCURACY = 0.95

# Blind: D is right about hardly more patches than chance, and its loss has hardly fallen. A D that helps is right
# about 55% at least (the lower end of what the balanced recipe aims at).
BLIND_ACCURACY = 0.55
BLIND_SHARE = 0.95

# Collapsed: the mean colors of different photos spread less than this share of what the true ones do. The bundled
# model's spread half as far as the truth's, a brown wash's not at all.
COLLAPSED_SHARE = 0.2
# Photos whose true colors are nearly alike, in Lab units, cannot show a collapse.
COLLAPSED_LEAST_TRUTH = 1.0


@dataclass(frozen=True)
class Objective:
    """The kind of a discriminator's loss, which determines its least value and its value at chance.

    The loss is 0.5 x (loss on real patches + loss on generated ones), under relativistic that on pairs of them; R1
    and R2 are not counted.

    Attributes:
        kind: bce, hinge, lsgan or relativistic.
        real_label: the target of real patches, under hinge their margin; pairs have none.
    """

    kind: str
    real_label: float = 1.0

    @property
    def floor(self) -> float:
        """The loss of a discriminator that is right about every patch: under BCE half the entropy of the label."""
        return 0.5 * _entropy(self.real_label) if self.kind == "bce" else 0.0

    @property
    def blind(self) -> float:
        """The least loss of a discriminator that answers the same to every patch."""
        half = 0.5 * self.real_label
        losses = {"bce": _entropy(half), "hinge": half + 0.5, "lsgan": half * half, "relativistic": math.log(2)}
        return losses[self.kind]

    def share(self, loss: float) -> float:
        """Return the position of a loss between `floor`, 0, and `blind`, 1."""
        return (loss - self.floor) / (self.blind - self.floor)


def _entropy(p: float) -> float:
    """Return the entropy, in nats, of an event of probability p."""
    return -sum(q * math.log(q) for q in (p, 1.0 - p) if q > 0.0)


@dataclass(frozen=True)
class Epoch:
    """The logged figures of one epoch.

    Attributes:
        number: 0 for the model that the run started from, 1 for the first epoch.
        terms: the finite figures by name, of training and of validation.
        broken: the names of the NaN and infinite figures.
    """

    number: int
    terms: dict[str, float]
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """A problem of a run that its user can act on.

    Attributes:
        name: what it is, in the same few words each time.
        since: the epoch in which it began.
        epoch: the epoch after which it was reported.
        found: the evidence, with figures.
        advice: what to try.
    """

    name: str
    since: int
    epoch: int
    found: str
    advice: str

    def __str__(self) -> str:
        return f"epoch {self.epoch}: {self.name}. {self.found} {self.advice}"


def epochs_of(lines: Iterable[Mapping[str, Any]]) -> list[Epoch]:
    """Collect the lines of a log by epoch, in order; those of single steps are skipped."""
    gathered: dict[int, dict[str, Any]] = {}
    for line in lines:
        if line["kind"] in ("epoch", "validation"):
            gathered.setdefault(line["epoch"], {}).update(line)
    return [_epoch(number, terms) for number, terms in sorted(gathered.items())]


def _epoch(number: int, line: Mapping[str, Any]) -> Epoch:
    # A NaN or infinite figure is a string in the log: JSON has no NaN.
    numbers = {name: float(value) for name, value in line.items() if _is_number(value)}
    finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
    return Epoch(number, finite, tuple(name for name in numbers if name not in finite))


def _is_number(value: Any) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or value in ("nan", "inf", "-inf")


# --- what to look for ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Symptom:
    """A trouble to look for.

    Attributes:
        name: the trouble's name.
        shows: whether an epoch shows it, None if the epoch's figures cannot tell.
        describe: describes the evidence, from the epochs so far.
        advice: what to try.
        patience_epochs: how many epochs it lasts before it is reported.
    """

    name: str
    shows: Callable[[Epoch, Objective], bool | None]
    describe: Callable[[Sequence[Epoch], Objective], str]
    advice: str
    patience_epochs: int = PATIENCE_EPOCHS


_ACCURACIES = {
    "d_accuracy_real": "of the real patches",
    "d_accuracy_fake": "of the generated patches",
    "d_accuracy": "of the pairs of a real and a generated patch",
}


def accuracy(epoch: Epoch) -> float | None:
    """Return the share of the discriminator's decisions that were right, or None if it is not known.

    For single patches it is the mean over the two kinds: a discriminator that calls everything real is right about all
    real ones. For pairs it is the share of those whose real patch got the higher logit.
    """
    pairs, real, fake = (epoch.terms.get(name) for name in ("d_accuracy", "d_accuracy_real", "d_accuracy_fake"))
    return pairs if real is None or fake is None else 0.5 * (real + fake)


def _accuracy_words(epoch: Epoch, digits: int) -> str:
    known = [f"{epoch.terms[name]:.{digits}%} {of}" for name, of in _ACCURACIES.items() if name in epoch.terms]
    return f"right about {' and '.join(known)}" if known else ""


def _d_loss(epoch: Epoch) -> float | None:
    """Return the discriminator's loss, without gradient penalties if its parts are known."""
    real, fake = epoch.terms.get("d_real"), epoch.terms.get("d_fake")
    if real is None or fake is None:
        return epoch.terms.get("d_pairs", epoch.terms.get("d_loss"))
    return 0.5 * (real + fake)


def _d_learns_alone(epoch: Epoch) -> bool:
    """Whether the discriminator trained alone in most of the epoch's steps; it may then be right about everything."""
    return epoch.terms.get("d_alone", 0.0) > 0.5


def _shows_saturation(epoch: Epoch, objective: Objective) -> bool | None:
    loss = _d_loss(epoch)
    if loss is None or _d_learns_alone(epoch):
        return None
    certain = all(epoch.terms.get(name, 1.0) >= SATURATED_ACCURACY for name in _ACCURACIES)
    return certain and objective.share(loss) <= SATURATED_SHARE


def _saturation_words(epochs: Sequence[Epoch], objective: Objective) -> str:
    words = f"The discriminator's loss is {_d_loss(epochs[-1]):.4g}, at its floor of {objective.floor:.4g}"
    if right := _accuracy_words(epochs[-1], digits=1):
        words += f"; it is {right}"
    adversarial = [epoch.terms["g_adversarial"] for epoch in epochs if "g_adversarial" in epoch.terms]
    if len(adversarial) > 1:
        words += f"; the GAN term went from {adversarial[0]:.3g} to {adversarial[-1]:.3g}"
    return f"{words}. The generator learns from the other terms alone."


def _shows_blindness(epoch: Epoch, objective: Objective) -> bool | None:
    loss, right = _d_loss(epoch), accuracy(epoch)
    if loss is None or right is None:
        return None
    return right < BLIND_ACCURACY and objective.share(loss) >= BLIND_SHARE


def _blindness_words(epochs: Sequence[Epoch], objective: Objective) -> str:
    return (
        f"It is {_accuracy_words(epochs[-1], digits=0)}, and its loss is "
        f"{_d_loss(epochs[-1]):.3g}, where constant answers give {objective.blind:.3g}."
    )


def _shows_collapse(epoch: Epoch, objective: Objective) -> bool | None:
    spread, truth = epoch.terms.get("ab_spread"), epoch.terms.get("ab_spread_truth")
    if spread is None or truth is None or truth < COLLAPSED_LEAST_TRUTH or epoch.number == 0:
        return None
    return spread < COLLAPSED_SHARE * truth


def _collapse_words(epochs: Sequence[Epoch], objective: Objective) -> str:
    spread, truth = (epochs[-1].terms[name] for name in ("ab_spread", "ab_spread_truth"))
    return (
        f"The mean colors of different validation photos are {spread:.2f} Lab units from their common mean, "
        f"the true ones {truth:.2f}: every photo gets nearly the same colors."
    )


NAN = "a figure is no number"

_SYMPTOMS = (
    _Symptom(
        "the discriminator is saturated",
        _shows_saturation,
        _saturation_words,
        "Try `recipe=balanced`, or of its parts `adversarial=hinge`, `d_norm=spectral`, a lower `d_lr`, `d_augment`, "
        "or `r1` (with `adversarial=relativistic` also `r2`).",
    ),
    _Symptom(
        "the discriminator learns nothing",
        _shows_blindness,
        _blindness_words,
        "Try a higher `d_lr`, a lower `r1` and `r2`, or a lower `lr` for the generator.",
    ),
    _Symptom(
        "the generator has collapsed",
        _shows_collapse,
        _collapse_words,
        "Go back to a checkpoint before it, with a lower `lr` or a higher `lambda_l1`.",
    ),
    _Symptom(
        NAN,
        lambda epoch, objective: bool(epoch.broken),
        lambda epochs, objective: f"NaN or infinite: {', '.join(epochs[-1].broken)}.",
        "Try a lower `lr`, `clip_norm=1`, or `precision=fp32`, from a checkpoint before it, which is good.",
        patience_epochs=1,
    ),
)


def diagnose(lines: Iterable[Mapping[str, Any]], objective: Objective) -> list[Trouble]:
    """Return the troubles of an adversarial run, each once, and again when it comes back.

    Args:
        lines: the lines of `metrics.jsonl`; those of kind epoch and validation count.
        objective: the kind of the discriminator's loss.
    """
    epochs = epochs_of(lines)
    troubles = [trouble for symptom in _SYMPTOMS for trouble in _episodes(symptom, epochs, objective)]
    return sorted(troubles, key=lambda trouble: trouble.epoch)


def _episodes(symptom: _Symptom, epochs: Sequence[Epoch], objective: Objective) -> Iterable[Trouble]:
    lasted, absent, since, named = 0, 0, 0, False
    for index, epoch in enumerate(epochs):
        shows = symptom.shows(epoch, objective)
        if shows is None:
            continue
        lasted, absent = (lasted + 1, 0) if shows else (0, absent + 1)
        since = epoch.number if lasted == 1 else since
        if lasted >= symptom.patience_epochs and not named:
            named = True
            found = symptom.describe(epochs[: index + 1], objective)
            yield Trouble(symptom.name, since, epoch.number, found, symptom.advice)
        if absent >= symptom.patience_epochs:
            named = False


def divergence(epoch: int, error: TrainingError) -> Trouble:
    """Return the trouble of a run that was stopped because a loss or weight became NaN or infinite."""
    return Trouble(NAN, epoch, epoch, f"Not {error.expected}: {error.found}.", error.advice)


def is_dead(epoch: Epoch, objective: Objective) -> bool | None:
    """Whether the discriminator was saturated or blind in an epoch, and so taught nothing; None if not known."""
    saturated = _shows_saturation(epoch, objective)
    return None if saturated is None else saturated or bool(_shows_blindness(epoch, objective))
