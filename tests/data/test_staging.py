from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from colorgan.data import staging
from colorgan.data.staging import check_place, staged_folder
from colorgan.errors import UsageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_set(output: Path, text: str, overwrite: bool = False) -> None:
    with staged_folder(output, overwrite) as folder:
        (folder / "set.json").write_text(text)


def test_a_folder_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "data"
    with staged_folder(output, overwrite=False) as folder:
        (folder / "set.json").write_text("new")
        assert not output.exists()
    assert (output / "set.json").read_text() == "new"
    assert names(output) == ["set.json"]
    assert names(output.parent) == ["data"]


def test_a_failure_leaves_the_old_set_and_nothing_else(tmp_path: Path) -> None:
    write_set(tmp_path / "data", "old")

    def interrupted() -> None:
        with staged_folder(tmp_path / "data", overwrite=True) as folder:
            (folder / "set.json").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(tmp_path) == ["data"]
    assert (tmp_path / "data" / "set.json").read_text() == "old"


def test_what_a_killed_run_left_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    output = tmp_path / "data"
    code = (
        "import os, pathlib, sys\n"
        "from colorgan.data.staging import staged_folder\n"
        "with staged_folder(pathlib.Path(sys.argv[1]), False) as folder:\n"
        "    (folder / 'train-00000.tar').write_bytes(b'half')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(output)], check=False).returncode == 9
    assert names(tmp_path) == [".data.partial"]
    write_set(output, "new")
    assert names(tmp_path) == ["data"]
    assert names(output) == ["set.json"]


def test_a_run_that_is_interrupted_while_it_takes_its_lock_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules[staging.locked.__module__]
    take, interruptions = module._hold, [KeyboardInterrupt()]

    def interrupted(file: IO[bytes]) -> None:
        if interruptions:
            raise interruptions.pop()
        take(file)

    monkeypatch.setattr(module, "_hold", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path / "data", "new")
    assert names(tmp_path) == []


def test_a_crash_between_the_two_renames_is_put_right(tmp_path: Path) -> None:
    write_set(tmp_path / "data", "old")
    (tmp_path / "data").rename(tmp_path / ".data.replaced")
    with pytest.raises(UsageError, match="a set already exists there"):
        write_set(tmp_path / "data", "new")
    assert (tmp_path / "data" / "set.json").read_text() == "old"
    write_set(tmp_path / "data", "new", overwrite=True)
    assert (tmp_path / "data" / "set.json").read_text() == "new"
    assert names(tmp_path) == ["data"]


def test_two_runs_never_fill_one_folder(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "data", overwrite=False) as folder:
        with pytest.raises(UsageError, match="another prepare"):
            write_set(tmp_path / "data", "second")
        (folder / "set.json").write_text("first")
    assert (tmp_path / "data" / "set.json").read_text() == "first"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("files", "found"),
    [(["holiday.jpg"], "neither a set nor empty"), (["set.json", "train-00000.tar", "notes.txt"], "notes.txt")],
)
def test_a_folder_with_files_of_somebody_elses_is_never_replaced(
    files: list[str], found: str, overwrite: bool, tmp_path: Path
) -> None:
    for name in files:
        (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError) as error:
        check_place(tmp_path, overwrite)
    assert found in error.value.found
    assert names(tmp_path) == sorted(files)


def test_a_file_is_no_place_for_a_set_and_an_empty_folder_is_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="it is a file"):
        check_place(tmp_path / "file", overwrite=True)
    (tmp_path / "empty").mkdir()
    write_set(tmp_path / "empty", "new")
    assert names(tmp_path / "empty") == ["set.json"]


def test_a_set_asks_for_overwrite(tmp_path: Path) -> None:
    write_set(tmp_path / "data", "old")
    with pytest.raises(UsageError) as error:
        check_place(tmp_path / "data", overwrite=False)
    assert "`overwrite`" in error.value.advice
    check_place(tmp_path / "data", overwrite=True)
