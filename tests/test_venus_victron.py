"""The service against Victron's own localsettings and system calculator, where a tester has checkouts of them.

HELIOBUS_VICTRON names a folder with checkouts of velib_python, localsettings and dbus-systemcalc-py. They run with the
system's Python, which needs python3-dbus, python3-gi, python3-lxml and python3-psutil (Debian's package names).
"""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dbus_fast import Variant

from venus_bus import Client, Daemon, running_daemon
from venus_site import INSTANCE_SETTING, NAME_SETTING, QUICK, SERVICE, charger, offline, serving, site_with

FOLDER = os.environ.get("HELIOBUS_VICTRON", "")
SYSTEM = "com.victronenergy.system"
SETTINGS = "com.victronenergy.settings"
PYTHON = "/usr/bin/python3"

pytestmark = pytest.mark.skipif(
    not FOLDER, reason="HELIOBUS_VICTRON names no folder with Victron's velib_python, localsettings, dbus-systemcalc-py"
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


@contextmanager
def program(daemon: Daemon, folder: Path, script: str, *options: str) -> Iterator[None]:
    """One of Victron's programs at work; its output goes to a file beside the bus."""
    environment = {
        **os.environ,
        "DBUS_SESSION_BUS_ADDRESS": daemon.address,
        "VRM_IFACE": "lo",
        "PYTHONPATH": str(Path(FOLDER) / "velib_python"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with (folder / f"{script}.log").open("wb") as log:
        process = subprocess.Popen(
            [PYTHON, script, *options],
            cwd=Path(FOLDER) / {"localsettings.py": "localsettings"}.get(script, "dbus-systemcalc-py"),
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
        assert process.poll() is None, (folder / f"{script}.log").read_text()
    finally:
        process.terminate()
        process.wait(10)


async def until_value(client: Client, service: str, path: str, expected: object) -> None:
    async with asyncio.timeout(30):
        while True:
            client.heed()
            if await client.value(service, path) == expected:
                return
            await client.next_signal()


async def test_the_system_calculator_counts_the_charger(daemon: Daemon, tmp_path: Path) -> None:
    device = charger()
    site = site_with(device)
    with program(daemon, tmp_path, "localsettings.py", f"--path={tmp_path}", "--no-delay"):
        async with Client(daemon.address) as client:
            await client.listen()
            await client.until_served(SETTINGS)
            async with serving(site, daemon.address, timing=QUICK):
                await client.until_served(SERVICE)
                assert await client.value(SETTINGS, INSTANCE_SETTING) == "solarcharger:278"
                assert await client.value(SERVICE, "/DeviceInstance") == 278
                assert await client.set(SERVICE, "/CustomName", Variant("s", "Südseite")) == 0
                await until_value(client, SETTINGS, NAME_SETTING, "Südseite")
                with program(daemon, tmp_path, "dbus_systemcalc.py"):
                    await client.until_served(SYSTEM)
                    # Battery side: 27.53 V times 10.21 A, not the array's 290 W.
                    await until_value(client, SYSTEM, "/Dc/Pv/Power", pytest.approx(27.53 * 10.21))
                    assert await client.value(SYSTEM, "/Dvcc/Alarms/FirmwareInsufficient") in (0, None)
                    site.put(offline(device))
                    await until_value(client, SYSTEM, "/Dc/Pv/Power", None)
