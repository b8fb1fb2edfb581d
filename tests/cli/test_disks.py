"""The commands on disks that are not as ext4 is: network shares, memory sticks, folders of a team."""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import disks
import pytest
from colorizing import make_photos, run, tree

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
    arguments = "--data set --from small.safetensors --size 16 --batch-size 4 --epochs 1 --device cpu --workers 1".split()
    trained = disks.on_disk(disks.BARE, "finetune", *arguments, "--run", "run")
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
