"""Opening a picture of any known kind by its first bytes, with Pillow's readers mended where they misread a file."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImagePalette,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL.ExifTags import IFD

from colorgan.errors import DamagedPhotoError, MissingExtraError, PhotoError
from colorgan.images import profiles
from colorgan.images.formats import advice_for, kind_of
from colorgan.images.metadata import xmp
from colorgan.images.pixels import UNNAMED_CHANNEL
from colorgan.images.profiles import Meaning

A_PHOTO = "a photo that can be read"
_KNOWN = "a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture"
_ELSEWHERE = "See whether another program opens it, and save it from there."
MAGIC_BYTES = 256
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_NOT_MINE = (SyntaxError, IndexError, TypeError, KeyError, struct.error)  # how plugins say so
# How readers say of a sound file that they do not know its kind.
_NOT_KNOWN = ("cannot handle", "not a known", "not supported", "unsupported")
_PILLOWS_COUNT = re.compile(r" \(\d+ bytes not processed\)")  # which says nothing of how much is lost
_GRAY_MODES = ("1", "L", "LA", "I;16", "I")


class UnknownTiffError(Exception):
    """A TIFF, but of a kind that Pillow does not know."""


def reason(error: Exception) -> PhotoError:
    """What a reader's error says of a photo: that it is damaged, or that it is of a kind which nobody here reads."""
    words = _PILLOWS_COUNT.sub("", " ".join((str(error) or type(error).__name__).split()))
    if any(each in words.lower() for each in _NOT_KNOWN):
        return PhotoError(A_PHOTO, f"of a kind that is not read ({words})", _ELSEWHERE)
    return DamagedPhotoError(A_PHOTO, f"damaged or incomplete ({words})", "Copy it again from where it came from.")


# --- TIFF ----------------------------------------------------------------------------------------------------

_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 258, 259, 262, 274, 277
_PLANAR_CONFIGURATION, _COLOR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _XMP, _IPTC = 284, 320, 338, 339, 700, 33723
_DECODED_ELSEWHERE = (1, 8, 32773, 32946)  # none, Deflate and PackBits, which tifffile decodes by itself
_WEBP_INSIDE = 50001  # which Pillow knows, and its libtiff not
_FAX = (2, 3, 4)
_BLACK_IS_ZERO, _RGB, _SIGNED = 1, 2, 2


class TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF that is not held to Pillow's limit on pixels when it is decoded: it was held to ours; its IPTC is kept.

    Attributes:
        warnings: what a user should know about it.
        is_signed: whether its samples may be below zero.
        has_unnamed_channel: whether a channel beside the colors is not said to be transparency.
    """

    warnings: tuple[str, ...] = ()
    is_signed = False
    has_unnamed_channel = False

    def _open(self) -> None:
        super()._open()
        bits, compression = self.tag_v2.get(_BITS_PER_SAMPLE, (8,)), self.tag_v2.get(_COMPRESSION, 1)
        if self.tag_v2.get(_PLANAR_CONFIGURATION) == 2 and max(bits) > 8 and compression in _DECODED_ELSEWHERE:
            raise SyntaxError("Pillow mixes up the bytes of deep channels that stand one after the other")
        if compression == _WEBP_INSIDE:
            raise SyntaxError("Pillow decodes no WebP inside a TIFF")

    def _setup(self) -> None:
        # Pillow turns the picture and forgets how it lay; of IPTC that is written as integers it would keep the first.
        packet = self.tag_v2.get(_XMP)
        said = xmp.orientation_of(packet) if isinstance(packet, bytes) else None
        if said:  # in the one way of writing it by which Pillow turns the picture
            self.info["xmp"] = b'tiff:Orientation="%d"' % said
        self.info["orientation"] = self.tag_v2.get(_ORIENTATION) or said
        self.info["iptc"] = self.tag_v2._tagdata.get(_IPTC)
        tags = self.tag_v2
        is_unsaid = tags.get(_PHOTOMETRIC) is None and tags.get(_COMPRESSION) not in _FAX
        if is_unsaid and tags.get(_SAMPLES, 1) == 1:  # as libtiff takes it; Pillow would take it for a negative
            tags[_PHOTOMETRIC] = _BLACK_IS_ZERO
        super()._setup()
        self.is_signed = _SIGNED in tags.get(_SAMPLE_FORMAT, ())
        unexplained = (tags.get(_EXTRA_SAMPLES) or (0,))[0] == 0
        self.has_unnamed_channel = tags.get(_PHOTOMETRIC) == _RGB and tags.get(_SAMPLES, 1) > 3 and unexplained
        self.warnings = (UNNAMED_CHANNEL,) if self.has_unnamed_channel else ()
        if is_unsaid:
            self.warnings += ("no word on what its samples mean; 0 was taken for black",)
        levels = tags.get(_COLOR_MAP, ())
        if self.mode in ("P", "PA") and levels and max(levels) < 256:
            # Old scanners wrote levels of 255 in place of 65535; libtiff's rule is that none is above.
            self.palette = ImagePalette.raw("RGB;L", bytes(levels))

    def load_prepare(self) -> None:
        """Make room for the pixels."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        ImageFile.ImageFile.load_prepare(self)


