"""Keeps a file with the newest values of each device: at every change, at most once a second, never an old value."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

from heliobus.model.clock import Clock
from heliobus.model.device import Device
from heliobus.model.localtime import LocalTime
from heliobus.model.reading import Reading
from heliobus.outputs.files import snapshot
from heliobus.outputs.files.trouble import Trouble
from heliobus.outputs.status import OutputStatus
from heliobus.site import Site, silent

PAUSE = 1.0
RETRY = 10.0
"""Seconds until what could not be written is tried again though nothing has changed."""
FAREWELL = 2.0
"""Seconds that the end may take to say that nothing is measured any more."""


class Snapshots:
    """The snapshots of one site in `folder`."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        local: Callable[[], LocalTime],
        status: OutputStatus,
        thread: Executor,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._local = local
        self._thread = thread
        self._trouble = Trouble(f"snapshots in {folder}", status)
        self._made: dict[str, tuple[Device, Reading, Mapping[str, bytes]]] = {}
        self._written: dict[str, bytes] = {}
        self._clean = False

    async def run(self, site: Site) -> None:
        """Write until cancelled, and at the end that nothing is measured."""
        mailbox = site.subscribe()
        try:
            while True:
                await self._write(self._wanted(site))
                await asyncio.sleep(PAUSE)
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if self._clean else RETRY):
                        await mailbox.get()
        finally:
            site.unsubscribe(mailbox)
            await self._end(site)

    def _wanted(self, site: Site, *, ended: bool = False) -> Mapping[str, bytes]:
        files = snapshot.names(site.devices)
        found: dict[str, bytes] = {}
        for device in site.devices:
            reading = site.reading(device.name)
            if reading is None or ended:
                reading = silent(device, time=0.0 if reading is None else reading.time)
            found.update(self._contents(device, reading, files[device.name]))
        return found

    def _contents(self, device: Device, reading: Reading, files: tuple[str, ...]) -> Mapping[str, bytes]:
        made = self._made.get(device.name)
        if made is not None and made[0] is device and made[1] is reading and tuple(made[2]) == files:
            return made[2]
        contents = snapshot.contents(device, reading, self._local(), files)
        self._made[device.name] = (device, reading, contents)
        return contents

    async def _write(self, wanted: Mapping[str, bytes]) -> None:
        """Bring the folder to what is wanted; what fails is said and stays to be done."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._bring, wanted)
        except OSError as error:
            self._clean = False
            self._trouble.failed(error)
        else:
            self._clean = True
            self._trouble.worked(self._clock.time())

    def _bring(self, wanted: Mapping[str, bytes]) -> None:
        """Blocks. Raises OSError."""
        if not self._written:
            # Killed, we could not take away what now is old, also that of devices that are no more.
            for path in snapshot.left_over(self._folder):
                if path.name not in wanted:
                    path.unlink()
        for name in self._written.keys() - wanted.keys():
            (self._folder / name).unlink(missing_ok=True)
            del self._written[name]
        for name, content in wanted.items():
            if self._written.get(name) != content:
                snapshot.replace(self._folder / name, content)
                self._written[name] = content

    async def _end(self, site: Site) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                await self._write(self._wanted(site, ended=True))
