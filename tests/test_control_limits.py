"""What comes of everybody's limits: never more than any of them, never beyond the bounds."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_stage import DRIVER
from heliobus.control.channel import floor_word
from heliobus.control.limits import Bounds, Limit, Setpoint, bounds, combine, own_voltage
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions
from heliobus.model.point import Value

BOUNDS = Bounds(21.44, 31.0, 60.0)
CUSTOM: dict[str, Value] = {
    "battery_program": 7,
    "set_float_voltage": 26.8,
    "set_hvd_voltage": 32.4,
    "set_absorption_voltage": 28.8,
    "set_equalize_voltage": 30.2,
    "set_temperature_compensation": -0.06,
    "set_compensation_min": -40.0,
    "set_compensation_max": 80.0,
    "set_voltage_limit": 31.2,
    "regulation_temperature": 25.0,
    "auto_equalize": 0,
    "equalize_requested": 0,
    "nominal_voltage": 24,
    "rated_current": 60,
}

numbers = st.none() | st.floats() | st.floats(0, 100)
limits = st.builds(Limit, st.sampled_from(["DVCC", "user", "BMS missing"]), numbers, numbers)
sane_bounds = st.tuples(st.floats(1, 60), st.floats(0.01, 60), st.floats(0, 80)).map(
    lambda each: Bounds(each[0], each[0] + each[1], each[2])
)


@given(st.lists(limits, max_size=5), st.none() | limits, sane_bounds)
def test_nothing_exceeds_a_limit_or_the_bounds(wanted: list[Limit], target: Limit | None, allowed: Bounds) -> None:
    setpoint = combine(wanted, target, allowed)
    volts = [each.volts for each in wanted if each.volts is not None and not math.isnan(each.volts)]
    amps = [each.amps for each in wanted if each.amps is not None and not math.isnan(each.amps)]
    if setpoint is None:
        assert all(each == math.inf for each in volts + amps)
        return
    assert setpoint.source
    if setpoint.volts is not None:
        assert allowed.lowest <= setpoint.volts <= allowed.highest
        # The lowest sensible voltage with no current is how "do not charge" is said.
        assert setpoint.amps == 0 or all(setpoint.volts <= each for each in volts)
    else:
        assert all(each == math.inf for each in volts)
    if setpoint.amps is not None:
        assert 0 <= setpoint.amps <= allowed.amps
        assert all(setpoint.amps <= max(0.0, each) for each in amps)
    else:
        assert all(each == math.inf for each in amps)


@pytest.mark.parametrize(
    ("wanted", "target", "expected"),
    [
        ([], None, None),
        ([Limit("user")], None, None),
        ([Limit("user", math.nan, math.inf)], None, None),
        ([Limit("DVCC", 28.0, 30.0)], None, Setpoint("DVCC", 28.0, 30.0)),
        ([Limit("DVCC", 28.0, 30.0), Limit("user", amps=20.0)], None, Setpoint("DVCC and user", 28.0, 20.0)),
        ([Limit("user", 27.5, 40.0), Limit("DVCC", 28.0, 30.0)], None, Setpoint("user and DVCC", 27.5, 30.0)),
        ([Limit("user", amps=20.0)], None, Setpoint("user", None, 20.0)),
        ([Limit("user", amps=200.0)], None, Setpoint("user", None, 60.0)),
        ([Limit("user", amps=-3.0)], None, Setpoint("user", None, 0.0)),
        ([Limit("DVCC", 60.0)], None, Setpoint("DVCC", 31.0)),
        ([Limit("DVCC", 12.0, 30.0), Limit("user", amps=20.0)], None, Setpoint("DVCC", 21.44, 0.0)),
        ([Limit("BMS missing", amps=0.0)], None, Setpoint("BMS missing", None, 0.0)),
        ([Limit("BMS missing", amps=0.0), Limit("user", 5.0)], None, Setpoint("user and BMS missing", 21.44, 0.0)),
        ([], Limit("top charge", 29.4), Setpoint("top charge", 29.4)),
        ([Limit("DVCC", 28.0)], Limit("top charge", 29.4), Setpoint("DVCC", 28.0)),
        ([Limit("DVCC", 30.0, 9.0)], Limit("top charge", 29.4), Setpoint("top charge and DVCC", 29.4, 9.0)),
        ([], Limit("top charge", 33.0), Setpoint("top charge", 31.0)),
    ],
)
def test_who_decides(wanted: list[Limit], target: Limit | None, expected: Setpoint | None) -> None:
    assert combine(wanted, target, BOUNDS) == expected


@pytest.mark.parametrize(
    ("values", "options", "expected"),
    [
        ({}, {}, (21.44, 32.0, 60.0)),
        ({"set_hvd_voltage": 31.0}, {}, (21.44, 30.6, 60.0)),
        ({"set_hvd_voltage": 0.0, "set_float_voltage": 0.0}, {}, (20.0, 33.0, 60.0)),
        ({"battery_program": 2, "set_hvd_voltage": 31.0}, {}, (20.0, 33.0, 60.0)),
        ({"battery_program": None}, {"chemistry": CHEMISTRIES["gel"]}, (20.0, 28.8, 60.0)),
        ({}, {"highest_voltage": 29.0, "highest_current": 25.0}, (21.44, 29.0, 25.0)),
        ({"rated_current": 30}, {"highest_current": 45.0}, (21.44, 32.0, 30.0)),
        ({"nominal_voltage": None}, {"system_voltage": 24}, (21.44, 32.0, 60.0)),
        ({"nominal_voltage": 48}, {"system_voltage": 24}, (21.44, 32.0, 60.0)),
        ({"nominal_voltage": None}, {}, None),
        ({"rated_current": None}, {"highest_current": 10.0}, None),
        ({}, {"highest_voltage": 20.0}, None),
    ],
)
def test_bounds(values: dict[str, Value], options: dict[str, Any], expected: tuple[float, float, float] | None) -> None:
    found = bounds({**CUSTOM, **values}, ControlOptions(**{"chemistry": CHEMISTRIES["flooded"], **options}))
    assert (found is None) is (expected is None)
    if found is not None and expected is not None:
        assert (found.lowest, found.highest, found.amps) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, 28.8),
        ({"regulation_temperature": 5.0}, 30.0),
        ({"regulation_temperature": 35.0}, 28.2),
        ({"regulation_temperature": 5.0, "set_compensation_min": 15.0}, 29.4),
        ({"regulation_temperature": -25.0}, 31.2),
        ({"regulation_temperature": -25.0, "set_voltage_limit": 0.0}, 31.8),
        ({"equalize_requested": 1}, 30.2),
        ({"auto_equalize": 1}, 30.2),
        ({"equalize_requested": None}, 30.2),
        ({"battery_program": 3}, None),
        ({"regulation_temperature": None}, None),
        ({"set_temperature_compensation": None}, None),
        ({"set_absorption_voltage": None}, None),
    ],
)
def test_what_the_charger_goes_to_by_itself(values: dict[str, Value], expected: float | None) -> None:
    assert own_voltage({**CUSTOM, **values}) == (None if expected is None else pytest.approx(expected))


@given(st.floats(0.003, 75.0), st.sampled_from(["slave_voltage", "slave_current"]))
def test_words_are_rounded_down_by_less_than_a_count(value: float, name: str) -> None:
    register = next(each for each in DRIVER.registers if each.point.name == name)
    full = 180.0 if name == "slave_voltage" else 80.0
    word = floor_word(register, value, {"voltage_scaling": 180.0})
    assert word is not None
    assert 1 <= word < 0x8000
    counts = value * 32768 / full
    assert word == 1 or counts - 1 - 1e-6 < word <= counts + 1e-6


def test_the_vendors_worked_examples_round_down() -> None:
    volts, amps = (
        next(each for each in DRIVER.registers if each.point.name == name)
        for name in ("slave_voltage", "slave_current")
    )
    factors: dict[str, Value] = {"voltage_scaling": 180.0}
    assert floor_word(volts, 14.34, factors) == 2610
    assert floor_word(amps, 32.0, factors) == 13107
    assert floor_word(volts, 5242 * 180 / 32768, factors) == 5242
    assert floor_word(amps, 0.0, factors) == 1, "0 would neither start nor renew"
    assert floor_word(volts, 28.0, {}) is None
    assert floor_word(amps, 500.0, factors) is None
