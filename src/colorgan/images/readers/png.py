"""A reader of PNGs: color spaces declared by chunks, ImageMagick's raw profiles in texts, and damaged chunks."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import PngImagePlugin
from PIL.ImageFile import ImageFile

from colorgan.images import profiles
from colorgan.images.profiles import GRAY_MODES, DeclaredColors

_MOST_CHUNKS = 10_000  # that are scanned
_PHOTOSHOP_IPTC = 0x0404


class PngFile(PngImagePlugin.PngImageFile):
    """A PNG with its declared color space, and the profiles that ImageMagick writes as texts.

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
        self._declared_colors(code_points).apply_to(self)

    def _scale_transparency(self) -> None:
        """Scale the transparent gray level of 2- and 4-bit pictures to 0..255, as Pillow does with the samples."""
        transparent, raw = self.info.get("transparency"), self.tile[0].args if self.tile else ""
        highest = {"L;2": 3, "L;4": 15}.get(str(raw))
        if highest and isinstance(transparent, int):
            self.info["transparency"] = (transparent & highest) * 255 // highest

    def _declared_colors(self, code_points: bytes) -> DeclaredColors:
        """Return the color space of the first chunk there is of cICP, iCCP, sRGB, gAMA with cHRM (PNG 3rd ed., 4.3)."""
        is_gray = self.mode in GRAY_MODES
        if len(code_points) == 4:
            self.info.pop("icc_profile", None)
            primaries, transfer, _, is_full_range = code_points
            return profiles.of_code_points(primaries, transfer, is_full_range=bool(is_full_range), is_gray=is_gray)
        if self.info.get("icc_profile") or "srgb" in self.info:
            return DeclaredColors()
        return profiles.of_gamma(self.info.get("gamma"), self.info.get("chromaticity"), is_gray=is_gray)

    def load_end(self) -> None:
        """Once all chunks are read, decode the profiles that ImageMagick wrote as texts."""
        own = {key: value for key, value in self.info.items() if key in _PILLOWS_OWN}
        super().load_end()
        for key in _PILLOWS_OWN & self.text.keys():  # from texts that follow the pixels
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


def open_png(file: BinaryIO) -> ImageFile:
    """Open a PNG; ancillary chunks that are damaged are skipped with a warning, as other readers do."""
    try:
        return PngFile(file)
    except (SyntaxError, ValueError) as error:
        left_out: list[str] = []
        sound = b"".join(_sound_chunks(file, left_out, isinstance(error, ValueError)))
        if not left_out:
            raise
        image = PngFile(io.BytesIO(sound))
        image.warnings += (f"left out, as damaged, too large or misnamed: {', '.join(left_out)}",)
        return image


def _sound_chunks(file: BinaryIO, left_out: list[str], has_large_texts: bool) -> Iterator[bytes]:
    """Yield a PNG's bytes without ancillary chunks that are damaged or misnamed, or, if too large, compressed texts.

    The types of the chunks left out are appended to `left_out`.
    """
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
# Keys of `info` that Pillow sets from chunks. It stores texts in the same dict: one named "gamma" would pass for gAMA.
_PILLOWS_OWN = {
    *("gamma", "chromaticity", "srgb", "icc_profile", "transparency", "interlace", "dpi", "aspect", "xmp", "photoshop"),
    *("background", "default_image", "loop", "duration", "bbox", "disposal", "blend"),
}
_XMP_IDENTIFIER = b"http://ns.adobe.com/xap/1.0/\0"


def _code_points_of_png(file: Any) -> bytes:
    """Return the content of the chunk cICP, which Pillow ignores; empty if there is none."""
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
    """Extract IPTC records from Photoshop's resources, or return plain ones; empty if there are none."""
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
