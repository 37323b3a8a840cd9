"""The output into files: rows by the day, and snapshots of the newest values."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from heliobus.config.outputs import FilesConfig
from heliobus.model.clock import Clock
from heliobus.model.localtime import LocalTime
from heliobus.outputs.daemon_thread import DaemonThread
from heliobus.outputs.files.recorder import Recorder
from heliobus.outputs.files.snapshots import Snapshots
from heliobus.outputs.status import Statuses
from heliobus.site import Site

log = logging.getLogger("heliobus.files")

FAREWELL = 2.0
"""Seconds that the last rows may take."""


class FilesOutput:
    """Writes what `config` wants. Disks may be slow or hang, so all that touches them runs on a thread of its own."""

    name = "files"

    def __init__(self, config: FilesConfig, clock: Clock, local: Callable[[], LocalTime], statuses: Statuses) -> None:
        self._config = config
        self._clock = clock
        self._local = local
        self._status = statuses.open(self.name)

    async def run(self, site: Site) -> None:
        """Write until cancelled."""
        config = self._config
        thread = DaemonThread("heliobus-files")
        try:
            async with asyncio.TaskGroup() as tasks:
                if config.folder is not None:
                    recorder = Recorder(config, config.folder, self._clock, self._local, self._status, thread)
                    tasks.create_task(recorder.run(site))
                if config.snapshots is not None:
                    snapshots = Snapshots(config.snapshots, self._clock, self._local, self._status, thread)
                    tasks.create_task(snapshots.run(site))
        finally:
            # What is being written becomes whole; a disk that hangs must not keep the process from its end.
            with suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await asyncio.get_running_loop().run_in_executor(thread, _nothing)
            thread.shutdown(wait=False)


def _nothing() -> None:
    """What is before it has been done."""
