"""PZEM meters under control: the energy reset, which happens once or not at all, and the alarm thresholds."""

import json
from pathlib import Path
from typing import Any

import pytest

from device_stage import OPTIONS, Stage
from heliobus.control.controls import controls_of, points_of
from heliobus.devices import catalog
from heliobus.devices.pzem.points import CURRENT_RANGE, MODBUS_ADDRESS
from heliobus.devices.writes import Coil
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, ControlKind, Done, Failed, Refused
from heliobus.model.control_options import ControlOptions, EepromOptions
from heliobus.sim.pzem import SimPzemAc, SimPzemDc
from heliobus.sim.virtual_time import run_virtual

BARE = ControlOptions(on=True)


def ac_stage(meter: SimPzemAc, folder: Path | None = None, **changes: Any) -> Stage:
    stage = Stage(meter, "pzem-ac", folder, BARE)
    stage.allow(**changes)
    return stage


def test_what_is_offered() -> None:
    for name, thresholds in (
        ("pzem-ac", {"set_alarm_power"}),
        ("pzem-dc", {"set_high_voltage_alarm", "set_low_voltage_alarm"}),
    ):
        driver = catalog.driver(name)
        controls = controls_of(driver, OPTIONS, (), network=False)
        assert controls.keys() == {"reset_energy", "apply_profile", "apply_settings", *thresholds}
        assert controls["reset_energy"].kind is ControlKind.BUTTON
        assert {point.name for point in points_of(driver)} >= {"command_result", "eeprom_writes"}
        assert controls_of(driver, ControlOptions(), (), network=False) == {}


def test_address_shunt_and_calibration_are_no_commands() -> None:
    for name in ("pzem-ac", "pzem-dc"):
        writes = catalog.driver(name).writes
        assert writes is not None
        assert not writes.coils
        assert not writes.spans()
        assert {register.address for register in writes.registers()} <= {0, 1}
        assert {request.function for request in writes.requests} == {0x42}
        assert not {MODBUS_ADDRESS, CURRENT_RANGE} & {register.point for register in writes.registers()}


async def _undeclared() -> None:
    stage = ac_stage(SimPzemAc())
    async with stage.running():
        terminal, driver = stage.plant.terminal, stage.driver
        address = next(each for each in driver.registers if each.point is MODBUS_ADDRESS)
        with pytest.raises(ValueError, match="not declared"):
            await terminal.write_word(address, 5, once=True)
        with pytest.raises(ValueError, match="not declared"):
            await terminal.write_coil(Coil(0, v.RESET_ENERGY), True)
        assert stage.writes() == []


def test_what_is_not_declared_is_not_written() -> None:
    run_virtual(_undeclared())


async def _reset(tmp_path: Path) -> None:
    meter = SimPzemAc(energy_wh=123_456.0, watts=400.0)
    stage = ac_stage(meter, tmp_path)
    async with stage.running():
        assert await stage.plan("reset_energy", 1) == (Change("reset_energy", "request 0x42", None, 1, None, 1),)
        assert meter.resets == 0
        assert await stage.set("reset_energy", 1) == Done(1)
        assert stage.writes() == [b"\x42"]
        assert (meter.resets, stage.saved) == (1, 1)
        await stage.until(lambda reading: reading.values["energy_forward_counter"] == 0)
    assert [(each.point, each.result) for each in stage.records()] == [("reset_energy", "done")]


def test_the_energy_is_set_back_once(tmp_path: Path) -> None:
    run_virtual(_reset(tmp_path))


class Tongueless(SimPzemAc):
    """Carries out the reset if it `obeys`, and never answers it."""

    def __init__(self, *, obeys: bool, **how: Any) -> None:
        super().__init__(**how)
        self._obeys = obeys

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        if pdu[:1] != b"\x42":
            return super().answer(pdu, bridged, serial)
        if self._obeys:
            super().answer(pdu, bridged, serial)
        return None


async def _command(stage: Stage, point: str, value: float) -> object:
    async with stage.running():
        return await stage.set(point, value)


def test_a_lost_answer_is_told_and_not_sent_again() -> None:
    meter = Tongueless(obeys=False, energy_wh=5000.0)
    stage = ac_stage(meter)
    outcome = run_virtual(_command(stage, "reset_energy", 1))
    assert isinstance(outcome, Failed)
    assert "sent once, but its answer is lost" in outcome.why
    assert "not sent again" in outcome.why
    assert stage.writes() == [b"\x42"]


def test_a_counter_that_was_set_back_tells_it_without_an_answer() -> None:
    meter = Tongueless(obeys=True, energy_wh=5000.0)
    stage = ac_stage(meter)
    assert run_virtual(_command(stage, "reset_energy", 1)) == Done(1)
    assert stage.writes() == [b"\x42"]


