from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from colorgan.color.lab import XYZ_FROM_RGB, rgb_to_lab
from colorgan.data.aging import Aged
from colorgan.data.dataset import Augment, Batch, training_batches, validation_batches
from colorgan.data.options import PrepareOptions
from colorgan.data.photoset import PhotoSet, Split
from colorgan.data.plan import EpochPlan, PhotoOrder, Sides
from colorgan.data.prepare import prepare

CPU = torch.device("cpu")
AUGMENT = Augment(flip=True, crop_min=0.6, brightness=5.0, contrast=0.2)
PLAIN = Augment(flip=False, crop_min=1.0, brightness=0.0, contrast=0.0)


def plan_of(split: Split, **changes: Any) -> EpochPlan:
    options: dict[str, Any] = {"batch_size": 4, "sides": Sides(16), "seed": 0} | changes
    return EpochPlan(PhotoOrder(len(split)), **options)


def epoch_of(
    photo_set: PhotoSet,
    augment: Augment = AUGMENT,
    epoch: int = 0,
    first_batch: int = 0,
    workers: int = 0,
    **changes: Any,
) -> Iterator[Batch]:
    plan = plan_of(photo_set.train, **changes)
    return training_batches(photo_set.train, plan, augment, epoch=epoch, first_batch=first_batch, workers=workers)


def bits(batches: Iterable[Batch]) -> list[tuple[bytes, bytes]]:
    return [(batch.rgb.numpy().tobytes(), batch.light.numpy().tobytes()) for batch in batches]


def test_batches_have_the_stated_shapes_and_ranges(photo_set: PhotoSet) -> None:
    batches = list(epoch_of(photo_set))
    assert len(batches) == len(plan_of(photo_set.train)) == 4
    for batch in batches:
        assert (batch.rgb.shape, batch.rgb.dtype) == ((4, 3, 16, 16), torch.uint8)
        assert batch.rgb.is_contiguous()
        L, ab = batch.to_lab(CPU)
        assert (L.shape, ab.shape) == ((4, 1, 16, 16), (4, 2, 16, 16))
        assert L.min() >= 0
        assert L.max() <= 100


