"""`colorgan finetune` as a process, from a prepared set to a colored photo.

Three kills here; COLORGAN_TEST_KILLS=20 for as many as one likes.
"""

import contextlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from processes import DEADLINE_S, running, wait_until
from safetensors import safe_open
from safetensors.torch import load_file
from standins import standin_lite

from colorgan.models.loading import load_model

if os.name != "nt":
    import pty

KILLS = int(os.environ.get("COLORGAN_TEST_KILLS", "3"))
COMMON = ["--batch-size", "4", "--size", "16", "--val-photos", "6", "--log-every", "1", "--precision", "fp32"]


def finetune(*arguments):
    return ("finetune", "--from", "small.safetensors", *COMMON, *arguments)


def log(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "elapsed_s"} for line in lines]


def size_of(path):
    return path.stat().st_size if path.exists() else 0


@pytest.mark.slow
def test_the_chain_from_photos_to_a_colored_photo(place, colorgan):
    done = colorgan(*finetune("--epochs", "2"))
    assert done.returncode == 0, done.stderr
    run = place / "runs" / "finetune"
    assert done.stdout.strip() == str(Path("runs/finetune/weights/best.safetensors"))
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert {"run.json", "metrics.jsonl", "report.html", "samples/epoch-002.jpg", "weights/last.safetensors"} <= names
    assert "colorgan colorize PHOTOS -o out --model runs/finetune/weights/best.safetensors" in done.stderr
    assert "The run ended after epoch 2, as requested.\nWhether the training helped" in done.stderr
    for model in ("finetuned", "runs/finetune/weights/best.safetensors"):
        colored = colorgan("colorize", "photos/class0/0.png", "-o", f"{Path(model).name}-out/", "--model", model)
        assert colored.returncode == 0, colored.stderr
    with Image.open("finetuned-out/0.png") as image:
        assert image.size == (24, 24)
    described = json.loads((run / "run.json").read_text())
    assert described["options"]["lr"] == 1e-4
    assert described["model"]["started_from"] == "small.safetensors"
    with safe_open(run / "weights" / "best.safetensors", "np") as weights:
        assert weights.metadata()["licence"] == "MIT; and the terms of the photos it was trained on"
        assert weights.metadata()["trained_on"].startswith("photos of nothing; then 16 photos of one's own")


@pytest.mark.slow
def test_a_network_from_scratch_learns_bins_and_goes_on(place, colorgan):
    begun = colorgan("finetune", "--from", "scratch", "--loss", "bins", *COMMON, "--epochs", "1")
    assert begun.returncode == 0, begun.stderr
    longer = colorgan("finetune", "--resume", "--epochs", "2")
    assert longer.returncode == 0, longer.stderr
    steps = [line["step"] for line in log(place / "runs" / "finetune") if line["kind"] == "train"]
    assert steps == list(range(1, 9))


@pytest.mark.slow
def test_a_run_killed_at_any_moment_goes_on_to_the_same_weights(place, colorgan, start):
    whole = ("--epochs", str(8 * KILLS + 1), "--loss", "bins", "--ema", "0.9", "--schedule", "cosine")
    whole += ("--save-minutes", "0.01")
    assert colorgan(*finetune(*whole, "--run", "whole")).returncode == 0
    moments = random.Random(0)
    for _ in range(KILLS):
        before = size_of(place / "killed" / "metrics.jsonl")
        killed = start(*finetune(*whole, "--run", "killed"))
        wait_until(lambda before=before: size_of(place / "killed" / "metrics.jsonl") > before, killed)
        time.sleep(moments.uniform(0.0, 0.3))
        assert killed.poll() is None, "it was done before the kill"
        killed.kill()
        killed.communicate()
    done = colorgan(*finetune(*whole, "--run", "killed"))
    assert done.returncode == 0, done.stderr
    assert log(place / "killed") == log(place / "whole")
    for name in ("best", "last"):
        first, second = (load_file(place / run / "weights" / f"{name}.safetensors") for run in ("whole", "killed"))
        assert all((first[key] == second[key]).all() for key in first)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals between processes")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.slow