# --- PNG -----------------------------------------------------------------------------------------------------

_MOST_CHUNKS = 10_000  # that are looked at before the pixels
_PHOTOSHOP_IPTC = 0x0404


class PngFile(PngImagePlugin.PngImageFile):
    """A PNG whose colors and texts mean what its specification, or ImageMagick, says.

    Attributes:
        warnings: what a user should know about it.
    """

    warnings: tuple[str, ...] = ()

    def _open(self) -> None:
        assert self.fp is not None
        code_points = _code_points_of_png(self.fp)
        self.fp.seek(0)
        super()._open()
        assert self.png is not None
        if _PILLOWS_OWN & self.png.im_text.keys():
            raise SyntaxError("texts in the place of what Pillow keeps under their names")
        self._scale_transparency()
        _take_meaning(self, self._meaning(code_points))

    def _scale_transparency(self) -> None:
        """Give the transparent gray as Pillow gives samples of 2 and 4 bits: from 0 to 255."""
        transparent, raw = self.info.get("transparency"), self.tile[0].args if self.tile else ""
        highest = {"L;2": 3, "L;4": 15}.get(str(raw))
        if highest and isinstance(transparent, int):
            self.info["transparency"] = (transparent & highest) * 255 // highest

    def _meaning(self, code_points: bytes) -> Meaning:
        """Of cICP, iCCP, sRGB and gAMA with cHRM, the first that is there counts (PNG, third edition, 4.3)."""
        is_gray = self.mode in _GRAY_MODES
        if len(code_points) == 4:
            self.info.pop("icc_profile", None)
            primaries, transfer, _, is_full_range = code_points
            return profiles.of_code_points(primaries, transfer, is_full_range=bool(is_full_range), is_gray=is_gray)
        if self.info.get("icc_profile") or "srgb" in self.info:
            return Meaning()
        return profiles.of_gamma(self.info.get("gamma"), self.info.get("chromaticity"), is_gray=is_gray)

    def load_end(self) -> None:
        """Take what ImageMagick wrote as texts for what it is, once all chunks are read."""
        own = {key: value for key, value in self.info.items() if key in _PILLOWS_OWN}
        super().load_end()
        for key in _PILLOWS_OWN & self.text.keys():  # of texts behind the pixels
            del self.info[key]
        self.info.update(own)
        for name, text in list(self.info.items()):
            kind = str(name).lower().removeprefix("raw profile type ")
            if kind != str(name).lower() and isinstance(text, str):
                self._take_raw_profile(kind, text)

    def _take_raw_profile(self, kind: str, text: str) -> None:
        try:
            data = bytes.fromhex(text.split("\n", 3)[3])
        except (IndexError, ValueError):
            self.warnings += (f"a damaged raw profile ({kind}), left out",)
            return
        if data.startswith(_XMP_IDENTIFIER):
            self.info.setdefault("xmp", data.removeprefix(_XMP_IDENTIFIER))
        elif kind in ("exif", "app1"):
            self.info.setdefault("exif", data)
        elif kind == "xmp":
            self.info.setdefault("xmp", data)
        elif kind in ("iptc", "8bim"):
            if records := _iptc_of(data):
                self.info.setdefault("photoshop", {_PHOTOSHOP_IPTC: records})
        elif kind in ("icc", "icm"):
            self.info.setdefault("icc_profile", data)
        else:
            self.warnings += (f"a raw profile of unknown kind ({kind}), left out",)


