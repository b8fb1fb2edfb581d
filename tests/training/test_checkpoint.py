import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from processes import DEADLINE_S
from small_networks import SMALL, small_liteunet

from colorgan.errors import CheckpointError, TrainingError
from colorgan.networks.patchgan import PatchGAN
from colorgan.training.checkpoint import Position, checkpoints, load_checkpoint, save_checkpoint
from colorgan.training.stages.adversarial import GanNetworks, GanStage
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import FinetuneStage, l1
from colorgan.training.train_options import TrainOptions


def stage(seed: int = 0) -> FinetuneStage:
    torch.manual_seed(seed)
    return FinetuneStage(small_liteunet(), l1, OptimizerOptions(lr=1e-3, ema=0.9))


def steps(stage: FinetuneStage, count: int) -> list[float]:
    return [
        float(stage.step(torch.rand(2, 1, 16, 16) * 100, torch.randn(2, 2, 16, 16) * 20)["loss"]) for _ in range(count)
    ]


def weights(stage: FinetuneStage) -> list[torch.Tensor]:
    return [tensor for network in stage.networks.values() for tensor in network.state_dict().values()]


def never(text: str) -> None:
    raise AssertionError(text)


def test_a_resumed_stage_goes_on_bit_for_bit(tmp_path: Path) -> None:
    straight = stage()
    steps(straight, 3)
    save_checkpoint(tmp_path, straight, Position(epoch=1, batch=3, step=3), {"best": {"score": 1.5}})
    expected = steps(straight, 3)
    resumed = stage(seed=1)
    assert load_checkpoint(tmp_path, resumed, never) == (Position(epoch=1, batch=3, step=3), {"best": {"score": 1.5}})
    assert steps(resumed, 3) == expected
    assert all(torch.equal(a, b) for a, b in zip(weights(straight), weights(resumed), strict=True))


# It is saved after the third step: in the first two the discriminator learns alone.
RELATIVISTIC = TrainOptions(
    real_label=1.0, g_twice=False, adversarial="relativistic", r1=0.1, r2=0.1, d_augment=True, d_warmup_steps=2
)


def laid_out(kind: str, layout: torch.memory_format, bf16: bool, seed: int = 0) -> FinetuneStage | GanStage:
    """Return a stage of one of the kinds, in a memory layout, with its first layers frozen."""
    torch.manual_seed(seed)
    generator = small_liteunet().to(memory_format=layout)
    generator.encoder.freeze(1)
    options = OptimizerOptions(lr=1e-3, ema=0.9, clip_norm=1.0, bf16=bf16)
    if kind == "finetune":
        return FinetuneStage(generator, l1, options)
    norm, losses = (
        ("spectral", RELATIVISTIC) if kind == "relativistic" else ("batch", TrainOptions(real_label=1.0, g_twice=False))
    )
    discriminator = PatchGAN(norm, (4, 4, 8, 8)).to(memory_format=layout)
    return GanStage(GanNetworks(generator, discriminator), losses, options, OptimizerOptions(lr=1e-3))


def losses(stage: FinetuneStage | GanStage, count: int) -> list[dict[str, float]]:
    drawn = [(torch.rand(2, 1, 24, 24) * 100, torch.randn(2, 2, 24, 24) * 20) for _ in range(count)]
    return [{name: float(term) for name, term in stage.step(L, ab).items()} for L, ab in drawn]


