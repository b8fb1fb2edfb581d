from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from colorgan.batch.jobs import Job
from colorgan.batch.journal import JOURNAL_NAME, Journal, Journals, ResultState, Stamp
from colorgan.errors import OutputError


def stamp(name: str = "a.jpg", **changes: object) -> Stamp:
    values = {"name": os.fsencode(name), "photo": b"in/a.jpg", "photo_file": (10, 20), "settings": b"s"}
    return Stamp(**values | changes)


def made(journal: Journal, target: Path, made_of: Stamp | None = None) -> None:
    made_of = made_of or stamp()
    journal.begin(made_of, str(target))
    journal.flush()
    target.write_bytes(b"whole")
    journal.made(made_of, str(target))


def verdict_of(folder: Path, target: Path, **changes: object) -> ResultState:
    journal = Journal(folder, print)
    try:
        return journal.state(stamp(**changes), str(target))[0]
    finally:
        journal.close()


def job(folder: Path, name: str = "a.jpg") -> Job:
    return Job("a.jpg", "in/a.jpg", str(folder), name)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100:3000] = bytes(2900)
    path.write_bytes(data)


def test_done_means_made_of_this_photo_with_these_settings_and_still_as_it_was_made(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = Journal(tmp_path, print)
    assert journal.state(stamp(), str(target))[0] is ResultState.to_do
    made(journal, target)
    journal.close()
    assert verdict_of(tmp_path, target) is ResultState.done
    for changes in ({"photo": b"in/b.jpg"}, {"photo_file": (11, 20)}, {"photo_file": (10, 21)}, {"settings": b"t"}):
        assert verdict_of(tmp_path, target, **changes) is ResultState.to_do
    target.write_bytes(b"whol")
    assert verdict_of(tmp_path, target) is ResultState.changed
    assert verdict_of(tmp_path, target, settings=b"t") is ResultState.changed
    target.unlink()
    assert verdict_of(tmp_path, target) is ResultState.to_do


def test_a_result_that_took_its_place_before_the_run_died_is_done(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = Journal(tmp_path, print)
    journal.begin(stamp(), str(target))
    journal.flush()
    assert verdict_of(tmp_path, target) is ResultState.to_do
    target.write_bytes(b"whole")
    assert verdict_of(tmp_path, target) is ResultState.done
    assert verdict_of(tmp_path, target) is ResultState.done
    journal.begin(stamp(settings=b"t"), str(target))
    journal.close()
    assert verdict_of(tmp_path, target, settings=b"t") is ResultState.to_do


def test_a_file_that_the_journal_does_not_know_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"mine")
    assert verdict_of(tmp_path, tmp_path / "a.jpg") is ResultState.in_the_way


def test_a_time_that_the_disk_has_rounded_is_no_change(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = Journal(tmp_path, print)
    made(journal, target)
    journal.close()
    rounded = target.stat().st_mtime_ns // 2_000_000_000 * 2_000_000_000
    os.utime(target, ns=(rounded, rounded))
    assert verdict_of(tmp_path, target) is ResultState.done
    os.utime(target, ns=(rounded + 9_000_000_000,) * 2)
    assert verdict_of(tmp_path, target) is ResultState.changed


@pytest.mark.parametrize("in_color", [False, True])
def test_what_stood_there_before_a_photo_failed_is_nobody_elses_afterwards(tmp_path: Path, in_color: bool) -> None:
    target, own = tmp_path / "a.jpg", tmp_path / "b.jpg"
    own.write_bytes(b"mine")
    journal = Journal(tmp_path, print)
    made(journal, target)
    for name, path in (("a.jpg", target), ("b.jpg", own)):
        journal.begin(stamp(name, settings=b"t"), str(path))
        journal.flush()
        (journal.left_in_color if in_color else journal.failed)(stamp(name, settings=b"t"), str(path))
    journal.close()
    assert verdict_of(tmp_path, target, settings=b"u") is ResultState.to_do
    assert verdict_of(tmp_path, own, name=b"b.jpg", settings=b"u") is ResultState.in_the_way


def test_a_file_of_the_users_beside_the_result_is_in_the_way(tmp_path: Path) -> None:
    target, beside = tmp_path / "a.jpg", tmp_path / "a-confidence.png"
    journal = Journal(tmp_path, print)
    made(journal, target)
    beside.write_bytes(b"mine")
    changed = stamp(settings=b"t")
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.in_the_way, str(beside))
    beside.unlink()
    journal.begin(changed, str(target), [str(beside)])
    journal.flush()
    beside.write_bytes(b"half of the work was done when it was killed")
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.to_do, str(target))
    target.write_bytes(b"whole again")
    journal.made(changed, str(target), [str(beside)])
    journal.flush()
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.done, str(target))
    beside.write_bytes(b"retouched")
    assert journal.state(changed, str(target), [str(beside)]) == (ResultState.changed, str(beside))
    journal.close()


