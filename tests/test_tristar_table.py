"""Which word of the device moves which point: the tables of tristar.md §3 and §4, typed from that page.

One word at a time is changed in the device's image, and what changes in the reading is compared with the page; so a
register read one too high (the peer's errors, §12), the wrong word order and a wrong scale are all caught here.
"""

from collections.abc import Mapping

import pytest

from devices_stage import TRISTAR, capture_c, decode
from heliobus.devices.morningstar.derive import DERIVED
from heliobus.model.point import Value

# Address: (point, value when the word reads 0x0100 and all around it is as in capture C), V_PU 180, I_PU 80.
VOLTS, AMPS, WATTS = 1.41, 0.62, 28.1
RAM: dict[int, tuple[str, Value]] = {
    0x0018: ("battery_voltage", VOLTS),
    0x0019: ("battery_terminal_voltage", VOLTS),
    0x001A: ("battery_sense_voltage", VOLTS),
    0x001B: ("pv_voltage", VOLTS),
    0x001C: ("battery_current", AMPS),
    0x001D: ("pv_current", AMPS),
    0x001E: ("rail_12v", 0.15),
    0x001F: ("rail_3v", 0.05),
    0x0020: ("rail_meterbus", 0.15),
    0x0021: ("rail_1v8", 0.02),
    0x0022: ("reference_voltage", 0.02),
    0x0023: ("heatsink_temperature", None),
    0x0024: ("rts_temperature", None),
    0x0025: ("regulation_temperature", None),
    0x0026: ("battery_voltage_slow", VOLTS),
    0x0027: ("battery_current_slow", 0.625),
    0x0028: ("overall_battery_voltage_min", VOLTS),
    0x0029: ("overall_battery_voltage_max", VOLTS),
    0x002A: ("operating_hours", 0x01000000 + 21481),
    0x002B: ("operating_hours", 0x00010000 + 0x0100),
    0x002C: ("faults", 0x0100),
    0x002E: ("alarms", 0x01000000),
    0x002F: ("alarms", 0x0100),
    0x0030: ("dip_switches", 0x0100),
    0x0031: ("led_state", 0x0100),
    0x0032: ("charge_state", 0x0100),
    0x0033: ("target_voltage", VOLTS),
    0x0034: ("charge_resettable_counter", 1677721.6),
    0x0035: ("charge_resettable_counter", 25.6),
    0x0036: ("charge_total_counter", 1677721.6),
    0x0037: ("charge_total_counter", 25.6),
    0x0038: ("energy_resettable_counter", 256.0),
    0x0039: ("energy_total_counter", 256.0),
    0x003A: ("battery_power", WATTS),
    0x003B: ("array_power", WATTS),
    0x003C: ("sweep_power_max", WATTS),
    0x003D: ("sweep_vmp", VOLTS),
    0x003E: ("sweep_voc", VOLTS),
    0x0040: ("day_battery_voltage_min", VOLTS),
    0x0041: ("day_battery_voltage_max", VOLTS),
    0x0042: ("day_pv_voltage_max", VOLTS),
    0x0043: ("charge_day_counter", 25.6),
    0x0044: ("energy_day_counter", 256.0),
    0x0045: ("day_flags", 0x0100),
    0x0046: ("day_power_max", WATTS),
    0x0047: ("day_temperature_min", None),
    0x0048: ("day_temperature_max", None),
    0x0049: ("day_faults", 0x0100),
    0x004B: ("day_alarms", 0x01000000),
    0x004C: ("day_alarms", 0x0100),
    0x004D: ("time_absorption_counter", 256),
    0x004E: ("time_equalize_counter", 256),
    0x004F: ("time_float_counter", 256),
    0x0058: ("slave_current", AMPS),
    0x0059: ("slave_voltage", VOLTS),
    0x005A: ("fixed_array_voltage", VOLTS),
    0x005B: ("fixed_array_percent", 0.4),
}
RESERVED = (*range(0x0005, 0x0018), 0x002D, 0x003F, 0x004A, *range(0x0050, 0x0058))
EEPROM: dict[int, tuple[str, Value]] = {
    0xE000: ("set_absorption_voltage", VOLTS),
    0xE001: ("set_float_voltage", VOLTS),
    0xE002: ("set_absorption_time", 256),
    0xE003: ("set_absorption_extension", 256),
    0xE004: ("set_absorption_extension_voltage", VOLTS),
    0xE005: ("set_float_cancel_voltage", VOLTS),
    0xE006: ("set_float_exit_time", 256),
    0xE007: ("set_equalize_voltage", VOLTS),
    0xE008: ("set_equalize_days", 256),
    0xE009: ("set_equalize_time_limit", 256),
    0xE00A: ("set_equalize_time", 256),
    0xE00B: ("set_battery_service_days", 256),
    0xE00D: ("set_temperature_compensation", -0.7031),
    0xE00E: ("set_hvd_voltage", VOLTS),
    0xE00F: ("set_hvd_reconnect_voltage", VOLTS),
    0xE010: ("set_voltage_limit", VOLTS),
    0xE011: ("set_compensation_max", None),
    0xE012: ("set_compensation_min", None),
    0xE015: ("set_led_green_voltage", VOLTS),
    0xE016: ("set_led_green_yellow_voltage", VOLTS),
    0xE017: ("set_led_yellow_voltage", VOLTS),
    0xE018: ("set_led_yellow_red_voltage", VOLTS),
    0xE019: ("set_modbus_unit", 256),
    0xE01A: ("set_meterbus_unit", 256),
    0xE01D: ("set_current_limit", AMPS),
    0xE020: ("set_fixed_array_voltage", VOLTS),
    0xE021: ("set_fixed_array_percent", 0.4),
    0xE080: ("stored_operating_hours", 0x0100),
    0xE081: ("stored_operating_hours", 0x01000000),
    0xE082: ("stored_charge_resettable", 25.6),
    0xE083: ("stored_charge_resettable", 1677721.6),
    0xE084: ("stored_charge_total", 25.6),
    0xE085: ("stored_charge_total", 1677721.6),
    0xE086: ("stored_energy_resettable", 256.0),
    0xE087: ("stored_energy_total", 256.0),
    0xE088: ("stored_battery_voltage_min", VOLTS),
    0xE089: ("stored_battery_voltage_max", VOLTS),
    0xE08A: ("stored_pv_voltage_max", VOLTS),
    0xE08B: ("days_since_equalize", 256),
    0xE08C: ("days_since_service", 256),
    0xE0CC: ("model_number", 256),
}
UNUSED_EEPROM = (0xE00C, 0xE013, 0xE014, 0xE01B, 0xE01C, 0xE01E, 0xE01F)
SHADOWS = {0xE000: "stored_absorption_voltage", 0xE001: "stored_float_voltage"}

