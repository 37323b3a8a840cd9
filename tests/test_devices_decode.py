"""Words to values: whatever comes, a value within its range or None with a reason."""

import math
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices_stage import TRISTAR, TRISTAR_600, capture_c, decode
from heliobus.devices.decode import Decoder
from heliobus.devices.driver import UNSCALED, Driver, Poll, Register, Scale, Table
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import TCP_COST, Block, plan
from heliobus.model.point import Point, Value
from heliobus.model.quantity import CELSIUS, COUNT, FACTOR, FLAGS, NUMBER, PERCENT, TEXT, VOLT, Kind, Quantity
from heliobus.model.reading import Reason
from heliobus.wire.modbus.coding import Coding, ascii_low_first, f32, s16, u16, u32

any_word = st.one_of(
    st.sampled_from((0, 1, 0x80, 0xFF80, 0x7FFF, 0x8000, 0x7C00, 0x7E00, 0xFFFF)), st.integers(0, 0xFFFF)
)


def one(
    words: Sequence[int], coding: Coding, quantity: Quantity = VOLT, scale: Scale = UNSCALED, **more: object
) -> tuple[Value, Reason | None]:
    """One register's value and reason."""
    known: Mapping[str, Value] = more.pop("known", {})  # type: ignore[assignment]
    invalid: frozenset[int] = more.pop("invalid", frozenset())  # type: ignore[assignment]
    register = Register(10, Point("x", quantity, "", **more), coding, scale, invalid=invalid)  # type: ignore[arg-type]
    block = Block(Table.INPUT, 10, coding.words, Poll.FAST, (register,))
    values, reasons = Decoder(block).decode(words, known)
    assert set(values) == {"x"}
    return values["x"], reasons.get("x")


def check(driver: Driver, values: Mapping[str, Value], reasons: Mapping[str, Reason]) -> None:
    for name, point in driver.points().items():
        if name not in values:
            continue
        value = values[name]
        if value is None:
            assert reasons[name] in (Reason.INVALID, Reason.OUT_OF_RANGE, Reason.STALE), name
            continue
        assert name not in reasons, name
        assert isinstance(value, str) == (point.kind is Kind.TEXT), name
        if isinstance(value, str):
            continue
        assert math.isfinite(value), name
        assert point.kind is Kind.NUMBER or isinstance(value, int), name
        assert point.low is None or value >= point.low, name
        assert point.high is None or value <= point.high, name
        assert str(value) != "-0.0", name


@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("driver", [TRISTAR, TRISTAR_600])
@given(words=st.dictionaries(st.one_of(st.integers(0, 0x68), st.integers(0xE000, 0xE0CD)), any_word, max_size=150))
def test_any_registers_decode_to_values_in_range_or_to_reasons(driver: Driver, words: dict[int, int]) -> None:
    scaling = {} if words.get(0, 0) & 1 else {0: 180, 1: 0, 2: 80, 3: 0}
    check(driver, *decode({**words, **scaling}, driver))


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_wholly_random_registers_never_raise(random: object) -> None:
    words = {address: random.randrange(0x10000) for address in (*range(0x69), *range(0x1000, 0x1031))}  # type: ignore[attr-defined]
    words |= {address: random.randrange(0x10000) for address in range(0xE000, 0xE0CE)}  # type: ignore[attr-defined]
    for driver in (TRISTAR, TRISTAR_600):
        check(driver, *decode(words, driver))


@pytest.mark.parametrize("word", [0x0080, 0xFF80])
@pytest.mark.parametrize("address", [0x0023, 0x0024, 0x0025, 0x0047, 0x0048])
def test_regression_16_a_missing_temperature_sensor_is_none(address: int, word: int) -> None:
    [name] = [each.point.name for each in TRISTAR.registers if each.address == address and each.table is Table.INPUT]
    values, reasons = decode({**capture_c(), address: word})
    assert (values[name], reasons[name]) == (None, Reason.INVALID)
    if address == 0x0024:
        assert values["battery_temperature"] is None


