"""Several processes that train together, as torchrun starts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import DEADLINE_S, Process, running, wait_until

from colorgan.callbacks import Callbacks
from colorgan.distributed import SINGLE, ProcessGroup
from colorgan.models.info import ModelInfo
from colorgan.models.loading import save_model
from colorgan.networks.liteunet import LiteUNet
from colorgan.training.launch import launch
from colorgan.training.train_options import TrainOptions
from colorgan.training.train_task import TRAIN

# Norms that do not depend on the batch, so that two halves of a batch give the same as the whole.
GIVEN = {
    "start": "small.safetensors",
    "lambda_perceptual": 0.0,
    "d_norm": "instance",
    "g_norm": "frozen",
    "d_target_accuracy": 0.9,
    "lr": 5e-5,
    "drop_last": True,
    "d_lr": 2e-5,
    "batch_size": 4,
    "size": 24,
    "epochs": 8,
    "val_photos": 4,
    "log_every": 1,
    "precision": "fp32",
    "device": "cpu",
}
# Random choices of each rank for its share of a batch, and a step count that must agree. The penalties weigh little: in
# a piecewise linear discriminator their gradient jumps, so that rounding alone makes runs diverge within twenty steps.
RELATIVISTIC = {
    "adversarial": "relativistic",
    "r1": 1e-5,
    "r2": 1e-5,
    "d_augment": True,
    "d_warmup_steps": 6,
    "d_target_accuracy": 1.0,
}
TERMS = (
    "d_loss",
    "g_loss",
    "g_adversarial",
    "g_l1",
    "d_accuracy_real",
    "d_accuracy_fake",
    "d_accuracy",
    "d_pairs",
)


# The command, which prints a line when it begins to wait.
WAITING = """
import sys
from colorgan import distributed
meet = distributed._rendezvous
def waiting(*given):
    print("waiting", flush=True)
    return meet(*given)
distributed._rendezvous = waiting
from colorgan.cli.app import main
sys.argv = ["colorgan", "train", "--data", sys.argv[1], "--run", "run", "--device", "cpu", "--from", "none"]
main()
"""


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def log(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def torchrun(data: Path, folder: str, given: dict[str, Any]) -> AbstractContextManager[Process]:
    options = []
    for name, value in given.items():
        if name != "start":
            options += [f"--{name.replace('_', '-')}"] + [str(value)] * (value is not True)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "--max-restarts=1"]
    # The two dashes keep torchrun from taking --run for its own --run-path.
    command = [
        "-m",
        "--",
        "colorgan",
        "train",
        "--from",
        "small.safetensors",
        "--data",
        str(data),
        "--run",
        folder,
        *options,
    ]
    # With --overwrite too: a restart must not take it for its own.
    whole = [*launcher, *command, "--overwrite"]
    return running(whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def workers_of(process: Process) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes to kill in /proc")
@pytest.mark.slow
@pytest.mark.parametrize("given", [GIVEN, GIVEN | RELATIVISTIC], ids=["unpaired", "relativistic"])
def test_two_ranks_of_which_one_is_killed_give_the_losses_of_one_process(
    tmp_path: Path,
    set_folder: Path,
    small_network: LiteUNet,
    model_info: ModelInfo,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
) -> None:
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    save_model(tmp_path / "small.safetensors", small_network, model_info)
    with torchrun(set_folder, "two", given) as process:
        wait_until(lambda: len(list(Path("two/checkpoints").glob("epoch-*"))) >= 2, process)
        victim = workers_of(process)[-1]
        os.kill(victim, signal.SIGKILL)
        output, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, words
    assert "falling back" not in words
    assert output.count("best.safetensors") == 1
    launch(TRAIN, set_folder, Path("one"), TrainOptions.from_recipe(given), Callbacks())
    alone, together = log(Path("one"), "train"), log(Path("two"), "train")
    assert [line["step"] for line in together] == [line["step"] for line in alone]
    for one, two in zip(alone, together, strict=True):
        terms = [name for name in TERMS if name in one]
        assert {name: two[name] for name in terms} == pytest.approx({name: one[name] for name in terms}, rel=1e-4)
    for one, two in zip(log(Path("one"), "epoch"), log(Path("two"), "epoch"), strict=True):
        terms = [name for name in ("d_loss", "g_loss") if name in one]  # none of the generator's in a warm-up
        assert {name: two[name] for name in terms} == pytest.approx({name: one[name] for name in terms}, rel=1e-4)
    assert json.loads(Path("two/run.json").read_text())["options"]["batch_size"] == 4


def test_the_mean_over_ranks_meets_each_weight_whatever_the_memory_format(monkeypatch: pytest.MonkeyPatch) -> None:
    def add_the_other_rank(flat: torch.Tensor, async_op: bool) -> torch.futures.Future[None]:
        # The other rank has the same tensors, but contiguous; collectives ignore strides.
        flat += torch.cat([tensor.flatten() for tensor in others])
        done = torch.futures.Future[None]()
        done.set_result(None)
        return done

    monkeypatch.setattr(torch.distributed, "all_reduce", add_the_other_rank)
    others = [torch.randn(4, 3, 3, 3), torch.randn(5)]
    tensors = [others[0].to(memory_format=torch.channels_last), others[1].clone()]
    strides = [tensor.stride() for tensor in tensors]
    ProcessGroup(0, 2).all_reduce_mean(tensors)
    assert all(torch.equal(tensor, other) for tensor, other in zip(tensors, others, strict=True))
    assert [tensor.stride() for tensor in tensors] == strides


def test_a_process_alone_agrees_with_itself() -> None:
    tensor = torch.tensor([1.0, 2.0])
    SINGLE.all_reduce_mean([tensor])
    assert tensor.tolist() == [1.0, 2.0]
    assert SINGLE.all_reduce_max([2.0, 0.0]) == [2.0, 0.0]
    assert SINGLE.broadcast({"figures": None}) == {"figures": None}
    assert SINGLE.is_primary


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals between processes")
@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_process_that_waits_for_the_others_hears_signals(
    tmp_path: Path, set_folder: Path, monkeypatch: pytest.MonkeyPatch, rank: str
) -> None:
    monkeypatch.chdir(tmp_path)
    names = {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": "2"}
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-c", WAITING, str(set_folder)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(command, env=os.environ | names | address, **streams) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "waiting"
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 143, words
        assert time.monotonic() - begun < 10
    assert not Path("run").exists()
