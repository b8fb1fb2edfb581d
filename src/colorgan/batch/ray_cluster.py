"""Joining a Ray cluster: one at an address, one that runs here, or one started for the run."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from colorgan.errors import DeviceError, UsageError, missing_extra, reason_of

_CONNECT_S = 5.0
_MEMORY_BYTES = 200_000_000  # of Ray's object store, which holds only the weights


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Yield the `ray` module, connected to a cluster, and disconnect on exit.

    The cluster is the one that this process has joined already, else the one at HOST:PORT, or for `auto` that of
    RAY_ADDRESS, one that runs here, or a new one.

    Raises:
        UsageError: Ray is not installed, or the address is malformed.
        DeviceError: no cluster answers.
    """
    # Read when Ray is imported, here and in its workers; the last keeps messages on dead nodes off standard output.
    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DEDUP_LOGS": "1",
        "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
    }
    try:
        import ray
    except ImportError as error:
        raise missing_extra("what a Ray cluster needs", "ray") from error
    if ray.is_initialized():
        yield ray
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _join(ray, address)
    finally:
        if threading.current_thread() is threading.main_thread():  # Ray replaces the handler of SIGTERM
            for number, handler in handlers.items():
                signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()


def _join(ray: Any, address: str) -> None:
    quiet: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    where = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    if where:
        _check_answers(where)
    try:
        try:
            ray.init(address=where or "auto", **quiet)
        except ConnectionError:
            if where:
                raise
            os.environ.pop("RAY_ADDRESS", None)
            ray.init(address="local", include_dashboard=False, object_store_memory=_MEMORY_BYTES, **quiet)
    except Exception as error:
        found = last_line_of(error)
        advice = "Check the address, and that Ray has the same version there; or give `auto` to start one here."
        raise DeviceError(f"a Ray cluster at {where or 'this machine'}", found, advice, parameter="ray") from error


def _check_answers(address: str) -> None:
    """Raise unless something listens at the address: Ray itself would retry for minutes, and then end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    expected = f"a Ray cluster at {address}"
    if not port.isdecimal():
        raise UsageError("`auto`, or the address of a Ray cluster", repr(address), "Give HOST:PORT.", parameter="ray")
    try:
        socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), timeout=_CONNECT_S).close()
    except OSError as error:
        found = f"nothing answers there ({reason_of(error)})"
        advice = "Start one there with `ray start --head`, or give `auto` to start one here."
        raise DeviceError(expected, found, advice, parameter="ray") from error


def last_line_of(error: Exception) -> str:
    """Return the last nonempty line of an error's text, which in Ray's tracebacks names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
