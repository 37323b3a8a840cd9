"""What is inside a sealed block: records whose numbers are laid out in columns, for zlib to find what repeats.

Samples of one device differ in their numbers only. Each content is split into its numbers and the text between them;
records with the same text share it, and the n-th numbers of all of them lie side by side. Any bytes come back as they
were; text without numbers merely gains less.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence

from heliobus.outputs.outbox.record import Entry, Record

_NUMBER = re.compile(rb"(-?[0-9]+(?:\.[0-9]+)?)")
_LENGTH = struct.Struct("<I")
_LARGEST = 1 << 28


class DamagedBlockError(Exception):
    """This is not what was written."""


def pack(entries: Sequence[Entry]) -> bytes:
    """`entries`, compressed."""
    shapes: dict[tuple[bytes, ...], tuple[int, list[list[bytes]]]] = {}
    kinds: list[int] = []
    for entry in entries:
        parts = _NUMBER.split(entry.record.content)
        number, rows = shapes.setdefault(tuple(parts[0::2]), (len(shapes), []))
        kinds.append(number)
        rows.append(parts[1::2])
    sections = [
        _numbers(_steps(entry.sequence for entry in entries)),
        _numbers(_steps(entry.record.time_ms for entry in entries)),
        _numbers(kinds),
    ]
    for texts, (_, rows) in shapes.items():
        columns = b"\n".join(b" ".join(column) for column in zip(*rows, strict=True))
        sections += [_numbers(len(text) for text in texts), b"".join(texts), columns]
    return zlib.compress(b"".join(_LENGTH.pack(len(section)) + section for section in sections), 6)


def unpack(packed: bytes) -> list[Entry]:
    """The entries of a block. Raises DamagedBlockError."""
    try:
        inflate = zlib.decompressobj()
        sections = _sections(inflate.decompress(packed, _LARGEST))
        sequences, times, kinds = (_integers(next(sections)) for _ in range(3))
        shapes = [
            _rows(_integers(lengths), text, columns, kinds.count(number))
            for number, (lengths, text, columns) in enumerate(zip(sections, sections, sections, strict=True))
        ]
        return [
            Entry(sequence, Record(time, next(shapes[kind])))
            for sequence, time, kind in zip(_sums(sequences), _sums(times), kinds, strict=True)
        ]
    except (zlib.error, ValueError, IndexError, StopIteration, RuntimeError, struct.error) as error:
        raise DamagedBlockError(str(error)) from error


def _steps(values: Iterable[int]) -> Iterator[int]:
    before = 0
    for value in values:
        yield value - before
        before = value


def _sums(steps: Iterable[int]) -> Iterator[int]:
    total = 0
    for step in steps:
        total += step
        yield total


def _numbers(values: Iterable[int]) -> bytes:
    return b" ".join(b"%d" % value for value in values)


def _integers(section: bytes) -> list[int]:
    return [int(each) for each in section.split()]


def _sections(content: bytes) -> Iterator[bytes]:
    offset = 0
    while offset < len(content):
        (length,) = _LENGTH.unpack_from(content, offset)
        offset += _LENGTH.size
        yield content[offset : offset + length]
        offset += length


def _rows(lengths: list[int], text: bytes, columns: bytes, count: int) -> Iterator[bytes]:
    """The contents of one shape, in order."""
    texts, offset = [], 0
    for length in lengths:
        texts.append(text[offset : offset + length])
        offset += length
    # A content without a number has no column.
    rows = (
        zip(*(column.split(b" ") for column in columns.split(b"\n")), strict=True) if len(texts) > 1 else ((),) * count
    )
    for row in rows:
        yield b"".join(part for pair in zip(texts, (*row, b""), strict=True) for part in pair)
