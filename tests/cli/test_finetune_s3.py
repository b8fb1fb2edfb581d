"""`colorgan finetune` as a process, with a set in a bucket of a real S3 server on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import DEADLINE_S, running, wait_until
from safetensors.torch import load_file
from stores import REFUSAL, Behavior, Request, Store, empty_bucket, s3_server

from colorgan.data import shards
from colorgan.data.options import PrepareOptions
from colorgan.data.prepare import prepare

pytest.importorskip("s3fs")
SHARD_BYTES = 12_000
LIMIT_BYTES = 12 * SHARD_BYTES  # the least for two processes
COMMON = ["--batch-size", "4", "--size", "16", "--val-photos", "4", "--log-every", "1", "--precision", "fp32"]
COMMON += ["--data", "s3://bucket/data", "--device", "cpu", "--data-cache-gb", str(LIMIT_BYTES / 1e9)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(scope="module")
def set_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 40 photos in about twenty shards."""
    folder = tmp_path_factory.mktemp("set")
    noise = np.random.default_rng(0)
    for index in range(40):
        path = folder / "photos" / f"{index:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(noise.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((24, 24)).save(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "MAX_SHARD_BYTES", SHARD_BYTES)
        options = PrepareOptions(min_side=16, val_fraction=0.1)
        prepare([folder / "photos"], folder / "data", options)
    return folder / "data"


