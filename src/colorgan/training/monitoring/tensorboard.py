"""TensorBoard events: a view of `metrics.jsonl` for those who watch several runs side by side."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from colorgan.errors import UsageError, missing_extra
from colorgan.training.monitoring.curves import figures_of


def check_tensorboard(folder: Path) -> None:
    """Check that events can be written into a run folder.

    Raises:
        UsageError: TensorBoard is not installed, or does not accept the folder's name.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise missing_extra("what TensorBoard's events need", "tensorboard", parameter="tensorboard")
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError as error:
        found = "one that is not UTF-8"
        raise UsageError(f"a name that TensorBoard takes for {folder}", found, "Leave `tensorboard` out.") from error


class Events:
    """A writer of a run's log lines as TensorBoard events into `tensorboard/`, beginning with `lines`.

    Events of an earlier sitting are replaced: a killed one lacks some, and writing a whole log takes a second.
    """

    def __init__(self, folder: Path, lines: Iterable[dict[str, Any]]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        shutil.rmtree(folder / "tensorboard", ignore_errors=True)
        self._writer = SummaryWriter(folder / "tensorboard")
        for line in lines:
            self.write(line)

    def write(self, line: dict[str, Any]) -> None:
        """Write one line: each finite figure as a scalar named kind/figure, a trouble as text."""
        if line["kind"] == "trouble":
            self._writer.add_text("trouble", f"{line['name']}. {line['found']} {line['advice']}", line["step"])
            return
        for name, value in figures_of(line).items():
            self._writer.add_scalar(f"{line['kind']}/{name}", value, line["step"])

    def flush(self) -> None:
        """Write buffered events to disk, where TensorBoard sees them."""
        self._writer.flush()

    def close(self) -> None:
        """Write buffered events, and close the file."""
        self._writer.close()
