from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from pictures import ARTIST, ORIENTATION, RAMP, lab_lightness, lightness_of, open_image, palette_ramp, saved, write
from PIL import Image, ImageOps
from PIL.ExifTags import IFD
from PIL.PngImagePlugin import PngInfo

from colorgan import __version__
from colorgan.images.decode import read
from colorgan.images.encode import WriteOptions
from colorgan.images.metadata.read import Metadata
from colorgan.images.photo import from_image


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_photo_that_exif_calls_turned_is_read_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    corner = np.zeros((16, 32), np.uint8)
    corner[:8, :8] = 255
    corner[:8, 8:16] = 128
    exif = Image.Exif()
    exif[ORIENTATION], exif[ARTIST] = orientation, "somebody"
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(corner).convert("RGB"), exif=exif, quality=100)
    photo = read(path)
    upright = np.asarray(ImageOps.exif_transpose(open_image(path)).convert("L"))
    assert lightness_of(photo).shape == upright.shape
    assert np.abs(lightness_of(photo) - lab_lightness(upright / 255)).max() < 1
    if suffix != ".tif":
        assert photo.metadata.exif is not None
        kept = Image.Exif()
        kept.load(photo.metadata.exif)
        assert dict(kept) == {ARTIST: "somebody"}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_alpha_and_resolution_are_turned_with_the_photo(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(RAMP).convert("RGBA")
    image.putalpha(Image.fromarray(RAMP))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = read(saved(tmp_path / "a.png", image, exif=exif, dpi=(300, 150)))
    assert photo.alpha is not None
    assert np.abs(lab_lightness(photo.alpha / 255) - lightness_of(photo)).max() < 1e-3
    assert photo.metadata.dpi == pytest.approx((300, 150) if orientation <= 4 else (150, 300), rel=1e-3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif)).size == (64, 8)


def test_damaged_exif_costs_the_tags_and_not_the_photo(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\xff\xff\xff\xff" * 3
    photo = read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif))
    assert photo.size == (64, 8)
    assert photo.metadata.exif is None


def test_a_resolution_that_is_none_is_left_out() -> None:
    for dpi in ((0, 0), (0, 72), (72, 0), (65536, 72), (72, 65536), (float("nan"), 1), ("x", "y"), (1,), None):
        image = Image.fromarray(RAMP)
        image.info["dpi"] = dpi
        assert from_image(image).metadata.dpi is None


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("unit", "factor"), [(None, 1), (2, 1), (3, 2.54), (1, None)])
def test_a_jpeg_without_a_resolution_of_its_own_has_that_of_its_exif_data(
    tmp_path: Path, unit: int | None, factor: float | None, orientation: int
) -> None:
    exif = Image.Exif()
    exif[282], exif[283], exif[ORIENTATION] = 300.0, 150.0, orientation
    if unit:
        exif[296] = unit
    dpi = read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif)).metadata.dpi
    turned = (150, 300) if orientation == 6 else (300, 150)
    assert dpi == (factor and pytest.approx(tuple(factor * value for value in turned)))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_photo_that_xmp_alone_calls_turned_is_read_upright_and_exif_goes_first(tmp_path: Path, suffix: str) -> None:
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", PACKET.decode())  # which says 6
    said = {"pnginfo": info} if suffix == ".png" else {"xmp": PACKET}
    image = Image.fromarray(np.dstack([RAMP] * 3))
    assert read(saved(tmp_path / f"a{suffix}", image, **said)).size == (8, 64)
    for orientation in (1, 3):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        assert read(saved(tmp_path / f"b{suffix}", image, exif=exif, **said)).size == (64, 8)


def test_a_picture_in_memory_stays_as_it_is() -> None:
    image = palette_ramp()
    image.info["transparency"] = 3
    before = (image.mode, image.tobytes(), dict(image.info))
    from_image(image)
    assert (image.mode, image.tobytes(), image.info) == before


# --- from file to file ---


PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" '
    b'xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" crs:ConvertToGrayscale="True" '
    b'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:City="Rome"/></rdf:RDF>'
    b"</x:xmpmeta>"
)
IPTC = b"\x1c\x02\x82\x00\x021W\x1c\x02\x69\x00\x05House"  # monochrome, and a headline
PHOTOSHOP = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
COMMENT = "Großmutters Haus".encode()
BITS, PHOTOMETRIC, SAMPLES = 258, 262, 277
NAMES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "TIFF": ".tif"}


