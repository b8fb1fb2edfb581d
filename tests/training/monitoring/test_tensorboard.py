import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from colorgan.errors import UsageError
from colorgan.training.monitoring.tensorboard import Events, check_tensorboard

TENSORBOARD = importlib.util.find_spec("tensorboard") is not None
needs_tensorboard = pytest.mark.skipif(not TENSORBOARD, reason="the extra tensorboard is not installed")


def line(kind: str, step: int, **figures: Any) -> dict[str, Any]:
    return {"kind": kind, "step": step, "epoch": 1, "elapsed_s": 2.0} | figures


def read_back(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    events = read_back(folder)
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@needs_tensorboard
def test_each_finite_figure_is_an_event_and_a_trouble_is_text(tmp_path: Path) -> None:
    events = Events(tmp_path, [])
    events.write(line("train", 5, d_loss=0.5, g_l1="nan"))
    events.write(line("validation", 5, auc=88.0, photos=8))
    events.write(
        line("trouble", 5, name="the discriminator is saturated", found="Its loss.", advice="Try this.", since=1)
    )
    events.close()
    assert scalars(tmp_path) == {"train/d_loss": [(5, 0.5)], "validation/auc": [(5, 88.0)]}
    (text,) = read_back(tmp_path).Tensors("trouble/text_summary")
    assert b"the discriminator is saturated. Its loss. Try this." in text.tensor_proto.string_val[0]


@needs_tensorboard
def test_a_later_sitting_begins_with_the_lines_that_are_there_and_doubles_none(tmp_path: Path) -> None:
    first = Events(tmp_path, [])
    first.write(line("train", 1, loss=4.0))
    first.close()
    log = [line("train", 1, loss=4.0), line("train", 2, loss=3.0)]  # the second was lost with a killed process
    second = Events(tmp_path, log)
    second.write(line("train", 3, loss=2.0))
    second.close()
    assert scalars(tmp_path) == {"train/loss": [(1, 4.0), (2, 3.0), (3, 2.0)]}


def test_without_tensorboard_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"colorgan\[tensorboard\]"):
        check_tensorboard(Path("run"))


@needs_tensorboard
def test_a_folder_that_tensorboard_cannot_name_is_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        check_tensorboard(Path(os.fsdecode(b"r\xe9n")))
