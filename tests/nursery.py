"""Commands as forks of one process, so that torch is only imported once; for tests that kill many of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import DEADLINE_S, Process, running

# A command that does not end in time is killed, so that a test fails instead of waiting forever. A signal can be sent
# at any call or return in the main thread once the command handles signals, which is more exact than sleeping.
_CODE = """
import contextlib, gc, io, json, os, signal, sys, time
from importlib import import_module
import torch
for name in ("cli.app", "cli.version", "colorize.colorizer", "batch.run", "batch.worker", "data.prepare"):
    import_module(f"colorgan.{name}")
import typer
import colorgan.cli.app
from colorgan.signals import SignalWatch

colorgan.cli.app.app = typer.main.get_command(colorgan.cli.app.app)  # which takes a third of a second each time
sys.argv = ["colorgan", "prepare", os.devnull]
with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
    colorgan.cli.app.main()  # it is refused; by then whatever is imported late is there

gc.freeze()  # or each command, when it ends, would look through all that torch made

def send(number, event, where):
    left = event
    def look(frame, event, argument):
        nonlocal left
        if where in frame.f_code.co_filename:
            left -= 1
            if left == 0:
                sys.setprofile(None)
                print("sent", flush=True)
                os.kill(os.getpid(), number)
    enter = SignalWatch.__enter__
    def enter_and_look(watch):
        entered = enter(watch)
        sys.setprofile(look)
        return entered
    SignalWatch.__enter__ = enter_and_look

def run(log, arguments, signal):
    file = open(log, "w")
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    sys.argv = ["colorgan", *arguments]
    if signal:
        send(*signal)
    colorgan.cli.app.main()

def wait(pid, deadline_s):
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "it did not end"

for line in sys.stdin:
    told = json.loads(line)
    pid = os.fork()
    if pid == 0:
        run(told["log"], told["arguments"], told["signal"])
    print(json.dumps(pid), flush=True)
    print(json.dumps(wait(pid, told["deadline_s"])), flush=True)
"""


class Nursery:
    """Runs commands one after the other.

    Args:
        process: the process that runs `_CODE`.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def start(self, log: Path, *arguments: object, signal: tuple[int, int, str] | None = None) -> int:
        """Start a command, and return its process ID.

        Args:
            log: the file for its output.
            arguments: of `colorgan`.
            signal: a signal to send: its number, and the number of the call or return at which it is sent, counted
                in files whose path contains this string. The log then has a line "sent".
        """
        told = {
            "log": str(log),
            "arguments": [str(argument) for argument in arguments],
            "signal": signal,
            "deadline_s": DEADLINE_S,
        }
        print(json.dumps(told), file=self._process.stdin, flush=True)
        return int(self._answer())

    def wait(self) -> int | str:
        """Return the exit code of the command, negative if a signal killed it; a message if it did not end in time."""
        return self._answer()

    def _answer(self) -> int | str:
        return json.loads(self._process.stdout.readline())


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Start a nursery, and stop it at the end."""
    with running([sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield Nursery(process)
        process.communicate(timeout=DEADLINE_S)
