from __future__ import annotations

import errno
import json
import mmap
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from colorgan.data.options import PrepareOptions
from colorgan.data.photoset import PhotoSet
from colorgan.data.prepare import prepare
from colorgan.errors import SetError


def test_a_set_opens_with_its_photos_its_identity_and_its_prior(folder: Path, photo_set: PhotoSet) -> None:
    assert (len(photo_set.train), len(photo_set.val)) == (18, 6)
    assert photo_set.identity == json.loads((folder / "set.json").read_text())["identity"]
    assert photo_set.prior.shape == (313,)
    assert photo_set.prior.sum().item() == pytest.approx(1)
    photo = photo_set.train.read(0)
    assert (photo.mode, photo.size) == ("RGB", (38, 32))


def test_a_split_can_be_sent_to_another_process(photo_set: PhotoSet) -> None:
    photo_set.train.read(0)
    copy = pickle.loads(pickle.dumps(photo_set.train))
    assert np.array_equal(copy.read(3), photo_set.train.read(3))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


def edit(**changes: Any) -> Any:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("name", "damage", "found"),
    [
        ("set.json", Path.unlink, "no set.json"),
        ("set.json", cut, "cannot be read"),
        ("set.json", lambda path: path.write_text("[]"), "does not describe a set"),
        ("set.json", edit(version=99), "format version 99"),
        ("set.json", edit(identity=None, sha256=None), "damaged"),
        ("set.json", edit(ab_prior=["x"]), "damaged"),
        ("set.json", edit(ab_prior=[1.0]), "other numbers"),
        ("train-00000.tar", Path.unlink, "no such file"),
        ("train-00000.tar", cut, "it has"),
        ("val.index.npy", Path.unlink, "No such file"),
        ("val.index.npy", spoil, "damaged"),
        ("train.index.npy", lambda path: path.write_bytes(b""), "damaged"),
    ],
)
def test_a_damaged_set_is_refused_with_the_reason(folder: Path, name: str, damage: Any, found: str) -> None:
    damage(folder / name)
    with pytest.raises(SetError) as error:
        PhotoSet.open(folder)
    assert found in error.value.found
    assert str(folder) in error.value.expected
    assert "repare" in error.value.advice


def test_a_folder_that_is_not_there_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(SetError, match="it does not exist"):
        PhotoSet.open(tmp_path / "missing")


def test_a_damaged_photo_is_named_when_it_is_read(folder: Path, photo_set: PhotoSet) -> None:
    shard = folder / "train-00000.tar"
    row = photo_set.train.index[2]
    data = bytearray(shard.read_bytes())
    data[row["offset"] : row["offset"] + row["length"]] = bytes(int(row["length"]))
    shard.write_bytes(data)
    with pytest.raises(SetError, match=rf"byte {row['offset']} of .*train-00000\.tar"):
        PhotoSet.open(folder).train.read(2)


def test_each_photo_knows_its_source(photos: Path, tmp_path: Path) -> None:
    (photos / "class0").rename(tmp_path / "slides")
    options = PrepareOptions(size=32, min_side=16, val_fraction=0.25)
    prepare([photos, tmp_path / "slides"], tmp_path / "data", options)
    photo_set = PhotoSet.open(tmp_path / "data")
    sources = [*photo_set.train.sources(), *photo_set.val.sources()]
    assert sorted(sources) == ["photos"] * 16 + ["slides"] * 8
    lines = [json.loads(line) for line in (tmp_path / "data" / "manifest.jsonl").read_text().splitlines()]
    for line in (line for line in lines if line["split"] == "train"):
        assert photo_set.train.sources()[int(line["key"])] == line["source"]


@pytest.mark.parametrize("damage", [Path.unlink, cut, lambda path: path.write_text('{"split": "train"}\n')])
def test_a_damaged_manifest_is_refused_when_sources_are_asked_for(
    folder: Path, photo_set: PhotoSet, damage: Any
) -> None:
    damage(folder / "manifest.jsonl")
    with pytest.raises(SetError, match="a manifest at"):
        photo_set.train.sources()


def test_a_set_on_a_disk_without_memory_maps_is_read(
    folder: Path, photo_set: PhotoSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENODEV, "No such device")

    expected = photo_set.train.read(0).tobytes()
    monkeypatch.setattr(mmap, "mmap", refuse)
    monkeypatch.setattr(np, "memmap", refuse)
    fresh = PhotoSet.open(folder).train
    assert fresh.read(0).tobytes() == expected
