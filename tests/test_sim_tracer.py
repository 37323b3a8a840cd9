"""The simulated Tracer against the EPever reference page: registers, holes, functions, captured frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.sim.tracer import SimTracer
from heliobus.sim.tracer_families import FAMILIES, rating_of
from heliobus.sim.tracer_state import TracerFault
from sim_frames import coils, read, request, s16

BN_REALTIME_MASK = "04 0f ff ff"
BN_SETTINGS_MASK = "01 fe a8 00 00 3f fc e0 00 00 03 ff f8 7f ff"


def tracer(**options: object) -> SimTracer:
    return SimTracer(**{"model": "Tracer2215BN", **options})  # type: ignore[arg-type]


def answer(device: SimTracer, text: str) -> str:
    said = device.answer(bytes.fromhex(text))
    return "" if said is None else said.hex(" ")


def u32(words: list[int]) -> int:
    return words[0] | words[1] << 16


def test_a_captured_2215bn_has_the_same_rated_registers() -> None:
    device = tracer()
    assert read(device, 0x3000, 9) == [15000, 2000, 52000, 0, 2400, 2000, 50000, 0, 2]
    assert read(device, 0x300E) == [2000]


def test_ratings_follow_the_model_name() -> None:
    forty = rating_of("Tracer4415BN")
    assert (forty.amps, forty.battery_volts, forty.array_watts) == (40.0, 48.0, 2080.0)
    assert rating_of("LS1024B").amps == 10.0
    assert rating_of("Tracer3210A").array_volts == 100.0


def test_identification_as_captured() -> None:
    device = tracer()
    basic = "2b 0e 01 01 00 00 03 00 15 45 50 73 6f 6c 61 72 20 54 65 63 68 20 63 6f 2e 2c 20 4c 74 64 01 0c 54 72 61"
    basic += " 63 65 72 32 32 31 35 42 4e 02 0d 56 30 32 2e 30 35 2b 56 30 37 2e 31 32"
    assert answer(device, "2B 0E 01 00") == basic
    assert answer(device, "2B 0E 02 00") == (
        "2b 0e 02 01 00 00 01 03 10 30 30 30 32 32 30 31 33 30 31 32 30 30 30 34 35"
    )
    assert answer(device, "2B 0E 03 00") == "ab 03"
    assert answer(tracer(family="strict-AN"), "2B 0E 01 00") == "ab 01"


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        ("03 30 00 00 01", "83 02"),
        ("03 31 00 00 12", "83 02"),
        ("04 90 00 00 01", "84 02"),
        ("02 00 02 00 01", "82 02"),
        ("01 20 00 00 01", "81 02"),
        ("04 30 0D 00 01", "84 02"),
        ("04 30 00 00 0F", "84 02"),
        ("04 31 1A 00 04", "84 02"),
        ("03 90 64 00 01", "83 02"),
        ("03 91 00 00 01", "83 02"),
        ("04 31 00 00 00", "84 03"),
        ("41", "c1 01"),
        ("10 90 09 00 01 02 05 32", "90 04"),
    ],
)
def test_what_is_refused_and_how(asked: str, refused: str) -> None:
    assert answer(tracer(), asked) == refused


@pytest.mark.parametrize(
    ("family", "largest"),
    [("strict-AN", 18), ("AN", 19), ("BN", 20), ("LS-B", 18)],
)
def test_the_real_time_block_has_its_limit(family: str, largest: int) -> None:
    device = tracer(family=family)
    assert len(read(device, 0x3100, largest)) == largest
    assert device.answer(request(4, 0x3100, largest + 1)) == b"\x84\x02"


def test_families_lack_what_the_page_says() -> None:
    def exists(family: str, address: int, count: int = 1) -> bool:
        said = tracer(family=family).answer(request(3 if address >= 0x9000 else 4, address, count))
        assert said is not None
        return said[0] < 0x80

    assert exists("BN", 0x9013, 15)
    assert not exists("AN", 0x9016)
    assert not exists("AN", 0x9017)
    assert exists("AN", 0x9018, 10)
    assert not exists("strict-AN", 0x3005)
    assert exists("AN", 0x3000, 9)
    assert exists("BN", 0x3300, 22)
    assert not exists("AN", 0x3300, 21)
    assert exists("BN", 0x331A, 5)
    assert exists("strict-AN", 0x331A, 3)
    assert not exists("LS-B", 0x3202)
    assert not exists("LS-B", 0x3010)
    assert exists("LS-B", 0x3200, 2)
    assert not exists("DR", 0x310C)
    assert exists("DR", 0x310D, 3)
    assert exists("G3", 0x90BF)
    assert not exists("BN", 0x90BF)
    assert exists("G3", 0x9010, 2)


def test_a_pwm_controller_says_so_and_ties_the_array_to_the_battery() -> None:
    device = SimTracer(model="LS2024B", family="LS-B", hour=12.0)
    device.advance(60.0)
    assert read(device, 0x3008) == [1]
    words = read(device, 0x3100, 8)
    assert abs(words[0] - words[4]) < 100
    assert u32(words[2:4]) == pytest.approx(u32(words[6:8]), rel=0.05)


def test_the_sparse_read_has_the_captured_masks() -> None:
    device = tracer(hour=0.0)
    assert answer(device, "43 31 00 00 1B").startswith(f"43 36 {BN_REALTIME_MASK} ")
    assert answer(device, "43 30 05 00 0A") == "43 14 02 0f 07 d0 c3 50 00 00 00 02 07 d0"
    settings = answer(device, "43 90 00 00 71")
    assert settings.startswith(f"43 e2 {BN_SETTINGS_MASK} 00 01 00 c8 01 2c 06 40 05 dc 05 dc 05 b4 05 a0 05 64 ")
    assert len(bytes.fromhex(settings)) == 2 + 15 + 2 * 56
    assert answer(device, "43 90 00 00 80") == "c3 03"
    assert answer(tracer(family="AN"), "43 31 00 00 1B") == "c3 01"


def test_the_unit_id_is_read_and_set() -> None:
    device = tracer()
    assert answer(device, "45 00 01 01 F8") == "45 01"
    assert answer(device, "45 00 01 01 60") == "45 60"
    assert device.unit == 0x60
    assert answer(device, "45 00 01 01 00") == "c5 03"
    assert answer(device, "45 00") == "c5 03"


def test_thirty_two_bits_have_the_low_word_first() -> None:
    device = SimTracer(model="Tracer6415BN", system=48, hour=12.0, cloudiness=0.0, generated=1000.0)
    device.advance(60.0)
    words = read(device, 0x3100, 8)
    assert words[3] > 0, "more than 655.35 W"
    assert u32(words[2:4]) / 100 == pytest.approx(words[0] * words[1] / 1e4, rel=0.01)
    assert u32(read(device, 0x3312, 2)) >= 100000


def test_net_current_is_signed_and_counts_the_own_load_only() -> None:
    device = tracer(hour=0.0, load_watts=24.0)
    volts, low, high = read(device, 0x331A, 3)
    assert volts == read(device, 0x3104)[0]
    assert high == 0xFFFF
    assert low - 0x10000 == -read(device, 0x310D)[0]


def test_temperatures_without_a_sensor_are_the_sentinel() -> None:
    device = tracer(day_of_year=15, hour=3.0)
    assert read(device, 0x3110) == [2500]
    assert read(device, 0x311B) == [2500]
    fitted = tracer(day_of_year=15, hour=3.0, sensor=True)
    assert s16(read(fitted, 0x3110)[0]) < 1000
    assert s16(read(fitted, 0x3111)[0]) < 1000


def test_status_words_by_day_and_night() -> None:
    day = tracer(hour=12.0)
    assert read(day, 0x3200, 3) == [0, 0x000B, 1], "D1 stands though nothing is wrong"
    assert read(tracer(hour=12.0, d1_quirk=False), 0x3201) == [0x0009]
    night = tracer(hour=1.0)
    assert read(night, 0x3201) == [0x4001]
    assert read(tracer(hour=1.0, no_input_bit=False), 0x3201) == [0x0001]
    assert answer(night, "02 20 0C 00 01") == "02 01 01"
    assert answer(day, "02 20 0C 00 01") == "02 01 00"


@pytest.mark.parametrize(
    ("fault", "address", "bits"),
    [
        (TracerFault.BATTERY_HOT, 0x3200, 0x0010),
        (TracerFault.BATTERY_COLD, 0x3200, 0x0020),
        (TracerFault.BATTERY_RESISTANCE, 0x3200, 0x0100),
        (TracerFault.WRONG_VOLTAGE, 0x3200, 0x8000),
        (TracerFault.ARRAY_SHORT, 0x3201, 0x0010),
        (TracerFault.ARRAY_OVER_CURRENT, 0x3201, 0x0400),
        (TracerFault.CHARGE_MOSFET_SHORT, 0x3201, 0x2000),
        (TracerFault.ARRAY_OVER_VOLTAGE, 0x3201, 0x8000),
        (TracerFault.LOAD_SHORT, 0x3201, 0x0100),
        (TracerFault.LOAD_SHORT, 0x3202, 0x0800),
        (TracerFault.LOAD_OVERLOAD, 0x3201, 0x0200),
        (TracerFault.LOAD_OVERLOAD, 0x3202, 0x3000),
    ],
)
def test_faults_show_in_their_bits(fault: TracerFault, address: int, bits: int) -> None:
    device = tracer(hour=12.0)
    assert not read(device, address)[0] & bits
    device.inject(fault)
    assert read(device, address)[0] & bits == bits
    device.clear(fault)
    assert not read(device, address)[0] & bits


def test_faults_stop_what_they_stop() -> None:
    device = tracer(hour=12.0)
    assert read(device, 0x3105)[0] > 0
    device.inject(TracerFault.OVER_TEMPERATURE)
    assert read(device, 0x3105) == [0]
    assert answer(device, "02 20 00 00 01") == "02 01 01"
    assert read(device, 0x3202)[0] & 1
    device.inject(TracerFault.LOAD_SHORT)
    assert not read(device, 0x3202)[0] & 1
    assert read(device, 0x310C, 2) == [0, 0]


def test_the_load_coil() -> None:
    device = tracer(hour=0.0)
    assert coils(device, 2, 1) == [True]
    assert answer(device, "05 00 02 00 00") == "05 00 02 00 00"
    assert read(device, 0x310C, 4) == [0, 0, 0, 0]
    assert read(device, 0x3202) == [0]
    assert answer(device, "05 00 02 FF 00") == "05 00 02 ff 00"
    assert read(device, 0x3202) == [1]
    assert answer(device, "05 00 02 12 34") == "85 03"


def test_coils_that_are_acknowledged_and_ignored() -> None:
    device = tracer(hour=12.0)
    for address in (0, 1):
        assert device.answer(request(5, address, 0)) == request(5, address, 0)
    assert read(device, 0x3105)[0] > 0
    assert tracer(family="AN").answer(request(5, 1, 0)) == b"\x85\x02"
    assert device.answer(request(5, 9, 0)) == b"\x85\x02"
    assert device.answer(request(1, 2, 4)) == b"\x81\x02", "0004 is a hole"
    assert coils(device, 5, 2) == [False, False]


def test_test_mode_forces_the_load() -> None:
    device = tracer(hour=0.0)
    device.answer(request(5, 2, 0))
    device.answer(request(5, 6, 0xFF00))
    assert read(device, 0x3202) == [0]
    device.answer(request(5, 5, 0xFF00))
    assert read(device, 0x3202) == [1]


def test_clearing_the_energy_needs_rights() -> None:
    device, entitled = tracer(), tracer(rights=True)
    for each in (device, entitled):
        assert each.answer(request(5, 0x14, 0xFF00)) == request(5, 0x14, 0xFF00)
    assert read(device, 0x3312)[0] > 0
    assert read(entitled, 0x3312) == [0]


def test_answers_are_slow_and_pause_where_the_page_says() -> None:
    device = tracer()
    assert 0.008 <= device.slowness(request(3, 0x9000, 15)) <= 0.021
    assert device.slowness(request(4, 0x3100, 18)) == 0
    assert device.pause(request(4, 0x3300, 20)) > 0
    assert device.pause(request(4, 0x331A, 3)) == 0


@given(st.sampled_from(sorted(FAMILIES)), st.binary(max_size=12))
def test_garbage_gets_an_answer_or_silence(family: str, pdu: bytes) -> None:
    said = tracer(family=family).answer(pdu)
    assert said is None or said[0] & 0x7F == pdu[0] & 0x7F