def _png(file: BinaryIO) -> ImageFile.ImageFile:
    """Open a PNG, as other readers do without what is no part of the picture where that is damaged."""
    try:
        return PngFile(file)
    except (SyntaxError, ValueError) as error:
        left_out: list[str] = []
        sound = b"".join(_sound_chunks(file, left_out, isinstance(error, ValueError)))
        if not left_out:
            raise
        image = PngFile(io.BytesIO(sound))
        image.warnings += (f"damaged, too large or misnamed, left out: {', '.join(left_out)}",)
        return image


def _sound_chunks(file: BinaryIO, left_out: list[str], has_large_texts: bool) -> Iterator[bytes]:
    """A PNG's bytes without the parts that need not be there and are damaged, or are texts; these are named."""
    file.seek(0)
    yield file.read(8)
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        (length,) = struct.unpack(">I", head[:4])
        data, checksum, kind = file.read(length), file.read(4), head[4:]
        is_needed = not kind[0] & 0x20
        is_misnamed = kind in _TEXTS and data.partition(b"\0")[0].decode("latin-1") in _PILLOWS_OWN
        is_right = not is_misnamed and struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))) == checksum
        if is_needed or (is_right and not (has_large_texts and kind in _COMPRESSED)):
            yield head + data + checksum
        else:
            left_out.append(kind.decode("ascii", "backslashreplace"))
        if kind == b"IEND":
            return


_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_COMPRESSED = (*_TEXTS, b"iCCP")
# Under which Pillow keeps what chunks say, beside all texts by their names; one called "gamma" would be taken for it.
_PILLOWS_OWN = {
    *("gamma", "chromaticity", "srgb", "icc_profile", "transparency", "interlace", "dpi", "aspect", "xmp", "photoshop"),
    *("background", "default_image", "loop", "duration", "bbox", "disposal", "blend"),
}
_XMP_IDENTIFIER = b"http://ns.adobe.com/xap/1.0/\0"


def _code_points_of_png(file: Any) -> bytes:
    """The content of the chunk cICP, which Pillow does not know; empty without one."""
    file.seek(8)
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            break
        (length,) = struct.unpack(">I", head[:4])
        if head[4:] == b"cICP":
            return bytes(file.read(min(length, 5)))
        file.seek(length + 4, 1)
    return b""


def _iptc_of(resources: bytes) -> bytes:
    """IPTC records among Photoshop's resources, or as they are; empty where there are none."""
    if resources.startswith(b"\x1c"):
        return resources
    resources = resources.removeprefix(b"Photoshop 3.0\0")
    place = 0
    while resources[place : place + 4] == b"8BIM" and place + 12 <= len(resources):
        (number,) = struct.unpack_from(">H", resources, place + 4)
        place += 6 + (resources[place + 6] + 2) // 2 * 2  # a name, to an even number of bytes
        if place + 4 > len(resources):
            break
        (length,) = struct.unpack_from(">I", resources, place)
        if number == _PHOTOSHOP_IPTC:
            return resources[place + 4 : place + 4 + length]
        place += 4 + length + length % 2
    return b""


# --- GIF -----------------------------------------------------------------------------------------------------


class GifFile(GifImagePlugin.GifImageFile):
    """A GIF that is transparent where its first picture does not cover its screen, as browsers show it."""

    def load_prepare(self) -> None:
        """Remember which part of the screen the picture covers."""
        super().load_prepare()
        self._covered = self.tile[0].extents

    def load_end(self) -> None:
        """Make the rest transparent."""
        super().load_end()
        if self._covered != (0, 0, *self.size) and not self.tell():
            part = self._new(self.im).crop(self._covered).convert("RGBA")
            whole = Image.new("RGBA", self.size)
            whole.paste(part, self._covered)
            self.im, self._mode, self.palette = whole.im, whole.mode, None
            self.info.pop("transparency", None)


# --- HEIF, AVIF and JPEG -------------------------------------------------------------------------------------

_META_BYTES = 1 << 16
_TELEVISION = (1, 2, 5, 6)  # primaries that are sRGB's, or so near that no still picture means the difference


def _take_meaning(image: Any, meaning: Meaning) -> None:
    if meaning.profile:
        image.info["icc_profile"] = meaning.profile
    image.warnings = (*getattr(image, "warnings", ()), *meaning.warnings)


def _heif(file: BinaryIO) -> ImageFile.ImageFile:
    return _with_code_points(_heif_reader(), file)


def _heif_reader() -> Any:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        found = "a HEIC photo, for which pillow-heif is not installed"
        raise MissingExtraError(A_PHOTO, found, 'To read HEIC photos: pip install "colorgan[heif]"') from error
    return HeifImageFile


