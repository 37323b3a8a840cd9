"""Charge settings as values and words, what differs, and whether they fit."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_stage import DRIVER, OPTIONS, Rig
from heliobus.control.checks import problems, system_refusal
from heliobus.control.settings import changes, malformed, stored, value_of, values_of
from heliobus.devices.writes import Eeprom
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import run_virtual


def eeprom() -> Eeprom:
    writes = DRIVER.writes
    assert writes is not None
    assert writes.eeprom is not None
    return writes.eeprom


EEPROM = eeprom()


def factors(system: int = 24) -> dict[str, Value]:
    return {"voltage_scaling": 180.0, "current_scaling": 80.0, "system_multiplier": system // 12}


def factory(system: int = 24) -> dict[str, int]:
    words = SimTriStar(system=system).eeprom
    return {register.point.name: words[register.address] for register in EEPROM.registers}


def options(**others: object) -> ControlOptions:
    return replace(OPTIONS, **others)  # type: ignore[arg-type]


def judge(wanted: Mapping[str, float], system: int = 24, **others: object) -> tuple[str, ...]:
    """What speaks against `wanted` on a charger as it left the factory."""
    held = factory(system)
    planned = changes(EEPROM, held, wanted, factors(system))
    after = held | {each.register.point.name: each.new_word for each in planned}
    touched = {each.register.point.name: wanted[each.register.point.name] for each in planned}
    return problems(
        EEPROM, values_of(EEPROM, after, factors(system)), touched, options(system_voltage=system, **others)
    )


def test_the_worked_examples_of_the_reference() -> None:
    (change,) = changes(EEPROM, factory() | {"set_absorption_voltage": 0}, {"set_absorption_voltage": 28.8}, factors())
    assert (change.old_word, change.new_word) == (0, 0x0A3D)
    assert change.new == pytest.approx(28.795, abs=0.001)
    (change,) = changes(
        EEPROM, factory(12) | {"set_temperature_compensation": 0}, {"set_temperature_compensation": -0.03}, factors(12)
    )
    assert change.new_word == 11
    assert change.old == 0


def test_a_value_applied_twice_changes_nothing_the_second_time() -> None:
    held = factory()
    (change,) = changes(EEPROM, held, {"set_absorption_voltage": 27.9}, factors())
    held["set_absorption_voltage"] = change.new_word
    assert changes(EEPROM, held, {"set_absorption_voltage": 27.9}, factors()) == ()


@given(st.sampled_from([12, 24, 48]), st.integers(0, 0x7FFF), st.data())
def test_a_stored_value_finds_its_own_word_again(system: int, word: int, data: st.DataObject) -> None:
    register = data.draw(st.sampled_from(EEPROM.registers))
    if register.point.name.startswith("set_compensation"):
        word %= 80
    if register.point.name == "set_temperature_compensation":
        word %= 0x40
    value = value_of(register, word, factors(system))
    assert isinstance(value, int | float)
    held = factory(system) | {register.point.name: word}
    assert changes(EEPROM, held, {register.point.name: value}, factors(system)) == ()


def test_values_that_no_word_stands_for_are_refused() -> None:
    for value in (1000.0, -500.0, 70000.0):
        with pytest.raises(ValueError, match="set_absorption"):
            changes(EEPROM, factory(), {"set_absorption_time": value, "set_absorption_voltage": value}, factors())
    with pytest.raises(ValueError, match="voltage_scaling is not known"):
        changes(EEPROM, factory(), {"set_absorption_voltage": 28.0}, {})


def test_everything_stored_is_told_with_its_place() -> None:
    everything = stored(EEPROM, factory(), factors())
    assert len(everything) == len(EEPROM.registers) == 23
    absorption = everything[0]
    assert (absorption.place, absorption.word, absorption.value) == (
        "register 0xE000",
        2621,
        pytest.approx(28.795, abs=0.001),
    )


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "there is no setting to change"),
        ({"set_absorbtion_voltage": 28.0}, "did you mean set_absorption_voltage?"),
        ({"xyz": 1.0}, "there are set_absorption_voltage, "),
        ({"set_modbus_unit": 2}, "there is no setting 'set_modbus_unit'"),
        ({"set_fixed_array_voltage": 20.0}, "there is no setting 'set_fixed_array_voltage'"),
        ({"set_float_voltage": "27"}, "set_float_voltage takes a number in V, not '27'"),
        ({"set_float_voltage": None}, "not None"),
        ({"set_float_voltage": True}, "not True"),
        ({"set_float_voltage": float("nan")}, "not nan"),
        ({"set_float_voltage": float("inf")}, "not inf"),
        ({"set_float_voltage": [27.0]}, r"not [27.0]"),
    ],
)
def test_what_is_malformed_is_said_with_a_hint(wanted: Mapping[str, object], words: str) -> None:
    (said,) = malformed(EEPROM, wanted)
    assert words in said


def test_good_settings_are_not_disputed() -> None:
    assert malformed(EEPROM, {"set_float_voltage": 27}) == ()
    assert judge({"set_absorption_voltage": 28.4, "set_float_voltage": 27.0, "set_equalize_voltage": 0}) == ()
    assert judge({"set_absorption_voltage": 14.6, "set_float_voltage": 0.0}, 12) == ()
    assert judge({"set_absorption_voltage": 57.6, "set_equalize_voltage": 62.0}, 48) == ()
    assert judge({}) == ()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            {"set_float_voltage": 28.9, "set_absorption_voltage": 28.4},
            "float voltage 28.9 V must be below absorption voltage 28.4 V",
        ),
        ({"set_float_voltage": 28.8}, "float voltage 28.8 V must be below absorption voltage 28.8 V"),
        ({"set_absorption_voltage": 30.5}, "absorption voltage 30.5 V must not be above equalize voltage 30.2 V"),
        ({"set_hvd_voltage": 28.0}, "absorption voltage 28.8 V must be below hvd voltage 28 V"),
        ({"set_hvd_voltage": 30.0}, "equalize voltage 30.2 V must be below hvd voltage 30 V"),
        ({"set_hvd_reconnect_voltage": 32.5}, "hvd reconnect voltage 32.5 V must be below hvd voltage 32.4 V"),
        ({"set_voltage_limit": 28.0}, "absorption voltage 28.8 V must not be above voltage limit 28 V"),
        ({"set_float_cancel_voltage": 27.0}, "float cancel voltage 27 V must be below float voltage 26.8 V"),
        ({"set_absorption_extension_voltage": 27.0}, "must be below float voltage 26.8 V"),
        ({"set_compensation_min": 30, "set_compensation_max": 20}, "compensation min 30 °C must be below"),
        ({"set_led_yellow_voltage": 26.0}, "led yellow voltage 26 V must not be above led green yellow voltage"),
        ({"set_absorption_voltage": 36.0}, "not within 20 V to 33 V, the limits of chemistry flooded at 24 V"),
        ({"set_absorption_voltage": 14.4}, "absorption voltage 14.4 V is not within 20 V to 33 V"),
        ({"set_absorption_voltage": 0.0}, "absorption voltage 0 V is not within"),
        ({"set_float_voltage": 13.4}, "float voltage 13.4 V is not within"),
        ({"set_hvd_voltage": 37.0}, "hvd voltage 37 V is above 36.3 V, 1.1 times the highest voltage of flooded"),
        ({"set_absorption_time": 50000}, "absorption time 50000 s is not within 0 s to 43200 s"),
        ({"set_equalize_days": 300}, "equalize days 300 d is not within 0 d to 255 d"),
        ({"set_temperature_compensation": -0.2}, "temperature compensation -0.2"),
        ({"set_current_limit": -5.0}, "current limit -5 A is not within 0 A to 80 A"),
    ],
)
def test_settings_that_do_not_fit_are_told_with_both_values(wanted: Mapping[str, float], words: str) -> None:
    said = judge(wanted)
    assert any(words in each for each in said), said


def test_a_stage_that_is_off_is_in_nobodys_way() -> None:
    assert judge({"set_float_voltage": 0.0, "set_float_cancel_voltage": 27.0}) == ()
    assert judge({"set_hvd_voltage": 0.0, "set_hvd_reconnect_voltage": 36.0}) == ()
    assert judge({"set_voltage_limit": 0.0}) == ()
    assert judge({"set_equalize_voltage": 0.0, "set_absorption_voltage": 30.0}) == ()


def test_chemistry_bounds_what_a_battery_gets() -> None:
    lithium = {"chemistry": CHEMISTRIES["lifepo4"]}
    assert (
        judge({"set_absorption_voltage": 29.2, "set_equalize_voltage": 0, "set_float_voltage": 27.2}, **lithium) == ()
    )
    assert any("chemistry lifepo4" in each for each in judge({"set_absorption_voltage": 29.3}, **lithium))
    assert judge({"set_equalize_voltage": 30.0}, **lithium)[-1].startswith("equalize voltage 30 V must be 0")
    assert judge({"set_equalize_days": 14}, **lithium) == (
        "equalize days 14 d must be 0: chemistry lifepo4 must not be equalized",
    )
    assert judge({"set_equalize_days": 0}, **lithium) == ()


def test_what_the_owner_allows_narrows_it_further() -> None:
    assert judge({"set_absorption_voltage": 29.0}, highest_voltage=28.4) == (
        "absorption voltage 29 V is above the 28.4 V of [device.limits] (MaxChargeVoltage on a GX)",
    )
    assert judge({"set_absorption_voltage": 28.4}, highest_voltage=28.4) == ()
    assert judge({"set_current_limit": 30.0}, highest_current=30.0) == ()
    assert "above highest_current 30 A" in judge({"set_current_limit": 40.0}, highest_current=30.0)[0]


def test_old_oddities_block_only_what_has_to_do_with_them() -> None:
    held = factory() | {"set_float_voltage": factory()["set_absorption_voltage"], "set_equalize_days": 999}
    values = values_of(EEPROM, held, factors())
    assert problems(EEPROM, values, {"set_absorption_time": 3600}, OPTIONS) == ()
    assert problems(EEPROM, values, {"set_hvd_voltage": 32.4}, OPTIONS) == ()
    assert len(problems(EEPROM, values, {"set_absorption_voltage": 28.8}, OPTIONS)) == 1
    assert len(problems(EEPROM, values, {"set_equalize_days": 999}, OPTIONS)) == 1


@given(
    st.dictionaries(st.sampled_from([each.point.name for each in EEPROM.registers]), st.floats(-100, 70000)),
    st.sampled_from([12, 24, 48]),
)
def test_any_numbers_end_in_words_or_in_settings(wanted: Mapping[str, float], system: int) -> None:
    try:
        said = judge(wanted, system)
    except ValueError as error:
        said = (str(error),)
    assert all(said)


@pytest.mark.parametrize(
    ("charger", "confirmed", "words"),
    [
        ({"system": 24}, 24, None),
        ({"system": 12}, 12, None),
        ({"system": 48}, 48, None),
        ({"system": 24}, None, "it looks like a 24 V system: set system_voltage = 24 for roof in the config"),
        ({"system": 24}, 36, "12, 24 and 48 V only"),
        ({"system": 48}, 60, "12, 24 and 48 V only"),
        ({"system": 24}, 12, "set system_voltage = 24 for roof"),
        ({"system": 12}, 24, "set system_voltage = 12 for roof"),
        ({"system": 24, "switch_system": False}, 24, None),
        ({"system": 24, "switch_system": False}, 48, "set system_voltage = 24 for roof"),
    ],
)
def test_the_owner_confirms_the_system_voltage(
    charger: Mapping[str, int], confirmed: int | None, words: str | None
) -> None:
    async def main() -> str | None:
        rig = Rig(options=options(system_voltage=confirmed), charger=SimTriStar(**charger))  # type: ignore[arg-type]
        async with rig.running() as plant:
            return system_refusal(plant)

    said = run_virtual(main())
    if words is None:
        assert said is None
    else:
        assert said is not None
        assert words in said


@pytest.mark.parametrize(
    ("battery", "refused"), [(25.0, False), (36.0, True), (12.0, True), (6.9, False), (None, False), (15.0, False)]
)
def test_without_a_known_system_the_battery_may_contradict(battery: float | None, refused: bool) -> None:
    async def main() -> str | None:
        rig = Rig()
        async with rig.running() as plant:
            plant.reading = lambda: Reading("roof", 0.0, {"nominal_voltage": None, "battery_voltage": battery})
            return system_refusal(plant)

    assert (run_virtual(main()) is not None) is refused
