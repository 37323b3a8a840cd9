"""Values to words: the worked examples of tristar.md §2, and the way back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices_stage import TRISTAR
from heliobus.devices.driver import Register
from heliobus.devices.encode import decode, encode
from heliobus.devices.morningstar import points as ts
from heliobus.model.point import Value

ON_12, ON_24, ON_48 = ({ts.SYSTEM_MULTIPLIER.name: n, ts.VOLTAGE_SCALING.name: 180.0} for n in (1, 2, 4))
FACTORS = {**ON_24, ts.CURRENT_SCALING.name: 80.0}
assert TRISTAR.writes is not None
WRITABLE = TRISTAR.writes.registers()
EVERY = pytest.mark.parametrize("register", WRITABLE, ids=lambda register: register.point.name)


def at(address: int) -> Register:
    return next(register for register in WRITABLE if register.address == address)


def count(register: Register, factors: dict[str, Value]) -> float:
    """What one count is worth, by the same table; its sign is the scale's."""
    size = register.scale.constant
    for name in register.scale.factors:
        size *= float(factors[name] or 0)
    return size


@pytest.mark.parametrize(
    ("address", "value", "factors", "word"),
    [
        (0xE000, 28.8, ON_24, 0x0A3D),
        (0xE000, 14.4, ON_12, 0x0A3D),
        (0xE000, 57.6, ON_48, 0x0A3D),
        (0x0059, 14.34, ON_12, 0x0A33),
        # What slave control imposes is the battery's own voltage, whatever the system.
        (0x0059, 14.34, ON_48, 0x0A33),
        (0x0058, 32.0, {}, 0x3333),
        # 0.03 V/°C for 12 V, stored without the minus that it is published with.
        (0xE00D, -0.03, ON_12, 11),
        (0xE00D, -0.06, ON_24, 11),
        (0xE011, -10.0, {}, 0xFFF6),
        (0xE002, 9000.0, {}, 9000),
        (0xE00E, 0.0, ON_24, 0),
    ],
)
def test_worked_examples(address: int, value: float, factors: dict[str, Value], word: int) -> None:
    assert encode(at(address), value, {ts.VOLTAGE_SCALING.name: 180.0, ts.CURRENT_SCALING.name: 80.0} | factors) == word


def test_the_worked_examples_read_back() -> None:
    # 2621 counts are 28.795 V, a word that 28.79 and 28.8 both stand for.
    assert decode(at(0xE000), 0x0A3D, FACTORS) in (28.79, 28.8)
    assert decode(at(0xE00D), 11, ON_12 | FACTORS | ON_12) == pytest.approx(-0.0302, abs=5e-5)
    assert decode(at(0x0058), 0x3333, FACTORS) == pytest.approx(32.0, abs=0.005)


@EVERY
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e9, -1e9, 1e300])
def test_what_no_register_holds_is_refused(register: Register, value: float) -> None:
    with pytest.raises(ValueError, match=register.point.name):
        encode(register, value, FACTORS)


@EVERY
def test_without_its_factors_nothing_is_encoded(register: Register) -> None:
    for missing in register.scale.factors:
        for unknown in (None, 0, "24", math.nan):
            with pytest.raises(ValueError, match=register.point.name):
                encode(register, 1.0 if register.scale.constant > 0 else -0.01, {**FACTORS, missing: unknown})
    if not register.scale.factors:
        encode(register, 1.0, {})


def test_too_much_for_the_register_but_not_for_the_point() -> None:
    # 180 V is 32768 counts, one too many for a signed word.
    with pytest.raises(ValueError, match="slave_voltage"):
        encode(at(0x0059), 180.0, FACTORS)
    assert encode(at(0x0059), 179.99, FACTORS) == 0x7FFE
    with pytest.raises(ValueError, match="set_absorption_time"):
        encode(at(0xE002), 65536, FACTORS)


def test_what_is_not_encoded_is_said() -> None:
    register = next(each for each in TRISTAR.registers if each.point is ts.IP_ADDRESS)
    with pytest.raises(ValueError, match="cannot be written"):
        encode(register, 1.0, FACTORS)


@given(st.sampled_from(WRITABLE), st.integers(0, 0xFFFF))
def test_every_word_that_decodes_is_found_again(register: Register, word: int) -> None:
    raw = register.coding.decode((word,))
    value = decode(register, word, FACTORS)
    if value is None:
        return
    exact = float(raw) * count(register, FACTORS)  # type: ignore[arg-type]
    assert encode(register, exact, FACTORS) == word
    # What is shown is rounded to the point's decimals, and no more.
    assert abs(float(value) - exact) <= 0.5 * 10**-register.point.decimals + 1e-9


@given(st.sampled_from(WRITABLE), st.floats(-200, 70_000), st.sampled_from((ON_12, ON_24, ON_48)))
def test_what_is_encoded_comes_back_within_half_a_count(
    register: Register, value: float, system: dict[str, Value]
) -> None:
    factors = FACTORS | system
    try:
        word = encode(register, value, factors)
    except ValueError:
        return
    assert 0 <= word <= 0xFFFF
    size = count(register, factors)
    raw = register.coding.decode((word,))
    assert isinstance(raw, int | float)
    assert abs(raw * size - value) <= abs(size) / 2 * (1 + 1e-9)
    shown = decode(register, word, factors)
    assert isinstance(shown, int | float)
    assert abs(shown - value) <= abs(size) / 2 + 0.5 * 10**-register.point.decimals + 1e-9
