import torch

from colorgan.distributed import SINGLE
from colorgan.training.stages.loss_meter import LossMeter

CPU = torch.device("cpu")


def terms(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def test_a_term_that_comes_later_is_averaged_over_the_steps_that_had_it() -> None:
    means = LossMeter(SINGLE, CPU)
    means.add(terms(d_loss=1.0, d_alone=1.0))
    means.add(terms(d_loss=2.0, d_alone=1.0))
    means.add(terms(d_loss=2.0, d_alone=0.0, g_loss=5.0))
    means.add(terms(d_loss=7.0, d_alone=0.0, g_loss=7.0))
    assert means.means() == {"d_loss": 3.0, "d_alone": 0.5, "g_loss": 6.0}


def test_a_restored_mean_goes_on_with_each_terms_own_steps() -> None:
    means, resumed = LossMeter(SINGLE, CPU), LossMeter(SINGLE, CPU)
    means.add(terms(d_loss=1.0))
    means.add(terms(d_loss=2.0, g_loss=5.0))
    resumed.restore(means.state())
    for one in (means, resumed):
        one.add(terms(d_loss=6.0, g_loss=8.0))
    assert resumed.means() == means.means() == {"d_loss": 3.0, "g_loss": 6.5}


def test_the_state_of_earlier_versions_has_one_count_for_all_terms() -> None:
    resumed = LossMeter(SINGLE, CPU)
    resumed.restore({"names": ["loss", "l1"], "sums": [3.0, 6.0], "steps": 2})
    resumed.add(terms(loss=3.0, l1=0.0))
    assert resumed.means() == {"loss": 2.0, "l1": 2.0}
