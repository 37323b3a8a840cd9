"""What the simulated Tracer lets be written: §8.4, §9 and §10 of the EPever reference page."""

from collections.abc import Sequence

import pytest

from heliobus.sim.tracer import SimTracer
from sim_frames import read, request

# The block a Tracer AN was recorded to accept.
CAPTURED = [0x0640, 0x05DC, 0x05DC, 0x05B4, 0x05A0, 0x0564, 0x0528, 0x04EC, 0x04C4, 0x04B0, 0x0456, 0x0424]
USER_SET = [1600, 1500, 1500, 1460, 1440, 1380, 1320, 1260, 1220, 1200, 1110, 1060]
LITHIUM = [1480, 1440, 1440, 1420, 1420, 1380, 1330, 1280, 1240, 1200, 1150, 1120]
REFUSED = b"\x90\x04"


def write(device: SimTracer, address: int, words: Sequence[int]) -> bytes | None:
    content = b"".join(word.to_bytes(2, "big") for word in words)
    return device.answer(request(0x10, address, len(words)) + bytes((len(content),)) + content)


def taken(device: SimTracer, address: int, words: Sequence[int]) -> bool:
    said = write(device, address, words)
    if said == request(0x10, address, len(words)):
        return True
    assert said is not None
    assert said[0] == 0x90
    return False


def user(**options: object) -> SimTracer:
    device = SimTracer(**options)  # type: ignore[arg-type]
    assert taken(device, 0x9000, [0])
    return device


def test_factory_settings_are_sealed_for_the_system_voltage() -> None:
    assert read(SimTracer(), 0x9000, 15, 3) == [1, 200, 300, *CAPTURED]
    assert read(SimTracer(system=24), 0x9003, 12, 3) == [2 * word for word in CAPTURED]
    assert read(SimTracer(system=24), 0x9067, 1, 3) == [2]
    assert read(SimTracer(), 0x9018, 1, 3) == [0xF060]


def test_the_captured_block_is_accepted_as_one_write() -> None:
    device = user(family="AN")
    assert write(device, 0x9003, CAPTURED) == bytes.fromhex("109003000C")
    assert taken(device, 0x9003, LITHIUM)
    assert read(device, 0x9003, 12, 3) == LITHIUM
    assert taken(device, 0x9000, [0, 100, 0, *USER_SET])
    assert read(device, 0x9000, 15, 3) == [0, 100, 0, *USER_SET]


@pytest.mark.parametrize(("first", "count"), [(0, 1), (6, 1), (0, 11), (1, 11), (11, 1)])
def test_parts_of_the_block_are_refused(first: int, count: int) -> None:
    device = user()
    assert write(device, 0x9003 + first, USER_SET[first : first + count]) == REFUSED
    assert device.answer(request(6, 0x9003 + first, 1400)) == b"\x86\x04"
    assert read(device, 0x9003, 12, 3) == CAPTURED


def test_a_block_that_begins_at_the_capacity_is_refused() -> None:
    assert write(user(), 0x9001, [100, 300, *USER_SET]) == REFUSED


@pytest.mark.parametrize(
    ("index", "value"),
    [
        (0, 1500),  # over-voltage disconnect not above the limit
        (2, 1600),  # over-voltage reconnect not below the disconnect
        (1, 1450),  # limit below equalize
        (3, 1430),  # equalize below boost
        (4, 1370),  # boost below float
        (6, 1380),  # boost reconnect not below float
        (7, 1320),  # low-voltage reconnect not below boost reconnect
        (10, 1260),  # low-voltage disconnect not below its reconnect
        (11, 1111),  # discharging limit above low-voltage disconnect
        (8, 1200),  # warning recover not above warning
        (9, 1050),  # warning below the discharging limit
        (0, 1701),  # beyond 17 V
        (11, 899),  # beyond 9 V
    ],
)
def test_sets_that_break_a_condition_are_refused_whole(index: int, value: int) -> None:
    device = user()
    wrong = [value if at == index else word for at, word in enumerate(USER_SET)]
    assert write(device, 0x9003, wrong) == REFUSED
    assert read(device, 0x9003, 12, 3) == CAPTURED


def test_voltages_need_the_user_type() -> None:
    device = SimTracer()
    assert write(device, 0x9003, LITHIUM) == REFUSED
    assert taken(device, 0x9003, CAPTURED), "the preset's own"
    assert write(device, 0x9000, [2, 200, 300, *LITHIUM]) == REFUSED
    assert read(device, 0x9000, 1, 3) == [1]


