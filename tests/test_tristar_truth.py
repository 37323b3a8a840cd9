"""The TriStar's declaration against what real devices and the vendor's documents say, over a real TCP socket.

Sources: a published capture of a TS-MPPT (tristar.md §13), the worked examples of MS-002582 V11 and of the vendor's
real-time control document (§2).
"""

from collections.abc import Mapping
from typing import Any

import pytest

from devices_stage import PRODUCT, TRISTAR, Ear, capture_c, frames, polling, running, tristar, words_of
from heliobus.model.device import Identity
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading, Reason
from heliobus.sim.capture import SimCapture
from heliobus.sim.server import serve_tcp
from heliobus.wire.tcp_link import TcpLink

CAPTURE = frames("capture-c.json")
EXAMPLES = frames("worked-examples.json")
SERIALS = [each for each in EXAMPLES["text"] if each.get("address") == "0xE0C0"]
NAMES = {
    "battery_voltage": "battery_voltage",
    "battery_sense_voltage": "battery_sense_voltage",
    "array_voltage": "pv_voltage",
    "charge_current": "battery_current",
    "charge_current_1m": "battery_current_slow",
    "battery_voltage_1m": "battery_voltage_slow",
    "vb_min": "overall_battery_voltage_min",
    "vb_max": "overall_battery_voltage_max",
    "rail_12v": "rail_12v",
    "rail_3v": "rail_3v",
    "meterbus": "rail_meterbus",
    "rail_1v8": "rail_1v8",
    "v_ref": "reference_voltage",
    "heatsink_temperature": "heatsink_temperature",
    "rts_temperature": "rts_temperature",
    "battery_temperature": "battery_temperature",
    "hourmeter": "operating_hours",
    "faults": "faults",
    "alarms": "alarms",
    "dip_switches": "dip_switches",
    "led_state": "led_state",
    "charge_state": "charge_state",
    "whc_daily": "energy_day_counter",
    "flags_daily": "day_flags",
    "faults_daily": "day_faults",
}


async def over_tcp(device: SimCapture, *, closes: bool = True) -> tuple[Ear, Reading]:
    """The first reading of `device` behind a socket, which it closes after each answer, or not."""
    async with serve_tcp({1: device}, close_after_answer=closes) as server:
        link = TcpLink("tcp://charger", "127.0.0.1", server.port)
        async with running(link) as bus, polling(bus) as ear:
            return ear, await ear.first()


async def values_of(words: Mapping[int, int]) -> Mapping[str, Value]:
    return (await over_tcp(tristar(words), closes=False))[1].values


def point_at(address: str) -> str:
    """The first point that is declared at an address, without its 12 V scaled shadow."""
    names = [each.point.name for each in TRISTAR.registers if each.address == int(address, 16) and each.table >= 3]
    return names[0]


def near(value: float, tolerance: float, decimals: int) -> Any:
    return pytest.approx(value, abs=tolerance + 0.5 * 10**-decimals + 1e-9)


@pytest.mark.parametrize("closes", [True, False])
async def test_regression_14_capture_c_reads_the_same_whether_the_peer_closes_its_socket_or_keeps_it(
    closes: bool,
) -> None:
    ear, reading = await over_tcp(tristar(), closes=closes)
    decoded = dict(CAPTURE["decoded"])
    switches_on = decoded.pop("switches_on")
    for theirs, expected in decoded.items():
        point = TRISTAR.points()[NAMES[theirs]]
        assert reading.values[point.name] == near(expected, 0.0005, point.decimals), theirs
    assert [bit + 1 for bit in range(8) if int(str(reading.values["dip_switches"])) >> bit & 1] == switches_on
    assert reading.health is Health.OK
    assert reading.values["bus_timeouts"] == reading.values["bus_bad_frames"] == reading.values["bus_refusals"] == 0
    assert reading.values["bus_reconnects"] == 0
    assert len(ear.recognised_as) == 1


async def test_regression_17_the_internal_rails_of_capture_c() -> None:
    values = (await over_tcp(tristar()))[1].values
    rails = ("rail_12v", "rail_3v", "rail_meterbus", "rail_1v8", "reference_voltage")
    assert [values[name] for name in rails] == [13.38, 3.62, 12.95, 1.78, 2.04]


