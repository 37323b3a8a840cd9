"""What a GX lacks, the daemon must do without (venus.md §8.2)."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import tzdata
from dbus_fast import Variant

from daemon import heliobus_run
from heliobus.outputs.socket import NAME
from heliobus.sim.server import TcpServer
from test_run import CHARGER, bus, client, is_number, server, until, write_config
from venus_bus import Client
from venus_bus import Daemon as BusDaemon

__all__ = ["bus", "client", "server"]

GX = (sys.executable, str(Path(__file__).parent / "gx_python.py"))
ZONES = {"TZDIR": str(Path(tzdata.__file__).parent / "zoneinfo")}
IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}
CONTROL = """
        control = "on"
        system_voltage = 24
        chemistry = "flooded"
        [device.equalize]
        allowed = true
        [device.eeprom]
        interval = "0s"
        [profile.winter]
        float_voltage = 27.6
        when = { season = "winter" }
        [profile.rest]
        float_voltage = 27.0
"""
HIGHEST_MEMORY = 32.0
"""MiB, of the whole process."""


def with_zone(config: Path) -> Path:
    config.write_text(config.read_text().replace("[site]", '[site]\ntimezone = "Europe/Oslo"'))
    return config


def resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


async def asked(state: Path, op: str, point: str = "", value: Any = None) -> Any:
    """The last line of the socket's answer."""
    reader, writer = await asyncio.open_unix_connection(state / NAME)
    try:
        line = json.dumps({"id": 1, "op": op, "device": "tristar", "point": point, "value": value})
        writer.write(line.encode() + b"\n")
        async with asyncio.timeout(60):
            while not (answer := json.loads(await reader.readline())).get("final"):
                pass
        return answer
    finally:
        writer.close()
        await writer.wait_closed()


async def test_the_daemon_runs_on_the_python_of_a_gx(
    tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer
) -> None:
    config = with_zone(write_config(tmp_path, server.port))
    async with heliobus_run(config, bus.address, command=GX, env=ZONES) as daemon:
        await until(client, "/Dc/0/Voltage", is_number)
        assert await client.value(CHARGER, "/Serial") == "10170296"
        assert await daemon.stop() == 0
    assert not daemon.matching("ERROR|on a GX"), daemon.lines


@pytest.mark.slow
async def test_control_on_a_gx(tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer) -> None:
    """Switches, limits, DVCC and a change of stored settings, by socket and by D-Bus."""
    charger = server.station.devices[1]
    config, state = with_zone(write_config(tmp_path, server.port, CONTROL)), tmp_path / "state"
    async with heliobus_run(config, bus.address, command=GX, env=ZONES | IMPORTS) as daemon:
        await until(client, "/Control/ChargerDisconnect", lambda value: value == 0)
        (described,) = (await asked(state, "devices"))["devices"]
        assert {"charger_enabled", "apply_profile"} <= {each["point"] for each in described["controls"]}
        assert await asked(state, "command", "charger_enabled", 0) == {
            "id": 1,
            "outcome": "done",
            "value": 0,
            "final": True,
        }
        assert charger.charger.requests.disconnect
        await until(client, "/Control/ChargerDisconnect", lambda value: value == 1)
        assert await client.set(CHARGER, "/Mode", Variant("i", 1)) == 0
        await until(client, "/Control/ChargerDisconnect", lambda value: value == 0)
        assert not charger.charger.requests.disconnect
        assert await client.set(CHARGER, "/Link/NetworkMode", Variant("i", 5)) == 0
        assert await client.set(CHARGER, "/Link/ChargeCurrent", Variant("d", 20.0)) == 0
        await until(client, "/State", lambda value: value == 252)
        assert (await asked(state, "plan", "apply_profile", "rest"))["changes"][0]["place"] == "register 0xE001"
        assert (await asked(state, "command", "apply_profile", "rest"))["outcome"] == "done"
        assert await until(client, "/Control/ChargeProfile/LastApplied", lambda value: value == "rest")
        memory = resident(daemon.pid)
        assert await daemon.stop() == 0
    for module in ("rich.console", "_ssl", "_sqlite3", "tomllib._parser", "heliobus.sim"):
        assert not imported(daemon.lines, module), module
    assert imported(daemon.lines, "heliobus.control.charger")
    assert memory <= HIGHEST_MEMORY
    assert not daemon.matching("ERROR|on a GX"), daemon.matching("ERROR|WARNING|on a GX")


def imported(lines: list[str], module: str) -> bool:
    """Whether Python's profile of imports names `module`; it also names what was looked for in vain."""
    names = [line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")]
    assert "asyncio" in names
    return module in names


async def test_control_costs_nothing_where_it_is_off(
    tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer
) -> None:
    config = write_config(tmp_path, server.port)
    async with heliobus_run(config, bus.address, command=GX, env=ZONES | IMPORTS) as daemon:
        await until(client, "/Dc/0/Voltage", is_number)
        assert (await asked(tmp_path / "state", "command", "charger_enabled", 0))["outcome"] == "refused"
        assert await daemon.stop() == 0
    for module in ("heliobus.control.charger", "heliobus.control.transaction", "heliobus.control.slave_mode"):
        assert not imported(daemon.lines, module), module
    assert not [pdu for _, pdu in server.requests if pdu[0] not in (1, 3, 4, 0x2B)]


async def test_the_daemon_carries_nothing_it_does_not_use(
    tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer
) -> None:
    async with heliobus_run(write_config(tmp_path, server.port), bus.address) as daemon:
        await until(client, "/Dc/0/Voltage", is_number)
        maps = Path(f"/proc/{daemon.pid}/maps").read_text()
    for library in ("libssl", "libcrypto", "_sqlite3"):
        assert library not in maps, library


async def test_the_poor_python_is_poor(tmp_path: Path) -> None:
    """The test above could not fail if the missing modules were there all the same."""
    script = tmp_path / "probe.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import gx_python\nsys.meta_path.insert(0, gx_python.PoorFinder())\n"
        "for name in ('tomllib', 'rich', 'hypothesis'):\n"
        "    try:\n        __import__(name)\n    except ModuleNotFoundError:\n        continue\n"
        "    sys.exit(name)\n"
    )
    async with heliobus_run(None, None, command=(sys.executable, str(script))) as probe:
        assert await probe.ended() == 0, probe.lines
