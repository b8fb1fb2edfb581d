import json
from pathlib import Path

import torch
from PIL import Image

from colorgan.training.curves import draw_curves, series
from colorgan.training.monitor import MetricsLog, write_sheet


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


def test_every_line_is_json_that_any_program_reads(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write("train", 1, {"loss": float("nan")})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for line in log.path.read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_sheet_has_a_row_per_photo_and_three_columns(tmp_path: Path) -> None:
    L = torch.full((4, 1, 16, 24), 60.0)
    truth = torch.zeros(4, 2, 16, 24)
    truth[:, 0] = 60.0
    write_sheet(tmp_path / "epoch-001.jpg", L, -truth, truth)
    with Image.open(tmp_path / "epoch-001.jpg") as sheet:
        assert sheet.size == (3 * 24, 4 * 16)
        grey, predicted, true = (sheet.getpixel((x, 20)) for x in (8, 36, 60))
    assert max(grey) - min(grey) < 6
    assert predicted[1] > predicted[0] + 30
    assert true[0] > true[1] + 30


def test_curves_show_every_finite_figure(tmp_path: Path) -> None:
    lines = [
        {"kind": "train", "step": step, "epoch": 1, "elapsed_s": 1.0, "loss": 1.0 / step, "odd": "nan"}
        for step in range(1, 5)
    ] + [{"kind": "validation", "step": 4, "auc": 88.0}]
    assert set(series(lines)) == {"train loss", "validation auc"}
    draw_curves(tmp_path / "curves.png", lines)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.width > image.height
        assert len(image.getcolors(1000)) > 4


def test_a_log_without_figures_draws_nothing(tmp_path: Path) -> None:
    draw_curves(tmp_path / "curves.png", [])
    assert not (tmp_path / "curves.png").exists()
