"""The commands on disks that are not as ext4 is: network shares, memory sticks, folders of a team."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import struct
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import disks
import pytest
from colorizing import Call, make_photos, run, tree
from processes import Start
from trees import needs_links

from colorgan.batch.journals.manifest import MANIFEST_NAME
from colorgan.batch.journals.records import FileState, Record, RecordState
from colorgan.batch.journals.sqlite_store import JOURNAL_NAME, SqliteStore
from colorgan.data.sources import open_source
from colorgan.errors import OutputError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="is about disks of Unix systems")


@pytest.mark.parametrize(
    ("lacking", "word"),
    [(disks.NO_CHMOD, ""), (disks.NO_LINKS, ""), (disks.NO_FOLDER_FLUSH, "flush"), (disks.NO_FLUSH, "flush")],
    ids=["chmod", "links", "folder flush", "flush"],
)
def test_photos_are_colored_on_a_disk_that_lacks_something(
    lacking: str, word: str, tiny_model: Path, tmp_path: Path
) -> None:
    make_photos(tmp_path / "photos", "a.jpg", "b.png")
    done = disks.on_disk(
        lacking, "colorize", tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model, "--quiet"
    )
    assert (done.returncode, tree(tmp_path / "out")) == (0, ["a.jpg", "b.png"]), done.stderr
    assert done.stderr.count("\n") == bool(word), "a word, once"
    assert word in done.stderr


def test_a_set_and_a_training_are_made_on_a_disk_that_has_nothing(place: Path) -> None:
    prepared = disks.on_disk(disks.BARE, "prepare", "photos", "-o", "set", "--min-side", "16", "--val-fraction", "0.2")
    assert prepared.returncode == 0, prepared.stderr
    given = {"data": "set", "from": "small.safetensors", "run": "run", "device": "cpu"}
    sizes = {"size": 16, "batch-size": 4, "epochs": 1, "workers": 1}
    options = [part for name, value in (given | sizes).items() for part in (f"--{name}", value)]
    trained = disks.on_disk(disks.BARE, "finetune", *options)
    assert trained.returncode == 0, trained.stderr
    assert (place / "run/weights/best.safetensors").exists()
    assert list((place / "run/checkpoints").iterdir())


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="sets a folder's list of rights")
def test_a_result_and_the_journal_have_the_rights_that_the_folder_gives(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    out = tmp_path / "out"
    out.mkdir()
    rights = [(1, 7), (4, 7), (8, 7), (16, 7), (32, 0)]  # user, group, group 1234, mask, others
    entries = [struct.pack("<HHI", tag, bits, 1234 if tag == 8 else 0xFFFFFFFF) for tag, bits in rights]
    try:
        os.setxattr(out, "system.posix_acl_default", struct.pack("<I", 2) + b"".join(entries))
    except OSError:
        pytest.skip("this disk has no such lists")
    (out / "plain").touch()
    assert run(tmp_path / "photos", "-o", out, "--model", tiny_model).returncode == 0
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o660}


def test_on_a_disk_without_locks_the_journal_is_a_manifest(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    arguments = ("colorize", tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model, "--quiet")
    for sums in ("1 written, 0 skipped", "0 written, 1 skipped"):
        done = disks.on_disk(disks.NO_LOCKS, *arguments)
        assert (done.returncode, done.stdout.startswith(sums)) == (0, True), done.stderr
    assert list((tmp_path / "out" / MANIFEST_NAME).rglob("*.jsonl.gz"))
    assert not (tmp_path / "out" / JOURNAL_NAME).exists()


@pytest.fixture
def locked_journal(tiny_model: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder of results whose journal another process has locked, as a dead network disk does it for ever."""
    make_photos(tmp_path / "photos", "a.jpg")
    run(tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model)
    with closing(sqlite3.connect(tmp_path / "out" / JOURNAL_NAME)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield tmp_path / "out"


def test_a_wait_for_a_locked_journal_is_said_and_hears_a_signal(
    locked_journal: Path, tiny_model: Path, tmp_path: Path, start: Start
) -> None:
    process = start("colorize", tmp_path / "photos", "-o", locked_journal, "--model", tiny_model, "--quiet")
    assert "which another process has locked" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, words = process.communicate(timeout=10)
    assert process.returncode == 143, words


def test_a_journal_that_stays_locked_is_an_error_that_says_so(
    locked_journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("colorgan.batch.journals.sqlite_store._LOCK_TIMEOUT_S", 0.1)
    with pytest.raises(OutputError, match="another process has it locked") as error:
        SqliteStore(locked_journal, print)
    assert "Make room" not in error.value.advice


@needs_links
def test_what_a_user_put_in_a_results_place_stays_there(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(tmp_path / "photos", "a.jpg", "b.jpg", "c.jpg")
    out = tmp_path / "out"
    (out / "a.jpg").mkdir(parents=True)
    (out / "b.jpg").symlink_to("/mnt/not/mounted/b.jpg")
    (out / "c-confidence.png").write_bytes(b"mine")
    arguments = (tmp_path / "photos", "-o", out, "--model", tiny_model, "--confidence")
    for _ in range(2):
        code, printed, words = call(*arguments)
        assert (code, printed.startswith("0 written, 0 skipped, 3 failed")) == (3, True)
        assert f"{out / 'a.jpg'} is a folder" in words
        assert f"{out / 'b.jpg'} is a broken link" in words
        assert f"{out / 'c-confidence.png'} is a file" in words
    assert (out / "a.jpg").is_dir()
    assert (out / "b.jpg").is_symlink()
    assert (out / "c-confidence.png").read_bytes() == b"mine"
    code, printed, _ = call(*arguments, "--overwrite")
    assert printed.startswith("2 written, 0 skipped, 1 failed")
    link = tmp_path / "link.jpg"
    link.symlink_to("/mnt/not/mounted/b.jpg")
    code, _, words = call("-", "-o", link, "--model", tiny_model)
    assert (code, link.is_symlink()) == (2, True)
    assert "already exists" in words


def test_a_new_folder_without_locks_on_a_disk_that_has_some_is_waited_for_by_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []
    monkeypatch.setattr("colorgan.files.fcntl.lockf", _refuse)
    store = SqliteStore(tmp_path / "new", words.append)
    record = Record(b"in/a.jpg", FileState(1, 2), b"s", RecordState.made, FileState(3, 4))
    store.write({b"a.jpg": record})
    assert store.get(b"a.jpg") == record
    store.close()
    assert len(words) == 1
    assert "has no file locks" in words[0]


def _refuse(*arguments: object) -> None:
    raise OSError(errno.ENOLCK, "No locks available")


def test_a_retouched_result_is_left_alone_counted_and_named(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(tmp_path / "photos", "a.jpg", "b.jpg")
    out = tmp_path / "out"
    arguments = (tmp_path / "photos", "-o", out, "--model", tiny_model)
    call(*arguments)
    shutil.copy(tmp_path / "photos/b.jpg", out / "a.jpg")
    retouched = (out / "a.jpg").read_bytes()
    for options, sums in (
        ((), "0 written, 1 skipped"),
        (("--saturation", "0.5"), "1 written, 0 skipped"),
    ):
        code, printed, words = call(*arguments, *options)
        assert (code, printed.startswith(f"{sums}, 1 changed")) == (0, True), printed
        assert f"{out / 'a.jpg'} was changed after it was written" in words
        assert "--overwrite" in words
    assert (out / "a.jpg").read_bytes() == retouched
    _, printed, _ = call(*arguments, "--dry-run", "--json")
    assert [json.loads(line).get("status") for line in printed.splitlines()].count("changed") == 1
    assert call(*arguments, "--overwrite")[1].startswith("2 written, 0 skipped, 0 failed")


def test_a_damaged_result_is_made_again(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(tmp_path / "photos", "a.jpg", "b.jpg")
    out = tmp_path / "out"
    arguments = (tmp_path / "photos", "-o", out, "--model", tiny_model)
    call(*arguments)
    made = (out / "a.jpg").read_bytes()
    (out / "a.jpg").write_bytes(made[: len(made) // 2])
    assert call(*arguments)[1].startswith("1 written, 1 skipped, 0 failed")
    assert (out / "a.jpg").read_bytes() == made


def test_what_systems_keep_in_folders_of_their_own_is_no_photo(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    own = ["@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/1.jpg", "#recycle/gone.jpg", ".Trash-1000/files/old.jpg"]
    make_photos(tmp_path / "photos", "a.jpg", "scans.tif/b.jpg", *own)
    for sums in ("2 written, 0 skipped", "0 written, 2 skipped"):
        code, printed, _ = call(tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model)
        assert (code, printed.startswith(f"{sums}, 0 failed")) == (0, True), printed
    assert tree(tmp_path / "out") == ["a.jpg", "scans.tif/b.jpg"]
    with closing(open_source(tmp_path / "photos")) as source:
        assert [entry.name for entry in source.entries] == ["a.jpg", "scans.tif/b.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le"])
def test_lists_of_other_systems_are_understood(encoding: str, tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "b.jpg")
    (tmp_path / "list.txt").write_bytes(
        "photos/\N{LATIN SMALL LETTER E WITH ACUTE}.jpg\r\nphotos/b.jpg\r\n".encode(encoding)
    )
    done = run("--from-file", "list.txt", "-o", "out", "--model", tiny_model, cwd=tmp_path)
    assert (done.returncode, len(tree(tmp_path / "out"))) == (0, 2), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
def test_a_limit_of_the_system_is_an_error_with_words(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    lacking = """
import resource, threading
def start(thread):
    raise RuntimeError("can't start new thread")
if "threads" in sys.argv[1:]:
    threading.Thread.start = start
    sys.argv.remove("threads")
else:
    resource.setrlimit(resource.RLIMIT_AS, (700_000_000,) * 2)
"""
    for more in ((), ("threads",)):
        arguments = (tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model, *more)
        done = disks.on_disk(f"import sys{lacking}", "colorize", *arguments)
        assert done.returncode == 4, done.stderr
        assert "the system" in done.stderr
        assert "bug" not in done.stderr


def test_a_journal_larger_than_files_may_be_says_what_limits_it(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    limited = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (7000,) * 2)"
    done = disks.on_disk(limited, "colorize", tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model)
    assert done.returncode == 4, done.stderr
    assert f"the journal {tmp_path / 'out' / JOURNAL_NAME}: file too large" in done.stderr
    assert "ulimit -f" in done.stderr


def test_variables_of_a_launcher_that_are_left_over_leave_no_photo_out(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", *(f"{number}.jpg" for number in range(6)))
    arguments = (tmp_path / "photos", "-o", tmp_path / "out", "--model", tiny_model, "--quiet")
    done = run(*arguments, env=os.environ | {"WORLD_SIZE": "2"})
    assert (done.returncode, len(list((tmp_path / "out").glob("*.jpg")))) == (0, 6), done.stderr
    done = run(*arguments, env=os.environ | {"WORLD_SIZE": "2", "RANK": "0"})
    assert done.returncode == 2
    assert "RANK=0 WORLD_SIZE=2" in done.stderr
    assert "unset these variables" in done.stderr


TRAINING = ["--data", "data", "--from", "small.safetensors", "--run", "run", "--device", "cpu", "--size", "16"]
SHORT = ["--batch-size", "4", "--epochs", "1", "--workers", "1"]


def test_a_training_is_not_lost_for_a_cache_that_cannot_be_written(place: Path) -> None:
    (place / "file").touch()
    environment = os.environ | {"COLORGAN_CACHE": str(place / "file" / "cache")}
    done = disks.on_disk("", "finetune", *TRAINING, *SHORT, env=environment)
    assert (done.returncode, done.stdout) == (0, "run/weights/best.safetensors\n"), done.stderr
    before, _, after = done.stderr.partition("before training")
    for words in (before, after):
        assert "run/weights/best.safetensors" in words
        assert "not in the cache as `finetuned`" in words
    assert "also in the cache" not in done.stderr


def test_a_training_on_a_full_disk_is_an_error_with_words(place: Path) -> None:
    done = disks.on_disk(disks.FULL, "finetune", *TRAINING, *SHORT)
    assert done.returncode == 4, done.stderr
    assert "in the run folder run: no space left on device" in done.stderr
    assert "Make room there, or name another --run" in done.stderr


def test_a_training_with_a_leftover_world_size_says_what_to_do(place: Path) -> None:
    done = disks.on_disk("", "finetune", *TRAINING, *SHORT, env=os.environ | {"WORLD_SIZE": "2"})
    assert done.returncode == 2, done.stderr
    assert "unset WORLD_SIZE" in done.stderr


@needs_links
@pytest.mark.parametrize("mine", ["file", "link", "folder", "set"])
def test_prepare_replaces_nothing_of_the_users_even_to_overwrite(mine: str, place: Path) -> None:
    there = place / ("data" if mine == "set" else "there")
    if mine == "file":
        there.write_text("mine")
    elif mine == "link":
        there.symlink_to(place / "not mounted" / "data")
    else:
        there.mkdir(exist_ok=True)
        (there / "letter.txt").write_text("mine")
    before = (os.lstat(there).st_mode, sorted(there.iterdir()) if there.is_dir() else [])
    done = disks.on_disk("", "prepare", "photos", "-o", there.name, "--min-side", "16", "--overwrite")
    assert done.returncode == 2, done.stderr
    assert "ame another --output" in done.stderr
    assert (os.lstat(there).st_mode, sorted(there.iterdir()) if there.is_dir() else []) == before


@needs_links
@pytest.mark.parametrize("verb", ["finetune", "train"])
@pytest.mark.parametrize("mine", ["file", "link", "folder"])
def test_a_training_replaces_nothing_of_the_users_even_to_overwrite(mine: str, verb: str, place: Path) -> None:
    run_folder = place / "run"
    if mine == "file":
        run_folder.write_text("mine")
    elif mine == "link":
        run_folder.symlink_to(place / "not mounted" / "run")
    else:
        (run_folder / "weights").mkdir(parents=True)
        (run_folder / "weights" / "best.safetensors").write_text("mine")
    more = ["--lambda-perceptual", "0"] if verb == "train" else []
    done = disks.on_disk("", verb, *TRAINING, *SHORT, *more, "--overwrite")
    assert done.returncode == 2, done.stderr
    assert "ame another --run" in done.stderr
    if mine == "folder":
        assert (run_folder / "weights" / "best.safetensors").read_text() == "mine"
    else:
        assert run_folder.is_symlink() or run_folder.read_text() == "mine"


@pytest.mark.parametrize("name", ["report.html", "results.csv", "results.json"])
def test_compare_replaces_no_file_of_the_users(name: str, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.jpg")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    done = disks.on_disk("", "compare", tmp_path / "photos", "-o", tmp_path / "out", "--models", "compact")
    assert done.returncode == 2, done.stderr
    assert "--overwrite" in done.stderr
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_compare_says_before_any_work_that_its_folder_is_a_file(tmp_path: Path) -> None:
    for name, code in (("file", 2), ("file/below", 4)):
        (tmp_path / "file").touch()
        done = disks.on_disk("", "compare", tmp_path / "no photos", "-o", tmp_path / name, "--models", "compact")
        assert done.returncode == code, done.stderr
        assert "file is a file" in done.stderr or "a folder above it is a file" in done.stderr
        assert "--output" in done.stderr


def test_a_run_folder_that_cannot_take_the_results_is_refused_before_the_first_step(place: Path) -> None:
    (place / "run").mkdir()
    begun = disks.on_disk("", "finetune", *TRAINING, *SHORT)
    assert begun.returncode == 0, begun.stderr
    shutil.rmtree(place / "run" / "weights")
    (place / "run" / "weights").write_text("a letter")
    done = disks.on_disk("", "finetune", *TRAINING, *SHORT, "--epochs", "2")
    assert done.returncode == 4, done.stderr
    assert "run/weights" in done.stderr
    assert "epoch 2" not in done.stderr
    assert (place / "run" / "weights").read_text() == "a letter"


def test_a_pipe_or_socket_beside_photos_is_waited_for_by_nobody(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.png", "b.png")
    for name in ("a.hints.png", "c.jpg", "d.hints.json"):
        os.mkfifo(tmp_path / "photos" / name)
    done = run("photos", "-o", "out", "--model", tiny_model, cwd=tmp_path)
    assert (done.returncode, tree(tmp_path / "out")) == (3, ["b.png"]), done.stderr
    assert "its hints a.hints.png: not a regular file" in done.stderr
    assert "photos/c.jpg: not a regular file" in done.stderr


def test_a_user_whom_the_system_does_not_know_colors_photos(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", "a.png")
    nobody = """
import os, platformdirs
def none(*arguments, **more):
    raise RuntimeError("Could not determine home directory.")
platformdirs.user_cache_path = none
os.environ.pop("COLORGAN_CACHE", None)
"""
    arguments = (tmp_path / "photos", "-o", tmp_path / "out")
    done = disks.on_disk(f"import sys{nobody}", "colorize", *arguments, "--model", tiny_model)
    assert (done.returncode, tree(tmp_path / "out")) == (0, ["a.png"]), done.stderr
    named = disks.on_disk(f"import sys{nobody}", "colorize", *arguments, "--model", "finetuned")
    assert named.returncode == 4, named.stderr
    assert "bug" not in named.stderr


def test_a_current_folder_that_was_removed_is_an_error_with_words(tmp_path: Path) -> None:
    gone = "import os, tempfile\nfolder = tempfile.mkdtemp()\nos.chdir(folder)\nos.rmdir(folder)"
    done = disks.on_disk(gone, "colorize", tmp_path, "-o", "out")
    assert done.returncode == 4
    assert "the current folder was removed" in done.stderr
    assert "bug" not in done.stderr
