"""Every public frame of an EPever charger says what it is known to say; what is broken is rejected (epever.md §8)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from epever_stage import (
    AN_24,
    BN,
    EXCHANGES,
    SPARSE,
    TRACER,
    Row,
    exchanged,
    low_word,
    recorded,
    request_of,
    rows,
    sparse,
    understood,
    words_of,
)
from heliobus.devices.driver import no_doubt
from heliobus.model.point import Value
from heliobus.wire.framer import Answer
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.modbus.pdu import ReadDeviceIdentification, ReadRegisters, WriteCoil, WriteRegisters
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.modbus.vendor import VendorRequest

# What the frames call it: our point, and the factor from theirs to ours.
NAMES: dict[str, tuple[str, float]] = {
    "pv_rated_voltage_V": ("pv_rated_voltage", 1),
    "pv_rated_current_A": ("pv_rated_current", 1),
    "pv_rated_power_W": ("pv_rated_power", 1),
    "battery_rated_voltage_V": ("battery_rated_voltage", 1),
    "rated_charge_current_A": ("rated_current", 1),
    "rated_charge_power_W": ("charge_rated_power", 1),
    "charging_mode(0 direct,1 PWM,2 MPPT)": ("charging_mode", 1),
    "rated_load_current_A": ("load_rated_current", 1),
    "pv_voltage_V": ("pv_voltage", 1),
    "pv_current_A": ("pv_current", 1),
    "pv_power_W": ("pv_power", 1),
    "battery_voltage_V": ("battery_voltage", 1),
    "charge_current_A": ("battery_current", 1),
    "charge_power_W": ("battery_power", 1),
    "load_input_voltage(undocumented)_V": ("load_input_voltage", 1),
    "load_input_current(undocumented)_A": ("load_input_current", 1),
    "load_input_power_W": ("load_input_power", 1),
    "load_voltage_V": ("load_voltage", 1),
    "load_current_A": ("load_current", 1),
    "load_power_W": ("load_power", 1),
    "battery_temperature_degC": ("battery_probe_temperature", 1),
    "controller_temperature_degC": ("controller_temperature", 1),
    "power_component_temperature_degC": ("power_stage_temperature", 1),
    "battery_soc_%": ("soc_estimate", 1),
    "remote_battery_temperature_degC": ("remote_temperature", 1),
    "system_voltage_V": ("system_voltage", 1),
    "battery_status_word": ("battery_status", 1),
    "charging_status_word": ("charging_status", 1),
    "discharging_status_word": ("load_status", 1),
    "pv_voltage_max_today_V": ("day_pv_voltage_max", 1),
    "pv_voltage_min_today_V": ("day_pv_voltage_min", 1),
    "battery_voltage_max_today_V": ("day_battery_voltage_max", 1),
    "battery_voltage_min_today_V": ("day_battery_voltage_min", 1),
    "consumed_today_kWh": ("load_energy_today", 1),
    "consumed_month_kWh": ("load_energy_month", 1),
    "consumed_year_kWh": ("load_energy_year", 1),
    "consumed_total_kWh": ("load_energy_total", 1),
    "generated_today_kWh": ("energy_day_counter", 1000),
    "generated_month_kWh": ("energy_month_counter", 1),
    "generated_year_kWh": ("energy_year_counter", 1),
    "generated_total_kWh": ("energy_total_counter", 1),
    "battery_net_current_A": ("net_battery_current", 1),
    "battery_temperature_stat_degC": ("battery_probe_temperature_b", 1),
    "ambient_temperature_degC": ("ambient_temperature", 1),
    "rtc": ("device_clock", 1),
    "battery_type_code": ("set_battery_type", 1),
    "battery_capacity_Ah": ("set_battery_capacity", 1),
    "temp_compensation_mV/degC/2V": ("temperature_coefficient", 1),
    "over_voltage_disconnect_V": ("set_hvd_voltage", 1),
    "charging_limit_V": ("set_voltage_limit", 1),
    "over_voltage_reconnect_V": ("set_hvd_reconnect_voltage", 1),
    "equalize_voltage_V": ("set_equalize_voltage", 1),
    "boost_voltage_V": ("set_absorption_voltage", 1),
    "float_voltage_V": ("set_float_voltage", 1),
    "boost_reconnect_V": ("set_absorption_reconnect_voltage", 1),
    "low_voltage_reconnect_V": ("set_lvd_reconnect_voltage", 1),
    "under_voltage_warning_recover_V": ("set_low_warning_recover_voltage", 1),
    "under_voltage_warning_V": ("set_low_warning_voltage", 1),
    "low_voltage_disconnect_V": ("set_lvd_voltage", 1),
    "discharging_limit_V": ("set_discharge_limit_voltage", 1),
    "equalize_cycle_day": ("set_equalize_days", 1),
    "battery_temp_upper_degC": ("set_battery_temperature_max", 1),
    "battery_temp_lower_degC": ("set_battery_temperature_min", 1),
    "controller_temp_limit_degC": ("set_controller_temperature_max", 1),
    "controller_temp_recover_degC": ("set_controller_temperature_recover", 1),
    "power_component_temp_limit_degC": ("set_power_stage_temperature_max", 1),
    "power_component_temp_recover_degC": ("set_power_stage_temperature_recover", 1),
    "line_impedance_mOhm": ("set_line_impedance", 1),
    "night_threshold_voltage_V": ("set_night_voltage", 1),
    "night_delay_min": ("set_night_delay", 60),
    "day_threshold_voltage_V": ("set_day_voltage", 1),
    "day_delay_min": ("set_day_delay", 60),
    "load_control_mode": ("set_load_mode", 1),
    "load_work_length_1_hhmm": ("set_load_time_1", 60),
    "load_work_length_2_hhmm": ("set_load_time_2", 60),
    "night_length_hhmm": ("set_night_length", 60),
    "system_voltage_code": ("set_system_voltage", 1),
    "timer_count_code": ("set_timer_count", 1),
    "default_load_state": ("set_load_default", 1),
    "equalize_duration_min": ("set_equalize_time", 60),
    "boost_duration_min": ("set_absorption_time", 60),
    "discharge_percent_%": ("set_discharge_percent", 1),
    "charge_percent_%": ("set_charge_percent", 1),
    "management_mode": ("set_management_mode", 1),
    "backlight_s": ("set_backlight_time", 1),
    "coil_2_manual_load": ("load_enabled", 1),
    "coil_5_load_test_enable": ("load_test", 1),
    "coil_6_force_load": ("load_forced", 1),
    "over_temperature": ("over_temperature", 1),
    "night": ("night", 1),
}
HALVES = {
    "pv_rated_power": ("pv_rated_power", 0.01),
    "rated_charge_power": ("charge_rated_power", 0.01),
    "pv_power": ("pv_power", 0.01),
    "charge_power": ("battery_power", 0.01),
    "load_power": ("load_power", 0.01),
    "consumed_today": ("load_energy_today", 0.01),
    "consumed_month": ("load_energy_month", 0.01),
    "consumed_year": ("load_energy_year", 0.01),
    "consumed_total": ("load_energy_total", 0.01),
    "generated_today": ("energy_day_counter", 10),
    "generated_month": ("energy_month_counter", 0.01),
    "generated_year": ("energy_year_counter", 0.01),
    "generated_total": ("energy_total_counter", 0.01),
    "co2_saved": ("co2_saved", 10),
    "battery_net_current": ("net_battery_current", 0.01),
}
# Points that say nothing where no sensor is fitted, which reads 25.00.
NO_SENSOR = {"remote_temperature", "ambient_temperature"}
TIMERS = {
    f"timer_{word}{number}_{part}": (f"set_timer_{number}_{word}", at)
    for word in ("on", "off")
    for number in (1, 2)
    for part, at in (("h", 0), ("min", 1), ("s", 2))
}
CLOCK_WORDS = {"rtc_min_sec", "rtc_day_hour", "rtc_year_month"}
REMARKS = {
    "note",
    "meaning",
    "function",
    "fault_bit_D1",
    "charging_state",
    "unknown_temperature_3113_degC",
    "unknown_906F",
}
BELIEVING = replace(TRACER, doubt=no_doubt)
"""A value alone contradicts the zeros around it."""
GOOD = rows("captured", "vendor-example", "captured-request")
ANSWERED = [row for row in GOOD if row["response_hex"]]
READS = [row for row in ANSWERED if words_of(row)]


def name_of(row: Row) -> str:
    return f"{row['kind']}-{row['request_hex'][3:17]}-{row['response_hex'][9:20]}"


def expected(key: str, known: Any) -> tuple[str, Value]:
    """The point that a fact of a frame is about, and its value there."""
    name, factor = NAMES[key]
    if name in NO_SENSOR and known == 25.0:
        return name, None
    if isinstance(known, str) and known.startswith("0x"):
        return name, int(known, 16)
    if key.endswith("_hhmm"):
        hours, minutes = known.split(":")
        return name, 60 * (60 * int(hours) + int(minutes))
    if isinstance(known, str):
        return name, known
    return name, round(known * factor, TRACER.points()[name].decimals)


def values_with(row: Row) -> dict[str, Value]:
    """What the driver makes of the words of `row` alone, with zeros around them where a value needs more."""
    found = words_of(row)
    tables: dict[int, dict[int, int]] = {table: dict.fromkeys(range(1), 0) for table in (1, 2, 3, 4)}
    for register in TRACER.registers:
        tables[register.table].update(dict.fromkeys(range(register.address, register.end), 0))
    for table, words in found.items():
        tables[table].update(words)
    return understood(tables, BELIEVING)[0]


def check(facts: Mapping[str, Any], values: Mapping[str, Value], words: Mapping[int, int]) -> int:
    """Compare what is known of a frame with what was understood; how many facts were compared."""
    compared = 0
    for key, known in facts.items():
        half, timer = low_word(key), TIMERS.get(key)
        if key in REMARKS:
            continue
        if half is not None:
            name, scale = HALVES[half[0]]
            [word] = set(words.values()) if len(words) == 1 else {words[0x310E]}
            assert word == known
            raw = known if half[1] else known << 16
            raw = raw - (1 << 32) if name == "net_battery_current" and raw >> 31 else raw
            if name == "net_battery_current" and abs(raw * scale) > 200:
                assert values[name] is None
            else:
                assert values[name] == pytest.approx(raw * scale, abs=0.06)
        elif timer is not None:
            name, at = timer
            assert str(values[name]).split(":")[at] == f"{known:02}"
        elif key in CLOCK_WORDS:
            assert list(words.values()) == [known]
        elif key == "battery_voltage_V" and 0x331A in words:
            assert values["battery_voltage_b"] == known
        else:
            name, value = expected(key, known)
            assert values[name] == value, name
        compared += 1
    return compared


def test_all_of_them_are_here() -> None:
    assert len(EXCHANGES) == 298
    assert len(rows("captured", device=BN)) == 135
    assert len(rows("captured-exception")) == 116
    assert len(rows("captured", device=AN_24)) == 21
    assert {row["kind"] for row in EXCHANGES} >= {"corrupt", "truncated", "noisy", "echo"}
    assert all(row["source"] and row["confidence"] for row in EXCHANGES)


@pytest.mark.parametrize("row", [row for row in ANSWERED if request_of(row).function != SPARSE], ids=name_of)
def test_a_good_frame_is_the_answer_to_its_request(row: Row) -> None:
    events, framer = exchanged(row)
    [event] = events
    assert isinstance(event, Answer)
    assert not isinstance(event.result, ModbusException)
    assert framer.flush() == []
    request = request_of(row)
    if isinstance(request, WriteRegisters | WriteCoil):
        assert event.result == (request.values if isinstance(request, WriteRegisters) else request.value)
    elif isinstance(request, VendorRequest):
        assert event.result == bytes((row["decoded"].get("id", row["decoded"].get("new_id")),))
    elif isinstance(request, ReadDeviceIdentification):
        assert {str(number): text.decode() for number, text in event.result.objects.items()} == row["decoded"][
            "objects"
        ]


@pytest.mark.parametrize("row", READS, ids=name_of)
def test_a_good_frame_says_what_it_is_known_to_say(row: Row) -> None:
    words = {address: word for table in words_of(row).values() for address, word in table.items()}
    facts = row["decoded"].get("values", row["decoded"])
    assert check(facts, values_with(row), words) > 0


def test_every_recorded_value_is_said_by_the_recorded_charger_as_a_whole() -> None:
    values, _ = understood(recorded())
    seen = 0
    for row in rows("captured", device=BN):
        if isinstance(request_of(row), ReadRegisters) and "archive" not in row["source"]:
            for key, known in row["decoded"].items():
                if key in NAMES and key != "rtc":
                    name, value = expected(key, known)
                    assert values[name] == value, name
                    seen += 1
    assert seen == 65
    assert (values["energy_total_counter"], values["load_energy_total"]) == (2.78, 1.62)
    assert values["charge_rated_power"] == 500.0 and values["pv_rated_power"] == 520.0
    assert values["device_clock"] == "2015-07-02 02:26:30"
    assert [values[f"set_timer_{each}"] for each in ("1_on", "1_off", "2_on", "2_off")] == ["19:00:00", "06:00:00"] * 2


@pytest.mark.parametrize("row", rows("captured-exception"), ids=name_of)
def test_a_refusal_is_one(row: Row) -> None:
    [event], _ = exchanged(row)
    assert isinstance(event, Answer) and isinstance(event.result, ModbusException)
    assert event.result.code == row["decoded"]["exception"]


def test_what_is_written_is_the_bytes_of_the_page() -> None:
    for row in rows("captured-request", "request-only"):
        if bytes.fromhex(row["request_hex"])[1] in (5, 0x10, 0x45):
            exchanged(row)


NEXT = next(row for row in GOOD if row["request_hex"].startswith("01 04 33 1A 00 03"))


def next_is_fine(framer: RtuFramer) -> None:
    """The exchange after a broken one gives its own values."""
    framer.flush()
    framer.encode(1, request_of(NEXT))
    [event] = framer.feed(bytes.fromhex(NEXT["response_hex"]))
    assert isinstance(event, Answer) and event.result == (0x04FC, 0xFFFD, 0xFFFF)


@pytest.mark.parametrize("row", rows("corrupt"), ids=name_of)
def test_a_corrupt_frame_is_no_answer(row: Row) -> None:
    events, framer = exchanged(row)
    events += framer.flush()
    assert not [event for event in events if isinstance(event, Answer)]
    next_is_fine(framer)


@pytest.mark.parametrize("row", rows("truncated"), ids=name_of)
def test_a_frame_cut_short_is_no_answer(row: Row) -> None:
    events, framer = exchanged(row)
    assert not [event for event in events + framer.flush() if isinstance(event, Answer)]
    next_is_fine(framer)


def test_an_answer_between_stray_bytes_is_found() -> None:
    [row] = rows("noisy")
    events, framer = exchanged(row)
    assert isinstance(events[0], Answer) and events[0].result is True
    next_is_fine(framer)


def test_an_adapter_s_echo_is_no_answer_and_is_stripped() -> None:
    [row] = rows("echo")
    events, framer = exchanged(row)
    assert not events
    next_is_fine(framer)
    framer = RtuFramer()
    sent = framer.encode(1, request_of(row))
    [event] = framer.feed(sent + bytes.fromhex("01 04 02 0A 81 7F F0"))
    assert isinstance(event, Answer) and event.result == (0x0A81,)
    assert framer.echo is True
    sent = framer.encode(1, request_of(NEXT))
    [event] = framer.feed(sent + bytes.fromhex(NEXT["response_hex"]))
    assert isinstance(event, Answer) and event.result[0] == 0x04FC


def test_statistics_in_two_bursts_are_one_answer() -> None:
    [row] = [row for row in GOOD if row["request_hex"].startswith("01 04 33 02 00 12")]
    answer = bytes.fromhex(row["response_hex"])
    for cut in range(1, len(answer)):
        events, framer = exchanged(row, answer[:cut])
        assert events == []
        [event] = framer.feed(answer[cut:])
        assert isinstance(event, Answer) and len(event.result) == 18


@pytest.mark.parametrize("row", [row for row in ANSWERED if request_of(row).function == SPARSE], ids=name_of)
def test_the_vendor_program_s_own_answers_do_not_confuse(row: Row) -> None:
    framer = RtuFramer()
    framer.encode(1, request_of(NEXT))
    events = framer.feed(bytes.fromhex(row["response_hex"])) + framer.flush()
    assert not [event for event in events if isinstance(event, Answer)]
    assert len(sparse(row)) >= 5
    next_is_fine(framer)


@pytest.mark.parametrize("row", [row for row in READS if request_of(row).function != SPARSE][::5], ids=name_of)
def test_no_bit_of_a_frame_can_change_unseen(row: Row) -> None:
    answer = bytes.fromhex(row["response_hex"])
    for at in range(len(answer)):
        for mask in (0x01, 0x10, 0x80):
            events, framer = exchanged(row, answer[:at] + bytes((answer[at] ^ mask,)) + answer[at + 1 :])
            events += framer.flush()
            assert not [event for event in events if isinstance(event, Answer)], at
    assert all(not isinstance(event, Answer) for event in exchanged(row, answer[1:])[0])


def test_the_ls1024b_and_the_24_v_charger() -> None:
    landstar, _ = understood(recorded("EPever LandStar LS1024B"))
    # 3100 to 310E was read, so the load's power lacks its high word.
    assert (landstar["battery_voltage"], landstar["pv_voltage"], landstar["load_power"]) == (12.78, 1.03, None)
    values, _ = understood(recorded(AN_24))
    assert values["pv_rated_power"] == 2080.0
    assert values["pv_power"] == 228.4
    assert values["net_battery_current"] == 19.33
    assert (values["nominal_voltage"], values["system_voltage"]) == (24, 24.0)
    assert (values["charge_stage"], values["charging_faults"], values["pv_input_status"]) == (2, 0, 0)
