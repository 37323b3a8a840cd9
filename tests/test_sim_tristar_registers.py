"""The register image of the simulated TriStar MPPT, decoded by the formulas of the vendor's document."""

import struct

import pytest

from heliobus.sim.capture import SimCapture
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar600 import SimTriStar600
from heliobus.sim.tristar_charger import Stage
from heliobus.sim.tristar_coding import FixedPoint
from heliobus.sim.tristar_logger import Counters
from sim_frames import coils, image, load, read, request, s16


def volts(word: int) -> float:
    return s16(word) * 180 / 32768


def amps(word: int) -> float:
    return s16(word) * 80 / 32768


def watts(word: int) -> float:
    return word * 180 * 80 / 131072


@pytest.fixture
def charging() -> SimTriStar:
    device = SimTriStar(counters=Counters(87017.5, 1234.5, 98765.4, 31.9, 2410.2))
    device.advance(3600.0)
    assert device.stage is Stage.MPPT
    return device


@pytest.mark.parametrize("example", load("worked-examples.json")["encode"], ids=lambda e: e["name"])
def test_worked_examples_of_encoding(example: dict) -> None:
    code = FixedPoint()
    value = example["value"] / example.get("multiplier", 1)
    coded = {
        "0x0059": lambda: code.volts(value),
        "0x0058": lambda: code.amps(value),
        "0xE000": lambda: code.volts(value),
        "0xE00D": lambda: code.per_degree(value),
        "0x005B": lambda: code.ratio(value / 100),
    }[example["address"]]()
    assert coded == example["word"]


@pytest.mark.parametrize("example", load("worked-examples.json")["decode"], ids=lambda e: e["name"])
def test_worked_examples_served_and_decoded(example: dict) -> None:
    device = SimCapture(image(example["words"]))
    address, head = int(example["address"], 16), read(device, 0, 4)
    v_pu, i_pu = head[0] + head[1] / 65536, head[2] + head[3] / 65536
    first, second = read(device, address, 2)
    decoded = {
        "v_pu": v_pu,
        "voltage": s16(first) * v_pu / 32768,
        "current": s16(first) * i_pu / 32768,
        "power": first * v_pu * i_pu / 131072,
        "u32_high_first": first * 65536 + second,
    }[example["kind"]]
    assert decoded == pytest.approx(example["value"], abs=example["tolerance"] or 1e-9)


def test_worked_examples_of_words() -> None:
    code = FixedPoint()
    assert code.volts(13.431) == 2445
    assert code.volts(-0.027) == 0xFFFB
    assert code.amps(2.5) == 0x0400
    assert code.watts(900.0) == 0x2000
    assert code.watts(5000.0) > 0x7FFF


def test_measured_registers(charging: SimTriStar) -> None:
    words, charger = read(charging, 0, 92), charging.charger
    assert words[0:4] == [180, 0, 80, 0]
    assert words[4] == 0x42
    assert words[5:0x18] == [0] * 19
    half_volt, half_amp, half_watt = 180 / 65536, 80 / 65536, 180 * 80 / 262144
    assert volts(words[0x18]) == pytest.approx(charger.sense_volts, abs=half_volt)
    assert volts(words[0x19]) == pytest.approx(charger.terminal_volts, abs=half_volt)
    assert volts(words[0x1A]) == pytest.approx(charger.sense_volts, abs=half_volt)
    assert volts(words[0x1B]) == pytest.approx(charger.array_volts, abs=half_volt)
    assert amps(words[0x1C]) == pytest.approx(charger.amps, abs=half_amp)
    assert amps(words[0x1D]) == pytest.approx(charger.array_amps * 1.08, abs=half_amp)
    rails = [words[0x1E] * 18.612, words[0x1F] * 6.6, words[0x20] * 18.612, words[0x21] * 3, words[0x22] * 3]
    assert [rail / 32768 for rail in rails] == pytest.approx([13.02, 3.31, 12.41, 1.79, 2.05], abs=0.001)
    assert s16(words[0x23]) == round(charger.heatsink)
    assert s16(words[0x24]) == s16(words[0x25]) == round(charger.battery_celsius)
    assert volts(words[0x26]) == pytest.approx(charger.slow_volts, abs=half_volt)
    assert amps(words[0x27]) == pytest.approx(charger.slow_amps, abs=half_amp)
    assert volts(words[0x33]) == pytest.approx(charger.reference, abs=half_volt)
    assert watts(words[0x3A]) == pytest.approx(charger.watts, abs=half_watt)
    assert watts(words[0x3B]) == pytest.approx(charger.watts_in * 1.08, abs=half_watt)
    assert watts(words[0x3C]) == pytest.approx(charger.sweep.watts, abs=half_watt)
    assert volts(words[0x3D]) == pytest.approx(charger.sweep.vmp, abs=half_volt)
    assert volts(words[0x3E]) == pytest.approx(charger.sweep.voc, abs=half_volt)
    assert 100 < watts(words[0x3A]) < watts(words[0x3B]) < 7200
    assert volts(words[0x19]) > volts(words[0x1A]) > 24


