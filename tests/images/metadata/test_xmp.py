from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorgan.images.metadata import xmp

RDF, IPTC = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}", "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
HEAD = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
)
TAIL = b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
TITLE = '<dc:title xmlns:dc="http://purl.org/dc/elements/1.1/">Zoë &amp; &lt;ich&gt;</dc:title>'.encode()
NAMESPACE = b'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'


def packet(*descriptions: bytes) -> bytes:
    return HEAD + b"".join(descriptions) + TAIL


def properties(data: bytes) -> dict[str, list[str]]:
    """All that a packet says with the names of IPTC's extension, attributes and elements alike."""
    found: dict[str, list[str]] = {}
    for element in ElementTree.fromstring(data.decode()).iter(f"{RDF}Description"):
        for name, value in [*element.items(), *((child.tag, child.text or "") for child in element)]:
            if name.startswith(IPTC):
                found.setdefault(name.removeprefix(IPTC), []).append(value)
    return found


OURS = {
    "DigitalSourceType": [xmp.COMPOSITE],
    "AISystemUsed": ['colorgan, model "a" & <b>'],
    "AISystemVersionUsed": ["1.2"],
}


def marked(data: bytes | None) -> bytes:
    return xmp.marked(data, 'colorgan, model "a" & <b>', "1.2")


def test_a_photo_without_a_packet_gets_one() -> None:
    assert properties(marked(None)) == OURS


def test_what_a_packet_says_else_stays_byte_for_byte() -> None:
    before = packet(b'<rdf:Description rdf:about="uuid:1">' + TITLE + b"</rdf:Description>")
    after = marked(before)
    assert properties(after) == OURS
    start, end = before[: -len(TAIL)], before[-len(TAIL) :]
    assert after.startswith(start)
    assert after.endswith(end)
    assert after.count(b'rdf:about="uuid:1"') == 2


@pytest.mark.parametrize(
    "description",
    [
        b'<rdf:Description rdf:about="" '
        + NAMESPACE
        + b' Iptc4xmpExt:DigitalSourceType="film" Iptc4xmpExt:Event="fair"/>',
        b"<rdf:Description rdf:about='' "
        + NAMESPACE
        + b"\n Iptc4xmpExt:DigitalSourceType = 'film'\n Iptc4xmpExt:Event='fair'>"
        b"<!-- a comment --></rdf:Description>",
        b'<rdf:Description rdf:about="" '
        + NAMESPACE
        + b"><Iptc4xmpExt:DigitalSourceType>film</Iptc4xmpExt:DigitalSourceType>"
        b"<Iptc4xmpExt:Event>fair</Iptc4xmpExt:Event></rdf:Description>",
        b'<rdf:Description rdf:about="" ' + NAMESPACE + b"><Iptc4xmpExt:Event>fair</Iptc4xmpExt:Event>"
        b'<Iptc4xmpExt:DigitalSourceType rdf:resource="film"/></rdf:Description>',
        b'<rdf:Description rdf:about="" '
        + NAMESPACE.replace(b"Iptc4xmpExt=", b"i=")
        + b' i:DigitalSourceType="film" i:Event="fair"/>',
    ],
    ids=["attribute", "quotes", "element", "resource", "prefix"],
)
def test_what_the_photo_was_before_is_replaced_and_its_neighbors_stay(description: bytes) -> None:
    assert properties(marked(packet(description))) == OURS | {"Event": ["fair"]}


def test_marking_twice_says_it_once() -> None:
    assert properties(marked(marked(None))) == OURS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_a_packet_in_utf_16_is_taken(encoding: str) -> None:
    text = packet(b'<rdf:Description rdf:about=""/>').decode()
    assert properties(marked(text.encode(encoding))) == OURS


@pytest.mark.parametrize(
    "data",
    [
        b"no packet",
        b"",
        HEAD,
        b"<a/>",
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]>' + HEAD + b"&c;" + TAIL,
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd">' + packet(),
        packet(b"<a>" * 5000 + b"</a>" * 5000),
        packet(b"\xff\xfe\x00"),
    ],
    ids=["text", "empty", "cut", "no RDF", "empty RDF", "entities", "outside", "deep", "no text"],
)
def test_a_damaged_or_hostile_packet_is_refused(data: bytes) -> None:
    if not data:
        assert properties(marked(data)) == OURS
        return
    with pytest.raises(ValueError):  # noqa: PT011 (the kind is the interface)
        marked(data)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6))
def test_changed_bytes_are_refused_or_give_a_packet(changes: list[tuple[int, int]]) -> None:
    data = bytearray(packet(b'<rdf:Description rdf:about="" ' + NAMESPACE + b' Iptc4xmpExt:Event="fair"/>'))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        after = marked(bytes(data))
    except ValueError:
        return
    assert b"compositeWithTrained" in after


NAMESPACES = {
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "darktable": "http://darktable.sf.net/",
    "crlcp": "http://ns.adobe.com/camera-raw-embedded-lens-profile/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
}


def described(attributes: str, content: bytes = b"", **prefixes: str) -> bytes:
    """A packet whose one description has a title and those properties."""
    names = " ".join(f'xmlns:{prefixes.get(name, name)}="{uri}"' for name, uri in NAMESPACES.items())
    return packet(
        f'<rdf:Description rdf:about="" {names} {attributes}>'.encode() + TITLE + content + b"</rdf:Description>"
    )


@pytest.mark.parametrize(
    ("fact", "loss"),
    [
        ("tiff:Orientation", ""),
        ("tiff:PhotometricInterpretation", ""),
        ("tiff:SamplesPerPixel", ""),
        ("tiff:ImageWidth", ""),
        ("exif:PixelXDimension", ""),
        ("exif:ColorSpace", ""),
        ("exifEX:InteroperabilityIndex", ""),
        ("dc:format", ""),
        ("crlcp:LensModel", "raw editor"),
        ("photoshop:ColorMode", ""),
        ("photoshop:ICCProfile", ""),
        ("xmp:Thumbnails", ""),
        ("crs:ConvertToGrayscale", "raw editor"),
        ("crs:CropTop", "raw editor"),
        ("darktable:history", "raw editor"),
        ("GCamera:MotionPhoto", "motion photo"),
        ("GCamera:MicroVideoOffset", "motion photo"),
        ("Container:Directory", "parts of the file"),
        ("Item:Semantic", "parts of the file"),
        ("hdrgm:Version", "gain map"),
        ("xmpNote:HasExtendedXMP", "extended XMP"),
    ],
)
@pytest.mark.parametrize("style", ["attribute", "element", "prefix"])
def test_what_is_true_of_the_gray_file_alone_goes(fact: str, loss: str, style: str) -> None:
    prefix, name = fact.split(":")
    if style == "attribute":
        before = described(f"{fact} = '17' photoshop:City=\"Rome\"")
    elif style == "element":
        nested = f"<{fact}><rdf:Seq><rdf:li>17</rdf:li></rdf:Seq></{fact}>"
        before = described('photoshop:City="Rome"', nested.encode())
    else:
        city = f"{'q' if prefix == 'photoshop' else 'photoshop'}:City"
        before = described(f'q:{name}="17" {city}="Rome"', **{prefix: "q"})
    after, losses = xmp.normalized(before)
    assert b"17" not in after
    assert b"Rome" in after
    assert TITLE in after
    assert loss in " ".join(losses)
    assert bool(losses) == bool(loss)


def test_a_packet_without_such_facts_stays_byte_for_byte() -> None:
    before = described('photoshop:City="Rome" xmp:CreateDate="1911" GCamera:BurstID="7"')
    assert xmp.normalized(before) == (before, [])
