"""Everything around the daemon: a private D-Bus with localsettings and a consumer, chargers, and `heliobus run`."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figure import Plan
from heliobus.cli.private_bus import private_bus
from side_process import Side, running, script

HELIOBUS = Path(sys.executable).with_name("heliobus")
START_TIME = 60.0
SETTLING = 2.0
LOOK_PERIOD = 0.05

Seen = dict[str, Any]

DEVICE = """
[[device]]
name = "charger-{number}"
driver = "morningstar-tristar-mppt"
link = "tcp://127.0.0.1:{port}"
poll = "1s"
"""
CONTROL = """
control = "on"
system_voltage = 24
chemistry = "flooded"
"""
CONFIG = """
[site]
state = "{folder}/state"
timezone = "Europe/Oslo"

[output.venus]
bus = "{address}"
settings_charger = false
"""


@dataclass(frozen=True, slots=True)
class Bench:
    """The processes of one measurement. `started_at` is when `heliobus run` was started (monotonic time)."""

    daemon: Side
    chargers: Side
    consumer: Side
    log: Path
    started_at: float

    async def served(self, count: int) -> None:
        """Wait until `count` services have sent a signal, and a little longer."""
        await self._seen(lambda seen: seen["services"] >= count)
        await asyncio.sleep(SETTLING)

    async def measured(self) -> Seen:
        """Wait until the first charger shows a battery voltage; what the consumer saw."""
        return await self._seen(lambda seen: seen["measured_at"] is not None)

    async def _seen(self, enough: Callable[[Seen], bool]) -> Seen:
        async with asyncio.timeout(START_TIME):
            while True:
                seen: Seen = await self.consumer.ask("count")
                if enough(seen):
                    return seen
                await asyncio.sleep(LOOK_PERIOD)


@asynccontextmanager
async def gx(
    plan: Plan,
    count: int,
    *,
    keep_open: bool = True,
    pure: bool = False,
    profile_imports: bool = False,
    control: bool = False,
) -> AsyncIterator[Bench]:
    """`heliobus run` with `count` chargers polled at 1 Hz, everything else in other processes."""

    def tables(ports: list[int]) -> str:
        more = CONTROL if control else ""
        return "".join(DEVICE.format(number=number, port=port) + more for number, port in enumerate(ports))

    server = script("charger_server.py", count, "keep-open" if keep_open else "close")
    async with around(plan, server, tables, pure=pure, profile_imports=profile_imports) as bench:
        yield bench


@asynccontextmanager
async def around(
    plan: Plan,
    server: tuple[str, ...],
    tables: Callable[[Any], str],
    *,
    pure: bool = False,
    profile_imports: bool = False,
) -> AsyncIterator[Bench]:
    """`heliobus run` with the devices of the process `server`; `tables` makes their config of its first line."""
    async with private_bus() as address:
        if address is None:
            raise SystemExit("there is no dbus-daemon on this machine: install the package dbus")
        folder = Path(tempfile.mkdtemp(dir=plan.folder))
        consumer = running(*script("bus_consumer.py", address))
        async with running(*server) as chargers_side, consumer as consumer_side:
            devices = tables(await chargers_side.next_line())
            await consumer_side.next_line()
            config = folder / "heliobus.toml"
            config.write_text(CONFIG.format(folder=folder, address=address) + devices, encoding="utf-8")
            environment = {"PYTHONPATH": str(plan.pure)} if pure else {}
            if profile_imports:
                environment["PYTHONPROFILEIMPORTTIME"] = "1"
            log = folder / "log"
            started_at = time.monotonic()
            async with running(HELIOBUS, "run", "-c", config, environment=environment, log=log) as daemon:
                yield Bench(daemon, chargers_side, consumer_side, log, started_at)
