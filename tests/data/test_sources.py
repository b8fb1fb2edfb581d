from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colorgan.data import sources
from colorgan.data.sources import Source, open_source
from colorgan.errors import Interrupted, PhotoError, UsageError

Paint = Callable[..., bytes]
MEMBERS = {
    "b/2.png": b"two",
    "a/1.JPEG": b"one",
    "top.webp": b"top",
    "a/readme.txt": b"no photo",
    "a/._1.jpg": b"shadow",
}
LISTED = [("a/1.JPEG", "a", b"one"), ("b/2.png", "b", b"two"), ("top.webp", "", b"top")]


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def write_folder(path: Path) -> Path:
    for name, data in MEMBERS.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_tar(path: Path) -> Path:
    path = path.with_suffix(".tar")
    path.write_bytes(tar_of(MEMBERS))
    return path


def write_zip(path: Path) -> Path:
    path = path.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in MEMBERS.items():
            archive.writestr(name, data)
    return path


def contents(source: Source) -> list[tuple[str, str, bytes]]:
    try:
        return [(entry.name, entry.class_name, entry.read()) for entry in source.entries]
    finally:
        source.close()


def write_tar_of_tars(path: Path) -> Path:
    path = path.with_suffix(".tar")
    path.write_bytes(tar_of({"a.tar": tar_of(MEMBERS)}))
    return path


@pytest.mark.parametrize("write", [write_folder, write_tar, write_tar_of_tars, write_zip])
def test_while_a_source_is_listed_one_may_stop_it_at_each_member(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path / "source")
    calls = []
    open_source(path, lambda: calls.append(None)).close()
    assert len(calls) >= len(MEMBERS)
    for last in range(1, len(calls) + 1):
        left = iter(range(last - 1))

        def stop(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise Interrupted(2, "again")

        with pytest.raises(Interrupted):
            open_source(path, stop)


@pytest.mark.parametrize("write", [write_folder, write_tar, write_zip])
def test_photos_are_listed_in_sorted_order_with_their_classes(write: Callable[[Path], Path], tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "source"))
    assert contents(source) == LISTED
    assert source.ignored == 2


def test_a_tar_of_class_tars_takes_their_stems_for_classes(tmp_path: Path) -> None:
    path = tmp_path / "imagenet.tar"
    classes = {
        "n02.tar": tar_of({"n02_1.JPEG": b"x" * 700, "n02_0.JPEG": b"y"}),
        "train/n01.tar": tar_of({"deep/n01_0.JPEG": b"z"}),
    }
    path.write_bytes(tar_of(classes))
    assert contents(open_source(path)) == [
        ("n02.tar/n02_0.JPEG", "n02", b"y"),
        ("n02.tar/n02_1.JPEG", "n02", b"x" * 700),
        ("train/n01.tar/deep/n01_0.JPEG", "n01", b"z"),
    ]


def test_an_archive_writes_nothing_whatever_its_members_are_called(tmp_path: Path) -> None:
    path = tmp_path / "inner" / "hostile.tar"
    path.parent.mkdir()
    path.write_bytes(tar_of({"../../escaped.png": b"1", f"{tmp_path}/absolute.png": b"2"}))
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        archive.writestr("../escaped.png", b"3")
    before = sorted(tmp_path.rglob("*"))
    assert [data for _, _, data in contents(open_source(path))] == [b"1", b"2"]
    assert [data for _, _, data in contents(open_source(path.with_suffix(".zip")))] == [b"3"]
    assert sorted(tmp_path.rglob("*")) == before


def test_links_devices_and_fifos_of_a_tar_are_counted_and_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "links.tar"
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    with tarfile.open(path, "w") as archive:
        for name, kind in [
            ("s", tarfile.SYMTYPE),
            ("h", tarfile.LNKTYPE),
            ("f", tarfile.FIFOTYPE),
            ("c", tarfile.CHRTYPE),
        ]:
            header = tarfile.TarInfo(f"{name}.png")
            header.type, header.linkname = kind, str(secret)
            archive.addfile(header)
    source = open_source(path)
    assert source.entries == []
    assert source.ignored == 4


