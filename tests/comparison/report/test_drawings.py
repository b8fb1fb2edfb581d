import pytest

from colorgan.comparison.report.drawings import chroma_at
from colorgan.comparison.results import CHROMA_BINS, CHROMA_STEP


def test_pixels_are_spread_evenly_in_their_bin() -> None:
    shares = [0.5, 0.0, 0.25, 0.25] + [0.0] * (CHROMA_BINS - 4)
    assert chroma_at(shares, 0.25) == pytest.approx(CHROMA_STEP * 0.5)
    assert chroma_at(shares, 0.5) == pytest.approx(CHROMA_STEP)
    assert chroma_at(shares, 0.95) == pytest.approx(CHROMA_STEP * 3.8)


def test_the_last_bin_is_open() -> None:
    assert chroma_at([0.0] * CHROMA_BINS, 0.5) == CHROMA_STEP * CHROMA_BINS
    assert chroma_at([0.1] + [0.0] * (CHROMA_BINS - 2) + [0.9], 1.0) == pytest.approx(CHROMA_STEP * CHROMA_BINS)
