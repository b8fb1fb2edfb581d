import pytest
import torch
from gpu import waiting_forbidden
from small_networks import Plain, small_liteunet
from torch import nn

from colorgan.color.bins import prior
from colorgan.data.dataset import Batch
from colorgan.training.stages.base import OptimizedNetwork, OptimizerOptions
from colorgan.training.stages.supervised import FinetuneStage, l1, make_loss


def stage(frozen: int = 0, **options: float | bool) -> FinetuneStage:
    torch.manual_seed(0)
    network = small_liteunet()
    network.encoder.freeze(frozen)
    return FinetuneStage(network, l1, OptimizerOptions(**options))


def step(stage: FinetuneStage) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    L = torch.rand(4, 1, 16, 16, generator=random) * 100
    return stage.step(L, 30 * torch.randn(4, 2, 16, 16, generator=random))


def test_every_layer_learns() -> None:
    trained = stage(lr=1e-2)
    before = {name: value.clone() for name, value in trained.generator.named_parameters()}
    for _ in range(3):
        step(trained)
    still = [name for name, value in trained.generator.named_parameters() if torch.equal(value, before[name])]
    assert still == []


def test_the_average_lags_behind_in_weights_and_in_batch_norm_statistics() -> None:
    trained = stage(lr=1e-2, ema=0.9)
    step(trained)
    first = trained.generator.head.mix.norm.running_mean.clone()
    for _ in range(3):
        step(trained)
    averaged = trained.eval_network().head.mix.norm.running_mean
    now = trained.generator.head.mix.norm.running_mean
    assert (averaged - first).norm() < (now - first).norm()
    assert not torch.equal(averaged, first)
    assert not trained.eval_network().training


def test_without_an_average_the_generator_itself_predicts_and_trains_on_afterwards() -> None:
    trained = stage()
    assert trained.eval_network() is trained.generator
    assert not trained.generator.training
    step(trained)
    assert trained.generator.training


def test_a_clipped_gradient_is_no_longer_than_the_bound() -> None:
    trained = stage(clip_norm=0.01)
    norms: list[torch.Tensor] = []

    def note(optimizer: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        gradients = [p.grad for p in trained.generator.parameters() if p.grad is not None]
        norms.append(torch.stack([gradient.norm() for gradient in gradients]).norm())

    trained.optimizers["generator"].register_step_pre_hook(note)
    step(trained)
    assert [float(norm) for norm in norms] == [pytest.approx(0.01, rel=1e-3)]


def test_under_bfloat16_the_loss_is_float32_and_near_the_exact_one() -> None:
    exact, rounded = step(stage())["loss"], step(stage(bf16=True))["loss"]
    assert rounded.dtype is torch.float32
    assert float(rounded) == pytest.approx(float(exact), rel=0.02)


def test_the_average_of_a_short_run_has_left_what_the_run_started_from():
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)
    optimized = OptimizedNetwork(network, OptimizerOptions(ema=0.9995))
    for _ in range(60):
        network.weight.data.fill_(1.0)
        network.weight.grad = torch.zeros(1, 1)
        optimized.step()
    assert optimized.average is not None
    assert optimized.average.module.weight.item() > 0.99


@pytest.mark.parametrize(("options", "rates"), [({"encoder_lr": 1e-4}, (1e-4, 1e-2)), ({}, (1e-2, 1e-2))])
def test_a_pretrained_encoder_learns_at_its_own_rate(options: dict[str, float], rates: tuple[float, float]) -> None:
    trained = stage(lr=1e-2, weight_decay=0.1, **options)
    groups = trained.optimizers["generator"].param_groups
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(rate, 0.1) for rate in rates]
    encoder = {id(parameter) for parameter in trained.generator.encoder.parameters()}
    others = {id(parameter) for parameter in trained.generator.parameters()} - encoder
    assert [{id(parameter) for parameter in group["params"]} for group in groups] == [encoder, others]


@pytest.mark.parametrize(("frozen", "learning"), [(3, 2), (7, 1)])
def test_what_is_frozen_is_in_no_group(frozen: int, learning: int) -> None:
    trained = stage(frozen, lr=1e-2, encoder_lr=1e-4)
    groups = trained.optimizers["generator"].param_groups
    assert len(groups) == learning
    assert all(parameter.requires_grad for group in groups for parameter in group["params"])
    assert groups[-1]["lr"] == 1e-2
    step(trained)
    assert trained.generator.encoder.stem.conv.weight.grad is None


def test_a_network_without_an_encoder_has_one_rate() -> None:
    trained = FinetuneStage(Plain(), l1, OptimizerOptions(lr=1e-2, encoder_lr=1e-4))
    assert [group["lr"] for group in trained.optimizers["generator"].param_groups] == [1e-2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_step_on_a_gpu_waits_for_nothing() -> None:
    network = small_liteunet().cuda()
    options = OptimizerOptions(ema=0.99, clip_norm=1.0, bf16=True)
    training = FinetuneStage(network, make_loss("bins", prior(), 0.3), options)
    rgb = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, device="cuda")
    light = torch.tensor([[1.0, 0.0]] * 4, device="cuda")
    training.step(*Batch(rgb, light).to_lab(torch.device("cuda")))
    with waiting_forbidden():
        terms = training.step(*Batch(rgb, light).to_lab(torch.device("cuda")))
    assert bool(torch.isfinite(terms["loss"]))
