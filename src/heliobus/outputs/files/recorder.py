"""Writes rows: one per device in the rhythm of the config, flushed each time."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from datetime import date
from pathlib import Path

from heliobus.config.outputs import FilesConfig
from heliobus.model.clock import Clock
from heliobus.model.localtime import LocalTime
from heliobus.outputs.files import daily
from heliobus.outputs.files.trouble import Trouble
from heliobus.outputs.sampler import Sample, Sampler
from heliobus.outputs.status import OutputStatus
from heliobus.site import Site

log = logging.getLogger("heliobus.files")


class Recorder:
    """The rows of one site below `folder`."""

    def __init__(
        self,
        config: FilesConfig,
        folder: Path,
        clock: Clock,
        local: Callable[[], LocalTime],
        status: OutputStatus,
        thread: Executor,
    ) -> None:
        self._config = config
        self._folder = folder
        self._clock = clock
        self._local = local
        self._status = status
        self._thread = thread
        self._trouble = Trouble(f"files in {folder}", status)
        self._swept: date | None = None

    async def run(self, site: Site) -> None:
        """Record until cancelled."""
        async for samples in Sampler(site, self._config.every).samples():
            await self._record(samples, daily.file_names(site.devices))
            await self._sweep()

    async def _record(self, samples: list[Sample], names: Mapping[str, str]) -> None:
        # A row of 1970 says nothing true; its values are in the snapshots all the same.
        timed = [sample for sample in samples if sample.timed]
        self._status.dropped += len(samples) - len(timed)
        lines = daily.lines(self._folder, self._config.formats, names, self._local(), timed)
        loop = asyncio.get_running_loop()
        written, failure = await loop.run_in_executor(self._thread, daily.record, lines, log.warning)
        self._status.sent += written
        self._status.dropped += len(lines) - written
        if failure is None:
            self._trouble.worked(self._clock.time())
        else:
            self._trouble.failed(failure)

    async def _sweep(self) -> None:
        """Once a day, and at the start, delete what is too old."""
        today = self._local()(self._clock.time()).date()
        if self._config.keep_days == 0 or today == self._swept:
            return
        self._swept = today
        loop = asyncio.get_running_loop()
        try:
            gone = await loop.run_in_executor(self._thread, daily.sweep, self._folder, today, self._config.keep_days)
        except OSError as error:
            self._trouble.failed(error)
            return
        if gone:
            log.info("%d files older than %d days were deleted", len(gone), self._config.keep_days)
