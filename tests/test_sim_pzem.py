"""The simulated PZEM meters against the PZEM reference page and its captured frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.sim.pzem import GARBAGE_SECONDS, REFRESH_SECONDS, SimPzemAc, SimPzemDc
from sim_frames import read, request

ALL_AC, ALL_DC = "04 00 00 00 0A", "04 00 00 00 08"


def answer(device: SimPzemAc | SimPzemDc, text: str) -> str:
    said = device.answer(bytes.fromhex(text), serial=True)
    return "" if said is None else said.hex(" ").upper()


@pytest.mark.parametrize(
    ("volts", "watts", "factor", "energy", "captured"),
    [
        (225.7, 24.4, 1.0, 38, "04 14 08 D1 00 6C 00 00 00 F4 00 00 00 26 00 00 01 F4 00 64 00 00"),
        (220.0, 220.0, 1.0, 0, "04 14 08 98 03 E8 00 00 08 98 00 00 00 00 00 00 01 F4 00 64 00 00"),
    ],
)
def test_ac_answers_as_captured(volts: float, watts: float, factor: float, energy: float, captured: str) -> None:
    device = SimPzemAc(volts=volts, watts=watts, power_factor=factor, energy_wh=energy)
    assert answer(device, ALL_AC) == captured


def test_the_high_words_carry_over_6553_watts_and_65536_watt_hours() -> None:
    device = SimPzemAc(volts=241.3, watts=6892.3, power_factor=0.98, energy_wh=73462)
    words = read(device, 0, 10)
    assert words[3:7] == [0x0D3B, 0x0001, 73462 - 65536, 1]
    assert words[1] | words[2] << 16 == pytest.approx(6892.3 / 241.3 / 0.98 * 1000, abs=1)


def test_dc_answers_as_captured() -> None:
    device = SimPzemDc(volts=13.44, amps=0.1, energy_wh=2)
    assert answer(device, ALL_DC) == "04 10 05 40 00 0A 00 0D 00 00 00 02 00 00 00 00 00 00"
    assert answer(SimPzemDc(volts=100.0, amps=1.0), ALL_DC) == ("04 10 27 10 00 64 03 E8 00 00 00 00 00 00 00 00 00 00")


def test_exact_lengths_tell_ac_from_dc() -> None:
    ac, dc = SimPzemAc(), SimPzemDc()
    assert answer(ac, "04 00 00 00 09").startswith("04 12 ")
    assert answer(ac, "04 00 01 00 02").startswith("04 04 ")
    assert answer(ac, "04 00 00 00 0B") == "84 02"
    for count in ("09", "0A"):
        assert answer(dc, f"04 00 00 00 {count}") == "84 02"
    assert answer(dc, "04 00 06 00 02") == "04 04 00 00 00 00"
    assert answer(dc, "04 00 07 00 02") == "84 02"


def test_settings_registers() -> None:
    ac, dc = SimPzemAc(7), SimPzemDc(9)
    assert answer(ac, "03 00 01 00 02") == "03 04 59 D8 00 07"
    assert answer(ac, "03 00 00 00 01") == "83 02"
    assert answer(dc, "03 00 00 00 04") == "03 08 75 30 02 BC 00 09 00 00"
    assert answer(dc, "03 00 00 00 05") == "83 02"


@pytest.mark.parametrize(
    ("device", "frame"),
    [
        (SimPzemAc(), "06 00 01 08 FC"),
        (SimPzemDc(), "06 00 00 4E 20"),
        (SimPzemDc(), "06 00 01 03 E8"),
        (SimPzemDc(), "06 00 03 00 01"),
    ],
)
def test_the_manuals_writes_are_echoed_and_kept(device: SimPzemAc | SimPzemDc, frame: str) -> None:
    assert answer(device, frame) == frame
    assert answer(device, f"03 {frame[3:8]} 00 01")[-5:] == frame[-5:]


@pytest.mark.parametrize(
    ("device", "frame", "code"),
    [
        (SimPzemAc(), "06 00 00 00 01", 2),
        (SimPzemAc(), "06 00 03 00 01", 2),
        (SimPzemAc(), "06 00 02 00 00", 3),
        (SimPzemAc(), "06 00 02 00 F8", 3),
        (SimPzemDc(), "06 00 03 00 04", 3),
        (SimPzemDc(), "06 00 00 01 00", 3),
        (SimPzemDc(shunt=None), "06 00 03 00 01", 3),
        (SimPzemDc(), "06 00 04 00 01", 2),
        (SimPzemAc(), "10 00 01 00 01 02 00 05", 1),
        (SimPzemAc(), "2B 0E 01 00", 1),
        (SimPzemAc(), "01 00 00 00 01", 1),
    ],
)
def test_what_is_refused(device: SimPzemAc | SimPzemDc, frame: str, code: int) -> None:
    assert answer(device, frame) == f"{int(frame[:2], 16) | 0x80:02X} {code:02X}"


def test_an_address_change_counts_from_the_next_request() -> None:
    device = SimPzemAc(1)
    assert answer(device, "06 00 02 00 64") == "06 00 02 00 64"
    assert device.unit == 100
    assert answer(device, "03 00 02 00 01") == "03 02 00 64"


def test_energy_counts_and_is_reset() -> None:
    device = SimPzemAc(watts=3600.0)
    device.advance(600.0)
    assert read(device, 5, 2) == [600, 0]
    assert answer(device, "42") == "42"
    assert read(device, 5, 2) == [0, 0]
    assert device.resets == 1
    assert answer(device, "42 00") == "C2 03"


def test_the_counter_rolls_over_at_9999_99_kwh() -> None:
    device = SimPzemAc(watts=3600.0, energy_wh=9_999_999.5)
    device.advance(2.0)
    assert read(device, 5, 2) == [1, 0]


def test_calibration_is_refused_and_remembered() -> None:
    device = SimPzemAc()
    assert answer(device, "41 37 21") == "C1 04"
    assert device.calibrations == 1


def test_no_mains_no_answer_then_garbage_then_the_truth() -> None:
    device = SimPzemAc(watts=100.0, energy_wh=500.0)
    truth = read(device, 0, 10)
    device.power(False)
    assert answer(device, ALL_AC) == ""
    device.advance(3600.0)
    device.power(True)
    wrong = read(device, 0, 10)
    assert wrong != truth
    assert read(device, 0, 10) != wrong
    device.advance(GARBAGE_SECONDS - 0.1)
    assert device.garbage_seconds > 0
    device.advance(0.2)
    assert read(device, 0, 10) == truth, "and no energy while it was dark"


def test_a_dead_grid_is_silence() -> None:
    device = SimPzemAc(volts=70.0)
    assert answer(device, ALL_AC) == ""


def test_a_dc_meter_without_supply_is_silent() -> None:
    device = SimPzemDc(volts=5.0, fed=False)
    assert answer(device, ALL_DC) == ""
    device.fed = True
    assert answer(device, ALL_DC) != ""


def test_a_wrong_shunt_range_scales_current_power_and_energy() -> None:
    device = SimPzemDc(volts=10.0, amps=20.0, shunt=100)
    assert read(device, 1, 2) == [2000, 2000]
    assert answer(device, "06 00 03 00 03") == "06 00 03 00 03"
    assert read(device, 1, 2) == [6000, 6000]
    device.advance(3600.0)
    assert read(device, 4) == [600]
    answer(device, "06 00 03 00 01")
    assert read(device, 1) == [1000]


def test_reverse_current_reads_zero() -> None:
    assert read(SimPzemDc(amps=-5.0), 1, 3) == [0, 0, 0]


def test_alarms() -> None:
    ac = SimPzemAc(watts=2400.0, alarm_watts=2300)
    assert read(ac, 9) == [0xFFFF]
    assert read(SimPzemAc(watts=2200.0, alarm_watts=2300), 9) == [0]
    assert read(SimPzemDc(volts=6.5), 6, 2) == [0, 0xFFFF]
    assert read(SimPzemDc(volts=301.0), 6, 2) == [0xFFFF, 0]


def test_values_are_renewed_a_little_slower_than_once_a_second() -> None:
    device = SimPzemAc(watts=100.0, wobble=0.2)
    before = read(device, 0, 10)
    device.advance(REFRESH_SECONDS - 0.01)
    assert read(device, 0, 10) == before
    device.advance(0.02)
    assert read(device, 0, 10) != before


def test_the_same_seed_wobbles_alike() -> None:
    first, second = (SimPzemAc(wobble=0.1, seed=5) for _ in range(2))
    for device in (first, second):
        device.advance(10.0)
    assert read(first, 0, 10) == read(second, 0, 10)


@given(st.binary(min_size=1, max_size=10), st.booleans())
def test_garbage_gets_an_answer_or_silence(pdu: bytes, ac: bool) -> None:
    said = (SimPzemAc() if ac else SimPzemDc()).answer(pdu)
    assert said is None or said[0] & 0x7F == pdu[0] & 0x7F


def test_function_04_of_one_register() -> None:
    assert SimPzemAc(hertz=60.0).answer(request(4, 7, 1)) == b"\x04\x02\x02\x58"
