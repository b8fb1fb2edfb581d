import signal
import threading

import pytest

from colorgan.errors import Interrupted
from colorgan.signals import SignalWatch


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_is_asked_for_and_carries_its_exit_code(number, code):
    with SignalWatch() as watch:
        watch.check("nothing yet")
        signal.raise_signal(number)
        with pytest.raises(Interrupted, match="go on like this") as stopped:
            watch.check("go on like this")
    assert stopped.value.exit_code == code


def test_a_second_sigint_stops_at_once():
    with SignalWatch() as watch:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert watch.received == signal.SIGTERM


def test_work_that_leaves_nothing_half_done_is_stopped_at_once_and_still_asked_for():
    with SignalWatch(at_once=True) as watch:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            watch.check("")


def test_the_signals_are_given_back():
    before = signal.getsignal(signal.SIGINT)
    with SignalWatch():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_watch_nothing_and_break_nothing():
    seen = []

    def work():
        with SignalWatch() as watch:
            watch.check("")
            seen.append(watch.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
