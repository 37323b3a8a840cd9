"""The states, bits and faults of an EPever charger, and what follows from them (epever.md §7, §8.3, §8.4, §16)."""

import pytest

from epever_stage import TRACER, with_words
from heliobus.model.point import Value
from heliobus.model.vocabulary import CHARGER_STATES

# The recorded charger: 12 V, sealed, boost 14.40 V, float 13.80 V, 3 mV/°C/2V, no probe.
BOOST, FLOAT, EQUALIZE, STANDBY = 0x0009, 0x0005, 0x000D, 0x0001
DAY = {0x200C: 0}


def values(words: dict[int, int] | None = None, night: int = 0, hot: int = 0) -> dict[str, Value]:
    return with_words(words or {}, {0x2000: hot, 0x200C: night})


def text(name: str, value: Value) -> str:
    return TRACER.points()[name].text(value)


@pytest.mark.parametrize(
    ("word", "volts", "state", "mode"),
    [
        (0x0001, 12.9, "off", 0),
        (0x4001, 12.9, "off", 0),
        (0x0000, 12.9, "off", 0),
        (BOOST, 13.0, "bulk", 2),
        (BOOST, 14.29, "bulk", 2),
        (BOOST, 14.3, "absorption", 1),
        (BOOST, 14.4, "absorption", 1),
        (FLOAT, 13.8, "float", 1),
        (FLOAT, 13.2, "float", 2),
        (EQUALIZE, 14.6, "equalize", 1),
        (EQUALIZE, 14.0, "equalize", 2),
    ],
)
def test_stage_and_voltage_tell_the_state(word: int, volts: float, state: str, mode: int) -> None:
    now = values({0x3201: word, 0x3104: round(100 * volts)})
    assert now["charger_state"] == next(number for number, name in CHARGER_STATES.items() if name == state)
    assert now["mpp_mode"] == mode


def test_the_d1_bit_alone_is_no_fault() -> None:
    """0x000B and 0x0007 are read for hours while all is well."""
    for word, state in ((0x000B, 3), (0x0007, 5), (0x0003, 0)):
        now = values({0x3201: word, 0x3104: 1300})
        assert now["charger_state"] == state
        assert (now["charger_error"], now["error_ids"], now["fault_text"]) == (0, "", "")
        assert (now["general_alarm"], now["short_circuit_alarm"]) == (0, 0)
        assert now["charging_status"] == word


def test_boost_is_compensated_with_the_temperature_of_a_real_probe() -> None:
    cold = {0x3201: BOOST, 0x3110: 0x0000, 0x331D: 10}
    # 25 °C below: 25 · 0.018 V more.
    assert values({**cold, 0x3104: 1455})["charger_state"] == 3
    now = values({**cold, 0x3104: 1475})
    assert (now["charger_state"], now["target_voltage"]) == (4, 14.85)
    warm = values({0x3201: BOOST, 0x3110: 3500, 0x3104: 1412})
    assert (warm["charger_state"], warm["target_voltage"]) == (4, 14.22)
    lithium = values({**cold, 0x9000: 4, 0x3104: 1432})
    assert (lithium["charger_state"], lithium["target_voltage"]) == (4, 14.4)
    none = values({0x3201: BOOST, 0x3104: 1440})
    assert (none["battery_temperature"], none["target_voltage"]) == (None, 14.4)


def test_the_tolerance_grows_with_the_system_voltage() -> None:
    system = {0x311D: 2400, 0x3004: 2400, **{0x9003 + at: word for at, word in enumerate(VOLTAGES_24)}}
    assert values({**system, 0x3201: BOOST, 0x3104: 2859})["charger_state"] == 3
    now = values({**system, 0x3201: BOOST, 0x3104: 2860})
    assert (now["charger_state"], now["nominal_voltage"], now["settings_convention"]) == (4, 24, 1)