@pytest.fixture
def store(server: str, set_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The bucket that the set was copied to; the environment names it."""
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with empty_bucket(server) as store:
        for path in set_folder.iterdir():
            store.put(f"data/{path.name}", path.read_bytes())
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store


def command(processes: int, model: Path, *arguments: str) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", "-m", "--"]
    start = [*launcher, "colorgan"] if processes > 1 else ["-m", "colorgan"]
    return [sys.executable, *start, "finetune", "--from", str(model), *COMMON, *arguments]


def finetune(processes: int, model: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | environment
    given = command(processes, model, *arguments)
    return subprocess.run(given, env=variables, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def log(run: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "elapsed_s"} for line in lines]


def kept_bytes() -> int:
    return sum(path.stat().st_size for path in Path("cache/sets").glob("*/*.tar"))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_goes_on_to_the_same_weights_with_as_many_processes_alone(
    store: Store, tiny_model: Path, set_folder: Path, processes: int
) -> None:
    whole = ("--epochs", "4", "--save-minutes", "0.01")
    done = finetune(processes, tiny_model, *whole, "--run", "whole")
    assert done.returncode == 0, done.stderr
    most = 0
    killed = command(processes, tiny_model, *whole, "--run", "killed")
    with running(killed, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:

        def has_checkpoints() -> bool:
            nonlocal most
            most = max(most, kept_bytes())
            return len(list(Path("killed/checkpoints").glob("epoch-*"))) >= 2

        wait_until(has_checkpoints, process)
        process.kill()
        process.communicate()
    assert SHARD_BYTES < most <= LIMIT_BYTES
    if processes == 2:
        others = finetune(1, tiny_model, *whole, "--run", "killed")
        assert others.returncode == 2
        assert "an address read by 2 processes there, an address read by 1 process here" in others.stderr
    again = finetune(processes, tiny_model, *whole, "--run", "killed")
    assert again.returncode == 0, again.stderr
    assert log("killed") == log("whole")
    for name in ("best", "last"):
        one, other = (load_file(Path(run, "weights", f"{name}.safetensors")) for run in ("whole", "killed"))
        assert all((one[key] == other[key]).all() for key in one)
    assert "that-is-secret" not in done.stderr + again.stderr


def refuse(code: str, status: int, store: Store, part: str) -> None:
    store.behavior = lambda request: (status, REFUSAL.format(code).encode()) if part in request.path else None


def test_what_keeps_a_set_from_being_read_is_said_in_three_parts(store: Store, tiny_model: Path) -> None:
    offline = finetune(1, tiny_model, COLORGAN_OFFLINE="1")
    assert offline.returncode == 2
    assert "a set on this machine's disks: s3://bucket/data, and COLORGAN_OFFLINE is set" in offline.stderr
    nowhere = finetune(1, tiny_model, "--data", "s3://no-such-bucket/data")
    assert nowhere.returncode == 2
    assert "there is no such bucket" in nowhere.stderr
    narrow = finetune(1, tiny_model, "--data-cache-gb", "0.00001")
    assert narrow.returncode == 2
    assert "--data-cache-gb" in narrow.stderr
    refuse("AccessDenied", 403, store, "train-0")
    forbidden = finetune(1, tiny_model)
    assert forbidden.returncode == 4
    assert "train-000" in forbidden.stderr
    assert "no permission" in forbidden.stderr
    refuse("ExpiredToken", 400, store, "")
    expired = finetune(1, tiny_model)
    assert expired.returncode == 4
    assert "the credentials have expired" in expired.stderr
    for done in (offline, nowhere, narrow, forbidden, expired):
        assert "Traceback" not in done.stderr
        assert "that-is-secret" not in done.stderr
        assert "secret words" not in done.stderr


def test_a_shard_that_changes_during_the_run_ends_it_and_the_last_checkpoint_stands(
    store: Store, tiny_model: Path
) -> None:
    run = ("--epochs", "1", "--workers", "1")
    assert finetune(1, tiny_model, *run).returncode == 0
    for key in store.keys("data/train-0"):
        store.put(key, store.get(key)[:-1] + b"x")
    for path in Path("cache/sets").glob("*/train-*.tar"):
        path.unlink()
    changed = finetune(1, tiny_model, "--epochs", "2", "--workers", "1")
    assert changed.returncode == 4
    assert "its SHA-256 differs: it was changed or damaged\n  Copy the set there again, whole.\n" in changed.stderr
    assert "Traceback" not in changed.stderr
    assert [path.name for path in Path("runs/finetune/checkpoints").iterdir()] == ["epoch-001"]


@pytest.mark.slow
def test_what_was_learned_before_the_store_failed_is_saved_and_the_run_goes_on_to_the_same_weights(
    store: Store, tiny_model: Path
) -> None:
    run = ("--epochs", "1", "--workers", "1")
    assert finetune(1, tiny_model, *run, "--run", "whole").returncode == 0
    for path in Path("cache/sets").glob("*/train-*.tar"):
        path.unlink()
    expired = 400, REFUSAL.format("ExpiredToken").encode()
    store.behavior = after_shards(10, lambda: expired)
    failed = finetune(1, tiny_model, *run, "--run", "failed")
    assert failed.returncode == 4
    assert "the credentials have expired" in failed.stderr
    (saved,) = Path("failed/checkpoints").iterdir()
    assert saved.name.startswith("epoch-001-batch-")
    store.behavior = None
    assert finetune(1, tiny_model, *run, "--run", "failed").returncode == 0
    one, other = (load_file(Path(run, "weights", "last.safetensors")) for run in ("whole", "failed"))
    assert all((one[key] == other[key]).all() for key in one)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_signal_is_heeded_while_a_shard_does_not_come(store: Store, tiny_model: Path, workers: str) -> None:
    stalled, released = threading.Event(), threading.Event()

    def stall() -> None:
        stalled.set()
        released.wait(DEADLINE_S)

    store.behavior = after_shards(10, stall)
    training = command(1, tiny_model, "--epochs", "1", "--workers", workers)
    environment = os.environ | {"FSSPEC_S3": "{}"}  # which waits for a minute
    try:
        with running(training, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            lines = Path("runs/finetune/metrics.jsonl")
            wait_until(lambda: stalled.is_set() and '"kind": "train"' in lines.read_text(), process)
            process.send_signal(signal.SIGINT)
            _, words = process.communicate(timeout=10)
    finally:
        released.set()
    assert process.returncode == 130, words
    assert "The run is saved." in words
    saved = [path.name for path in Path("runs/finetune/checkpoints").iterdir()]
    assert saved
    assert all(name.startswith("epoch-001-batch-") for name in saved)


def after_shards(number: int, answer: Callable[[], tuple[int, bytes] | None]) -> Behavior:
    """Answer so once that many shards of the photos to train on were asked for."""
    asked = set[str]()

    def behave(request: Request) -> tuple[int, bytes] | None:
        if request.method == "GET" and "/data/train-0" in request.path:
            asked.add(request.path)
        return answer() if len(asked) > number else None

    return behave
