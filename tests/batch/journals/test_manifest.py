from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from colorgan.batch.journals import manifest
from colorgan.batch.journals.manifest import MANIFEST_NAME, ManifestStore
from colorgan.batch.journals.records import FileState, Record, RecordState
from colorgan.batch.shards import Shard
from colorgan.errors import OutputError


def record(photo: str, state: RecordState = RecordState.made) -> Record:
    return Record(photo.encode(), FileState(1, 2, b"content"), b"settings", state, FileState(3, 4))


def parts(folder: Path) -> list[Path]:
    return sorted((folder / MANIFEST_NAME).rglob("*.jsonl.gz"))


def store(folder: Path, shard: Shard = Shard()) -> ManifestStore:
    return ManifestStore(str(folder), shard, pytest.fail)


def test_what_one_process_noted_every_other_knows(tmp_path: Path) -> None:
    names = [b"a.jpg", b"x/b.jpg", "ü\udcff.jpg".encode("utf-8", "surrogateescape")]
    for number, name in enumerate(names):
        first = store(tmp_path, Shard(number + 1, 3))
        first.write({name: record("in/a.jpg")})
        first.close()
    known = store(tmp_path)
    assert [known.get(name) for name in names] == [record("in/a.jpg")] * 3
    assert known.get(b"c.jpg") is None
    known.close()
    assert len(parts(tmp_path)) == 3


def test_a_part_is_written_for_many_records_or_after_a_while_or_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "PART_RECORDS", 3)
    noted = store(tmp_path)
    for number in range(7):
        noted.write({f"{number}.jpg".encode(): record("in/a.jpg")})
    assert len(parts(tmp_path)) == 2
    monkeypatch.setattr(manifest, "_PART_S", -1.0)
    noted.write({b"7.jpg": record("in/a.jpg")})
    assert len(parts(tmp_path)) == 3
    noted.write({})
    noted.close()
    assert len(parts(tmp_path)) == 3


def test_what_is_begun_is_on_the_disk_at_once(tmp_path: Path) -> None:
    store(tmp_path).write({b"a.jpg": record("in/a.jpg", RecordState.begun)})
    known = store(tmp_path).get(b"a.jpg")
    assert known is not None
    assert known.state is RecordState.begun


def test_later_parts_hold_and_what_was_dropped_is_gone(tmp_path: Path) -> None:
    for changes in (
        {b"a.jpg": record("in/a.jpg"), b"b.jpg": record("in/b.jpg")},
        {b"a.jpg": record("in/a.jpg", RecordState.in_color), b"b.jpg": None},
    ):
        noted = store(tmp_path)
        noted.write(changes)
        noted.close()
    known = store(tmp_path)
    assert known.get(b"a.jpg") == record("in/a.jpg", RecordState.in_color)
    assert known.get(b"b.jpg") is None


def test_a_damaged_part_is_left_out_with_a_word_and_the_others_hold(tmp_path: Path) -> None:
    for name in (b"a.jpg", b"b.jpg"):
        noted = store(tmp_path)
        noted.write({name: record("in/a.jpg")})
        noted.close()
    damaged, _ = parts(tmp_path)
    whole = damaged.read_bytes()
    others = [gzip.compress(text) for text in (b'{"type": "else"}', b"[1]\n", b"[" * 100_000, b"")]
    flipped = [whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :] for place in range(12, len(whole), 5)]
    for content in (b"", whole[:40], b"no gzip", *others, *flipped):
        damaged.write_bytes(content)
        words: list[str] = []
        known = ManifestStore(str(tmp_path), Shard(), words.append)
        assert (known.get(b"a.jpg"), known.get(b"b.jpg")) == (None, record("in/a.jpg"))
        (word,) = words
        assert damaged.name in word


def test_a_part_of_a_later_version_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / MANIFEST_NAME / "1-of-1"
    folder.mkdir(parents=True)
    (folder / "0.jsonl.gz").write_bytes(gzip.compress(b'{"type": "colorgan manifest", "version": 99}'))
    with pytest.raises(OutputError, match="version 99"):
        store(tmp_path)


def test_a_disk_that_fails_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_NAME).touch()
    with pytest.raises(OutputError, match="the manifest"):
        store(tmp_path).write({b"a.jpg": record("in/a.jpg", RecordState.begun)})
