"""Addresses of object stores and web servers, such as s3://bucket/photos, and how they are told from paths on disks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TypeAlias

from colorgan.errors import UsageError

Paths: TypeAlias = "str | os.PathLike[str] | Iterable[str | os.PathLike[str]]"
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(?=[^/])")  # a single slash is left after going through Path


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether it is an address such as s3://bucket/photos, rather than a path on this machine's disks."""
    return _ADDRESS.match(os.fspath(path)) is not None


def split_address(address: str) -> tuple[str, str]:
    """Return the scheme of an address, in lower case, and the part after the slashes."""
    match = _ADDRESS.match(address)
    if match is None:
        raise ValueError("no address")
    return match[1].lower(), address[match.end() :]


def whole_address(path: str | os.PathLike[str]) -> str:
    """Return an address with both of its slashes, of which `Path` drops one."""
    scheme, rest = split_address(os.fspath(path))
    return f"{scheme}://{rest}"


def shown_address(path: str) -> str:
    """Return a path or address as it may be printed: without a password, and on the web without its query."""
    if not is_address(path):
        return path
    scheme, rest = split_address(path)
    if scheme in ("http", "https"):
        rest = rest.partition("?")[0].partition("#")[0]
    host, slash, below = rest.partition("/")
    user, at, name = host.rpartition("@")
    return f"{scheme}://{name if ':' in user else user + at + name}{slash}{below}"


def printable(path: str | os.PathLike[str]) -> str:
    """Return a path as text that any terminal can print, even if its name is not UTF-8."""
    return os.fsencode(path).decode(errors="replace")


def path_list(paths: Paths) -> list[str]:
    """Return one path or several as a list of strings; a single string is one path."""
    return [os.fspath(path) for path in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


def refuse_addresses(paths: Iterable[str | os.PathLike[str]], doing: str) -> None:
    """Refuse addresses of photos that have to be on a disk.

    Args:
        paths: paths of photos.
        doing: the operation that needs them, for the message.

    Raises:
        UsageError: one is an address.
    """
    for path in paths:
        if is_address(path):
            advice = "Copy the photos to a disk first, for example with `aws s3 sync`."
            raise UsageError(f"photos on a disk for {doing}", f"the address {shown_address(os.fspath(path))}", advice)
