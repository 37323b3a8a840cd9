"""A simulated device of an RS-485 line under control, without the daemon, in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from heliobus.control.audit import Audit, Record, read
from heliobus.control.controls import controls_of
from heliobus.control.device import DeviceControl
from heliobus.control.plant import Plant
from heliobus.control.store import Store
from heliobus.devices import catalog
from heliobus.devices.driver import Driver, Recognised
from heliobus.devices.plan import rtu_cost
from heliobus.devices.poll import Poller
from heliobus.devices.terminal import Terminal
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.command import Change, Command, Failed, Outcome, Refused
from heliobus.model.control_options import NORTH, ControlOptions, EepromOptions, Profile
from heliobus.model.localtime import local_time
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Faults, Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import VirtualClock
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.rtu import RtuFramer

WATCHED = frozenset({"load_enabled"})
NOON = 1_777_636_800.0
"""2026-05-01 12:00 UTC."""
FREE = EepromOptions(interval=0.0, daily=1000)
OPTIONS = ControlOptions(on=True, system_voltage=12, chemistry=CHEMISTRIES["flooded"], eeprom=FREE, auto_clock=False)


def tracer(**changes: Any) -> SimTracer:
    """A Tracer BN at noon of that day, of the battery type that takes settings."""
    simulated = SimTracer(**{"system": 12, "year": 2026, "day_of_year": 121, "hour": 12.0, **changes})
    simulated.settings.words[0x9000] = 0
    return simulated


class Stage:
    """One device on a memory link, polled and commanded."""

    def __init__(
        self,
        device: SimDevice,
        driver: str | Driver = "epever-tracer",
        folder: Path | None = None,
        options: ControlOptions = OPTIONS,
        *,
        profiles: Mapping[str, Profile] | None = None,
        faults: Faults | None = None,
        start: float = NOON,
        period: float = 5.0,
        synchronised: bool | None = True,
    ) -> None:
        self.device = device
        self.driver = catalog.driver(driver) if isinstance(driver, str) else driver
        self.key = f"{self.driver.short}_1"
        self.folder = folder
        self.options = options
        self.profiles = profiles or {}
        self.synchronised = synchronised
        self.link = MemoryLink({1: device}, Framing.RTU, latency=0.01, faults=faults)
        self.start = start
        self.period = period
        self.clock: VirtualClock
        self.latest: Reading | None = None
        self.saved = 0
        self.plant: Plant
        self.control: DeviceControl | None = None
        self._news: asyncio.Event

    def writes(self) -> list[bytes]:
        """The PDU of every write so far."""
        return [pdu for _, pdu in self.link.requests if pdu[0] in (5, 6, 15, 16, 0x42)]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[DeviceControl]:
        """Bus, poller and control at work; the first reading has come."""
        async with self.polled():
            control = self.control = DeviceControl(
                self.plant,
                controls_of(self.driver, self.options, self.profiles, network=False),
                profiles=self.profiles,
                seasons=NORTH,
                audit=Audit(self.folder),
                save_counters=self._save,
                synchronised=lambda: self.synchronised,
            )
            task = asyncio.create_task(control.run(_keep))
            try:
                yield control
                await control.close()
            finally:
                self.control = None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def polled(self) -> AsyncIterator[None]:
        """Bus and poller at work, and a plant; the first reading has come."""
        self.clock = VirtualClock(self.start)
        self._news = asyncio.Event()
        bus = Bus(self.link, RtuFramer(), wall_clock=self.clock)
        cost = rtu_cost(self.driver.baud, 0.03)
        poller = Poller(
            bus,
            1,
            self.driver,
            cost,
            self,
            name="cabin",
            period=self.period,
            clock=self.clock,
            watched=WATCHED if self.period < 60 else frozenset(),
        )
        store = Store(self.folder, self.key)
        note = store.load()
        assert note is None, note
        self.plant = Plant(
            name="cabin",
            key=self.key,
            terminal=Terminal(bus, 1, self.driver, cost),
            options=self.options,
            store=store,
            clock=self.clock,
            local=lambda: local_time("UTC"),
            reading=lambda: self.latest,
            refresh=poller.refresh,
            changed=lambda: None,
            host=None,
            busy=asyncio.Lock(),
        )
        tasks = [asyncio.create_task(bus.run()), asyncio.create_task(poller.run())]
        try:
            await self.until(lambda reading: True)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def set(self, point: str, value: Value, origin: str = "test") -> Outcome:
        """One command."""
        assert self.control is not None
        return await self.control.command(Command("cabin", point, value, origin))

    async def plan(self, point: str, value: Value) -> tuple[Change, ...] | Refused | Failed:
        """What it would write."""
        assert self.control is not None
        return await self.control.plan(Command("cabin", point, value, "test"))

    async def until(self, what: Callable[[Reading], bool], seconds: float = 3600.0) -> Reading:
        """Wait for a reading that fits."""
        async with asyncio.timeout(seconds):
            while self.latest is None or not what(self.latest):
                self._news.clear()
                await self._news.wait()
        return self.latest

    def allow(self, **options: Any) -> None:
        """Change the options before it runs."""
        self.options = replace(self.options, **options)

    def records(self) -> list[Record]:
        """The record of commands."""
        assert self.folder is not None
        return list(read(self.folder))

    def recognised(self, recognised: Recognised) -> None:
        """The poller's call."""

    def read(self, reading: Reading) -> None:
        self.latest = reading
        if self.control is not None:
            self.control.observe(reading)
        self._news.set()

    def silent(self, why: str) -> None:
        """The poller's call."""

    def stranger(self, why: str) -> None:
        raise AssertionError(why)

    async def _save(self) -> None:
        self.saved += 1


async def _keep(name: str, work: Callable[[], Any]) -> None:
    await work()