def test_the_user_type_needs_a_fixed_system_voltage() -> None:
    device = SimTracer(system_code=0)
    assert write(device, 0x9000, [0]) == REFUSED
    assert taken(device, 0x9067, [1])
    assert taken(device, 0x9000, [0])


def test_preset_types_load_their_voltages() -> None:
    device = user(system=24)
    assert taken(device, 0x9003, [2 * word for word in LITHIUM])
    assert taken(device, 0x9000, [3])
    assert read(device, 0x9006, 2, 3) == [2960, 2920]
    assert taken(device, 0x9000, [2])
    assert read(device, 0x9007, 1, 3) == [2840]
    assert write(device, 0x906B, [60]) == REFUSED, "gel is not equalized"
    assert taken(device, 0x906C, [60])
    assert taken(device, 0x9000, [0])
    assert read(device, 0x9007, 1, 3) == [2840], "the user type keeps what is there"


def test_lithium_types_exist_on_g3_only() -> None:
    assert write(SimTracer(), 0x9000, [4]) == b"\x90\x03"
    device = SimTracer(family="G3")
    assert taken(device, 0x9000, [8])
    assert read(device, 0x9003, 3, 3) == [1280, 1260, 1250]


def test_g3_limits_its_current() -> None:
    device = SimTracer(family="G3", hour=12.0)
    assert read(device, 0x3105)[0] > 400
    assert write(device, 0x90BF, [360]) == bytes.fromhex("1090BF0001")
    assert read(device, 0x3105) == [360]
    assert read(device, 0x90BF, 1, 3) == [360]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (0x903D, [2, 0x0200, 0x0200]),
        (0x901E, [500, 10, 600, 10]),
        (0x9017, [0x1964, 0xF060, 0x2134, 0x1D4C]),
    ],
)
def test_the_vendors_examples_are_taken(address: int, words: list[int]) -> None:
    device = SimTracer()
    assert taken(device, address, words)
    assert read(device, address, len(words), 3) == words


@pytest.mark.parametrize(
    ("address", "word", "code"),
    [(0x903D, 4, 3), (0x906B, 181, 3), (0x906C, 9, 3), (0x9001, 0, 3), (0x9064, 1, 2), (0x3100, 1, 2)],
)
def test_values_and_addresses_are_checked(address: int, word: int, code: int) -> None:
    assert write(SimTracer(), address, [word]) == bytes((0x90, code))


def test_function_06_is_taken_for_some_registers_of_some() -> None:
    device = SimTracer()
    assert device.answer(request(6, 0x9019, 1000)) == request(6, 0x9019, 1000)
    assert device.answer(request(6, 0x906B, 60)) == b"\x86\x02"
    assert SimTracer(family="AN").answer(request(6, 0x9019, 1000)) == b"\x86\x01"


def test_a_low_temperature_limit_stops_charging() -> None:
    device = SimTracer(hour=12.0)
    device.advance(60.0)
    assert taken(device, 0x9019, [1000])
    assert read(device, 0x3105) == [0]
    assert taken(device, 0x9019, [8500])
    assert read(device, 0x3105)[0] > 0


def test_writes_are_counted_once_and_only_when_they_change_something() -> None:
    device = user()
    before = device.settings.writes
    assert taken(device, 0x9003, CAPTURED)
    assert device.settings.writes == before
    assert taken(device, 0x9003, LITHIUM)
    assert device.settings.writes == before + 1


def test_factory_settings_by_coil() -> None:
    device = user()
    assert taken(device, 0x9003, LITHIUM)
    assert device.answer(bytes.fromhex("050013FF00")) == bytes.fromhex("050013FF00")
    assert read(device, 0x9000, 15, 3) == [1, 200, 300, *CAPTURED]
    assert device.factory_resets == 1


def test_the_clock_is_written_as_one() -> None:
    device = SimTracer()
    words = [0x3035, 0x1300, 0x0F06]
    assert write(device, 0x9013, words) == bytes.fromhex("1090130003")
    assert read(device, 0x9013, 3, 3) == words
    assert write(device, 0x9013, words[:1]) == REFUSED
    assert write(device, 0x9014, words[1:]) == REFUSED
    assert write(device, 0x9013, [0x3C00, 0x0100, 0x1801]) == b"\x90\x03"
    assert write(device, 0x9013, [0, 0x1F00, 0x1802]) == b"\x90\x03"
    assert device.answer(request(6, 0x9013, 0)) == b"\x86\x02"
    assert read(device, 0x9013, 3, 3) == words
