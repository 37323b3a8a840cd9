"""The accidents on a simulated wire, and the framing of the device side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.sim.capture import SimCapture
from heliobus.sim.device import Origin, SimDevice
from heliobus.sim.faults import Delivery, Faults, Framing
from heliobus.sim.line import RtuLine, Station, TcpLine
from sim_frames import crc, mbap, request, rtu

ASKED = rtu(1, request(3, 0, 1))
ANSWER = rtu(1, b"\x03\x02\x12\x34")


def apply(faults: Faults, answer: bytes = ANSWER, now: float = 0.0) -> list[Delivery]:
    return faults.apply(answer, request=ASKED, framing=Framing.RTU, delay=0.01, now=now)


def test_no_faults_change_nothing() -> None:
    assert apply(Faults()) == [Delivery(0.01, ANSWER)]


def test_the_same_seed_gives_the_same_accidents() -> None:
    def run(seed: int) -> list[list[Delivery]]:
        faults = Faults(late=0.2, lost=0.1, cut=0.2, joined=0.2, flipped=0.2, garbage=0.2, seed=seed)
        return [apply(faults) for _ in range(200)]

    assert run(4) == run(4)
    assert run(4) != run(5)


def test_accidents_happen_about_as_often_as_asked() -> None:
    faults = Faults(late=0.1, lost=0.3, flipped=0.2, seed=11)
    for _ in range(2000):
        apply(faults)
    assert faults.applied["lost"] == pytest.approx(600, rel=0.15)
    assert faults.applied["late"] == pytest.approx(140, rel=0.3)
    assert faults.applied["flipped"] == pytest.approx(280, rel=0.2)


def test_lost_and_late() -> None:
    assert apply(Faults(lost=1.0)) == []
    assert apply(Faults(late=1.0, late_seconds=2.0)) == [Delivery(2.01, ANSWER)]


def test_cut_is_a_true_beginning() -> None:
    for seed in range(30):
        (delivery,) = apply(Faults(cut=1.0, seed=seed))
        assert ANSWER.startswith(delivery.payload)
        assert 0 < len(delivery.payload) < len(ANSWER)


def test_flipped_changes_one_bit() -> None:
    (delivery,) = apply(Faults(flipped=1.0))
    differing = int.from_bytes(delivery.payload, "big") ^ int.from_bytes(ANSWER, "big")
    assert differing.bit_count() == 1


def test_joined_glues_the_answer_before_in_front() -> None:
    faults = Faults(joined=1.0)
    assert apply(faults)[0].payload == ANSWER
    other = rtu(1, b"\x03\x02\x56\x78")
    assert apply(faults, other)[0].payload == ANSWER + other


def test_echo_and_garbage() -> None:
    assert apply(Faults(echo=True)) == [Delivery(0.0, ASKED), Delivery(0.01, ANSWER)]
    (delivery,) = apply(Faults(garbage=1.0))
    assert delivery.payload.endswith(ANSWER)
    assert len(delivery.payload) > len(ANSWER)


def test_wrong_unit_and_exception_are_valid_frames() -> None:
    (delivery,) = apply(Faults(wrong_unit=1.0))
    assert delivery.payload[0] != 1
    assert delivery.payload[1:-2] == ANSWER[1:-2]
    assert delivery.payload[-2:] == crc(delivery.payload[:-2])
    assert apply(Faults(exception=1.0, exception_code=4)) == [Delivery(0.01, rtu(1, b"\x83\x04"))]
    tcp = Faults(exception=1.0).apply(
        mbap(1, b"\x03\x02\x00\x01", 77), request=mbap(1, request(3, 0, 1), 77), framing=Framing.TCP
    )
    assert tcp == [Delivery(0.0, mbap(1, b"\x83\x06", 77))]


def test_a_second_master_speaks_in_its_period() -> None:
    faults = Faults(second_master=10.0)
    assert len(apply(faults, now=5.0)) == 1
    asked, answered, ours = apply(faults, now=10.0)
    assert ours.payload == ANSWER
    for foreign in (asked.payload, answered.payload):
        assert foreign[0] != 1
        assert foreign[-2:] == crc(foreign[:-2])
    assert len(apply(faults, now=12.0)) == 1
    assert len(apply(faults, now=20.0)) == 3


DEVICE = SimCapture({0: 0x1234, 1: 5}, ranges=[(0, 9)], max_registers=8, too_long_code=2)


def test_rtu_answers_are_put_together_from_pieces() -> None:
    line = RtuLine({1: DEVICE}, turnaround=0.0)
    deliveries = [line.feed(ASKED[i : i + 1], now=i / 1000) for i in range(len(ASKED))]
    assert deliveries[:-1] == [[]] * 7
    assert deliveries[-1] == [Delivery(0.0, ANSWER)]
    assert line.requests == [(1, request(3, 0, 1))]


def test_rtu_is_silent_for_wrong_checksums_and_other_units() -> None:
    line = RtuLine({1: DEVICE})
    assert line.feed(ASKED[:-1] + b"\0") == []
    assert line.feed(rtu(2, request(3, 0, 1)), 1.0) == []
    assert line.feed(rtu(0, request(3, 0, 1)), 2.0) == [], "nobody answers a broadcast"
    assert line.feed(ASKED, 3.0) != []


def test_rtu_forgets_the_beginning_of_a_frame_after_a_pause() -> None:
    line = RtuLine({1: DEVICE}, turnaround=0.0)
    assert line.feed(ASKED[:3], 0.0) == []
    assert line.feed(ASKED, 1.0) == [Delivery(0.0, ANSWER)]


def test_rtu_takes_its_time_on_the_wire() -> None:
    line = RtuLine({1: DEVICE}, turnaround=0.004, bits_per_second=9600)
    (delivery,) = line.feed(ASKED)
    assert delivery.delay == pytest.approx(0.004 + 15 * 11 / 9600)


class _OwnFunction(SimDevice):
    functions = frozenset({3, 0x42})

    def advance(self, seconds: float) -> None: ...

    def read_words(self, function: int, address: int, count: int) -> list[int]:
        return [0] * count

    def other(self, pdu: bytes, origin: Origin) -> bytes:
        return pdu


def test_rtu_knows_makers_own_functions_by_their_checksum() -> None:
    line = RtuLine({1: _OwnFunction()}, turnaround=0.0)
    frame = rtu(1, b"\x42")
    assert line.feed(frame) == [Delivery(0.0, frame)]


def test_tcp_answers_several_requests_and_pieces() -> None:
    line = TcpLine(Station({1: DEVICE}))
    stream = mbap(1, request(3, 0, 1), 7) + mbap(1, request(3, 1, 1), 8)
    assert line.feed(stream[:5]) == []
    answers = [delivery.payload for delivery in line.feed(stream[5:])]
    assert answers == [mbap(1, b"\x03\x02\x12\x34", 7), mbap(1, b"\x03\x02\x00\x05", 8)]


def test_tcp_bridged_units_are_slow_and_unknown_units_silent() -> None:
    line = TcpLine(Station({1: DEVICE, 2: DEVICE}, bridge_seconds=0.4))
    assert line.feed(mbap(1, request(3, 0, 1)))[0].delay == 0.0
    assert line.feed(mbap(2, request(3, 0, 1)))[0].delay == 0.4
    assert line.feed(mbap(3, request(3, 0, 1))) == []


def test_a_capture_refuses_long_requests_and_foreign_ranges() -> None:
    assert DEVICE.answer(request(3, 0, 9)) == b"\x83\x02"
    assert DEVICE.answer(request(3, 9, 2)) == b"\x83\x02"
    assert DEVICE.answer(request(3, 2, 1)) == b"\x03\x02\x00\x00"
    assert DEVICE.answer(request(6, 0, 1)) == b"\x86\x02"
    assert DEVICE.answer(request(1, 0, 1)) == b"\x81\x01"
    assert DEVICE.answer(bytes.fromhex("2b0e0100")) == b"\xab\x01"
    named = SimCapture({}, objects={0: "A", 1: "B"}, input_words={3: 9}, coils={0: True}, writable=[5])
    assert named.answer(bytes.fromhex("2b0e0100")) == bytes.fromhex("2b0e0101000002") + b"\x00\x01A\x01\x01B"
    assert named.answer(request(4, 3, 1)) == b"\x04\x02\x00\x09"
    assert named.answer(request(3, 3, 1)) == b"\x03\x02\x00\x00"
    assert named.answer(request(1, 0, 3)) == b"\x01\x01\x01"
    written = request(0x10, 5, 1) + b"\x02\xab\xcd"
    assert named.answer(written) == written[:5]
    assert named.answer(request(3, 5, 1)) == b"\x03\x02\xab\xcd"


@given(st.binary(max_size=300))
def test_garbage_never_raises(garbage: bytes) -> None:
    RtuLine({1: DEVICE}).feed(garbage)
    TcpLine(Station({1: DEVICE})).feed(garbage)
    DEVICE.answer(garbage)
