"""Every function against the worked examples of the Modbus Application Protocol V1.1b3, §6, and the CRC's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.wire.modbus.crc import crc16, with_crc
from heliobus.wire.modbus.pdu import (
    BadAnswer,
    DeviceIdentification,
    MaskWriteRegister,
    ModbusException,
    ReadBits,
    ReadDeviceIdentification,
    ReadRegisters,
    ReadWriteRegisters,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)
from heliobus.wire.modbus.vendor import VendorRequest


def bits(*octets: int) -> tuple[bool, ...]:
    return tuple(bool(octet >> index & 1) for octet in octets for index in range(8))


EXAMPLES = {
    "6.1 coils 20-38": (ReadBits(0x13, 19), "0100130013", "0103CD6B05", bits(0xCD, 0x6B, 0x05)[:19]),
    "6.2 inputs 197-218": (
        ReadBits(0xC4, 22, function=2),
        "0200C40016",
        "0203ACDB35",
        bits(0xAC, 0xDB, 0x35)[:22],
    ),
    "6.3 holding 108-110": (ReadRegisters(0x6B, 3), "03006B0003", "0306022B00000064", (0x022B, 0, 0x64)),
    "6.4 input 9": (ReadRegisters(8, 1, function=4), "0400080001", "0402000A", (10,)),
    "6.5 coil 173 on": (WriteCoil(0xAC, True), "0500ACFF00", "0500ACFF00", True),
    "6.6 register 2": (WriteRegister(1, 3), "0600010003", "0600010003", 3),
    "6.11 coils 20-29": (
        WriteCoils(0x13, bits(0xCD, 0x01)[:10]),
        "0F0013000A02CD01",
        "0F0013000A",
        bits(0xCD, 0x01)[:10],
    ),
    "6.12 registers 2-3": (
        WriteRegisters(1, (0x000A, 0x0102)),
        "100001000204000A0102",
        "1000010002",
        (10, 0x0102),
    ),
    "6.16 mask register 5": (
        MaskWriteRegister(4, 0xF2, 0x25),
        "16000400F20025",
        "16000400F20025",
        (0xF2, 0x25),
    ),
    "6.17 read 4-9, write 15-17": (
        ReadWriteRegisters(3, 6, 14, (0xFF, 0xFF, 0xFF)),
        "1700030006000E00030600FF00FF00FF",
        "170C00FE0ACD00010003000D00FF",
        (0xFE, 0x0ACD, 1, 3, 13, 0xFF),
    ),
    "6.21 identification": (
        ReadDeviceIdentification(),
        "2B0E0100",
        "2B0E010100000300" + "16" + b"Company identification".hex() + "010D" + b"Product code ".hex() + "02"
        "05" + b"V2.11".hex(),
        DeviceIdentification(
            {0: b"Company identification", 1: b"Product code ", 2: b"V2.11"}, more_follows=False, next_object=0
        ),
    ),
    "vendor function": (VendorRequest(0x42), "42", "42", b""),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_worked_example(name):
    request, asked, answered, values = EXAMPLES[name]
    answer = bytes.fromhex(answered)
    assert request.encode() == bytes.fromhex(asked)
    assert request.decode(answer) == values
    assert request.answer_length(answer) == len(answer)


@pytest.mark.parametrize("name", EXAMPLES)
def test_length_is_known_as_soon_as_it_can_be_and_never_wrong(name):
    request, _, answered, _ = EXAMPLES[name]
    answer = bytes.fromhex(answered)
    known = [request.answer_length(answer[:end]) for end in range(len(answer) + 1)]
    assert known[0] is None
    assert set(known) <= {None, len(answer)}
    assert known[-1] == len(answer)
    assert request.answer_length(bytes((request.function | 0x80,))) == 2


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "illegal function"),
        (2, "illegal data address"),
        (3, "illegal data value"),
        (4, "server device failure"),
        (5, "acknowledge"),
        (6, "server device busy"),
        (8, "memory parity error"),
        (10, "gateway path unavailable"),
        (11, "gateway target device failed to respond"),
        (0x55, "unknown exception"),
    ],
)
def test_refusal_in_words(name, code, words):
    request = EXAMPLES[name][0]
    with pytest.raises(ModbusException, match=rf"^{words} \(exception {code}\)$") as caught:
        request.decode(bytes((request.function | 0x80, code)))
    assert caught.value.code == code


@pytest.mark.parametrize("name", EXAMPLES)
@given(garbage=st.binary(max_size=300))
def test_garbage_is_a_bad_answer_or_a_refusal(name, garbage):
    request, _, answered, _ = EXAMPLES[name]
    for pdu in (garbage, bytes.fromhex(answered)[:2] + garbage):
        try:
            request.answer_length(pdu)
            request.decode(pdu)
        except (BadAnswer, ModbusException):
            continue


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_short_or_long_answer_is_bad(name):
    request, _, answered, _ = EXAMPLES[name]
    answer = bytes.fromhex(answered)
    for wrong in (answer[:-1], answer + b"\0"):
        with pytest.raises(BadAnswer):
            request.decode(wrong)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (WriteCoil(0xAC, True), "0500AC0000"),
        (WriteCoil(0xAC, True), "0500ADFF00"),
        (WriteRegister(1, 3), "0600010004"),
        (WriteRegisters(1, (1, 2)), "1000010001"),
        (MaskWriteRegister(4, 0xF2, 0x25), "16000400F20024"),
    ],
)
def test_a_write_confirmed_with_something_else_is_bad(request_, answer):
    with pytest.raises(BadAnswer, match="another address or value"):
        request_.decode(bytes.fromhex(answer))


def test_limits_of_the_specification():
    ReadBits(0, 2000), ReadRegisters(0, 125), WriteCoils(0, (True,) * 1968), WriteRegisters(0, (1,) * 123)
    ReadWriteRegisters(0, 125, 0, (1,) * 121)
    wrong = [
        lambda: ReadBits(0, 2001),
        lambda: ReadBits(0, 0),
        lambda: ReadBits(0, 1, function=3),
        lambda: ReadRegisters(0, 126),
        lambda: ReadRegisters(0, 1, function=6),
        lambda: ReadRegisters(-1, 1),
        lambda: ReadRegisters(0xFFFF, 2),
        lambda: WriteCoil(0x10000, True),
        lambda: WriteCoils(0, (True,) * 1969),
        lambda: WriteCoils(0, ()),
        lambda: WriteRegister(0, 0x10000),
        lambda: WriteRegister(0, -1),
        lambda: WriteRegisters(0, (1,) * 124),
        lambda: MaskWriteRegister(0, 0x10000, 0),
        lambda: ReadWriteRegisters(0, 126, 0, (1,)),
        lambda: ReadWriteRegisters(0, 1, 0, (1,) * 122),
        lambda: ReadDeviceIdentification(code=5),
        lambda: ReadDeviceIdentification(object_id=256),
        lambda: VendorRequest(0x80),
        lambda: VendorRequest(0x42, b"x" * 253),
    ]
    for make in wrong:
        with pytest.raises(ValueError):
            make()


def test_what_may_be_repeated():
    assert ReadRegisters(0, 1).idempotent
    assert WriteRegister(0, 1).idempotent
    assert not WriteCoil(0xFF, True).idempotent
    assert WriteCoil(0xFF, True, idempotent=True).idempotent
    assert not WriteRegister(0, 1, idempotent=False).idempotent


def test_crc():
    assert crc16(b"123456789") == 0x4B37
    assert with_crc(bytes.fromhex("F842")) == bytes.fromhex("F842C241")
    assert with_crc(bytes.fromhex("01050002FF00")) == bytes.fromhex("01050002FF002DFA")
    assert with_crc(b"\x02\x07") == b"\x02\x07\x41\x12"
