"""The durable queue between what measures and one sink."""

import asyncio
import errno
from collections.abc import Iterator, Sequence
from pathlib import Path

from heliobus.model.clock import Clock
from heliobus.outputs.outbox.block import DamagedBlockError
from heliobus.outputs.outbox.files import Files
from heliobus.outputs.outbox.intervals import Interval, runs
from heliobus.outputs.outbox.losses import Losses, text
from heliobus.outputs.outbox.queue import ENTRY, Loss, Queue
from heliobus.outputs.outbox.record import Entry, Record
from heliobus.outputs.outbox.segment import Block
from heliobus.outputs.outbox.writer import Writer
from heliobus.outputs.status import OutputStatus

MEMORY = 4 * 1024 * 1024
"""Bytes of records that wait in memory for a disk that is full or hangs."""
SYNC_EVERY = 10.0
TRUST = 3600.0
"""Seconds for which the clock must have said that something is too old: at the start it may be years ahead."""
LIVE_MS = 10_000
"""What is not older than the newest record by more than this counts as new when a sink comes back."""

_FILES = Files()
# What will not be otherwise at the next attempt.
_GONE = (errno.ENOENT, errno.EIO)


class Outbox:
    """Keeps records in `folder`, which nobody else uses, until they are taken.

    At most `limit_bytes` of disk are used and nothing older than `keep_seconds` is kept: the oldest goes first, if the
    clock has said so for `trust` seconds. A power cut loses at most the last `sync_every` seconds, a killed process
    nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        limit_bytes: int,
        keep_seconds: float,
        clock: Clock,
        status: OutputStatus,
        sync_every: float = SYNC_EVERY,
        trust: float = TRUST,
        memory_bytes: int = MEMORY,
        files: Files = _FILES,
    ) -> None:
        self.status = status
        self.clock = clock
        self.arrived = asyncio.Event()
        """Set by every put."""
        self._limit = limit_bytes
        self._keep = keep_seconds
        self._trust = trust
        self._old_since: float | None = None
        self._memory = min(memory_bytes, limit_bytes // 4)
        self._queue = Queue()
        self._losses = Losses(status)
        self._writer = Writer(
            self._queue,
            folder,
            files,
            name=status.name,
            limit=limit_bytes,
            sync_every=sync_every,
            make_room=self._make_room,
        )

    def open(self) -> list[str]:
        """Find what waits on disk; returns what was lost of it, in words. Blocks. Raises OSError."""
        found = self._writer.recover()
        self._queue.load(found)
        notes = []
        if found.damaged:
            notes.append(f"{self.status.name}: {found.damaged} damaged stretches of the outbox are stepped over")
        if found.lost:
            self.status.dropped += found.lost
            notes.append(f"{self.status.name}: {found.lost} records are no more in the outbox")
        self._tell()
        return notes

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return self._queue.waiting.total

    @property
    def begins(self) -> int:
        """The number of the record that has waited longest; if nothing waits, that of the next one."""
        first = self._queue.waiting.first
        return self._queue.next if first is None else first

    @property
    def unsealed(self) -> int:
        """From this number on everything is in memory."""
        return self._queue.unsealed

    def waiting_text(self) -> str:
        """What waits, for the log."""
        oldest = self._queue.oldest_ms
        if oldest is None:
            return "nothing waits"
        if self.waiting == 1:
            return f"1 record waits, of {text(oldest)}"
        return f"{self.waiting} records wait, the oldest of {text(oldest)}"

    async def put(self, records: Sequence[Record]) -> None:
        """Take `records` over. Returns when the kernel has them, or when the disk is full, broken or hangs."""
        if not records:
            return
        self._queue.put(records)
        self._expire()
        self._bound_memory()
        self._tell()
        self.arrived.set()
        await self._writer.written()
        self._losses.say()
        self._tell()

    async def acknowledge(self, entries: Sequence[Entry], *, refused: bool = False) -> None:
        """`entries`, ascending, are stored elsewhere, or `refused` for good. Returns when that is noted."""
        sequences = [entry.sequence for entry in entries]
        taken = self._queue.take(sequences)
        if refused:
            self.status.refused += taken
        else:
            self.status.sent += taken
        self._writer.note(runs(sequences))
        self._tell()
        await self._writer.written()

    def waits(self, entry: Entry) -> bool:
        """Whether it still does: it may have been dropped meanwhile."""
        return entry.sequence in self._queue.waiting

    def newest(self) -> int:
        """The first number of what is new, for a sink that comes back."""
        entries = list(self._queue.recent.values())
        if not entries:
            return self._queue.next
        horizon, number = entries[-1].record.time_ms - LIVE_MS, entries[-1].sequence
        for entry in reversed(entries):
            if entry.sequence < self._queue.newest and entry.record.time_ms < horizon:
                break
            number = entry.sequence
        return max(number, self.unsealed)

    def recent(self, first: int, most: int, size: int) -> list[Entry]:
        """What waits in memory from number `first` on: at most `most` records and about `size` bytes, in order."""
        return list(_within(self._queue.recents(first), most, size))

    async def oldest(self, before: int, most: int, size: int) -> list[Entry]:
        """What has waited longest and has a number less than `before`, limited as in `recent`."""
        self._expire()
        found: list[Entry] = []
        room = size
        start = 0
        while len(found) < most and room > 0:
            first = next((max(low, start) for low, high in self._queue.waiting if high >= start), before)
            if first >= before:
                break
            entries, start = await self._from(first, before)
            taken = list(_within(entries, most - len(found), room))
            if len(taken) < len(entries) and found:
                break
            found += taken
            room -= sum(len(entry.record.content) for entry in taken)
            if len(taken) < len(entries):
                break
        return [entry for entry in found if self.waits(entry)]

    async def close(self) -> None:
        """Have what waits on disk, and let go of the files. A disk that hangs is given seconds."""
        await self._writer.close()
        self._losses.say(final=True)

    async def _from(self, first: int, before: int) -> tuple[list[Entry], int]:
        """What waits together with number `first`, in one block or in memory, and the number to go on with."""
        block = self._queue.block_with(first)
        if block is None:
            following = self._queue.next_block(first)
            end = before if following is None else min(before, following.first)
            return list(self._queue.recents(first, end)), end
        try:
            entries = await self._writer.read(block)
        except DamagedBlockError as error:
            self._drop([block], f"damaged on disk ({error})")
            return [], block.last + 1
        except OSError as error:
            if error.errno not in _GONE:
                self._losses.trouble(f"cannot read the outbox ({error.strerror or error})")
                return [], before
            self._drop([block], f"lost on disk ({error.strerror})")
            return [], block.last + 1
        return [entry for entry in entries if first <= entry.sequence < before and self.waits(entry)], block.last + 1

    def _make_room(self, size: int) -> None:
        """Drop the oldest segments until `size` more bytes fit."""
        while self._queue.blocks and self._writer.used + size > self._limit:
            oldest = self._queue.blocks[0].segment
            blocks = [block for block in self._queue.blocks if block.segment == oldest]
            self._drop(blocks, f"{self._limit / 1e6:g} MB are full")

    def _expire(self) -> None:
        """Drop what is too old."""
        horizon = 1000 * (self.clock.time() - self._keep)
        old = []
        for block in self._queue.blocks:
            if block.last_ms >= horizon:
                break
            old.append(block)
        entries = []
        for entry in self._queue.recents(0):
            if entry.record.time_ms >= horizon:
                break
            entries.append(entry)
        if not self._believed(old or entries):
            return
        if old:
            self._drop(old, f"older than {self._keep / 86400:g} days")
        self._drop_entries(entries, f"older than {self._keep / 86400:g} days")

    def _believed(self, old: Sequence[object]) -> bool:
        """Whether there have been `old` ones for so long that the clock is right."""
        now = asyncio.get_running_loop().time()
        self._old_since = None if not old else now if self._old_since is None else self._old_since
        return self._old_since is not None and now - self._old_since >= self._trust

    def _bound_memory(self) -> None:
        """Drop the oldest of what is in memory only, if that is too much."""
        if self._queue.recent_bytes <= self._memory:
            return
        fresh = self._queue.fresh()
        excess = sum(ENTRY + len(entry.record.content) for entry in fresh) - self._memory
        dropped = []
        for entry in fresh:
            if excess <= 0:
                break
            dropped.append(entry)
            excess -= ENTRY + len(entry.record.content)
        self._drop_entries(dropped, "the disk takes nothing and the memory for them is full")

    def _drop(self, blocks: Sequence[Block], why: str) -> None:
        self._losses.note(self._queue.loss(blocks), why)
        self._give_up((block.first, block.last) for block in blocks)

    def _drop_entries(self, entries: Sequence[Entry], why: str) -> None:
        if entries:
            times = [entry.record.time_ms for entry in entries]
            self._losses.note(Loss(len(entries), min(times), max(times)), why)
            self._give_up(runs(entry.sequence for entry in entries))

    def _give_up(self, intervals: Iterator[Interval]) -> None:
        for interval in intervals:
            self._queue.remove(*interval)
            self._writer.note((interval,))
        self._tell()

    def _tell(self) -> None:
        oldest = self._queue.oldest_ms
        self.status.waiting = self.waiting
        self.status.waiting_bytes = self._queue.block_bytes + self._queue.recent_bytes
        self.status.oldest = None if oldest is None else oldest / 1000


def _within(entries: Iterator[Entry] | Sequence[Entry], most: int, size: int) -> Iterator[Entry]:
    """The first of `entries`, at least one."""
    for count, entry in enumerate(entries):
        size -= len(entry.record.content)
        if count and (count >= most or size < 0):
            return
        yield entry
