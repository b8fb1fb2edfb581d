import pytest

from colorgan.comparison.formatting import difference_in_words
from colorgan.metrics.bootstrap import Interval


@pytest.mark.parametrize(
    ("figure", "interval", "words"),
    [
        ("cf_hs", (3.1, 2.2, 4.0), "gan has more colorfulness than eccv16 by 3.1 [2.2, 4.0]"),
        ("cf_hs", (-3.1, -4.0, -2.2), "eccv16 has more colorfulness than gan by 3.1 [2.2, 4.0]"),
        ("cf", (3.1, 2.2, 4.0), "gan has more colorfulness (abs.) than eccv16 by 3.1 [2.2, 4.0]"),
        ("ciede2000", (-0.52, -0.74, -0.31), "gan is better than eccv16 in CIEDE2000 by 0.52 [0.31, 0.74]"),
        ("ciede2000", (0.52, 0.31, 0.74), "eccv16 is better than gan in CIEDE2000 by 0.52 [0.31, 0.74]"),
        ("auc", (1.5, 1.0, 2.0), "gan is better than eccv16 in AuC by 1.50 points [1.00, 2.00]"),
        ("psnr", (-0.5, -0.75, -0.25), "eccv16 is better than gan in PSNR by 0.50 dB [0.25, 0.75]"),
        ("ciede2000", (0.1, -0.2, 0.4), "no certain difference in CIEDE2000 between gan and eccv16 on 40 photos"),
    ],
)
def test_a_difference_is_said_of_the_row_that_is_ahead(
    figure: str, interval: tuple[float, float, float], words: str
) -> None:
    assert difference_in_words(figure, "gan", "eccv16", Interval(*interval, photos=40)) == words


def test_under_ten_photos_tell_no_difference() -> None:
    words = difference_in_words("psnr", "a", "b", Interval(3.0, 2.0, 4.0, photos=9))
    assert words == "no certain difference in PSNR between a and b on 9 photos"
    assert difference_in_words("psnr", "a", "b", Interval(3.0, 2.0, 4.0, photos=10)).startswith("a is better")


def test_one_photo_tells_no_difference() -> None:
    nan = float("nan")
    words = difference_in_words("psnr", "a", "b", Interval(3.0, nan, nan, photos=1))
    assert words == "no certain difference in PSNR between a and b on 1 photo"
