"""Paths out of a list that another program wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

_CHUNK_BYTES = 1 << 16


def read_paths(file: BinaryIO) -> Iterator[str]:
    """Read paths, one a line, or with NUL between them where the list's beginning holds one.

    Args:
        file: open for reading; a pipe that is still being written to, too.

    Yields:
        Each path once it is there; empty lines are left out.
    """
    # `read1` gives what a pipe holds, where `read` would wait for more.
    read = getattr(file, "read1", file.read)
    rest, separator = b"", b""
    while chunk := read(_CHUNK_BYTES):
        rest += chunk
        separator = separator or next((mark for mark in (b"\0", b"\n") if mark in rest), b"")
        if separator:
            *whole, rest = rest.split(separator)
            yield from _paths(whole, separator)
    yield from _paths([rest], separator)


def _paths(entries: list[bytes], separator: bytes) -> Iterator[str]:
    for entry in entries:
        path = entry if separator == b"\0" else entry.removesuffix(b"\r")
        if path:
            yield os.fsdecode(path)
