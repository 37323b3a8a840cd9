"""What waits, as the event loop knows it: numbers, the newest records, and an index of the sealed blocks."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from heliobus.outputs.outbox.intervals import Intervals, runs
from heliobus.outputs.outbox.record import Entry, Record
from heliobus.outputs.outbox.recovery import Recovered
from heliobus.outputs.outbox.segment import Block

ENTRY = 100
"""Bytes of memory that a record takes beside its content, about."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that are given up, and from when to when they are (UTC ms)."""

    count: int
    first_ms: int
    last_ms: int


class Queue:
    """The waiting records of one outbox. Those in `recent` are in memory, whether in the tail or not yet."""

    def __init__(self) -> None:
        self.waiting = Intervals()
        self.recent: dict[int, Entry] = {}
        self.recent_bytes = 0
        self.blocks: list[Block] = []
        self.block_bytes = 0
        """Bytes on disk of the blocks in which something waits."""
        self.sizes: dict[int, int] = {}
        self.next = 1
        self.newest = 1
        """The first number of what was put last."""
        self.written = 0
        """The last number that is in the tail or in a block."""
        self._alive: dict[int, int] = {}

    def load(self, found: Recovered) -> None:
        """Start with what is on disk."""
        self.waiting, self.next, self.newest = found.waiting, found.next, found.next
        self.sizes = dict(found.sizes)
        for entry in found.entries:
            self._keep(entry)
        for block in found.blocks:
            self._index(block)

    @property
    def unsealed(self) -> int:
        """The first number behind all blocks."""
        return self.blocks[-1].last + 1 if self.blocks else 0

    @property
    def oldest_ms(self) -> int | None:
        """The time of the first waiting record; of a block in part taken, that of the block."""
        first = self.waiting.first
        if first is None:
            return None
        block = self.block_with(first)
        return self.recent[first].record.time_ms if block is None else block.first_ms

    def put(self, records: Iterable[Record]) -> None:
        """Number `records`, and add them."""
        self.newest = self.next
        for record in records:
            self._keep(Entry(self.next, record))
            self.next += 1
        if self.next > self.newest:
            self.waiting.append(self.newest, self.next - 1)

    def fresh(self) -> list[Entry]:
        """What is in memory only."""
        found = []
        for sequence in reversed(self.recent):
            if sequence <= self.written:
                break
            found.append(self.recent[sequence])
        return found[::-1]

    def recents(self, first: int, before: int | None = None) -> Iterator[Entry]:
        """The waiting records in memory from number `first` on, in order."""
        for sequence, entry in self.recent.items():
            if before is not None and sequence >= before:
                return
            if sequence >= first:
                yield entry

    def seal(self, block: Block) -> None:
        """What waits in `block` is not needed in memory any more."""
        for sequence in range(block.first, block.last + 1):
            self._forget(sequence)
        self.sizes[block.segment] = self.sizes.get(block.segment, 0) + block.size
        if self.waiting.between(block.first, block.last):
            self._index(block)

    def block_with(self, sequence: int) -> Block | None:
        """The block with a number."""
        index = self._position(sequence)
        return self.blocks[index] if index < len(self.blocks) and self.blocks[index].first <= sequence else None

    def next_block(self, sequence: int) -> Block | None:
        """The first block that begins behind a number."""
        index = self._position(sequence)
        return self.blocks[index] if index < len(self.blocks) else None

    def take(self, sequences: Sequence[int]) -> int:
        """These, ascending, wait no more. Returns how many did."""
        return sum(self.remove(first, last) for first, last in runs(sequences))

    def remove(self, first: int, last: int) -> int:
        """These wait no more. Returns how many did."""
        removed = 0
        for low, high in self.waiting.between(first, last):
            removed += self.waiting.remove(low, high)
            for sequence in range(low, high + 1):
                self._forget(sequence)
        index = self._position(first)
        while index < len(self.blocks) and self.blocks[index].first <= last:
            block = self.blocks[index]
            if self.waiting.between(block.first, block.last):
                index += 1
                continue
            del self.blocks[index]
            self.block_bytes -= block.size
            self._alive[block.segment] -= 1
        return removed

    @property
    def live_bytes(self) -> int:
        """Bytes of the segments in which something waits."""
        return sum(size for segment, size in self.sizes.items() if self._alive.get(segment))

    def emptied(self) -> list[int]:
        """Segments on disk in which nothing waits."""
        return [segment for segment in self.sizes if not self._alive.get(segment)]

    def forget(self, segments: Iterable[int]) -> None:
        """These are deleted."""
        for segment in segments:
            self.sizes.pop(segment, None)
            self._alive.pop(segment, None)

    def loss(self, blocks: Sequence[Block]) -> Loss:
        """What waits in some blocks, to be told when it is given up."""
        count = sum(self.waiting.count(block.first, block.last) for block in blocks)
        return Loss(count, min(block.first_ms for block in blocks), max(block.last_ms for block in blocks))

    def _keep(self, entry: Entry) -> None:
        self.recent[entry.sequence] = entry
        self.recent_bytes += ENTRY + len(entry.record.content)

    def _forget(self, sequence: int) -> None:
        entry = self.recent.pop(sequence, None)
        if entry is not None:
            self.recent_bytes -= ENTRY + len(entry.record.content)

    def _index(self, block: Block) -> None:
        self.blocks.insert(self._position(block.first), block)
        self.block_bytes += block.size
        self._alive[block.segment] = self._alive.get(block.segment, 0) + 1

    def _position(self, sequence: int) -> int:
        """Of the first block that does not end before a number."""
        return bisect_left(self.blocks, sequence, key=lambda block: block.last)