def test_state_registers(charging: SimTriStar) -> None:
    words = read(charging, 0, 92)
    assert words[0x2C] == words[0x2D] == words[0x2E] == words[0x2F] == 0
    assert words[0x30] == 0b1011_1010, "switches 2 (24 V), 4, 5, 6 (custom), 8 (network writes)"
    assert words[0x31] == 6
    assert words[0x32] == 5
    assert words[0x50:0x5C] == [0] * 12


def test_counters_in_ram_are_high_word_first_and_in_eeprom_low_word_first(charging: SimTriStar) -> None:
    counted = charging.logger.counters
    words = read(charging, 0, 92)
    assert words[0x2A] * 65536 + words[0x2B] == 87018
    assert (words[0x34] * 65536 + words[0x35]) / 10 == pytest.approx(counted.ah_resettable, abs=0.1)
    assert (words[0x36] * 65536 + words[0x37]) / 10 == pytest.approx(counted.ah_total, abs=0.1)
    assert words[0x38] == int(counted.kwh_resettable)
    assert words[0x39] == int(counted.kwh_total)
    stored = read(charging, 0xE080, 13, function=3)
    assert stored[0] + stored[1] * 65536 == 87017
    assert (stored[2] + stored[3] * 65536) / 10 == 1234.5
    assert (stored[4] + stored[5] * 65536) / 10 == 98765.4
    assert stored[6:8] == [31, 2410]
    assert 20 < volts(stored[8]) <= volts(stored[9]) < 30


def test_daily_registers(charging: SimTriStar) -> None:
    charging.logger.today.tb_min, charging.logger.today.tb_max = -7.0, 21.0
    charging.logger.timers.absorption, charging.logger.timers.equalize = 1.0, 2.0
    charging.logger.timers.float_stage = 70000.0
    words, today = read(charging, 0, 92), charging.logger.today
    assert volts(words[0x28]) == pytest.approx(charging.logger.counters.vb_min or 0, abs=0.003)
    assert volts(words[0x29]) == pytest.approx(charging.logger.counters.vb_max or 0, abs=0.003)
    assert volts(words[0x40]) == pytest.approx(today.vb_min, abs=0.003)
    assert volts(words[0x41]) == pytest.approx(today.vb_max, abs=0.003)
    assert volts(words[0x42]) == pytest.approx(today.va_max, abs=0.003)
    assert words[0x43] / 10 == pytest.approx(today.ah, abs=0.1)
    assert words[0x44] % 10 == 0
    assert 0 <= charging.logger.wh - words[0x44] < 10
    assert words[0x45] == 0
    assert watts(words[0x46]) == pytest.approx(today.watts_max, abs=0.06)
    assert (s16(words[0x47]), s16(words[0x48])) == (-7, 21)
    assert words[0x49] == words[0x4B] == words[0x4C] == 0
    assert words[0x4D:0x50] == [1, 2, 65535]


def test_daily_registers_show_faults_alarms_and_flags(charging: SimTriStar) -> None:
    charging.inject_alarm(17)
    charging.inject_alarm(5)
    charging.inject_fault(8)
    words = read(charging, 0, 92)
    assert words[0x2C] == words[0x49] == 1 << 8
    assert words[0x2E:0x30] == words[0x4B:0x4D] == [2, 1 << 5]
    assert words[0x45] == 0b11000
    assert words[0x32] == 4
    assert amps(words[0x1C]) == 0.0