def test_a_signal_finishes_the_step_saves_and_says_how_to_go_on(place, name, colorgan, start):
    number = getattr(signal, name)
    process = start(*finetune("--epochs", "100000", "--workers", "1", "--run", "run one"))
    wait_until((place / "run one" / "metrics.jsonl").exists, process)
    process.send_signal(number)
    _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 128 + number, words
    assert "Traceback" not in words
    assert "colorgan finetune --resume --data data --run 'run one'" in words
    steps = len(log(place / "run one"))
    done = colorgan("finetune", "--resume", "--data", "data", "--run", "run one", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    assert len(log(place / "run one")) >= steps
    assert json.loads((place / "run one" / "run.json").read_text())["options"]["batch_size"] == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
@pytest.mark.slow
def test_a_training_whose_terminal_is_closed_saves_and_can_go_on(place, colorgan):
    command = [sys.executable, "-m", "colorgan", *finetune("--epochs", "100000", "--workers", "1", "--run", "run")]
    child, terminal = pty.fork()
    if child == 0:
        os.execv(command[0], command)
    os.set_blocking(terminal, False)

    def has_begun():
        with contextlib.suppress(BlockingIOError):
            os.read(terminal, 1 << 16)  # or the training would wait until there is room
        return (place / "run" / "metrics.jsonl").exists()

    ended = []
    try:
        wait_until(has_begun)
        os.close(terminal)
        wait_until(lambda: ended.append(os.waitpid(child, os.WNOHANG)) or ended[-1][0])
    finally:
        if not ended or not ended[-1][0]:
            os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(ended[-1][1]) == 129
    (saved,) = (path.name for path in (place / "run" / "checkpoints").iterdir())
    assert not saved.startswith(".")
    done = colorgan("finetune", "--resume", "--run", "run", "--epochs", "1")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_second_training_in_a_run_folder_is_refused_and_harms_nothing(place, colorgan, start):
    process = start(*finetune("--epochs", "100000", "--run", "run"))
    wait_until((place / "run" / "checkpoints" / "epoch-001").exists, process)
    for more in ((), ("--overwrite",)):
        second = colorgan(*finetune("--epochs", "100000", "--run", "run", *more))
        assert second.returncode == 2, second.stderr
        assert "another is using it" in second.stderr
    process.terminate()
    process.communicate(timeout=DEADLINE_S)
    epochs = [line["epoch"] for line in log(place / "run") if line["kind"] == "validation"]
    assert epochs == list(range(len(epochs)))
    done = colorgan("finetune", "--resume", "--run", "run", "--epochs", str(len(epochs)))
    assert done.returncode == 0, done.stderr
    assert not (place / "run" / "lock").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="file systems elsewhere have no such names")
@pytest.mark.slow
def test_a_run_folder_whose_name_is_not_utf8_trains_goes_on_and_is_used(place, colorgan):
    run = os.fsdecode(b"r\xe9n")
    for epochs in ("1", "2"):
        done = colorgan(*finetune("--epochs", epochs, "--run", run, "--workers", "1"))
        assert done.returncode == 0, done.stderr
    assert "r\\udce9n" in (place / run / "report.html").read_text()
    weights = f"{run}/weights/last.safetensors"
    following = colorgan("finetune", "--from", weights, *COMMON, "--epochs", "1", "--run", "next")
    assert following.returncode == 0, following.stderr
    done = colorgan("colorize", "photos/class0/0.png", "-o", "out/", "--model", weights)
    assert done.returncode == 0, done.stderr


def can_mount():
    return shutil.which("unshare") and not subprocess.run(["unshare", "-m", "true"], check=False).returncode


@pytest.mark.skipif(not can_mount(), reason="a /dev/shm of another size needs root on Linux")
@pytest.mark.parametrize(("size", "warned"), [("128k", False), ("8k", True)])
@pytest.mark.slow
def test_a_full_dev_shm_stops_no_training(place, start, size, warned):
    training = shlex.join([sys.executable, "-m", "colorgan", *finetune("--epochs", "1", "--workers", "2")])
    training = training.replace("--size 16", "--size 160")  # a batch of 300 kB
    mounted = f"mount -t tmpfs -o size={size} tmpfs /dev/shm && exec {training}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with running(["unshare", "-m", "bash", "-c", mounted], **pipes) as process:
        _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, words
    assert ("--shm-size" in words) == warned
    assert "Traceback" not in words


