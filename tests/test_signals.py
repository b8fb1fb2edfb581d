import os
import signal
import threading

import pytest

from colorgan.errors import Interrupted
from colorgan.signals import SignalWatch

HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (HANGUP, 128 + HANGUP)])
def test_the_first_signal_is_asked_for_and_carries_its_exit_code(number, code):
    with SignalWatch() as watch:
        assert watch.received is None
        signal.raise_signal(number)
        assert watch.received == number
    assert Interrupted(number, "go on like this").exit_code == code


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGHUP")
def test_a_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(HANGUP, signal.SIG_IGN)
    try:
        with SignalWatch() as watch:
            signal.raise_signal(HANGUP)
            assert watch.received is None
        assert signal.getsignal(HANGUP) is signal.SIG_IGN
    finally:
        signal.signal(HANGUP, before)


def test_a_second_sigint_stops_at_once():
    with SignalWatch() as watch:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert watch.received == signal.SIGTERM


class Left(BaseException):
    """Stands for the end of the process."""


def leave(number):
    raise Left(number)


def test_a_command_leaves_at_a_second_sigint_with_the_code_of_the_first_signal():
    with SignalWatch(leave):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Left, match=str(signal.SIGTERM.value)):
            signal.raise_signal(signal.SIGINT)


def test_what_cannot_be_asked_is_left_at_the_first_signal_also_at_one_that_came_before():
    with SignalWatch(leave) as watch:
        with watch.exiting_at_once(), pytest.raises(Left):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Left), watch.exiting_at_once():
            pytest.fail("it was not left")
    with SignalWatch(leave) as watch:
        with watch.exiting_at_once():
            pass
        signal.raise_signal(signal.SIGTERM)
        assert watch.received == signal.SIGTERM


def test_the_signals_are_given_back():
    before = signal.getsignal(signal.SIGINT)
    with SignalWatch():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_watch_nothing_and_break_nothing():
    seen = []

    def work():
        with SignalWatch() as watch:
            seen.append(watch.received)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