def test_a_counter_that_was_at_zero_tells_nothing() -> None:
    stage = ac_stage(Tongueless(obeys=False, energy_wh=3.0))
    outcome = run_virtual(_command(stage, "reset_energy", 1))
    assert isinstance(outcome, Failed)
    assert "its answer is lost" in outcome.why


class Lying(SimPzemAc):
    """Answers the reset and does nothing."""

    def other(self, pdu: bytes, origin: Any) -> bytes:
        return pdu


def test_an_answer_alone_is_not_believed() -> None:
    outcome = run_virtual(_command(ac_stage(Lying(energy_wh=5000.0)), "reset_energy", 1))
    assert outcome == Failed("reset_energy was answered, but the counter reads 5000 Wh")


async def _silent() -> None:
    meter = SimPzemAc(energy_wh=5000.0)
    stage = ac_stage(meter)
    async with stage.running():
        meter.power(False)
        await stage.until(lambda reading: reading.health == "offline")
        assert await stage.set("reset_energy", 1) == Refused("the device does not answer")
        assert stage.writes() == []


def test_a_meter_without_mains_is_not_asked() -> None:
    run_virtual(_silent())


async def _threshold(tmp_path: Path) -> None:
    meter = SimPzemAc(alarm_watts=23000)
    stage = ac_stage(meter, tmp_path)
    async with stage.running() as control:
        assert await stage.plan("set_alarm_power", 2300) == (
            Change("set_alarm_power", "register 0x0001", 23000, 2300, 23000, 2300),
        )
        assert await stage.set("set_alarm_power", 2300) == Done("set_alarm_power")
        assert stage.writes() == [bytes.fromhex("06000108FC")]
        assert await stage.set("set_alarm_power", 2300) == Done("set_alarm_power")
        assert len(stage.writes()) == 1
        await stage.until(lambda reading: reading.values["set_alarm_power"] == 2300)
        for wrong in (0, 30_000, -5):
            assert isinstance(await stage.set("set_alarm_power", wrong), Refused)
        assert isinstance(await stage.set("set_high_voltage_alarm", 250), Refused)
        stored = await control.settings()
        assert isinstance(stored, tuple)
        assert [(each.point.name, each.value) for each in stored] == [("set_alarm_power", 2300)]
    results = [(each.point, each.new, each.result) for each in stage.records()]
    assert results[0] == ("set_alarm_power", 2300.0, "done")
    assert [each[2] for each in results].count("refused") == 4
    (backup,) = (tmp_path / "backups").iterdir()
    assert json.loads(backup.read_bytes())["settings"]["set_alarm_power"]["word"] == 23000


def test_the_alarm_power(tmp_path: Path) -> None:
    run_virtual(_threshold(tmp_path))


async def _dc_thresholds() -> None:
    meter = SimPzemDc()
    stage = Stage(meter, "pzem-dc", None, BARE)
    async with stage.running():
        assert await stage.set("set_high_voltage_alarm", 29.5) == Done("set_high_voltage_alarm")
        # Two thresholds are two changes, and need no hour between them.
        assert await stage.set("set_low_voltage_alarm", 22.0) == Done("set_low_voltage_alarm")
        assert stage.writes() == [bytes.fromhex("0600000B86"), bytes.fromhex("0600010898")]
        assert isinstance(await stage.set("set_low_voltage_alarm", 0.5), Refused)


def test_the_thresholds_of_a_dc_meter() -> None:
    run_virtual(_dc_thresholds())


async def _day() -> None:
    stage = ac_stage(SimPzemAc(), eeprom=EepromOptions(interval=3600.0, daily=2))
    async with stage.running():
        for watts in (1000, 2000):
            assert await stage.set("set_alarm_power", watts) == Done("set_alarm_power")
        often = await stage.set("set_alarm_power", 3000)
        assert isinstance(often, Refused)
        assert "changed 2 times today" in often.why
        assert len(stage.writes()) == 2


def test_a_day_has_so_many_changes() -> None:
    run_virtual(_day())


class Wild(SimPzemAc):
    """Stores another threshold than it was sent, once."""

    wild = True

    def write_register(self, address: int, word: int, origin: Any) -> None:
        super().write_register(address, word + 1 if self.wild else word, origin)
        self.wild = False


def test_a_threshold_that_reads_back_otherwise_is_taken_back() -> None:
    stage = ac_stage(Wild(alarm_watts=5000))
    outcome = run_virtual(_command(stage, "set_alarm_power", 2300))
    assert isinstance(outcome, Failed)
    assert "the settings from before are back" in outcome.why
    assert stage.writes() == [bytes.fromhex("06000108FC"), bytes.fromhex("0600011388")]
