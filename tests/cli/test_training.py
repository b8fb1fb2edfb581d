"""What the two commands that train print, without a training."""

from __future__ import annotations

import re

import pytest

from colorgan.callbacks import TrainingStep
from colorgan.cli.console import Console
from colorgan.cli.training import TrainingBar
from colorgan.signals import SignalWatch

TERMS = {"d_loss": 0.1234, "g_loss": 123.4, "g_adversarial": 1.5, "g_l1": 9.876}


def shown(columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The last line of a bar in a terminal of so many columns, a quarter of the way through a run of minutes."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    clock = 0.0
    with TrainingBar(Console(), SignalWatch()) as painted:
        painted.bar.get_time = lambda: clock
        for batch in range(1, 6):
            clock = 30.0 * batch
            painted.on_step(TrainingStep(12, 1200 + batch, 1234, 480 * batch, clock, 0.05 * batch, TERMS))
        painted.bar.refresh()
    return re.split(r"[\r\n]", re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", capsys.readouterr().err).strip())[-1]


def test_time_left_stays_on_the_bar_at_80_columns_and_losses_give_way_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow, wide = (shown(columns, monkeypatch, capsys) for columns in (80, 160))
    for line in (narrow, wide):
        assert re.search(r" 25% 0:07:3\d epoch 12, batch 1205 of 1234  16 photos/s(  \w+ [\d.]+)*$", line)
    assert "g_l1" not in narrow
    assert "g_l1 9.876" in wide
    assert len(narrow) <= 80


def test_in_less_room_the_words_are_cut_and_time_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(r" 25% 0:07:3\d epoch 12", shown(60, monkeypatch, capsys))
