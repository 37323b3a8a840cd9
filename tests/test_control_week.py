"""A week with every feature of control on, in virtual time: what was written, where, and how often."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control_site import DEVICE
from heliobus import config
from heliobus.app import Installation
from heliobus.app import installation as module
from heliobus.devices import poll
from heliobus.model.command import Command, Done
from heliobus.model.point import Value
from heliobus.sim.device import Origin
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.tcp import TcpFramer

pytestmark = pytest.mark.slow

MIDNIGHT = 1_780_272_000.0
"""2026-06-01 00:00 UTC."""
DAY, HOUR = 86400.0, 3600.0
DYNAMIC = {0x58, 0x59}
SETTINGS = {*range(0xE000, 0xE019), 0xE01D} - {0xE00C, 0xE013, 0xE014}
COILS = {0x00, 0x02, 0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x19, 0xFF, 0x10FF}


class Witness(SimTriStar):
    """Remembers every write and when it came; the faults it ever had."""

    def __init__(self) -> None:
        super().__init__(day_of_year=152, hour=0.0, latitude=47.0, soc=0.5, cloudiness=0.4)
        self.registers: list[tuple[float, int, int]] = []
        self.coils: list[tuple[float, int, bool]] = []
        self.ever = 0
        self.logger.eq_calendar_days = 30.0

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        self.registers.append((self.world.seconds, address, word))
        super().write_register(address, word, origin)

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        self.coils.append((self.world.seconds, address, on))
        super().write_coil(address, on, origin)

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.ever |= self.state.faults


def settings(state: Path) -> Any:
    device = {
        **DEVICE,
        "link": "tcp://192.0.2.1",
        "poll": "60s",
        "server": {"nightly_reset": 3, "reset_when_hung": False},
        "top_charge": {"voltage": 29.4, "time_limit": "1h"},
        "eeprom": {"interval": "1h", "daily": 4},
    }
    return config.parse(
        {
            "site": {"state": str(state), "timezone": "UTC"},
            "device": [device],
            "profile": {
                "late": {"float_voltage": 27.2, "when": {"from": "2026-06-04", "to": "2026-06-30"}},
                "hand": {"absorption_voltage": 28.6, "float_voltage": 27.0, "absorption_time": "2h"},
            },
            "output": {"venus": {"bus": "unix:path=/nonexistent"}},
        },
        "a test",
    )


async def dvcc(installation: Installation, until: float) -> None:
    """A GX that steers: limits wander with the battery."""
    loop, tick = asyncio.get_running_loop(), 0
    while loop.time() < until:
        tick += 1
        for point, value in (
            ("remote_network_mode", 13.0),
            ("remote_charge_voltage", 28.4 + tick % 7 / 10),
            ("remote_charge_current", float(5 + tick % 40)),
        ):
            await command(installation, point, value, "venus")
        await asyncio.sleep(15)


async def command(installation: Installation, point: str, value: Value, origin: str = "test") -> object:
    return await installation.site.command(Command("roof", point, value, origin))


async def live(installation: Installation) -> None:
    """What an owner may do in a week."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(8 * HOUR)
    assert isinstance(await command(installation, "charge_current_limit", 25.0), Done)
    await asyncio.sleep(6 * HOUR)
    assert isinstance(await command(installation, "charge_current_limit", 0.0), Done)
    assert isinstance(await command(installation, "apply_profile", "hand"), Done)
    await asyncio.sleep(loop.time() // DAY * DAY + DAY + 9 * HOUR - loop.time())
    assert isinstance(await command(installation, "equalize_requested", 1), Done)
    await asyncio.sleep(5 * HOUR)
    await command(installation, "equalize_requested", 0)
    await asyncio.sleep(loop.time() // DAY * DAY + DAY + 6 * HOUR - loop.time())
    await dvcc(installation, loop.time() + 30 * HOUR)
    await asyncio.sleep(loop.time() // DAY * DAY + DAY + 7 * HOUR - loop.time())
    assert isinstance(await command(installation, "top_charge", 1), Done)
    for button in (
        "clear_alarms",
        "clear_faults",
        "clear_charge_counter",
        "clear_energy_counter",
        "clear_voltage_extremes",
        "clear_service_reminder",
        "save_counters",
    ):
        assert isinstance(await command(installation, button, 1), Done), button
    assert isinstance(await command(installation, "charger_enabled", 0), Done)
    await asyncio.sleep(HOUR)
    assert isinstance(await command(installation, "charger_enabled", 1), Done)
    assert isinstance(await command(installation, "reset_controller", 1), Done)
    assert isinstance(await command(installation, "charge_voltage_limit", 28.2), Done)
    await asyncio.sleep(7 * DAY - loop.time())


def test_a_week_writes_only_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    charger = Witness()
    monkeypatch.setattr(poll, "WATCH_PERIOD", 60.0)

    async def run() -> None:
        link = MemoryLink({1: charger}, latency=0.01)
        clock = VirtualClock(MIDNIGHT)
        monkeypatch.setattr(module, "make_bus", lambda address, **_: Bus(link, TcpFramer(), wall_clock=clock))
        installation = Installation(replace(settings(tmp_path), venus=None), clock=clock)
        work = asyncio.create_task(installation.run())
        try:
            await asyncio.sleep(60)
            await live(installation)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    run_virtual(run())
    addresses = Counter(address for _, address, _ in charger.registers)
    assert set(addresses) <= DYNAMIC | SETTINGS
    assert addresses[0x58] > 1000, "limits were renewed"
    # The profile by hand has three settings, the scheduled one changes one of them.
    assert {address: count for address, count in addresses.items() if address >= 0xE000} == {
        0xE000: 1,
        0xE001: 2,
        0xE002: 1,
    }
    assert charger.eeprom_writes == 4
    assert {address for _, address, _ in charger.coils} <= COILS
    pressed = Counter(address for _, address, on in charger.coils if on)
    assert pressed[0x10FF] == 7, "once a night"
    assert pressed[0xFF] == charger.resets == 3
    assert not charger.ever & ~(1 << 6), "no fault but that of the edited settings"
    assert not charger.charger.requests.slave.active
    assert not charger.charger.requests.disconnect
    recorded = [json.loads(line) for line in (tmp_path / "control" / "commands.log").read_text().splitlines()]
    assert {"test", "schedule"} <= {record["origin"] for record in recorded}