def described(path: Path) -> Path:
    """A photo that says everything, in the format of its name."""
    exif = Image.Exif()
    exif[ARTIST], exif[ORIENTATION] = "somebody", 6
    if path.suffix != ".tif":
        exif[BITS], exif[PHOTOMETRIC], exif[SAMPLES], exif[700] = 8, 1, 1, PACKET
    exif[IFD.Exif] = {36867: "1936:05:01 10:00:00"}
    exif[IFD.GPSInfo] = {1: "N", 2: (48.0, 8.0, 0.0)}
    image = Image.fromarray(np.dstack([RAMP] * 3))
    if path.suffix == ".tif":
        exif[700], exif[33723] = PACKET, IPTC
        options: dict[str, object] = {"exif": exif.tobytes()}
    elif path.suffix == ".png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", PACKET.decode())
        info.add_text("Comment", COMMENT.decode())
        info.add_text("Title", "A house")
        options = {"exif": exif, "pnginfo": info}
    else:
        segment = b"\xff\xed" + struct.pack(">H", len(PHOTOSHOP) + 2) + PHOTOSHOP
        options = {"exif": exif, "xmp": PACKET} | (
            {"extra": segment, "comment": COMMENT} if path.suffix == ".jpg" else {}
        )
    return saved(path, image, dpi=(300, 150), **options)


KEPT = {
    "JPEG": ("xmp", "iptc", "comment"),
    "PNG": ("xmp", "comment", "titles"),
    "WEBP": ("xmp",),
    "AVIF": ("xmp",),
    "TIFF": ("xmp", "iptc"),
}
WORDS = {"xmp": "XMP data", "iptc": "IPTC data", "comment": "a comment", "titles": "PNG texts"}


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("source", NAMES)
def test_what_a_photo_says_goes_into_every_format_that_has_a_place_for_it(
    tmp_path: Path, source: str, target: str, bit_depth: int
) -> None:
    before = read(described(tmp_path / f"in{NAMES[source]}")).metadata
    assert {name for name in WORDS if getattr(before, name)} == set(KEPT[source])
    path, rgb = tmp_path / f"out{NAMES[target]}", np.zeros((64, 8, 3), np.uint8)
    warnings = write(path, target, rgb, metadata=before, options=WriteOptions(bit_depth=bit_depth))
    after = read(path).metadata
    for name in KEPT[source]:
        if name in KEPT[target]:
            assert getattr(after, name) == getattr(before, name)
        else:
            assert any(WORDS[name] in word and target in word for word in warnings)
    assert after.exif is not None
    exif = Image.Exif()
    exif.load(after.exif)
    assert exif[ARTIST] == "somebody"
    assert exif.get_ifd(IFD.Exif)[36867] == "1936:05:01 10:00:00"
    assert exif.get_ifd(IFD.GPSInfo)[2] == (48.0, 8.0, 0.0)
    assert ORIENTATION not in exif
    assert b"tiff:Orientation" not in (after.xmp or b"")
    if source in ("JPEG", "PNG", "TIFF") and target in ("JPEG", "PNG", "TIFF"):
        assert after.dpi == pytest.approx((150, 300), rel=1e-3)


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize("source", NAMES)
def test_nothing_that_is_true_of_the_gray_file_alone_is_in_a_result(tmp_path: Path, source: str, target: str) -> None:
    photo = read(described(tmp_path / f"in{NAMES[source]}"))
    assert any("raw editor" in word for word in photo.warnings)
    path = tmp_path / f"out{NAMES[target]}"
    write(path, target, np.zeros((64, 8, 3), np.uint8), metadata=photo.metadata, options=WriteOptions(mark="m"))
    result = open_image(path)
    exif = result.getexif()
    packet = exif[700] if target == "TIFF" else result.info["xmp"]
    assert not any(fact in packet for fact in (b"crs:", b"tiff:"))
    assert b"\x1c\x02\x82" not in path.read_bytes()
    own = (2, 3) if target == "TIFF" else (None, None)
    assert (exif.get(PHOTOMETRIC), exif.get(SAMPLES)) == own
    assert (700 in exif) == (target == "TIFF")