def test_a_missing_temperature_sensor_reads_0x80() -> None:
    device = SimTriStar(rts=False, sense=False)
    device.advance(60.0)
    words = read(device, 0, 92)
    assert words[0x24] == 0x0080
    assert words[0x25] != 0x0080
    assert words[0x2F] == 1, "alarm 0: RTS open"
    assert words[0x1A] == 0
    assert words[0x18] == words[0x19]


def test_the_dark_array_reads_a_hair_below_zero() -> None:
    device = SimTriStar(hour=1.0)
    device.advance(60.0)
    words = read(device, 0, 92)
    assert words[0x1B] == 0xFFFB
    assert words[0x32] == 3
    assert words[0x33] == 0


def test_serial_number_model_and_versions(charging: SimTriStar) -> None:
    assert read(charging, 0xE0C0, 4, function=3) == [0x3031, 0x3731, 0x3230, 0x3639]
    assert read(charging, 0xE0C0, 14)[12:] == [1, 0x0101]
    assert read(SimTriStar(serial="01234567", model=45, hardware=0x0203), 0xE0C0, 14) == [
        *(0x3130, 0x3332, 0x3534, 0x3736),
        *[0] * 8,
        *(0, 0x0203),
    ]
    assert read(SimTriStar(model=30), 0xE0CC) == [2]


def test_network_block(charging: SimTriStar) -> None:
    assert read(charging, 0x1000) == [9]
    assert read(charging, 0x100F, 2) == [0xA8C0, 0xFD01]
    assert read(charging, 0x1011, 2) == [0xFFFF, 0x00FF]
    assert read(charging, 0x1025) == [0x4000]
    name = b"".join(word.to_bytes(2, "little") for word in read(charging, 0x1029, 8)).rstrip(b"\0")
    assert name == b"tsmppt10170296"
    assert read(charging, 0x1501, 26) == read(charging, 0x100F, 26)
    assert read(charging, 0x151B, 2) == [80, 502]


def test_settings_eeprom_is_for_12_volts(charging: SimTriStar) -> None:
    words = read(charging, 0xE000, 34, function=3)
    assert volts(words[0]) == pytest.approx(14.4, abs=0.003)
    assert volts(words[1]) == pytest.approx(13.4, abs=0.003)
    assert words[2] == 9000
    assert words[0x0D] * 180 / 65536 == pytest.approx(0.03, abs=0.0014)
    assert (s16(words[0x11]), s16(words[0x12])) == (80, -40)
    assert words[0x19] == 1
    target = (14.4 - 0.0302 * (charging.charger.battery_celsius - 25)) * 2
    assert volts(read(charging, 0x33)[0]) == pytest.approx(target, abs=0.02)


@pytest.mark.parametrize(
    ("system", "writes", "program", "expected"),
    [(12, True, 7, 188), (24, False, 7, 0b0011_1010), (48, True, 0b100, 0b1000_1110), (24, True, 1, 0b1010_0010)],
)
def test_switches(system: int, writes: bool, program: int, expected: int) -> None:
    device = SimTriStar(system=system, network_writes=writes, program=program)
    assert read(device, 0x30) == [expected]


def test_switches_on_auto() -> None:
    assert read(SimTriStar(switch_system=False), 0x30)[0] & 0b110 == 0


def test_identification(charging: SimTriStar) -> None:
    answer = charging.answer(bytes.fromhex("2b0e0100"))
    assert answer is not None
    assert answer[:7] == bytes.fromhex("2b0e0101000003")
    assert answer[7:] == b"\x00\x11Morningstar Corp.\x01\x0aTS-MPPT-60\x02\x09v01.01.42"
    assert charging.answer(bytes.fromhex("2b0e0400")) == b"\xab\x03"


