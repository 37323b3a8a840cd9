"""The outbox: what 30 days offline take of disk and memory, how fast they are read back, and what a put costs.

140 values every 10 s of four devices (the world of the benchmark of the history) as line protocol of the native layout,
put and sent by the product's own outbox and forwarder. A day is put for each second of `plan.cpu`, at most 30: the same
day again, later each time. Blocks are of half an hour and know nothing of each other.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from figure import Figure, Plan
from heliobus.outputs.influx.native import NativeLayout
from heliobus.outputs.influx.output import records
from heliobus.outputs.outbox import Forwarder, Outbox, Pace, Record
from heliobus.outputs.status import OutputStatus
from history import BEGIN, DAY, World
from side_process import memory

EVERY, DAYS = 10, 30
PUTS_A_DAY = DAY // EVERY
LIMIT_MB = 100.0
STEADY = 1000


class SetClock:
    def __init__(self) -> None:
        self.now = float(BEGIN)

    def time(self) -> float:
        return self.now


class Taker:
    """A sink that takes everything at once."""

    def __init__(self) -> None:
        self.newest = 0

    async def send(self, batch: Sequence[Record]) -> None:
        self.newest = batch[-1].time_ms


async def measure(plan: Plan) -> list[Figure]:
    folder, days = plan.folder / "outbox", max(1, min(DAYS, round(plan.cpu)))
    day = _day()
    steady = await _steady(plan.folder / "outbox-steady", day[:STEADY])
    return [*await _offline(folder, day, days), *await _drained(folder), *steady]


def _day() -> list[list[Record]]:
    """What is put on the first day."""
    world, layout = World(), NativeLayout("cabin", {})
    return [list(records(layout.rows(world.samples(BEGIN + EVERY * number)))) for number in range(PUTS_A_DAY)]


def _later(batch: list[Record], days: int) -> list[Record]:
    return [_moved(each, each.time_ms + 1000 * DAY * days) for each in batch]


def _moved(record: Record, time_ms: int) -> Record:
    return Record(time_ms, b"%s %d" % (record.content.rpartition(b" ")[0], time_ms))


def _opened(folder: Path, clock: SetClock) -> Outbox:
    status = OutputStatus("outbox")
    outbox = Outbox(folder, limit_bytes=1_000_000_000, keep_seconds=1e9, clock=clock, status=status)
    outbox.open()
    return outbox


async def _offline(folder: Path, day: list[list[Record]], days: int) -> list[Figure]:
    clock = SetClock()
    outbox = _opened(folder, clock)
    cpu, raw, put, resident = 0.0, 0, 0, 0.0
    for number in range(days * PUTS_A_DAY):
        clock.now = BEGIN + EVERY * number
        batch = _later(day[number % PUTS_A_DAY], number // PUTS_A_DAY)
        began = time.process_time()
        await outbox.put(batch)
        cpu += time.process_time() - began
        put += len(batch)
        raw += sum(len(each.content) for each in batch)
        if number == PUTS_A_DAY // 4:
            resident = memory(os.getpid())["VmRSS"]
    grown = memory(os.getpid())["VmRSS"] - resident
    await outbox.close()
    size = _size(folder)
    method = f"{days} days, {put:,} records, {raw / size:.0f} times as large before"
    return [
        Figure("outbox: 30 days offline", size / 1e6 * DAYS / days, "MB", method, LIMIT_MB, 1),
        Figure("outbox: bytes a value", size / (days * PUTS_A_DAY * 140), "", method, None, 2),
        Figure("outbox: VmRSS for what waits", grown, "MiB", "growth after the first six hours", None, 1),
        Figure("outbox: CPU of a put offline", 1e6 * cpu / (days * PUTS_A_DAY), "µs", "4 records, sealing included"),
    ]


async def _drained(folder: Path) -> list[Figure]:
    clock = SetClock()
    began = time.perf_counter()
    outbox = _opened(folder, clock)
    opening = time.perf_counter() - began
    waiting, resident = outbox.waiting, memory(os.getpid())["VmRSS"]
    sink, cpu = Taker(), time.process_time()
    forwarder = asyncio.create_task(Forwarder(outbox, sink, name="outbox", pace=Pace(rate=1e9, share=1.0)).run())
    began = time.perf_counter()
    await _until_empty(outbox)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    grown = memory(os.getpid())["VmRSS"] - resident
    forwarder.cancel()
    await asyncio.gather(forwarder, return_exceptions=True)
    await outbox.close()
    method = f"{waiting:,} records of the disk to a sink that takes all, without the usual limit of rate"
    return [
        Figure("outbox: opening with a backlog", 1000 * opening, "ms", f"{waiting:,} records wait", None, 1),
        Figure("outbox: backlog read and sent", waiting / took, "records/s", method, None, 0),
        Figure("outbox: CPU of a record read", 1e6 * cpu / waiting, "µs", method, None, 1),
        Figure("outbox: VmRSS while a backlog is sent", grown, "MiB", "growth", None, 1),
    ]


async def _steady(folder: Path, puts: list[list[Record]]) -> list[Figure]:
    clock, took = SetClock(), []
    outbox = _opened(folder, clock)
    forwarder = asyncio.create_task(Forwarder(outbox, Taker(), name="outbox").run())
    written, cpu = _written(), 0.0
    for batch in puts:
        began, spent = time.perf_counter(), time.process_time()
        await outbox.put(batch)
        took.append(time.perf_counter() - began)
        await _until_empty(outbox)
        cpu += time.process_time() - spent
    written = _written() - written
    forwarder.cancel()
    await asyncio.gather(forwarder, return_exceptions=True)
    await outbox.close()
    method = f"{STEADY} puts of 4 records, all taken at once"
    return [
        Figure("outbox: put, median", 1e6 * median(took), "µs", method, None, 0),
        Figure("outbox: put, p99", 1e6 * quantiles(took, n=100)[98], "µs", method, None, 0),
        Figure("outbox: CPU of put, send and note", 1e6 * cpu / STEADY, "µs", method, None, 0),
        Figure("outbox: bytes for the flash per put", written / STEADY, "", f"{method}; /proc/self/io", None, 1),
    ]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def _until_empty(outbox: Outbox) -> None:
    while outbox.waiting:  # noqa: ASYNC110  an outbox tells nobody that it is empty
        await asyncio.sleep(0)


def _written() -> int:
    """Bytes that this process made the system write to disk, without those thrown away before."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines())
    return int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])
