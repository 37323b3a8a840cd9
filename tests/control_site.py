"""A whole installation with control over real sockets: configs in TOML terms, simulated chargers, commands."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from heliobus import config
from heliobus.app import Installation
from heliobus.model.command import Command, Outcome
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.sim.server import TcpServer

DRIVER = "morningstar-tristar-mppt"
PATIENCE = 40.0
DEVICE: Mapping[str, Any] = {
    "name": "roof",
    "driver": DRIVER,
    "poll": "500ms",
    "control": "on",
    "system_voltage": 24,
    "chemistry": "flooded",
    "equalize": {"allowed": True},
    "server": {"nightly_reset": -1},
    "eeprom": {"interval": "0s", "daily": 24},
}


def document(state: Path, server: TcpServer, *, profiles: Mapping[str, Any] | None = None, **changes: Any) -> Any:
    """A config as TOML gives it, with one charger under control."""
    device = {**DEVICE, "link": f"tcp://127.0.0.1:{server.port}", **changes}
    return {
        "site": {"state": str(state), "timezone": "UTC"},
        "device": [device],
        "profile": dict(profiles or {}),
        "output": {"venus": {"bus": "unix:path=/nonexistent"}},
    }


def writes(server: TcpServer) -> list[tuple[int, int, int]]:
    """Function, address and word of every write the charger was sent."""
    return [
        (pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))
        for _, pdu in server.requests
        if pdu[0] in (5, 6, 15, 16)
    ]


class Cabin:
    """A running installation with one charger."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.site = installation.site

    async def command(self, point: str, value: Value) -> Outcome:
        async with asyncio.timeout(PATIENCE):
            return await self.site.command(Command("roof", point, value, "test"))

    async def until(self, what: Callable[[Reading], bool]) -> Reading:
        """Wait for a reading of the charger that fits."""
        mailbox = self.site.subscribe()
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    reading = self.site.reading("roof")
                    if reading is not None and what(reading):
                        return reading
                    await mailbox.get()
        finally:
            self.site.unsubscribe(mailbox)

    async def ready(self) -> None:
        """Wait until the charger takes commands."""
        await self.until(lambda reading: reading.values.get("network_writes") is not None)


@asynccontextmanager
async def cabin(settings: Any) -> AsyncIterator[Cabin]:
    """The installation at work, without a D-Bus."""
    parsed = config.parse(settings, "a test")
    installation = Installation(replace(parsed, venus=None))
    work = asyncio.create_task(installation.run())
    try:
        one = Cabin(installation)
        await one.ready()
        yield one
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
