"""Edit XMP packets: remove facts about the gray file, insert the mark of a colored photo, keep all other bytes.

A packet is parsed for byte offsets alone, without DTDs and thus without entities, and never reserialized.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

MADE_BY = "colorgan, model "  # followed by the model's name
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"  # IPTC Photo Metadata Standard 2025.1, Extension
_OURS = ("DigitalSourceType", "AISystemUsed", "AISystemVersionUsed")
_DEEPEST = 200
_EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="' + _RDF.encode() + b'"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([1-8])")


@dataclass(frozen=True)
class _StaleProperties:
    """Properties of one namespace that are true of the gray file alone.

    Attributes:
        namespace: glob pattern of their namespace.
        names: glob patterns of their local names.
        loss: what the user loses with them, for a warning; empty if they only describe the old pixels.
    """

    namespace: str
    names: tuple[str, ...] = ("*",)
    loss: str = ""


_EDITOR, _PARTS = "settings of a raw editor", "references to a motion photo, gain map or other parts of the file"
_STALE = (
    # The pixels of the file that was read: XMP specification part 2, 3.2 and 3.3.
    _StaleProperties(
        "http://ns.adobe.com/tiff/1.0/",
        (
            *("ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation"),
            *("SamplesPerPixel", "PlanarConfiguration", "YCbCr*", "TransferFunction", "WhitePoint"),
            *("PrimaryChromaticities", "ReferenceBlackWhite", "Orientation", "NativeDigest"),
        ),
    ),
    _StaleProperties(
        "http://ns.adobe.com/exif/1.0/",
        (
            *("ColorSpace", "PixelXDimension", "PixelYDimension", "ComponentsConfiguration"),
            *("CompressedBitsPerPixel", "NativeDigest"),
        ),
    ),
    _StaleProperties("http://cipa.jp/exif/1.0/", ("Gamma", "InteroperabilityIndex")),
    _StaleProperties("http://purl.org/dc/elements/1.1/", ("format",)),
    _StaleProperties("http://ns.adobe.com/photoshop/1.0/", ("ColorMode", "ICCProfile")),
    _StaleProperties("http://ns.adobe.com/xap/1.0/", ("Thumbnails",)),
    # Edits, such as conversion to gray or a crop, that raw editors would apply again.
    _StaleProperties("http://ns.adobe.com/camera-raw-*", loss=_EDITOR),
    _StaleProperties("http://darktable.sf.net/", loss=_EDITOR),
    _StaleProperties("http://ns.apple.com/adjustment-settings/1.0/", loss=_EDITOR),
    # Other parts of the file, which are not kept: motion photos, gain maps, depth, extended XMP.
    _StaleProperties(
        "http://ns.google.com/photos/1.0/camera/",
        ("MotionPhoto*", "MicroVideo*", "Motion*", "HdrPlusMakernote", "PortraitRequest", "SpecialTypeID"),
        _PARTS,
    ),
    _StaleProperties("http://ns.google.com/photos/1.0/container/*", loss=_PARTS),
    _StaleProperties("http://ns.google.com/photos/1.0/depthmap/", loss=_PARTS),
    _StaleProperties("http://ns.google.com/photos/1.0/image/", loss=_PARTS),
    _StaleProperties("http://ns.google.com/photos/1.0/audio/", loss=_PARTS),
    _StaleProperties("http://ns.google.com/photos/dd/1.0/*", loss=_PARTS),
    _StaleProperties("http://ns.adobe.com/hdr-gain-map/1.0/", loss=_PARTS),
    _StaleProperties("http://ns.apple.com/HDRGainMap/1.0/", loss=_PARTS),
    _StaleProperties("http://ns.apple.com/HDRToneMap/1.0/", loss=_PARTS),
    _StaleProperties("http://ns.apple.com/pixeldatainfo/1.0/", loss=_PARTS),
    _StaleProperties("http://ns.apple.com/depthData/1.0/", loss=_PARTS),
    _StaleProperties("http://ns.apple.com/ImageIO/1.0/", ("hasXMP",)),
    _StaleProperties("http://ns.xiaomi.com/photos/1.0/camera/", loss=_PARTS),
    _StaleProperties("http://ns.oplus.com/photos/1.0/camera/", loss=_PARTS),
    _StaleProperties("http://ns.adobe.com/xmp/note/", ("HasExtendedXMP",), "extended XMP data"),
)


def orientation_of(packet: bytes | None) -> int | None:
    """Return the EXIF orientation, 1..8, that a packet declares, or None."""
    found = _ORIENTATION.search(packet or b"")
    return int(found[1]) if found else None


def normalized(packet: bytes) -> tuple[bytes, list[str]]:
    """Return the packet without what is true of the gray file alone, and phrases for what the user loses by that.

    Raises:
        ValueError: the packet is damaged, or no XMP.
    """
    packet = _as_utf8(packet)
    parsed = _ParsedPacket(packet, lambda name: _row_of(name) is not None)
    losses = {row.loss for name in parsed.found if (row := _row_of(name)) and row.loss}
    if parsed.found:
        packet = _spliced(packet, parsed.changes())
        _ParsedPacket(packet, lambda _: False)  # raises if the result is not well-formed
    return packet, sorted(losses)


def _row_of(name: str) -> _StaleProperties | None:
    """Return the row of the table that matches a property's name, "namespace local", if any."""
    namespace, _, local = name.rpartition(" ")
    for row in _STALE:
        if fnmatchcase(namespace, row.namespace) and any(fnmatchcase(local, pattern) for pattern in row.names):
            return row
    return None


