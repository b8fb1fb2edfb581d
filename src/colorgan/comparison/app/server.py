"""Start and stop the app's server, with settings of Streamlit that no configuration file can override."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.errors import OutputError, missing_extra

ADDRESS = "127.0.0.1"
MOST_MB = 25
STOPPED = "The app has stopped; it kept nothing."
_VARIABLE = "COLORGAN_APP"
_GRACE_S = 5.0  # between SIGTERM and SIGKILL
_POLL_S = 0.1
# Passed as options of `streamlit run`, which override every config.toml.
_SETTINGS = {
    "server.address": ADDRESS,
    "server.maxUploadSize": MOST_MB,
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.headless": True,
    "server.showEmailPrompt": False,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.baseUrlPath": "",
    "server.sslCertFile": "",
    "server.sslKeyFile": "",
    "browser.serverAddress": ADDRESS,
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "logger.level": "warning",
}
# Passed as environment variables, which older versions ignore. ALLOWED_HOSTS prevents DNS rebinding: a site could
# otherwise reach the app by a domain of its own that resolves to this machine.
_NEWER = {"STREAMLIT_SERVER_ENABLE_AGENT_API": "false", "STREAMLIT_SERVER_ALLOWED_HOSTS": f"{ADDRESS} localhost"}


@dataclass(frozen=True)
class AppOptions:
    """Options of the app.

    Attributes:
        models: names, or paths of weights; empty for every available model.
        device: of the networks.
        size: pixels, side of the square that is measured.
    """

    models: tuple[str, ...] = ()
    device: str = "auto"
    size: int = 256

    @classmethod
    def from_environment(cls) -> AppOptions:
        """Read the options that `serve` passed in the environment."""
        found = json.loads(os.environ.get(_VARIABLE, "{}"))
        return cls(**found | {"models": tuple(found.get("models", ()))})


def check_app() -> None:
    """Check that the app can run.

    Raises:
        UsageError: its extra is not installed.
    """
    if importlib.util.find_spec("streamlit") is None:
        raise missing_extra("what the app needs", "app")


def serve(options: AppOptions, port: int | None, started: Callable[[str], None], callbacks: Callbacks) -> NoReturn:
    """Run the app until `callbacks.should_stop` asks to stop.

    Args:
        options: of the app.
        port: on which it listens; None for 8501, or the next free one.
        started: called with its URL.
        callbacks: only `should_stop` is used.

    Raises:
        OutputError: it could not start, or ended by itself.
        Interrupted: it was stopped, the normal end.
    """
    # In the same process group: closing the terminal, or Ctrl-C in it, ends both.
    server = subprocess.Popen(
        _command(port),
        env=_environment(options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        _follow(server, started, callbacks)
    except KeyboardInterrupt:  # the second Ctrl-C
        pass
    finally:
        _end(server)
    StopCheck(callbacks, STOPPED)()
    where = f"port {port}" if port else "a free port"
    advice = "Choose another port, or see what it printed above."
    raise OutputError(f"an app on {where}", f"it ended with exit code {server.returncode}", advice)


def _command(port: int | None) -> list[str]:
    settings = _SETTINGS | ({"server.port": port} if port else {})
    script = str(Path(__file__).with_name("app.py"))
    flags = [f"--{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in settings.items()]
    return [sys.executable, "-m", "streamlit", "run", script, *flags]


def _environment(options: AppOptions) -> dict[str, str]:
    """Return the server's environment, without the user's settings for other Streamlit apps."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STREAMLIT_")}
    return kept | _NEWER | {_VARIABLE: json.dumps(asdict(options))}


def _follow(server: subprocess.Popen[str], started: Callable[[str], None], callbacks: Callbacks) -> None:
    """Read the server's output until it ends or should stop; `started` is called with the first URL in it."""
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # In a thread, since a blocking read would delay the handling of signals.
    threading.Thread(target=_read_lines, args=(server, lines), daemon=True).start()
    is_started = False
    while callbacks.should_stop() is None:
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            continue
        if line is None:
            return
        found = re.search(r"http://\S+", line)
        if found and not is_started:
            is_started = True
            started(found[0])


def _read_lines(server: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    """Put each line of the server's output into the queue, and None at its end."""
    assert server.stdout is not None
    with server.stdout:
        for line in server.stdout:
            lines.put(line)
    lines.put(None)


def _end(server: subprocess.Popen[str]) -> None:
    server.terminate()
    try:
        server.wait(_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()
        server.wait()
