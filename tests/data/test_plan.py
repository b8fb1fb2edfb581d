from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from colorgan.data.plan import EpochPlan, PhotoOrder, Sides, source_weights
from colorgan.errors import UsageError

SOURCES = ["coco.tar"] * 4 + ["slides"] * 6 + ["voc.zip"] * 2


def times(order: PhotoOrder, epoch: int, seed: int = 0) -> list[int]:
    """Count how often each photo is drawn."""
    drawn = Counter(order.draw(seed, epoch).tolist())
    assert sum(drawn.values()) == len(order)
    return [drawn[number] for number in range(12)]


def weighted(weights: dict[str, float]) -> PhotoOrder:
    return PhotoOrder(len(SOURCES), source_weights(SOURCES, weights))


def test_without_weights_each_photo_is_drawn_once() -> None:
    assert set(source_weights(SOURCES, {})) == {1.0}
    assert times(weighted({}), 0) == [1] * 12
    assert weighted({}).draw(0, 0).tolist() != weighted({}).draw(0, 1).tolist()


@pytest.mark.parametrize("name", ["voc.zip", "voc"])
@pytest.mark.parametrize("weight", [0, 1, 2, 3])
def test_a_whole_weight_draws_each_photo_of_its_source_so_often(name: str, weight: int) -> None:
    order = weighted({name: weight})
    assert len(order) == 10 + 2 * weight
    assert times(order, 5) == [1] * 10 + [weight] * 2


def test_a_fraction_draws_a_part_of_the_photos_once_more_and_others_in_each_epoch() -> None:
    order = weighted({"slides": 2.5, "coco": 0.5})
    drawn = [times(order, epoch) for epoch in range(40)]
    for counts in drawn:
        assert sorted(counts[:4]) == [0, 0, 1, 1]
        assert sorted(counts[4:10]) == [2, 2, 2, 3, 3, 3]
        assert counts[10:] == [1, 1]
    assert np.array(drawn).mean(0) == pytest.approx([0.5] * 4 + [2.5] * 6 + [1] * 2, abs=0.3)


def test_a_weighted_epoch_follows_from_the_seed_and_its_number() -> None:
    one, other = weighted({"slides": 2.5}), weighted({"slides": 2.5})
    assert one.draw(3, 7).tolist() == other.draw(3, 7).tolist()
    assert one.draw(3, 7).tolist() != one.draw(4, 7).tolist() != one.draw(3, 8).tolist()


def test_the_draws_of_a_photo_are_spread_over_the_epoch() -> None:
    drawn = PhotoOrder(1000, np.full(1000, 3.0)).draw(0, 0)
    assert (np.diff(drawn) == 0).sum() < 20
    assert len(set(drawn[:1000].tolist())) < 1000


def test_a_source_that_the_set_has_not_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(UsageError, match=r"a source named slide: the set's are coco\.tar, slides, voc\.zip"):
        source_weights(SOURCES, {"slide": 2})


@pytest.mark.parametrize("weights", [{"coco": 0, "slides": 0, "voc": 0}, {"coco": 0.1, "slides": 0, "voc": 0.2}])
def test_weights_that_draw_no_photo_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="no photo is drawn"):
        source_weights(SOURCES, weights)


