from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import ARTIST, ORIENTATION
from PIL import Image
from PIL.ExifTags import IFD

from colorgan.images.metadata.exif import ExifBlock

MAKER_NOTE, COLOR_SPACE = 0x927C, 0xA001


def block(order: str, thumbnail: bytes = b"", orientation: int = 6, *, kind: int = 4, behind: bytes = b"") -> bytes:
    """EXIF with an artist and a maker's note, both far from their entries, and a thumbnail and more at the end."""
    note, name = b"Maker at 0x60\0" * 3, b"somebody\0\0"
    ifd0, exif_ifd, ifd1 = 8, 8 + 2 + 3 * 12 + 4, 0
    heap = exif_ifd + 2 + 4 * 12 + 4
    places = {"artist": heap, "note": heap + len(name)}
    ifd1 = places["note"] + len(note)
    picture = ifd1 + 2 + 2 * 12 + 4

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        packed = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        return struct.pack(f"{order}HHI", tag, kind, count) + packed

    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", ifd0)
    data += struct.pack(f"{order}H", 3) + entry(ORIENTATION, 3, 1, orientation)
    data += entry(ARTIST, 2, len(name), places["artist"]) + entry(0x8769, 4, 1, exif_ifd)
    data += struct.pack(f"{order}I", ifd1 if thumbnail else 0)
    data += struct.pack(f"{order}H", 4) + entry(MAKER_NOTE, 7, len(note), places["note"])
    data += entry(COLOR_SPACE, 3, 1, 65535) + entry(0xA002, 4, 1, 640) + entry(0xA003, 4, 1, 480) + bytes(4)
    data += name + note
    if thumbnail:
        data += struct.pack(f"{order}H", 2) + entry(0x0201, kind, 1, picture) + entry(0x0202, kind, 1, len(thumbnail))
        data += bytes(4) + thumbnail + behind
    return b"Exif\0\0" + data


def fields(data: bytes) -> dict[int, object]:
    exif = Image.Exif()
    exif.load(data)
    return dict(exif) | dict(exif.get_ifd(IFD.Exif))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("turned", [False, True])
def test_only_what_became_untrue_is_changed(order: str, turned: bool) -> None:
    before = block(order)
    changed = ExifBlock(before)
    assert fields(before)[ORIENTATION] == 6
    changed.normalize(turned=turned)
    after = changed.tobytes()
    size = (480, 640) if turned else (640, 480)
    wanted = fields(before) | {COLOR_SPACE: 1, 0xA002: size[0], 0xA003: size[1]}
    del wanted[ORIENTATION]
    assert fields(after) == wanted
    assert after.index(b"Maker at") == before.index(b"Maker at")
    assert len(after) == len(before)


@pytest.mark.parametrize("order", "<>")
def test_the_thumbnail_is_taken_out(order: str) -> None:
    picture = b"\xff\xd8 a small gray picture \xff\xd9"
    changed = ExifBlock(block(order, picture))
    changed.normalize(turned=False)
    assert b"small gray" not in changed.tobytes()
    exif = Image.Exif()
    exif.load(changed.tobytes())
    assert exif.get_ifd(IFD.IFD1) == {}
    assert exif[ARTIST].startswith("somebody")


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4], ids=["short", "long"])
@pytest.mark.parametrize("behind", [b"", b"a maker's own data"])
def test_what_stands_behind_a_thumbnail_keeps_its_place(order: str, kind: int, behind: bytes) -> None:
    picture = b"\xff\xd8 a small gray picture \xff\xd9"
    before = block(order, picture, kind=kind, behind=behind)
    changed = ExifBlock(before)
    changed.normalize(turned=False)
    after = changed.tobytes()
    assert picture not in after
    assert after.endswith(bytes(len(picture)) + behind if behind else bytes(4))
    assert len(after) == len(before) - (0 if behind else len(picture))
    root, entries = 6 + 8, 2  # the orientation has gone
    assert after[root + 2 + entries * 12 :].startswith(bytes(4 + 12))  # no link to a second directory, and the room


def test_a_block_of_the_orientation_alone_is_empty_without_it() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    changed = ExifBlock(exif.tobytes())
    changed.normalize(turned=False)
    assert changed.is_empty


GRAY_FACTS = {256: 640, 257: 480, 258: 8, 259: 1, 262: 1, 277: 1, 284: 1, 532: (0, 255), 531: 1, 318: (0.3, 0.3)}


@pytest.mark.parametrize("turned", [False, True])
def test_what_describes_the_gray_pixels_goes(turned: bool) -> None:
    exif = Image.Exif()
    for tag, value in GRAY_FACTS.items():
        exif[tag] = value
    exif[ARTIST] = "somebody"
    directory = exif.get_ifd(IFD.Exif)
    directory.update({0x9101: b"\1\0\0\0", 0x9102: 2.0, 0xA500: 1.0, 36867: "1936:05:01 10:00:00"})
    changed = ExifBlock(exif.tobytes())
    changed.normalize(turned=turned)
    width, height = (480, 640) if turned else (640, 480)
    after = fields(changed.tobytes())
    after.pop(0x8769)
    assert after == {256: width, 257: height, ARTIST: "somebody", 36867: "1936:05:01 10:00:00"}


def test_a_block_that_says_adobe_rgb_without_a_profile_no_longer_does() -> None:
    def told(index: str) -> bytes:
        exif = Image.Exif()
        exif.get_ifd(IFD.Exif)[0xA005] = {1: index}
        changed = ExifBlock(exif.tobytes())
        changed.normalize(turned=False)
        return changed.tobytes()

    assert 0xA005 not in fields(told("R03"))
    assert 0xA005 in fields(told("R98"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), st.integers(0, 400))
def test_changed_and_cut_bytes_are_refused_or_give_a_block(changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(block("<", b"\xff\xd8\xff\xd9"))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        changed = ExifBlock(bytes(data[:length]))
        changed.normalize(turned=True)
    except (ValueError, struct.error):
        return
    assert io.BytesIO(changed.tobytes()).read(6) == b"Exif\0\0"
