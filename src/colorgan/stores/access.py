"""Access to object stores through fsspec: checking addresses, their file systems, and reading bytes."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any

import truststore

from colorgan.addresses import shown_address, split_address
from colorgan.errors import UsageError, missing_extra
from colorgan.stores.answers import converting_store_errors

S3 = ("s3", "s3a")
WEB = ("http", "https")


def check_address(address: str, what: str = "photos") -> None:
    """Refuse an address that cannot be used here; `what` names what is at it, for the message.

    Raises:
        UsageError: connections are not allowed, the package for its scheme is not installed, or it has a password.
    """
    scheme, rest = split_address(address)
    if ":" in rest.partition("/")[0].rpartition("@")[0]:
        advice = "Leave it out: credentials come from the environment."
        raise UsageError("an address without a password", shown_address(address), advice)
    if scheme != "memory" and os.environ.get("COLORGAN_OFFLINE", "") not in ("", "0"):
        found = f"{shown_address(address)}, and COLORGAN_OFFLINE is set"
        raise UsageError(f"{what} on this machine's disks", found, "Unset it, or name a folder.")
    file_system(address)


def file_system(address: str) -> Any:
    """Return the fsspec file system of an address, without a cache of listings.

    Raises:
        UsageError: the package for its scheme is not installed, or the scheme is unknown.
    """
    scheme = split_address(address)[0]
    try:
        import fsspec

        more = {"ssl": _system_certificates()} if scheme in WEB else {}
        return fsspec.filesystem(scheme, use_listings_cache=False, **more)
    except ImportError as error:
        needed = f"what {scheme}:// needs"
        if scheme in (*S3, *WEB):
            raise missing_extra(needed, "cloud") from None
        raise UsageError(needed, f"a package for {scheme}:// is missing", f"{error}.") from None
    except ValueError:
        advice = "Use s3://, https://, or what fsspec supports: gs:// with gcsfs, abfs:// with adlfs."
        raise UsageError("a supported kind of address", f"{scheme}://", advice) from None


@cache
def _system_certificates() -> ssl.SSLContext:
    """Return one context with the system's certificates: fsspec keeps a file system for each that it is given."""
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def read_bytes(address: str, start: int | None = None, end: int | None = None) -> bytes:
    """Read an object, or its bytes from `start` up to `end`, raising errors as `converting_store_errors` does."""
    with converting_store_errors("to read", address, is_place=True):
        data: bytes = file_system(address).cat_file(object_name(address), start=start, end=end)
        return data


def object_name(address: str) -> str:
    """Return an object's name for fsspec: the whole address for the web, else the part after the scheme."""
    scheme, path = split_address(address)
    return address if scheme in WEB else path
