"""Sets of a million paths in a few megabytes."""

from __future__ import annotations

import hashlib
import sqlite3
import unicodedata


def path_number(path: str) -> int:
    """A number of 64 bits, signed, that follows from the path's text alone, on every machine."""
    text = path.encode("utf-8", "surrogatepass")  # names that are not UTF-8 come as lone surrogates
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def spelling(path: str) -> str:
    """A text that is equal for paths which some disks take for the same: capitals, composed letters."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


class PathSet:
    """A set of paths, each kept as 64 bits of its hash in SQLite's memory: about 20 bytes.

    Two paths of a million share a number once in 30 million runs; the second is then taken to be in the set.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA cache_size = -65536",  # kibibytes; beyond that, it goes into a temporary file
            "CREATE TABLE paths (number INTEGER PRIMARY KEY)",
            "BEGIN",
        ):
            self._database.execute(statement)

    def add(self, path: str) -> bool:
        """Put a path in, and tell whether it was not there before."""
        return self._database.execute("INSERT OR IGNORE INTO paths VALUES (?)", (path_number(path),)).rowcount == 1

    def __contains__(self, path: str) -> bool:
        found = self._database.execute("SELECT 1 FROM paths WHERE number = ?", (path_number(path),))
        return found.fetchone() is not None
