from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest
from trees import needs_links

from colorgan import files
from colorgan.files import atomic_write, drop_unfinished, remove_leftovers, sha256_of


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")

    def write_half() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a.txt", "before")]


def test_a_write_replaces_the_old_file_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("before", "after"):
        with atomic_write(path) as file:
            file.write(text.encode())
    assert [(entry.name, entry.read_text()) for entry in path.parent.iterdir()] == [("a.txt", "after")]
    if os.name != "nt":
        (tmp_path / "usual").touch()
        assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode


@needs_links
def test_leftovers_of_the_dead_are_removed_and_files_of_the_living_stay(tmp_path: Path) -> None:
    for name in (".colorgan-dead.tmp", "mine.tmp"):
        (tmp_path / name).touch()
    with atomic_write(tmp_path / "a.txt") as file:
        file.write(b"under way")
        remove_leftovers(tmp_path)
        assert not (tmp_path / ".colorgan-dead.tmp").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.txt", "mine.tmp"]
    remove_leftovers(tmp_path / "not yet there")


@needs_links
def test_a_file_that_another_process_removes_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = files._lock, []

    def lock_late(file: object) -> bool:
        if not taken:
            taken.append(file.name)
            Path(file.name).unlink()
        return lock(file)

    monkeypatch.setattr(files, "_lock", lock_late)
    with atomic_write(tmp_path / "a.txt") as file:
        file.write(b"whole")
    assert taken
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a.txt", b"whole")]


def test_threads_that_write_side_by_side_give_files_the_usual_rights(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for count in range(20):
            with atomic_write(tmp_path / f"{number}-{count}") as file:
                file.write(b"x")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (tmp_path / "usual").touch()
    assert {path.stat().st_mode for path in tmp_path.iterdir()} == {(tmp_path / "usual").stat().st_mode}
    assert len(list(tmp_path.iterdir())) == 81


@needs_links
def test_what_is_being_written_can_be_dropped_at_once(tmp_path: Path) -> None:
    def write_and_drop() -> None:
        with atomic_write(tmp_path / "a.txt") as file:
            file.write(b"half")
            drop_unfinished()
            assert list(tmp_path.iterdir()) == []

    with pytest.raises(FileNotFoundError):
        write_and_drop()


def test_the_unfinished_file_lies_beside_its_place_under_the_name_that_cleaning_up_looks_for(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "photo.jpg") as file:
        file.write(b"half")
        (beside,) = tmp_path.iterdir()
        assert (beside.name[:10], beside.suffix) == (".colorgan-", ".tmp")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot open a folder, and orders renames itself")
def test_file_and_folder_are_flushed_to_disk_in_this_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        flushed.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with atomic_write(tmp_path / "photo.jpg") as file:
        file.write(b"whole")
    assert flushed == ["file", "folder"]


def test_a_files_digest_is_that_of_all_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000  # more than is read at once
    (tmp_path / "a").write_bytes(data)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data).hexdigest()


class HeldOpenError(PermissionError):
    """What Windows raises where another program holds a file open."""

    winerror = 32


@pytest.mark.parametrize(("failures", "is_written"), [(2, True), (99, False)])
def test_a_place_that_a_viewer_holds_open_is_tried_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int, is_written: bool
) -> None:
    target, tries, replace = tmp_path / "a.jpg", [], Path.replace
    target.write_bytes(b"old")

    def held(self: Path, place: Path) -> Path:
        tries.append(place)
        if len(tries) <= failures:
            raise HeldOpenError(13, "The process cannot access the file")
        return replace(self, place)

    monkeypatch.setattr(Path, "replace", held)
    monkeypatch.setattr(files, "_WAITS_S", (0.01, 0.01, 0.01))
    with contextlib.nullcontext() if is_written else pytest.raises(PermissionError), atomic_write(target) as file:
        file.write(b"new")
    assert (target.read_bytes(), len(tries)) == ((b"new", 3) if is_written else (b"old", 4))
    assert list(tmp_path.iterdir()) == [target]
