import pytest
import torch

from colorgan.networks.patchgan import SMALLEST_PX, PatchGAN


def photos(count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    L = torch.rand(count, 1, size, size, generator=random) * 100
    return L, torch.randn(count, 2, size, size, generator=random) * 20


def test_it_has_the_published_layers_and_parameters() -> None:
    with torch.device("meta"):
        network = PatchGAN("batch")
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_765_633
    convolutions = [layer for layer in network.layers if isinstance(layer, torch.nn.Conv2d)]
    assert [conv.stride[0] for conv in convolutions] == [2, 2, 2, 1, 1]
    assert [conv.bias is not None for conv in convolutions] == [True, False, False, False, True]
    assert network(torch.empty(1, 1, 256, 256, device="meta"), torch.empty(1, 2, 256, 256, device="meta")).shape == (
        (1, 1, 30, 30)
    )


def test_it_begins_as_pix2pix_does() -> None:
    torch.manual_seed(0)
    network = PatchGAN("batch")
    convolutions = [layer for layer in network.layers if isinstance(layer, torch.nn.Conv2d)]
    norms = [layer for layer in network.layers if isinstance(layer, torch.nn.BatchNorm2d)]
    weights, scales = (torch.cat([layer.weight.flatten() for layer in kind]) for kind in (convolutions, norms))
    assert (weights.mean().item(), weights.std().item()) == pytest.approx((0.0, 0.02), abs=2e-4)
    assert (scales.mean().item(), scales.std().item()) == pytest.approx((1.0, 0.02), abs=2e-3)
    biases = [layer.bias for layer in (*convolutions, *norms) if layer.bias is not None]
    assert len(biases) == 5
    assert not torch.cat(biases).any()


@pytest.mark.parametrize("norm", ["batch", "spectral"])  # an instance's own statistics see all of it
def test_a_patch_sees_70_by_70_pixels_and_nothing_beyond(norm: str) -> None:
    torch.manual_seed(0)
    network = PatchGAN(norm, channels=(3, 3, 3, 3)).eval()
    L, ab = photos(1, 128)
    L.requires_grad_()
    ab.requires_grad_()
    logits = network(L, ab)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    assert L.grad is not None
    assert ab.grad is not None
    seen = (torch.cat([L.grad, ab.grad], 1)[0] != 0).any(0)
    for axis in (0, 1):
        extent = seen.any(axis).nonzero()
        assert int(extent.max() - extent.min()) + 1 == 70
        assert len(extent) == 70


@pytest.mark.parametrize(("norm", "mixes"), [("batch", True), ("instance", False), ("spectral", False)])
def test_only_batch_norm_makes_a_verdict_depend_on_the_others(norm: str, mixes: bool) -> None:
    torch.manual_seed(0)
    network = PatchGAN(norm, channels=(4, 4, 8, 8))
    L, ab = photos(3, 32)
    network(L, ab)  # the spectral norms settle a little
    network.eval() if norm == "spectral" else network.train()
    alone, together = network(L[:1], ab[:1]), network(L, ab)[:1]
    assert torch.allclose(alone, together, atol=1e-5) is not mixes
    assert network.mixes_the_batch is mixes


def test_spectral_norm_keeps_a_layer_from_stretching() -> None:
    torch.manual_seed(0)
    network = PatchGAN("spectral", channels=(4, 4, 8, 8))
    convolution = network.layers[2]
    with torch.no_grad():
        convolution.parametrizations.weight.original.mul_(50)
    for _ in range(30):
        weight = convolution.weight.detach()
    assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) == pytest.approx(1.0, rel=1e-2)


def test_the_smallest_photo_has_a_patch_and_a_smaller_one_none() -> None:
    network = PatchGAN("spectral", channels=(2, 2, 2, 2))
    assert network(*photos(1, SMALLEST_PX)).numel() == 1
    with pytest.raises(RuntimeError):
        network(*photos(1, SMALLEST_PX - 1))


def test_a_norm_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="layer"):
        PatchGAN("layer")
