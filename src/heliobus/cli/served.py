"""A device as the daemon of this machine knows it, for commands that only look: its bus has one master."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from heliobus import config
from heliobus.cli.daemon import OLD_DAEMON, START_TIME, Client, connected
from heliobus.cli.problem import Problem, RefusedByGuard
from heliobus.cli.session import Said
from heliobus.config import ConfigError, DeviceConfig, TotalConfig
from heliobus.devices import catalog
from heliobus.inventory import device_key
from heliobus.model.device import Device, Identity
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.vocabulary import CONTROL_POINTS
from heliobus.outputs.requests import Message, Request
from heliobus.totals import DRIVER, total_device

FIRST_READING = 30.0
"""Seconds that a daemon which has just started is given to hear of a device."""
PAUSE = 0.5

Found = TypeVar("Found")


class SilentError(Problem):
    """The device does not answer the daemon."""


class Served:
    """A device that the daemon polls. `commandable`: its control is on."""

    def __init__(self, client: Client, device: Device, commandable: bool) -> None:
        self._client = client
        self.device = device
        self.commandable = commandable

    async def reading(self) -> Reading:
        """What the daemon knows now. Raises Problem."""
        message = await _ask(self._client, Request("reading", self.device.name, id=1))
        if "outcome" in message:
            return Reading(self.device.name, 0.0, {}, health=Health.UNKNOWN)
        return _understood(lambda: _reading(self.device.name, message))

    async def next(self, after: float = 0.0) -> Said:
        """The first reading that is newer than `after`. Raises SilentError, Problem."""
        name, reading = self.device.name, await self.reading()
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_READING):
                while reading.health is Health.UNKNOWN or (reading.time <= after and reading.health is Health.OK):
                    await asyncio.sleep(PAUSE)
                    reading = await self.reading()
        if reading.health not in (Health.OK, Health.FAILING) or reading.time <= after:
            raise SilentError(f"{name}: does not answer the daemon; its log says why")
        return Said(self.device, reading)


@asynccontextmanager
async def served(place: DeviceConfig, path: Path | None) -> AsyncIterator[Served | None]:
    """The device of `place` while the block runs if the daemon has it; None if it may be asked from here.

    Raises Problem; RefusedByGuard where the daemon has only the bus of the device.
    """
    state, endpoints = _site(path)
    async with connected(state, START_TIME) as client:
        yield None if client is None else await _find(client, place, endpoints)


@asynccontextmanager
async def served_total(total: TotalConfig, path: Path | None) -> AsyncIterator[Served]:
    """The total while the block runs. Raises Problem: only the daemon has it."""
    state, _ = _site(path)
    async with connected(state, START_TIME) as client:
        if client is None:
            raise Problem(f"{total.name}: is added up by the daemon, and none runs here: start heliobus run")
        devices = await _devices(client)
        found = next((each for each in devices if (each.device.name, each.device.driver) == (total.name, DRIVER)), None)
        if found is None:
            raise Problem(f"{total.name}: is not known to the daemon: restart it to have it read the config")
        yield found


async def keep_off(place: DeviceConfig, path: Path | None, wish: str) -> None:
    """Raise RefusedByGuard if a daemon is the master of this bus; `wish` says what cannot be done beside it."""
    async with served(place, path) as found:
        if found is not None:
            raise RefusedByGuard(f"{place.name}: the daemon is the only master of {_bus(place)}: stop it to {wish}")


def _site(path: Path | None) -> tuple[Path, frozenset[str]]:
    """The state directory, and the buses that a daemon of this config holds."""
    try:
        settings = config.load(path)
    except ConfigError:
        # A wrong config is told where the device is looked up in it.
        return config.default_state(), frozenset()
    return settings.site.state, frozenset(each.link.endpoint for each in settings.devices)


async def _find(client: Client, place: DeviceConfig, endpoints: frozenset[str]) -> Served | None:
    devices = await _devices(client)
    address = place.link.describe(place.unit)
    found = next((each for each in devices if each.device.address == address), None)
    if found is not None:
        return found
    if any(each.device.address.rpartition(", ")[0] == address.rpartition(", ")[0] for each in devices):
        raise RefusedByGuard(
            f"{place.name}: the daemon is the only master of {_bus(place)} and does not have unit {place.unit}: "
            "add it to its config, or stop it"
        )
    if place.link.endpoint in endpoints:
        # It is introduced when it has answered for the first time.
        raise SilentError(f"{place.name}: has never answered the daemon; its log says why")
    return None


async def _devices(client: Client) -> list[Served]:
    message = await _ask(client, Request("devices", id=1))
    return _understood(lambda: [_served(client, each) for each in message["devices"]])  # type: ignore[attr-defined]


def _bus(place: DeviceConfig) -> str:
    return place.link.endpoint


async def _ask(client: Client, request: Request) -> Message:
    async def say(_: Message) -> None:
        """Nothing here takes long enough to report."""

    return await client.ask(request, say)


def _understood(make: Callable[[], Found]) -> Found:
    try:
        return make()
    except (KeyError, TypeError, ValueError, AttributeError, catalog.UnknownDriverError):
        raise Problem(OLD_DAEMON) from None


def _served(client: Client, content: Message) -> Served:
    if content["driver"] == DRIVER:
        return Served(client, total_device(str(content["name"]), str(content["address"])), False)
    driver = catalog.driver(str(content["driver"]))
    name, address = str(content["name"]), str(content["address"])
    serial, firmware, hardware = (_text(content.get(key)) for key in ("serial", "firmware", "hardware"))
    points = driver.points()
    if content["controls"]:
        points |= {point.name: point for point in CONTROL_POINTS}
    device = Device(
        name=name,
        label="",
        driver=driver.name,
        short=driver.short,
        role=driver.role,
        address=address,
        identity=Identity(str(content["vendor"]), str(content["model"]), serial, firmware, hardware),
        points=points,
        key=device_key(driver.short, serial, address),
        number=0,
    )
    return Served(client, device, bool(content["controls"]))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _reading(name: str, message: Message) -> Reading:
    values, reasons = message["values"], message["reasons"]
    if not isinstance(values, dict) or not isinstance(reasons, dict):
        raise TypeError
    return Reading(
        name,
        float(message["time"]),  # type: ignore[arg-type]
        values,
        {key: Reason(why) for key, why in reasons.items()},
        Health(str(message["health"])),
    )