def states(stage: FinetuneStage | GanStage) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return each trainable parameter with each of its moments."""
    return [
        (parameter, optimizer.state[parameter][moment])
        for optimizer in stage.optimizers.values()
        for group in optimizer.param_groups
        for parameter in group["params"]
        for moment in ("exp_avg", "exp_avg_sq")
        if parameter.requires_grad
    ]


@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("kind", ["finetune", "gan", "relativistic"])
def test_a_stage_goes_on_bit_for_bit_in_every_memory_format_and_precision(
    tmp_path: Path, kind: str, layout: torch.memory_format, bf16: bool
) -> None:
    straight = laid_out(kind, layout, bf16)
    losses(straight, 3)
    save_checkpoint(tmp_path, straight, Position(epoch=1, batch=3, step=3), {})
    expected, drawn = losses(straight, 3), torch.rand(4)
    resumed = laid_out(kind, layout, bf16, seed=1)
    load_checkpoint(tmp_path, resumed, never)
    assert losses(resumed, 3) == expected
    assert torch.equal(torch.rand(4), drawn)
    assert all(torch.equal(a, b) for a, b in zip(weights(straight), weights(resumed), strict=True))
    for (_, moment), (_, other) in zip(states(straight), states(resumed), strict=True):
        assert torch.equal(moment, other)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("kind", ["finetune", "gan", "relativistic"])
def test_moments_and_gradients_lie_in_memory_as_their_weights_do(
    tmp_path: Path, kind: str, layout: torch.memory_format
) -> None:
    trained = laid_out(kind, layout, bf16=True)
    compared: list[bool] = []

    def look(optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        compared.extend(p.grad.stride() == p.stride() for p in parameters if p.grad is not None)

    for optimizer in trained.optimizers.values():
        optimizer.register_step_pre_hook(look)
    losses(trained, 3)
    assert compared
    assert all(compared)
    save_checkpoint(tmp_path, trained, Position(epoch=1, validated=True), {})
    load_checkpoint(tmp_path, trained, never)
    assert states(trained)
    assert all(moment.stride() == parameter.stride() for parameter, moment in states(trained))


def test_moments_of_other_weights_are_refused(tmp_path: Path) -> None:
    straight = stage()
    steps(straight, 1)
    optimizer = straight.optimizers["generator"]
    parameters = optimizer.param_groups[0]["params"]
    first, last = parameters[0], parameters[-1]
    assert first.shape != last.shape
    optimizer.state[first], optimizer.state[last] = optimizer.state[last], optimizer.state[first]
    save_checkpoint(tmp_path, straight, Position(epoch=1, validated=True), {})
    with pytest.raises(CheckpointError, match="a moment of shape"):
        load_checkpoint(tmp_path, stage(), never)


def test_the_newest_two_are_kept_and_those_asked_for(tmp_path: Path) -> None:
    saved = stage()
    for epoch in range(1, 8):
        save_checkpoint(tmp_path, saved, Position(epoch=epoch, batch=5), {}, every=3)
        save_checkpoint(tmp_path, saved, Position(epoch=epoch, batch=9, validated=True), {}, every=3)
    assert [path.name for path in checkpoints(tmp_path)] == [
        "epoch-003",
        "epoch-006",
        "epoch-007-batch-0000005",
        "epoch-007",
    ]


def truncate(folder: Path) -> None:
    file = folder / "tensors.safetensors"
    os.truncate(file, file.stat().st_size // 2)


def flip_a_byte(folder: Path) -> None:
    file = folder / "tensors.safetensors"
    payload = bytearray(file.read_bytes())
    payload[-5] ^= 1
    file.write_bytes(payload)


def half_the_json(folder: Path) -> None:
    file = folder / "state.json"
    file.write_bytes(file.read_bytes()[:40])


def edit_the_json(folder: Path) -> None:
    file = folder / "state.json"
    file.write_text(file.read_text().replace('"epoch": 2', '"epoch": 3'))


def list_for_json(folder: Path) -> None:
    (folder / "state.json").write_text("[]")


def remove_a_file(folder: Path) -> None:
    (folder / "tensors.safetensors").unlink()


@pytest.mark.parametrize("damage", [truncate, flip_a_byte, half_the_json, edit_the_json, list_for_json, remove_a_file])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before_with_a_word(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    saved = stage()
    save_checkpoint(tmp_path, saved, Position(epoch=1, validated=True), {})
    damage(save_checkpoint(tmp_path, saved, Position(epoch=2, validated=True), {}))
    words: list[str] = []
    found = load_checkpoint(tmp_path, saved, words.append)
    assert found is not None
    assert found[0].epoch == 1
    assert len(words) == 1
    assert "epoch-002" in words[0]
    assert "damaged" in words[0]


def test_when_every_checkpoint_is_damaged_that_is_an_error_and_not_a_fresh_start(tmp_path: Path) -> None:
    saved = stage()
    truncate(save_checkpoint(tmp_path, saved, Position(epoch=1, validated=True), {}))
    with pytest.raises(CheckpointError, match="epoch-001"):
        load_checkpoint(tmp_path, saved, lambda text: None)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, stage(), Position(epoch=1, validated=True), {})
    other = FinetuneStage(small_liteunet(channels=[8, 6, 10]), l1, OptimizerOptions(ema=0.9))
    with pytest.raises(CheckpointError, match="the same network"):
        load_checkpoint(tmp_path, other, never)


def test_a_training_that_has_diverged_overwrites_no_good_checkpoint(tmp_path: Path) -> None:
    diverged = stage()
    save_checkpoint(tmp_path, diverged, Position(epoch=1, validated=True), {})
    with torch.no_grad():
        diverged.generator.head.bins.bias[3] = float("nan")
    with pytest.raises(TrainingError, match=r"network\.generator\.head"):
        save_checkpoint(tmp_path, diverged, Position(epoch=1, batch=2), {})
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-001"]


def test_a_folder_without_checkpoints_is_a_fresh_start(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "none", stage(), never) is None


# Torch is imported once, and each child that is to be killed is forked from there.
KILLER = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
from colorgan.networks.liteunet import LiteUNet
from colorgan.training.checkpoint import Position, load_checkpoint, save_checkpoint
from colorgan.training.stages.supervised import FinetuneStage, l1
from colorgan.training.stages.base import OptimizerOptions

torch.set_num_threads(1)
folder, kills = Path(sys.argv[1]), int(sys.argv[2])
stage = FinetuneStage(LiteUNet(**json.loads(sys.argv[3])), l1, OptimizerOptions())
begun = time.monotonic()
save_checkpoint(folder, stage, Position(), {})
one_save_s = time.monotonic() - begun
random.seed(0)
newest = 0
for _ in range(kills):
    child = os.fork()
    if child == 0:
        for step in range(newest + 1, newest + 1000):
            save_checkpoint(folder, stage, Position(epoch=1, batch=step, step=step), {})
    while not (folder / Position(batch=newest + 1).name).exists():
        time.sleep(0.001)
    time.sleep(random.uniform(0.0, 3.0) * one_save_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = load_checkpoint(folder, stage, lambda text: sys.exit(f"damaged after a kill: {text}"))
    assert found is not None and found[0].step >= newest, (found, newest)
    newest = found[0].step
save_checkpoint(folder, stage, Position(epoch=2, validated=True), {})
print(newest, sorted(p.name for p in folder.iterdir() if p.name.startswith(".")))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
@pytest.mark.slow
def test_a_kill_at_any_moment_of_saving_leaves_whole_checkpoints(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(tmp_path), "50", json.dumps(SMALL)],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    newest, stale = done.stdout.split(maxsplit=1)
    assert int(newest) > 20, "the kills came before anything was saved"
    assert stale.strip() == "[]"
