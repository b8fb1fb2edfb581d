"""Strip IPTC records of what is true of the gray file alone (IPTC-NAA Information Interchange Model 4.2)."""

from __future__ import annotations

import struct

_MARK = b"\x1c"
# The file format in the envelope and its version; image type and orientation; the preview.
_OF_THE_FILE = {(1, 20), (1, 22), (2, 130), (2, 131), (2, 200), (2, 201), (2, 202)}
_OF_THE_PIXELS = (3, 7, 8, 9)  # whole records: the digital newsphoto parameters, and those of embedded object data


def normalized(records: bytes) -> bytes:
    """Return the records without these datasets; from the first damaged record on, bytes are kept as they are."""
    kept, place = b"", 0
    while records[place : place + 1] == _MARK and place + 5 <= len(records):
        record, dataset, length = struct.unpack_from(">BBH", records, place + 1)
        end = place + 5
        if length & 0x8000:  # so many bytes of a longer length follow
            end += length & 0x7FFF
            length = int.from_bytes(records[place + 5 : end], "big")
        end += length
        if record not in _OF_THE_PIXELS and (record, dataset) not in _OF_THE_FILE:
            kept += records[place:end]
        place = end
    return kept + records[place:]
