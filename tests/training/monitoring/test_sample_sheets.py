import base64
import io
import os
from pathlib import Path

import torch
from PIL import Image

from colorgan.training.monitoring.sample_sheets import EMBEDDED_PX, HEAD_PX, MOST_EMBEDDED, embed_sheets, write_sheet


def sheet(folder: Path, epoch: int, side: int = 24) -> Path:
    """Write a sheet of four photos that are red, and predicted as green."""
    L = torch.full((4, 1, 16, side), 60.0)
    truth = torch.zeros(4, 2, 16, side)
    truth[:, 0] = 60.0
    path = folder / f"epoch-{epoch:03d}.jpg"
    write_sheet(path, epoch, L, -truth, truth)
    return path


def opened(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))


def test_a_sheet_has_a_head_a_row_per_photo_and_three_columns(tmp_path: Path) -> None:
    with Image.open(sheet(tmp_path, 1)) as image:
        assert image.size == (3 * 24, HEAD_PX + 4 * 16)
        gray, predicted, true = (image.getpixel((x, HEAD_PX + 20)) for x in (8, 36, 60))
    assert max(gray) - min(gray) < 6
    assert predicted[1] > predicted[0] + 30
    assert true[0] > true[1] + 30


def test_the_head_names_the_epoch_and_the_columns(tmp_path: Path) -> None:
    with Image.open(sheet(tmp_path, 1, side=100)) as one, Image.open(sheet(tmp_path, 2, side=100)) as two:
        first, second = (image.crop((0, 0, 300, HEAD_PX)).convert("L") for image in (one, two))
    dark = [first.crop((left, 20, left + 100, HEAD_PX)).getextrema()[0] for left in (0, 100, 200)]
    assert max(dark) < 100  # a title over each column
    assert first.crop((0, 0, 300, 20)).tobytes() != second.crop((0, 0, 300, 20)).tobytes()


def test_the_sheets_of_a_run_are_embedded_in_the_order_of_the_epochs(tmp_path: Path) -> None:
    assert embed_sheets(tmp_path, best_epoch=1) is None
    for epoch in (0, 1, 2, 1000):
        sheet(tmp_path, epoch)
    sheets = embed_sheets(tmp_path, best_epoch=1)
    assert sheets is not None
    assert list(sheets.predicted) == [0, 1, 2, 1000]
    gray, predicted, true = (opened(address) for address in (sheets.gray, sheets.predicted[2], sheets.true))
    assert gray.size == predicted.size == true.size == (24, 64)
    assert max(gray.getpixel((12, 20))) - min(gray.getpixel((12, 20))) < 6
    assert predicted.getpixel((12, 20))[1] > predicted.getpixel((12, 20))[0] + 30
    assert true.getpixel((12, 20))[0] > true.getpixel((12, 20))[1] + 30


def test_a_sheet_that_was_drawn_again_is_embedded_anew(tmp_path: Path) -> None:
    before = embed_sheets(sheet(tmp_path, 1).parent, best_epoch=1)
    L, gray = torch.full((4, 1, 16, 24), 60.0), torch.zeros(4, 2, 16, 24)
    write_sheet(tmp_path / "epoch-001.jpg", 1, L, gray, gray)
    os.utime(tmp_path / "epoch-001.jpg", ns=(1, 1))
    after = embed_sheets(tmp_path, best_epoch=1)
    assert before is not None
    assert after is not None
    assert before.predicted[1] != after.predicted[1]
    assert before.true != after.true


def test_large_photos_are_embedded_small(tmp_path: Path) -> None:
    sheet(tmp_path, 1, side=2 * EMBEDDED_PX)
    sheets = embed_sheets(tmp_path, best_epoch=1)
    assert sheets is not None
    assert opened(sheets.gray).size == (EMBEDDED_PX, 32)


def test_the_sheets_of_a_long_run_are_thinned_but_for_the_first_the_kept_and_the_last(tmp_path: Path) -> None:
    count = 3 * MOST_EMBEDDED
    whole = sheet(tmp_path, 0).read_bytes()
    for epoch in range(1, count):
        (tmp_path / f"epoch-{epoch:03d}.jpg").write_bytes(whole)
    sheets = embed_sheets(tmp_path, best_epoch=101)
    assert sheets is not None
    epochs = list(sheets.predicted)
    assert len(epochs) <= MOST_EMBEDDED + 1
    assert epochs == sorted(epochs)
    assert {0, 101, count - 1} <= set(epochs)
