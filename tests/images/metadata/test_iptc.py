from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorgan.images.metadata.iptc import normalized


def record(number: int, dataset: int, data: bytes, *, is_long: bool = False) -> bytes:
    size = 1 if len(data) < 256 else 4
    length = bytes([0x80, size]) + len(data).to_bytes(size, "big") if is_long else len(data).to_bytes(2, "big")
    return bytes([0x1C, number, dataset]) + length + data


HEADLINE, CAPTION = record(2, 105, b"House"), record(2, 120, b"By the river")


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize(
    ("number", "dataset"), [(1, 20), (2, 130), (2, 202), (3, 20), (3, 60), (7, 90), (8, 10), (9, 10)]
)
def test_what_is_true_of_the_gray_file_alone_goes(number: int, dataset: int, is_long: bool) -> None:
    fact = record(number, dataset, b"\x1cgray", is_long=is_long)
    for before in (fact + HEADLINE + CAPTION, HEADLINE + fact + CAPTION, HEADLINE + CAPTION + fact):
        assert normalized(before) == HEADLINE + CAPTION


def test_all_else_stays_byte_for_byte() -> None:
    before = record(1, 90, b"\x1b%G") + record(2, 0, b"\0\2") + record(2, 120, bytes(40_000), is_long=True) + b"\0"
    assert normalized(before) == before


def test_a_fact_without_a_value_goes_too() -> None:
    assert normalized(HEADLINE + record(2, 130, b"")) == HEADLINE


@given(st.binary(max_size=60), st.integers(0, 60))
def test_damaged_records_stay_as_they_are(noise: bytes, length: int) -> None:
    assert normalized(HEADLINE + b"\0" + noise) == HEADLINE + b"\0" + noise
    cut = (HEADLINE + CAPTION)[:length]
    assert normalized(cut) == cut
