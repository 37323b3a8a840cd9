"""What a folder holds when the outbox is opened: after a clean end, a kill, a power cut or damage alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from heliobus.outputs.outbox.block import DamagedBlockError
from heliobus.outputs.outbox.files import Files
from heliobus.outputs.outbox.intervals import Interval, Intervals, runs
from heliobus.outputs.outbox.record import Entry
from heliobus.outputs.outbox.segment import Block, index, opened
from heliobus.outputs.outbox.tail import Replay

_NAME = re.compile(r"(tail|segment)\.([0-9]{8})")
_ENDLESS = 1 << 63


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found.

    `entries` are those of the tails, `blocks` the sealed ones, both ascending and without anything twice; `waiting`
    are the numbers that nobody has taken. `sizes` are the bytes of each segment, `tails` the numbers of the tail files.
    `lost` waited and are not there any more; `damaged` counts damaged stretches of files.
    """

    waiting: Intervals
    entries: list[Entry]
    blocks: list[Block]
    sizes: dict[int, int]
    tails: dict[int, int]
    next: int
    lost: int
    damaged: int


def tail_path(folder: Path, number: int) -> Path:
    """The file of a tail."""
    return folder / f"tail.{number:08d}"


def segment_path(folder: Path, number: int) -> Path:
    """The file of a segment."""
    return folder / f"segment.{number:08d}"


def recover(files: Files, folder: Path) -> Recovered:
    """Read the folder; nothing in it is changed, and no content makes it fail. Raises OSError."""
    found = [match for match in map(_NAME.fullmatch, files.names(folder)) if match]
    replay, tails = Replay(), {}
    for number in (int(match[2]) for match in found if match[1] == "tail"):
        content = files.read(tail_path(folder, number))
        tails[number] = len(content)
        replay.read(content)
    blocks, sizes, damaged = [], {}, replay.damaged
    for number in (int(match[2]) for match in found if match[1] == "segment"):
        path = segment_path(folder, number)
        sizes[number] = files.size(path)
        in_segment, more = index(files, path, number)
        blocks += in_segment
        damaged += more
    blocks, more = _whole(files, folder, sorted(blocks, key=lambda block: block.first), replay)
    return _sorted_out(replay, blocks, sizes, tails, damaged + more)


def _whole(files: Files, folder: Path, blocks: list[Block], replay: Replay) -> tuple[list[Block], int]:
    """`blocks` without overlaps, and without those that are damaged and still in a tail."""
    kept: list[Block] = []
    damaged = 0
    for block in blocks:
        if kept and block.first <= kept[-1].last:
            continue
        if block.first in replay.entries or block.last in replay.entries:
            try:
                opened(block, files.read(segment_path(folder, block.segment), block.offset, block.size))
            except DamagedBlockError:
                damaged += 1
                continue
        kept.append(block)
    return kept, damaged


def _sorted_out(
    replay: Replay, blocks: list[Block], sizes: dict[int, int], tails: dict[int, int], damaged: int
) -> Recovered:
    sealed = Intervals((block.first, block.last) for block in blocks)
    unsealed = sorted(sequence for sequence in replay.entries if sequence not in sealed)
    stored = sorted([*sealed, *runs(unsealed)])
    expected = Intervals([*replay.state.waiting, (replay.state.next, _ENDLESS)])
    for first, last in replay.taken:
        expected.remove(first, last)
    waiting = Intervals(_common(stored, expected))
    for first, last in stored:
        expected.remove(first, last)
    newest = max((last for _, last in stored), default=0)
    expected.remove(max(newest + 1, replay.state.stored), _ENDLESS)
    highest = max(newest, *(last for _, last in replay.taken), 0)
    return Recovered(
        waiting,
        [replay.entries[sequence] for sequence in unsealed if sequence in waiting],
        [block for block in blocks if waiting.between(block.first, block.last)],
        sizes,
        tails,
        max(replay.state.next, highest + 1),
        expected.total,
        damaged,
    )


def _common(stored: list[Interval], expected: Intervals) -> Iterator[Interval]:
    for first, last in stored:
        yield from expected.between(first, last)