CONCLUDED = frozenset(point.name for point in DERIVED)
BEFORE = decode(capture_c())[0]


def moved(address: int, word: int) -> Mapping[str, Value]:
    """The points that are read, not concluded, and change when the word at `address` becomes `word`."""
    after = decode({**capture_c(), address: word})[0]
    return {name: after[name] for name in after if after[name] != BEFORE[name] and name not in CONCLUDED}


@pytest.mark.parametrize("address", RAM, ids=hex)
def test_each_word_of_the_ram_moves_its_point_only(address: int) -> None:
    name, value = RAM[address]
    changed = dict(moved(address, 0x0100))
    if address == 0x0018:
        # The battery no longer fits the switches, so nothing is known of the settings.
        changed = {each: now for each, now in changed.items() if not each.startswith("set_")}
    assert changed == {name: value}


@pytest.mark.parametrize("address", EEPROM, ids=hex)
def test_each_word_of_the_settings_and_counters_moves_its_point_only(address: int) -> None:
    name, value = EEPROM[address]
    expected = {name: value} | ({SHADOWS[address]: VOLTS} if address in SHADOWS else {})
    changed = moved(address, 0x0100)
    assert {each: pytest.approx(now) for each, now in changed.items() if now is not None} | {
        each: None for each, now in changed.items() if now is None
    } == expected


@pytest.mark.parametrize("address", (*RESERVED, *UNUSED_EEPROM), ids=hex)
def test_reserved_words_move_nothing(address: int) -> None:
    assert moved(address, 0x0100) == {}


def test_no_point_of_the_table_is_left_out() -> None:
    named = {name for name, _ in (*RAM.values(), *EEPROM.values())} | set(SHADOWS.values())
    scaling = {"voltage_scaling", "current_scaling", "controller_firmware"}
    network = {each.point.name for each in TRISTAR.registers if 0x1000 <= each.address <= 0x1030}
    coils = {"equalize_requested", "charge_disconnect"}
    assert {each.point.name for each in TRISTAR.registers} == named | scaling | network | coils


def test_the_slave_current_is_scaled_by_80_whatever_i_pu_says() -> None:
    values = decode({**capture_c(), 0x0002: 40, 0x0058: 0x3333, 0x001C: 0x3333})[0]
    assert (values["slave_current"], values["battery_current"]) == (32.0, 16.0)


def test_the_rails_are_not_scaled_by_v_pu() -> None:
    values = decode({**capture_c(), 0x0000: 90})[0]
    assert (values["rail_12v"], values["rail_1v8"]) == (13.38, 1.78)
    assert values["battery_voltage"] == 6.72


def test_the_firmware_is_binary_coded_decimal() -> None:
    assert decode({**capture_c(), 0x0004: 0x0042})[0]["controller_firmware"] == 42
    assert decode({**capture_c(), 0x0004: 0x004A})[0]["controller_firmware"] is None


def test_the_temperature_of_the_battery_is_that_of_its_sensor_never_of_the_heatsink() -> None:
    values = decode({**capture_c(), 0x0023: 55, 0x0024: 21, 0x0025: 33})[0]
    assert (values["battery_temperature"], values["heatsink_temperature"]) == (21.0, 55.0)
    assert decode({**capture_c(), 0x0024: 0x80, 0x0025: 33})[0]["battery_temperature"] is None


def test_no_point_says_what_the_device_does_not_measure() -> None:
    """tristar.md §11.1, 5: the conversation's inventions; and the LEDs are no state of charge (§5.5)."""
    for word in ("ripple", "duty", "load_", "imp", "isc", "efficiency", "soc", "net_battery"):
        assert not [name for name in TRISTAR.points() if name.startswith(word) or f"_{word}" in name], word


def test_the_array_power_shown_is_that_of_the_battery_side() -> None:
    values = decode({**capture_c(), 0x003A: 0x2000, 0x003B: 0x2800})[0]
    assert values["pv_power"] == values["battery_power"] == 900.0
    assert values["array_power"] == 1125.0


def test_counters_are_not_added_up() -> None:
    """tristar.md §11.1, 16: whether the day is in the total is not known, so nothing is added here."""
    values = decode({**capture_c(), 0x0039: 1234, 0x0044: 5000})[0]
    assert (values["energy_total_counter"], values["energy_day_counter"]) == (1234.0, 5000.0)