@pytest.mark.parametrize(("word", "value"), [(0xFFFB, -0.03), (0, 0.0), (0x7FFF, 179.99), (0x8001, -179.99)])
def test_voltages_are_signed(word: int, value: float) -> None:
    assert decode({**capture_c(), 0x001B: word})[0]["pv_voltage"] == value


def test_power_is_unsigned() -> None:
    values, _ = decode({**capture_c(), 0x003A: 0xFFFF})
    assert values["battery_power"] == values["pv_power"] == 7199.9


def test_temperatures_below_zero() -> None:
    values, _ = decode({**capture_c(), 0x0023: 0xFFF6, 0x0024: 0xFFEC})
    assert (values["heatsink_temperature"], values["battery_temperature"]) == (-10, -20)


def test_the_high_word_of_the_alarms_comes_first() -> None:
    values, _ = decode({**capture_c(), 0x002E: 0x0008, 0x002F: 0x1000, 0x004B: 0x0001, 0x004C: 0x0002})
    assert (values["alarms"], values["day_alarms"]) == (1 << 19 | 1 << 12, 1 << 16 | 1 << 1)


def test_stored_counters_have_the_low_word_first() -> None:
    stored = {0xE080: 21481, 0xE081: 1, 0xE082: 10, 0xE083: 1, 0xE084: 20, 0xE085: 2}
    values, _ = decode({**capture_c(), **stored})
    assert values["stored_operating_hours"] == 87017
    assert values["stored_charge_resettable"] == 6554.6
    assert values["stored_charge_total"] == 13109.2


def test_minus_zero_is_zero() -> None:
    for value, _ in (one((0xFFFF,), s16, scale=Scale(0.001)), one((0,), s16, scale=Scale(-1.0))):
        assert str(value) == "0.0"


def test_a_factor_that_is_missing_makes_the_value_invalid() -> None:
    scale = Scale(0.5, ("factor",))
    assert one((10,), u16, scale=scale) == (None, Reason.INVALID)
    assert one((10,), u16, scale=scale, known={"factor": None}) == (None, Reason.INVALID)
    assert one((10,), u16, scale=scale, known={"factor": "text"}) == (None, Reason.INVALID)
    assert one((10,), u16, scale=scale, known={"factor": 2}) == (10.0, None)


def test_scaling_registers_that_read_nothing_scale_nothing() -> None:
    values, reasons = decode({**capture_c(), 0x0000: 0, 0x0001: 0})
    for name in ("battery_voltage", "pv_voltage", "target_voltage", "battery_power", "pv_power", "system_multiplier"):
        assert (values[name], name in reasons) == (None, True), name
    assert values["battery_current"] == 0.0
    assert values["charge_state"] == 3


@settings(deadline=None)
@given(st.integers(0, 0xFFFFFFFF))
def test_a_float_without_bounds_is_finite(word: int) -> None:
    huge = Scale(1e300)
    for quantity in (FACTOR, NUMBER):
        value, reason = one((word >> 16, word & 0xFFFF), f32, quantity, huge)
        assert (value is None) == (reason is not None)
        assert value is None or math.isfinite(value)  # type: ignore[arg-type]


def test_what_is_out_of_range_says_so() -> None:
    assert one((101,), u16, PERCENT) == (None, Reason.OUT_OF_RANGE)
    assert one((0xFFFF,), s16, PERCENT) == (None, Reason.OUT_OF_RANGE)
    assert one((100,), u16, PERCENT) == (100.0, None)
    assert one((81,), u16, CELSIUS, high=80) == (None, Reason.OUT_OF_RANGE)
    assert one((5,), u16, invalid=frozenset({5})) == (None, Reason.INVALID)


