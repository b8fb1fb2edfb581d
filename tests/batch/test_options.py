from __future__ import annotations

import pytest

from colorgan.batch.options import BatchOptions, settings_digest
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import UsageError


@pytest.mark.parametrize(("name", "value"), [("workers", 0), ("workers", 257), ("batch_size", 0)])
def test_a_number_out_of_its_range_is_wrong_usage_of_that_parameter(name: str, value: int) -> None:
    with pytest.raises(UsageError) as caught:
        BatchOptions(**{name: value})
    assert caught.value.parameter == name


def test_the_digest_is_the_one_in_the_journals_of_the_first_version() -> None:
    bold = ColorizeOptions(
        0.5, 0.7, 200, "square", True, 3, 4, True, quality=80, keep_metadata=False, mark=False, bit_depth=16
    )
    assert settings_digest(ColorizeOptions(), "m fp32").hex() == "6d2a516bcb1c32c39da8fbafecc40556"
    assert settings_digest(bold, "abc auto").hex() == "d3c38e790583ef238aae61ad28546e3a"


@pytest.mark.parametrize("change", [{"max_megapixels": 1.0}, {"format": "png"}])
def test_what_changes_no_pixel_and_no_byte_of_a_result_of_that_name_is_not_in_the_digest(
    change: dict[str, object],
) -> None:
    assert settings_digest(ColorizeOptions(**change), "m") == settings_digest(ColorizeOptions(), "m")
