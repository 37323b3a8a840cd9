"""Framers: what bytes mean, however they are cut, and what garbage does to them."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.wire.framer import Answer, Fault, Foreign, Late
from heliobus.wire.modbus.crc import with_crc
from heliobus.wire.modbus.pdu import (
    MaskWriteRegister,
    ModbusException,
    ReadBits,
    ReadDeviceIdentification,
    ReadRegisters,
    WriteCoil,
    WriteRegister,
    WriteRegisters,
)
from heliobus.wire.modbus.rtu import RtuFramer, frame_silence
from heliobus.wire.modbus.tcp import TcpFramer
from heliobus.wire.modbus.vendor import VendorRequest
from wire_fakes import rtu_answer, tcp_answer, values_at

READ = ReadRegisters(10, 4)
VALUES = Answer(values_at(10, 4))


def cut(stream, places):
    """`stream` in chunks that end at `places`."""
    ends = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    return [stream[start:end] for start, end in itertools.pairwise(ends)]


def all_events(framer, chunks):
    events = [event for chunk in chunks for event in framer.feed(chunk)]
    return [repr(event) for event in events + framer.flush()]


def opened(kind, unit=1, request=READ):
    framer = kind()
    return framer, framer.encode(unit, request)


# What may come on a line, in any order: answers of any kind, requests of a second master, noise, halves.
FRAME = rtu_answer(with_crc(b"\x01" + READ.encode()))
PIECES = [
    FRAME,
    FRAME[:9],
    FRAME[:-1] + b"\0",
    b"\x01",
    b"\x01\x03",
    with_crc(b"\x01\x83\x02"),
    with_crc(b"\x01" + READ.encode()),
    with_crc(b"\x03" + READ.encode()),
    rtu_answer(with_crc(b"\x03" + ReadRegisters(7, 2, function=4).encode())),
    with_crc(b"\x01\x06\x00\x0a\x00\x01"),
    b"\x00\xff\x80",
    b"\x01\x03\x08" * 5,
]
RTU_STREAM = st.lists(st.sampled_from(PIECES) | st.binary(max_size=40), max_size=8).map(b"".join)
CUTS = st.lists(st.integers(0, 2000), max_size=12)


@given(RTU_STREAM, CUTS)
def test_rtu_chunks_never_change_the_events(stream, places):
    for request in (READ, WriteRegister(10, 1), ReadDeviceIdentification(), ReadBits(0, 20)):
        whole, _ = opened(RtuFramer, 1, request)
        parts, _ = opened(RtuFramer, 1, request)
        bytewise, _ = opened(RtuFramer, 1, request)
        expected = all_events(whole, [stream])
        assert all_events(parts, cut(stream, places)) == expected
        assert all_events(bytewise, [stream[at : at + 1] for at in range(len(stream))]) == expected
        assert sum(event.startswith(("Answer", "Fault")) for event in expected) <= 1


@given(RTU_STREAM)
def test_rtu_answers_are_only_ever_a_valid_frame_of_ours(stream):
    framer, _ = opened(RtuFramer)
    for event in framer.feed(stream):
        if isinstance(event, Answer):
            assert FRAME in stream or with_crc(b"\x01\x83\x02") in stream or isinstance(event.result, ModbusException)


MBAP_PIECES = [
    tcp_answer(b"\x00\x01\x00\x00\x00\x06\x01" + READ.encode()),
    tcp_answer(b"\x00\x07\x00\x00\x00\x06\x01" + READ.encode()),
    tcp_answer(b"\x00\x01\x00\x00\x00\x06\x02" + READ.encode()),
    b"\x00\x01\x00\x00\x00\x03\x01\x83\x02",
    b"\x00\x01\x00\x00\x00\x00",
    b"\x00\x01\x00\x01\x00\x03",
    b"\x00\x01",
]


@given(st.lists(st.sampled_from(MBAP_PIECES) | st.binary(max_size=20), max_size=6).map(b"".join), CUTS)
def test_tcp_chunks_never_change_the_events(stream, places):
    whole, _ = opened(TcpFramer)
    parts, _ = opened(TcpFramer)
    expected = all_events(whole, [stream])
    assert all_events(parts, cut(stream, places)) == expected
    assert sum(event.startswith(("Answer", "Fault")) for event in expected) <= 2


@given(st.binary(max_size=600))
def test_garbage_never_raises(garbage):
    for kind in (RtuFramer, TcpFramer):
        framer = kind()
        framer.feed(garbage)
        framer.flush()
        framer.encode(1, READ)
        framer.feed(garbage)
        framer.abandon()
        framer.feed(garbage)
        framer.flush()


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_rtu_answers_again_after_any_garbage_and_a_quiet_line(before, during):
    framer, _ = opened(RtuFramer)
    framer.feed(before)
    framer.abandon()
    framer.feed(during)
    framer.flush()
    framer.encode(1, READ)
    assert framer.feed(FRAME) == [VALUES]


@given(st.binary(min_size=1, max_size=6))
def test_rtu_answer_behind_the_noise_of_a_driver_switched_on(noise):
    framer, _ = opened(RtuFramer)
    if noise[0] != 1:
        assert framer.feed(noise + FRAME) == [VALUES]


def test_rtu_faults():
    for stream, kind in {
        FRAME[:-1] + bytes((FRAME[-1] ^ 1,)): "crc",
        with_crc(b"\x02" + FRAME[1:-2]): "unit",
        with_crc(b"\x01\x04" + FRAME[2:-2]): "function",
        with_crc(b"\x01\x03\x04\x00\x01\x00\x02"): "length",
    }.items():
        framer, _ = opened(RtuFramer)
        events = framer.feed(stream)
        assert isinstance(events[-1], Fault)
        assert events[-1].kind == kind
        assert framer.feed(FRAME) + framer.flush() == [Late(1)], "nothing answers a request that has failed"


def test_rtu_refusal():
    framer, _ = opened(RtuFramer)
    (event,) = framer.feed(with_crc(b"\x01\x83\x02"))
    assert event.result.code == 2


def test_rtu_second_master_asks_our_unit():
    framer, _ = opened(RtuFramer)
    theirs = with_crc(b"\x01" + ReadRegisters(100, 4).encode())
    assert framer.feed(theirs + rtu_answer(theirs))[:2] == [
        Foreign(1, 3),
        Fault("function", "a frame of unit 1 function 3 came instead of the answer"),
    ]


def test_rtu_second_master_before_our_answer_behind_noise():
    framer, _ = opened(RtuFramer)
    theirs = with_crc(b"\x01" + ReadRegisters(100, 4).encode())
    assert Foreign(1, 3) in framer.feed(b"\x00" + theirs + rtu_answer(theirs))


def test_rtu_two_strangers_in_one_chunk_are_two():
    theirs = with_crc(b"\x03" + ReadRegisters(0, 2, function=4).encode())
    framer, _ = opened(RtuFramer)
    assert framer.feed(FRAME + theirs + rtu_answer(theirs)) + framer.flush() == [VALUES, Foreign(3, 4), Foreign(3, 4)]


def test_rtu_late_answer_is_late_and_the_next_stranger_is_not():
    framer, _ = opened(RtuFramer)
    framer.abandon()
    assert framer.feed(FRAME) + framer.flush() == [Late(1)]
    assert framer.feed(FRAME) + framer.flush() == [Foreign(1, 3)]


@pytest.mark.parametrize("request_", [READ, ReadBits(0, 3), ReadDeviceIdentification(), WriteRegisters(10, (1, 2))])
def test_rtu_echo_is_learned_and_stripped(request_):
    framer, sent = opened(RtuFramer, 1, request_)
    assert framer.feed(sent) == []
    assert framer.echo is True
    assert framer.abandon() == 0
    assert framer.flush() == []


def test_rtu_echo_of_a_read_then_writes():
    framer, sent = opened(RtuFramer)
    assert framer.feed(sent + FRAME) == [VALUES]
    for write in (WriteCoil(1, True), WriteRegister(1, 7), MaskWriteRegister(1, 1, 0)):
        sent = framer.encode(1, write)
        assert framer.feed(sent) == [], "the first copy is the echo"
        assert len(framer.feed(sent)) == 1
    framer.encode(1, READ)
    assert framer.feed(FRAME) == [VALUES]
    assert framer.echo is False


def test_rtu_unknown_echo_takes_the_first_copy_of_a_write_for_its_answer_and_learns_from_the_second():
    framer, sent = opened(RtuFramer, 1, WriteRegister(10, 3))
    assert framer.feed(sent) == [Answer(3)]
    assert framer.feed(sent) + framer.flush() == []
    assert framer.echo is True


def test_rtu_echo_known_to_be_absent_is_not_waited_for():
    framer, _ = opened(RtuFramer)
    framer.feed(FRAME)
    sent = framer.encode(1, WriteRegister(10, 3))
    assert framer.feed(sent) == [Answer(3)]


def test_rtu_vendor_function_and_general_address():
    framer, sent = opened(RtuFramer, 0xF8, VendorRequest(0x42))
    assert sent == bytes.fromhex("F842C241")
    assert framer.feed(bytes.fromhex("F842C241")) == [Answer(b"")]


def test_rtu_of_another_write_is_content():
    framer, _ = opened(RtuFramer, 1, WriteRegister(10, 3))
    (event,) = framer.feed(with_crc(b"\x01" + WriteRegister(11, 3).encode()))
    assert event.kind == "content"


def test_rtu_unit_must_be_able_to_answer():
    for unit in (0, 256):
        with pytest.raises(ValueError, match="not within"):
            RtuFramer().encode(unit, READ)
    with pytest.raises(ValueError, match="not within"):
        TcpFramer().encode(256, READ)


def test_silence_between_frames():
    assert frame_silence(9600, 8, "N", 2) == pytest.approx(3.5 * 11 / 9600)
    assert frame_silence(9600, 8, "E", 1) == pytest.approx(3.5 * 11 / 9600)
    assert frame_silence(115200) == 0.00175


def test_tcp_frames():
    framer, sent = opened(TcpFramer, 5)
    assert sent == b"\x00\x01\x00\x00\x00\x06\x05" + READ.encode()
    late = b"\x00\x09" + tcp_answer(sent)[2:]
    assert framer.feed(late + tcp_answer(sent) + tcp_answer(sent)) == [Late(), VALUES, Late()]


def test_tcp_transaction_ids_go_round_without_zero():
    framer = TcpFramer()
    seen = [struct.unpack(">H", framer.encode(1, READ)[:2])[0] for _ in range(0x10001)]
    assert seen[0] == 1
    assert 0 not in seen
    assert seen[0xFFFE:] == [0xFFFF, 1, 2]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"\x00\x01\x00\x01\x00\x03\x01\x83\x02", "header"),
        (b"\x00\x01\x00\x00\x00\x01", "header"),
        (b"\x00\x01\x00\x00\x00\xff", "header"),
        (b"\x00\x01\x00\x00\x00\x03\x02\x83\x02", "unit"),
        (b"\x00\x01\x00\x00\x00\x03\x01\x84\x02", "function"),
        (b"\x00\x01\x00\x00\x00\x04\x01\x03\x02\x00", "length"),
    ],
)
def test_tcp_faults_end_the_stream(answer, kind):
    framer, sent = opened(TcpFramer)
    (event,) = framer.feed(answer)
    assert event.kind == kind
    assert framer.feed(tcp_answer(sent)) == []
    framer.reset()
    assert framer.feed(tcp_answer(framer.encode(1, READ))) == [VALUES]


def test_tcp_refusal():
    framer, _ = opened(TcpFramer)
    (event,) = framer.feed(b"\x00\x01\x00\x00\x00\x03\x01\x83\x0b")
    assert event.result.code == 11