def test_kinds_decide_the_type() -> None:
    assert isinstance(one((3,), u16, COUNT)[0], int)
    assert isinstance(one((3,), u16, VOLT)[0], float)
    assert one((0x8000, 0x0001), u32, FLAGS) == (0x80000001, None)
    assert one((0x4241, 0x0043), ascii_low_first(2), TEXT) == ("ABC", None)
    assert one((0x0101, 0x0043), ascii_low_first(2), TEXT) == (None, Reason.INVALID)
    assert one((7,), u16, NUMBER, Scale(0.1)) == (1, None)


def test_values_are_rounded_to_the_decimals_of_the_point() -> None:
    assert one((12345,), u16, scale=Scale(0.0001)) == (1.23, None)
    assert one((12345,), u16, scale=Scale(0.0001), decimals=3) == (1.235, None)


def slots_of(image: Image, driver: Driver) -> dict[tuple[Table, int], Slot]:
    slots = [Slot(block, 5.0, 0.0) for block in plan(driver.registers, driver.limits, TCP_COST)]
    image.add(slots)
    return {(slot.block.table, slot.block.address): slot for slot in slots}


def fill(slot: Slot, words: Mapping[int, int]) -> list[int]:
    return [words.get(slot.block.address + index, 0) for index in range(slot.block.count)]


AUTOMATIC_24 = {0x0030: 0b111000, 0x0018: 5700, 0x0032: 6, 0x0033: 5600, 0xE000: 2800}
"""31.3 V in absorption with automatic switches: only the setting tells that the battery is one of 24 V."""


@pytest.mark.parametrize("settings_first", [True, False])
def test_settings_are_right_in_whatever_order_the_multiplier_becomes_known(settings_first: bool) -> None:
    words = {**capture_c(), **AUTOMATIC_24}
    image = Image(TRISTAR)
    slots = slots_of(image, TRISTAR)
    order = [slots[Table.HOLDING, 0xE000], slots[Table.INPUT, 0]]
    for slot in order if settings_first else order[::-1]:
        image.answer(slot, fill(slot, words), 0.0)
    values, _ = image.snapshot()
    assert values["system_multiplier"] == 2
    assert values["stored_absorption_voltage"] == 15.38
    assert values["set_absorption_voltage"] == 30.76


def test_settings_become_invalid_when_the_multiplier_is_lost() -> None:
    words = {**capture_c(), 0xE000: 2621}
    image = Image(TRISTAR)
    slots = slots_of(image, TRISTAR)
    ram, eeprom = slots[Table.INPUT, 0], slots[Table.HOLDING, 0xE000]
    image.answer(eeprom, fill(eeprom, words), 0.0)
    assert image.snapshot()[0]["set_absorption_voltage"] is None
    image.answer(ram, fill(ram, words), 1.0)
    assert image.snapshot()[0]["set_absorption_voltage"] == 14.4
    image.answer(ram, fill(ram, {**words, 0x0018: 5200}), 2.0)
    values, reasons = image.snapshot()
    assert (values["set_absorption_voltage"], reasons["set_absorption_voltage"]) == (None, Reason.INVALID)
    assert values["stored_absorption_voltage"] == 14.4
    image.answer(ram, fill(ram, words), 3.0)
    assert image.snapshot()[0]["set_absorption_voltage"] == 14.4


def test_values_expire_two_periods_after_they_were_read() -> None:
    image = Image(TRISTAR)
    slots = slots_of(image, TRISTAR)
    slots[Table.HOLDING, 0xE080].period = 60.0
    for key in ((Table.INPUT, 0), (Table.HOLDING, 0xE080)):
        image.answer(slots[key], fill(slots[key], capture_c()), 100.0)
    assert image.expires() == 110.0
    assert not image.expire(109.9)
    assert image.expire(110.0)
    values, reasons = image.snapshot()
    assert (values["battery_voltage"], reasons["battery_voltage"]) == (None, Reason.STALE)
    assert (values["pv_power"], reasons["pv_power"]) == (None, Reason.STALE)
    assert values["stored_energy_total"] == 0
    assert image.expires() == 220.0
    assert not image.expire(200.0)