@pytest.fixture
def reading(place, colorgan, start):
    """A training whose first epoch is over, and what lists the processes that read for it; in the end it is resumed."""
    process = start(*finetune("--epochs", "100000", "--run", "run", "--workers", "2"))
    wait_until((place / "run" / "checkpoints" / "epoch-001").exists, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    yield process, lambda: [int(child) for child in children.read_text().split()]
    epochs = sum(line["kind"] == "validation" for line in log(place / "run"))
    done = colorgan("finetune", "--resume", "--run", "run", "--epochs", str(epochs))
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system for a process's children")
@pytest.mark.slow
def test_a_process_that_reads_and_is_killed_ends_the_training_with_words(reading):
    process, readers = reading
    end = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):  # one whose epoch is over ends by itself
            for reader in readers():
                os.kill(reader, signal.SIGKILL)  # as the system does where memory ends
        time.sleep(0.2)
    _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 4, words
    assert "Traceback" not in words
    assert "bug" not in words
    assert "--workers" in words


@pytest.mark.skipif(sys.platform != "linux", reason="asks the system for a process's children")
@pytest.mark.slow
def test_a_signal_is_heard_while_a_process_that_reads_hangs(reading):
    process, readers = reading
    wait_until(readers, process)
    os.kill(readers()[0], signal.SIGSTOP)  # as one that waits for a disk
    time.sleep(1)  # until what it had read is used up
    process.terminate()
    _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 143, words


