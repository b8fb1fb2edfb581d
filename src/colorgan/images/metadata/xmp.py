"""XMP packets: facts of the gray file go, what a colored photo says of itself is spliced in, and all other bytes stay.

A packet is parsed for its shape alone, without document types and thus without entities, and never rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

MADE_BY = "colorgan, model "  # and the model's name
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
class _Fact:
    """Properties that are true of the gray file alone.

    Attributes:
        namespace: theirs.
        names: patterns of their names.
        loss: what a user loses with them, in words; empty where they only describe pixels that are gone.
    """

    namespace: str
    names: tuple[str, ...] = ("*",)
    loss: str = ""


_EDITOR, _PARTS = "settings of a raw editor", "what tells of a motion photo, gain map or other parts of the file"
_FACTS = (
    # The pixels of the file that was read: XMP specification part 2, 3.2 and 3.3.
    _Fact(
        "http://ns.adobe.com/tiff/1.0/",
        (
            *("ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation"),
            *("SamplesPerPixel", "PlanarConfiguration", "YCbCr*", "TransferFunction", "WhitePoint"),
            *("PrimaryChromaticities", "ReferenceBlackWhite", "Orientation", "NativeDigest"),
        ),
    ),
    _Fact(
        "http://ns.adobe.com/exif/1.0/",
        (
            *("ColorSpace", "PixelXDimension", "PixelYDimension", "ComponentsConfiguration"),
            *("CompressedBitsPerPixel", "NativeDigest"),
        ),
    ),
    _Fact("http://cipa.jp/exif/1.0/", ("Gamma", "InteroperabilityIndex")),
    _Fact("http://purl.org/dc/elements/1.1/", ("format",)),
    _Fact("http://ns.adobe.com/photoshop/1.0/", ("ColorMode", "ICCProfile")),
    _Fact("http://ns.adobe.com/xap/1.0/", ("Thumbnails",)),
    # What editors would do to the file, and would do again: to gray, cropped.
    _Fact("http://ns.adobe.com/camera-raw-*", loss=_EDITOR),
    _Fact("http://darktable.sf.net/", loss=_EDITOR),
    _Fact("http://ns.apple.com/adjustment-settings/1.0/", loss=_EDITOR),
    # What stood behind or beside the picture in its file: motion photos, gain maps, depth, extended XMP.
    _Fact(
        "http://ns.google.com/photos/1.0/camera/",
        ("MotionPhoto*", "MicroVideo*", "Motion*", "HdrPlusMakernote", "PortraitRequest", "SpecialTypeID"),
        _PARTS,
    ),
    _Fact("http://ns.google.com/photos/1.0/container/*", loss=_PARTS),
    _Fact("http://ns.google.com/photos/1.0/depthmap/", loss=_PARTS),
    _Fact("http://ns.google.com/photos/1.0/image/", loss=_PARTS),
    _Fact("http://ns.google.com/photos/1.0/audio/", loss=_PARTS),
    _Fact("http://ns.google.com/photos/dd/1.0/*", loss=_PARTS),
    _Fact("http://ns.adobe.com/hdr-gain-map/1.0/", loss=_PARTS),
    _Fact("http://ns.apple.com/HDRGainMap/1.0/", loss=_PARTS),
    _Fact("http://ns.apple.com/HDRToneMap/1.0/", loss=_PARTS),
    _Fact("http://ns.apple.com/pixeldatainfo/1.0/", loss=_PARTS),
    _Fact("http://ns.apple.com/depthData/1.0/", loss=_PARTS),
    _Fact("http://ns.apple.com/ImageIO/1.0/", ("hasXMP",)),
    _Fact("http://ns.xiaomi.com/photos/1.0/camera/", loss=_PARTS),
    _Fact("http://ns.oplus.com/photos/1.0/camera/", loss=_PARTS),
    _Fact("http://ns.adobe.com/xmp/note/", ("HasExtendedXMP",), "the extension of the XMP data"),
)


def orientation_of(packet: bytes | None) -> int | None:
    """How the photo lies by its packet, 1..8 as EXIF has it; None where it does not say so."""
    found = _ORIENTATION.search(packet or b"")
    return int(found[1]) if found else None


def normalized(packet: bytes) -> tuple[bytes, list[str]]:
    """The packet without what is true of the gray file alone, and what was lost with that, in words.

    Raises:
        ValueError: the packet is damaged, or no XMP.
    """
    packet = _as_utf8(packet)
    shape = _Shape(packet, lambda name: _fact_of(name) is not None)
    losses = {fact.loss for name in shape.found if (fact := _fact_of(name)) and fact.loss}
    if shape.found:
        packet = _spliced(packet, shape.changes())
        _Shape(packet, lambda _: False)  # the result is as well-formed as what it was made of
    return packet, sorted(losses)


def _fact_of(name: str) -> _Fact | None:
    """The row of the table to which a property's name, "namespace local", belongs."""
    namespace, _, local = name.rpartition(" ")
    for fact in _FACTS:
        if fnmatchcase(namespace, fact.namespace) and any(fnmatchcase(local, pattern) for pattern in fact.names):
            return fact
    return None


