"""The nominal battery voltage of a TriStar, which has no register for it (tristar.md §2.1, §5.4)."""

import pytest

from devices_stage import TRISTAR, capture_c, decode
from heliobus.model.point import Value
from heliobus.model.reading import Reason

AUTOMATIC, SYSTEM_12, SYSTEM_24, SYSTEM_48 = 0b00, 0b10, 0b01, 0b11
"""Switches 2 and 3 as bits 1 and 2 of the register, shifted down: switch 2 is the lower bit."""
MULTIPLIERS = {SYSTEM_12: 1, SYSTEM_24: 2, SYSTEM_48: 4}
CUSTOM, MPPT, ABSORPTION, FLOAT = 0b111, 5, 6, 7


def count(volts: float) -> int:
    return round(volts * 32768 / 180) & 0xFFFF


def concluded(
    switches: int,
    battery: float,
    *,
    state: int = MPPT,
    target: float = 0.0,
    absorption: float = 14.4,
    float_volts: float = 13.6,
    program: int = CUSTOM,
) -> dict[str, Value]:
    words = {
        0x0030: switches << 1 | program << 3,
        0x0018: count(battery),
        0x0032: state,
        0x0033: count(target),
        0xE000: count(absorption),
        0xE001: count(float_volts),
    }
    values, reasons = decode({**capture_c(), **words})
    known = values["system_multiplier"] is not None
    settings = [name for name in values if name.startswith("set_") and TRISTAR.points()[name].unit in ("V", "V/°C")]
    actual_volts = {"set_fixed_array_voltage"}
    for name in settings:
        assert (values[name] is not None) == (known or name in actual_volts), name
        assert known or name in actual_volts or reasons[name] is Reason.INVALID
    assert (values["nominal_voltage"] is None) != known
    assert isinstance(values["system_voltage_evidence"], str)
    return values


@pytest.mark.parametrize("switches", MULTIPLIERS)
@pytest.mark.parametrize("battery", [12.6, 25.2, 50.4])
def test_switches_that_are_set_decide_unless_the_battery_disagrees(switches: int, battery: float) -> None:
    multiplier = MULTIPLIERS[switches]
    values = concluded(switches, battery)
    if battery / multiplier == 12.6:
        assert (values["system_multiplier"], values["nominal_voltage"]) == (multiplier, 12 * multiplier)
        assert values["system_voltage_evidence"] == "switches 2 and 3"
        assert values["set_absorption_voltage"] == pytest.approx(14.4 * multiplier, abs=0.02)
    else:
        assert values["system_multiplier"] is None
        words = str(values["system_voltage_evidence"])
        assert f"say {12 * multiplier} V" in words and f"reads {battery:.1f} V" in words


@pytest.mark.parametrize("switches", MULTIPLIERS)
@pytest.mark.parametrize("per_12_volts", [7.6, 10.0, 12.6, 15.5, 17.4])
def test_every_plausible_battery_fits_its_switches(switches: int, per_12_volts: float) -> None:
    values = concluded(switches, per_12_volts * MULTIPLIERS[switches])
    assert values["system_multiplier"] == MULTIPLIERS[switches]


@pytest.mark.parametrize("switches", MULTIPLIERS)
@pytest.mark.parametrize("battery", [-0.1, 0.0, 6.9])
def test_an_open_battery_terminal_is_no_contradiction(switches: int, battery: float) -> None:
    assert concluded(switches, battery)["system_multiplier"] == MULTIPLIERS[switches]


@pytest.mark.parametrize(
    ("battery", "multiplier"),
    [
        (0.0, None),
        (7.9, None),
        (8.1, 1),
        (12.6, 1),
        (16.4, 1),
        (17.5, None),
        (19.1, 2),
        (25.2, 2),
        (29.9, 2),
        # From here it may be a bank of 36 V.
        (31.0, None),
        (37.8, None),
        (45.0, None),
        (49.9, None),
        (50.4, 4),
        (65.9, 4),
        (75.6, None),
    ],
)
def test_automatic_switches_leave_it_to_the_battery_where_that_is_clear(battery: float, multiplier: int | None) -> None:
    values = concluded(AUTOMATIC, battery)
    assert values["system_multiplier"] == multiplier
    words = str(values["system_voltage_evidence"])
    assert words.startswith("switches 2 and 3 are automatic")
    assert multiplier is not None or "more than one system or none" in words


@pytest.mark.parametrize("state", [ABSORPTION, FLOAT])
@pytest.mark.parametrize("multiplier", [1, 2, 4])
@pytest.mark.parametrize("compensation", [-0.05, 0.0, 0.05])
def test_what_the_charger_regulates_to_tells(state: int, multiplier: int, compensation: float) -> None:
    target = (14.4 if state == ABSORPTION else 13.6) * multiplier * (1 + compensation)
    values = concluded(AUTOMATIC, target, state=state, target=target)
    assert values["system_multiplier"] == multiplier
    assert "target voltage" in str(values["system_voltage_evidence"])


def test_the_target_decides_where_the_battery_alone_could_not() -> None:
    values = concluded(AUTOMATIC, 31.2, state=ABSORPTION, target=31.2, absorption=15.4)
    assert values["system_multiplier"] == 2


def test_a_target_that_contradicts_the_battery_gives_nothing() -> None:
    values = concluded(AUTOMATIC, 13.0, state=ABSORPTION, target=28.8)
    assert values["system_multiplier"] is None
    assert "24 V system, but the battery reads 13.0 V" in str(values["system_voltage_evidence"])


@pytest.mark.parametrize(
    "more",
    [
        {"state": MPPT, "target": 57.6},
        {"state": ABSORPTION, "target": 57.6, "program": 0b011},
        {"state": ABSORPTION, "target": 0.0},
        {"state": ABSORPTION, "target": 57.6, "absorption": 0.0},
        {"state": FLOAT, "target": 40.8},
    ],
)
def test_a_target_that_says_nothing_is_not_asked(more: dict[str, float]) -> None:
    """Not regulating, no custom program, no target or setting, or one of 36 V."""
    values = concluded(AUTOMATIC, 13.0, **more)  # type: ignore[arg-type]
    assert values["system_multiplier"] == 1
    assert "battery reads" in str(values["system_voltage_evidence"])


@pytest.mark.parametrize("v_pu", [78, 123, 180])
def test_the_system_voltage_never_follows_from_the_scaling(v_pu: int) -> None:
    """tristar.md §12: every 150 V unit has V_PU 180, whatever its battery."""
    battery = round(25.2 * 32768 / v_pu)
    values, _ = decode({**capture_c(), 0x0000: v_pu, 0x0018: battery, 0x0030: SYSTEM_24 << 1})
    assert values["nominal_voltage"] == 24


def test_live_voltages_are_never_multiplied() -> None:
    values = concluded(SYSTEM_24, 25.2, target=28.4)
    assert values["battery_voltage"] == pytest.approx(25.2, abs=0.01)
    assert values["target_voltage"] == pytest.approx(28.4, abs=0.01)
    assert values["stored_absorption_voltage"] == pytest.approx(14.4, abs=0.01)
