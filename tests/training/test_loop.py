import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from listening import Listener
from safetensors.torch import save_file
from small_networks import Plain, small_liteunet
from torch import Tensor

from colorgan.color.bins import prior
from colorgan.data.photoset import PhotoSet
from colorgan.errors import Interrupted, TrainingError
from colorgan.metrics.registry import MetricValues
from colorgan.networks.generator import Generator
from colorgan.networks.patchgan import PatchGAN
from colorgan.training.checkpoint import checkpoints
from colorgan.training.loop import Loop, rate_factor
from colorgan.training.options import RunOptions
from colorgan.training.stages.adversarial import GanNetworks, GanStage
from colorgan.training.stages.base import OptimizerOptions, Stage
from colorgan.training.stages.supervised import BinsLoss, FinetuneStage, l1
from colorgan.training.train_options import TrainOptions

OPTIONS = RunOptions(
    epochs=3,
    batch_size=4,
    size=16,
    schedule="cosine",
    warmup=0.1,
    crop_min=0.7,
    brightness=5.0,
    contrast=0.1,
    seed=1,
    log_every=1,
    save_minutes=60,
    val_photos=6,
)


class Stopping:
    """A mixin for stages that asks to be stopped, or makes the loss NaN, at a given step."""

    stop_at = 0
    spoil_at = 0
    taken = 0
    is_stopped = False

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = super().step(L, ab)  # type: ignore[misc]
        self.taken += 1
        self.is_stopped = self.taken == self.stop_at
        return {name: term * math.nan for name, term in terms.items()} if self.taken == self.spoil_at else terms


class StoppingStage(Stopping, FinetuneStage):
    pass


class StoppingGanStage(Stopping, GanStage):
    pass


HINGE = TrainOptions(real_label=1.0, g_twice=False, adversarial="hinge", lambda_bins=1.0, d_target_accuracy=0.65)
RELATIVISTIC = TrainOptions(
    real_label=1.0,
    g_twice=False,
    adversarial="relativistic",
    lambda_bins=1.0,
    r1=0.1,
    r2=0.1,
    d_augment=True,
    d_warmup_steps=6,
    downsample_real=True,
)


def gan_stage(options: TrainOptions = HINGE, **changes: int) -> StoppingGanStage:
    torch.manual_seed(0)
    network = Plain()
    norm = "spectral" if options is RELATIVISTIC else "batch"
    networks = GanNetworks(network, PatchGAN(norm, (4, 4, 8, 8)), bins=BinsLoss(prior(), 0.25))
    made = StoppingGanStage(
        networks, options, OptimizerOptions(lr=1e-3, ema=0.9), OptimizerOptions(lr=1e-2), temperature=0.5
    )
    # The discriminator pauses in some steps: a state that a resumed run has to restore too.
    made.accuracy.value.fill_(0.6)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def relativistic_stage(**changes: int) -> StoppingGanStage:
    """Return a stage with all kinds of state: random augmentation, and six steps, 4 + 2, of D alone."""
    return gan_stage(RELATIVISTIC, **changes)


def stage(**changes: int) -> StoppingStage:
    torch.manual_seed(0)
    network = Plain()
    made = StoppingStage(network, l1, OptimizerOptions(lr=1e-3, ema=0.9, clip_norm=5.0))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


