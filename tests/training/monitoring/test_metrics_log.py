import json
from pathlib import Path
from typing import Any

import pytest

from colorgan.errors import CheckpointError
from colorgan.training.monitoring.metrics_log import MetricsLog


def test_a_reopened_log_takes_no_line_twice_and_mends_a_torn_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    for step in (1, 2, 3):
        log.write("train", step, {"loss": float(step)})
    with path.open("ab") as file:
        file.write(b'{"kind": "train", "st')
    log = MetricsLog(path)
    for step in (2, 3, 4):
        log.write("train", step, {"loss": float(step)})
    log.write("validation", 3, {"auc": 88.0})
    assert [(line["kind"], line["step"]) for line in log.read()] == [
        ("train", 1),
        ("train", 2),
        ("train", 3),
        ("train", 4),
        ("validation", 3),
    ]


def test_lines_of_one_kind_and_step_with_names_of_their_own_all_stand(tmp_path: Path) -> None:
    for _ in range(2):
        log = MetricsLog(tmp_path / "metrics.jsonl")
        log.write("trouble", 7, {"name": "one"})
        log.write("trouble", 7, {"name": "another"})
    assert [line["name"] for line in log.read()] == ["one", "another"]


def test_every_line_is_json_that_any_program_reads(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write("train", 1, {"loss": float("nan"), "other": float("-inf")})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for line in log.path.read_text().splitlines():
        assert json.loads(line, parse_constant=refuse) == {"kind": "train", "step": 1, "loss": "nan", "other": "-inf"}


def test_the_mirror_sees_each_line_once_as_it_stands_in_the_file(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    for _ in range(2):
        log = MetricsLog(tmp_path / "metrics.jsonl", seen.append)
        log.write("train", 1, {"loss": 0.5})
    assert seen == log.read()


def test_a_line_of_an_earlier_version_has_metrics_under_the_names_that_they_bear_now(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "validation", "step": 8, "epoch": 1, "auc": 88.0, "spill": 40.0, "grey_chroma": 2.5}\n')
    (line,) = MetricsLog(path).read()
    assert {name: line[name] for name in ("auc", "color_bleeding", "gray_chroma")} == {
        "auc": 88.0,
        "color_bleeding": 40.0,
        "gray_chroma": 2.5,
    }
    assert "spill" not in line


@pytest.mark.parametrize("line", ["no json", "[]", "{}", '{"kind": 1, "step": 2}', '{"kind": "train", "step": "x"}'])
def test_a_damaged_line_is_named_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "train", "step": 1}\n' + line + "\n")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: line 2"):
        MetricsLog(path)
