"""XMP packets: what a colored photo says of itself is spliced in, and all other bytes stay.

A packet is parsed for its shape alone, without document types and thus without entities, and never rewritten.
"""

from __future__ import annotations

import re
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"  # IPTC Photo Metadata Standard 2025.1, Extension
_OURS = ("DigitalSourceType", "AISystemUsed", "AISystemVersionUsed")
_OUR_NAMES = frozenset(f"{_IPTC} {name}" for name in _OURS)
_DEEPEST = 200
_EMPTY = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="' + _RDF.encode() + b'"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
_ORIENTATION = re.compile(rb'(tiff:Orientation\s*=\s*["\']|<tiff:Orientation>)\s*[2-8]')


def upright(packet: bytes) -> bytes:
    """The packet without saying that the photo is turned."""
    return _ORIENTATION.sub(rb"\g<1>1", packet)


def marked(packet: bytes | None, software: str, version: str) -> bytes:
    """Add to a packet that a trained model had a part in the photo.

    Args:
        packet: what the photo's file had, or None.
        software: the program, and the model's name.
        version: of the program.

    Raises:
        ValueError: the packet is damaged, or no XMP.
    """
    packet = _as_utf8(packet) if packet else _EMPTY
    shape = _Shape(packet)
    values = zip(_OURS, (COMPOSITE, software, version), strict=True)
    properties = " ".join(f"Iptc4xmpExt:{name}={quoteattr(value)}" for name, value in values)
    description = (
        f"<rdf:Description rdf:about={quoteattr(shape.about)} xmlns:rdf={quoteattr(_RDF)} "
        f"xmlns:Iptc4xmpExt={quoteattr(_IPTC)} {properties}/>"
    )
    changes = [(slice(shape.end, shape.end), description.encode())]
    changes += [(place, b"") for place in shape.ours]
    changes += [(tag, _without_ours(packet[tag])) for tag in shape.tags]
    for place, new in sorted(changes, key=lambda change: change[0].start, reverse=True):
        packet = packet[: place.start] + new + packet[place.stop :]
    _Shape(packet)  # the result is as well-formed as what it was made of
    return packet


def _as_utf8(packet: bytes) -> bytes:
    if packet[:2] in (b"\xfe\xff", b"\xff\xfe"):
        packet = packet.decode("utf-16").encode()
    elif b"\0" in packet[:2]:
        packet = packet.decode("utf-16-be" if packet[0] == 0 else "utf-16-le").encode()
    return packet.rstrip(b"\0 \r\n\t")


def _without_ours(tag: bytes) -> bytes:
    return re.sub(rb"\s[\w.-]+:(?:%s)\s*=\s*(?:\"[^\"]*\"|'[^']*')" % "|".join(_OURS).encode(), b"", tag)


class _Shape:
    """Where in a packet things stand, in bytes.

    Attributes:
        about: what its descriptions are of.
        end: before the closing tag of rdf:RDF.
        ours: elements that we write anew.
        tags: opening tags of descriptions, in which such properties can stand as attributes.

    Raises:
        ValueError: the packet is not well-formed, or no XMP.
    """

    def __init__(self, packet: bytes) -> None:
        self.about = ""
        self.end = -1
        self.ours: list[slice] = []
        self.tags: list[slice] = []
        self._packet = packet
        self._open: list[int] = []  # where each open element begins
        self._open_tag = -1
        self._parser = parser = expat.ParserCreate("utf-8", " ")
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

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._close_tag()
        place = self._parser.CurrentByteIndex
        self._open.append(place)
        if len(self._open) > _DEEPEST:
            raise ValueError("nested too deep")
        if name == f"{_RDF} Description":
            self._open_tag = place
            self.about = self.about or attributes.get(f"{_RDF} about", "")

    def _end(self, name: str) -> None:
        self._close_tag()
        start, place = self._open.pop(), self._parser.CurrentByteIndex
        word = re.match(rb"<([^\s/>]+)", self._packet[start:])
        has_closing_tag = word is not None and self._packet.startswith(b"</" + word[1], place)
        if name == f"{_RDF} RDF" and has_closing_tag:
            self.end = place
        elif name in _OUR_NAMES:
            self.ours.append(slice(start, self._packet.index(b">", place) + 1 if has_closing_tag else place))

    def _close_tag(self) -> None:
        if self._open_tag >= 0:
            self.tags.append(slice(self._open_tag, self._parser.CurrentByteIndex))
            self._open_tag = -1

    def _refuse(self, *_: object) -> None:
        raise ValueError("a document type in XMP")
