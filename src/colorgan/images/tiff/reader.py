"""Pillow's reader of TIFFs, fixed where it misreads a file."""

from __future__ import annotations

from PIL import Image, ImageFile, ImagePalette, TiffImagePlugin

from colorgan.images.metadata import xmp
from colorgan.images.pixels import UNNAMED_CHANNEL

_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _SAMPLES = 258, 259, 262, 274, 277
_PLANAR_CONFIGURATION, _COLOR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _XMP, _IPTC = 284, 320, 338, 339, 700, 33723
_DECODED_ELSEWHERE = (1, 8, 32773, 32946)  # none, Deflate and PackBits, which tifffile decodes by itself
_WEBP_INSIDE = 50001  # which Pillow accepts, but its libtiff cannot decode
_FAX = (2, 3, 4)
_BLACK_IS_ZERO, _RGB, _SIGNED = 1, 2, 2


class TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF that is decoded without Pillow's limit on pixels, since ours was checked; its IPTC is kept.

    Attributes:
        warnings: what a user should know about it.
        is_signed: whether its samples are signed integers.
        has_unnamed_channel: whether it has a channel besides RGB that the file does not declare as alpha.
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
        # Pillow turns the picture and drops its orientation; of IPTC with the type of integers it keeps only the first.
        packet = self.tag_v2.get(_XMP)
        said = xmp.orientation_of(packet) if isinstance(packet, bytes) else None
        if said:  # in the only notation that Pillow recognizes
            self.info["xmp"] = b'tiff:Orientation="%d"' % said
        self.info["orientation"] = self.tag_v2.get(_ORIENTATION) or said
        self.info["iptc"] = self.tag_v2._tagdata.get(_IPTC)
        tags = self.tag_v2
        is_unsaid = tags.get(_PHOTOMETRIC) is None and tags.get(_COMPRESSION) not in _FAX
        if is_unsaid and tags.get(_SAMPLES, 1) == 1:  # libtiff's default; Pillow's would be a negative
            tags[_PHOTOMETRIC] = _BLACK_IS_ZERO
        super()._setup()
        self.is_signed = _SIGNED in tags.get(_SAMPLE_FORMAT, ())
        unexplained = (tags.get(_EXTRA_SAMPLES) or (0,))[0] == 0
        self.has_unnamed_channel = tags.get(_PHOTOMETRIC) == _RGB and tags.get(_SAMPLES, 1) > 3 and unexplained
        self.warnings = (UNNAMED_CHANNEL,) if self.has_unnamed_channel else ()
        if is_unsaid:
            self.warnings += ("0 was read as black; it does not say what its samples mean",)
        levels = tags.get(_COLOR_MAP, ())
        if self.mode in ("P", "PA") and levels and max(levels) < 256:
            # Old scanners wrote palettes of 8 bits in place of 16; libtiff detects them by the same rule.
            self.palette = ImagePalette.raw("RGB;L", bytes(levels))

    def load_prepare(self) -> None:
        """Allocate the pixels."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        ImageFile.ImageFile.load_prepare(self)