@pytest.mark.parametrize(("batch_size", "ranks"), [(4, 2), (6, 3), (12, 4), (24, 2)])
def test_the_shares_of_ranks_make_up_the_batches_of_one(batch_size: int, ranks: int) -> None:
    order = weighted({"slides": 3})  # 24 draws
    (alone, *shares) = (
        list(EpochPlan(order, batch_size, Sides(64, 32), 0, rank, count).batches(2))
        for rank, count in [(0, 1), *((rank, ranks) for rank in range(ranks))]
    )
    assert len(alone) == 24 // batch_size
    for whole, *parts in zip(alone, *shares, strict=True):
        assert {part.side for part in parts} == {whole.side}
        assert {len(part.numbers) for part in parts} == {batch_size // ranks}
        for rank, part in enumerate(parts):
            assert part.numbers == whole.numbers[rank::ranks]
            assert part.positions == whole.positions[rank::ranks]
    assert [number for batch in alone for number in batch.numbers] == order.draw(0, 2).tolist()
    assert [position for batch in alone for position in batch.positions] == list(range(24))


def test_an_epoch_goes_on_at_any_batch() -> None:
    plan = EpochPlan(weighted({"slides": 2.5}), 4, Sides(64, 32), 0)
    whole = list(plan.batches(1))
    assert len(whole) == len(plan) == 5
    for first in range(6):
        assert list(plan.batches(1, first)) == whole[first:]


@pytest.mark.parametrize(
    ("photos", "drop_last", "ranks", "sizes"),
    [
        (10, True, 1, [4, 4]),
        (10, False, 1, [4, 4, 2]),
        (8, False, 1, [4, 4]),
        (10, False, 2, [4, 4]),
        (3, True, 1, [3]),
        (3, False, 1, [3]),
    ],
)
def test_an_incomplete_last_batch_is_dropped_or_kept(
    photos: int, drop_last: bool, ranks: int, sizes: list[int]
) -> None:
    plans = [EpochPlan(PhotoOrder(photos), 4, Sides(16), 0, rank, ranks, drop_last) for rank in range(ranks)]
    held = [sum(len(batch.numbers) for batch in shares) for shares in zip(*(p.batches(1) for p in plans), strict=True)]
    assert held == sizes == [plans[0].photos_in(batch) for batch in range(len(plans[0]))]


SHARDS = np.repeat(np.arange(20), 11)[:210]  # the last one is short


def by_shards(rank: int, ranks: int, batch_size: int = 12, drop_last: bool = True, photos: int = 210) -> EpochPlan:
    order = PhotoOrder(photos)
    return EpochPlan(order, batch_size, Sides(16), 5, rank, ranks, drop_last, SHARDS[:photos])


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_of_shards_each_rank_reads_its_own_but_for_those_on_the_borders(ranks: int) -> None:
    plans = [by_shards(rank, ranks) for rank in range(ranks)]
    for epoch in (0, 7):
        held = [plan.photos_of(epoch) for plan in plans]
        assert {len(own) for own in held} == {17 * 12 // ranks}
        everything = np.concatenate(held)
        assert len(np.unique(everything)) == len(everything), "a photo came twice"
        readers = Counter(shard for own in held for shard in np.unique(SHARDS[own]).tolist())
        assert sum(count - 1 for count in readers.values()) <= ranks - 1
        for plan, own in zip(plans, held, strict=True):
            batches = list(plan.batches(epoch))
            assert [number for batch in batches for number in batch.numbers] == own.tolist()
            assert {len(batch.numbers) for batch in batches} == {12 // ranks}
            assert [batch.numbers for batch in plan.batches(epoch, 5)] == [batch.numbers for batch in batches[5:]]
        positions = sorted(position for plan in plans for batch in plan.batches(epoch) for position in batch.positions)
        assert positions == list(range(17 * 12))


def test_photos_are_mixed_inside_a_window_of_shards_and_differ_by_epoch_and_seed() -> None:
    own = by_shards(0, 1).photos_of(3)
    in_order = list(dict.fromkeys(SHARDS[own].tolist()))
    windows = [np.flatnonzero(np.isin(SHARDS[own], in_order[start : start + 4])) for start in range(0, 20, 4)]
    assert np.concatenate(windows).tolist() == list(range(len(own))), "a photo left its window"
    changes = int((np.diff(SHARDS[own]) != 0).sum())
    assert changes > 130, "photos of a shard came one after the other"
    for other in (by_shards(0, 1).photos_of(4), replace(by_shards(0, 1), seed=6).photos_of(3)):
        assert other.tolist() != own.tolist()
        assert list(dict.fromkeys(SHARDS[other].tolist())) != list(dict.fromkeys(SHARDS[own].tolist()))
    assert by_shards(0, 1).photos_of(3).tolist() == own.tolist()


def test_weights_hold_and_the_last_batch_is_kept_where_shards_are_read() -> None:
    weights = np.where(SHARDS == 3, 2.0, np.where(SHARDS == 4, 0.0, 1.0))
    plan = replace(by_shards(0, 1, drop_last=False), order=PhotoOrder(210, weights))
    drawn = Counter(number for batch in plan.batches(1) for number in batch.numbers)
    assert [drawn[number] for number in range(210)] == weights.tolist()
    assert len(list(plan.batches(1))[-1].numbers) == 210 % 12


def test_more_ranks_than_shards_share_them() -> None:
    held = [by_shards(rank, 4, photos=22).photos_of(0) for rank in range(4)]
    assert [len(own) for own in held] == [3] * 4
    assert len(set(np.concatenate(held).tolist())) == 12
