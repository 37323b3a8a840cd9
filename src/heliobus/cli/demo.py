"""`heliobus demo`: a simulated cabin, chargers on Ethernet and an RS-485 line, with a D-Bus and a broker of its own."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliobus.app import Installation, StartError
from heliobus.cli import logs
from heliobus.cli.private_broker import free_port, private_broker
from heliobus.cli.private_bus import private_bus
from heliobus.cli.problem import Problem
from heliobus.config import load
from heliobus.model.clock import FastClock, SystemClock
from heliobus.outputs.output import FatalOutputError
from heliobus.sim.localsettings import LocalSettings
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.pzem import SimPzemAc, SimPzemDc
from heliobus.sim.serial_faults import SerialFaults
from heliobus.sim.serial_units import SerialUnits
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tracer import SimTracer
from heliobus.sim.tristar import Behaviour, SimTriStar
from heliobus.sim.tristar_slave import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from rich.console import Group

START_HOUR = 8
REFRESH, PLAIN_REFRESH = 0.25, 5.0
CONFIG = """
[site]
name = "cabin"
state = "{state}"

[[device]]
name = "roof"
driver = "morningstar-tristar-mppt"
link = "tcp://127.0.0.1:{port}"
poll = "500ms"
control = "on"
system_voltage = 24
chemistry = "flooded"
[device.equalize]
allowed = true
[device.top_charge]
voltage = 29.6

[[device]]
name = "barn"
driver = "morningstar-tristar-mppt"
link = "tcp://127.0.0.1:{port}"
unit = 2
poll = "500ms"

[[device]]
name = "shed"
driver = "epever-tracer"
link = "serial:{tty}"
unit = 1
poll = "1s"

[[device]]
name = "heater"
driver = "pzem-ac"
link = "serial:{tty}"
unit = 10
poll = "1s"
role = "acload"

[[device]]
name = "fridge"
driver = "pzem-dc"
link = "serial:{tty}"
unit = 30
poll = "1s"
role = "dcload"
kind = "fridge"

[profile.rest]
absorption_voltage = 28.0
float_voltage = 27.0

[output.venus]
bus = "{bus}"

[output.history]
every = "1s"
commit = "1s"

