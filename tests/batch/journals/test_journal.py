from __future__ import annotations

import io
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorgan.batch.jobs import Job
from colorgan.batch.journals.journal import Journal, ResultState, Stamp
from colorgan.batch.journals.journals import Journals
from colorgan.batch.journals.records import FileState, Record, RecordState, file_state
from colorgan.batch.journals.sqlite_store import JOURNAL_NAME, SqliteStore
from colorgan.errors import OutputError

HOUR_NS = 3_600_000_000_000


def picture(seed: int = 0) -> bytes:
    """A file that is whole, of a length that all have in common."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "BMP")
    return buffer.getvalue()


def open_journal(folder: Path) -> Journal:
    return Journal(SqliteStore(folder, print))


def stamp(name: str = "a.jpg", **changes: object) -> Stamp:
    values = {"name": os.fsencode(name), "photo": b"in/a.jpg", "source": "", "source_state": FileState(10, 20)}
    return Stamp(**values | {"settings": b"s"} | changes)


def stamp_of(source: Path, identity: bytes = b"in/a.jpg") -> Stamp:
    return stamp(photo=identity, source=str(source), source_state=file_state(str(source)))


def made(journal: Journal, target: Path, made_of: Stamp | None = None) -> None:
    made_of = made_of or stamp()
    journal.begin(made_of, str(target))
    journal.flush()
    target.write_bytes(picture())
    journal.made(made_of, str(target))


def verdict(folder: Path, target: Path, made_of: Stamp) -> ResultState:
    with closing(open_journal(folder)) as journal:
        return journal.state(made_of, str(target))[0]


def verdict_of(folder: Path, target: Path, **changes: object) -> ResultState:
    return verdict(folder, target, stamp(**changes))


def shift(path: Path, by_ns: int) -> None:
    os.utime(path, ns=(path.stat().st_mtime_ns + by_ns,) * 2)


def job(folder: Path, name: str = "a.jpg") -> Job:
    return Job("a.jpg", "in/a.jpg", str(folder), name)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:3000] = bytes(2900)
    path.write_bytes(data)


def test_done_means_made_of_this_photo_with_these_settings_and_still_as_it_was_made(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = open_journal(tmp_path)
    assert journal.state(stamp(), str(target))[0] is ResultState.to_do
    made(journal, target)
    journal.close()
    assert verdict_of(tmp_path, target) is ResultState.done
    other, later = FileState(11, 20), FileState(10, 21)
    for changes in ({"photo": b"in/b.jpg"}, {"source_state": other}, {"source_state": later}, {"settings": b"t"}):
        assert verdict_of(tmp_path, target, **changes) is ResultState.to_do
    target.write_bytes(picture(1))
    assert verdict_of(tmp_path, target) is ResultState.changed
    assert verdict_of(tmp_path, target, settings=b"t") is ResultState.changed
    target.unlink()
    assert verdict_of(tmp_path, target) is ResultState.to_do


def test_times_that_jump_are_no_change_of_what_was_noted(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "a.jpg"
    source.write_bytes(picture(2))
    with closing(open_journal(tmp_path)) as journal:
        made(journal, target, stamp_of(source))
    shift(source, HOUR_NS)
    shift(target, -HOUR_NS)
    assert verdict(tmp_path, target, stamp_of(source)) is ResultState.done
    with closing(SqliteStore(tmp_path, print)) as store:
        record = store.get(b"a.jpg")
    assert record is not None
    assert (record.source.mtime_ns, record.result.mtime_ns) == (source.stat().st_mtime_ns, target.stat().st_mtime_ns)


def test_files_whose_size_and_time_are_as_noted_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "a.jpg"
    source.write_bytes(picture(2))
    with closing(open_journal(tmp_path)) as journal:
        made(journal, target, stamp_of(source))

    def unread(path: str) -> None:
        raise AssertionError(path)

    for name in ("file_digest", "is_whole"):
        monkeypatch.setattr(f"colorgan.batch.journals.journal.{name}", unread)
    with closing(open_journal(tmp_path)) as journal:
        assert journal.state(stamp_of(source), str(target))[0] is ResultState.done


def test_a_photo_that_was_moved_is_the_same_and_another_of_its_size_and_time_is_not(tmp_path: Path) -> None:
    source, target, moved = tmp_path / "in.jpg", tmp_path / "a.jpg", tmp_path / "moved.jpg"
    source.write_bytes(picture(2))
    with closing(open_journal(tmp_path)) as journal:
        made(journal, target, stamp_of(source, b"in/a.jpg#0"))
    shutil.copy2(source, moved)
    assert verdict(tmp_path, target, stamp_of(moved, b"scans/a.jpg#1")) is ResultState.to_do, "another page"
    assert verdict(tmp_path, target, stamp_of(moved, b"scans/a.jpg#0")) is ResultState.done
    moved.write_bytes(picture(3))
    shutil.copystat(source, moved)
    assert verdict(tmp_path, target, stamp_of(moved, b"photos/a.jpg#0")) is ResultState.to_do


@pytest.mark.parametrize("rest", [picture()[:-70], b"", bytes(len(picture()))], ids=["cut off", "empty", "zeros"])
def test_a_result_that_does_not_decode_is_made_again(tmp_path: Path, rest: bytes) -> None:
    target = tmp_path / "a.jpg"
    with closing(open_journal(tmp_path)) as journal:
        made(journal, target)
        target.write_bytes(rest)
    assert verdict_of(tmp_path, target) is ResultState.to_do


def test_a_file_of_another_kind_in_a_results_place_is_the_users(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    with closing(open_journal(tmp_path)) as journal:
        made(journal, target)
        target.write_bytes(b"%PDF-1.7 and so on")
    assert verdict_of(tmp_path, target) is ResultState.changed


def test_what_a_killed_run_left_damaged_is_made_again(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    with closing(open_journal(tmp_path)) as journal:
        journal.begin(stamp(), str(target))
        journal.flush()
        target.write_bytes(picture()[:-70])
    assert verdict_of(tmp_path, target) is ResultState.to_do


def test_the_result_of_other_settings_is_not_taken_for_that_of_a_killed_run_since_its_time_jumped(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a.jpg"
    with closing(open_journal(tmp_path)) as journal:
        made(journal, target)
        journal.flush()
        journal.begin(stamp(settings=b"t"), str(target))
    shift(target, HOUR_NS)
    assert verdict_of(tmp_path, target, settings=b"t") is ResultState.to_do


def first_version(folder: Path, target: Path) -> None:
    """A journal as version 1 wrote it, with one result."""
    state = file_state(str(target))
    with closing(sqlite3.connect(folder / JOURNAL_NAME, isolation_level=None)) as database:
        database.execute(
            "CREATE TABLE results (name BLOB PRIMARY KEY, photo BLOB NOT NULL, photo_bytes INTEGER NOT NULL, "
            "photo_mtime_ns INTEGER NOT NULL, settings BLOB NOT NULL, state INTEGER NOT NULL, bytes INTEGER NOT NULL, "
            "mtime_ns INTEGER NOT NULL) WITHOUT ROWID"
        )
        row = (b"a.jpg", b"in/a.jpg", 10, 20, b"s", 1, state.size_bytes, state.mtime_ns)
        database.execute("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        database.execute("PRAGMA user_version = 1")


def test_a_journal_of_the_first_version_is_read_and_goes_on(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(picture())
    first_version(tmp_path, target)
    before = (tmp_path / JOURNAL_NAME).read_bytes()
    dry = Journal(SqliteStore(tmp_path, print, read_only=True), read_only=True)
    assert dry.state(stamp(), str(target))[0] is ResultState.done
    dry.close()
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before
    shift(target, 1_000_000_000)
    assert verdict_of(tmp_path, target) is ResultState.done, "a time that a disk has rounded"
    with closing(open_journal(tmp_path)) as journal:
        made(journal, tmp_path / "b.jpg", stamp("b.jpg"))
    shift(tmp_path / "b.jpg", HOUR_NS)
    assert verdict_of(tmp_path, tmp_path / "b.jpg", name=b"b.jpg") is ResultState.done
    shift(target, HOUR_NS)
    assert verdict_of(tmp_path, target) is ResultState.changed


def test_any_store_will_do(tmp_path: Path) -> None:
    class Remembered:
        def __init__(self) -> None:
            self.records: dict[bytes, Record] = {}

        def get(self, name: bytes) -> Record | None:
            return self.records.get(name)

        def write(self, changes: dict[bytes, Record | None]) -> None:
            self.records |= {name: record for name, record in changes.items() if record}

        def close(self) -> None:
            self.records = {}

    store, target = Remembered(), tmp_path / "a.jpg"
    journal = Journal(store)
    made(journal, target)
    journal.flush()
    assert store.records[b"a.jpg"].state is RecordState.made
    assert journal.state(stamp(), str(target))[0] is ResultState.done
    assert journal.state(replace(stamp(), settings=b"t"), str(target))[0] is ResultState.to_do
    assert not (tmp_path / JOURNAL_NAME).exists()


def test_a_result_that_took_its_place_before_the_run_died_is_done(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = open_journal(tmp_path)
    journal.begin(stamp(), str(target))
    journal.flush()
    assert verdict_of(tmp_path, target) is ResultState.to_do
    target.write_bytes(picture())
    assert verdict_of(tmp_path, target) is ResultState.done
    assert verdict_of(tmp_path, target) is ResultState.done
    journal.begin(stamp(settings=b"t"), str(target))
    journal.close()
    assert verdict_of(tmp_path, target, settings=b"t") is ResultState.to_do


def test_a_file_that_the_journal_does_not_know_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"mine")
    assert verdict_of(tmp_path, tmp_path / "a.jpg") is ResultState.in_the_way


@pytest.mark.parametrize("in_color", [False, True])
def test_what_stood_there_before_a_photo_failed_is_nobody_elses_afterwards(tmp_path: Path, in_color: bool) -> None:
    target, own = tmp_path / "a.jpg", tmp_path / "b.jpg"
    own.write_bytes(b"mine")
    journal = open_journal(tmp_path)
    made(journal, target)
    for name, path in (("a.jpg", target), ("b.jpg", own)):
        journal.begin(stamp(name, settings=b"t"), str(path))
        journal.flush()
        (journal.left_in_color if in_color else journal.failed)(stamp(name, settings=b"t"), str(path))
    journal.close()
    assert verdict_of(tmp_path, target, settings=b"u") is ResultState.to_do
    assert verdict_of(tmp_path, own, name=b"b.jpg", settings=b"u") is ResultState.in_the_way


def test_a_photo_in_color_is_left_until_it_its_settings_or_what_stands_there_change(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "a.jpg"
    source.write_bytes(picture())
    journal = open_journal(tmp_path)
    journal.begin(stamp_of(source), str(target))
    journal.left_in_color(stamp_of(source), str(target))
    journal.close()
    assert verdict(tmp_path, target, stamp_of(source)) is ResultState.in_color
    shift(source, HOUR_NS)
    assert verdict(tmp_path, target, stamp_of(source)) is ResultState.in_color
    source.write_bytes(picture(1))
    assert verdict(tmp_path, target, stamp_of(source)) is ResultState.to_do
    source.write_bytes(picture())
    assert verdict(tmp_path, target, replace(stamp_of(source), settings=b"t")) is ResultState.to_do
    target.write_bytes(b"mine")
    assert verdict(tmp_path, target, stamp_of(source)) is ResultState.in_the_way


def test_an_earlier_result_of_a_photo_that_is_now_left_in_color_stays_known(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = open_journal(tmp_path)
    made(journal, target)
    with_skip = stamp(settings=b"skip")
    journal.begin(with_skip, str(target))
    journal.left_in_color(with_skip, str(target))
    journal.close()
    assert verdict(tmp_path, target, with_skip) is ResultState.in_color
    target.write_bytes(picture(1))
    assert verdict(tmp_path, target, with_skip) is not ResultState.in_color


def test_what_an_earlier_version_wrote_beside_a_result_is_known_by_the_results_settings(tmp_path: Path) -> None:
    target, beside = tmp_path / "a.jpg", tmp_path / "a-confidence.png"
    journal = open_journal(tmp_path)
    made(journal, target)
    beside.write_bytes(picture())
    assert journal.state(stamp(), str(target), [str(beside)]) == (ResultState.done, str(target))
    assert journal.state(stamp(settings=b"t"), str(target), [str(beside)]) == (ResultState.in_the_way, str(beside))
    journal.close()


def test_a_journal_knows_its_own_results_as_they_were_made(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = open_journal(tmp_path)
    assert not journal.has_made(b"a.jpg", str(target))
    journal.begin(stamp(), str(target))
    journal.flush()
    target.write_bytes(picture())
    assert not journal.has_made(b"a.jpg", str(target))
    journal.made(stamp(), str(target))
    journal.flush()
    assert journal.has_made(b"a.jpg", str(target))
    assert not journal.has_made(b"b.jpg", str(target))
    target.write_bytes(picture(1))
    assert not journal.has_made(b"a.jpg", str(target))
    journal.close()


def test_a_file_of_the_users_beside_the_result_is_in_the_way(tmp_path: Path) -> None:
    target, beside = tmp_path / "a.jpg", tmp_path / "a-confidence.png"
    journal = open_journal(tmp_path)
    made(journal, target)
    beside.write_bytes(b"mine")
    changed = stamp(settings=b"t")
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.in_the_way, str(beside))
    beside.unlink()
    journal.begin(changed, str(target), [str(beside)])
    journal.flush()
    beside.write_bytes(picture())
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.to_do, str(target))
    target.write_bytes(picture(1))
    journal.made(changed, str(target), [str(beside)])
    journal.flush()
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.done, str(target))
    beside.write_bytes(picture(2))
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.changed, str(beside))
    journal.close()


def test_what_is_no_file_is_nobodys_result(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = open_journal(tmp_path)
    journal.begin(stamp(), str(target))
    journal.flush()
    target.mkdir()
    assert verdict_of(tmp_path, target) is ResultState.in_the_way
    target.rmdir()
    if os.name != "nt":
        target.symlink_to("/mnt/not/mounted/a.jpg")
        assert verdict_of(tmp_path, target) is ResultState.in_the_way
    journal.close()


def test_nothing_is_claimed_before_it_is_written(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.begin(stamp(), str(tmp_path / "a.jpg"))
    assert not (tmp_path / JOURNAL_NAME).exists()
    journal.forget()
    journal.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", [damage, lambda path: path.write_bytes(b"no journal at all" * 100)])
def test_a_damaged_journal_is_moved_aside_with_a_word(tmp_path: Path, spoil: object) -> None:
    target = tmp_path / "a.jpg"
    journal = open_journal(tmp_path)
    made(journal, target)
    journal.close()
    spoil(tmp_path / JOURNAL_NAME)
    damaged, words = (tmp_path / JOURNAL_NAME).read_bytes(), []
    again = Journal(SqliteStore(tmp_path, words.append))
    assert again.state(stamp(), str(target))[0] is ResultState.in_the_way
    made(again, target, stamp())
    again.close()
    assert "only overwriting replaces them" in words[0]
    assert (tmp_path / f"{JOURNAL_NAME}.damaged-1").read_bytes() == damaged
    assert verdict_of(tmp_path, target) is ResultState.done


def test_a_journal_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / JOURNAL_NAME)
    database.execute("PRAGMA user_version = 3")
    database.close()
    with pytest.raises(OutputError, match="version 3"):
        open_journal(tmp_path)


def test_a_dry_run_reads_it_and_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = open_journal(tmp_path)
    made(journal, target)
    journal.close()
    before = (tmp_path / JOURNAL_NAME).read_bytes()
    dry = Journal(SqliteStore(tmp_path, print, read_only=True), read_only=True)
    assert dry.state(stamp(), str(target))[0] is ResultState.done
    dry.begin(stamp("b.jpg"), str(tmp_path / "b.jpg"))
    dry.close()
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before
    (tmp_path / JOURNAL_NAME).write_bytes(b"no journal at all" * 100)
    words: list[str] = []
    assert (
        Journal(SqliteStore(tmp_path, words.append, read_only=True)).state(stamp(), str(target))[0]
        is ResultState.in_the_way
    )
    assert "damaged" in words[0]
    assert len(list(tmp_path.iterdir())) == 2


def test_two_processes_share_one(tmp_path: Path) -> None:
    journals = [open_journal(tmp_path) for _ in range(2)]
    for number in range(20):
        name = f"{number}.jpg"
        made(journals[number % 2], tmp_path / name, stamp(name))
    for journal in journals:
        journal.close()
    for number in range(20):
        name = f"{number}.jpg"
        assert verdict_of(tmp_path, tmp_path / name, name=os.fsencode(name)) is ResultState.done


# --- which journal ---


def test_an_output_folder_has_one_for_all_its_tree(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).touch()
    with Journals([tmp_path / "out"], print, search_parents=False) as journals:
        top, name = journals.of(job(tmp_path / "out"))
        assert name == b"a.jpg"
        deep, name = journals.of(job(tmp_path / "out" / "b" / "c"))
        assert (deep, name) == (top, b"b/c/a.jpg")
        top.begin(stamp(), str(tmp_path / "out" / "a.jpg"))
    assert (tmp_path / "out" / JOURNAL_NAME).exists()


def test_beside_photos_the_nearest_above_is_taken_and_else_one_is_made_in_the_folder_that_was_given(
    tmp_path: Path,
) -> None:
    deep = tmp_path / "photos" / "a" / "b"
    deep.mkdir(parents=True)
    with Journals([tmp_path / "photos"], print, search_parents=True) as journals:
        journal, name = journals.of(job(deep))
        assert name == b"a/b/a.jpg"
        journal.begin(stamp("a/b/a.jpg"), "")
    assert (tmp_path / "photos" / JOURNAL_NAME).exists()
    with Journals([deep], print, search_parents=True) as journals:
        assert journals.of(job(deep))[1] == b"a/b/a.jpg"


def test_an_error_under_way_is_not_hidden_by_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def fail() -> None:
        with Journals([tmp_path / "file" / "out"], print, search_parents=False) as journals:
            journal, _ = journals.of(job(tmp_path / "file" / "out"))
            journal.begin(stamp(), "")
            raise KeyError("the first")

    with pytest.raises(KeyError):
        fail()
