"""The TriStar's bits, states and lights in words, and what follows from them (tristar.md §5, §9.1)."""

import pytest

from devices_stage import TRISTAR, capture_c, decode, tristar
from heliobus.devices.morningstar.derive import ALARM_ERRORS, FAULT_ERRORS
from heliobus.model.point import Value
from heliobus.model.vocabulary import CHARGER_ERRORS, CHARGER_STATES

FAULTS = (
    "overcurrent",
    "FETs shorted",
    "software bug",
    "battery high voltage disconnect",
    "array high voltage disconnect",
    "settings switch changed",
    "custom settings edit",
    "RTS shorted",
    "RTS disconnected",
    "EEPROM retry limit",
    "controller was reset by software",
    "slave control timeout",
    "fault 13",
    "fault 14",
    "fault 15",
    "fault 16",
)
ALARMS = (
    "RTS open",
    "RTS shorted",
    "RTS disconnected",
    "heatsink sensor open",
    "heatsink sensor shorted",
    "high temperature current limit",
    "current limit",
    "current offset",
    "battery sense out of range",
    "battery sense disconnected",
    "uncalibrated",
    "RTS miswire",
    "high voltage disconnect",
    "alarm 14",
    "system miswire",
    "MOSFET open",
    "P12 voltage off",
    "high input voltage current limit",
    "ADC input max",
    "controller was reset",
    "alarm 21",
    "alarm 22",
    "alarm 23",
    "alarm 24",
)
FLAGS = (
    "reset detected",
    "equalize triggered",
    "entered float",
    "an alarm occurred",
    "a fault occurred",
)
# State: name, charger_state, mpp_mode, off_reason.
STATES = {
    0: ("START", 0, 0, "analysing input"),
    1: ("NIGHT_CHECK", 0, 0, "no input power"),
    2: ("DISCONNECT", 0, 0, "protection"),
    3: ("NIGHT", 0, 0, "no input power"),
    4: ("FAULT", 2, 0, "protection"),
    5: ("MPPT", 3, 2, "none"),
    6: ("ABSORPTION", 4, 1, "none"),
    7: ("FLOAT", 5, 1, "none"),
    8: ("EQUALIZE", 7, 1, "none"),
    9: ("SLAVE", 252, 1, "none"),
    10: ("FIXED", 3, 1, "none"),
    11: ("unknown (11)", 0, 0, "none"),
    65535: ("unknown (65535)", 0, 0, "none"),
}
ERRORS_OF_FAULTS = {0: 18, 1: 28, 2: 28, 3: 2, 4: 33, 5: 119, 6: 119, 7: 3, 8: 5, 9: 116, 11: 67}


def values(words: dict[int, int]) -> dict[str, Value]:
    return decode({**capture_c(), **words})[0]


def text(name: str, value: Value) -> str:
    return TRISTAR.points()[name].text(value)


def high_low(bit: int) -> tuple[int, int]:
    return (1 << bit) >> 16, (1 << bit) & 0xFFFF


@pytest.mark.parametrize("bit", range(16))
def test_every_fault_has_its_word(bit: int) -> None:
    now = values({0x002C: 1 << bit, 0x0049: 1 << bit})
    assert text("faults", now["faults"]) == text("day_faults", now["day_faults"]) == FAULTS[bit]
    assert now["fault_text"] == f"fault: {FAULTS[bit]}"
    assert now["charger_error"] == ERRORS_OF_FAULTS.get(bit, 0)
    assert now["general_alarm"] == 2
    assert now["high_voltage_alarm"] == (2 if bit == 3 else 0)
    assert now["short_circuit_alarm"] == (2 if bit == 1 else 0)


@pytest.mark.parametrize("bit", range(24))
def test_every_alarm_has_its_word(bit: int) -> None:
    high, low = high_low(bit)
    now = values({0x002E: high, 0x002F: low, 0x004B: high, 0x004C: low})
    assert text("alarms", now["alarms"]) == text("day_alarms", now["day_alarms"]) == ALARMS[bit]
    # An open RTS is normal where there is none.
    assert now["fault_text"] == ("" if bit == 0 else f"alarm: {ALARMS[bit]}")
    assert now["high_temperature"] == (1 if bit == 5 else 0)
    assert now["high_voltage_alarm"] == (2 if bit == 12 else 0)
    assert now["general_alarm"] == 0


def test_an_alarm_bit_beyond_the_document_is_named_by_its_number() -> None:
    assert text("alarms", values({0x002E: 0x8000})["alarms"]) == "bit 31"