async def test_capture_c_in_the_words_of_the_field() -> None:
    values = (await over_tcp(tristar()))[1].values
    points = TRISTAR.points()
    text = {name: points[name].text(values[name]) for name in points if name in values}
    assert text["charge_state"] == "NIGHT"
    assert text["charger_state"] == "off"
    assert text["off_reason"] == "no input power"
    assert text["led_state"] == "green"
    assert text["day_flags"] == "reset detected, an alarm occurred"
    assert text["dip_switches"] == "switch 3, switch 4, switch 5, switch 6, switch 8"
    assert text["battery_program"] == "custom"
    assert text["auto_equalize"] == "manual"
    assert text["network_writes"] == "allowed"
    assert text["faults"] == text["alarms"] == "none"
    assert text["fault_text"] == ""
    assert text["nominal_voltage"] == "12"
    assert text["system_voltage_evidence"] == "switches 2 and 3"
    assert text["voltage_scaling"] == "180.000000"
    assert text["current_scaling"] == "80.000000"
    assert text["controller_firmware"] == "42"
    assert text["operating_hours"] == "87017 h"


async def test_everything_in_the_table_is_read_or_has_a_reason() -> None:
    reading = (await over_tcp(tristar()))[1]
    ledger = {"yield_today", "yield_total"}
    assert set(reading.values) == set(TRISTAR.points()) - ledger
    for name, value in reading.values.items():
        assert (value is None) == (name in reading.reasons), name


@pytest.mark.parametrize("example", EXAMPLES["decode"], ids=lambda example: str(example["name"]))
async def test_the_worked_examples(example: dict[str, Any]) -> None:
    values = await values_of(words_of(example["words"]))
    point = TRISTAR.points()[point_at(example["address"])]
    assert values[point.name] == near(example["value"], example["tolerance"], point.decimals)
    if "v_pu" in example:
        assert values["voltage_scaling"] == near(example["v_pu"], 1e-4, 6)
    if "i_pu" in example:
        assert values["current_scaling"] == example["i_pu"]


@pytest.mark.parametrize("example", EXAMPLES["encode"], ids=lambda example: str(example["name"]))
async def test_what_the_examples_write_reads_back(example: dict[str, Any]) -> None:
    twenty_four_volts = {0x0018: 4700, 0x0030: 0b111010}
    words = {int(example["address"], 16): example["word"]}
    values = await values_of({**(twenty_four_volts if example.get("multiplier") == 2 else {}), **words})
    point = TRISTAR.points()[point_at(example["address"])]
    expected = example.get("reads_back", example["value"])
    value = values[point.name]
    assert isinstance(value, float)
    if example["address"] == "0xE00D":
        value = -value
    assert value == near(expected, 0.005, point.decimals)


async def test_a_setting_of_24_v_is_28_795_v_before_it_is_rounded() -> None:
    """28.8 V of absorption: 0x0A3D in EEPROM, 14.40 V for 12 V, 28.80 V shown (28.795)."""
    values = await values_of({0x0018: 4700, 0x0030: 0b111010, 0xE000: 0x0A3D})
    assert values["stored_absorption_voltage"] == 14.4
    assert values["set_absorption_voltage"] == 28.8
    # One count less would show 28.78, so nothing is rounded before it is multiplied.
    assert (await values_of({0x0018: 4700, 0x0030: 0b111010, 0xE000: 0x0A3C}))["set_absorption_voltage"] == 28.78


async def test_temperature_compensation_is_negative_and_follows_the_system_voltage() -> None:
    assert (await values_of({0xE00D: 11}))["set_temperature_compensation"] == -0.0302
    values = await values_of({0x0018: 4700, 0x0030: 0b111010, 0xE00D: 11})
    assert values["set_temperature_compensation"] == -0.0604


async def test_a_fixed_array_voltage_is_a_share_of_a_whole_word() -> None:
    values = await values_of({0x005B: 0xCCCD, 0xE021: 0xFFF0})
    assert (values["fixed_array_percent"], values["set_fixed_array_percent"]) == (80.0, 100.0)


