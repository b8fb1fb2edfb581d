"""A run watched: each trouble provoked on purpose in a small training, the report and the verdict at its end."""

import copy
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from listening import Listener
from safetensors.torch import save_file
from torch import Tensor, nn

from colorgan.callbacks import TrainingStep
from colorgan.data.photoset import PhotoSet
from colorgan.errors import TrainingError
from colorgan.metrics.registry import MetricValues
from colorgan.networks.generator import Generator, Prediction
from colorgan.networks.patchgan import PatchGAN
from colorgan.training.checkpoint import checkpoints
from colorgan.training.loop import Loop
from colorgan.training.monitoring.diagnosis import NAN
from colorgan.training.options import RunOptions
from colorgan.training.stages.adversarial import GanNetworks, GanStage
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import FinetuneStage, l1
from colorgan.training.train_options import TrainOptions

OPTIONS = TrainOptions(
    epochs=4, batch_size=6, size=32, flip=True, crop_min=0.7, log_every=1, real_label=1.0, lambda_perceptual=0.0
)
BETAS = (0.5, 0.999)


def changed(**given: Any) -> TrainOptions:
    """Return OPTIONS with some replaced, unchecked, as some values are out of a user's range."""
    options = copy.copy(OPTIONS)
    for name, value in given.items():
        object.__setattr__(options, name, value)
    return options


class Tint(Generator):
    """A generator of twenty weights, whose initial colors follow the photo's lightness."""

    network = "tint"
    multiple = 1

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3, padding=1)
        nn.init.constant_(self.layer.weight, 100 / 9)

    @property
    def options(self) -> dict[str, Any]:
        return {}

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        return Prediction(self.layer((L - 50) / 100), None)


def stage(options: TrainOptions) -> GanStage:
    torch.manual_seed(0)
    generator = Tint()
    return GanStage(
        GanNetworks(generator, PatchGAN(channels=(8, 8, 8, 8))),
        replace(options, g_twice=False),
        OptimizerOptions(options.lr, betas=BETAS, weight_decay=options.weight_decay),
        OptimizerOptions(options.d_lr, betas=BETAS),
    )


def loop(photos: PhotoSet, folder: Path, options: TrainOptions) -> tuple[Loop, Listener]:
    def save(name: str, generator: Generator, figures: MetricValues) -> None:
        path = folder / "weights" / f"{name}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: value.clone() for name, value in generator.state_dict().items()}, path)

    folder.mkdir(exist_ok=True)
    listener = Listener()
    return Loop(stage(options), photos, folder, options, torch.device("cpu"), save, listener), listener


def log(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def named(folder: Path) -> list[str]:
    return [line["name"] for line in log(folder, "trouble")]


def test_a_run_without_trouble_gives_no_word_and_a_verdict_of_three_lines(photo_set: PhotoSet, tmp_path: Path) -> None:
    run, listener = loop(photo_set, tmp_path, replace(OPTIONS, lr=5e-3, d_lr=1e-3))
    run.run()
    assert listener.warnings == named(tmp_path) == []
    assert [line[: line.index(" ", 10)] for line in listener.verdict] == [
        "Whether the",
        "The discriminator",
        "Epoch 4 was",
    ]
    written = json.loads((tmp_path / "verdict.json").read_text())
    assert written["lines"] == listener.verdict
    assert set(written["differences"]) == {"auc", "auc_rebalanced", "cf_hs_error", "ciede2000", "ab_l1"}
    page = (tmp_path / "report.html").read_text()
    assert "None so far" in page
    assert all(line.replace("'", "&#39;") in page for line in listener.verdict)


TROUBLES = {
    # The discriminator races on while the generator stands still.
    "the discriminator is saturated": {"lr": 1e-9, "d_lr": 2e-2, "real_label": 0.9, "epochs": 12},
    "the discriminator learns nothing": {"d_lr": 1e-9},
    # Decay takes all weights but the bias, so that all photos get the same tint.
    "the generator has collapsed": {"lr": 0.03, "weight_decay": 20.0, "d_lr": 3e-3},
}


@pytest.mark.parametrize("name", TROUBLES)
def test_a_trouble_is_named_in_the_log_in_the_report_and_to_the_person_once(
    photo_set: PhotoSet, tmp_path: Path, name: str
) -> None:
    run, listener = loop(photo_set, tmp_path, changed(**TROUBLES[name]))
    run.run()
    assert named(tmp_path) == [name]
    (line,) = log(tmp_path, "trouble")
    assert line["epoch"] - line["since"] < 2
    (warning,) = listener.warnings
    assert f"epoch {line['epoch']}: {name}" in warning
    assert line["advice"] in warning
    assert f"{name}</h3>" in (tmp_path / "report.html").read_text()


def test_a_trouble_of_an_epoch_without_validation_is_named_after_the_next_with_one(
    photo_set: PhotoSet, tmp_path: Path
) -> None:
    run, listener = loop(photo_set, tmp_path, replace(OPTIONS, d_lr=1e-9, validate_every=3))
    run.run()
    (line,) = log(tmp_path, "trouble")
    assert (line["epoch"], line["step"]) == (2, 9)  # named for the second epoch after the third, of three steps each
    assert len(listener.warnings) == 1


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("the discriminator is saturated", {"lr": 1e-9, "d_lr": 2e-2, "epochs": 8}),
        ("the discriminator learns nothing", {"d_lr": 1e-9}),
    ],
)
def test_the_troubles_of_relativistic_pairing_are_provoked_and_named(
    photo_set: PhotoSet, tmp_path: Path, name: str, given: dict[str, Any]
) -> None:
    run, listener = loop(photo_set, tmp_path, replace(OPTIONS, adversarial="relativistic", **given))
    run.run()
    assert named(tmp_path) == [name]
    assert "of the pairs of a real and a generated patch" in listener.warnings[0]
    assert "of the pairs of patches" in listener.verdict[1]
    page = (tmp_path / "report.html").read_text()
    assert "Accuracy of D on pairs" in page
    assert "Loss of D by kind of patch" not in page


