from __future__ import annotations

import io
import os

import pytest

from colorgan.images.discovery import read_paths


@pytest.mark.parametrize(
    ("data", "paths"),
    [
        (b"a.jpg\nb c.jpg\n", ["a.jpg", "b c.jpg"]),
        (b"a.jpg\r\n\r\nb.jpg", ["a.jpg", "b.jpg"]),
        (b"a\nb.jpg\0c.jpg\0", ["a\nb.jpg", "c.jpg"]),
        (b"caf\xe9.jpg\n", [os.fsdecode(b"caf\xe9.jpg")]),
        (b"", []),
        (b"one.jpg", ["one.jpg"]),
    ],
)
def test_paths_stand_one_a_line_or_with_nul_between(data: bytes, paths: list[str]) -> None:
    assert list(read_paths(io.BytesIO(data).read1)) == paths


def test_a_pipe_gives_a_path_as_soon_as_it_is_written() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb", buffering=0) as pipe:
        paths = read_paths(file.read1)
        pipe.write(b"a.jpg\nb.j")
        assert next(paths) == "a.jpg"
        pipe.write(b"pg\n")
        assert next(paths) == "b.jpg"


def test_a_long_list_is_read_across_its_chunks() -> None:
    names = [f"folder/{number:06}.jpg" for number in range(20000)]
    assert list(read_paths(io.BytesIO("\n".join(names).encode()).read1)) == names
