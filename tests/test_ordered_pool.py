from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from colorgan.ordered_pool import OrderedPool, Pending, Workers, map_in_order


def nothing() -> None:
    """No signal, and nothing to be made ready."""


def ran(
    steps: Iterator[int | Pending[int]],
    work: Callable[[Sequence[int], Callable[[int, int], None]], None],
    *,
    count: int = 3,
    group: int = 1,
    before: Callable[[], None] = nothing,
    check: Callable[[], None] = nothing,
) -> Iterator[int]:
    with Workers(count, work) as workers:
        yield from OrderedPool(workers, group=lambda: group, before=before, check=check).results(steps)


def negate(tasks: Sequence[int], put: Callable[[int, int], None]) -> None:
    for position, task in enumerate(tasks):
        time.sleep((task * 7 % 5) * 1e-3)
        put(position, -task)


def steps_to(last: int) -> Iterator[int | Pending[int]]:
    """Every third is known; the others are to do."""
    return (number if number % 3 == 0 else Pending(number) for number in range(1, last + 1))


def expected_to(last: int) -> list[int]:
    return [number if number % 3 == 0 else -number for number in range(1, last + 1)]


@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_order_whichever_is_finished_first(count: int, group: int) -> None:
    assert list(ran(steps_to(100), negate, count=count, group=group)) == expected_to(100)


def test_known_results_alone_need_no_worker() -> None:
    assert list(ran(iter(range(10000)), negate, before=pytest.fail)) == list(range(10000))


def test_nothing_is_asked_for_far_ahead_of_the_work() -> None:
    asked, release = [], threading.Event()

    def steps() -> Iterator[Pending[int]]:
        for number in range(10000):
            asked.append(number)
            yield Pending(number)

    def wait(tasks: Sequence[int], put: Callable[[int, int], None]) -> None:
        release.wait(10)
        negate(tasks, put)

    results = ran(steps(), wait, count=2)
    timer = threading.Timer(0.2, release.set)
    timer.start()
    assert next(results) == 0
    assert len(asked) < 60
    results.close()
    timer.join()


def test_what_is_handed_over_was_made_ready() -> None:
    announced, ready = [], set()

    def steps() -> Iterator[Pending[int]]:
        for number in range(50):
            announced.append(number)
            yield Pending(number)

    def work(tasks: Sequence[int], put: Callable[[int, int], None]) -> None:
        assert set(tasks) <= ready
        negate(tasks, put)

    assert len(list(ran(steps(), work, before=lambda: ready.update(announced)))) == 50


def fail_at(wrong: int) -> Callable[[Sequence[int], Callable[[int, int], None]], None]:
    def work(tasks: Sequence[int], put: Callable[[int, int], None]) -> None:
        for position, task in enumerate(tasks):
            if task == wrong:
                raise OSError(f"at {wrong}")
            put(position, -task)

    return work


@pytest.mark.parametrize("group", [1, 5])
def test_an_error_comes_after_the_results_of_what_was_under_way(group: int) -> None:
    results = ran(steps_to(1000), fail_at(20), group=group)
    seen = []
    with pytest.raises(OSError, match="at 20"):
        seen.extend(results)
    assert seen[:19] == expected_to(19)
    assert len(seen) < 300


def test_an_error_of_the_search_comes_after_what_was_under_way() -> None:
    def steps() -> Iterator[int | Pending[int]]:
        yield from steps_to(50)
        raise OSError("the disk is gone")

    seen = []
    with pytest.raises(OSError, match="the disk is gone"):
        seen.extend(ran(steps(), negate))
    assert set(seen) <= set(expected_to(50))
    assert set(seen) >= {number for number in expected_to(50) if number > 0}


def test_nothing_begins_when_it_could_not_be_made_ready() -> None:
    begun = []

    def refuse() -> None:
        raise OSError("the journal is full")

    results = ran(steps_to(50), lambda tasks, put: begun.extend(tasks), before=refuse)
    with pytest.raises(OSError, match="the journal is full"):
        list(results)
    assert begun == []


def test_a_stop_finishes_what_is_under_way_and_begins_nothing_more() -> None:
    begun, stopped, seen = [], [], []

    def work(tasks: Sequence[int], put: Callable[[int, int], None]) -> None:
        begun.extend(tasks)
        negate(tasks, put)

    def check() -> None:
        if stopped:
            raise InterruptedError

    results = ran((Pending(number) for number in range(10000)), work, check=check)
    seen.append(next(results))
    stopped.append(True)
    with pytest.raises(InterruptedError):
        seen.extend(results)
    assert sorted(-result for result in seen) == sorted(begun)
    assert len(begun) < 100


def test_a_keyboard_interrupt_does_not_wait_for_the_workers() -> None:
    release, ended = threading.Event(), []

    def stop() -> None:
        raise KeyboardInterrupt

    def work(tasks: Sequence[int], put: Callable[[int, int], None]) -> None:
        release.wait(60)
        ended.append(tasks)

    with pytest.raises(KeyboardInterrupt):
        list(ran(steps_to(3), work, check=stop))
    assert not ended
    release.set()


def test_few_results_wait_for_a_slow_one_and_none_is_begun_once_the_reader_has_left() -> None:
    release, begun = threading.Event(), []

    def work(task: int) -> int:
        begun.append(task)
        if task == 0:
            release.wait()
        return -task

    with contextlib.closing(map_in_order(work, range(10000), 2)) as results:
        threading.Timer(0.5, release.set).start()
        assert next(results) == 0
        assert len(begun) < 100, "as long as the first was worked on, few others were"
        assert [next(results) for _ in range(500)] == [-task for task in range(1, 501)]
    so_far = len(begun)
    time.sleep(0.05)
    assert len(begun) == so_far < 1000