def test_a_discriminator_that_learns_alone_may_be_right_about_everything(photo_set: PhotoSet, tmp_path: Path) -> None:
    given = {"lr": 1e-9, "d_lr": 2e-2, "epochs": 8, "d_warmup_steps": 24}  # all of its steps
    run, listener = loop(photo_set, tmp_path, replace(OPTIONS, **given))
    run.run()
    assert log(tmp_path, "epoch")[-1]["d_accuracy_real"] > 0.95
    assert listener.warnings == named(tmp_path) == []
    assert "the generator learned in no finished epoch" in listener.verdict[1]


def test_a_nan_is_named_at_once_and_the_good_checkpoint_stands(photo_set: PhotoSet, tmp_path: Path) -> None:
    run, _ = loop(photo_set, tmp_path, replace(OPTIONS, epochs=1))
    run.run()
    with pytest.raises(TrainingError):
        loop(photo_set, tmp_path, changed(epochs=2, lambda_l1=1e38))[0].run()
    assert named(tmp_path) == [NAN]
    assert log(tmp_path, "trouble")[0]["epoch"] == 2
    assert [path.name for path in checkpoints(tmp_path / "checkpoints")] == ["epoch-001"]
    page = (tmp_path / "report.html").read_text()
    assert f"Epoch 2: {NAN}" in page
    assert "The run was stopped" in page
    for text in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(text, parse_constant=lambda word: pytest.fail(word))


class StoppedOnceError(Exception):
    """An error in place of a kill."""


def test_a_run_that_was_killed_says_at_its_end_what_an_uninterrupted_one_does(
    photo_set: PhotoSet, tmp_path: Path
) -> None:
    options = replace(OPTIONS, d_lr=1e-9)
    straight, listener = loop(photo_set, tmp_path / "straight", options)
    straight.run()
    killed, told = loop(photo_set, tmp_path / "killed", options)

    def kill(step: TrainingStep) -> None:
        if len(log(tmp_path / "killed", "train")) > 10:  # in the fourth epoch, of three steps each
            raise StoppedOnceError

    told.on_step = kill  # type: ignore[method-assign]
    with pytest.raises(StoppedOnceError):
        killed.run()
    assert "Epoch 3 of 4 is done" in (tmp_path / "killed" / "report.html").read_text()
    resumed, heard = loop(photo_set, tmp_path / "killed", options)
    resumed.run()
    assert heard.verdict == listener.verdict
    assert heard.warnings == []  # it was named before
    for kind in ("train", "epoch", "validation", "trouble"):
        before, after = (
            [{**line, "elapsed_s": 0} for line in log(tmp_path / name, kind)] for name in ("straight", "killed")
        )
        assert before == after


def test_a_supervised_run_has_the_same_report_and_a_verdict(photo_set: PhotoSet, tmp_path: Path) -> None:
    listener = Listener()
    stage = FinetuneStage(Tint(), l1, OptimizerOptions(lr=1e-2))
    options = RunOptions(epochs=2, batch_size=6, size=32)
    Loop(stage, photo_set, tmp_path, options, torch.device("cpu"), lambda *_: None, listener).run()
    assert listener.verdict[0].startswith("Whether the training helped cannot be judged from 6 validation photos")
    assert len(listener.verdict) == 2
    page = (tmp_path / "report.html").read_text()
    assert "Discriminator" not in page
    assert '<h2 id="verdict">Result' in page


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="the extra tensorboard is not installed")
def test_tensorboard_events_tell_what_the_log_does(photo_set: PhotoSet, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    loop(photo_set, tmp_path, replace(OPTIONS, epochs=1))[0].run()
    loop(photo_set, tmp_path, replace(OPTIONS, epochs=2, tensorboard=True))[0].run()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for kind, name in (("train", "d_loss"), ("epoch", "g_l1"), ("validation", "auc")):
        told = [(event.step, event.value) for event in events.Scalars(f"{kind}/{name}")]
        assert told == [(line["step"], pytest.approx(line[name])) for line in log(tmp_path, kind)]
        assert len(told) >= 2