def _avif(file: BinaryIO) -> ImageFile.ImageFile:
    return _with_code_points(AvifImagePlugin.AvifImageFile, file)


def _with_code_points(factory: _Factory, file: BinaryIO) -> ImageFile.ImageFile:
    """Open a picture whose box `colr` may say in code points what its profile does elsewhere."""
    image = factory(file)
    if image.info.get("icc_profile"):
        return image
    position = file.tell()
    file.seek(0)
    _, mark, following = file.read(_META_BYTES).partition(b"colrnclx")
    file.seek(position)
    if mark and len(following) >= 4:
        primaries, transfer = struct.unpack_from(">HH", following)
        primaries = 1 if primaries in _TELEVISION else primaries
        _take_meaning(image, profiles.of_code_points(primaries, transfer, is_gray=image.mode in _GRAY_MODES))
    return image


def _jpeg(file: BinaryIO) -> ImageFile.ImageFile:
    """Open a JPEG; cameras say by EXIF data alone that its colors are Adobe RGB (DCF 2.0)."""
    image: ImageFile.ImageFile = JpegImagePlugin.jpeg_factory(file)  # type: ignore[no-untyped-call, unused-ignore]
    if image.mode == "CMYK" and "adobe" not in image.info:
        _take_meaning(image, Meaning(warnings=("no word on whether its inks are inverted; taken so, as Adobe does",)))
    if "icc_profile" not in image.info and image.mode in ("L", "RGB") and b"R03\0" in image.info.get("exif", b""):
        try:
            index = image.getexif().get_ifd(IFD.Interop).get(1)
        except Exception:  # damaged EXIF data, of which there is a word later
            return image
        if index == "R03":
            image.info["icc_profile"] = profiles.adobe_rgb(is_gray=image.mode == "L")
    return image


_Factory = Callable[[Any], ImageFile.ImageFile]
# The start of a file, and what opens it. HEIF stands behind AVIF, whose files can begin alike.
_OPENERS: tuple[tuple[Callable[[bytes], bool | str], _Factory], ...] = (
    (lambda start: start.startswith(b"\xff\xd8\xff"), _jpeg),
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), _png),
    (lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP", WebPImagePlugin.WebPImageFile),
    (lambda start: start[:4] in TiffImagePlugin.PREFIXES or start[:4] in (b"II+\0", b"MM\0+"), TiffFile),
    (lambda start: start.startswith(b"BM"), BmpImagePlugin.BmpImageFile),
    (lambda start: start.startswith((b"GIF87a", b"GIF89a")), GifFile),
    (lambda start: start[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1"), _avif),
    (lambda start: start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS, _heif),
)


def open_image(file: BinaryIO) -> ImageFile.ImageFile:
    """Open a picture in one of the known formats.

    `Image.open` would do, but for its limit on pixels, which belongs to the whole process and is lower than ours.

    Args:
        file: at its start.

    Raises:
        PhotoError: it is in none of the formats, or pillow-heif is missing.
        UnknownTiffError: what it says.
        Exception: whatever a plugin raises on damaged bytes.
    """
    start = file.read(MAGIC_BYTES)
    found: Exception | None = None
    for accepts, factory in _OPENERS:
        if not accepts(start):
            continue
        file.seek(0)
        try:
            return factory(file)
        except Image.DecompressionBombError as error:
            raise PhotoError(A_PHOTO, "more pixels than are ever read", "Make it smaller first.") from error
        except _NOT_MINE as error:
            if factory is TiffFile:
                raise UnknownTiffError("a kind of TIFF that Pillow does not know") from error
            found = error
    raise reason(found) if found else _unknown(start)


def check_start(start: bytes) -> None:
    """See whether a file can be one of the known formats, as far as its first bytes tell.

    Args:
        start: at least 256 bytes, or all there are.

    Raises:
        PhotoError: it is of another kind, or what reads it is missing.
    """
    factory = next((factory for accepts, factory in _OPENERS if accepts(start)), None)
    if factory is None:
        raise _unknown(start)
    if factory is _heif:
        _heif_reader()


def _unknown(start: bytes) -> PhotoError:
    kind = kind_of(start)
    if not kind:
        return DamagedPhotoError(A_PHOTO, f"not {_KNOWN}, or damaged from its start", _ELSEWHERE)
    advice = advice_for(kind)
    return PhotoError(A_PHOTO, f"{kind}, not {_KNOWN}{advice and f'; {advice}'}", _ELSEWHERE)
