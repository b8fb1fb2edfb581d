import pytest
import torch
from torch import nn
from torch.nn import functional as F

from colorgan.color.bins import prior
from colorgan.networks.compact import Compact
from colorgan.networks.patchgan import NORMS, PatchGAN
from colorgan.training.adversarial import ADVERSARIAL, Perceptual
from colorgan.training.gan import GanNetworks, GanOptions, GanStage
from colorgan.training.losses import BinsLoss
from colorgan.training.stages import OptimizerOptions


def batch(number: int = 0, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(number)
    L = torch.rand(4, 1, size, size, generator=random) * 100
    return L, 25 * torch.randn(4, 2, size, size, generator=random)


def features() -> nn.Module:
    """A stand-in for VGG19, frozen as that is."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU())
    return network.requires_grad_(False).eval()


def stage(
    d_norm: str = "batch", temperature: float = 1.0, d_lr: float = 1e-3, bf16: bool = False, **options
) -> GanStage:
    torch.manual_seed(0)
    perceptual = Perceptual(features(), bf16)
    generator = Compact(channels=(4, 6, 8), blocks=(0, 1, 1), decoder_blocks=(1,))
    bins = BinsLoss(prior(), 0.25) if options.get("lambda_bins") else None
    networks = GanNetworks(generator, PatchGAN(d_norm, channels=(4, 4, 8, 8)), perceptual, bins)
    betas = (0.5, 0.999)
    g_optimizer = OptimizerOptions(2e-3, betas, ema=0.9, bf16=bf16)
    return GanStage(networks, GanOptions(**options), g_optimizer, OptimizerOptions(d_lr, betas), temperature)


def values(terms: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(term) for name, term in terms.items()}


GOLDEN = {
    "report": (
        {},
        [(0.69569, 228.15), (0.69814, 225.603), (0.69052, 223.062), (0.69121, 220.975)],
    ),
    "balanced": (
        {
            "d_norm": "spectral",
            "adversarial": "hinge",
            "d_target_accuracy": 0.6,
            "frozen_norm": True,
            "lambda_saturation": 0.5,
            "lambda_bins": 2.0,
            "r1": 0.1,
        },
        [(0.99917, 235.179), (0.9991, 233.212), (1.00084, 231.239), (0.9972, 229.937)],
    ),
}


@pytest.mark.parametrize("recipe", GOLDEN)
def test_the_losses_of_four_steps_are_those_that_they_always_were(recipe: str) -> None:
    options, golden = GOLDEN[recipe]
    trained = stage(**options)
    trained.accuracy.value.fill_(0.62)  # the discriminator rests in the first step, where it may
    losses = []
    for number in range(4):
        terms = trained.step(*batch(number))
        losses.append((float(terms["d_loss"]), float(terms["g_loss"])))
    assert losses == [pytest.approx(pair, rel=1e-3) for pair in golden]


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
def test_a_discriminator_that_learns_alone_comes_to_tell_the_colours_apart(norm: str, adversarial: str) -> None:
    trained = stage(norm, d_lr=1e-2, adversarial=adversarial, lambda_adversarial=0.0, lambda_perceptual=0.0)
    first = values(trained.step(*batch()))
    for _ in range(25):
        last = values(trained.step(*batch()))
    assert last["d_accuracy_real"] + last["d_accuracy_fake"] > 1.9
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
    together = trained._judge_both(L, ab, ab.flip(0))
    apart = trained.discriminator(L, ab), trained.discriminator(L, ab.flip(0))
    for one, other in zip(together, apart, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_frozen_statistics_stay_while_the_weights_learn() -> None:
    for frozen in (True, False):
        trained = stage(frozen_norm=frozen)
        before = trained.generator.head[0][1].running_mean.clone()
        weight = trained.generator.head[0][1].weight.detach().clone()
        trained.step(*batch())
        assert torch.equal(trained.generator.head[0][1].running_mean, before) is frozen
        assert not torch.equal(trained.generator.head[0][1].weight, weight)


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
    doubled = values(stage("instance", frozen_norm=True).step(torch.cat([L, L]), torch.cat([ab, ab])))
    assert doubled["grad_perceptual"] == pytest.approx(
        values(stage("instance", frozen_norm=True).step(L, ab))["grad_perceptual"], rel=1e-3
    )


def test_under_bfloat16_the_losses_are_float32_and_near_the_exact_ones() -> None:
    exact, rounded = (stage("instance", bf16=bf16, lambda_bins=1.0).step(*batch()) for bf16 in (False, True))
    assert {term.dtype for term in rounded.values()} == {torch.float32}
    for name in ("d_loss", "g_loss", "g_l1", "g_perceptual", "g_bins"):
        assert float(rounded[name]) == pytest.approx(float(exact[name]), rel=0.03), name


def test_true_colours_can_be_shown_as_coarse_as_the_bins_and_are_learned_in_full() -> None:
    L, ab = batch()
    coarse = F.interpolate(F.avg_pool2d(ab, 4), ab.shape[-2:], mode="bilinear")
    found = values(stage(coarse_truth=True).step(L, ab))
    assert found["d_real"] == pytest.approx(values(stage().step(L, coarse))["d_real"], rel=1e-5)
    full = values(stage().step(L, ab))
    assert found["d_real"] != pytest.approx(full["d_real"], rel=1e-4)
    assert found["g_l1"] == pytest.approx(full["g_l1"], rel=1e-5)