def marked(packet: bytes | None, software: str, version: str) -> bytes:
    """Add to a packet, or to an empty one, that a program with a trained model had a part in the photo.

    Raises:
        ValueError: the packet is damaged, or no XMP.
    """
    packet = _as_utf8(packet) if packet else _EMPTY
    ours = frozenset(f"{_IPTC} {name}" for name in _OURS)
    shape = _Shape(packet, ours.__contains__)
    values = zip(_OURS, (COMPOSITE, software, version), strict=True)
    properties = " ".join(f"Iptc4xmpExt:{name}={quoteattr(value)}" for name, value in values)
    description = (
        f"<rdf:Description rdf:about={quoteattr(shape.about)} xmlns:rdf={quoteattr(_RDF)} "
        f"xmlns:Iptc4xmpExt={quoteattr(_IPTC)} {properties}/>"
    )
    packet = _spliced(packet, [(slice(shape.end, shape.end), description.encode()), *shape.changes()])
    _Shape(packet, lambda _: False)  # as above
    return packet


def is_marked(packet: bytes | None) -> bool:
    """Whether a packet says that colorgan colored the photo."""
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


class _Shape:
    """Where in a packet things stand, in bytes.

    Args:
        packet: in UTF-8.
        goes: whether a property of a name, "namespace local", is to be taken out.

    Attributes:
        about: what its descriptions are of.
        end: before the closing tag of rdf:RDF.
        found: names of the properties that are to be taken out.

    Raises:
        ValueError: the packet is not well-formed, or no XMP.
    """

    def __init__(self, packet: bytes, goes: Callable[[str], bool]) -> None:
        self.about = ""
        self.end = -1
        self.found: set[str] = set()
        self._goes = goes
        self._elements: list[slice] = []  # that go, none inside another
        self._tags: list[tuple[slice, list[str]]] = []  # opening tags, and names of their attributes that go
        self._packet = packet
        self._open: list[int] = []  # where each open element begins
        self._going: int | None = None  # how deep the outermost open element that goes is
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
        """What takes the properties out."""
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
        if self._going is not None:
            return
        if self._goes(_plain(name)):
            self._going = len(self._open)
            self.found.add(_plain(name))
        elif going := [key for key in attributes if self._goes(_plain(key))]:
            self.found.update(map(_plain, going))
            self._open_tag = self._parser.CurrentByteIndex, [_written(key) for key in going]

    def _end(self, name: str) -> None:
        self._close_tag()
        depth, start, place = len(self._open), self._open.pop(), self._parser.CurrentByteIndex
        word = re.match(rb"<([^\s/>]+)", self._packet[start : start + 1000])
        has_closing_tag = word is not None and self._packet.startswith(b"</" + word[1], place)
        if _plain(name) == f"{_RDF} RDF" and has_closing_tag:
            self.end = place
        if depth == self._going:
            self._going = None
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
    """The namespace and name of what expat calls "namespace name prefix"."""
    return " ".join(name.split(" ")[:2])


def _written(name: str) -> str:
    """How the packet writes such a name."""
    parts = name.split(" ")
    return f"{parts[2]}:{parts[1]}" if len(parts) == 3 else parts[-1]


def _without(tag: bytes, names: list[str]) -> bytes:
    """An opening tag without attributes of those names."""
    spellings = "|".join(map(re.escape, names)).encode()
    return re.sub(rb"\s(?:%s)\s*=\s*(?:\"[^\"]*\"|'[^']*')" % spellings, b"", tag)
