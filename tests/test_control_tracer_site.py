"""Devices of an RS-485 line under control in a whole installation: config, site, record, and control turned off."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_stage import tracer
from heliobus import config
from heliobus.app import Installation
from heliobus.config import ConfigError
from heliobus.control.audit import read
from heliobus.control.journal import Entry, Journal, Record, Step, pending
from heliobus.model.command import Command, ControlKind, Done, Outcome, Refused
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.sim.device import SimDevice
from heliobus.sim.pzem import SimPzemAc
from heliobus.sim.server import TcpServer, serve_tcp

PATIENCE = 60.0
CHARGER: Mapping[str, Any] = {
    "name": "cabin",
    "driver": "epever-tracer",
    "poll": "500ms",
    "control": "on",
    "system_voltage": 12,
    "chemistry": "flooded",
    "clock": "manual",
}


def document(state: Path, port: int, device: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "site": {"state": str(state), "timezone": "UTC"},
        "device": [{**device, "link": f"tcp://127.0.0.1:{port}"}],
        "output": {"venus": {"bus": "unix:path=/nonexistent"}},
        **more,
    }


class Cabin:
    """A running installation with one device."""

    def __init__(self, installation: Installation) -> None:
        self.site = installation.site

    async def command(self, point: str, value: Value) -> Outcome:
        async with asyncio.timeout(PATIENCE):
            return await self.site.command(Command("cabin", point, value, "test"))

    async def until(self, what: Callable[[Reading], bool]) -> Reading:
        mailbox = self.site.subscribe()
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    reading = self.site.reading("cabin")
                    if reading is not None and what(reading):
                        return reading
                    await mailbox.get()
        finally:
            self.site.unsubscribe(mailbox)


@asynccontextmanager
async def cabin(
    state: Path, simulated: SimDevice, device: Mapping[str, Any], **more: Any
) -> AsyncIterator[tuple[Cabin, TcpServer]]:
    async with serve_tcp({1: simulated}) as server:
        parsed = config.parse(document(state, server.port, device, **more), "a test")
        installation = Installation(replace(parsed, venus=None))
        work = asyncio.create_task(installation.run())
        try:
            one = Cabin(installation)
            await one.until(lambda reading: reading.health == "ok")
            yield one, server
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def writes(server: TcpServer) -> list[bytes]:
    return [pdu for _, pdu in server.requests if pdu[0] in (5, 6, 15, 16, 0x42)]


async def test_a_charger_in_a_site(tmp_path: Path) -> None:
    simulated = tracer(generated=0.0)
    profiles = {"rest": {"float_voltage": 13.5}, "elsewhere": {"led_green_voltage": 13.0}}
    async with cabin(tmp_path, simulated, CHARGER, profile=profiles) as (one, server):
        device = one.site.device("cabin")
        assert device is not None
        assert device.controls["load_enabled"].kind is ControlKind.SWITCH
        assert "charge_current_limit" not in device.controls
        assert "control_source" not in device.points
        assert await one.command("load_enabled", 0) == Done(0)
        assert await one.command("apply_profile", "rest") == Done("rest")
        # A profile for all devices is not for one that has no such setting.
        assert isinstance(await one.command("apply_profile", "elsewhere"), Refused)
        reading = await one.until(lambda each: each.values["set_float_voltage"] == 13.5)
        assert reading.values["profile_applied"] == "rest"
        assert isinstance(reading.values["clock_drift"], int)
        assert [pdu[0] for pdu in writes(server)] == [5, 16]
    records = [(each.point, each.result) for each in read(tmp_path / "control")]
    assert records == [("load_enabled", "done"), ("apply_profile", "done"), ("apply_profile", "refused")]


async def test_a_charger_without_control(tmp_path: Path) -> None:
    device = {name: value for name, value in CHARGER.items() if name != "control"}
    async with cabin(tmp_path, tracer(), device) as (one, server):
        assert isinstance(await one.command("load_enabled", 0), Refused)
        reading = await one.until(lambda each: each.values["device_clock"] is not None)
        assert isinstance(reading.values["clock_drift"], int)
        assert "command_result" not in reading.values
        assert writes(server) == []


async def test_what_was_interrupted_is_settled_though_control_is_off(tmp_path: Path) -> None:
    simulated = tracer()
    device = {name: value for name, value in CHARGER.items() if name != "control"}
    async with cabin(tmp_path, simulated, CHARGER) as (one, _):
        known = one.site.device("cabin")
        assert known is not None
    entries = tuple(
        Entry(name, address, simulated.settings.words[address], new)
        for name, address, new in (("set_float_voltage", 0x9008, 1350), ("set_absorption_time", 0x906C, 60))
    )
    await Journal(tmp_path / "control", known.key).save(Record(known.key, "winter", "test", 1.0, entries, Step.WRITING))
    simulated.settings.words[0x906C] = 60
    async with cabin(tmp_path, simulated, device) as (_, server), asyncio.timeout(PATIENCE):
        while pending(tmp_path / "control", known.key):
            await asyncio.sleep(0.05)
        assert [pdu.hex() for pdu in writes(server)] == ["10906c0001020078"]
    assert simulated.settings.words[0x906C] == 120


async def test_a_meter_in_a_site(tmp_path: Path) -> None:
    meter = SimPzemAc(energy_wh=5000.0)
    device = {"name": "cabin", "driver": "pzem-ac", "poll": "500ms", "control": "on"}
    async with cabin(tmp_path, meter, device) as (one, server):
        before = await one.until(lambda each: each.values["energy_forward"] is not None)
        assert await one.command("reset_energy", 1) == Done(1)
        after = await one.until(lambda each: each.values["energy_forward_counter"] == 0)
        # What the counter loses the ledger keeps.
        assert after.values["energy_forward"] >= before.values["energy_forward"]  # type: ignore[operator]
        assert writes(server) == [b"\x42"]


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ({"driver": "epever-tracer", "control": "on", "equalize": {"allowed": True}}, "equalize means nothing"),
        ({"driver": "epever-tracer", "control": "on", "server": {}}, "server means nothing"),
        ({"driver": "epever-tracer", "clock": "never"}, 'allowed: "auto" or "manual"'),
        ({"driver": "epever-tracer", "system_voltage": 60}, "12 or 24 or 36 or 48"),
        ({"driver": "pzem-ac", "chemistry": "agm"}, "chemistry means nothing"),
        ({"driver": "pzem-ac", "clock": "auto"}, "clock means nothing"),
        ({"driver": "morningstar-tristar-mppt", "clock": "auto"}, "clock means nothing"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, device: Mapping[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config.parse(document(tmp_path, 502, device), "a test")


def test_the_options_of_a_charger(tmp_path: Path) -> None:
    parsed = config.parse(document(tmp_path, 502, {**CHARGER, "system_voltage": 36}), "a test")
    assert parsed.devices[0].options.system_voltage == 36
    assert not parsed.devices[0].options.auto_clock
    parsed = config.parse(document(tmp_path, 502, {"driver": "epever-tracer", "control": "on"}), "a test")
    assert parsed.devices[0].options.auto_clock
