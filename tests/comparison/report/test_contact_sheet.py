import numpy as np
from PIL import Image

from colorgan.comparison.report import contact_sheet
from colorgan.comparison.report.contact_sheet import sheet


def plain(level: int, width: int = 60, height: int = 40) -> Image.Image:
    return Image.new("RGB", (width, height), (level, 0, 0))  # no letter has such a color


def test_pictures_stand_side_by_side_whole_and_under_their_names() -> None:
    found = np.asarray(sheet({"gray": plain(50), "gan": plain(100), "original": plain(150)}))
    for level in (50, 100, 150):
        rows, columns = np.nonzero((found == (level, 0, 0)).all(axis=2))
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1, len(rows)) == (40, 60, 40 * 60)
    labels = found[: np.nonzero((found == (50, 0, 0)).all(axis=2))[0].min()]
    inked = np.nonzero((labels < 100).all(axis=2))[1]
    cell = (found.shape[1] - 8) // 3
    assert {(int(column) - 8) // cell for column in inked} == {0, 1, 2}  # each of the three has letters above it


def test_what_does_not_fit_beside_goes_below() -> None:
    width = contact_sheet.MOST_WIDTH_PX // 2 + 1
    found = sheet({"a": plain(50, width), "b": plain(100, width)})
    assert found.width <= contact_sheet.MOST_WIDTH_PX
    assert found.height > 2 * 40


def test_long_and_foreign_names_neither_fail_nor_reach_into_the_next_picture() -> None:
    found = np.asarray(sheet({"модель" * 30: plain(50), "b": plain(100)}))
    second = np.nonzero((found == (100, 0, 0)).all(axis=2))[1].min()
    assert (found[:28, second - 8 : second] == 255).all()


def test_names_that_begin_alike_are_told_apart_under_narrow_pictures() -> None:
    names = np.asarray(sheet({"compact": plain(50), "compact-gan": plain(100)}))[:28]
    _, left, right = np.split(names, [8, 8 + (names.shape[1] - 8) // 2], axis=1)
    inked = [np.ptp(np.nonzero((half < 100).all(axis=2))[1]) for half in (left, right)]
    assert inked[1] > 1.2 * inked[0]
