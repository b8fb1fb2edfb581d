import copy

import torch
from torch import nn

from colorgan.networks.eccv16 import ECCV16
from colorgan.networks.folding import fold_batch_norms


def stir_norms(network):
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.weight, 0.5), (module.bias, -0.5), (module.running_mean, -0.5)):
                tensor.data.uniform_(low, low + 1, generator=generator)
            module.running_var.uniform_(0.3, 2.0, generator=generator)


def count_norms(network):
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_a_network_computes_the_same_without_its_batch_norms(small_network):
    stir_norms(small_network)
    folded = copy.deepcopy(small_network)
    assert count_norms(folded) > 0
    fold_batch_norms(folded)
    assert count_norms(folded) == 0
    L = torch.rand(2, 1, 40, 56, generator=torch.Generator().manual_seed(0)) * 100
    with torch.inference_mode():
        wanted, found = small_network(L), folded(L)
    assert torch.allclose(found.logits, wanted.logits, rtol=1e-4, atol=1e-4)
    assert torch.allclose(found.ab, wanted.ab, rtol=1e-4, atol=1e-3)


def test_a_norm_behind_a_relu_stays():
    with torch.device("meta"):
        network = ECCV16().eval()
    fold_batch_norms(network)
    assert count_norms(network) == 7
