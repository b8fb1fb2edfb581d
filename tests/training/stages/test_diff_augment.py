import pytest
import torch
from gpu import waiting_forbidden

from colorgan.distributed import ProcessGroup
from colorgan.training.stages.diff_augment import DiffAugment


def photos(count: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    L = torch.rand(count, 1, height, width) * 100
    return L, 20 * torch.randn(count, 2, height, width), 20 * torch.randn(count, 2, height, width)


def by_hand(plane: torch.Tensor, moved: tuple[int, int], cut: tuple[int, int], neutral: float) -> torch.Tensor:
    """Translate and cut a plane (H, W) pixel by pixel; the square that is cut has half of its sides."""
    height, width = plane.shape
    shown = torch.full_like(plane, neutral)
    for row in range(height):
        for column in range(width):
            source = row - moved[0], column - moved[1]
            into = row - cut[0] + height // 4, column - cut[1] + width // 4
            inside = 0 <= source[0] < height and 0 <= source[1] < width
            if inside and not (0 <= into[0] < height // 2 and 0 <= into[1] < width // 2):
                shown[row, column] = plane[source]
    return shown


def test_each_photo_is_moved_and_cut_by_its_own_draw_and_all_of_it_alike() -> None:
    L, truth, fake = photos(3, 8, 16)
    draws = [((1, -2), (4, 8)), ((0, 0), (0, 16)), ((-1, 2), (8, 3))]
    augment = DiffAugment(torch.tensor([moved for moved, _ in draws]), torch.tensor([cut for _, cut in draws]))
    shown = augment(L, truth, fake)
    for photo, (moved, cut) in enumerate(draws):
        for part, (was, now) in enumerate(zip((L, truth, fake), shown, strict=True)):
            for plane, after in zip(was[photo], now[photo], strict=True):
                expected = by_hand(plane, moved, cut, neutral=0.0 if part else 50.0)
                assert torch.allclose(after, expected, atol=1e-5)


def test_the_gradient_comes_back_to_the_pixels_that_are_seen_and_to_no_others() -> None:
    L, ab, _ = photos(1, 8, 8)
    augment = DiffAugment(torch.tensor([[1, 0]]), torch.tensor([[2, 2]]))
    ab.requires_grad_()
    weight = torch.randn(1, 2, 8, 8)
    (augment(L, ab)[1] * weight).sum().backward()
    assert ab.grad is not None
    assert torch.equal(ab.grad[..., 7, :], torch.zeros(1, 2, 8))  # moved out of view
    assert torch.equal(ab.grad[..., 0:3, 0:4], torch.zeros(1, 2, 3, 4))  # cut out: rows 0 to 3, less one moved
    assert torch.equal(ab.grad[..., 3:7, :], weight[..., 4:, :])


def test_it_is_differentiable_twice() -> None:
    torch.manual_seed(0)
    L = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    augment = DiffAugment.draw(L)
    ab = torch.randn(2, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: augment(L, x)[1].square(), ab)
    assert torch.autograd.gradgradcheck(lambda x: augment(L, x)[1].square(), ab)


def test_it_draws_moves_of_an_eighth_and_middles_over_the_whole_photo() -> None:
    torch.manual_seed(0)
    augment = DiffAugment.draw(torch.zeros(4000, 1, 32, 48))
    rows, columns = augment.moved_px.unbind(1)
    assert sorted(rows.unique().tolist()) == list(range(-4, 5))
    assert sorted(columns.unique().tolist()) == list(range(-6, 7))
    rows, columns = augment.cut_px.unbind(1)
    assert sorted(rows.unique().tolist()) == list(range(33))
    assert sorted(columns.unique().tolist()) == list(range(49))
    odd = DiffAugment.draw(torch.zeros(4000, 1, 30, 30))  # squares of 15 pixels, which have a middle
    assert sorted(odd.cut_px.unique().tolist()) == list(range(30))


def test_it_draws_from_the_global_generator_and_goes_on_from_its_state() -> None:
    L, ab, _ = photos(3, 16, 16)
    torch.manual_seed(1)
    DiffAugment.draw(L)
    state = torch.get_rng_state()
    first, second = DiffAugment.draw(L)(L, ab), DiffAugment.draw(L)(L, ab)
    torch.set_rng_state(state)
    again = DiffAugment.draw(L)(L, ab)
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first[1], second[1])


def test_ranks_draw_together_what_one_process_draws_and_stay_in_step() -> None:
    def drawn(rank: int, count: int) -> DiffAugment:
        torch.manual_seed(2)
        augment = DiffAugment.draw(torch.zeros(6 // count, 1, 16, 16), ProcessGroup(rank, count))
        states.append(torch.get_rng_state())
        return augment

    states: list[torch.Tensor] = []
    alone, first, second = drawn(0, 1), drawn(0, 2), drawn(1, 2)
    for name in ("moved_px", "cut_px"):
        together = torch.stack([getattr(first, name), getattr(second, name)], 1).flatten(0, 1)
        assert torch.equal(together, getattr(alone, name))
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_moves_and_cuts_as_the_processor_does_and_is_not_waited_for() -> None:
    L, ab, _ = photos(4, 32, 32)
    torch.manual_seed(0)
    here = DiffAugment.draw(L)(L, ab)
    there_L, there_ab = L.cuda(), ab.cuda()
    torch.manual_seed(0)
    with waiting_forbidden():
        there = DiffAugment.draw(there_L)(there_L, there_ab)
    assert all(torch.equal(one, other.cpu()) for one, other in zip(here, there, strict=True))
