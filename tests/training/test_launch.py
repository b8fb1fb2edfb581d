"""What the ways of training refuse, and what they keep of the model that they start from."""

import importlib.util
import json
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from colorgan.errors import ColorganError, Interrupted
from colorgan.models.loading import ModelInfo, build_network, load_model, save_model
from colorgan.networks.compact import Compact
from colorgan.networks.vgg19 import VGG19
from colorgan.training.checkpoint import Position
from colorgan.training.finetune import FINETUNE, check_bins
from colorgan.training.launch import launch, resumable_options
from colorgan.training.options import BEFORE, FinetuneOptions, RunOptions, train_options
from colorgan.training.train import TRAIN
from colorgan.training.watcher import Watcher
from colorgan.training.way import Way

SMALL = {"batch_size": 4, "size": 24, "epochs": 1, "val_photos": 4, "precision": "fp32", "device": "cpu"}


class Silent(Watcher):
    def __init__(self) -> None:
        self.epochs: list[int] = []

    def validated(self, epoch: int, figures: object) -> None:
        self.epochs.append(epoch)


@pytest.fixture
def place(tmp_path: Path, small_network: Compact, model_info: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_model(tmp_path / "small.safetensors", small_network, model_info)
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(way: Way, data: Path, options: RunOptions, folder: str = "run") -> Silent:
    watcher = Silent()
    launch(way, data, Path(folder), options, watcher, "go on so")
    return watcher


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"start": "finetuned"}, 4, "colorgan finetune"),
        ({"size": 16}, 2, "--size of at least 24"),
        ({"size": 20, "size_min": 16}, 2, "--size of at least 24"),
        ({"size_min": 16}, 2, "--size-min of at least 24"),
        ({"start_discriminator": "small.safetensors"}, 4, "discriminator"),
        ({"lambda_perceptual": 10.0}, 4, "--lambda-perceptual 0"),
        ({"lambda_perceptual": 10.0, "vgg_weights": "small.safetensors"}, 4, "small.safetensors"),
    ],
)
def test_what_cannot_be_trained_is_said_before_any_work(
    place: Path, set_folder: Path, given: dict[str, object], code: int, words: str
) -> None:
    options = train_options({"start": "small.safetensors", "lambda_perceptual": 0.0} | SMALL | given)
    with pytest.raises(ColorganError) as refused:
        run(TRAIN, set_folder, options)
    assert refused.value.exit_code == code
    assert words in str(refused.value)
    assert not (place / "run").exists()


