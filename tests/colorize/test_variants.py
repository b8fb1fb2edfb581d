import torch

from colorgan.color.bins import BINS, decode, nearest_bin
from colorgan.colorize.uncertainty import variants
from colorgan.networks.generator import Prediction


def bin_of(a: float, b: float) -> int:
    return int(nearest_bin(torch.tensor([a, b]).view(1, 2, 1, 1)))


def prediction(height: int = 6, width: int = 8) -> Prediction:
    """Its left half is surely skin, its right half red, green or blue."""
    logits = torch.full((1, BINS, height, width), -20.0)
    logits[:, bin_of(15, 20), :, : width // 2] = 0.0
    for a, b in ((50, 30), (-40, 40), (10, -50)):
        logits[:, bin_of(a, b), :, width // 2 :] = 0.0
    ab = torch.nn.functional.interpolate(decode(logits), scale_factor=4.0, mode="bilinear")
    return Prediction(ab, logits)


def test_the_first_is_the_prediction_itself() -> None:
    known = prediction()
    assert torch.equal(variants(known, 1.0, 3, 0)[:, 0], known.ab)
    assert torch.equal(variants(known, 1.0, 1, 0), known.ab[:, None])


def test_what_may_be_anything_changes_and_what_is_certain_stays() -> None:
    found = variants(prediction(), 1.0, 4, 0)[0]  # (4, 2, 24, 32)
    moved = (found[1:] - found[0]).norm(dim=1)
    assert moved[:, :, :12].max() < 0.5
    assert moved[:, :, 20:].min() > 10
    apart = (found[1:, None] - found[None, 1:]).norm(dim=2)[..., 20:].mean(dim=(2, 3))
    assert apart[~torch.eye(3, dtype=torch.bool)].min() > 10


def test_a_thing_changes_as_a_whole() -> None:
    found = variants(prediction(), 1.0, 4, 0)[0, :, :, :, 20:]
    assert found.std(dim=(2, 3)).max() < 0.5


def test_the_seed_decides() -> None:
    known = prediction()
    assert torch.equal(variants(known, 1.0, 3, 7), variants(known, 1.0, 3, 7))
    assert not torch.equal(variants(known, 1.0, 3, 7), variants(known, 1.0, 3, 8))


def test_each_photo_of_a_batch_is_treated_alone_and_cut_to_its_size() -> None:
    one = prediction(5, 7)
    other = Prediction(one.ab.flip(3), one.logits.flip(3))  # type: ignore[union-attr]
    both = Prediction(
        torch.cat([one.ab, other.ab])[..., :18, :26],
        torch.cat([one.logits, other.logits]),  # type: ignore[list-item]
    )
    together = variants(both, 1.0, 3, 0)
    assert together.shape == (2, 3, 2, 18, 26)
    assert torch.allclose(together[0], variants(one, 1.0, 3, 0)[0, ..., :18, :26], atol=1e-4)
