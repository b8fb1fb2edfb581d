from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from colorgan.data.cache import PhotoCache
from colorgan.data.dataset import Augment, Batch
from colorgan.data.photoset import PhotoSet, Split
from colorgan.data.plan import EpochPlan, PhotoOrder, Sides
from colorgan.errors import Interrupted

CPU = torch.device("cpu")
AUGMENT = Augment(flip=True, crop_min=0.6, brightness=5.0, contrast=0.2, aged=0.5)
PLAIN = Augment(flip=False, crop_min=1.0, brightness=0.0, contrast=0.0)
SHAPES = [(40, 60), (100, 51), (64, 64), (33, 34)]  # widths and heights


class Photos(Split):
    """A split of photos in memory."""

    def __init__(self, photos: Sequence[Image.Image]) -> None:
        self.photos = photos

    @property
    def index(self) -> Any:
        sizes = [(photo.height, photo.width) for photo in self.photos]
        return np.array(sizes, dtype=[("height", np.int64), ("width", np.int64)])

    def __len__(self) -> int:
        return len(self.photos)

    def read(self, position: int) -> Image.Image:
        return self.photos[position]


def picture(seed: int, size: tuple[int, int]) -> Image.Image:
    """Draw strong edges and gradients without clipped overshoot: the order of Pillow's two passes differs."""
    coarse = np.random.default_rng(seed).integers(40, 216, (9, 9, 3), dtype=np.uint8)
    fine = Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST if seed % 2 else Image.Resampling.BICUBIC)
    fine.putpixel((size[0] // 2, size[1] // 2), (215, 40, 215))
    return fine


def cache_of(photos: Sequence[Image.Image]) -> PhotoCache:
    return PhotoCache.read(Photos(photos), CPU, workers=0)


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    return [picture(seed, SHAPES[seed % 4]) for seed in range(18)]


@pytest.fixture(scope="module")
def cache(pictures: list[Image.Image]) -> PhotoCache:
    return cache_of(pictures)


def test_photos_are_never_there_twice(pictures: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = cache_of(pictures)
    monkeypatch.setattr(torch, "cat", lambda parts: pytest.fail("all photos were joined"))
    cache = cache_of(pictures)
    assert torch.equal(cache.pixels, expected.pixels)
    assert int(cache.sizes.prod(1).sum()) == len(cache.pixels)


def test_a_signal_is_heard_while_photos_are_decoded(pictures: list[Image.Image]) -> None:
    def stop() -> None:
        raise Interrupted(2, "")

    with pytest.raises(Interrupted):
        PhotoCache.read(Photos(pictures), CPU, 0, check=stop)


def plan_of(photos: int, **changes: Any) -> EpochPlan:
    options: dict[str, Any] = {"batch_size": 4, "sides": Sides(16), "seed": 0} | changes
    return EpochPlan(PhotoOrder(photos), **options)


def epoch_of(
    cache: PhotoCache, augment: Augment = AUGMENT, epoch: int = 0, first_batch: int = 0, **changes: Any
) -> list[Batch]:
    plan = plan_of(len(cache.sizes), **changes)
    return list(cache.batches(plan, augment, epoch=epoch, first_batch=first_batch))


def bits(batches: Iterable[Batch]) -> list[list[bytes]]:
    return [
        [t.numpy().tobytes() for t in (b.rgb, b.light, *(vars(b.aged).values() if b.aged else ()))] for b in batches
    ]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("side", [16, 33, 80])
@pytest.mark.parametrize("extent", [1.0, 0.83, 0.5])
def test_squares_are_those_of_pillows_bicubic_filter(
    cache: PhotoCache, pictures: list[Image.Image], side: int, extent: float, mirrored: bool
) -> None:
    random = np.random.default_rng(side)
    numbers = torch.arange(len(pictures))
    extents = extent * cache.sizes.amin(1).double()
    corners = (cache.sizes - extents[:, None]) * torch.from_numpy(random.uniform(size=(len(pictures), 2)))
    turned = torch.full((len(pictures),), mirrored)
    squares = cache._squares(numbers, corners.float(), extents.float(), turned, side)
    assert (squares.dtype, squares.shape) == (torch.uint8, (len(pictures), 3, side, side))
    for photo, square, (top, left), length in zip(pictures, squares, corners.tolist(), extents.tolist(), strict=True):
        box = (left, top, left + length, top + length)
        expected = np.asarray(photo.resize((side, side), Image.Resampling.BICUBIC, box=box)).astype(np.int16)
        if mirrored:
            expected = expected[:, ::-1]
        assert np.abs(square.permute(1, 2, 0).numpy() - expected).max() <= 2


def test_every_pixel_is_kept_where_it_was_whoever_decodes(photo_set: PhotoSet) -> None:
    read = [PhotoCache.read(photo_set.train, CPU, workers) for workers in (0, 1)]
    for cache in read:
        assert cache.pixels.dtype is torch.uint8
        for number in range(len(photo_set.train)):
            photo = np.asarray(photo_set.train.read(number))
            start, (height, width) = int(cache.starts[number]), cache.sizes[number].tolist()
            kept = cache.pixels[start : start + height * width].reshape(height, width, 3)
            assert np.array_equal(kept.numpy(), photo)


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_long_photo_the_middle_is_kept(turned: bool) -> None:
    photo = picture(1, (30, 201) if turned else (201, 30))
    cache = cache_of([photo, picture(0, (30, 60))])
    assert cache.sizes.tolist() == [[60, 30] if turned else [30, 60], [60, 30]]
    middle = photo.crop((0, 70, 30, 130) if turned else (70, 0, 130, 30))
    assert np.array_equal(cache.pixels[:1800].numpy(), np.asarray(middle).reshape(-1, 3))


def test_no_square_has_a_pixel_of_another_photo() -> None:
    # Photos of one color each, which are adjacent in memory, and padded to the largest in a batch.
    colors = [(index * 14, 255 - index * 14, 37 * index % 256) for index in range(18)]
    photos = [
        Image.new("RGB", (20 + 7 * index % 50, 20 + 11 * index % 60), color) for index, color in enumerate(colors)
    ]
    cache = cache_of(photos)
    plan, varied = plan_of(18, batch_size=6), Augment(flip=True, crop_min=0.1, brightness=0.0, contrast=0.0)
    for epoch in range(5):
        drawn = zip(plan.batches(epoch), cache.batches(plan, varied, epoch=epoch), strict=True)
        for planned, batch in drawn:
            expected = torch.tensor([colors[number] for number in planned.numbers], dtype=torch.uint8)
            assert torch.equal(batch.rgb, expected[:, :, None, None].expand(-1, -1, 16, 16))


def test_without_variation_a_square_photo_is_shown_whole(cache: PhotoCache, pictures: list[Image.Image]) -> None:
    seen = 0
    for planned, batch in zip(plan_of(18).batches(0), epoch_of(cache, PLAIN), strict=True):
        assert (batch.light == torch.tensor([1.0, 0.0])).all()
        assert batch.aged is None
        for number, square in zip(planned.numbers, batch.rgb, strict=True):
            if pictures[number].size == (64, 64):
                whole = np.asarray(pictures[number].resize((16, 16), Image.Resampling.BICUBIC)).astype(np.int16)
                assert np.abs(square.permute(1, 2, 0).numpy() - whole).max() <= 2
                seen += 1
    assert seen >= 3


@pytest.mark.parametrize("size", [16, 512])
def test_a_square_is_at_most_its_photos_short_side_and_lies_within_it(
    cache: PhotoCache, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    cut: list[tuple[torch.Tensor, ...]] = []

    def note(cache: PhotoCache, numbers: torch.Tensor, corners: torch.Tensor, extent: torch.Tensor, *_: Any) -> Any:
        cut.append((cache.sizes[numbers], corners, extent))
        return torch.zeros(len(numbers), 3, 1, 1, dtype=torch.uint8)

    monkeypatch.setattr(PhotoCache, "_squares", note)
    for epoch in range(10):
        epoch_of(cache, Augment(True, 0.6, 0.0, 0.0), epoch=epoch, sides=Sides(size))
    sizes, corners, extent = (torch.cat(parts) for parts in zip(*cut, strict=True))
    assert (extent <= sizes.amin(1)).all()
    assert (extent >= 0.6 * sizes.amin(1) - 1e-3).all()
    assert (corners >= 0).all()
    assert (corners + extent[:, None] <= sizes + 1e-4).all()
    shares = extent / sizes.amin(1)
    assert shares.min() < 0.65
    assert shares.max() > 0.95


@pytest.mark.parametrize("first_batch", [0, 1, 3, 4])
def test_an_epoch_resumes_at_any_batch_bit_for_bit(cache: PhotoCache, first_batch: int) -> None:
    mixed = {"sides": Sides(48, 16), "epoch": 2}
    whole = bits(epoch_of(cache, **mixed))
    assert len(whole) == 4
    assert bits(epoch_of(cache, first_batch=first_batch, **mixed)) == whole[first_batch:]


@pytest.mark.parametrize("batch_size", [4, 6, 100])
def test_the_shares_of_two_ranks_make_up_the_batches_of_one(cache: PhotoCache, batch_size: int) -> None:
    shares = [epoch_of(cache, batch_size=batch_size, rank=rank, ranks=2) for rank in range(2)]
    alone = epoch_of(cache, batch_size=batch_size)
    for whole, *halves in zip(alone, *shares, strict=True):
        for rank, half in enumerate(halves):
            assert torch.equal(whole.rgb[rank::2], half.rgb)
            torch.testing.assert_close(whole.light[rank::2], half.light)
            for mine, all_of_them in zip(half.to_lab(CPU), whole.to_lab(CPU), strict=True):
                torch.testing.assert_close(mine, all_of_them[rank::2])
    assert any(half.aged for half in shares[0])


def test_seeds_and_epochs_draw_differently_and_leave_the_random_state_alone(cache: PhotoCache) -> None:
    before = torch.get_rng_state()
    drawn = [bits(epoch_of(cache, seed=seed, epoch=epoch)) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    assert torch.equal(torch.get_rng_state(), before)


def test_variation_stays_within_what_was_asked_for(cache: PhotoCache) -> None:
    new = Augment(flip=True, crop_min=0.6, brightness=5.0, contrast=0.2)
    light = torch.cat([batch.light for epoch in range(8) for batch in epoch_of(cache, new, epoch=epoch)])
    spread, shift = light.unbind(1)
    assert 0.8 <= spread.min() < 0.85 < 1.15 < spread.max() <= 1.2
    assert -5 <= shift.min() < -4 < 4 < shift.max() <= 5


def test_half_of_the_photos_are_mirrored_and_half_are_made_old(cache: PhotoCache) -> None:
    mirrored = old = 0
    flipping = Augment(flip=True, crop_min=1.0, brightness=0.0, contrast=0.0, aged=0.5)
    for epoch in range(5):
        for turned, plain in zip(
            epoch_of(cache, flipping, epoch=epoch), epoch_of(cache, PLAIN, epoch=epoch), strict=True
        ):
            same = (turned.rgb == plain.rgb).flatten(1).all(1)
            other = (turned.rgb.flip(3) == plain.rgb).flatten(1).all(1)
            assert (same | other).all()
            mirrored += int(other.sum())
            old += len(turned.aged.rows) if turned.aged else 0
    assert 24 <= mirrored <= 56  # of 80
    assert 24 <= old <= 56


def test_photos_made_old_keep_their_colors_and_the_others_their_lightness(cache: PhotoCache) -> None:
    half = Augment(flip=False, crop_min=1.0, brightness=0.0, contrast=0.0, aged=0.5)
    for mixed, plain in zip(epoch_of(cache, half), epoch_of(cache, PLAIN), strict=True):
        (L, ab), (true_L, true_ab) = mixed.to_lab(CPU), plain.to_lab(CPU)
        assert torch.equal(ab, true_ab)
        old = mixed.aged.rows.tolist() if mixed.aged else []
        for row in range(4):
            assert (torch.equal(L[row], true_L[row])) == (row not in old)
