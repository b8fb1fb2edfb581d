from __future__ import annotations

from pathlib import Path

import pytest

from colorgan.addresses import is_address, refuse_addresses, shown_address
from colorgan.errors import UsageError


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("s3://bucket/a?b", "s3://bucket/a?b"),
        ("https://user:word@host/a.jpg?Signature=secret#x", "https://host/a.jpg"),
        ("http://user:p@ss@host/a/b.jpg?one?two#x", "http://host/a/b.jpg"),
        ("http://host/a.jpg#secret", "http://host/a.jpg"),
        ("abfs://container@account.example/a", "abfs://container@account.example/a"),
        ("/photos/a?b", "/photos/a?b"),
        ("C:/photos", "C:/photos"),
    ],
)
def test_an_address_is_shown_without_what_is_secret(path: str, expected: str) -> None:
    assert shown_address(path) == expected
    assert is_address(path) == (":" in path and not path.startswith("C"))


@pytest.mark.parametrize("path", ["s3://bucket/photos", Path("s3://bucket/photos")])
def test_where_photos_have_to_lie_on_a_disk_an_address_is_refused_with_a_way_out(path: str | Path) -> None:
    refuse_addresses(["photos"], "a set")
    with pytest.raises(UsageError, match=r"photos on a disk for a set: the address s3://bucket/photos.*aws s3 sync"):
        refuse_addresses([path], "a set")
