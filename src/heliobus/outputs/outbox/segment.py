"""Segments: files of sealed blocks. The head of a block is a frame of its own, so that an index needs no contents."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heliobus.outputs.outbox.block import DamagedBlockError, pack, unpack
from heliobus.outputs.outbox.files import Files
from heliobus.outputs.outbox.frames import HEAD, MARK, frame_at, framed
from heliobus.outputs.outbox.record import Entry

BLOCK = 4
_META = struct.Struct("<QQqqII")
LEAD = HEAD + _META.size
"""Bytes before the compressed part of a block."""


@dataclass(frozen=True, slots=True)
class Block:
    """Where a sealed block lies, and what is in it: all numbers from `first` to `last`, the span of times (UTC ms)."""

    segment: int
    offset: int
    first: int
    last: int
    first_ms: int
    last_ms: int
    length: int
    crc: int

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return LEAD + self.length

    @property
    def count(self) -> int:
        """How many records were sealed."""
        return self.last - self.first + 1


def sealed(entries: Sequence[Entry], segment: int, offset: int) -> tuple[Block, bytes]:
    """A block of `entries`, whose numbers follow each other, to be written at `offset` of `segment`, and its bytes."""
    packed = pack(entries)
    times = [entry.record.time_ms for entry in entries]
    block = Block(
        segment,
        offset,
        entries[0].sequence,
        entries[-1].sequence,
        min(times),
        max(times),
        len(packed),
        zlib.crc32(packed),
    )
    return block, _head(block) + packed


def opened(block: Block, content: bytes) -> list[Entry]:
    """The entries of `block`, whose bytes are `content`. Raises DamagedBlockError."""
    packed = content[LEAD:]
    if content[:LEAD] != _head(block) or len(packed) != block.length or zlib.crc32(packed) != block.crc:
        raise DamagedBlockError("the CRC is wrong")
    entries = unpack(packed)
    if [entry.sequence for entry in entries] != list(range(block.first, block.last + 1)):
        raise DamagedBlockError("other records than the head says")
    return entries


def index(files: Files, path: Path, segment: int) -> tuple[list[Block], int]:
    """The blocks of the file of a segment by their heads, and how many damaged stretches there are. Raises OSError."""
    found: list[Block] = []
    size, offset, damaged, lost = files.size(path), 0, 0, False
    while 0 <= offset < size:
        block = _block(files.read(path, offset, LEAD), segment, offset)
        if block is not None and offset + block.size <= size:
            lost = False
            found.append(block)
            offset += block.size
            continue
        damaged += not lost
        lost = True
        offset = _next_mark(files, path, offset + 1)
    return found, damaged


def _head(block: Block) -> bytes:
    meta = (block.first, block.last, block.first_ms, block.last_ms, block.length, block.crc)
    return framed(BLOCK, _META.pack(*meta))


def _block(lead: bytes, segment: int, offset: int) -> Block | None:
    frame = frame_at(lead, 0)
    if frame is None or frame.kind != BLOCK or len(frame.body) != _META.size:
        return None
    block = Block(segment, offset, *_META.unpack(frame.body))
    return block if block.first <= block.last else None


def _next_mark(files: Files, path: Path, offset: int) -> int:
    found = files.read(path, offset).find(MARK)
    return -1 if found < 0 else offset + found