def test_a_link_in_a_zip_is_not_followed(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "links.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    source = open_source(tmp_path / "links.zip")
    source.close()
    assert source.entries == []
    assert source.ignored == 1


@pytest.mark.skipif(sys.platform == "win32", reason="links and fifos are a Unix matter")
def test_link_loops_and_fifos_in_a_folder_never_hang(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "photos")
    (folder / "a" / "loop").symlink_to(folder)
    (folder / "round.png").symlink_to(folder / "round.png")
    (folder / "linked.png").symlink_to(folder / "top.webp")
    os.mkfifo(folder / "fifo.jpg")
    source = open_source(folder)
    assert contents(source) == sorted([*LISTED, ("linked.png", "", b"top")])
    assert source.ignored == 2 + 3


def test_a_zip_member_without_a_name_is_no_photo(tmp_path: Path) -> None:
    nameless = zipfile.ZipInfo()
    nameless.filename = ""
    with zipfile.ZipFile(tmp_path / "nameless.zip", "w") as archive:
        archive.writestr(nameless, b"1")
    source = open_source(tmp_path / "nameless.zip")
    source.close()
    assert source.entries == []
    assert source.ignored == 1


def test_a_photo_that_is_too_large_is_a_reason_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_PHOTO_BYTES", 2)
    for path in (write_folder(tmp_path / "folder"), write_tar(tmp_path / "a"), write_zip(tmp_path / "b")):
        source = open_source(path)
        with pytest.raises(PhotoError, match="larger than"):
            source.entries[0].read()
        source.close()


def test_a_zip_member_that_unpacks_to_more_than_it_states_is_cut_at_what_it_states(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", bytes(10_000_000))
    data = path.read_bytes().replace((10_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(zipfile.BadZipFile):  # its checksum is that of all ten million
        source.entries[0].read()
    source.close()


def tar_with_an_endless_header() -> bytes:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 2**80
    return tar_of(MEMBERS)[:-10240] + header.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("missing", None, "it does not exist"),
        ("photo.jpg", b"\xff\xd8\xff", "ends in '.jpg'"),
        ("photos.tar.gz", b"\x1f\x8b\x08", "compressed with gzip"),
        ("photos.tar", b"BZh91AY", "compressed with bzip2"),
        ("photos.tar", b"\xfd7zXZ\x00", "compressed with xz"),
        ("photos.tar", b"no tar at all" * 100, "damaged"),
        ("photos.tar", tar_of(MEMBERS)[:1100], "damaged"),
        ("photos.tar", tar_of(MEMBERS)[:1024] + b"?" * 512 + tar_of(MEMBERS)[1536:], "damaged"),
        ("photos.tar", tar_with_an_endless_header(), "damaged"),
        ("photos.zip", b"PK no zip", "damaged"),
        ("photos.zip", b"", "damaged"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_with_the_reason(
    name: str, data: bytes | None, found: str, tmp_path: Path
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError) as error:
        open_source(tmp_path / name)
    assert found in error.value.found
    assert str(tmp_path / name) in error.value.expected
    assert error.value.advice


@pytest.mark.parametrize("write", [write_tar, write_zip])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), junk=st.binary(min_size=1, max_size=24), cut=st.booleans())
def test_a_mutated_archive_gives_a_clear_error_or_entries(
    write: Callable[[Path], Path], tmp_path: Path, place: float, junk: bytes, cut: bool
) -> None:
    path = write(tmp_path / "whole")
    data = bytearray(path.read_bytes())
    at = int(place * len(data))
    data[at : None if cut else at + len(junk)] = junk
    path.write_bytes(data)
    try:
        source = open_source(path)
    except UsageError:
        return
    assert all(entry.name for entry in source.entries)
    source.close()