def test_an_epoch_shows_each_photo_once_and_the_next_one_in_another_order(
    photo_set: PhotoSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []
    read = Split.read
    monkeypatch.setattr(Split, "read", lambda split, number: shown.append(number) or read(split, number))
    for epoch in (0, 1):
        list(epoch_of(photo_set, batch_size=2, epoch=epoch))
    assert sorted(shown[:18]) == sorted(shown[18:]) == list(range(18))
    assert shown[:18] != shown[18:]


@pytest.mark.parametrize("first_batch", [0, 1, 3, 4])
def test_an_epoch_resumes_at_any_batch_bit_for_bit(photo_set: PhotoSet, first_batch: int) -> None:
    whole = bits(epoch_of(photo_set, epoch=2))
    assert bits(epoch_of(photo_set, epoch=2, first_batch=first_batch)) == whole[first_batch:]


@pytest.mark.filterwarnings("ignore:This DataLoader will create 2 worker processes")  # on a single core
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # by Python 3.12 about the loader's forks
def test_any_number_of_workers_gives_the_same_bits(photo_set: PhotoSet) -> None:
    assert bits(epoch_of(photo_set, workers=2)) == bits(epoch_of(photo_set, workers=0))


def test_reading_leaves_the_random_state_of_the_training_alone(photo_set: PhotoSet) -> None:
    before = torch.get_rng_state()
    list(epoch_of(photo_set))
    assert torch.equal(torch.get_rng_state(), before)


def test_seeds_and_epochs_draw_differently(photo_set: PhotoSet) -> None:
    drawn = [bits(epoch_of(photo_set, seed=seed, epoch=epoch)) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


def test_an_incomplete_batch_is_left_out_unless_it_is_the_only_one(photo_set: PhotoSet) -> None:
    assert [len(batch.rgb) for batch in epoch_of(photo_set, batch_size=7)] == [7, 7]
    assert [len(batch.rgb) for batch in epoch_of(photo_set, batch_size=100)] == [18]
    assert len(plan_of(photo_set.train, batch_size=100)) == 1


def test_brightness_and_contrast_change_lightness_alone(photo_set: PhotoSet) -> None:
    rgb = next(epoch_of(photo_set)).rgb
    L, ab = Batch(rgb, torch.tensor([[1.2, 5.0]] * 4)).to_lab(CPU)
    truth = rgb_to_lab(rgb.float() / 255)
    torch.testing.assert_close(ab, truth[:, 1:])
    torch.testing.assert_close(L, ((truth[:, :1] - 50) * 1.2 + 55).clamp(0, 100))


def test_augmentation_stays_within_what_was_asked_for(photo_set: PhotoSet) -> None:
    light = torch.cat([batch.light for epoch in range(8) for batch in epoch_of(photo_set, epoch=epoch)])
    spread, shift = light.unbind(1)
    assert 0.8 <= spread.min() < 0.85 < 1.15 < spread.max() <= 1.2
    assert -5 <= shift.min() < -4 < 4 < shift.max() <= 5
    assert all((batch.light == torch.tensor([1.0, 0.0])).all() for batch in epoch_of(photo_set, PLAIN))


def test_a_batch_has_one_side_of_those_asked_for_and_an_epoch_has_them_all(photo_set: PhotoSet) -> None:
    mixed = {"sides": Sides(64, smallest=30), "batch_size": 1}
    sides = [tuple(batch.rgb.shape[2:]) for batch in epoch_of(photo_set, **mixed)]
    assert set(sides) == {(64, 64), (48, 48), (32, 32)}
    assert [tuple(batch.rgb.shape[2:]) for batch in epoch_of(photo_set, **mixed, first_batch=7)] == sides[7:]
    assert [tuple(batch.rgb.shape[2:]) for batch in epoch_of(photo_set, **mixed, epoch=1)] != sides


@pytest.mark.parametrize("size", [16, 64])
def test_a_square_is_at_most_its_photos_short_side_and_lies_within_it(
    photo_set: PhotoSet, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    cut: list[tuple[tuple[int, int], tuple[float, float, float, float]]] = []
    resize = Image.Image.resize

    def note(photo: Image.Image, to: tuple[int, int], *given: Any, box: Any, **options: Any) -> Image.Image:
        cut.append((photo.size, box))
        return resize(photo, to, *given, box=box, **options)

    monkeypatch.setattr(Image.Image, "resize", note)
    for epoch in range(10):
        assert {batch.rgb.shape[2:] for batch in epoch_of(photo_set, epoch=epoch, sides=Sides(size))} == {(size, size)}
    shares = []
    for (width, height), (left, top, right, bottom) in cut:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert right - left == pytest.approx(bottom - top)
        shares.append((right - left) / min(width, height))
    assert 0.6 <= min(shares) < 0.65 < 0.95 < max(shares) <= 1 + 1e-9


def test_half_of_the_photos_are_mirrored(photo_set: PhotoSet) -> None:
    flipping = Augment(flip=True, crop_min=1.0, brightness=0.0, contrast=0.0)
    # Crops are placed alike whether or not photos are flipped.
    pairs = zip(epoch_of(photo_set, flipping, batch_size=18), epoch_of(photo_set, PLAIN, batch_size=18), strict=True)
    for flipped, plain in pairs:
        same = (flipped.rgb == plain.rgb).flatten(1).all(1)
        mirrored = (flipped.rgb.flip(3) == plain.rgb).flatten(1).all(1)
        assert (same | mirrored).all()
        assert 3 <= mirrored.sum() <= 15


def test_validation_shows_the_middle_of_each_photo_in_order(photo_set: PhotoSet) -> None:
    batches = list(validation_batches(photo_set.val, batch_size=4, size=16, limit=5))
    assert [len(batch.rgb) for batch in batches] == [4, 1]
    photo = photo_set.val.read(4)
    middle = photo.resize((16, 16), Image.Resampling.BICUBIC, box=(3, 0, 35, 32))
    assert np.array_equal(batches[1].rgb[0].permute(1, 2, 0).numpy(), np.asarray(middle))
    assert bits(validation_batches(photo_set.val, batch_size=4, size=16, limit=99))[:1] == bits(batches)[:1]


def test_a_set_without_validation_photos_opens_and_shows_none(photos: Path, tmp_path: Path) -> None:
    options = PrepareOptions(size=32, min_side=16, val_fraction=0.0)
    prepare([photos], tmp_path / "data", options)
    split = PhotoSet.open(tmp_path / "data").val
    assert len(split) == len(plan_of(split)) == 0
    assert list(validation_batches(split, batch_size=4, size=16, limit=9)) == []


def test_aged_photos_keep_their_colors_and_change_their_lightness(photo_set: PhotoSet) -> None:
    aging = Augment(flip=True, crop_min=0.6, brightness=5.0, contrast=0.2, aged=1.0)
    for new, old in zip(epoch_of(photo_set), epoch_of(photo_set, aging), strict=True):
        assert old.rgb.equal(new.rgb)
        assert old.aged is not None
        assert old.aged.rows.tolist() == [0, 1, 2, 3]
        (new_L, new_ab), (old_L, old_ab) = new.to_lab(CPU), old.to_lab(CPU)
        assert old_ab.equal(new_ab)
        assert (old_L - new_L).abs().mean() > 2
        assert old_L.min() >= 0
        assert old_L.max() <= 100


def test_only_the_asked_share_of_photos_ages(photo_set: PhotoSet) -> None:
    half = Augment(flip=False, crop_min=1.0, brightness=0.0, contrast=0.0, aged=0.5)
    batches = list(epoch_of(photo_set, half))
    assert 0 < sum(len(batch.aged.rows) for batch in batches if batch.aged) < 16
    for batch in batches:
        L, _ = batch.to_lab(CPU)
        truth = rgb_to_lab(batch.rgb.float() / 255)[:, :1]
        new = [row for row in range(4) if batch.aged is None or row not in batch.aged.rows]
        assert torch.allclose(L[new], truth[new].clamp(0, 100), atol=1e-4)


def test_film_that_sees_as_the_eye_does_changes_nothing(photo_set: PhotoSet) -> None:
    rgb = next(epoch_of(photo_set)).rgb
    eye = torch.tensor([XYZ_FROM_RGB[1].tolist()] * 2)
    light = torch.tensor([[1.0, 0.0]] * 4)
    aged = Aged(rows=torch.tensor([0, 2]), film=eye, light=light[:2], texture=torch.zeros(2, 1, 16, 16))
    assert torch.allclose(Batch(rgb, light, aged).to_lab(CPU)[0], Batch(rgb, light).to_lab(CPU)[0], atol=1e-3)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_shares_of_two_ranks_make_up_the_batches_of_one(photo_set: PhotoSet, workers: int) -> None:
    shares = [list(epoch_of(photo_set, rank=rank, ranks=2, workers=workers)) for rank in range(2)]
    whole = list(epoch_of(photo_set))
    assert len(whole) == len(shares[0]) == len(shares[1])
    for batch, *halves in zip(whole, *shares, strict=True):
        assert torch.equal(batch.rgb[0::2], halves[0].rgb)
        assert torch.equal(batch.rgb[1::2], halves[1].rgb)
        assert torch.equal(batch.light[1::2], halves[1].light)
