"""What this machine keeps of a set at an address: whole, verified, and no more than was allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colorgan.data.photoset import PhotoSet
from colorgan.errors import ColorganError, OutputError, SetError, UsageError

fsspec = pytest.importorskip("fsspec")
PLENTY = 10**9


def store() -> Any:
    return fsspec.filesystem("memory")


def kept_bytes(kept: Path) -> int:
    return sum(path.stat().st_size for path in kept.glob("*/*.tar"))


def change(address: str, name: str, changed: Callable[[bytes], bytes]) -> None:
    store().pipe_file(f"{address}/{name}", changed(store().cat_file(f"{address}/{name}")))


def test_photos_are_those_of_the_set_on_a_disk(address: str, many_shards: Path, tmp_path: Path) -> None:
    near, far = PhotoSet.open(many_shards), PhotoSet.open_remote(address, tmp_path, PLENTY)
    assert (far.identity, far.is_remote, near.is_remote) == (near.identity, True, False)
    assert far.train.sources() == near.train.sources()
    for name in ("train", "val"):
        one, other = getattr(near, name), getattr(far, name)
        assert len(one) == len(other) > 3
        for number in range(len(one)):
            assert np.array_equal(np.asarray(one.read(number)), np.asarray(other.read(number)))


def test_what_is_kept_never_takes_more_than_was_allowed(address: str, many_shards: Path, tmp_path: Path) -> None:
    largest = max(path.stat().st_size for path in many_shards.glob("*.tar"))
    far = PhotoSet.open_remote(address, tmp_path, 6 * largest)
    assert len(list(many_shards.glob("*.tar"))) > 12
    for number in np.random.default_rng(0).permutation(len(far.train)).tolist():
        far.train.read(number)
        assert 0 < kept_bytes(tmp_path) <= 6 * largest


def test_a_shard_that_is_done_with_goes_first_and_then_the_one_longest_not_used(address: str, tmp_path: Path) -> None:
    whole = PhotoSet.open_remote(address, tmp_path / "whole", PLENTY)
    names = [whole.train.shard_of(number) for number in range(6)]
    sizes = [whole.train.cache.sizes[name] for name in names]
    six = PhotoSet.open_remote(address, tmp_path / "six", 6 * max(whole.train.cache.sizes.values())).train.cache
    for name in names:
        six.fetch(name)
    six.release(names[3])
    six.open(names[0]).close()
    six.fetch(whole.train.shard_of(6))
    six.fetch(whole.train.shard_of(7))
    gone = [name for name in names if not (six.folder / name).exists()]
    assert gone == [names[1], names[3]], sizes


def test_what_a_killed_process_left_takes_no_room(address: str, tmp_path: Path) -> None:
    far = PhotoSet.open_remote(address, tmp_path, PLENTY)
    left = far.train.cache.folder / ".colorgan-0123456789abcdef.tmp"
    left.write_bytes(b"x" * 1000)
    far.train.read(0)
    assert not left.exists()


def other_shard(address: str) -> None:
    change(address, "train-00001.tar", lambda data: data[:-2000] + b"x" + data[-1999:])


def no_shard(address: str) -> None:
    store().rm(f"{address}/train-00001.tar")


def short_shard(address: str) -> None:
    change(address, "train-00001.tar", lambda data: data[:2000])


def other_index(address: str) -> None:
    change(address, "train.index.npy", lambda data: data[:-1] + b"x")


def no_set(address: str) -> None:
    store().rm(f"{address}/set.json")


def earlier_set(address: str) -> None:
    def without_shards(data: bytes) -> bytes:
        described = json.loads(data)
        described["sha256"] = {name: value for name, value in described["sha256"].items() if ".tar" not in name}
        return json.dumps(described).encode()

    change(address, "set.json", without_shards)


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (other_shard, SetError, r"train-00001\.tar at .*: its SHA-256 differs: it was changed or damaged"),
        (no_shard, SetError, r"a shard of at least \d+ bytes at .*train-00001\.tar: there is none"),
        (short_shard, SetError, r"train-00001\.tar: it has only 2000"),
        (other_index, SetError, r"train\.index\.npy at .*: its SHA-256 differs"),
        (no_set, UsageError, r"to read .*/set\.json: there is no such object or folder"),
        (earlier_set, SetError, r"the SHA-256 of train-00000\.tar in set\.json: none, as earlier versions wrote it"),
    ],
)
def test_a_set_that_is_not_whole_is_refused(
    address: str, tmp_path: Path, spoil: Callable[[str], None], kind: type[ColorganError], words: str
) -> None:
    spoil(address)
    with pytest.raises(kind, match=words):
        _read_all(address, tmp_path)
    assert not [path for path in tmp_path.glob("*/train*") if path.suffix == ".tmp" or "00001" in path.name]


def _read_all(address: str, kept: Path) -> None:
    split = PhotoSet.open_remote(address, kept, PLENTY).train
    for number in range(len(split)):
        split.read(number)


def test_a_shard_that_vanishes_later_is_named(address: str, tmp_path: Path) -> None:
    split = PhotoSet.open_remote(address, tmp_path, PLENTY).train
    no_shard(address)
    with pytest.raises(UsageError, match=r"to read .*train-00001\.tar: there is no such object"):
        split.read(int(np.flatnonzero(split.index["shard"] == 1)[0]))


def test_a_damaged_copy_on_this_machine_is_fetched_again_or_named(address: str, tmp_path: Path) -> None:
    split = PhotoSet.open_remote(address, tmp_path, PLENTY).train
    folder = split.cache.folder
    split.read(0)
    (folder / "train-00000.tar").write_bytes(b"x" * 16_000)
    with pytest.raises(SetError, match=r"it is damaged\. Delete that file, so that it is downloaded again"):
        split.read(0)
    (folder / "train.index.npy").write_bytes(b"x")
    (folder / "train-00000.tar").unlink()
    PhotoSet.open_remote(address, tmp_path, PLENTY).train.read(0)


def test_too_little_room_is_refused_with_what_is_needed(address: str, many_shards: Path, tmp_path: Path) -> None:
    largest = max(path.stat().st_size for path in many_shards.glob("*.tar"))
    PhotoSet.open_remote(address, tmp_path, 12 * largest, processes=2)
    with pytest.raises(UsageError, match=rf"each of 2 processes.*Give at least {12 * largest / 1e9:.6g}") as refused:
        PhotoSet.open_remote(address, tmp_path, 12 * largest - 1, processes=2)
    assert refused.value.parameter == "data_cache_gb"


def test_a_place_where_nothing_can_be_kept_is_named(address: str, tmp_path: Path) -> None:
    (tmp_path / "sets").write_bytes(b"")
    with pytest.raises(OutputError, match="the set's cache"):
        PhotoSet.open_remote(address, tmp_path / "sets", PLENTY)


def test_a_web_server_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"https://example\.org/data: web servers do not list files"):
        PhotoSet.open_remote("https://example.org/data", tmp_path, PLENTY)