@pytest.mark.parametrize(
    ("pdu", "answer"),
    [
        (request(4, 0x005B, 2), b"\x84\x02"),
        (request(3, 0x0100, 1), b"\x83\x02"),
        (request(3, 0xE022, 1), b"\x83\x02"),
        (request(3, 0, 0), b"\x83\x03"),
        (request(3, 0, 126), b"\x83\x03"),
        (request(0x10, 0x58, 1) + b"\x02\x00\x01", b"\x90\x01"),
        (request(0x0F, 0, 1) + b"\x01\x01", b"\x8f\x01"),
        (b"\x11", b"\x91\x01"),
        (b"\x03\x00", b"\x83\x03"),
        (request(5, 0, 0x1234), b"\x85\x03"),
        (request(5, 0x00F0, 0xFF00), b"\x85\x02"),
        (request(6, 0x0018, 1), b"\x86\x02"),
        (request(6, 0xE0C0, 1), b"\x86\x02"),
        (request(6, 0x1518, 1), b"\x86\x02"),
        (b"", None),
    ],
)
def test_what_the_device_refuses(charging: SimTriStar, pdu: bytes, answer: bytes | None) -> None:
    assert charging.answer(pdu) == answer


def test_coils_read_what_was_requested(charging: SimTriStar) -> None:
    assert coils(charging, 0, 3) == [False, False, False]
    assert charging.answer(request(5, 2, 0xFF00)) == request(5, 2, 0xFF00)
    assert coils(charging, 0, 3) == [False, False, True]


def test_capture_c_decodes_as_published() -> None:
    capture = load("capture-c.json")
    device = SimCapture(image(capture["quoted"], capture["computed"]), ranges=[(0, 0x5B)])
    words, decoded = read(device, 0, 92), capture["decoded"]
    assert volts(words[0x18]) == pytest.approx(decoded["battery_voltage"], abs=0.001)
    assert volts(words[0x1B]) == pytest.approx(decoded["array_voltage"], abs=0.001)
    assert words[0x2A] * 65536 + words[0x2B] == decoded["hourmeter"]
    rails = [words[0x1E] * 18.612, words[0x1F] * 6.6, words[0x20] * 18.612, words[0x21] * 3, words[0x22] * 3]
    names = ["rail_12v", "rail_3v", "meterbus", "rail_1v8", "v_ref"]
    assert [round(rail / 32768, 2) for rail in rails] == [decoded[name] for name in names]
    assert device.answer(request(4, 0x5B, 2)) == b"\x84\x02"


def half(word: int) -> float:
    return float(struct.unpack(">e", word.to_bytes(2, "big"))[0])


def single(high: int, low: int) -> float:
    return float(struct.unpack(">f", (high << 16 | low).to_bytes(4, "big"))[0])


def test_the_600_volt_model_has_its_own_map() -> None:
    device = SimTriStar600(counters=Counters(500.0, 10.0, 98765.4, 3.0, 2410.0))
    device.advance(3600.0)
    words, charger = read(device, 0, 0x69), device.charger
    assert words[0x06] == 4
    assert half(words[0x18]) == pytest.approx(charger.sense_volts, rel=0.001)
    assert half(words[0x1B]) == pytest.approx(charger.array_volts, rel=0.001)
    assert charger.array_volts > 200
    assert half(words[0x1C]) == pytest.approx(charger.amps, rel=0.001)
    assert half(words[0x3A]) == pytest.approx(charger.watts, rel=0.001)
    assert single(words[0x36], words[0x37]) == pytest.approx(device.logger.counters.ah_total)
    assert half(words[0x39]) == pytest.approx(device.logger.counters.kwh_total, rel=0.001)
    assert words[0x32] == 5
    device.inject_fault(22)
    assert read(device, 0x2C, 2) == [1 << 6, 0]
    stored = read(device, 0xE080, 16)
    assert single(stored[6], stored[7]) == 3.0
    assert single(stored[14], stored[15]) == 2410.0
    answer = device.answer(bytes.fromhex("2b0e0100"))
    assert answer is not None
    assert b"TS-MPPT-60-600V-48" in answer


def test_the_600_volt_model_shows_a_missing_sensor_as_nan_and_is_steered_at_0x68() -> None:
    device = SimTriStar600(rts=False)
    device.advance(600.0)
    assert read(device, 0x24) == [0x7E00]
    five_amps = int.from_bytes(struct.pack(">e", 5.0), "big")
    assert device.answer(request(6, 0x68, five_amps)) is not None
    assert device.stage is Stage.SLAVE
    assert device.charger.amps == pytest.approx(5.0)
