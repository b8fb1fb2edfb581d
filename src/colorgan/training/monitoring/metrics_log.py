"""`metrics.jsonl`: the log of a run, one JSON object per line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from colorgan.errors import CheckpointError
from colorgan.metrics.registry import with_current_names


def _jsonable(value: Any) -> Any:
    # JSON has no NaN; a line that only Python reads back is no JSON.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class MetricsLog:
    """`metrics.jsonl`: one line per log step and per validation, only ever appended to.

    A line that an earlier sitting already wrote (it was stopped after the line, before its next checkpoint) is not
    written again. A half line that a kill left is truncated on opening.

    Args:
        path: the file.
        mirror: called with each line as it is written.

    Raises:
        CheckpointError: the file exists, but is no valid log.
    """

    def __init__(self, path: Path, mirror: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.path, self.mirror = path, mirror
        self._last_step: dict[tuple[str, str], int] = {}
        if os.path.exists(path):
            whole = path.read_bytes()
            whole = whole[: whole.rfind(b"\n") + 1]
            os.truncate(path, len(whole))
            for entry in self.read():
                self._last_step[entry["kind"], entry.get("name", "")] = entry["step"]

    def write(self, kind: str, step: int, entry: Mapping[str, Any]) -> None:
        """Append a line.

        Args:
            kind: what the line is about, such as train or validation.
            step: optimizer steps so far: one line for each step and kind (and name, if the entry has one).
            entry: JSON-serializable.
        """
        key = kind, entry.get("name", "")
        if step <= self._last_step.get(key, -1):
            return
        self._last_step[key] = step
        line = {"kind": kind, "step": step} | {name: _jsonable(value) for name, value in entry.items()}
        with self.path.open("ab") as file:
            file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        if self.mirror:
            self.mirror(line)

    def read(self) -> list[dict[str, Any]]:
        """Read all lines so far.

        Raises:
            CheckpointError: a line is not valid.
        """
        lines = self.path.read_bytes().splitlines() if os.path.exists(self.path) else []
        return [self._parsed(number, line) for number, line in enumerate(lines, start=1)]

    def _parsed(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            entry = json.loads(line)
            if not isinstance(entry["kind"], str) or not isinstance(entry["step"], int):
                raise TypeError("its kind is not a string or its step not a number")
        except (ValueError, KeyError, TypeError) as error:
            found = f"line {number} cannot be read ({type(error).__name__}: {error})"
            raise CheckpointError(f"the log of a run in {self.path}", found, "Delete that line.") from error
        return with_current_names(entry)
