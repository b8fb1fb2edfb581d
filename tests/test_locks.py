from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import running

from colorgan import locks
from colorgan.locks import locked, locked_in_turn


def test_a_lock_is_held_by_one_and_removed_at_the_end(tmp_path: Path) -> None:
    with locked(tmp_path / "lock") as has_locks:
        assert has_locks
        with pytest.raises(BlockingIOError), locked(tmp_path / "lock"):
            pytest.fail("two hold it")
        assert (tmp_path / "lock").exists()
    assert not (tmp_path / "lock").exists()


def test_a_lock_that_is_held_is_waited_for(tmp_path: Path) -> None:
    with contextlib.ExitStack() as holder:
        holder.enter_context(locked(tmp_path / "lock"))
        with locked_in_turn(tmp_path / "lock", while_waiting=holder.close):
            assert (tmp_path / "lock").exists()
        assert not (tmp_path / "lock").exists()


def test_waiting_for_a_lock_can_be_stopped(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    lock = tmp_path / "lock"
    with locked(lock), pytest.raises(KeyboardInterrupt), locked_in_turn(lock, while_waiting=stop):
        pytest.fail("two hold it")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_lock_ends_with_its_process_though_a_forked_one_lives_on(tmp_path: Path) -> None:
    code = (
        "import os, sys, time, pathlib\n"
        f"from {locked.__module__} import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    if os.fork() == 0:\n"
        "        print('forked', flush=True)\n"
        "        time.sleep(600)\n"
        "    time.sleep(600)\n"
    )
    lock = tmp_path / "lock"
    with running([sys.executable, "-c", code, lock], stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout.readline() == "forked\n"
            with pytest.raises(BlockingIOError), locked(lock):
                pytest.fail("two hold it")
            process.kill()
            process.wait()
            with locked(lock) as has_locks:
                assert has_locks
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_without_locks_on_the_disk_that_is_said_and_nobody_is_kept_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(locks, "_hold", refuse)
    with locked(tmp_path / "lock") as first, locked(tmp_path / "lock") as second:
        assert (first, second) == (False, False)
