"""A week of a charger and a meter of one RS-485 line with all of control on, in virtual time: every write there was."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heliobus import config
from heliobus.app import Installation
from heliobus.app import installation as module
from heliobus.control.device import DeviceControl
from heliobus.devices import poll
from heliobus.model.command import Command, Done
from heliobus.model.point import Value
from heliobus.sim.faults import Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.pzem import SimPzemAc
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.rtu import RtuFramer

pytestmark = pytest.mark.slow

MIDNIGHT = 1_780_272_000.0
"""2026-06-01 00:00 UTC."""
DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0
TRACER, METER = 1, 2
READS = {1, 2, 3, 4, 0x2B}
SPANS = {(0x9000, 15), (0x9002, 1), (0x9003, 12)} | {
    (address, 1) for address in (0x9016, 0x9067, 0x903D, 0x906A, 0x906B, 0x906C, 0x90BF)
}
CLOCK = (0x9013, 3)


def settings(state: Path) -> Any:
    link = "serial:/dev/ttyLINE"
    charger = {
        "name": "roof",
        "driver": "epever-tracer",
        "link": link,
        "unit": TRACER,
        "poll": "900s",
        "control": "on",
        "system_voltage": 12,
        "chemistry": "flooded",
        "clock": "auto",
        "eeprom": {"interval": "1h", "daily": 4},
    }
    meter = {"name": "house", "driver": "pzem-ac", "link": link, "unit": METER, "poll": "900s", "control": "on"}
    return config.parse(
        {
            "site": {"state": str(state), "timezone": "UTC"},
            "device": [charger, meter],
            "profile": {
                "late": {
                    "float_voltage": 13.6,
                    "devices": ["roof"],
                    "when": {"from": "2026-06-04", "to": "2026-06-30"},
                },
                "hand": {
                    "devices": ["roof"],
                    "absorption_voltage": 14.3,
                    "float_voltage": 13.5,
                    "absorption_time": "150m",
                },
            },
            "output": {"venus": {"bus": "unix:path=/nonexistent"}},
        },
        "a test",
    )


class Owner:
    """What an owner, and a wrong program, may want in a week."""

    def __init__(self, installation: Installation) -> None:
        self._site = installation.site

    async def does(self, device: str, point: str, value: Value) -> object:
        return await self._site.command(Command(device, point, value, "test"))

    async def live(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(8 * HOUR)
        assert isinstance(await self.does("roof", "load_enabled", 0), Done)
        assert isinstance(await self.does("roof", "load_enabled", 0), Done)
        assert isinstance(await self.does("roof", "load_enabled", 1), Done)
        assert isinstance(await self.does("roof", "apply_profile", "hand"), Done)
        assert isinstance(await self.does("house", "set_alarm_power", 1500), Done)
        assert isinstance(await self.does("house", "reset_energy", 1), Done)
        # Two at once: they go one after the other, and the second one comes too early for the memory.
        both = await asyncio.gather(
            self.does("roof", "set_float_voltage", 13.7), self.does("roof", "set_float_voltage", 13.75)
        )
        assert not any(isinstance(each, Done) for each in both)
        await self.nonsense()
        await asyncio.sleep(DAY + 8 * HOUR - loop.time())
        both = await asyncio.gather(
            self.does("roof", "set_lvd_voltage", 11.2), self.does("roof", "set_lvd_voltage", 11.3)
        )
        assert [isinstance(each, Done) for each in both].count(True) == 1
        # A program that wants another float voltage every ten minutes of a day.
        for step in range(144):
            await asyncio.sleep(10 * MINUTE)
            await self.does("roof", "set_float_voltage", 13.5 + step % 3 / 10)
        await asyncio.sleep(3 * DAY - 3 * MINUTE - loop.time())
        for _ in range(6):
            await self.does("roof", "set_clock", 1)
            await asyncio.sleep(MINUTE)
        await asyncio.sleep(7 * DAY - loop.time())

    async def nonsense(self) -> None:
        """Nothing of this may reach the line."""
        block = {"set_hvd_voltage": 16.0, "set_voltage_limit": 15.0, "set_hvd_reconnect_voltage": 15.0}
        for wanted in (
            {"set_float_voltage": 27.6},
            {"set_absorption_voltage": 17.0, "set_voltage_limit": 17.0},
            {"set_float_voltage": 14.5},
            {"set_system_voltage": 2},
            {"set_system_voltage": 0},
            {"set_battery_type": 6},
            {"set_battery_type": 1, **block},
            {"set_temperature_compensation": -0.2},
            {"lithium_protection": 0},
            {"set_backlight_time": 30},
            {"set_controller_temperature_max": 10.0},
            {"set_float_voltage": float("nan")},
        ):
            outcome = await self.does("roof", "apply_settings", json.dumps(wanted))
            assert not isinstance(outcome, Done), wanted
        for device, point, value in (
            ("roof", "load_default", 1),
            ("roof", "load_forced", 1),
            ("roof", "set_line_impedance", 1),
            ("roof", "reset_energy", 1),
            ("house", "modbus_address", 9),
            ("house", "current_range", 2),
            ("house", "set_alarm_power", 99999),
            ("house", "set_clock", 1),
        ):
            assert not isinstance(await self.does(device, point, value), Done), point


def charger() -> SimTracer:
    simulated = SimTracer(TRACER, system=12, year=2026, day_of_year=152, hour=0.0, clock_drift=100.0)
    simulated.settings.words[0x9000] = 0
    return simulated


def test_a_week_writes_only_what_it_must(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roof, house = charger(), SimPzemAc(METER, energy_wh=5000.0)
    monkeypatch.setattr(poll, "WATCH_PERIOD", 900.0)
    defaults = DeviceControl.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "synchronised", lambda: True)
    roof.refresh_seconds = 300.0
    times: list[tuple[float, int, bytes]] = []

    async def run() -> None:
        link = MemoryLink({TRACER: roof, METER: house}, Framing.RTU, latency=0.01)
        clock = VirtualClock(MIDNIGHT)
        write = link.write

        def overheard(frame: bytes) -> None:
            if frame[1] not in READS:
                times.append((clock.time() - MIDNIGHT, frame[0], frame[1:-2]))
            write(frame)

        monkeypatch.setattr(link, "write", overheard)
        monkeypatch.setattr(module, "make_bus", lambda address, **_: Bus(link, RtuFramer(), wall_clock=clock))
        installation = Installation(replace(settings(tmp_path), venus=None), clock=clock)
        work = asyncio.create_task(installation.run())
        try:
            await asyncio.sleep(120)
            await Owner(installation).live()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    run_virtual(run())
    meter = [pdu.hex() for _, unit, pdu in times if unit == METER]
    assert meter == ["06000105dc", "42"]
    written = [(time, pdu) for time, unit, pdu in times if unit == TRACER]
    assert {pdu[0] for _, pdu in written} == {5, 16}, "never function 6, 0x41, 0x43 or 0x45"
    assert [pdu.hex() for _, pdu in written if pdu[0] == 5] == ["0500020000", "050002ff00"]
    spans = [
        (time, (int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")), pdu)
        for time, pdu in written
        if pdu[0] == 16
    ]
    assert {span for _, span, _ in spans} <= SPANS | {CLOCK}
    clocks = [time % DAY for time, span, _ in spans if span == CLOCK]
    assert 5 <= len(clocks) <= 8, "once a day, and twice by hand"
    assert not [time for time in clocks if time >= DAY - 5 * MINUTE or time < 5 * MINUTE]
    stored = [(time, span, pdu) for time, span, pdu in spans if span != CLOCK]
    days = Counter(int(time // DAY) for time, span, _ in stored if span[1] == 12)
    assert days[0] == 1 and days[1] <= 4 and max(days.values()) <= 4, days
    assert len(stored) <= 16, [(time, span) for time, span, _ in stored]
    for _, span, pdu in stored:
        if span == (0x9003, 12):
            words = [int.from_bytes(pdu[at : at + 2], "big") for at in range(6, 30, 2)]
            assert all(900 <= word <= 1700 for word in words)
            ovd, limit, ovr, eq, boost, floating, brc, lvr, uvr, uvw, lvd, dlv = words
            assert ovd > limit >= eq >= boost >= floating > brc > lvr > lvd >= dlv and ovd > ovr and uvr > uvw >= dlv
    assert roof.factory_resets == 0 and house.calibrations == 0
    records = [json.loads(line) for line in (tmp_path / "control" / "commands.log").read_text().splitlines()]
    assert {"test", "schedule", "clock"} <= {record["origin"] for record in records}
