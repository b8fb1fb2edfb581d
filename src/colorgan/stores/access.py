"""Stores of objects through fsspec: which file system is an address's, and what keeps one from being used here."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any

import truststore

from colorgan.addresses import shown_address, split_address
from colorgan.errors import UsageError, missing_extra
from colorgan.stores.answers import explained

S3 = ("s3", "s3a")
WEB = ("http", "https")


def check_address(address: str, what: str = "photos") -> None:
    """Refuse an address, of photos or `what` there is, that cannot be meant, or for which something is missing here.

    Raises:
        UsageError: no connection is allowed, the package for it is not installed, or it holds a password.
    """
    scheme, rest = split_address(address)
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        advice = "Leave it out: credentials are taken from the environment."
        raise UsageError("an address without a password", shown_address(address), advice)
    if scheme != "memory" and os.environ.get("COLORGAN_OFFLINE", "") not in ("", "0"):
        found = f"{shown_address(address)}, and COLORGAN_OFFLINE is set"
        raise UsageError(f"{what} on this machine's disks", found, "Unset it, or name a folder.")
    file_system(address)


def file_system(address: str) -> Any:
    """The fsspec file system of an address, without a cache of listings.

    Raises:
        UsageError: the package for it is not installed, or it is of no known kind.
    """
    scheme = split_address(address)[0]
    try:
        import fsspec

        more = {"ssl": _trusted()} if scheme in WEB else {}
        return fsspec.filesystem(scheme, use_listings_cache=False, **more)
    except ImportError as error:
        needed = f"what {scheme}:// needs"
        if scheme in (*S3, *WEB):
            raise missing_extra(needed, "cloud") from None
        raise UsageError(needed, f"a package for {scheme}:// is missing", f"{error}.") from None
    except ValueError:
        advice = "Known are s3://, https://, and what fsspec knows: gs:// with gcsfs, abfs:// with adlfs."
        raise UsageError("a kind of address that is known", f"{scheme}://", advice) from None


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates of the system; one object, since fsspec keeps a file system for each."""
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def read_bytes(address: str, start: int | None = None, end: int | None = None) -> bytes:
    """Read an object that has to be there, or a part of it; what a store answers is raised in words of our own."""
    with explained("to read", address, is_place=True):
        data: bytes = file_system(address).cat_file(object_name(address), start=start, end=end)
        return data


def object_name(address: str) -> str:
    """What a store calls an object: for the web the whole address, for others what follows the scheme."""
    scheme, path = split_address(address)
    return address if scheme in WEB else path