def marked(packet: bytes | None, software: str, version: str) -> bytes:
    """Record in a packet, or in a new one, that a program with a trained model had a part in the photo.

    Raises:
        ValueError: the packet is damaged, or no XMP.
    """
    packet = _as_utf8(packet) if packet else _EMPTY
    ours = frozenset(f"{_IPTC} {name}" for name in _OURS)
    parsed = _ParsedPacket(packet, ours.__contains__)
    values = zip(_OURS, (COMPOSITE, software, version), strict=True)
    properties = " ".join(f"Iptc4xmpExt:{name}={quoteattr(value)}" for name, value in values)
    description = (
        f"<rdf:Description rdf:about={quoteattr(parsed.about)} xmlns:rdf={quoteattr(_RDF)} "
        f"xmlns:Iptc4xmpExt={quoteattr(_IPTC)} {properties}/>"
    )
    packet = _spliced(packet, [(slice(parsed.end, parsed.end), description.encode()), *parsed.changes()])
    _ParsedPacket(packet, lambda _: False)  # raises if the result is not well-formed
    return packet


def is_marked(packet: bytes | None) -> bool:
    """Whether a packet records that colorgan colored the photo."""
    return MADE_BY.encode() in (packet or b"")


def _as_utf8(packet: bytes) -> bytes:
    if packet[:2] in (b"\xfe\xff", b"\xff\xfe"):
        packet = packet.decode("utf-16").encode()
    elif b"\0" in packet[:2]:
        packet = packet.decode("utf-16-be" if packet[0] == 0 else "utf-16-le").encode()
    return packet.rstrip(b"\0 \r\n\t")


_Change = tuple[slice, bytes]


def _spliced(packet: bytes, changes: list[_Change]) -> bytes:
    for place, new in sorted(changes, key=lambda change: change[0].start, reverse=True):
        packet = packet[: place.start] + new + packet[place.stop :]
    return packet


class _ParsedPacket:
    """Byte offsets in a packet, for removing properties and inserting others.

    Args:
        packet: in UTF-8.
        is_removed: whether a property is to be removed, by its name, "namespace local".

    Attributes:
        about: the subject of its descriptions (rdf:about).
        end: offset of the closing tag of rdf:RDF.
        found: names of the properties that are to be removed.

    Raises:
        ValueError: the packet is not well-formed, or no XMP.
    """

    def __init__(self, packet: bytes, is_removed: Callable[[str], bool]) -> None:
        self.about = ""
        self.end = -1
        self.found: set[str] = set()
        self._is_removed = is_removed
        self._elements: list[slice] = []  # to be removed, none nested in another
        self._tags: list[tuple[slice, list[str]]] = []  # opening tags, and names of their attributes to be removed
        self._packet = packet
        self._open: list[int] = []  # offsets of the open elements
        self._removed_depth: int | None = None  # of the open element that is to be removed
        self._open_tag: tuple[int, list[str]] | None = None
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.namespace_prefixes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = parser.CommentHandler = lambda _: self._close_tag()
        parser.ProcessingInstructionHandler = lambda *_: self._close_tag()
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(packet, True)
        except expat.ExpatError as error:
            raise ValueError(str(error)) from error
        if self.end < 0:
            raise ValueError("no rdf:RDF")

    def changes(self) -> list[_Change]:
        """Return the changes that remove the properties."""
        changes = [(place, b"") for place in self._elements]
        return changes + [(place, _without(self._packet[place], names)) for place, names in self._tags]

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._close_tag()
        self._open.append(self._parser.CurrentByteIndex)
        if len(self._open) > _DEEPEST:
            raise ValueError("nested too deep")
        if _plain(name) == f"{_RDF} Description":
            about = {_plain(key): value for key, value in attributes.items()}.get(f"{_RDF} about", "")
            self.about = self.about or about
        if self._removed_depth is not None:
            return
        if self._is_removed(_plain(name)):
            self._removed_depth = len(self._open)
            self.found.add(_plain(name))
        elif removed := [key for key in attributes if self._is_removed(_plain(key))]:
            self.found.update(map(_plain, removed))
            self._open_tag = self._parser.CurrentByteIndex, [_written(key) for key in removed]

    def _end(self, name: str) -> None:
        self._close_tag()
        depth, start, place = len(self._open), self._open.pop(), self._parser.CurrentByteIndex
        word = re.match(rb"<([^\s/>]+)", self._packet[start : start + 1000])
        has_closing_tag = word is not None and self._packet.startswith(b"</" + word[1], place)
        if _plain(name) == f"{_RDF} RDF" and has_closing_tag:
            self.end = place
        if depth == self._removed_depth:
            self._removed_depth = None
            stop = self._packet.index(b">", place) + 1 if has_closing_tag else place
            self._elements.append(slice(start, stop))

    def _close_tag(self) -> None:
        if self._open_tag is not None:
            start, names = self._open_tag
            self._tags.append((slice(start, self._parser.CurrentByteIndex), names))
            self._open_tag = None

    def _refuse(self, *_: object) -> None:
        raise ValueError("a document type in XMP")


def _plain(name: str) -> str:
    """Drop the prefix of expat's "namespace name prefix"."""
    return " ".join(name.split(" ")[:2])


def _written(name: str) -> str:
    """Return such a name as written in the packet, "prefix:name"."""
    parts = name.split(" ")
    return f"{parts[2]}:{parts[1]}" if len(parts) == 3 else parts[-1]


def _without(tag: bytes, names: list[str]) -> bytes:
    """Remove attributes of those names from an opening tag."""
    spellings = "|".join(map(re.escape, names)).encode()
    return re.sub(rb"\s(?:%s)\s*=\s*(?:\"[^\"]*\"|'[^']*')" % spellings, b"", tag)
