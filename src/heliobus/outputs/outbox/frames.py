"""Frames: mark, kind, length, CRC-32, body. What is torn or damaged is known as such, and what follows is found."""

import struct
import zlib
from dataclasses import dataclass

MARK = b"\xb5\xe7"
_HEAD = struct.Struct("<2sBII")
HEAD = _HEAD.size
"""Bytes before the body."""
LARGEST = 1 << 28


@dataclass(frozen=True, slots=True)
class Frame:
    """A good frame; `end` is the offset behind it."""

    kind: int
    body: bytes
    end: int


def framed(kind: int, body: bytes) -> bytes:
    """`body` as a frame."""
    return _HEAD.pack(MARK, kind, len(body), _crc(kind, body)) + body


def frame_at(content: bytes, offset: int) -> Frame | None:
    """The frame at `offset`, None if there is no whole and good one."""
    if len(content) - offset < HEAD:
        return None
    mark, kind, length, crc = _HEAD.unpack_from(content, offset)
    end = offset + HEAD + length
    if mark != MARK or length > LARGEST or end > len(content):
        return None
    body = content[offset + HEAD : end]
    return Frame(kind, body, end) if _crc(kind, body) == crc else None


def frames_in(content: bytes) -> tuple[list[Frame], int]:
    """All good frames, and how many damaged stretches lie before the last of them. A torn end is no damage."""
    found: list[Frame] = []
    damaged, offset, lost = 0, 0, False
    while 0 <= offset < len(content):
        frame = frame_at(content, offset)
        if frame is None:
            lost = True
            offset = content.find(MARK, offset + 1)
            continue
        damaged += lost
        lost = False
        found.append(frame)
        offset = frame.end
    return found, damaged


def _crc(kind: int, body: bytes) -> int:
    return zlib.crc32(body, kind)