@pytest.mark.parametrize("example", SERIALS, ids=lambda example: str(example["text"]))
async def test_regression_3_serial_numbers_are_text_with_the_low_byte_first(example: dict[str, Any]) -> None:
    words = {0xE0C0 + index: word for index, word in enumerate(example["words"])}
    ear, _ = await over_tcp(tristar(words))
    assert ear.recognised_as[0].identity.serial == example["text"]


async def test_the_identity_as_the_vendor_prints_it() -> None:
    ear, _ = await over_tcp(tristar())
    assert ear.recognised_as[0].identity == Identity("Morningstar", "TriStar MPPT 60", "10170296", "1.1.42", "1.1")
    assert ear.recognised_as[0].driver is TRISTAR


async def test_the_network_block() -> None:
    network = {0x1000: 9, 0x100F: 0xA8C0, 0x1010: 0xFD01, 0x1011: 0xFFFF, 0x1012: 0x00FF, 0x1025: 0x4000}
    mac = {0x1026: 0x2000, 0x1027: 0x12B6, 0x1028: 0x5634}
    text = b"tsmppt10170296\0\0"
    name = {0x1029 + index: text[2 * index] | text[2 * index + 1] << 8 for index in range(8)}
    values = await values_of({**network, **mac, **name})
    assert values["server_firmware"] == 9
    assert values["ip_address"] == "192.168.1.253"
    assert values["subnet_mask"] == "255.255.255.0"
    assert values["mac_address"] == "00:20:b6:12:34:56"
    assert values["netbios_name"] == "tsmppt10170296"
    assert TRISTAR.points()["net_flags"].text(values["net_flags"]) == "DHCP"
    assert values["controller_id"] is None


async def test_regression_1_an_array_voltage_just_below_zero_at_night_is_published() -> None:
    values = await values_of({0x001B: 0xFFFB})
    assert values["pv_voltage"] == -0.03
    assert values["battery_voltage"] == 13.43


@pytest.mark.parametrize(("volts", "switches", "nominal"), [(13.4, 0b111100, 12), (54.2, 0b111110, 48)])
async def test_regression_2_systems_of_12_and_48_volts_publish(volts: float, switches: int, nominal: int) -> None:
    word = round(volts * 32768 / 180)
    values = await values_of({0x0018: word, 0x0030: switches, 0xE000: 2621})
    assert values["battery_voltage"] == pytest.approx(volts, abs=0.01)
    assert values["nominal_voltage"] == nominal
    assert values["set_absorption_voltage"] == pytest.approx(14.398 * nominal / 12, abs=0.01)


async def test_regression_15_charge_state_10_is_fixed_and_charges() -> None:
    values = await values_of({0x0032: 10})
    assert TRISTAR.points()["charge_state"].text(values["charge_state"]) == "FIXED"
    assert values["charger_state"] == 3


async def test_regression_16_rts_ff80_is_none_and_the_rest_is_read() -> None:
    reading = (await over_tcp(tristar({0x0024: 0xFF80})))[1]
    assert (reading.values["battery_temperature"], reading.reasons["battery_temperature"]) == (None, Reason.INVALID)
    assert reading.values["regulation_temperature"] == 5


async def test_regression_18_when_the_device_is_lost_its_values_become_invalid() -> None:
    async with serve_tcp({1: tristar()}) as server:
        link = TcpLink("tcp://charger", "127.0.0.1", server.port)
        async with running(link) as bus, polling(bus, period=0.2) as ear:
            await ear.first()
            await server.pause(refuse=True)
            stale = await ear.reading(lambda reading: reading.values["battery_voltage"] is None, 20)
            assert stale.reasons["battery_voltage"] in (Reason.STALE, Reason.OFFLINE)
            if ear.last.health is not Health.OFFLINE:
                await ear.reading(lambda reading: reading.health is Health.OFFLINE, 20)
            assert set(ear.last.values.values()) == {None}
            assert set(ear.last.reasons.values()) == {Reason.OFFLINE}


def test_the_capture_served_here_is_the_published_one() -> None:
    assert capture_c().items() >= words_of(CAPTURE["quoted"]).items()
    assert PRODUCT[1] == "TS-MPPT-60"
