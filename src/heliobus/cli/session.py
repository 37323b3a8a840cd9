"""Talks to one device for a command: a bus, a poller, and the readings as they come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from heliobus.app import bus_cost
from heliobus.cli.problem import Problem
from heliobus.config import DeviceConfig
from heliobus.devices import catalog
from heliobus.devices.driver import Recognised
from heliobus.devices.poll import Poller
from heliobus.inventory import device_key, seat_of
from heliobus.ledger.ledger import Ledger
from heliobus.model.clock import SystemClock
from heliobus.model.device import Device
from heliobus.model.localtime import local_time
from heliobus.model.reading import Health, Reading
from heliobus.wire.address import make_bus
from heliobus.wire.trace import Trace


@dataclass(frozen=True, slots=True)
class Said:
    """A device and what it said."""

    device: Device
    reading: Reading


class Session:
    """The readings of one device. It is its own listener; what went wrong ends the command."""

    def __init__(self, config: DeviceConfig, trace: Trace) -> None:
        self.trace = trace
        self._config = config
        self._device: Device | None = None
        self._ledger = Ledger(None, local_time(None), SystemClock())
        self._news: asyncio.Queue[Said | Problem] = asyncio.Queue()

    async def next(self) -> Said:
        """The next reading. Raises Problem when there is no such device, or it is something else."""
        news = await self._news.get()
        if isinstance(news, Problem):
            raise news
        return news

    def recognised(self, recognised: Recognised) -> None:
        """It said who it is."""
        config, driver, identity = self._config, recognised.driver, recognised.identity
        key = device_key(driver.short, identity.serial, seat_of(config.link, config.unit))
        self._device = Device(
            config.name,
            config.label,
            driver.name,
            driver.short,
            config.role or driver.role,
            config.link.describe(config.unit),
            identity,
            driver.points(),
            key,
            0,
        )

    def read(self, reading: Reading) -> None:
        """There is a reading."""
        if self._device is not None and reading.health is not Health.OFFLINE:
            self._news.put_nowait(Said(self._device, self._ledger.apply(reading, self._device.key)))

    def silent(self, why: str) -> None:
        """It does not answer."""
        self._news.put_nowait(Problem(f"{self._config.name}: no answer: {why}"))

    def stranger(self, why: str) -> None:
        """Something else answers."""
        self._news.put_nowait(Problem(f"{self._config.name}: {why}"))


@asynccontextmanager
async def session(config: DeviceConfig, period: float | None = None) -> AsyncIterator[Session]:
    """Poll the device of `config` while the block runs."""
    trace = Trace()
    one = Session(config, trace)
    bus = make_bus(config.link, trace=trace)
    driver = catalog.driver(config.driver)
    poller = Poller(
        bus, config.unit, driver, bus_cost(config.link, driver), one, name=config.name, period=period or config.poll
    )
    tasks = [asyncio.create_task(bus.run()), asyncio.create_task(poller.run())]
    try:
        yield one
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
