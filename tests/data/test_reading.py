import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest
import torch

from colorgan.data import reading
from colorgan.data.aging import Aged
from colorgan.data.dataset import Batch
from colorgan.data.reading import read_batches
from colorgan.errors import SetError


class Doubled(torch.utils.data.Dataset[int]):
    def __getitem__(self, item: int) -> int:
        return 2 * item


def read(workers: int, warnings: list[str]) -> list[list[int]]:
    batches = read_batches(Doubled(), lambda: iter([[0, 1], [2, 3]]), list, workers=workers, warn=warnings.append)
    return list(batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_however_many_processes_read(workers: int) -> None:
    warnings: list[str] = []
    assert read(workers, warnings) == [[0, 2], [4, 6]]
    assert warnings == []


class Damaged(torch.utils.data.Dataset[int]):
    def __getitem__(self, item: int) -> int:
        if item == 3:
            raise SetError("a whole photo", "a damaged one", "Prepare the set again.")
        return item


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_comes_out_of_a_process_that_reads_as_it_was_raised(workers: int) -> None:
    batches = read_batches(Damaged(), lambda: iter([[0, 1], [2, 3]]), list, workers=workers, warn=pytest.fail)
    assert next(batches) == [0, 1]
    with pytest.raises(SetError, match=r"^expected a whole photo: a damaged one\. Prepare the set again\.$"):
        next(batches)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("before", [0, 1, 5])
def test_an_error_in_what_is_to_be_read_comes_after_the_batches_before_it_and_leaves_no_process(
    workers: int, before: int
) -> None:
    def items() -> Iterator[list[int]]:
        for number in range(before):
            yield [number]
        raise SetError("a shard", "none", "Copy the set there again.")

    batches = read_batches(Doubled(), items, list, workers=workers, warn=pytest.fail)
    assert [next(batches) for _ in range(before)] == [[2 * number] for number in range(before)]
    with pytest.raises(SetError, match="expected a shard: none") as raised:  # keeps it, as a command does to its end
        next(batches)
    assert raised.value.advice == "Copy the set there again."
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("can't start new thread")])
def test_where_no_processes_can_be_started_this_one_reads_with_a_word(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(workers: int) -> None:
        raise error

    monkeypatch.setattr(reading, "_check_room", refuse)
    warnings: list[str] = []
    assert read(2, warnings) == [[0, 2], [4, 6]]
    assert len(warnings) == 1
    assert str(error) in warnings[0]
    assert "--shm-size" in warnings[0]


class Hanging(torch.utils.data.Dataset[int]):
    def __getitem__(self, item: int) -> int:
        if item == 1:
            time.sleep(600)
        return item


def test_a_wait_for_processes_that_hang_ends_where_it_is_told_to_and_leaves_no_process() -> None:
    asked: list[float] = []

    def look_up() -> None:
        asked.append(time.monotonic())
        if len(asked) > 1:
            raise KeyboardInterrupt

    batches = read_batches(
        Hanging(), lambda: iter([[0], [1], [1]]), list, workers=2, warn=pytest.fail, while_waiting=look_up
    )
    assert next(batches) == [0]
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(batches)
    assert time.monotonic() - start < 10
    assert not multiprocessing.active_children()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="looks into /dev/shm")
def test_a_batch_goes_between_processes_whole_and_without_shared_memory() -> None:
    aged = Aged(torch.tensor([1]), torch.rand(1, 3), torch.rand(1, 2), torch.rand(1, 1, 8, 8))
    batch = Batch(torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8), torch.rand(2, 2), aged)
    before = set(Path("/dev/shm").glob("torch_*"))
    pickled = bytes(ForkingPickler.dumps(batch))
    assert set(Path("/dev/shm").glob("torch_*")) <= before
    assert len(pickled) > batch.rgb.numel()
    again = ForkingPickler.loads(pickled)
    assert again.aged is not None
    for one, other in ((batch.rgb, again.rgb), (batch.light, again.light), (aged.texture, again.aged.texture)):
        assert torch.equal(one, other)
        other += 1  # it has its own, writable memory
    assert ForkingPickler.loads(bytes(ForkingPickler.dumps(Batch(batch.rgb, batch.light)))).aged is None
