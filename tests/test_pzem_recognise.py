"""Who is a PZEM meter, and of which kind, by the shape of its tables (pzem.md §3)."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from devices_stage import Ear, alone, memory, tristar
from heliobus.devices import catalog, pzem_ac, pzem_dc
from heliobus.devices.driver import Driver, NotOurs, Recognised
from heliobus.devices.identify import identify
from heliobus.devices.pzem.recognise import NotSettledError
from heliobus.model.reading import Reason
from heliobus.sim.capture import SimCapture
from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Framing
from heliobus.sim.pzem import SimPzemAc
from heliobus.sim.serial_units import SerialUnits
from heliobus.sim.virtual_time import run_virtual
from pzem_line import AC_CAPTURED, DC_CAPTURED, FakeLine, FakeMeter
from wire_fakes import rtu_bus, running

AC, DC = pzem_ac.DRIVER, pzem_dc.DRIVER


def verdict(meter: FakeMeter, driver: Driver, unit: int = 1) -> Recognised | NotOurs:
    async def run() -> Recognised | NotOurs:
        bus, _ = rtu_bus(FakeLine(meter))
        async with running(bus):
            return await identify(bus, unit, driver)

    return run_virtual(run())


def why(meter: FakeMeter, driver: Driver) -> str:
    said = verdict(meter, driver)
    assert isinstance(said, NotOurs)
    return said.why


def changed(meter: FakeMeter, change: Callable[[FakeMeter], object]) -> FakeMeter:
    change(meter)
    return meter


@pytest.mark.parametrize(
    ("ac", "driver", "model"), [(True, AC, "PZEM-014/016/004T (AC)"), (False, DC, "PZEM-003/017 (DC)")]
)
def test_a_meter_is_recognised_by_its_own_driver(ac: bool, driver: Driver, model: str) -> None:
    said = verdict(FakeMeter(ac=ac), driver)
    assert isinstance(said, Recognised)
    assert (said.identity.vendor, said.identity.model, said.identity.serial) == ("Peacefair", model, None)
    assert said.driver is driver


def test_at_the_general_address_too() -> None:
    assert isinstance(verdict(FakeMeter(address=10), AC, unit=0xF8), Recognised)
    assert isinstance(verdict(FakeMeter(address=20, ac=False), DC, unit=0xF8), Recognised)


def test_the_other_kind_is_named_with_the_driver_it_needs() -> None:
    assert why(FakeMeter(ac=False), AC) == "a PZEM-003/017 (DC) answers here: use driver = 'pzem-dc'"
    assert why(FakeMeter(ac=True), DC) == "a PZEM-014/016/004T (AC) answers here: use driver = 'pzem-ac'"


@pytest.mark.parametrize(("ac", "driver"), [(True, AC), (False, DC)])
def test_a_copy_that_does_not_read_its_settings_back_is_recognised(ac: bool, driver: Driver) -> None:
    meter = changed(FakeMeter(ac=ac), lambda each: each.settings.update({2: 1}) or each.mute.add(3))
    assert isinstance(verdict(meter, driver), Recognised)


def test_a_pzem_003_without_range_is_recognised() -> None:
    assert isinstance(verdict(FakeMeter(ac=False, shunt=False), DC), Recognised)


def garbled(meter: FakeMeter) -> None:
    meter.inputs[:] = [0xFFF1] * len(meter.inputs)


@pytest.mark.parametrize(("ac", "driver"), [(True, AC), (False, DC)])
def test_garbage_after_power_up_is_no_verdict(ac: bool, driver: Driver) -> None:
    with pytest.raises(NotSettledError, match="some seconds after power-up"):
        verdict(changed(FakeMeter(ac=ac), garbled), driver)


def test_a_meter_that_comes_back_is_believed_once_it_has_settled() -> None:
    meter = SimPzemAc(1, watts=100.0, power_factor=1.0)

    async def run() -> Ear:
        async with alone(memory(SerialUnits([meter]), Framing.RTU), Framing.RTU, driver=AC) as ear:
            await ear.first()
            for outage in (0.5, 3.0, 8.0, 13.0, 33.0, 100.0):
                meter.power(False)
                await asyncio.sleep(outage)
                meter.power(True)
                await asyncio.sleep(1.0)
                await ear.reading(lambda each: each.values["ac_power"] is not None, 80.0)
            return ear

    ear = run_virtual(run())
    assert not ear.strangers
    powers = {reading.values["ac_power"] for _, reading in ear.readings}
    assert powers == {100.0, None}
    assert {reading.values["ac_voltage"] for _, reading in ear.readings} == {230.0, None}


@pytest.mark.parametrize(
    "change",
    [
        lambda meter: meter.settings.update({2: 0}),
        lambda meter: meter.settings.update({2: 248}),
        lambda meter: meter.settings.update({1: 65535}),
        lambda meter: meter.mute.add(3) or meter.inputs.__setitem__(9, 7),
        lambda meter: meter.mute.add(3) or meter.inputs.__setitem__(0, 180),
        lambda meter: meter.mute.add(3) or meter.inputs.__setitem__(7, 20),
    ],
)
def test_registers_that_hold_something_else_are_no_meter(change: Callable[[FakeMeter], object]) -> None:
    # Asked at the general address, for it may have stored none that is one.
    said = verdict(changed(FakeMeter(), change), AC, unit=0xF8)
    assert isinstance(said, NotOurs) and "no PZEM meter" in said.why


@pytest.mark.parametrize("driver", [AC, DC], ids=lambda each: each.name)
@pytest.mark.parametrize("words", [{}, {0: 0x7B, 1: 0xE041}, dict.fromkeys(range(0x60), 0)])
def test_a_tristar_is_never_taken_for_a_meter(driver: Driver, words: Mapping[int, int]) -> None:
    assert "no PZEM meter" in stranger(tristar(words), driver)


@pytest.mark.parametrize("driver", [AC, DC], ids=lambda each: each.name)
def test_a_tracer_is_never_taken_for_a_meter(driver: Driver) -> None:
    words = {0x3000 + index: 100 + index for index in range(15)} | {0x3100 + index: 50 + index for index in range(22)}
    tracer = SimCapture(words, ranges=[(0x3000, 0x300E), (0x3100, 0x3115), (0x9000, 0x900E)])
    assert stranger(tracer, driver) == "what answers here is no PZEM meter: it has no input registers 0 to 7"


@pytest.mark.parametrize("driver", [AC, DC], ids=lambda each: each.name)
def test_a_device_that_is_all_alike_is_no_meter(driver: Driver) -> None:
    for word in (0, 1, 0xFFFF):
        assert "no PZEM meter" in stranger(SimCapture(dict.fromkeys(range(0x100), word)), driver)


@pytest.mark.parametrize("ac", [True, False])
def test_a_meter_is_never_taken_for_a_tristar(ac: bool) -> None:
    said = verdict(FakeMeter(ac=ac), catalog.driver("morningstar-tristar-mppt"))
    assert isinstance(said, NotOurs) and "no TriStar" in said.why


def polled(device: SimDevice, driver: Driver) -> Ear:
    async def run() -> Ear:
        async with alone(memory(device, Framing.RTU), Framing.RTU, driver=driver) as ear:
            await ear.wait(lambda: bool(ear.readings or ear.strangers), 60.0)
            return ear

    return run_virtual(run())


def stranger(device: SimDevice, driver: Driver) -> str:
    [said] = polled(device, driver).strangers
    assert "\n" not in said
    return said


def test_a_003_is_polled_without_its_range() -> None:
    class Model003(SimCapture):
        def read_words(self, function: int, address: int, count: int) -> list[int]:
            self._ranges = ((0, 7),) if function == 4 else ((0, 2),)
            return list(super().read_words(function, address, count))

    meter = Model003({0: 30000, 1: 700, 2: 1}, input_words=dict(enumerate(DC_CAPTURED)), ranges=())
    reading = polled(meter, DC).last
    assert reading.values["modbus_address"] == 1
    assert reading.reasons["current_range"] is Reason.NOT_SUPPORTED
    assert (reading.values["dc_voltage"], reading.values["dc_current"]) == (13.44, 0.1)


def test_a_meter_is_polled() -> None:
    reading = polled(SimCapture({1: 2300, 2: 1}, input_words=dict(enumerate(AC_CAPTURED))), AC).last
    assert (reading.values["ac_voltage"], reading.values["ac_power"]) == (225.7, 24.4)
    assert reading.values["set_alarm_power"] == 2300
