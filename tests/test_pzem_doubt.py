"""What contradicts itself is unknown, and what is told to be 0 stays 0 (pzem.md §8, §9)."""

from collections.abc import Mapping

import pytest

from heliobus.devices import pzem_ac, pzem_dc
from heliobus.devices.driver import Driver
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import plan, rtu_cost
from heliobus.model.point import Value
from heliobus.model.reading import Reason
from pzem_line import AC_CAPTURED, DC_CAPTURED

AC = ("ac_voltage", "ac_current", "ac_power", "energy_forward_counter", "ac_frequency", "ac_power_factor")
DC = ("dc_voltage", "dc_current", "dc_power", "energy_forward_counter", "high_voltage_alarm", "low_voltage_alarm")


def understood(driver: Driver, inputs: Mapping[int, int], shunt: int = 0) -> tuple[dict[str, Value], dict[str, Reason]]:
    """What the driver makes of a captured answer with `inputs` in place of its words."""
    image = Image(driver)
    image.add(Slot(block, 2.0, 0.0) for block in plan(driver.registers, driver.limits, rtu_cost(9600, 0.03)))
    words = dict(enumerate(AC_CAPTURED if driver is pzem_ac.DRIVER else DC_CAPTURED)) | dict(inputs)
    settings = {1: 2300, 2: 1} if driver is pzem_ac.DRIVER else {0: 30000, 1: 700, 2: 1, 3: shunt}
    for slot in image.slots:
        table = words if slot.block.table == 4 else settings
        image.answer(slot, [table[slot.block.address + index] for index in range(slot.block.count)], 0.0)
    return image.snapshot()


def unknown(driver: Driver, names: tuple[str, ...], inputs: Mapping[int, int], shunt: int = 0) -> set[str]:
    values, reasons = understood(driver, inputs, shunt)
    missing = {name for name in names if values[name] is None}
    assert all(reasons[name] is Reason.OUT_OF_RANGE for name in missing)
    return missing


def test_what_was_captured_is_believed() -> None:
    assert unknown(pzem_ac.DRIVER, AC, {}) == set()
    assert unknown(pzem_dc.DRIVER, DC, {}) == set()


def test_without_mains_power_is_0_and_the_rest_unknown() -> None:
    dead = dict.fromkeys((0, 1, 2, 3, 4, 7, 8), 0)
    values, _ = understood(pzem_ac.DRIVER, dead)
    assert values["ac_power"] == 0
    assert unknown(pzem_ac.DRIVER, (*AC, "high_power_alarm"), dead) == {*AC, "high_power_alarm"} - {"ac_power"}
    assert values["ac_apparent_power"] is None
    assert values["set_alarm_power"] == 2300


@pytest.mark.parametrize(
    "inputs",
    [
        {0: 0},
        {0: 599},
        {0: 3001},
        {0: 0xFFFF},
        {1: 0xFFFF, 2: 1},
        {2: 0xFFFF},
        {3: 2300},
        {4: 1},
        {4: 0xFFFF},
        {1: 0, 3: 60},
        {0: 0, 3: 0},
    ],
)
def test_an_ac_answer_that_contradicts_itself_is_unknown_as_a_whole(inputs: Mapping[int, int]) -> None:
    assert unknown(pzem_ac.DRIVER, AC, inputs) == set(AC)


@pytest.mark.parametrize("inputs", [{0: 600, 3: 60}, {0: 3000}, {1: 54464, 2: 1}, {1: 0, 3: 50}, {3: 0}])
def test_what_is_just_possible_is_believed(inputs: Mapping[int, int]) -> None:
    assert unknown(pzem_ac.DRIVER, AC, inputs) == set()


@pytest.mark.parametrize("hertz", [0, 399, 701])
def test_a_frequency_alone_can_be_wrong(hertz: int) -> None:
    assert unknown(pzem_ac.DRIVER, AC, {7: hertz}) == {"ac_frequency"}
    assert unknown(pzem_ac.DRIVER, AC, {7: 400}) == unknown(pzem_ac.DRIVER, AC, {7: 700}) == set()


def test_a_power_factor_above_1_is_none() -> None:
    assert unknown(pzem_ac.DRIVER, AC, {8: 101}) == {"ac_power_factor"}


@pytest.mark.parametrize(
    ("driver", "low"), [(pzem_ac.DRIVER, 5), (pzem_dc.DRIVER, 4)], ids=lambda each: getattr(each, "name", "")
)
def test_a_counter_beyond_its_end_is_a_glitch(driver: Driver, low: int) -> None:
    names = AC if driver is pzem_ac.DRIVER else DC
    count, last = "energy_forward_counter", 9_999_999
    values, _ = understood(driver, {low: last & 0xFFFF, low + 1: last >> 16})
    assert values[count] == last
    for glitch in (last + 1, 0xFFFF_FFFF, 42_949_000):
        assert unknown(driver, names, {low: glitch & 0xFFFF, low + 1: glitch >> 16}) == {count}


@pytest.mark.parametrize("inputs", [{0: 35001}, {1: 12001}, {3: 1}, {2: 100, 1: 0}])
def test_a_dc_answer_that_contradicts_itself_is_unknown_as_a_whole(inputs: Mapping[int, int]) -> None:
    assert unknown(pzem_dc.DRIVER, DC, inputs) == set(DC)


@pytest.mark.parametrize(("shunt", "amperes"), [(0, 100), (1, 50), (2, 200), (3, 300)])
def test_the_shunt_bounds_the_current(shunt: int, amperes: int) -> None:
    most = round(1.2 * amperes * 100)
    assert unknown(pzem_dc.DRIVER, DC, {1: most}, shunt) == set()
    assert unknown(pzem_dc.DRIVER, DC, {1: most + 1}, shunt) == set(DC)


def test_an_empty_dc_line_is_0_not_unknown() -> None:
    values, _ = understood(pzem_dc.DRIVER, {0: 0, 1: 0, 2: 0, 7: 0xFFFF})
    assert (values["dc_voltage"], values["dc_power"], values["low_voltage_alarm"]) == (0, 0, 2)


def test_what_was_doubted_comes_back() -> None:
    driver = pzem_ac.DRIVER
    image = Image(driver)
    slot = Slot(plan(driver.registers[:7], driver.limits, rtu_cost(9600, 0.03))[0], 2.0, 0.0)
    image.add([slot])
    image.answer(slot, (9999, *AC_CAPTURED[1:]), 0.0)
    assert image.snapshot()[0]["ac_power"] is None
    image.answer(slot, AC_CAPTURED, 2.0)
    values, reasons = image.snapshot()
    assert values["ac_power"] == 24.4 and "ac_power" not in reasons