def test_an_xmp_packet_among_the_exif_data_is_kept_in_its_own_place(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[700], exif[ARTIST] = PACKET, "somebody"
    metadata = read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif)).metadata
    assert b"Rome" in (metadata.xmp or b"")
    kept = Image.Exif()
    kept.load(metadata.exif or b"")
    assert dict(kept) == {ARTIST: "somebody"}


def test_texts_of_a_png_are_kept_but_for_those_of_programs(tmp_path: Path) -> None:
    own = {"date:create": "1911", "signature": "0f", "Software": "scan", "exif:ColorSpace": "1"}
    info = PngInfo()
    for name, text in {"Archive": "box 7", "Title": "Hüte", **own}.items():
        info.add_text(name, text)
    metadata = read(saved(tmp_path / "a.png", Image.fromarray(RAMP), pnginfo=info)).metadata
    assert metadata.titles == {"Archive": "box 7", "Title": "Hüte"}
    write(tmp_path / "b.png", "PNG", np.zeros((8, 9, 3), np.uint8), metadata=metadata)
    assert read(tmp_path / "b.png").metadata.titles == metadata.titles
    (word,) = write(tmp_path / "b.jpg", "JPEG", np.zeros((8, 9, 3), np.uint8), metadata=metadata)
    assert "PNG texts" in word


@pytest.mark.parametrize("target", NAMES)
def test_nothing_of_it_is_kept_where_nothing_is_to_be(tmp_path: Path, target: str) -> None:
    before = read(described(tmp_path / "in.jpg")).metadata
    path = tmp_path / f"out{NAMES[target]}"
    assert (
        write(path, target, np.zeros((8, 9, 3), np.uint8), metadata=before, options=WriteOptions(keep_metadata=False))
        == ()
    )
    assert read(path).metadata == Metadata()


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize("target", NAMES)
def test_a_colored_photo_says_what_it_is(tmp_path: Path, target: str, bit_depth: int, keep: bool) -> None:
    before = read(described(tmp_path / "in.jpg")).metadata
    options = WriteOptions(mark="compact", bit_depth=bit_depth, keep_metadata=keep)
    path = tmp_path / f"out{NAMES[target]}"
    write(path, target, np.zeros((8, 9, 3), np.uint8), metadata=before, options=options)
    packet = read(path).metadata.xmp or b""
    assert b'"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"' in packet
    assert b'AISystemUsed="colorgan, model compact"' in packet
    assert f'AISystemVersionUsed="{__version__}"'.encode() in packet
    assert (b"photoshop:City" in packet) == keep


def test_a_damaged_packet_gives_way_to_the_mark_with_a_word(tmp_path: Path) -> None:
    broken = Metadata(xmp=b"<!DOCTYPE a><x/>")
    warnings = write(
        tmp_path / "a.jpg", "JPEG", np.zeros((8, 9, 3), np.uint8), metadata=broken, options=WriteOptions(mark="m")
    )
    assert warnings == ("damaged XMP data, left out",)
    assert b"model m" in (read(tmp_path / "a.jpg").metadata.xmp or b"")


def test_more_than_a_jpegs_segment_holds_is_left_out_with_a_word(tmp_path: Path) -> None:
    much = Metadata(xmp=bytes(65_505), iptc=bytes(65_530), comment=bytes(65_534))
    warnings = write(tmp_path / "a.jpg", "JPEG", np.zeros((8, 9, 3), np.uint8), metadata=much)
    assert warnings == ("more XMP data and IPTC data and a comment than a JPEG can hold, left out",)


def test_a_tiffs_texts_keep_their_bytes(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ARTIST] = "Zoë".encode()
    path = saved(tmp_path / "a.tif", Image.fromarray(RAMP), exif=exif)
    for bit_depth in (8, 16):
        out = tmp_path / "b.tif"
        rgb = np.zeros((8, 9, 3), np.uint8)
        write(out, "TIFF", rgb, metadata=read(path).metadata, options=WriteOptions(bit_depth=bit_depth))
        assert "Zoë".encode() + b"\0" in out.read_bytes()