@pytest.mark.slow
def test_the_same_command_over_a_finished_run_trains_nothing_again(place, colorgan):
    assert colorgan(*finetune("--epochs", "1")).returncode == 0
    before = log(place / "runs" / "finetune")
    assert colorgan(*finetune("--epochs", "1")).returncode == 0
    assert log(place / "runs" / "finetune") == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--data", "nowhere"], 4, "nowhere"),
        (["--lr", "-1"], 2, "--lr"),
        (["--loss", "l3"], 2, "bins"),
        (["--size-min", "300"], 2, "--size-min of 16 up to the --size"),
        (["--size-min", "8"], 2, "--size-min of 16 up to the --size"),
        (["--resume"], 2, "Leave --resume out"),
        (["--from", "compakt"], 2, "compact"),
        (["--run", "photos"], 2, "Name another --run"),
        (["--device", "cuda:99"], 4, "--device"),
        (["--weight", "photos"], 2, "--weight to be SOURCE=TIMES"),
        (["--weight", "photos=nan"], 2, "--weight to be SOURCE=TIMES"),
        (["--weight", "slides=2"], 2, "a source named slides"),
        (["--encoder", "lite0.pth"], 2, "--encoder with --from scratch"),
        (["--from", "scratch", "--freeze-encoder", "2"], 2, "random ones"),
        (["--from", "scratch", "--network", "eccv16", "--encoder-lr", "1e-4"], 2, "pretrained encoder"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(place, arguments, code, words, colorgan):
    done = colorgan("finetune", *COMMON, "--from", "small.safetensors", *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "runs").exists()


def test_without_the_published_weights_the_error_says_how_to_give_them_and_what_needs_none(place, colorgan):
    done = colorgan("finetune", "--recipe", "report")
    assert done.returncode == 4
    assert "colorization_release_v2-9b330a0b.pth" in done.stderr
    assert "compact" in done.stderr
    assert not (place / "runs").exists()


@pytest.mark.slow
def test_other_options_for_a_run_that_is_there_are_refused_with_the_difference(place, colorgan):
    assert colorgan(*finetune("--epochs", "1")).returncode == 0
    done = colorgan(*finetune("--epochs", "1", "--loss", "l1"))
    assert done.returncode == 2
    assert "loss bins there, l1 here" in done.stderr
    done = colorgan(*finetune("--epochs", "1", "--loss", "l1", "--overwrite"))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_an_epoch_draws_the_photos_of_a_source_as_often_as_asked_and_goes_on_so(place, colorgan):
    begun = colorgan(*finetune("--weight", "photos=2.5", "--epochs", "1"))
    assert begun.returncode == 0, begun.stderr
    run = place / "runs" / "finetune"
    assert json.loads((run / "run.json").read_text())["options"]["weights"] == {"photos": 2.5}
    assert [line["step"] for line in log(run) if line["kind"] == "train"] == list(range(1, 11))  # 2.5 times 16 by 4
    longer = colorgan("finetune", "--resume", "--epochs", "2")
    assert longer.returncode == 0, longer.stderr
    assert [line["step"] for line in log(run) if line["kind"] == "train"] == list(range(1, 21))
    other = colorgan(*finetune("--weight", "photos=2", "--epochs", "2"))
    assert other.returncode == 2
    assert "weights {'photos': 2.5} there, {'photos': 2.0} here" in other.stderr


@pytest.mark.slow
def test_a_run_with_its_photos_on_the_device_is_killed_and_goes_on_to_the_same_weights(place, colorgan, start):
    whole = ("--cache", "device", "--epochs", "12", "--aged", "0.5", "--validate-every", "5", "--save-minutes", "0.01")
    straight = colorgan(*finetune(*whole, "--run", "whole"))
    assert straight.returncode == 0, straight.stderr
    killed = start(*finetune(*whole, "--run", "killed"))
    wait_until(lambda: list((place / "killed").glob("checkpoints/epoch-*/state.json")), killed)
    killed.kill()
    killed.communicate()
    done = colorgan(*finetune(*whole, "--run", "killed"))
    assert done.returncode == 0, done.stderr
    assert log(place / "killed") == log(place / "whole")
    assert [line["epoch"] for line in log(place / "killed") if line["kind"] == "validation"] == [0, 5, 10, 12]
    first, second = (load_file(place / run / "weights" / "last.safetensors") for run in ("whole", "killed"))
    assert all((first[key] == second[key]).all() for key in first)


@pytest.mark.slow
def test_a_network_learns_on_a_published_encoder_and_goes_on_without_its_file(place, colorgan):
    torch.save(standin_lite(), "lite0.pth")
    begun = colorgan(
        *("finetune", "--from", "scratch", "--encoder", "lite0.pth", "--encoder-lr", "1e-4", "--freeze-encoder", "3"),
        *("--loss", "bins", *COMMON, "--epochs", "1"),
    )
    assert begun.returncode == 0, begun.stderr
    (place / "lite0.pth").unlink()
    longer = colorgan("finetune", "--resume", "--epochs", "2")
    assert longer.returncode == 0, longer.stderr
    run = place / "runs" / "finetune"
    assert [line["step"] for line in log(run) if line["kind"] == "train"] == list(range(1, 9))
    options = json.loads((run / "run.json").read_text())["options"]
    assert (options["encoder"], options["encoder_lr"], options["freeze_encoder"]) == ("lite0.pth", 1e-4, 3)
    with safe_open(run / "weights" / "best.safetensors", "np") as weights:
        assert weights.metadata()["licence"].startswith("Apache-2.0 (its encoder: EfficientNet-Lite")
        assert weights.metadata()["network"] == "liteunet"
    colored = colorgan("colorize", "photos/class0/0.png", "-o", "out/", "--model", "finetuned")
    assert colored.returncode == 0, colored.stderr


@pytest.mark.slow
def test_the_branch_of_hints_is_trained_and_goes_on_beside_weights_that_stay(place, colorgan):
    command = ("finetune", "--hint-branch", "--from", "compact", *COMMON, "--lr", "1e-2", "--run", "hints")
    for epochs in ("1", "2"):
        done = colorgan(*command, "--epochs", epochs)
        assert done.returncode == 0, done.stderr
    trained = load_file(place / "hints" / "weights" / "last.safetensors")
    assert trained["hints.out.weight"].any()
    start = load_model("compact", torch.device("cpu")).generator.state_dict()
    for name, tensor in start.items():
        assert name.startswith("hints.") or torch.equal(trained[name], tensor), name