def test_what_is_no_file_is_nobodys_result(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = Journal(tmp_path, print)
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
    journal = Journal(tmp_path, print)
    journal.begin(stamp(), str(tmp_path / "a.jpg"))
    assert not (tmp_path / JOURNAL_NAME).exists()
    journal.forget()
    journal.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", [damage, lambda path: path.write_bytes(b"no journal at all" * 100)])
def test_a_damaged_journal_is_moved_aside_with_a_word(tmp_path: Path, spoil: object) -> None:
    target = tmp_path / "a.jpg"
    journal = Journal(tmp_path, print)
    made(journal, target)
    journal.close()
    spoil(tmp_path / JOURNAL_NAME)
    damaged, words = (tmp_path / JOURNAL_NAME).read_bytes(), []
    again = Journal(tmp_path, words.append)
    assert again.state(stamp(), str(target))[0] is ResultState.in_the_way
    made(again, target, stamp())
    again.close()
    assert "to overwrite" in words[0]
    assert (tmp_path / f"{JOURNAL_NAME}.damaged-1").read_bytes() == damaged
    assert verdict_of(tmp_path, target) is ResultState.done


def test_a_journal_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / JOURNAL_NAME)
    database.execute("PRAGMA user_version = 2")
    database.close()
    with pytest.raises(OutputError, match="version 2"):
        Journal(tmp_path, print)


def test_a_dry_run_reads_it_and_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    journal = Journal(tmp_path, print)
    made(journal, target)
    journal.close()
    before = (tmp_path / JOURNAL_NAME).read_bytes()
    dry = Journal(tmp_path, print, read_only=True)
    assert dry.state(stamp(), str(target))[0] is ResultState.done
    dry.begin(stamp("b.jpg"), str(tmp_path / "b.jpg"))
    dry.close()
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before
    (tmp_path / JOURNAL_NAME).write_bytes(b"no journal at all" * 100)
    words: list[str] = []
    assert Journal(tmp_path, words.append, read_only=True).state(stamp(), str(target))[0] is ResultState.in_the_way
    assert "damaged" in words[0]
    assert len(list(tmp_path.iterdir())) == 2


def test_two_processes_share_one(tmp_path: Path) -> None:
    journals = [Journal(tmp_path, print) for _ in range(2)]
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
    with Journals([tmp_path / "out"], print, beyond=False) as journals:
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
    with Journals([tmp_path / "photos"], print, beyond=True) as journals:
        journal, name = journals.of(job(deep))
        assert name == b"a/b/a.jpg"
        journal.begin(stamp("a/b/a.jpg"), "")
    assert (tmp_path / "photos" / JOURNAL_NAME).exists()
    with Journals([deep], print, beyond=True) as journals:
        assert journals.of(job(deep))[1] == b"a/b/a.jpg"


def test_an_error_under_way_is_not_hidden_by_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    def fail() -> None:
        with Journals([tmp_path / "file" / "out"], print, beyond=False) as journals:
            journal, _ = journals.of(job(tmp_path / "file" / "out"))
            journal.begin(stamp(), "")
            raise KeyError("the first")

    with pytest.raises(KeyError):
        fail()
