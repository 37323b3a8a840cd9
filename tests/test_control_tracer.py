"""An EPever charger under control: its load switch, what cannot be commanded, and the record of it all."""

from pathlib import Path

import pytest

from device_stage import OPTIONS, Stage, tracer
from heliobus.control.controls import controls_of, points_of
from heliobus.devices import catalog
from heliobus.devices.driver import UNSCALED, Register
from heliobus.devices.epever.writes import tracer_writes
from heliobus.devices.writes import Coil, Request, Span
from heliobus.model import vocabulary as v
from heliobus.model.command import ControlKind, Done, Failed, Refused
from heliobus.model.control_options import ControlOptions
from heliobus.sim.faults import Faults
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.modbus.coding import u16

LOAD_OFF, LOAD_ON = bytes.fromhex("0500020000"), bytes.fromhex("050002FF00")


def test_what_is_offered() -> None:
    controls = controls_of(catalog.driver("epever-tracer"), OPTIONS, (), network=False)
    assert controls["load_enabled"].kind is ControlKind.SWITCH
    assert controls["set_clock"].kind is ControlKind.BUTTON
    assert (controls["set_float_voltage"].low, controls["set_float_voltage"].high) == (8.0, 68.0)
    assert not any("temperature_m" in name or "percent" in name or "timer" in name for name in controls)
    steering = {v.CHARGE_CURRENT_LIMIT.name, v.CHARGE_VOLTAGE_LIMIT.name, v.REMOTE_NETWORK_MODE.name}
    assert not steering & controls.keys()
    assert controls_of(catalog.driver("epever-tracer"), ControlOptions(), (), network=False) == {}


def test_what_control_says_of_itself() -> None:
    names = {point.name for point in points_of(catalog.driver("epever-tracer"))}
    assert {"profile_status", "command_result", "eeprom_writes"} <= names
    assert v.CONTROL_SOURCE.name not in names
    assert points_of(catalog.driver("morningstar-tristar-mppt")) == v.CONTROL_POINTS
    assert points_of(catalog.driver("morningstar-tristar-mppt-600v")) == ()


def test_nothing_dangerous_is_declared() -> None:
    for name in ("epever-tracer", "epever-duoracer"):
        writes = catalog.driver(name).writes
        assert writes is not None
        assert {coil.address for coil in writes.coils} <= {0x0002}
        written = {address + offset for address, count in writes.spans() for offset in range(count)}
        written |= {register.address for register in writes.registers()}
        never = {*range(0x9017, 0x901E), *range(0x9100, 0x9108), *range(0x9042, 0x904E), 0x9010, 0x9011, 0x9070}
        assert not written & never
        # A single voltage of the block is refused by the device, and would leave it half written if it were not.
        assert not any(address in range(0x9003, 0x900F) and count != 12 for address, count in writes.spans())


async def _undeclared(tmp_path: Path) -> None:
    stage = Stage(tracer(), folder=tmp_path)
    async with stage.running():
        terminal = stage.plant.terminal
        strange = Register(0x9019, v.BATTERY_VOLTAGE, u16, UNSCALED)
        with pytest.raises(ValueError, match="not declared"):
            await terminal.write_span(Span((strange,)), (1000,))
        with pytest.raises(ValueError, match="not declared"):
            await terminal.write_word(strange, 1000, once=True)
        with pytest.raises(ValueError, match="not declared"):
            await terminal.write_coil(Coil(0x0013, v.CLEAR_FAULTS), True)
        with pytest.raises(ValueError, match="not declared"):
            await terminal.send(Request(v.RESET_ENERGY, 0x41, strange))
        settings = stage.plant.writes.settings
        assert settings is not None
        voltages = next(span for span in settings.spans() if span.address == 0x9003)
        with pytest.raises(ValueError, match="not declared"):
            await terminal.write_span(voltages, (1380,))
        assert stage.writes() == []


def test_what_is_not_declared_is_not_written(tmp_path: Path) -> None:
    run_virtual(_undeclared(tmp_path))


async def _switch(tmp_path: Path) -> None:
    simulated = tracer()
    stage = Stage(simulated, folder=tmp_path)
    async with stage.running():
        assert await stage.set("load_enabled", 1) == Done(1)
        assert stage.writes() == []
        assert await stage.set("load_enabled", 0) == Done(0)
        assert (stage.writes(), simulated.load.on) == ([LOAD_OFF], False)
        await stage.until(lambda reading: reading.values["load_enabled"] == reading.values["load_state"] == 0)
        assert await stage.plan("load_enabled", 1) != ()
        assert await stage.set("load_enabled", 1) == Done(1)
        assert (stage.writes(), simulated.load.on) == ([LOAD_OFF, LOAD_ON], True)
    assert [(each.point, each.old, each.new, each.result) for each in stage.records()] == [
        ("load_enabled", 1, 1, "done"),
        ("load_enabled", 1, 0, "done"),
        ("load_enabled", 0, 1, "done"),
    ]