VOLTAGES_24 = (3200, 3000, 3000, 2920, 2880, 2760, 2640, 2520, 2440, 2400, 2220, 2120)
VOLTAGES_12 = tuple(word // 2 for word in VOLTAGES_24)


@pytest.mark.parametrize(
    ("nominal", "float_voltage", "convention", "ratio"),
    [
        (12, 1380, "of the actual battery", 1.15),
        (24, 2760, "of the actual battery", 1.15),
        (36, 4140, "of the actual battery", 1.15),
        (48, 5520, "of the actual battery", 1.15),
        (48, 5280, "of the actual battery", 1.1),
        (24, 1380, "for 12 V", 0.575),
        (48, 1380, "for 12 V", 0.288),
        (24, 2000, "unclear", 0.833),
        (48, 2760, "unclear", 0.575),
    ],
)
def test_for_which_battery_voltages_are_stored(nominal: int, float_voltage: int, convention: str, ratio: float) -> None:
    now = values({0x311D: 100 * nominal, 0x3104: 108 * nominal, 0x9008: float_voltage})
    assert text("settings_convention", now["settings_convention"]) == convention
    assert now["settings_ratio"] == ratio


def test_voltages_stored_for_12_v_are_not_taken_for_those_of_the_battery() -> None:
    words = {0x311D: 2400, **{0x9003 + at: word for at, word in enumerate(VOLTAGES_12)}, 0x3201: BOOST}
    assert values({**words, 0x3104: 2600})["charger_state"] == 3
    assert values({**words, 0x3104: 2880})["charger_state"] == 4
    assert values({**words, 0x9008: 2000, 0x3104: 2880})["charger_state"] == 3, "unclear"


@pytest.mark.parametrize(("code", "volts"), [(1, 12), (2, 24), (4, 48), (9, 240), (0, None), (10, None)])
def test_the_chosen_system_voltage_counts_where_none_was_found(code: int, volts: int | None) -> None:
    assert values({0x311D: 0, 0x9067: code})["nominal_voltage"] == volts
    assert values({0x311D: 4800, 0x3104: 5000, 0x9067: code})["nominal_voltage"] == 48


@pytest.mark.parametrize(
    ("first", "second", "temperature"),
    [
        (2500, 2500, None),
        (2500, 2512, 25.0),
        (2500, 0, None),
        (2500, 6000, None),
        (2501, 2500, 25.01),
        (0xFF38, 2500, -2.0),
        (3005, 3000, 30.05),
    ],
)
def test_exactly_25_degrees_are_believed_only_from_a_probe_that_also_said_something_else(
    first: int, second: int, temperature: float | None
) -> None:
    now = values({0x3110: first, 0x331D: second})
    assert now["battery_temperature"] == temperature


def test_sensors_that_are_not_there_say_nothing() -> None:
    for word in (0, 2500):
        assert values({0x311B: word})["remote_temperature"] is None
    assert values({0x331E: 2500})["ambient_temperature"] is None
    assert values({0x311B: 2600, 0x331E: 1})["remote_temperature"] == 26.0


# Word, where, number of the error, ids, state is a fault, words.
FAULTS = [
    (0x3200, 0x0010, 1, "epever:e-1", False, "battery: over-temperature"),
    (0x3200, 0x0001, 2, "epever:e-2", False, "battery: over-voltage"),
    (0x3200, 0x0002, 0, "", False, "battery: under-voltage"),
    (0x3200, 0x0003, 0, "", False, "battery: low-voltage disconnect"),
    (0x3200, 0x0004, 0, "", True, "battery: fault"),
    (0x3200, 0x0020, 0, "", False, "battery: under-temperature"),
    (0x3200, 0x0100, 0, "", False, "battery: internal resistance abnormal"),
    (0x3200, 0x8000, 119, "epever:e-119", True, "battery: rated voltage wrongly identified"),
    (0x3201, 0x0010, 28, "epever:e-28", True, "charger: PV input short circuit"),
    (0x3201, 0x0040, 28, "epever:e-28", True, "charger: three-circuit disequilibrium"),
    (0x3201, 0x0080, 0, "", False, "charger: load MOSFET short circuit"),
    (0x3201, 0x0100, 0, "epever:e-8", False, "charger: load short circuit"),
    (0x3201, 0x0200, 0, "epever:w-9", False, "charger: load over-current"),
    (0x3201, 0x0400, 34, "epever:e-34", False, "charger: input over-current"),
    (0x3201, 0x0800, 28, "epever:e-28", True, "charger: anti-reverse MOSFET short circuit"),
    (0x3201, 0x1000, 28, "epever:e-28", True, "charger: charging or anti-reverse MOSFET open"),
    (0x3201, 0x2000, 28, "epever:e-28", True, "charger: charging MOSFET short circuit"),
    (0x3201, 0x8000, 33, "epever:e-33", True, "array: input voltage high"),
    (0x3201, 0xC000, 0, "", True, "array: input voltage error"),
    (0x3202, 0x0010, 0, "", False, "load: output over-voltage"),
    (0x3202, 0x0020, 0, "", False, "load: boost over-voltage"),
    (0x3202, 0x0040, 0, "", False, "load: short circuit on the high-voltage side"),
    (0x3202, 0x0080, 0, "", False, "load: input over-voltage"),
    (0x3202, 0x0100, 0, "", False, "load: output voltage abnormal"),
    (0x3202, 0x0200, 0, "", False, "load: unable to stop discharging"),
    (0x3202, 0x0400, 0, "", False, "load: unable to discharge"),
    (0x3202, 0x0800, 0, "epever:e-8", False, "load: short circuit"),
    (0x3202, 0x3000, 0, "epever:w-9", False, "load: overload"),
]


@pytest.mark.parametrize(("address", "word", "number", "ids", "fault", "words"), FAULTS)
def test_every_fault_has_its_number_its_id_and_its_words(
    address: int, word: int, number: int, ids: str, fault: bool, words: str
) -> None:
    now = values({0x3201: STANDBY, 0x3202: 1, address: word})
    assert (now["charger_error"], now["error_ids"], now["fault_text"]) == (number, ids, words)
    assert (now["charger_state"] == 2) is fault
    assert now["general_alarm"] == (2 if fault else 0 if words.startswith("battery: ") and word < 0x100 else 1)
    assert now["short_circuit_alarm"] == (2 if ids == "epever:e-8" else 0)
    assert now["high_voltage_alarm"] == (2 if word == 1 else 0)
    assert now["low_voltage_alarm"] == ({2: 1, 3: 2}.get(word, 0) if address == 0x3200 else 0)
    assert now["low_temperature_alarm"] == (2 if (address, word) == (0x3200, 0x20) else 0)
    assert now["high_temperature"] == (2 if (address, word) == (0x3200, 0x10) else 0)


def test_several_faults_are_all_told_and_the_most_severe_counts() -> None:
    now = values({0x3200: 0x8011, 0x3201: 0x2400, 0x3202: 0x3800}, hot=1)
    assert now["charger_error"] == 28
    assert now["error_ids"] == (
        "epever:e-28,epever:e-119,epever:e-34,epever:e-2,epever:e-1,epever:e-17,epever:e-8,epever:w-9"
    )
    assert str(now["fault_text"]).count(";") == 7
    assert values({0x3201: 0x0301}, hot=1)["error_ids"] == "epever:e-17,epever:e-8,epever:w-9"


def test_a_charger_that_is_too_hot_says_so() -> None:
    now = values({0x3201: STANDBY}, hot=1)
    assert (now["charger_error"], now["error_ids"], now["high_temperature"]) == (17, "epever:e-17", 2)
    assert (now["fault_text"], now["charger_state"]) == ("charger: over-temperature", 0)


@pytest.mark.parametrize(
    ("words", "night", "hot", "reason"),
    [
        ({0x3201: 0x0001}, 1, 0, "no input power"),
        ({0x3201: 0x4001}, 0, 0, "no input power"),
        ({0x3201: BOOST}, 1, 0, "none"),
        ({0x3201: 0x0001}, 0, 0, "none"),
        ({0x3201: 0x0001, 0x3200: 1}, 0, 0, "protection"),
        ({0x3201: 0x0001}, 0, 1, "protection"),
        ({0x3201: 0x2001}, 0, 0, "protection"),
        ({0x3201: 0x4001, 0x3200: 0x10}, 1, 0, "no input power, protection"),
    ],
)
def test_why_it_does_not_charge(words: dict[int, int], night: int, hot: int, reason: str) -> None:
    assert text("off_reason", values(words, night, hot)["off_reason"]) == reason


def test_a_battery_that_is_too_cold_stops_the_charger() -> None:
    assert values({0x3201: 0x0001, 0x3200: 0x20})["off_reason"] == 0x200


def test_the_load_is_on_when_the_status_says_so_whatever_was_asked() -> None:
    now = with_words({0x3202: 0x0000}, {0x0002: 1, 0x200C: 0})
    assert (now["load_state"], now["load_enabled"]) == (0, 1)
    now = with_words({0x3202: 0x1001}, {0x0002: 0, 0x200C: 0})
    assert (now["load_state"], now["load_enabled"], text("load_level", now["load_level"])) == (1, 0, "moderate")


@pytest.mark.parametrize(
    "words",
    [
        (0x3C00, 0x0101, 0x0F01),
        (0x0000, 0x0018, 0x0F01),
        (0x0000, 0x0000, 0x0F01),
        (0, 0x1F00, 0x0F02),
        (0, 0x0100, 13),
    ],
)
def test_an_impossible_date_is_no_date(words: tuple[int, int, int]) -> None:
    assert values({0x9013 + at: word for at, word in enumerate(words)})["device_clock"] is None


def test_a_date_of_the_clock() -> None:
    assert values({0x9013: 0x1A1B, 0x9014: 0x180B, 0x9015: 0x1002})["device_clock"] == "2016-02-24 11:26:27"


def test_without_status_words_nothing_is_concluded() -> None:
    from epever_stage import recorded, understood

    tables = recorded()
    for address in (0x3200, 0x3201, 0x3202):
        del tables[4][address]
    now, reasons = understood(tables)
    for name in (
        "charger_state",
        "charger_error",
        "error_ids",
        "general_alarm",
        "fault_text",
        "off_reason",
        "mpp_mode",
    ):
        assert now[name] is None and name in reasons
