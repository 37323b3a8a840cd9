"""What tests of the outbox share: a sink to order about, disks that fail, and an outbox with short ways."""

import asyncio
import errno
import random
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from heliobus.outputs.outbox import Files, Forwarder, Outbox, Pace, Record, SinkAwayError, SinkRefusedError
from heliobus.outputs.status import OutputStatus

START = 1_700_000_000.0


class SetClock:
    """A clock that is set by hand."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


class FakeSink:
    """Takes records or not, as told. `batches` is what it has said yes to."""

    def __init__(self) -> None:
        self.away = False
        self.poison: Callable[[Record], bool] = lambda _: False
        self.hang: asyncio.Event | None = None
        self.delay = 0.0
        self.batches: list[list[Record]] = []
        self.times: list[float] = []
        self.attempts: list[float] = []
        self.offered = 0

    async def send(self, records: Sequence[Record]) -> None:
        self.offered += 1
        self.attempts.append(asyncio.get_running_loop().time())
        if self.hang is not None:
            await self.hang.wait()
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.away:
            raise SinkAwayError("connection refused")
        if any(self.poison(record) for record in records):
            raise SinkRefusedError("field type conflict")
        self.batches.append(list(records))
        self.times.append(asyncio.get_running_loop().time())

    @property
    def records(self) -> list[Record]:
        return [record for batch in self.batches for record in batch]

    @property
    def numbers(self) -> list[int]:
        return [number_of(record) for record in self.records]


def record(number: int, size: int = 0, time_ms: int | None = None) -> Record:
    """Record `number` with `size` bytes that cannot be compressed; 10 s lie between one and the next."""
    content = b"solar,site=a value=%d.5 " % number + random.Random(number).randbytes(size)
    return Record(round(START * 1000) + number * 10_000 if time_ms is None else time_ms, content)


def number_of(taken: Record) -> int:
    return int(taken.content.split(b"value=")[1].split(b".")[0])


class FullFiles(Files):
    """A disk on which `room` bytes are left, None for endless. What does not fit is written in part, as by write(2)."""

    def __init__(self) -> None:
        self.room: int | None = None

    def open(self, path: Path) -> FileIO:
        if self.room == 0 and not path.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().open(path)

    def write(self, file: FileIO, content: bytes) -> None:
        if self.room is None or len(content) <= self.room:
            self.room = None if self.room is None else self.room - len(content)
            super().write(file, content)
            return
        super().write(file, content[: self.room])
        self.room = 0
        raise OSError(errno.ENOSPC, "No space left on device")

    def remove(self, path: Path) -> None:
        if self.room is not None and path.exists():
            self.room += path.stat().st_size
        super().remove(path)


class CutError(OSError):
    """Nothing reaches the disk any more."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "the process is dead")


class CutFiles(FullFiles):
    """After `left` bytes of writes and as many whole other operations, nothing reaches the disk: kill -9 at that point.

    An operation other than a write counts as one byte.
    """

    def __init__(self, left: int) -> None:
        super().__init__()
        self.left = left

    def _spend(self) -> None:
        if self.left <= 0:
            self.left = -1
            raise CutError
        self.left -= 1

    @property
    def dead(self) -> bool:
        return self.left < 0

    def open(self, path: Path) -> FileIO:
        self._spend()
        return super().open(path)

    def write(self, file: FileIO, content: bytes) -> None:
        if self.dead:
            raise CutError
        super().write(file, content[: self.left])
        if len(content) > self.left:
            self.left = -1
            raise CutError
        self.left -= len(content)

    def empty(self, file: FileIO) -> None:
        self._spend()
        super().empty(file)

    def remove(self, path: Path) -> None:
        self._spend()
        super().remove(path)


class HangingFiles(Files):
    """A disk whose writes or fsyncs do not return until told."""

    def __init__(self, *, writes: bool = False, syncs: bool = False) -> None:
        self.go = threading.Event()
        self.entered = threading.Event()
        self._writes = writes
        self._syncs = syncs

    def write(self, file: FileIO, content: bytes) -> None:
        if self._writes:
            self.entered.set()
            self.go.wait(30)
        super().write(file, content)

    def sync(self, path: Path) -> None:
        if self._syncs:
            self.entered.set()
            self.go.wait(30)
        super().sync(path)


@asynccontextmanager
async def an_outbox(folder: Path, **options: Any) -> AsyncIterator[Outbox]:
    """An open outbox of 10 MB, closed at the end."""
    outbox = make_outbox(folder, **options)
    outbox.open()
    try:
        yield outbox
    finally:
        await outbox.close()


def make_outbox(folder: Path, **options: Any) -> Outbox:
    options = {
        "limit_bytes": 10_000_000,
        "keep_seconds": 30 * 86400.0,
        "clock": SetClock(),
        "status": OutputStatus("influx"),
        "trust": 0.0,
        **options,
    }
    return Outbox(folder, **options)


@asynccontextmanager
async def forwarding(outbox: Outbox, sink: FakeSink, **pace: Any) -> AsyncIterator[Forwarder]:
    """A forwarder at work."""
    forwarder = Forwarder(outbox, sink, name="influx", pace=Pace(**pace), uniform=lambda _, high: high)
    task = asyncio.create_task(forwarder.run())
    try:
        yield forwarder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that happens by itself."""
    async with asyncio.timeout(600):
        while not true():
            await asyncio.sleep(0.005)


async def waiting_numbers(outbox: Outbox) -> list[int]:
    """All that waits, by reading it without taking it."""
    entries = await outbox.oldest(1 << 62, 1 << 30, 1 << 40)
    return [number_of(entry.record) for entry in entries]
