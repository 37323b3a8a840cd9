"""An RS-485 line on the Python of a GX: served, searched, and set up there (venus.md §8.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon import PATIENCE, heliobus, heliobus_run
from heliobus.sim.pty_server import PtyServer, serve_pty
from heliobus.sim.pzem import SimPzemAc
from heliobus.sim.serial_units import SerialUnits
from heliobus.sim.tracer import SimTracer
from test_gx import GX, HIGHEST_MEMORY, IMPORTS, ZONES, imported, resident, with_zone
from test_run import bus, client, is_number, until
from venus_bus import Client
from venus_bus import Daemon as BusDaemon

__all__ = ["bus", "client"]

SHOWN = {"solarcharger": "/Dc/0/Voltage", "pvinverter": "/Ac/L1/Power", "acload": "/Ac/L1/Power"}
UNUSED = (
    "rich.console",
    "_ssl",
    "_sqlite3",
    "tomllib._parser",
    "heliobus.sim",
    "heliobus.scan",
    "heliobus.control.charger",
    "heliobus.control.device",
    "heliobus.control.clock_care",
    "heliobus.control.block_change",
    "heliobus.devices.morningstar",
    "heliobus.devices.pzem.meter",
    "heliobus.devices.pzem.commissioning",
    "heliobus.wire.holder",
)
BROUGHT = {
    *("aiohttp", "aiohappyeyeballs", "aiosignal", "attr", "attrs", "frozenlist", "idna", "multidict", "propcache"),
    *("yarl", "aiomqtt", "paho", "prometheus_client", "typing_extensions"),
}
"""Packages of heliobus[mqtt], [influx] and [web]."""
ELSEWHERE = ("heliobus.__main__", "heliobus.cli.screen", "heliobus.outputs.history", "heliobus.cli.history")


@pytest.fixture
async def line() -> AsyncIterator[PtyServer]:
    units = SerialUnits([SimTracer(1), SimPzemAc(10, watts=500.0), SimPzemAc(20)])
    async with serve_pty(units, speeds=units.speeds) as server:
        yield server


def write_config(folder: Path, tty: str) -> Path:
    path = folder / "heliobus.toml"
    path.write_text(
        f"""
        [site]
        state = "{folder / "state"}"
        [[device]]
        driver = "epever-tracer"
        link = "serial:{tty}"
        unit = 1
        [[device]]
        name = "inverter"
        driver = "pzem-ac"
        link = "serial:{tty}"
        unit = 10
        role = "pvinverter"
        position = "ac-input-1"
        [[device]]
        name = "house"
        driver = "pzem-ac"
        link = "serial:{tty}"
        unit = 20
        role = "acload"
        """
    )
    return with_zone(path)


async def service(client: Client, kind: str) -> str:
    """The name of the service of this kind; its number is that of the order in which the devices were found."""
    async with asyncio.timeout(PATIENCE):
        while True:
            client.forget()
            for name in await client.names():
                if name.startswith(f"com.victronenergy.{kind}."):
                    return name
            await client.news()


async def test_a_line_is_served_and_carries_nothing_it_does_not_use(
    tmp_path: Path, bus: BusDaemon, client: Client, line: PtyServer
) -> None:
    config = write_config(tmp_path, line.path)
    async with heliobus_run(config, bus.address, command=GX, env=ZONES | IMPORTS) as daemon:
        for kind, path in SHOWN.items():
            await until(client, path, is_number, await service(client, kind))
        # It is read last, so by then everything has been read once.
        await daemon.logged("its clock is")
        memory = resident(daemon.pid)
        assert await daemon.stop() == 0
    assert imported(daemon.lines, "heliobus.devices.pzem.points")
    for module in UNUSED:
        assert not imported(daemon.lines, module), module
    assert memory <= HIGHEST_MEMORY
    assert not daemon.matching("ERROR|on a GX"), daemon.matching("ERROR|WARNING|on a GX")
    assert {pdu[0] for _, pdu in line.requests} <= {1, 2, 3, 4, 43}


async def test_a_tty_is_served(tmp_path: Path, bus: BusDaemon, line: PtyServer) -> None:
    config = tmp_path / "heliobus.toml"
    config.write_text(f"[site]\nstate = '{tmp_path / 'state'}'\n[output.venus]\n")
    async with heliobus_run(with_zone(config), bus.address, "--tty", line.path, command=GX, env=ZONES) as daemon:
        await daemon.logged("found EPever")
        assert await daemon.stop() == 0
    assert not daemon.matching("ERROR|on a GX"), daemon.lines


async def test_a_line_is_searched(tmp_path: Path, line: PtyServer) -> None:
    place = f"serial:{line.path}?baud=9600"
    result = await heliobus("scan", place, "--units", "10,20", "--json", cwd=tmp_path, command=GX)
    assert [each["unit"] for each in json.loads(result.out)["found"]] == [10, 20], result.err
    result = await heliobus("scan", place, "--units", "10", cwd=tmp_path, command=GX)
    assert "pzem-ac" in result.out and not result.err


async def test_a_meter_is_set_up(tmp_path: Path) -> None:
    meter = SimPzemAc(1)
    units = SerialUnits([meter])
    async with serve_pty(units, speeds=units.speeds) as server:
        result = await heliobus(
            "pzem", f"serial:{server.path}", "--set-address", "10", "--yes", cwd=tmp_path, command=GX
        )
    assert result.code == 0, result.err
    assert meter.unit == 10


async def test_a_value_is_read_and_a_frame_decoded(tmp_path: Path, line: PtyServer) -> None:
    place = f"epever-tracer@serial:{line.path}?baud=115200"
    result = await heliobus("read", place, "bavolt", "--value", cwd=tmp_path, command=GX)
    assert result.code == 0 and float(result.out) > 10, result.err
    request, answer = "01 04 31 04 00 01 7E F7", "01 04 02 05 2D 7A 7D"
    result = await heliobus("decode", "epever-tracer", "--request", request, answer, command=GX)
    assert result.code == 0, result.err
    assert json.loads(result.out)["points"]["battery_voltage"]["value"] == 13.25


async def test_every_module_can_be_imported(tmp_path: Path) -> None:
    """All but the simulators, which have a pty, the screen, which has rich, and the history, which has SQLite.

    The packages of outputs that a GX need not have are brought by its owner.
    """
    script = tmp_path / "probe.py"
    script.write_text(
        f"import importlib, pkgutil, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import gx_python, heliobus\n"
        f"gx_python.ALLOWED |= {BROUGHT!r}\n"
        "for name in [name for name in sys.modules if name.partition('.')[0] in gx_python.MISSING]:\n"
        "    del sys.modules[name]\n"
        "sys.meta_path.insert(0, gx_python.PoorFinder())\n"
        "for module in pkgutil.walk_packages(heliobus.__path__, 'heliobus.'):\n"
        f"    if module.name.startswith({ELSEWHERE!r}):\n        continue\n"
        "    importlib.import_module(module.name)\n"
        "    print(module.name, file=sys.stderr)\n"
    )
    async with heliobus_run(None, None, command=(GX[0], str(script))) as probe:
        assert await probe.ended() == 0, probe.lines
    assert "heliobus.scan.survey" in probe.lines
