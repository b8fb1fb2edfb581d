"""What lies in a store of objects is named by an address, such as s3://bucket/photos, what lies on a disk by a path."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TypeAlias

from colorgan.errors import UsageError

Paths: TypeAlias = "str | os.PathLike[str] | Iterable[str | os.PathLike[str]]"
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?=[^/])")  # of one slash where it went through a Path


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether it is no path on this machine's disks, but an address such as s3://bucket/photos."""
    return _ADDRESS.match(os.fspath(path)) is not None


def split_address(address: str) -> tuple[str, str]:
    """The scheme of an address, in small letters, and what follows it."""
    match = _ADDRESS.match(address)
    if match is None:
        raise ValueError("no address")
    return match[1].lower(), address[match.end() :]


def whole_address(path: str | os.PathLike[str]) -> str:
    """An address with both of its slashes, of which one is lost where it went through a Path."""
    scheme, rest = split_address(os.fspath(path))
    return f"{scheme}://{rest}"


def shown_address(path: str) -> str:
    """A path or an address as it may be printed: without a password, and for the web without what may sign it."""
    if not is_address(path):
        return path
    scheme, rest = split_address(path)
    if scheme in ("http", "https"):
        rest = rest.partition("?")[0].partition("#")[0]
    host, slash, below = rest.partition("/")
    user, at, name = host.rpartition("@")
    return f"{scheme}://{name if ':' in user else user + at + name}{slash}{below}"


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that any terminal takes, also where its name is not UTF-8."""
    return os.fsencode(path).decode(errors="replace")


def path_list(paths: Paths) -> list[str]:
    """One path or several as a list; the letters of a text are no paths."""
    return [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


def refuse_addresses(paths: Iterable[str | os.PathLike[str]], doing: str) -> None:
    """Refuse addresses where photos have to lie on a disk.

    Args:
        paths: of photos.
        doing: what they are for, in words.

    Raises:
        UsageError: one is an address.
    """
    for path in paths:
        if is_address(path):
            advice = "Bring the photos to a disk first, for example with `aws s3 sync`."
            raise UsageError(f"photos on a disk for {doing}", f"the address {shown_address(os.fspath(path))}", advice)