def test_the_load_is_switched_and_read_back(tmp_path: Path) -> None:
    run_virtual(_switch(tmp_path))


async def _not_manual(simulated: SimTracer) -> tuple[object, list[bytes]]:
    stage = Stage(simulated)
    async with stage.running():
        return await stage.set("load_enabled", 0), stage.writes()


def test_the_load_is_refused_unless_it_is_switched_by_hand() -> None:
    simulated = tracer()
    simulated.settings.words[0x903D] = 3
    outcome, writes = run_virtual(_not_manual(simulated))
    assert isinstance(outcome, Refused)
    assert "'time control'" in outcome.why
    assert "set_load_mode to 0" in outcome.why
    assert writes == []


def test_the_load_is_refused_while_its_mode_is_not_known() -> None:
    simulated = tracer()
    del simulated.settings.words[0x903D]
    outcome, writes = run_virtual(_not_manual(simulated))
    assert isinstance(outcome, Refused)
    assert "not known" in outcome.why
    assert writes == []


async def _changed_at_the_device() -> None:
    simulated = tracer()
    stage = Stage(simulated)
    async with stage.running():
        simulated.settings.words[0x903D] = 1
        assert stage.latest is not None
        assert stage.latest.values["set_load_mode"] == 0
        outcome = await stage.set("load_enabled", 0)
        assert isinstance(outcome, Refused)
        assert "light" in outcome.why
        assert stage.writes() == []


def test_the_mode_is_asked_for_afresh() -> None:
    run_virtual(_changed_at_the_device())


async def _empty_battery() -> None:
    simulated = tracer(soc=0.0)
    simulated.settings.words[0x900D] = 1350
    simulated.settings.words[0x900A] = 1360
    stage = Stage(simulated)
    async with stage.running():
        await stage.until(lambda reading: reading.values["battery_voltage_status"] == 3)
        outcome = await stage.set("load_enabled", 1)
        assert isinstance(outcome, Refused)
        assert "low-voltage disconnect" in outcome.why
        assert "13.60 V" in outcome.why
        assert stage.writes() == []
        # Nobody is kept from asking for less.
        assert await stage.set("load_enabled", 0) == Done(0)


def test_a_disconnected_load_is_not_switched_on() -> None:
    run_virtual(_empty_battery())


class Stuck(SimTracer):
    """Takes the coil, and leaves the output as it is."""

    def write_coil(self, address: int, on: bool, origin: object) -> None:
        if address == 2:
            self.load.wanted = on
            self.load.test_mode = self.load.forced = True
            self._act()


def test_an_output_that_does_not_follow_is_no_success() -> None:
    simulated = Stuck(system=12, year=2026, day_of_year=121, hour=12.0)
    outcome, writes = run_virtual(_not_manual(simulated))
    assert outcome == Failed("load_enabled reads back off, but what it switches is on")
    assert writes == [LOAD_OFF]


async def _lost(faults: Faults) -> tuple[object, list[bytes]]:
    stage = Stage(tracer(), faults=faults)
    async with stage.running():
        faults.lost = 1.0
        outcome = await stage.set("load_enabled", 0)
        return outcome, stage.writes()


def test_a_charger_that_says_nothing_is_not_written_to_twice() -> None:
    outcome, writes = run_virtual(_lost(Faults()))
    assert isinstance(outcome, Failed)
    assert len(writes) <= 1


def test_a_model_without_a_load_output_has_no_switch() -> None:
    driver = catalog.driver("epever-duoracer")
    assert tracer_writes(driver.registers).coils == ()
    assert "load_enabled" not in controls_of(driver, OPTIONS, (), network=False)


async def _landstar() -> None:
    simulated = tracer(family="LS-B", model="LS2024B")
    stage = Stage(simulated)
    async with stage.running():
        assert await stage.set("load_enabled", 0) == Done(0)
        assert not simulated.load.on


def test_a_model_without_a_load_status_is_believed() -> None:
    run_virtual(_landstar())


async def _ended(tmp_path: Path) -> None:
    stage = Stage(tracer(), folder=tmp_path)
    async with stage.running() as control:
        assert isinstance(await stage.set("charger_enabled", 0), Refused)
        assert isinstance(await stage.set("load_enabled", 2), Refused)
        await control.close()
        assert await stage.set("load_enabled", 0) == Refused("this control of cabin has ended")
        assert stage.writes() == []


def test_what_is_not_there_or_over_is_refused(tmp_path: Path) -> None:
    run_virtual(_ended(tmp_path))
