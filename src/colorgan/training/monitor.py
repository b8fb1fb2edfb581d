"""What a run says of itself while it goes: `metrics.jsonl` and the sample sheets."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from colorgan.color.lab import lab_to_rgb
from colorgan.media.files import atomic_write

SHEET_PHOTOS = 8


def _jsonable(value: Any) -> Any:
    # JSON has no NaN; a line that only Python reads back is no JSON.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class MetricsLog:
    """`metrics.jsonl`: one line per log step and per validation, only ever appended to.

    A line that an earlier sitting wrote already (it was stopped after the line and before its next checkpoint) is not
    written again. The half line that a kill can leave is taken off on opening.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last_step: dict[str, int] = {}
        if path.exists():
            whole = path.read_bytes()
            whole = whole[: whole.rfind(b"\n") + 1]
            os.truncate(path, len(whole))
            for line in whole.splitlines():
                entry = json.loads(line)
                self._last_step[entry["kind"]] = entry["step"]

    def write(self, kind: str, step: int, entry: Mapping[str, Any]) -> None:
        """Append a line.

        Args:
            kind: what the line is about, such as train or validation.
            step: optimizer steps so far.
            entry: JSON-serializable.
        """
        if step <= self._last_step.get(kind, -1):
            return
        self._last_step[kind] = step
        line = {"kind": kind, "step": step} | {name: _jsonable(value) for name, value in entry.items()}
        with self.path.open("ab") as file:
            file.write(json.dumps(line).encode() + b"\n")

    def read(self) -> list[dict[str, Any]]:
        """All lines so far."""
        return [json.loads(line) for line in self.path.read_bytes().splitlines()] if self.path.exists() else []


def write_sheet(path: Path, L: Tensor, ab: Tensor, truth: Tensor) -> None:
    """Write a sheet of photos, a row each: grey, predicted, true.

    Args:
        path: a JPEG to be.
        L: (B, 1, H, W), 0..100.
        ab: predicted, (B, 2, H, W), Lab units.
        truth: true, the same.
    """
    columns = [lab_to_rgb(torch.cat([L, colours], 1)) for colours in (torch.zeros_like(ab), ab, truth)]
    rows = torch.cat(columns, dim=3)  # (B, 3, H, 3W)
    sheet = torch.cat(list(rows), dim=1)  # (3, B * H, 3W)
    pixels = (sheet * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    with atomic_write(path) as file:
        Image.fromarray(pixels).save(file, "JPEG", quality=92)