[output.web]
listen = "127.0.0.1:{web}"
"""
MQTT = """
[output.mqtt]
broker = "mqtt://127.0.0.1:{broker}"
"""
SERVICE = "com.victronenergy.solarcharger.tristar_0"


@dataclass(frozen=True, slots=True)
class _Cabin:
    """The demo at work: where it can be looked at."""

    installation: Installation
    server: TcpServer
    bus: str | None
    clock: FastClock
    speed: float
    config: Path
    web: int
    broker: int | None


@click.command(name="demo")
@click.option(
    "--speed", type=click.FloatRange(1, 300), default=60.0, show_default=True, help="Simulated time per time."
)
@click.option("--seconds", type=click.FloatRange(1), help="Stop after this time; else run until Ctrl-C.")
@click.option("--plain", is_flag=True, help="Print tables below each other instead of a live screen.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(speed: float, seconds: float | None, plain: bool, verbose: bool) -> None:
    """A living cabin without hardware, under a day that runs fast: solar chargers and meters, all of them simulated.

    Two TriStar MPPT speak Modbus TCP on a free port of this machine; a Tracer and two PZEM meters share a serial line.
    Heliobus polls them like real ones and serves them as Venus OS devices on a D-Bus of its own.
    """
    logs.start(verbose, quiet=True)
    try:
        from heliobus.cli import screen  # noqa: F401, PLC0415  brings rich
    except ImportError:
        raise Problem("the demo's screen needs rich: pip install 'heliobus[terminal]'") from None
    try:
        asyncio.run(_demo(speed, seconds, plain or not sys.stdout.isatty()))
    except (StartError, FatalOutputError) as error:
        raise Problem(str(error)) from None


async def _demo(speed: float, seconds: float | None, plain: bool) -> None:
    async with _cabin(speed) as cabin:
        work = asyncio.ensure_future(cabin.installation.run())
        show = asyncio.ensure_future(_show(cabin, plain))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, show.cancel)
        try:
            await asyncio.wait([work, show], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            show.cancel()
            work.cancel()
            results = await asyncio.gather(work, show, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result


@asynccontextmanager
async def _cabin(speed: float) -> AsyncIterator[_Cabin]:
    morning = datetime.now().astimezone().replace(hour=START_HOUR, minute=0, second=0, microsecond=0)
    day = morning.timetuple().tm_yday
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="heliobus-"))
        bus = await stack.enter_async_context(private_bus())
        broker = await stack.enter_async_context(private_broker())
        if bus is not None:
            settings = LocalSettings(bus)
            await settings.start()
            stack.push_async_callback(settings.stop)
        # Control keeps real time, so what the chargers time must be longer where theirs runs faster.
        behaviour = Behaviour(
            boot_seconds=speed, server_restart_seconds=5 * speed, slave_timeout=TIMEOUT_SECONDS * speed
        )
        here = partial(SimTriStar, day_of_year=day, hour=START_HOUR, latitude=25.0, behaviour=behaviour)
        roof = here(serial="10170296", system=24, soc=0.5)
        barn = here(serial="12330481", model=45, system=24, soc=0.85, seed=7)
        roof.logger.eq_calendar_days = 30.0
        roof.logger.store()
        server = await stack.enter_async_context(serve_tcp({1: roof, 2: barn}, speed=speed, bridge_seconds=0.05))
        shed = SimTracer(
            1,
            model="Tracer4210AN",
            family="AN",
            system=24,
            year=morning.year,
            day_of_year=day,
            hour=START_HOUR,
            latitude=25.0,
        )
        heater = SimPzemAc(10, watts=180.0, energy_wh=4321.0, wobble=0.05)
        fridge = SimPzemDc(30, volts=26.1, amps=2.4, energy_wh=987.0)
        units = SerialUnits([shed, heater, fridge])
        line = await stack.enter_async_context(
            serve_pty(units, faults=SerialFaults(units), speed=speed, speeds=units.speeds)
        )
        clock = FastClock(speed, morning.timestamp(), SystemClock())
        path = Path(folder) / "heliobus.toml"
        # Without a daemon nothing is served, but the file must name an output.
        web = free_port()
        text = CONFIG.format(state=folder, port=server.port, tty=line.path, bus=bus or "none", web=web)
        path.write_text(text if broker is None else text + MQTT.format(broker=broker))
        config = load(path) if bus else replace(load(path), venus=None)
        yield _Cabin(Installation(config, clock=clock), server, bus, clock, speed, path, web, broker)


def _notes(cabin: _Cabin) -> list[str]:
    now = datetime.fromtimestamp(cabin.clock.time()).astimezone()
    lines = [f"Simulated time {now:%Y-%m-%d %H:%M}, {cabin.speed:g} times as fast as yours. Ctrl-C ends the demo."]
    if cabin.bus is None:
        lines.append("No dbus-daemon is installed, so nothing is served: apt-get install dbus")
    else:
        lines += [
            f"D-Bus: {cabin.bus}",
            "Look:  " + look_command(cabin.bus),
        ]
    if cabin.broker is None:
        lines.append("No mosquitto is installed, so nothing goes over MQTT: apt-get install mosquitto")
    else:
        lines.append(f"MQTT:  mosquitto_sub -p {cabin.broker} -t 'heliobus/#' -v   (of the package mosquitto-clients)")
    lines.append(f"Page:  http://127.0.0.1:{cabin.web}/metrics   (for Prometheus)")
    lines.append(f"Past:  {sys.argv[0]} history -c {cabin.config} roof pv_power --every 1m")
    lines.append(f"Read:  {sys.argv[0]} read -c {cabin.config} roof --json   (or barn)")
    lines.append(
        f"Steer: {sys.argv[0]} set -c {cabin.config} roof charge_current_limit 10   (set roof lists what else)"
    )
    return lines


def look_command(bus: str) -> str:
    """A command of Debian's dbus package that shows the whole tree of the first charger."""
    return f"dbus-send --bus={bus} --print-reply --dest={SERVICE} / com.victronenergy.BusItem.GetValue"


async def _show(cabin: _Cabin, plain: bool) -> None:
    from rich.live import Live  # noqa: PLC0415  the rest of the command line does without it

    from heliobus.cli.screen import make_console, site_picture  # noqa: PLC0415  brings rich

    site = cabin.installation.site

    def picture() -> "Group":
        pairs = [(device, site.reading(device.name)) for device in site.devices]
        return site_picture([(device, reading) for device, reading in pairs if reading is not None], _notes(cabin))

    console = make_console()
    if plain:
        while True:
            await asyncio.sleep(PLAIN_REFRESH)
            console.print(picture(), soft_wrap=True)
    with Live(console=console, auto_refresh=False, screen=False) as live:
        while True:
            live.update(picture(), refresh=True)
            await asyncio.sleep(REFRESH)
