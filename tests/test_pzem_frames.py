"""Every public frame of a PZEM meter says what it is known to say; what is broken is rejected (pzem.md §5, §6)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices_stage import decode as decoded
from heliobus.devices import pzem_ac, pzem_dc
from heliobus.devices.driver import Driver
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import plan, rtu_cost
from heliobus.devices.pzem import requests
from heliobus.devices.pzem.points import SHUNTS
from heliobus.model import vocabulary as v
from heliobus.model.point import Value
from heliobus.model.reading import Reason
from heliobus.wire.framer import Answer, Fault
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.modbus.pdu import ReadRegisters, WriteRegister
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.modbus.vendor import VendorRequest
from pzem_line import recorded

DRIVERS = {"pzem_ac": pzem_ac.DRIVER, "pzem_dc": pzem_dc.DRIVER}
NAMES = {
    "pzem_ac": {
        "voltage_V": "ac_voltage",
        "current_A": "ac_current",
        "power_W": "ac_power",
        "energy_Wh": "energy_forward_counter",
        "frequency_Hz": "ac_frequency",
        "power_factor": "ac_power_factor",
        "alarm": "high_power_alarm",
    },
    "pzem_dc": {
        "voltage_V": "dc_voltage",
        "current_A": "dc_current",
        "power_W": "dc_power",
        "energy_Wh": "energy_forward_counter",
        "high_voltage_alarm": "high_voltage_alarm",
        "low_voltage_alarm": "low_voltage_alarm",
    },
}
GOOD = ("captured", "vendor-example")


def rows(*kinds: str) -> list[Any]:
    return [
        pytest.param(family, row, id=f"{family}-{row['response_hex']}")
        for family in DRIVERS
        for row in recorded(family, *kinds)
    ]


def request_of(row: dict[str, Any]) -> ReadRegisters | WriteRegister | VendorRequest:
    frame = bytes.fromhex(row["request_hex"])
    first, second = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
    if frame[1] in (3, 4):
        return ReadRegisters(first, second, function=frame[1])
    return WriteRegister(first, second) if frame[1] == 6 else VendorRequest(frame[1], frame[2:-2], len(frame) - 4)


def exchanged(row: dict[str, Any], answer: bytes) -> tuple[list[Any], RtuFramer]:
    """What comes of the request of `row` and these bytes."""
    framer = RtuFramer()
    sent = framer.encode(bytes.fromhex(row["request_hex"])[0], request_of(row))
    assert sent.hex(" ").upper() == row["request_hex"]
    return framer.feed(answer), framer


def understood(driver: Driver, words: tuple[int, ...]) -> tuple[dict[str, Value], dict[str, Reason]]:
    """What the driver makes of its measured registers alone."""
    image = Image(driver)
    [block] = [each for each in plan(driver.registers, driver.limits, rtu_cost(9600, 0.03)) if each.table == 4]
    slot = Slot(block, 2.0, 0.0)
    image.add([slot])
    assert slot.request == ReadRegisters(0, len(words), function=4)
    image.answer(slot, words, 0.0)
    return image.snapshot()


@pytest.mark.parametrize(("family", "row"), rows(*GOOD))
def test_a_good_frame_says_what_it_is_known_to_say(family: str, row: dict[str, Any]) -> None:
    [event], _ = exchanged(row, bytes.fromhex(row["response_hex"]))
    assert isinstance(event, Answer)
    request = request_of(row)
    if not isinstance(request, ReadRegisters):
        return
    words = event.result
    if request.count == 2:
        assert words == (38, 0)
        return
    driver = DRIVERS[family]
    values, reasons = understood(driver, words)
    points = driver.points()
    for key, known in row["decoded"].items():
        name = NAMES[family][key]
        wanted = 2 * known if isinstance(known, bool) else round(known, points[name].decimals)
        assert values[name] == wanted, (name, reasons.get(name))


def test_all_of_them_are_here() -> None:
    assert len(recorded("pzem_ac", "captured", "vendor-example")) >= 35
    assert len(recorded("pzem_ac", "corrupt")) == 4
    assert len(recorded("pzem_dc", "captured")) == 2


def test_the_high_word_counts() -> None:
    [row] = [each for each in recorded("pzem_ac", "captured") if each["decoded"].get("power_W") == 6892.3]
    [event], _ = exchanged(row, bytes.fromhex(row["response_hex"]))
    assert isinstance(event, Answer)
    values, _ = understood(pzem_ac.DRIVER, event.result)
    assert values["ac_power"] == 6892.3
    assert values["ac_apparent_power"] == pytest.approx(241.3 * 29.037, abs=1.5)


@pytest.mark.parametrize(("family", "row"), rows("corrupt"))
def test_a_corrupt_frame_is_rejected_and_does_not_poison_the_next(family: str, row: dict[str, Any]) -> None:
    events, framer = exchanged(row, bytes.fromhex(row["response_hex"]))
    assert [type(event) for event in events] == [Fault]
    good = recorded(family, "captured")[0]
    framer.encode(1, request_of(good))
    [event] = framer.feed(bytes.fromhex(good["response_hex"]))
    assert isinstance(event, Answer)


@pytest.mark.parametrize(("family", "row"), rows(*GOOD))
def test_no_byte_of_a_frame_can_change_unseen(family: str, row: dict[str, Any]) -> None:
    answer = bytes.fromhex(row["response_hex"])
    for at in range(len(answer)):
        events, framer = exchanged(row, answer[:at] + bytes((answer[at] ^ 0x10,)) + answer[at + 1 :])
        events += framer.flush()
        assert not [event for event in events if isinstance(event, Answer)], at
    events, framer = exchanged(row, answer[:-3])
    assert not [event for event in events + framer.flush() if isinstance(event, Answer)]


@pytest.mark.parametrize(("family", "row"), rows("captured-exception"))
def test_a_refusal_is_one(family: str, row: dict[str, Any]) -> None:
    [event], _ = exchanged(row, bytes.fromhex(row["response_hex"]))
    assert isinstance(event, Answer) and isinstance(event.result, ModbusException)
    assert event.result.code == row["decoded"]["exception"] == 2


@pytest.mark.parametrize(
    ("unit", "request_", "frame"),
    [
        (1, requests.RESET_ENERGY, "01 42 80 11"),
        (2, requests.RESET_ENERGY, "02 42 80 E1"),
        (0xF8, requests.RESET_ENERGY, "F8 42 C2 41"),
        (1, requests.set_address(5), "01 06 00 02 00 05 E8 09"),
        (1, requests.set_address(100), "01 06 00 02 00 64 29 E1"),
        (0xF8, requests.set_address(10), "F8 06 00 02 00 0A BC 64"),
        (0xF8, requests.set_address(1), "F8 06 00 02 00 01 FD A3"),
        (1, requests.set_alarm_power(2300), "01 06 00 01 08 FC DF 8B"),
        (1, requests.set_range(100), "01 06 00 03 00 00 79 CA"),
        (1, requests.set_range(50), "01 06 00 03 00 01 B8 0A"),
        (1, requests.set_range(200), "01 06 00 03 00 02 F8 0B"),
        (1, requests.set_range(300), "01 06 00 03 00 03 39 CB"),
        (0xF8, requests.READ_ADDRESS, "F8 03 00 02 00 01 31 A3"),
    ],
)
def test_requests_are_the_bytes_of_the_manual(unit: int, request_: Any, frame: str) -> None:
    framer = RtuFramer()
    assert framer.encode(unit, request_).hex(" ").upper() == frame
    if request_ is not requests.READ_ADDRESS:
        [event] = framer.feed(bytes.fromhex(frame))
        assert isinstance(event, Answer), "the echo is the answer"


def test_requests_stay_within_what_meters_take() -> None:
    for address in (0, 248):
        with pytest.raises(ValueError, match=r"1\.\.247"):
            requests.set_address(address)
    with pytest.raises(KeyError):
        requests.set_range(150)
    assert SHUNTS == {100: 0, 50: 1, 200: 2, 300: 3}


def test_the_blocks_are_those_a_meter_serves() -> None:
    blocks = {name: plan(each.registers, each.limits, rtu_cost(9600, 0.03)) for name, each in DRIVERS.items()}
    assert [(each.table, each.address, each.count) for each in blocks["pzem_ac"]] == [(4, 0, 10), (3, 1, 2)]
    assert [(each.table, each.address, each.count) for each in blocks["pzem_dc"]] == [(4, 0, 8), (3, 0, 4)]


def test_settings_and_alarms() -> None:
    ac, _ = decoded({**dict(enumerate((0x08D1, 0x08FC, 10, 0x00F4, 0, 38, 0, 500, 100, 0xFFFF)))}, pzem_ac.DRIVER)
    assert (ac["set_alarm_power"], ac["modbus_address"]) == (2300, 10)
    words = dict(enumerate((30000, 700, 20, 3, 0, 0, 0xFFFF, 0xFFFF)))
    dc, _ = decoded(words, pzem_dc.DRIVER)
    assert (dc["set_high_voltage_alarm"], dc["set_low_voltage_alarm"], dc["modbus_address"]) == (300.0, 7.0, 20)
    assert dc["current_range"] == 3
    assert pzem_dc.DRIVER.points()["current_range"].words == {0: "100 A", 1: "50 A", 2: "200 A", 3: "300 A"}


def test_an_alarm_word_that_is_none_is_unknown() -> None:
    values, reasons = understood(pzem_ac.DRIVER, (0x08D1, 108, 0, 244, 0, 38, 0, 500, 100, 0x1234))
    assert values["high_power_alarm"] is None and reasons["high_power_alarm"] is Reason.INVALID
    values, _ = understood(pzem_ac.DRIVER, (0x08D1, 108, 0, 244, 0, 38, 0, 500, 100, 0xFFFF))
    assert values["high_power_alarm"] == 2


@pytest.mark.parametrize("driver", DRIVERS.values(), ids=lambda each: each.name)
@given(words=st.data())
def test_garbage_never_raises_and_never_becomes_an_impossible_value(driver: Driver, words: st.DataObject) -> None:
    count = driver.limits.max_count
    edge = st.sampled_from((0, 1, 600, 2300, 0x7FFF, 0x8000, 0xFFFF))
    given_words = words.draw(st.lists(st.integers(0, 0xFFFF) | edge, min_size=count, max_size=count))
    values, reasons = understood(driver, tuple(given_words))
    for name, value in values.items():
        assert value is not None or name in reasons
    kind = "ac" if driver is pzem_ac.DRIVER else "dc"
    volts, amps, watts = (values[f"{kind}_{what}"] for what in ("voltage", "current", "power"))
    if volts is not None:
        assert isinstance(volts, float) and isinstance(amps, float) and isinstance(watts, float)
        assert volts <= 350 and amps <= 360 and watts <= 1.1 * volts * amps + 5
    assert (values[v.ENERGY_FORWARD_COUNTER.name] or 0) <= 9_999_999  # type: ignore[operator]