def test_several_faults_and_alarms_are_all_told_and_the_most_severe_counts() -> None:
    now = values({0x002C: 1 << 1 | 1 << 5, 0x002F: 1 << 0 | 1 << 6})
    assert now["fault_text"] == "fault: FETs shorted; fault: settings switch changed; alarm: current limit"
    assert now["charger_error"] == 28
    assert values({0x002C: 1 << 5, 0x002F: 1 << 12})["charger_error"] == 119


@pytest.mark.parametrize("bit", range(5))
def test_every_flag_of_the_day_has_its_word(bit: int) -> None:
    assert text("day_flags", values({0x0045: 1 << bit})["day_flags"]) == FLAGS[bit]


@pytest.mark.parametrize("bit", range(8))
def test_every_switch_has_its_number(bit: int) -> None:
    assert text("dip_switches", values({0x0030: 1 << bit})["dip_switches"]) == f"switch {bit + 1}"


@pytest.mark.parametrize("state", range(20))
def test_every_light_has_its_word(state: int) -> None:
    word = text("led_state", values({0x0031: state})["led_state"])
    colours = {3: "green, fast", 4: "green, slow", 5: "green, blink", 6: "green", 8: "yellow", 10: "red, b", 11: "red"}
    assert word.startswith(colours.get(state, word[:3]))
    assert "unknown" not in word
    assert len({text("led_state", each) for each in range(20)}) == 20


@pytest.mark.parametrize("state", STATES)
def test_every_charge_state(state: int) -> None:
    name, charger_state, mpp_mode, off_reason = STATES[state]
    now = values({0x0032: state})
    assert text("charge_state", now["charge_state"]) == name
    assert (now["charger_state"], now["mpp_mode"]) == (charger_state, mpp_mode)
    assert text("off_reason", now["off_reason"]) == off_reason


@pytest.mark.parametrize("bit", [5, 6, 17])
def test_a_limited_tracker_says_so(bit: int) -> None:
    high, low = high_low(bit)
    assert values({0x0032: 5, 0x002E: high, 0x002F: low})["mpp_mode"] == 1


@pytest.mark.parametrize(
    ("switches", "program"),
    [(0b000, "preset 000"), (0b001, "preset 100"), (0b010, "preset 010"), (0b100, "preset 001"), (0b111, "custom")],
)
def test_the_battery_program_is_written_as_switches_4_5_6(switches: int, program: str) -> None:
    """Switch 4 is bit 3 and the left digit of the manual's table."""
    assert text("battery_program", values({0x0030: switches << 3})["battery_program"]) == program


@pytest.mark.parametrize(("word", "equalize", "writes"), [(0x40, 1, 0), (0x80, 0, 1), (0xC0, 1, 1), (0, 0, 0)])
def test_switches_7_and_8(word: int, equalize: int, writes: int) -> None:
    now = values({0x0030: word})
    assert (now["auto_equalize"], now["network_writes"]) == (equalize, writes)


@pytest.mark.parametrize(("model", "name", "rating"), [(0, "45", 45), (1, "60", 60), (2, "30", 30), (3, None, None)])
def test_the_model_gives_the_rating(model: int, name: str | None, rating: int | None) -> None:
    now = values({0xE0CC: model})
    assert now["rated_current"] == rating
    if name:
        assert text("model_number", now["model_number"]) == f"TriStar MPPT {name}"


@pytest.mark.parametrize("bits", [0, 0b001, 0b100, 0b101, 0b010])
def test_the_coils(bits: int) -> None:
    from devices_stage import alone, memory
    from heliobus.sim.virtual_time import run_virtual

    async def read() -> dict[str, Value]:
        device = tristar({0x0032: 2}, coils={index: bool(bits >> index & 1) for index in range(3)})
        async with alone(memory(device)) as ear:
            return dict((await ear.first()).values)

    now = run_virtual(read())
    disconnected = bits >> 2 & 1
    assert now["equalize_requested"] == bits & 1
    assert (now["charge_disconnect"], now["charger_enabled"]) == (disconnected, 1 - disconnected)
    assert text("off_reason", now["off_reason"]) == ("mode register" if disconnected else "protection")


def test_numbers_of_states_and_errors_have_words() -> None:
    assert {state for _, state, _, _ in STATES.values()} <= set(CHARGER_STATES)
    assert set(FAULT_ERRORS.values()) <= set(CHARGER_ERRORS)
    assert dict(FAULT_ERRORS) == ERRORS_OF_FAULTS
    assert all(error > 0 for error in ALARM_ERRORS.values())