class RatesStage(StoppingStage):
    """A stage that records the rates of each step: the encoder's, then the others'."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.rates: list[list[float]] = []

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        self.rates.append([group["lr"] for group in self.optimizers["generator"].param_groups])
        return super().step(L, ab)


def lite_stage(**changes: int) -> RatesStage:
    torch.manual_seed(0)
    network = small_liteunet()
    network.encoder.freeze(2)
    made = RatesStage(network, l1, OptimizerOptions(lr=1e-3, encoder_lr=1e-4, ema=0.9))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def loop(stage: Stage, photos: PhotoSet, folder: Path, options: RunOptions = OPTIONS) -> Loop:
    def save(name: str, generator: Generator, figures: MetricValues) -> None:
        path = folder / "weights" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.clone() for name, value in generator.state_dict().items()}, path)

    folder.mkdir(exist_ok=True)
    return Loop(
        stage, photos, folder, options, torch.device("cpu"), save, Listener(lambda: getattr(stage, "is_stopped", False))
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    entries = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in entry.items() if name != "elapsed_s"} for entry in entries]


def same(a: Path, b: Path) -> bool:
    return a.read_bytes() == b.read_bytes()


WEIGHTED = {"weights": {"photos": 1.5}, "aged": 0.5}


@pytest.mark.parametrize(
    ("make", "changes", "stop_at"),
    [(stage, {}, stop_at) for stop_at in (1, 3, 4, 5, 8, 12)]
    + [(gan_stage, {"size": 24}, stop_at) for stop_at in (3, 4, 9)]
    + [(relativistic_stage, {"size": 24}, stop_at) for stop_at in (2, 4, 5, 6, 7, 9)]
    + [(lite_stage, {}, 5)]
    + [(stage, {"cache": "device"} | WEIGHTED, stop_at) for stop_at in (3, 6, 13)]
    + [(stage, {"validate_every": 2} | WEIGHTED, stop_at) for stop_at in (3, 6, 7, 12, 13)],
)
def test_a_stopped_run_goes_on_to_the_same_networks_and_the_same_log(
    photo_set: PhotoSet, tmp_path: Path, make: Callable[..., Stage], changes: dict[str, Any], stop_at: int
) -> None:
    options = replace(OPTIONS, **changes)
    ended, begun = make(), make()
    straight = loop(ended, photo_set, tmp_path / "straight", options).run()
    with pytest.raises(Interrupted, match="to continue the run") as stopped:
        loop(make(stop_at=stop_at), photo_set, tmp_path / "stopped", options).run()
    assert stopped.value.exit_code == 130
    resumed = loop(begun, photo_set, tmp_path / "stopped", options).run()
    assert resumed == straight
    for name, network in ended.networks.items():
        for one, other in zip(network.state_dict().values(), begun.networks[name].state_dict().values(), strict=True):
            assert torch.equal(one, other), name
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tmp_path / "straight" / "weights" / name, tmp_path / "stopped" / "weights" / name)
    assert lines(tmp_path / "stopped") == lines(tmp_path / "straight")


def test_a_run_leaves_a_log_samples_a_report_weights_and_two_checkpoints(photo_set: PhotoSet, tmp_path: Path) -> None:
    figures = loop(stage(), photo_set, tmp_path).run()
    entries = lines(tmp_path)
    batches = len(photo_set.train) // 4
    assert [line["step"] for line in entries if line["kind"] == "train"] == list(range(1, 3 * batches + 1))
    assert [line["epoch"] for line in entries if line["kind"] == "validation"] == [0, 1, 2, 3]
    assert figures.photos == len(photo_set.val)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [f"epoch-00{i}.jpg" for i in range(4)]
    assert (tmp_path / "report.html").exists()
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["epoch-002", "epoch-003"]


def test_a_loss_that_is_no_number_stops_the_run_and_leaves_the_good_checkpoint(
    photo_set: PhotoSet, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="nan"):
        loop(stage(spoil_at=7), photo_set, tmp_path).run()
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["epoch-001"]
    assert not any(math.isnan(line["loss"]) for line in lines(tmp_path) if line["kind"] == "train")


def test_a_finished_run_is_not_trained_again(photo_set: PhotoSet, tmp_path: Path) -> None:
    figures = loop(stage(), photo_set, tmp_path).run()
    again = stage()
    assert loop(again, photo_set, tmp_path).run() == figures
    assert again.taken == 0


def test_training_learns(photo_set: PhotoSet, tmp_path: Path) -> None:
    loop(stage(), photo_set, tmp_path).run()
    losses = [line["loss"] for line in lines(tmp_path) if line["kind"] == "train"]
    assert sum(losses[-3:]) < sum(losses[:3])


def test_the_rate_climbs_then_falls_to_nothing() -> None:
    assert rate_factor("constant", 0.0, 0.0) == rate_factor("constant", 0.0, 1.0) == 1.0
    assert rate_factor("cosine", 0.1, 0.05) == pytest.approx(0.5, abs=0.02)
    assert rate_factor("cosine", 0.0, 0.5) == pytest.approx(0.5)
    assert rate_factor("cosine", 0.1, 1.0) == pytest.approx(0.0)


def test_an_epochs_line_holds_the_mean_of_its_steps(photo_set: PhotoSet, tmp_path: Path) -> None:
    loop(gan_stage(), photo_set, tmp_path, replace(OPTIONS, size=24)).run()
    entries = lines(tmp_path)
    for line in (line for line in entries if line["kind"] == "epoch"):
        steps = [step for step in entries if step["kind"] == "train" and step["epoch"] == line["epoch"]]
        for name in ("d_loss", "d_accuracy_real", "g_loss", "g_l1", "g_bins", "grad_l1", "d_updates"):
            assert line[name] == pytest.approx(sum(step[name] for step in steps) / len(steps), rel=1e-5)
    assert {0.0, 1.0} == {line["d_updates"] for line in entries if line["kind"] == "train"}


def test_a_gan_whose_terms_are_no_numbers_stops_and_leaves_the_good_checkpoint(
    photo_set: PhotoSet, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match="nan"):
        loop(gan_stage(spoil_at=6), photo_set, tmp_path, replace(OPTIONS, size=24)).run()
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["epoch-001"]


@pytest.mark.parametrize(
    ("changes", "validated"),
    [
        ({"epochs": 5, "validate_every": 2}, [2, 4, 5]),
        ({"epochs": 2, "validate_every": 9}, [2]),
        ({"epochs": 7, "validate_every": 4, "checkpoint_every": 3}, [3, 4, 6, 7]),
    ],
)
def test_epochs_are_validated_as_often_as_asked_and_the_last_always(
    photo_set: PhotoSet, tmp_path: Path, changes: dict[str, int], validated: list[int]
) -> None:
    begun = loop(stage(), photo_set, tmp_path, replace(OPTIONS, **changes))
    begun.run()
    assert begun.callbacks.epochs == [0, *validated]
    entries = lines(tmp_path)
    assert [line["epoch"] for line in entries if line["kind"] == "validation"] == [0, *validated]
    assert [line["epoch"] for line in entries if line["kind"] == "epoch"] == list(range(1, changes["epochs"] + 1))
    names = [path.name for path in checkpoints(tmp_path / "checkpoints")]
    assert names[-1] == f"epoch-00{validated[-1]}"
    if "checkpoint_every" in changes:
        assert {"epoch-003", "epoch-006"} <= set(names)


def test_a_run_that_breaks_off_after_an_epoch_without_validation_goes_on_to_the_same_end(
    photo_set: PhotoSet, tmp_path: Path
) -> None:
    options = replace(OPTIONS, epochs=4, validate_every=2)
    straight = loop(stage(), photo_set, tmp_path / "straight", options).run()
    breaking = stage()
    whole_step, batches = breaking.step, len(photo_set.train) // 4

    def step(L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        if breaking.taken == 3 * batches + 1:
            raise KeyError("power is gone")
        return whole_step(L, ab)

    breaking.step = step  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        loop(breaking, photo_set, tmp_path / "broken", options).run()
    assert checkpoints(tmp_path / "broken" / "checkpoints")[-1].name == "epoch-002"
    assert loop(stage(), photo_set, tmp_path / "broken", options).run() == straight
    assert lines(tmp_path / "broken") == lines(tmp_path / "straight")
    for name in ("best.safetensors", "last.safetensors"):
        assert same(tmp_path / "straight" / "weights" / name, tmp_path / "broken" / "weights" / name)


def test_patience_ends_a_run_at_a_validated_epoch(photo_set: PhotoSet, tmp_path: Path) -> None:
    still, unchanged = stage(), stage().generator.eval()
    still.eval_network = lambda: unchanged  # type: ignore[method-assign]
    begun = loop(still, photo_set, tmp_path, replace(OPTIONS, epochs=20, validate_every=2, patience=1))
    begun.run()
    assert begun.callbacks.epochs == [0, 2, 4]
    assert [line["epoch"] for line in lines(tmp_path) if line["kind"] == "epoch"] == [1, 2, 3, 4]


@pytest.mark.parametrize("ticks", range(8, 30, 3))
def test_whenever_time_is_over_the_last_epoch_has_figures(
    photo_set: PhotoSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ticks: int
) -> None:
    clock = itertools.count()
    monkeypatch.setattr("colorgan.training.loop.time", SimpleNamespace(monotonic=lambda: next(clock)))
    options = replace(OPTIONS, epochs=50, max_minutes=ticks / 60, validate_every=7)
    loop(stage(), photo_set, tmp_path, options).run()
    entries = [line for line in lines(tmp_path) if line["kind"] in ("epoch", "validation")]
    assert [line["kind"] for line in entries[-2:]] == ["epoch", "validation"]
    assert entries[-1]["epoch"] == entries[-2]["epoch"] >= 1


def test_both_rates_follow_the_schedule_also_after_a_stop(photo_set: PhotoSet, tmp_path: Path) -> None:
    straight, stopped, resumed = lite_stage(), lite_stage(stop_at=5), lite_stage()
    loop(straight, photo_set, tmp_path / "straight").run()
    steps = 3 * (len(photo_set.train) // 4)
    expected = [rate_factor("cosine", 0.1, number / steps) for number in range(steps)]
    assert [rates[0] for rates in straight.rates] == pytest.approx([1e-4 * factor for factor in expected])
    assert [rates[1] for rates in straight.rates] == pytest.approx([1e-3 * factor for factor in expected])
    with pytest.raises(Interrupted):
        loop(stopped, photo_set, tmp_path / "stopped").run()
    loop(resumed, photo_set, tmp_path / "stopped").run()
    assert stopped.rates + resumed.rates == straight.rates
