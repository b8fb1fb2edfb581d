import pytest
import torch
from small_networks import Plain
from torch import nn
from torch.nn import functional as F

from colorgan.color.bins import prior
from colorgan.networks.patchgan import NORMS, PatchGAN
from colorgan.training.stages.adversarial import GanNetworks, GanStage
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.gan_losses import ADVERSARIAL, Perceptual
from colorgan.training.stages.supervised import BinsLoss
from colorgan.training.train_options import TrainOptions


def batch(number: int = 0, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(number)
    L = torch.rand(4, 1, size, size, generator=random) * 100
    return L, 25 * torch.randn(4, 2, size, size, generator=random)


def features() -> nn.Module:
    """A stand-in for VGG19, frozen like it."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU())
    return network.requires_grad_(False).eval()


def stage(
    d_norm: str = "batch", temperature: float = 1.0, d_lr: float = 1e-3, bf16: bool = False, **options
) -> GanStage:
    torch.manual_seed(0)
    perceptual = Perceptual(features(), bf16)
    generator = Plain()
    bins = BinsLoss(prior(), 0.25) if options.get("lambda_bins") else None
    networks = GanNetworks(generator, PatchGAN(d_norm, channels=(4, 4, 8, 8)), perceptual, bins)
    betas = (0.5, 0.999)
    g_optimizer = OptimizerOptions(2e-3, betas=betas, ema=0.9, bf16=bf16)
    losses = TrainOptions(**{"real_label": 1.0, "g_twice": False} | options)
    return GanStage(networks, losses, g_optimizer, OptimizerOptions(d_lr, betas=betas), temperature)


def values(terms: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


GOLDEN = {
    "report": (
        {},
        [(0.69275, 226.196), (0.69253, 224.12), (0.69437, 221.669), (0.69701, 219.814)],
    ),
    "balanced": (
        {
            "d_norm": "spectral",
            "adversarial": "hinge",
            "d_target_accuracy": 0.6,
            "g_norm": "frozen",
            "lambda_saturation": 0.5,
            "lambda_bins": 2.0,
            "r1": 0.1,
        },
        [(1.00283, 237.137), (0.99948, 235.187), (0.99819, 232.917), (0.99245, 231.394)],
    ),
}


@pytest.mark.parametrize("recipe", GOLDEN)
def test_the_losses_of_four_steps_are_those_that_they_always_were(recipe: str) -> None:
    options, golden = GOLDEN[recipe]
    trained = stage(**options)
    trained.accuracy.value.fill_(0.62)  # the discriminator pauses in the first step, if that is allowed
    losses = []
    for number in range(4):
        terms = trained.step(*batch(number))
        losses.append((float(terms["d_loss"]), float(terms["g_loss"])))
    assert losses == [pytest.approx(pair, rel=1e-3) for pair in golden]


def test_two_steps_move_both_networks_as_the_reports_pseudo_code_does() -> None:
    ours, plain = (stage(g_twice=True, real_label=0.9) for _ in range(2))
    generator, discriminator, perceptual = plain.generator.train(), plain.discriminator, plain.perceptual
    assert perceptual is not None
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    bce = F.binary_cross_entropy_with_logits
    for number in range(2):
        L, ab = batch(number)
        terms = values(ours.step(L, ab))
        real, fake = discriminator(L, ab), discriminator(L, generator(L).ab.detach())
        d_loss = 0.5 * (bce(real, torch.full_like(real, 0.9)) + bce(fake, torch.zeros_like(fake)))
        d_optimizer.zero_grad()
        d_loss.backward()
        d_optimizer.step()
        colors = generator(L).ab
        logits = discriminator(L, colors)
        fooled, l1 = bce(logits, torch.ones_like(logits)), F.l1_loss(colors, ab)
        g_loss = fooled + 10 * l1 + 10 * perceptual(L, colors, ab)
        g_optimizer.zero_grad()
        g_loss.backward()
        g_optimizer.step()
        expected = values({"d_loss": d_loss, "g_loss": g_loss, "g_adversarial": fooled, "g_l1": l1})
        assert {name: terms[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    for name in ("generator", "discriminator"):
        for key, value in ours.networks[name].state_dict().items():
            torch.testing.assert_close(value, plain.networks[name].state_dict()[key], rtol=1e-4, atol=2e-5, msg=key)


def test_the_reports_two_steps_show_the_generators_batch_norms_each_batch_twice() -> None:
    once, twice = stage(), stage(g_twice=True)
    L, ab = batch()
    terms, same = (values(trained.step(L, ab)) for trained in (once, twice))
    assert same == pytest.approx(terms)  # the weights did not change in between
    means = {}
    for trained in (once, twice):
        norms = [module for module in trained.generator.modules() if isinstance(module, nn.BatchNorm2d)]
        assert all(int(norm.num_batches_tracked) == 1 + trained.options.g_twice for norm in norms)
        means[trained.options.g_twice] = torch.cat(
            [norm.running_mean for norm in norms if norm.running_mean is not None]
        )
    torch.testing.assert_close(means[True], means[False] * (1 + 0.9))


def test_the_losses_are_the_reports() -> None:
    trained = stage(real_label=0.9)
    L, ab = batch()
    with torch.no_grad():
        fake = trained.generator.train()(L).ab
        real_logits, fake_logits = trained.discriminator(L, ab), trained.discriminator(L, fake)
        bce = nn.functional.binary_cross_entropy_with_logits
        d_loss = 0.5 * (
            bce(real_logits, torch.full_like(real_logits, 0.9)) + bce(fake_logits, torch.zeros_like(fake_logits))
        )
    terms = values(stage(real_label=0.9).step(L, ab))
    assert terms["d_loss"] == pytest.approx(float(d_loss), rel=1e-5)
    assert terms["g_l1"] == pytest.approx(float((fake - ab).abs().mean()), rel=1e-5)
    total = terms["g_adversarial"] + 10 * terms["g_l1"] + 10 * terms["g_perceptual"]
    assert terms["g_loss"] == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    ("norm", "adversarial"), [("batch", name) for name in ADVERSARIAL] + [(name, "bce") for name in NORMS[1:]]
)
def test_a_discriminator_that_learns_alone_comes_to_tell_the_colors_apart(norm: str, adversarial: str) -> None:
    trained = stage(norm, d_lr=1e-2, adversarial=adversarial, lambda_adversarial=0.0, lambda_perceptual=0.0)
    first = values(trained.step(*batch()))
    for _ in range(25):
        last = values(trained.step(*batch()))
    accuracies = [value for name, value in last.items() if name.startswith("d_accuracy")]
    assert sum(accuracies) / len(accuracies) > 0.95
    assert last["d_loss"] < first["d_loss"]


def test_both_networks_learn_every_layer_and_the_perceptual_one_nothing() -> None:
    trained = stage()
    perceptual = trained.perceptual
    assert perceptual is not None
    trained_parameters = [*trained.generator.named_parameters(), *trained.discriminator.named_parameters()]
    before = [parameter.detach().clone() for _, parameter in trained_parameters]
    frozen = [parameter.detach().clone() for parameter in perceptual.features.parameters()]
    for number in range(2):
        trained.step(*batch(number))
    still = [name for (name, now), was in zip(trained_parameters, before, strict=True) if torch.equal(now, was)]
    assert still == []
    assert all(torch.equal(now, was) for now, was in zip(perceptual.features.parameters(), frozen, strict=True))


def test_the_generators_half_leaves_no_gradient_in_the_discriminator() -> None:
    trained = stage()
    trained.step(*batch())
    assert all(parameter.grad is None for parameter in trained.discriminator.parameters())


@pytest.mark.parametrize("norm", ["instance", "spectral"])
def test_real_and_fake_judged_together_get_the_verdicts_that_they_get_apart(norm: str) -> None:
    trained = stage(norm)
    trained.discriminator.eval()
    L, ab = batch()
    together = trained._logits_of_both(L, ab, ab.flip(0))
    apart = trained.discriminator(L, ab), trained.discriminator(L, ab.flip(0))
    for one, other in zip(together, apart, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_frozen_statistics_stay_while_the_weights_learn() -> None:
    for frozen in (True, False):
        trained = stage(g_norm="frozen" if frozen else "train")
        before = trained.generator.layers[1].running_mean.clone()
        weight = trained.generator.layers[1].weight.detach().clone()
        trained.step(*batch())
        assert torch.equal(trained.generator.layers[1].running_mean, before) is frozen
        assert not torch.equal(trained.generator.layers[1].weight, weight)


def test_a_discriminator_above_its_target_rests_until_it_is_below() -> None:
    trained = stage(d_target_accuracy=0.6)
    trained.accuracy.value.fill_(0.95)
    before = [parameter.detach().clone() for parameter in trained.discriminator.parameters()]
    resting = trained.step(*batch())
    assert float(resting["d_updates"]) == 0.0
    unmoved = zip(trained.discriminator.parameters(), before, strict=True)
    assert all(torch.equal(now, was) for now, was in unmoved)
    trained.accuracy.value.fill_(0.1)
    assert float(trained.step(*batch())["d_updates"]) == 1.0
    unmoved = zip(trained.discriminator.parameters(), before, strict=True)
    assert not any(torch.equal(now, was) for now, was in unmoved)


def test_the_temperature_of_the_model_holds_in_training() -> None:
    calm, vivid = (values(stage(temperature=t, lambda_bins=1.0).step(*batch())) for t in (5.0, 0.1))
    assert calm["g_l1"] != pytest.approx(vivid["g_l1"], rel=1e-2)
    assert calm["g_bins"] == pytest.approx(vivid["g_bins"], rel=1e-5)


def test_a_terms_gradient_grows_with_its_weight_and_not_with_the_batch() -> None:
    once, thrice = (values(stage("instance", lambda_l1=weight).step(*batch())) for weight in (1.0, 3.0))
    assert thrice["grad_l1"] == pytest.approx(3 * once["grad_l1"], rel=1e-4)
    assert thrice["grad_adversarial"] == pytest.approx(once["grad_adversarial"], rel=1e-4)
    L, ab = batch()
    doubled = values(stage("instance", g_norm="frozen").step(torch.cat([L, L]), torch.cat([ab, ab])))
    assert doubled["grad_perceptual"] == pytest.approx(
        values(stage("instance", g_norm="frozen").step(L, ab))["grad_perceptual"], rel=1e-3
    )


def test_under_bfloat16_the_losses_are_float32_and_near_the_exact_ones() -> None:
    exact, rounded = (stage("instance", bf16=bf16, lambda_bins=1.0).step(*batch()) for bf16 in (False, True))
    assert {term.dtype for term in rounded.values()} == {torch.float32}
    for name in ("d_loss", "g_loss", "g_l1", "g_perceptual", "g_bins"):
        assert float(rounded[name]) == pytest.approx(float(exact[name]), rel=0.03), name


def test_true_colors_can_be_shown_as_coarse_as_the_bins_and_are_learned_in_full() -> None:
    L, ab = batch()
    coarse = F.interpolate(F.avg_pool2d(ab, 4), ab.shape[-2:], mode="bilinear")
    found = values(stage(downsample_real=True).step(L, ab))
    assert found["d_real"] == pytest.approx(values(stage().step(L, coarse))["d_real"], rel=1e-5)
    full = values(stage().step(L, ab))
    assert found["d_real"] != pytest.approx(full["d_real"], rel=1e-4)
    assert found["g_l1"] == pytest.approx(full["g_l1"], rel=1e-5)


RELATIVISTIC = {"adversarial": "relativistic", "r1": 0.1, "r2": 0.3, "d_augment": True, "d_warmup_steps": 2}


def test_relativistic_terms_are_of_true_and_predicted_colors_together() -> None:
    L, ab = batch()
    known = stage("instance", adversarial="relativistic", g_norm="frozen")
    with torch.no_grad():
        fake = known.generator.eval()(L).ab
    fake.requires_grad_()
    real_logits, fake_logits = known.discriminator(L, ab).detach(), known.discriminator(L, fake)
    trained = stage("instance", adversarial="relativistic", g_norm="frozen", d_lr=0.0)
    terms = values(trained.step(L, ab))
    d_loss, g_loss = F.softplus(fake_logits - real_logits).mean(), F.softplus(real_logits - fake_logits).mean()
    g_loss.backward()
    assert fake.grad is not None
    assert terms["d_loss"] == terms["d_pairs"] == pytest.approx(float(d_loss.detach()), rel=1e-4)
    assert terms["g_adversarial"] == pytest.approx(float(g_loss.detach()), rel=1e-4)
    assert terms["grad_adversarial"] == pytest.approx(2 * float(fake.grad.norm()), rel=1e-4)  # of a batch of four
    assert terms["d_accuracy"] == pytest.approx(float((real_logits > fake_logits).float().mean()))
    assert not {"d_real", "d_fake", "d_accuracy_real", "d_accuracy_fake"} & terms.keys()


def test_the_gradient_penalties_count_on_true_and_on_generated_photos_by_their_weights() -> None:
    def step(**options: float) -> dict[str, float]:
        return values(stage("instance", adversarial="relativistic", g_norm="frozen", **options).step(*batch()))

    neither, both = step(), step(r1=0.2, r2=3.0)
    assert both["d_pairs"] == pytest.approx(neither["d_pairs"], rel=1e-5)
    assert both["d_r1"] == pytest.approx(step(r1=1.0)["d_r1"], rel=1e-4)
    assert both["d_r2"] == pytest.approx(step(r2=1.0)["d_r2"], rel=1e-4)
    assert both["d_r1"] != pytest.approx(both["d_r2"], rel=1e-2)
    assert both["d_loss"] == pytest.approx(both["d_pairs"] + 0.2 * both["d_r1"] + 3.0 * both["d_r2"], rel=1e-5)
    assert not {"d_r1", "d_r2"} & neither.keys()


@pytest.mark.parametrize("kind", ["r1", "r2"])
def test_a_gradient_penalty_flattens_the_discriminator_on_its_photos(kind: str) -> None:
    def steepness(weight: float) -> float:
        trained = stage("spectral", d_lr=1e-2, lambda_perceptual=0.0, lambda_adversarial=0.0, **{kind: weight})
        for _ in range(25):
            last = trained.step(*batch())
        return float(last[f"d_{kind}"])

    assert steepness(1.0) < 0.2 * steepness(1e-6)


class Seen(nn.Module):
    """A discriminator that records its inputs: L and ab of each pass."""

    norm, mixes_the_batch = "seen", True

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.01))
        self.photos: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, L: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
        self.photos.append((L.detach().clone(), ab.detach().clone()))
        return self.weight * ab.mean(1, keepdim=True)


@pytest.mark.parametrize("adversarial", ["hinge", "relativistic"])
def test_the_discriminator_sees_true_and_predicted_photos_moved_and_cut_alike_and_anew_for_each_half(
    adversarial: str,
) -> None:
    L, ab = batch(size=64)
    torch.manual_seed(3)
    trained = stage(adversarial=adversarial, d_augment=True)
    trained.discriminator = Seen()
    trained.step(L, ab)
    (real_L, real_ab), (fake_L, fake_ab), *of_generator = trained.discriminator.photos
    assert torch.equal(real_L, fake_L)
    hidden = (real_L == 50.0).expand_as(real_ab)
    assert 0.25 < float(hidden.float().mean()) < 0.6  # a quarter is cut out, or less at the edges, and some is moved
    assert bool((real_ab[hidden] == 0).all())
    assert bool((fake_ab[hidden] == 0).all())
    assert not torch.equal(real_L, L)
    assert not torch.equal(of_generator[0][0], fake_L)
    assert len(of_generator) == (2 if adversarial == "relativistic" else 1)
    assert all(torch.equal(shown, of_generator[0][0]) for shown, _ in of_generator)


def test_the_other_terms_of_the_generator_see_photos_as_they_are() -> None:
    plain, varied = (values(stage("instance", d_augment=on).step(*batch())) for on in (False, True))
    for name in ("g_l1", "g_perceptual", "grad_l1"):
        assert varied[name] == pytest.approx(plain[name], rel=1e-5)
    assert varied["d_loss"] != pytest.approx(plain["d_loss"], rel=1e-4)


@pytest.mark.parametrize("g_norm", ["train", "frozen"])
def test_in_its_first_steps_the_discriminator_alone_learns_and_then_both(g_norm: str) -> None:
    trained = stage(d_warmup_steps=3, g_norm=g_norm, lambda_bins=1.0)
    average = trained.optimized.average
    assert average

    def state() -> list[torch.Tensor]:
        return [value.clone() for network in (trained.generator, average) for value in network.state_dict().values()]

    before, d_losses = state(), []
    for _ in range(3):
        judge = trained.discriminator.layers[0].weight.detach().clone()
        terms = trained.step(*batch())
        assert not [name for name in terms if name.startswith(("g_", "grad_"))]
        assert float(terms["d_alone"]) == 1.0
        assert not torch.equal(trained.discriminator.layers[0].weight, judge)
        assert all(torch.equal(now, was) for now, was in zip(state(), before, strict=True))
        d_losses.append(float(terms["d_loss"]))
    assert d_losses[-1] < d_losses[0]
    terms = trained.step(*batch())
    assert float(terms["d_alone"]) == 0.0
    assert {"g_loss", "g_adversarial", "g_bins", "grad_l1"} <= terms.keys()
    assert not all(torch.equal(now, was) for now, was in zip(state(), before, strict=True))


def test_without_a_warm_up_nothing_is_said_or_kept_of_it() -> None:
    trained = stage()
    assert "d_alone" not in trained.step(*batch())
    assert set(trained.networks) == {"generator", "discriminator", "average", "accuracy"}


def test_a_discriminator_that_is_too_good_at_pairs_rests_too() -> None:
    trained = stage(adversarial="relativistic", d_target_accuracy=0.6)
    trained.accuracy.value.fill_(0.95)
    resting = trained.step(*batch())
    assert float(resting["d_updates"]) == 0.0
    expected = 0.9 * 0.95 + 0.1 * float(resting["d_accuracy"])
    assert float(trained.accuracy.value) == pytest.approx(expected, rel=1e-5)


def test_under_bfloat16_all_of_it_together_stays_near_the_exact_losses() -> None:
    exact, rounded = (stage("spectral", bf16=bf16, lambda_bins=1.0, **RELATIVISTIC) for bf16 in (False, True))
    for number in range(3):
        torch.manual_seed(number)
        one = exact.step(*batch(number))
        torch.manual_seed(number)
        other = rounded.step(*batch(number))
    assert {term.dtype for term in other.values()} == {torch.float32}
    for name in ("d_loss", "d_pairs", "d_r1", "d_r2", "g_loss", "g_adversarial"):
        assert float(other[name]) == pytest.approx(float(one[name]), rel=0.05), name


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("bf16", [False, True])
def test_a_gpu_gives_the_losses_of_the_processor(bf16: bool) -> None:
    on_cpu, on_gpu = (stage("spectral", bf16=bf16, **RELATIVISTIC) for _ in range(2))
    for network in on_gpu.networks.values():
        if network is not on_gpu.steps:
            network.cuda()
    assert on_gpu.perceptual
    on_gpu.perceptual.features.cuda()
    for number in range(3):
        torch.manual_seed(number)
        here = on_cpu.step(*batch(number))
        torch.manual_seed(number)
        there = on_gpu.step(*(part.cuda() for part in batch(number)))
    for name in ("d_loss", "d_pairs", "d_r1", "d_r2", "g_loss", "g_adversarial"):
        assert float(there[name]) == pytest.approx(float(here[name]), rel=0.05), name
