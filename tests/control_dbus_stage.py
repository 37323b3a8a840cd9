"""`heliobus run` as a process with a charger under control, and what writes to it as a GX does."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbus_fast import MessageType, Variant

from daemon import Daemon, heliobus_run
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tristar import Behaviour, SimTriStar
from venus_bus import Client

CHARGER = "com.victronenergy.solarcharger.tristar_0"
SWITCHES = "com.victronenergy.switch.tristar_0"
PATIENCE = 30.0
LONG_POLL = "60s"
"""Longer than anybody here waits: what is shown sooner was read because of the command."""
CONTROL = """
control = "on"
system_voltage = 24
chemistry = "flooded"
[device.equalize]
allowed = true
[device.top_charge]
voltage = 29.6
[device.server]
nightly_reset = -1
reset_when_hung = false
[profile.rest]
absorption_voltage = 28.0
float_voltage = 27.0
[output.venus]
"""
READ_ONLY = "[output.venus]\n"
QUICK = {"sources.REMOTE_TIMEOUT": 2.0, "slave_mode.GRACE": 1.0}
"""Times of `heliobus.control`, shorter than real ones."""


def quick(times: Mapping[str, float] = QUICK) -> tuple[str, ...]:
    """The command `heliobus` whose control has other `times`."""
    modules = sorted({name.partition(".")[0] for name in times})
    lines = [f"from heliobus.control import {', '.join(modules)}"]
    lines += [f"assert {name}; {name} = {seconds}" for name, seconds in times.items()]
    return (sys.executable, "-c", "; ".join(lines) + "; from heliobus.cli.main import main; main()")


def controlled(folder: Path, port: int, poll: str = "0.5s", more: str = CONTROL) -> Path:
    """A config with one charger."""
    path = folder / "heliobus.toml"
    path.write_text(
        f'[site]\nstate = "{folder / "state"}"\n[[device]]\nname = "roof"\ndriver = "morningstar-tristar-mppt"\n'
        f'link = "tcp://127.0.0.1:{port}"\npoll = "{poll}"\n{more}'
    )
    return path


def make_charger(**behaviour: Any) -> SimTriStar:
    """At noon, with a battery that takes what it gets, a month after its last equalize."""
    charger = SimTriStar(
        hour=12.0, cloudiness=0.0, day_of_year=152, soc=0.5, behaviour=Behaviour(boot_seconds=0.3, **behaviour)
    )
    since_equalize(charger, 30)
    # It looks round for a while after its start before it charges.
    charger.advance(60)
    return charger


def since_equalize(charger: SimTriStar, days: int) -> None:
    """Let the last equalize be so long ago."""
    charger.logger.eq_calendar_days = float(days)
    charger.logger.store()


@dataclass(frozen=True)
class Stage:
    """All that is there."""

    charger: SimTriStar
    server: TcpServer
    daemon: Daemon
    client: Client
    bus: str

    def writes(self) -> list[tuple[int, int, int]]:
        """Function, address and word of every write the charger was sent."""
        return writes(self.server)

    async def set(self, path: str, value: Variant, service: str = CHARGER) -> int:
        return await self.client.set(service, path, value)

    async def shows(self, path: str, wanted: Any, service: str = CHARGER) -> Any:
        """Wait until the path holds `wanted`, or a value that it accepts."""
        return await shows(self.client, path, wanted, service)


@asynccontextmanager
async def at_work(
    folder: Path, bus: str, charger: SimTriStar | None = None, *, poll: str = "0.5s", more: str = CONTROL
) -> AsyncIterator[Stage]:
    """A daemon whose charger can be commanded."""
    sim = charger or make_charger()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serve_tcp({1: sim}))
        daemon = await stack.enter_async_context(
            heliobus_run(controlled(folder, server.port, poll, more), bus, command=quick())
        )
        client = await stack.enter_async_context(connected(bus))
        await client.listen()
        await shows(client, "/Mode", 1)
        if more is not READ_ONLY:
            await shows(client, "/SwitchableOutput/charger/State", 1, SWITCHES)
        yield Stage(sim, server, daemon, client, bus)


def writes(server: TcpServer) -> list[tuple[int, int, int]]:
    """Function, address and word of every write."""
    return [
        (pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))
        for _, pdu in server.requests
        if pdu[0] in (5, 6, 15, 16)
    ]


async def shows(client: Client, path: str, wanted: Any, service: str = CHARGER) -> Any:
    """Wait until the path holds `wanted`, or a value that it accepts."""
    accepts = wanted if callable(wanted) else lambda value: value == wanted
    value: Any = "no such service"
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                client.forget()
                reply = await client.call(service, path, "GetValue")
                # A service goes and comes back when what it offers changes.
                if reply.message_type is MessageType.METHOD_RETURN:
                    value = reply.body[0].value
                    if accepts(value):
                        return value
                await client.news()
    except TimeoutError:
        raise AssertionError(f"{path} is {value!r}") from None


async def happens(what: Callable[[], object]) -> None:
    """Wait for something about the simulated charger, which tells nobody."""
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Client]:
    """Somebody on the bus, who may lose it with the daemon of the bus."""
    client = Client(address)
    await client.__aenter__()
    try:
        yield client
    finally:
        with suppress(EOFError, OSError):
            await client.__aexit__()


@asynccontextmanager
async def dvcc(address: str, volts: float = 27.0, amps: float = 20.0, pause: float = 0.3) -> AsyncIterator[Client]:
    """Somebody who writes to `/Link` as systemcalc does, though more often than every 3 s; skips what is not there."""
    async with connected(address) as client:
        writer = asyncio.create_task(_write_link(client, volts, amps, pause))
        try:
            yield client
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)


async def _write_link(client: Client, volts: float, amps: float, pause: float) -> None:
    values = {
        "/Link/NetworkMode": Variant("i", 13),
        "/Link/ChargeVoltage": Variant("d", volts),
        "/Link/ChargeCurrent": Variant("d", amps),
    }
    while True:
        for path, value in values.items():
            # While the daemon restarts nobody answers; systemcalc logs that and goes on.
            await client.call(CHARGER, path, "SetValue", "v", [value])
        await asyncio.sleep(pause)
