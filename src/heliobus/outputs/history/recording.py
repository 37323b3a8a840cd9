"""Samples on their way into the history's file: collected in the loop, written by a thread of its own."""

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from heliobus.config.outputs import HistoryConfig
from heliobus.model.clock import Clock
from heliobus.model.localtime import LocalTime
from heliobus.outputs.daemon_thread import DaemonThread
from heliobus.outputs.history.database import UnusableFileError
from heliobus.outputs.history.retention import Limits
from heliobus.outputs.history.writer import Writer
from heliobus.outputs.sampler import Sample, Sampler
from heliobus.outputs.status import OutputStatus
from heliobus.site import Site

log = logging.getLogger("heliobus.history")

MEGABYTE = 1_000_000
MOST_WAITING = 5_000
"""Samples that are kept in memory while the file cannot be written; then the oldest go."""
FAREWELL = 20.0
"""Seconds that the last commit may take."""


class Recording:
    """One run of the output."""

    def __init__(
        self,
        config: HistoryConfig,
        path: Path,
        clock: Clock,
        local: Callable[[], LocalTime],
        status: OutputStatus,
    ) -> None:
        self._config = config
        self._path = path
        self._clock = clock
        self._local = local
        self._status = status
        limits = Limits(config.raw_days, config.minute_days, config.quarter_days, config.limit_mb * MEGABYTE)
        self._writer = Writer(path, limits)
        self._thread = DaemonThread("history")
        self._waiting: deque[Sample] = deque()
        self._failing = False

    async def run(self, site: Site) -> None:
        """Record until cancelled. Returns, with one line in the log, when the file cannot be a history."""
        collecting = asyncio.create_task(self._collect(site))
        try:
            # Also without a sample: what an earlier run has left is sealed, and a bad file is told of early.
            while not collecting.done():
                await self._commit()
                await asyncio.wait({collecting}, timeout=self._config.commit)
            collecting.result()
        except UnusableFileError as error:
            self._waiting.clear()
            self._status.last_error = str(error)
            log.error("%s", error)
        finally:
            collecting.cancel()
            await self._end(collecting)

    async def _collect(self, site: Site) -> None:
        async for samples in Sampler(site, self._config.every).samples():
            self._waiting += samples
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self._status.dropped += 1
            self._account()

    async def _commit(self) -> None:
        """Write what waits. An error is logged once, and what waits goes on waiting. Raises UnusableFileError."""
        samples, now, local = list(self._waiting), self._clock.time(), self._local()
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._writer.write, samples, now, local)
            self._written(samples, now)
            await loop.run_in_executor(self._thread, self._writer.tend, now, local)
        except (sqlite3.Error, OSError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            self._status.errors += 1
            self._status.last_error = f"{self._path}: {why}"
            if not self._failing:
                log.error("history %s cannot be written: %s; trying again", self._path, why)
            self._failing = True
            return
        if self._failing:
            self._status.last_error = ""
            log.info("history %s is written again", self._path)
        self._failing = False

    def _written(self, samples: list[Sample], now: float) -> None:
        """Take these away; meanwhile more may have come, or the oldest gone."""
        done = set(map(id, samples))
        while self._waiting and id(self._waiting[0]) in done:
            self._waiting.popleft()
        self._status.sent += len(samples)
        if samples:
            self._status.last_success = now
        self._account()

    def _account(self) -> None:
        self._status.waiting = len(self._waiting)
        self._status.oldest = self._waiting[0].time / 1000 if self._waiting else None

    async def _end(self, collecting: asyncio.Task[None]) -> None:
        # What a commit that was cut off has written already is known by its time, and counts once.
        samples, now, local = list(self._waiting), self._clock.time(), self._local()

        def finish() -> None:
            try:
                if samples:
                    self._writer.write(samples, now, local)
            finally:
                self._writer.close()

        loop = asyncio.get_running_loop()
        written = asyncio.wrap_future(self._thread.submit(finish))
        self._thread.shutdown(wait=False)
        unfinished: set[asyncio.Future[None]] = {collecting, written}
        deadline = loop.time() + FAREWELL
        while unfinished and loop.time() < deadline:
            # Who ends the daemon may cancel more than once; the last minute is written all the same.
            with suppress(asyncio.CancelledError):
                _, unfinished = await asyncio.wait(unfinished, timeout=deadline - loop.time())
        if written in unfinished:
            written.add_done_callback(lambda late: late.cancelled() or late.exception())
            log.error("history %s: %d samples may be lost: the disk hangs", self._path, len(samples))
            return
        try:
            written.result()
            self._written(samples, now)
        except (sqlite3.Error, OSError, UnusableFileError) as error:
            log.error("history %s: %d samples are lost: %s", self._path, len(samples), error)
