"""A process with Influx outputs at work, for tests that kill it: its own time, four devices, a journal of what happens.

Started with one JSON object (see Task) as its argument. Each line of the journal is a JSON object with `what`:

- `ready` (`pid`): the outputs run from here on.
- `putting` (`output`, `times`): the outbox is given the records of these times.
- `kept` (`output`, `times`): it has taken them.
- `syncing`, `synced` (`output`, `files`: size by inode): one fsync of files and folder, from its beginning to its end.
- `sent` (`output`, `times`, `at`): the other side has taken these records, at `at` seconds of the monotonic clock.
- `full`, `room`: the disk is full, and has room again.
- `waiting` (`output`, `count`, `step`): how many records wait, now and then.
"""

import asyncio
import errno
import json
import os
import stat
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from heliobus.config.outputs import InfluxConfig
from heliobus.outputs.influx import output
from heliobus.outputs.influx.sink import InfluxSink
from heliobus.outputs.outbox import Files, Outbox, Pace, Record, writer
from heliobus.outputs.status import Statuses
from heliobus.site import Site
from influx_site import CHARGER_VALUES, fed, introduced

START = 1_736_121_600
"""2025-01-06 00:00 UTC."""
STEP, WEEK = 600, 1008
"""Seconds between two samples of a device while time flies, and how many of them are seven days."""
DEVICES = 4
QUICK, LIVE = 0.01, 0.25
"""Seconds of real time from one step to the next: while time flies, and afterwards."""
NAMES = ("influx", "victoria")


@dataclass(frozen=True)
class Task:
    """`urls` are those of NAMES, `step` is where time goes on; for `full` steps from `full_at` on the disk is full."""

    state: str
    journal: str
    urls: list[str]
    step: int
    full_at: int = -1
    full: int = 0


class Journal:
    """Lines that outlast the process, for the kernel has them when `note` returns."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, **more: Any) -> None:
        os.write(self._file, json.dumps({"what": what, **more}).encode() + b"\n")


class SteppedClock:
    """The time of the simulated site."""

    def __init__(self, step: int) -> None:
        self.step = step

    def time(self) -> float:
        return moment(self.step)


def moment(step: int) -> float:
    """UTC seconds of a step: ten minutes each for a week, seconds after that."""
    return START + STEP * min(step, WEEK) + max(0, step - WEEK)


class FullDisk(Files):
    """A file system that can be told to be full."""

    full = False

    def write(self, file: FileIO, content: bytes) -> None:
        if self.full:
            # Some of it still fits, as on a real disk.
            super().write(file, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(file, content)


class KeptOutbox(Outbox):
    """Notes what it is given and what it has taken."""

    def __init__(self, folder: Path, *, journal: Journal, **more: Any) -> None:
        super().__init__(folder, **more)
        self._noted = partial(journal.note, output=folder.name)

    async def put(self, records: Sequence[Record]) -> None:
        times = [record.time_ms for record in records]
        self._noted("putting", times=times)
        await super().put(records)
        self._noted("kept", times=times)


class NotedSink(InfluxSink):
    """Notes what the other side has taken."""

    def __init__(self, config: InfluxConfig, *, journal: Journal) -> None:
        super().__init__(config)
        self._noted = partial(journal.note, "sent", output=config.name)

    async def send(self, records: Sequence[Record]) -> None:
        await super().send(records)
        self._noted(times=[record.time_ms for record in records], at=time.monotonic())


def watch_fsync(journal: Journal) -> None:
    """Note what is on disk for certain: sizes as they were before each fsync, told when the folder's follows."""
    fsync, sync = os.fsync, writer.Writer._sync
    files = dict[str, dict[int, int]]()

    def noted(descriptor: int) -> None:
        status, name = os.fstat(descriptor), Path(f"/proc/self/fd/{descriptor}").readlink()
        fsync(descriptor)
        if not stat.S_ISDIR(status.st_mode):
            files.setdefault(name.parent.name, {})[status.st_ino] = status.st_size
        elif name.name in NAMES:
            journal.note("synced", output=name.name, files=files.pop(name.name, {}))

    async def begun(self: writer.Writer) -> None:
        # Here it is decided which files are synced, so what is kept from now on may be in others.
        journal.note("syncing", output=self._name)
        await sync(self)

    os.fsync = noted
    writer.Writer._sync = begun  # type: ignore[method-assign]


async def play(task: Task, journal: Journal, site: Site, clock: SteppedClock, disk: FullDisk) -> None:
    """Let time pass: every device says something new at each step."""
    devices = [introduced(site, f"tracer {number}", number) for number in range(DEVICES)]
    while True:
        full = task.full_at <= clock.step < task.full_at + task.full
        if full is not disk.full:
            disk.full = full
            journal.note("full" if full else "room")
        for number, device in enumerate(devices):
            # A millisecond apart, so that each is a record of its own, and its time says whose it is.
            fed(site, device, clock.time() + number / 1000, {**CHARGER_VALUES, "pv_power": float(clock.step)})
        await asyncio.sleep(QUICK if clock.step < WEEK else LIVE)
        clock.step += 1


async def run(task: Task) -> None:
    journal, clock, disk, site, statuses = (
        Journal(task.journal),
        SteppedClock(task.step),
        FullDisk(),
        Site(),
        Statuses(),
    )
    watch_fsync(journal)
    # What the daemon would wait for is too long for a test.
    writer.RETRY = 0.2
    output.Outbox = partial(KeptOutbox, journal=journal, files=disk, sync_every=0.3)  # type: ignore[misc, assignment]
    output.InfluxSink = partial(NotedSink, journal=journal)  # type: ignore[misc, assignment]
    pace = Pace(records=500, first=0.1, longest=0.5)
    outputs = [
        output.InfluxOutput(
            InfluxConfig(name, url, every=QUICK / 2), "Hut 7", Path(task.state), clock, statuses, pace=pace
        )
        for name, url in zip(NAMES, task.urls, strict=True)
    ]
    journal.note("ready", pid=os.getpid())
    async with asyncio.TaskGroup() as together:
        for each in outputs:
            together.create_task(each.run(site))
        together.create_task(play(task, journal, site, clock, disk))
        while True:
            await asyncio.sleep(0.1)
            for status in statuses:
                journal.note("waiting", output=status.name, count=status.waiting, step=clock.step)


if __name__ == "__main__":
    asyncio.run(run(Task(**json.loads(sys.argv[1]))))