def test_without_tensorboard_its_events_are_refused_before_any_work(
    place: Path, set_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    options = train_options({"start": "small.safetensors", "tensorboard": True} | SMALL)
    with pytest.raises(ColorganError, match=r"pip install \"colorgan\[tensorboard\]\"") as refused:
        run(TRAIN, set_folder, options)
    assert refused.value.exit_code == 2
    assert not (place / "run").exists()


def test_a_discriminator_of_another_norm_is_refused_with_the_option_to_give(place: Path, set_folder: Path) -> None:
    given = {"start": "small.safetensors", "lambda_perceptual": 0.0} | SMALL
    run(TRAIN, set_folder, train_options(given | {"d_norm": "spectral"}))
    again = given | {"start_discriminator": "run/weights/discriminator.safetensors"}
    with pytest.raises(ColorganError, match="Give --d-norm spectral"):
        run(TRAIN, set_folder, train_options(again), folder="again")
    run(TRAIN, set_folder, train_options(again | {"d_norm": "spectral"}), folder="again")


@pytest.mark.parametrize("way", [TRAIN, FINETUNE])
def test_the_result_keeps_the_temperature_of_the_model_that_it_started_from(
    place: Path, set_folder: Path, model_info: ModelInfo, way: Way
) -> None:
    given = {"start": "small.safetensors"} | SMALL
    options = train_options(given | {"lambda_perceptual": 0.0}) if way is TRAIN else FinetuneOptions(**given)
    run(way, set_folder, options)
    info = load_model(way.result, torch.device("cpu")).info
    assert (info.name, info.stage, info.render_size) == (way.result, way.stage, 24)
    assert info.temperature == model_info.temperature != 1.0


def test_a_run_of_the_other_command_is_not_gone_on_with(place: Path, set_folder: Path) -> None:
    run(FINETUNE, set_folder, FinetuneOptions(start="small.safetensors", **SMALL))
    assert resumable_options(FINETUNE, Path("run"), {"epochs": 2}).epochs == 2
    with pytest.raises(ColorganError, match="colorgan finetune"):
        resumable_options(TRAIN, Path("run"), {})


class Stopping(Silent):
    """Sends the signal of Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def progressed(self, position: Position, batches: int, share: float) -> None:
        if position.step == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("stop_at", [2, 5])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("way", [FINETUNE, TRAIN])
def test_a_stopped_run_ends_with_the_bytes_of_one_that_was_not(
    place: Path, set_folder: Path, way: Way, precision: str, stop_at: int
) -> None:
    given = {"start": "small.safetensors"} | SMALL | {"epochs": 2, "lr": 1e-3, "ema": 0.9, "log_every": 1}
    given |= {"precision": precision, "clip_norm": 1.0, "schedule": "cosine"}
    options = train_options(given | {"lambda_perceptual": 0.0}) if way is TRAIN else FinetuneOptions(**given)
    run(way, set_folder, options, "straight")
    with pytest.raises(Interrupted):
        launch(way, set_folder, Path("stopped"), options, Stopping(stop_at), "")
    run(way, set_folder, options, "stopped")
    # The weights, their average, the optimizers' moments and the random states.
    last = "checkpoints/epoch-002/tensors.safetensors"
    straight, stopped = load_file(Path("straight", last)), load_file(Path("stopped", last))
    assert straight.keys() == stopped.keys()
    assert [key for key, tensor in straight.items() if not torch.equal(tensor, stopped[key])] == []
    for path in Path("straight/weights").iterdir():
        assert path.read_bytes() == Path("stopped/weights", path.name).read_bytes()
    assert _log("stopped") == _log("straight")


def _log(folder: str) -> list[dict[str, object]]:
    """The log of a run, but for its times."""
    lines = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "elapsed_s"} for line in lines]


def test_a_run_of_an_older_version_goes_on_as_that_version_did(place: Path, set_folder: Path) -> None:
    @dataclass(frozen=True)
    class Tomorrows(FinetuneOptions):
        """Options whose defaults have changed."""

        size_min: int = 16
        aged: float = 0.5
        ema: float = 0.9

    given = {"start": "small.safetensors"} | SMALL
    run(FINETUNE, set_folder, FinetuneOptions(**given))
    described = json.loads(Path("run/run.json").read_text())
    for name in BEFORE:
        described["options"].pop(name, None)  # as it was before there was any of these
    Path("run/run.json").write_text(json.dumps(described))
    resumed = resumable_options(replace(FINETUNE, options=Tomorrows), Path("run"), {})
    assert (resumed.size_min, resumed.aged, resumed.ema) == (0, 0.0, 0.0)
    assert run(FINETUNE, set_folder, FinetuneOptions(**given | {"epochs": 2})).epochs == [2]


def test_a_run_by_bins_is_gone_on_with(place: Path, set_folder: Path) -> None:
    given = {"start": "small.safetensors", "loss": "bins"} | SMALL
    run(FINETUNE, set_folder, FinetuneOptions(**given))
    assert run(FINETUNE, set_folder, FinetuneOptions(**given | {"epochs": 2})).epochs == [2]


def test_asking_a_network_for_its_bins_changes_nothing_in_it() -> None:
    network = build_network("compact", {}).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check_bins(network, "--loss bins")
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_without_a_better_epoch_the_run_ends_early_where_asked_to(place: Path, set_folder: Path) -> None:
    # A rate of 0 and frozen statistics: no epoch is better than the first.
    given = {"start": "small.safetensors", "lr": 0.0, "g_norm": "frozen", "lambda_perceptual": 0.0} | SMALL
    assert run(TRAIN, set_folder, train_options(given | {"epochs": 9, "patience": 2})).epochs == [0, 1, 2, 3]


def test_the_reports_recipe_whole_with_a_local_perceptual_network(place: Path, set_folder: Path) -> None:
    torch.manual_seed(0)
    save_file(VGG19().state_dict(), "vgg.safetensors")
    run(TRAIN, set_folder, train_options({"start": "small.safetensors", "vgg_weights": "vgg.safetensors"} | SMALL))
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    (epoch,) = [line for line in lines if line["kind"] == "epoch"]
    assert epoch["g_perceptual"] > 0
    assert epoch["grad_perceptual"] > 0
    assert epoch["g_loss"] == pytest.approx(
        epoch["g_adversarial"] + 10 * epoch["g_l1"] + 10 * epoch["g_perceptual"], rel=1e-4
    )
