"""What a GX lacks, the daemon must do without (venus.md §8.2)."""

import sys
from pathlib import Path

import tzdata

from daemon import heliobus_run
from heliobus.sim.server import TcpServer
from test_run import CHARGER, bus, client, is_number, server, until, write_config
from venus_bus import Client
from venus_bus import Daemon as BusDaemon

__all__ = ["bus", "client", "server"]

GX = (sys.executable, str(Path(__file__).parent / "gx_python.py"))


async def test_the_daemon_runs_on_the_python_of_a_gx(
    tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer
) -> None:
    config = write_config(tmp_path, server.port)
    text = config.read_text().replace("[site]", '[site]\ntimezone = "Europe/Oslo"')
    config.write_text(text)
    zones = {"TZDIR": str(Path(tzdata.__file__).parent / "zoneinfo")}
    async with heliobus_run(config, bus.address, command=GX, env=zones) as daemon:
        await until(client, "/Dc/0/Voltage", is_number)
        assert await client.value(CHARGER, "/Serial") == "10170296"
        assert await daemon.stop() == 0
    assert not daemon.matching("ERROR|on a GX"), daemon.lines


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
