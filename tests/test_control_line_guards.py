"""What must not slip past the guards of settings on an RS-485 line, whatever the device says meanwhile."""

import asyncio
import json
from typing import Any

import pytest

from device_stage import Stage, tracer
from heliobus.devices.epever.writes import VOLTAGES
from heliobus.model.command import Done, Failed, Outcome, Refused
from heliobus.sim.device import RefusalError
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import run_virtual

SEALED = [16.0, 15.0, 15.0, 14.6, 14.4, 13.8, 13.2, 12.6, 12.2, 12.0, 11.1, 10.6]


def apply(stage: Stage, wanted: dict[str, Any]) -> Outcome:
    async def run() -> Outcome:
        async with stage.running():
            return await stage.set("apply_settings", json.dumps(wanted))

    return run_virtual(run())


@pytest.mark.parametrize("code", [2, 3, 4])
def test_a_backup_of_a_preset_type_does_not_bring_another_system_voltage(code: int) -> None:
    stage = Stage(tracer())
    backup = {point.name: volts for point, volts in zip(VOLTAGES, SEALED, strict=True)}
    outcome = apply(stage, {"set_battery_type": 1, "set_system_voltage": code, **backup})
    assert isinstance(outcome, Refused), outcome
    assert "is not the system_voltage that you have confirmed" in outcome.why
    assert stage.writes() == []


class Moody(SimTracer):
    """Refuses its settings block with exception 2 as often as it is told to."""

    moods = 0

    def read_words(self, function: int, address: int, count: int) -> Any:
        if function == 3 and address == 0x9000 and self.moods:
            self.moods -= 1
            raise RefusalError(2)
        return super().read_words(function, address, count)


def moody() -> Moody:
    simulated = Moody(system=12, year=2026, day_of_year=121, hour=12.0)
    simulated.settings.words[0x9000] = 0
    return simulated


@pytest.mark.parametrize("wanted", [{"set_float_voltage": 13.6}, {"set_float_voltage": 13.6, "set_equalize_days": 60}])
def test_a_block_that_is_refused_once_is_not_done_without_being_written(wanted: dict[str, float]) -> None:
    simulated = moody()
    stage = Stage(simulated)

    async def run() -> None:
        async with stage.running():
            await stage.until(lambda reading: reading.values["set_float_voltage"] is not None)
            simulated.moods = 1
            outcome = await stage.set("apply_settings", json.dumps(wanted))
            assert isinstance(outcome, Refused | Failed), outcome
            assert stage.writes() == []
            # It was a mood: the device has shown the block before.
            assert await stage.set("apply_settings", json.dumps(wanted)) == Done("apply_settings")
            assert simulated.settings.words[0x9008] == 1360

    run_virtual(run())


class Deaf(SimTracer):
    """Acknowledges the time and keeps its own."""

    def write_registers(self, address: int, words: Any, origin: Any) -> None:
        if address != 0x9013:
            super().write_registers(address, words, origin)


def test_a_clock_that_takes_no_time_is_written_to_ever_less() -> None:
    simulated = Deaf(system=12, year=2026, day_of_year=121, hour=9.0)
    simulated.refresh_seconds = 600.0
    stage = Stage(simulated, period=600.0)
    stage.allow(auto_clock=True)

    async def run() -> None:
        async with stage.running():
            await asyncio.sleep(7 * 86400)

    run_virtual(run())
    assert 5 <= len(stage.writes()) <= 12
