from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from colorgan.data import shards
from colorgan.data.options import PrepareOptions
from colorgan.data.prepare import prepare

ADDRESS = "memory://bucket/data"


@pytest.fixture(scope="session")
def many_shards(tmp_path_factory: pytest.TempPathFactory, paint) -> Path:
    """A set of 60 photos in shards of three or four photos."""
    folder = tmp_path_factory.mktemp("many")
    for index in range(60):
        path = folder / "photos" / f"{index:02d}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(paint(index))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "MAX_SHARD_BYTES", 16_000)
        options = PrepareOptions(size=32, min_side=16, val_fraction=0.1)
        prepare([folder / "photos"], folder / "data", options)
    return folder / "data"


@pytest.fixture
def address(many_shards: Path) -> Iterator[str]:
    """The address of a copy of that set, in an in-memory store."""
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for path in many_shards.iterdir():
        store.pipe_file(f"{ADDRESS}/{path.name}", path.read_bytes())
    yield ADDRESS
    store.rm("/bucket", recursive=True)
