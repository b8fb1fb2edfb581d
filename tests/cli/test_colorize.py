"""`colorgan colorize` as a user meets it: a process, its exit code, what it prints and what it leaves."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from colorizing import Call, check_whole, hashes, make_photos, run, tree
from PIL import Image
from processes import DEADLINE_S, Process, Start, wait_until

pytestmark = pytest.mark.usefixtures("alone")

HANGUP = getattr(signal, "SIGHUP", 1)  # which Windows does not have
posix = pytest.mark.skipif(os.name == "nt", reason="signals and limits of POSIX")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "old photos"
    make_photos(folder, "Broadway, N.Y. ca. 1900-1915.jpg", "Köln, 写真.png", "sub. folder/a.b.c.tif")
    return folder


# --- what it does ---


def test_a_folder_is_colored_into_a_mirrored_tree(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    before = hashes(photos)
    done = run(photos, "-o", tmp_path / "out", "--model", tiny_model)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"3 written, 0 skipped, 0 failed. Results: {tmp_path / 'out'}\n"
    assert re.search(r"^Computing on \w+", done.stderr, re.MULTILINE)
    assert tree(tmp_path / "out") == tree(photos)
    assert hashes(photos) == before
    with Image.open(tmp_path / "out" / "Broadway, N.Y. ca. 1900-1915.jpg") as result:
        assert np.ptp(np.asarray(result).astype(int), axis=2).mean() > 5


def test_one_bad_photo_is_one_line_and_the_others_are_done(photos: Path, tiny_model: Path, tmp_path: Path) -> None:
    (photos / "diary.jpg").write_text("no photo")
    whole = (photos / "Köln, 写真.png").read_bytes()
    (photos / "half.png").write_bytes(whole[: len(whole) // 2])
    done = run(photos, "-o", tmp_path / "out", "--model", tiny_model, "--quiet")
    assert done.returncode == 3
    assert done.stdout == f"3 written, 0 skipped, 2 failed. Results: {tmp_path / 'out'}\n"
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"failed: {photos / 'diary.jpg'}: not a JPEG")
    assert lines[1].startswith(f"failed: {photos / 'half.png'}: damaged or incomplete")


def test_results_stand_beside_the_photos_without_an_output(photos: Path, tiny_model: Path, call: Call) -> None:
    code, out, _ = call(photos, "--model", tiny_model)
    assert (code, out) == (0, "3 written, 0 skipped, 0 failed. Results: beside the photos, as NAME-color\n")
    assert "Broadway, N.Y. ca. 1900-1915-color.jpg" in tree(photos)
    assert "sub. folder/a.b.c-color.tif" in tree(photos)
    code, out, err = call(photos, "--model", tiny_model)
    assert (code, out[:32]) == (0, "0 written, 3 skipped, 0 failed. ")
    assert "--overwrite" in err


def test_one_photo_goes_into_the_file_that_was_named(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    target = tmp_path / "new" / "result.webp"
    code, out, _ = call(photos / "Köln, 写真.png", "-o", target, "--model", tiny_model)
    assert (code, out) == (0, f"1 written, 0 skipped, 0 failed. Results: {target}\n")
    with Image.open(target) as image:
        assert image.format == "WEBP"


def test_a_slash_at_its_end_makes_the_output_a_folder(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call
) -> None:
    for name in ("x.xyz", "y.png"):
        assert call(photos / "Köln, 写真.png", "-o", f"{tmp_path / name}/", "--model", tiny_model)[0] == 0
        assert "Köln, 写真.png" in tree(tmp_path / name)


def test_options_change_the_result(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    photo, contents = photos / "Köln, 写真.png", set()
    for option in ((), ("--saturation", 0.3), ("--temperature", 3), ("--render-size", 64), ("--edges",)):
        assert call(photo, "-o", tmp_path / "a.png", "--model", tiny_model, "--overwrite", *option)[0] == 0
        contents.add((tmp_path / "a.png").read_bytes())
    assert len(contents) == 5
    assert call(photo, "-o", tmp_path / "g.png", "--model", tiny_model, "--saturation", 0)[0] == 0
    with Image.open(tmp_path / "g.png") as result, Image.open(photo) as gray:
        assert result.tobytes() == gray.convert("RGB").tobytes()


def test_the_model_can_come_from_the_environment(
    photos: Path, tiny_model: Path, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORGAN_MODEL", str(tiny_model))
    code, _, err = call(photos, "-o", tmp_path / "out")
    assert code == 0
    assert str(tiny_model) in err


def test_same_names_are_told_apart_and_reported(tiny_model: Path, tmp_path: Path, call: Call) -> None:
    make_photos(tmp_path, "one/a.jpg", "two/a.jpg")
    code, _, err = call(tmp_path / "one", tmp_path / "two", "-o", tmp_path / "out", "--model", tiny_model)
    assert code == 0
    assert tree(tmp_path / "out") == ["a-2.jpg", "a.jpg"]
    assert "named a-2.jpg" in err


@posix
def test_a_name_that_is_not_utf8_is_colored_and_printed(tiny_model: Path, tmp_path: Path) -> None:
    make_photos(tmp_path, "in/a.jpg")
    name = os.fsdecode(b"caf\xe9.jpg")
    try:
        (tmp_path / "in" / name).write_text("no photo")
        (tmp_path / "in" / "a.jpg").rename(tmp_path / "in" / os.fsdecode(b"na\xefve.jpg"))
    except OSError:
        pytest.skip("a disk with UTF-8 names alone")
    done = run(tmp_path / "in", "-o", os.fsdecode(bytes(tmp_path) + b"/\xff"), "--model", tiny_model)
    assert done.returncode == 3, done.stderr
    assert "caf\N{REPLACEMENT CHARACTER}.jpg: not a JPEG" in done.stderr
    assert (tmp_path / os.fsdecode(b"\xff") / os.fsdecode(b"na\xefve.jpg")).is_file()


# --- what it refuses ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jpg"], "missing.jpg: it does not exist"),
        ([""], "an empty name"),
        (["a.jpg", "-o", ""], "an empty name"),
        (["--from-file", "no-list"], "no-list: no such file"),
        (["empty folder"], "none in empty folder"),
        (["a.jpg", "-o", "a.jpg"], "is the input itself"),
        (["a.jpg", "-o", "."], "output folder that is not an input"),
        (["a.jpg", "empty folder", "-o", "b.jpg"], "several photos"),
        (["a.jpg", "-o", "x.xyz"], "end the name in a slash"),
        (["a.jpg", "--saturation", "-1"], "--saturation to be 0 to 4"),
        (["a.jpg", "--saturation", "nan"], "--saturation to be 0 to 4"),
        (["a.jpg", "--temperature", "0"], "--temperature to be 0.01 to 100"),
        (["a.jpg", "--render-size", "1"], "--render-size to be 16 to 4096 pixels"),
        (["a.jpg", "--quality", "101"], "--quality"),
        (["a.jpg", "--model", "no-such-model"], "no-such-model"),
        ([], "no INPUT and no --from-file"),
    ],
)
def test_wrong_usage_ends_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_photos(tmp_path, "a.jpg")
    (tmp_path / "empty folder").mkdir()
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert said in re.sub(r"\s*[│\n]\s*", " ", err)
    assert tree(tmp_path) == ["a.jpg"]


def test_weights_that_are_damaged_end_it_before_any_work(photos: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nothing of the kind")
    code, out, err = call(photos, "-o", tmp_path / "out", "--model", tmp_path / "bad.safetensors")
    assert (code, out) == (4, "")
    assert "bad.safetensors" in err
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_ends_it(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    code, _, err = call(photos, "-o", tmp_path / "out", "--model", tiny_model, "--device", "cuda:99")
    assert code == 4
    assert "cuda:99" in err


@posix
def test_a_full_disk_stops_with_a_clear_message_and_no_half_file(tiny_model: Path, tmp_path: Path) -> None:
    import resource

    make_photos(tmp_path / "in", "a.jpg", "c.jpg")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)).save(
        tmp_path / "in" / "b.png"
    )
    limit = (20000, 20000)  # bytes that a file may have: more than the journal and the small photo, less than the large
    done = run(
        tmp_path / "in",
        "-o",
        tmp_path / "out",
        "--model",
        tiny_model,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )
    assert done.returncode == 4
    assert re.fullmatch(r"[12] written, 0 skipped, 0 failed. Results: .*\n", done.stdout)
    assert f"to write {tmp_path / 'out' / 'b.png'}: file too large" in done.stderr
    assert set(tree(tmp_path / "out")) <= {"a.jpg", "c.jpg"}  # the one after may have been under way
    check_whole(tmp_path / "out")


def test_an_output_that_cannot_be_made_stops_it(photos: Path, tiny_model: Path, tmp_path: Path, call: Call) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, err = call(photos, "-o", tmp_path / "file" / "out", "--model", tiny_model)
    assert code == 4
    assert "--output" in err


# --- how it is interrupted ---


@pytest.fixture
def many(tmp_path: Path) -> Path:
    make_photos(tmp_path / "many", *(f"{number:03}.png" for number in range(200)))
    return tmp_path / "many"


@pytest.fixture
def begin(start: Start, tiny_model: Path) -> Start:
    """Start a run, and return once the first photo is done."""

    def begin(photos: Path, out: Path, *options: str) -> Process:
        process = start("colorize", photos, "-o", out, "--model", tiny_model, *options)
        wait_until((out / "000.png").exists, process, 0.002)
        return process

    return begin


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (HANGUP, 129)])
def test_a_signal_ends_it_with_whole_results_and_a_word_on_how_to_go_on(
    many: Path, tmp_path: Path, number: int, code: int, begin: Start
) -> None:
    process = begin(many, tmp_path / "out")
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code
    assert "run the same command again to continue" in err
    assert "Traceback" not in err
    written = tree(tmp_path / "out")
    assert 1 <= len(written) < 200
    assert out.startswith(f"{len(written)} written, 0 skipped, 0 failed.")
    check_whole(tmp_path / "out")


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (HANGUP, 129)])
def test_a_signal_while_the_model_is_loaded_ends_it_at_once(
    photos: Path, tiny_model: Path, tmp_path: Path, number: int, code: int, start: Start
) -> None:
    process = start("colorize", photos, "-o", tmp_path / "out", "--model", tiny_model)
    assert any("Loading" in line for line in process.stderr)
    process.send_signal(number)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (code, "")
    assert "run the same command again to continue" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@posix
def test_a_second_interrupt_drops_the_photo_under_way(tmp_path: Path, begin: Start) -> None:
    make_photos(tmp_path / "in", "000.png")
    Image.fromarray(np.tile(np.arange(250, dtype=np.uint8), (4000, 16))).save(tmp_path / "in" / "slow.png")
    process = begin(tmp_path / "in", tmp_path / "out", "--render-size", "700")
    time.sleep(0.3)
    while process.poll() is None:  # of two in a row the system may make one
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, err
    assert "run the same command again to continue" in err
    assert tree(tmp_path / "out") == ["000.png"]


@posix
@pytest.mark.slow
def test_a_killed_run_leaves_whole_results_alone_and_the_next_finishes(
    many: Path, tiny_model: Path, tmp_path: Path, begin: Start
) -> None:
    before = hashes(many)
    process = begin(many, tmp_path / "out")
    time.sleep(0.05)
    process.kill()
    process.communicate(timeout=DEADLINE_S)
    done = [name for name in tree(tmp_path / "out") if name.endswith(".png")]
    for name in done:
        with Image.open(tmp_path / "out" / name) as image:
            image.load()
    assert hashes(many) == before
    again = run(many, "-o", tmp_path / "out", "--model", tiny_model)
    assert again.stdout.startswith(f"{200 - len(done)} written, {len(done)} skipped, 0 failed.")
    assert tree(tmp_path / "out") == tree(many)
    check_whole(tmp_path / "out")


@posix
def test_a_terminal_sees_a_bar_that_leaves_the_results_alone(
    photos: Path, tiny_model: Path, tmp_path: Path, start: Start
) -> None:
    import pty

    master, slave = pty.openpty()
    arguments = ("colorize", photos, "-o", tmp_path / "out", "--model", tiny_model)
    process = start(*arguments, stderr=slave, env=os.environ | {"TERM": "xterm"})
    os.close(slave)
    seen = b""
    with contextlib.suppress(OSError):  # how a terminal ends whose other side is closed
        while chunk := os.read(master, 1 << 16):
            seen += chunk
    os.close(master)
    assert b"of 3 photos" in seen
    assert (
        process.communicate(timeout=DEADLINE_S)[0] == f"3 written, 0 skipped, 0 failed. Results: {tmp_path / 'out'}\n"
    )
