"""A simulated TriStar under control, without the daemon: bus, terminal, poller and plant in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from heliobus.control.plant import Plant
from heliobus.control.store import Store
from heliobus.devices import catalog
from heliobus.devices.driver import Recognised
from heliobus.devices.plan import TCP_COST
from heliobus.devices.poll import Poller
from heliobus.devices.terminal import Terminal
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions
from heliobus.model.localtime import local_time
from heliobus.model.reading import Reading
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import VirtualClock
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.tcp import TcpFramer

DRIVER = catalog.driver("morningstar-tristar-mppt")
WATCHED = frozenset({"equalize_requested", "charge_disconnect"})
OPTIONS = ControlOptions(on=True, system_voltage=24, chemistry=CHEMISTRIES["flooded"])
NOON = 1_780_315_200.0
"""2026-06-01 12:00 UTC."""


class Rig:
    """A charger on a memory link, its poller, and the plant. `charger.world` is at noon of a clear day by default."""

    def __init__(
        self,
        folder: Path | None = None,
        options: ControlOptions = OPTIONS,
        charger: SimTriStar | None = None,
        period: float = 5.0,
        start: float = NOON,
    ) -> None:
        self.charger = charger or SimTriStar(hour=12.0, cloudiness=0.0, day_of_year=152, soc=0.5)
        self.link = MemoryLink({1: self.charger}, latency=0.01)
        self.clock = VirtualClock(start)
        self.store = Store(folder, "tristar_10170296")
        self.options = options
        self.period = period
        self.latest: Reading | None = None
        self.changes = 0
        self.on_read: Callable[[Reading], None] | None = None
        self.plant: Plant
        self.poller: Poller
        self._news = asyncio.Event()

    @property
    def requests(self) -> list[tuple[int, bytes]]:
        return self.link.requests

    def writes(self) -> list[tuple[int, int, int]]:
        """Function, address and word of every write so far."""
        return [
            (pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))
            for _, pdu in self.requests
            if pdu[0] in (5, 6, 15, 16)
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Plant]:
        """The bus and the poller at work; the first reading has come."""
        bus = Bus(self.link, TcpFramer(), wall_clock=self.clock)
        self.poller = Poller(
            bus, 1, DRIVER, TCP_COST, self, name="roof", period=self.period, clock=self.clock, watched=WATCHED
        )
        note = self.store.load()
        assert note is None, note
        self.plant = Plant(
            name="roof",
            key="tristar_10170296",
            terminal=Terminal(bus, 1, DRIVER, TCP_COST),
            options=self.options,
            store=self.store,
            clock=self.clock,
            local=lambda: local_time("UTC"),
            reading=lambda: self.latest,
            refresh=self.poller.refresh,
            changed=self._changed,
            host="127.0.0.1",
            busy=asyncio.Lock(),
        )
        tasks = [asyncio.create_task(bus.run()), asyncio.create_task(self.poller.run())]
        try:
            await self.until(lambda reading: True)
            yield self.plant
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def allow(self, **options: object) -> None:
        """Change the options of the running plant."""
        self.plant.options = self.options = replace(self.options, **options)  # type: ignore[arg-type]

    async def until(self, what: Callable[[Reading], bool], seconds: float = 3600.0) -> Reading:
        """Wait for a reading that fits."""
        async with asyncio.timeout(seconds):
            while self.latest is None or not what(self.latest):
                self._news.clear()
                await self._news.wait()
        return self.latest

    def recognised(self, recognised: Recognised) -> None:
        """The poller's call."""

    def read(self, reading: Reading) -> None:
        self.latest = reading
        if self.on_read is not None:
            self.on_read(reading)
        self._news.set()

    def silent(self, why: str) -> None:
        """The poller's call."""

    def stranger(self, why: str) -> None:
        raise AssertionError(why)

    def _changed(self) -> None:
        self.changes += 1
        self._news.set()
