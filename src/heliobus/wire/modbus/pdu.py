"""Requests of the Modbus Application Protocol V1.1b3 as values: `encode` makes the PDU, `decode` reads the answer's.

`encode`, `decode` and `answer_length` see the PDU only: function code and what follows, without unit, MBAP or CRC.
`decode` raises ModbusException (the device refused) or BadAnswer (the bytes do not answer this request), nothing else.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from heliobus.wire.modbus.answer import (
    BadAnswer,
    ModbusException,
    check_answer,
    check_echo,
    counted_body,
    counted_length,
    fixed_length,
)

__all__ = [
    "BadAnswer",
    "DeviceIdentification",
    "MaskWriteRegister",
    "ModbusException",
    "ModbusRequest",
    "ReadBits",
    "ReadDeviceIdentification",
    "ReadRegisters",
    "ReadWriteRegisters",
    "WriteCoil",
    "WriteCoils",
    "WriteRegister",
    "WriteRegisters",
]

R_co = TypeVar("R_co", covariant=True)

MAX_READ_BITS = 2000
MAX_READ_REGISTERS = 125
MAX_WRITE_BITS = 1968
MAX_WRITE_REGISTERS = 123
MAX_READ_WRITE_REGISTERS = 121
_IDENTIFICATION_HEAD = 7


class ModbusRequest(Protocol[R_co]):
    """What every request of this file offers."""

    @property
    def function(self) -> int:
        """The function code."""

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice is the same as sending it once."""

    def encode(self) -> bytes:
        """The request PDU."""

    def decode(self, pdu: bytes) -> R_co:
        """The answer's values."""

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`, None until known; BadAnswer if it cannot be ours."""


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} {value} is not within {low}..{high}")


def _check_span(address: int, count: int, limit: int, what: str) -> None:
    _check_range("address", address, 0, 0xFFFF)
    _check_range(f"count of {what}", count, 1, limit)
    _check_range("last address", address + count - 1, 0, 0xFFFF)


def _check_words(values: tuple[int, ...]) -> None:
    for value in values:
        _check_range("register value", value, 0, 0xFFFF)


def _pack_bits(values: tuple[bool, ...]) -> bytes:
    packed = bytearray((len(values) + 7) // 8)
    for index, value in enumerate(values):
        if value:
            packed[index >> 3] |= 1 << (index & 7)
    return bytes(packed)


@dataclass(frozen=True, slots=True)
class ReadBits:
    """Function 1 (coils) or 2 (discrete inputs); the answer is a tuple of bool."""

    address: int
    count: int
    function: int = 1
    idempotent: bool = True

    def __post_init__(self) -> None:
        if self.function not in (1, 2):
            raise ValueError(f"function {self.function} does not read bits (1 or 2 does)")
        _check_span(self.address, self.count, MAX_READ_BITS, "bits")

    @property
    def size(self) -> int:
        """Bytes of values in its answer."""
        return (self.count + 7) // 8

    def encode(self) -> bytes:
        """The request PDU."""
        return struct.pack(">BHH", self.function, self.address, self.count)

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return counted_length(head, (self.count + 7) // 8)

    def decode(self, pdu: bytes) -> tuple[bool, ...]:
        """The bits, lowest address first."""
        body = counted_body(pdu, self.function, (self.count + 7) // 8)
        return tuple(bool(body[index >> 3] >> (index & 7) & 1) for index in range(self.count))


@dataclass(frozen=True, slots=True)
class ReadRegisters:
    """Function 3 (holding registers) or 4 (input registers); the answer is a tuple of words 0..65535."""

    address: int
    count: int
    function: int = 3
    idempotent: bool = True

    def __post_init__(self) -> None:
        if self.function not in (3, 4):
            raise ValueError(f"function {self.function} does not read registers (3 or 4 does)")
        _check_span(self.address, self.count, MAX_READ_REGISTERS, "registers")

    @property
    def size(self) -> int:
        """Bytes of values in its answer."""
        return 2 * self.count

    def encode(self) -> bytes:
        """The request PDU."""
        return struct.pack(">BHH", self.function, self.address, self.count)

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return counted_length(head, 2 * self.count)

    def decode(self, pdu: bytes) -> tuple[int, ...]:
        """The registers, lowest address first."""
        return struct.unpack(f">{self.count}H", counted_body(pdu, self.function, 2 * self.count))


@dataclass(frozen=True, slots=True)
class WriteCoil:
    """Function 5; not idempotent unless said so, because a coil may be a reset pulse."""

    function: ClassVar[int] = 5
    address: int
    value: bool
    idempotent: bool = False

    def __post_init__(self) -> None:
        _check_range("address", self.address, 0, 0xFFFF)

    def encode(self) -> bytes:
        """The request PDU."""
        return struct.pack(">BHH", 5, self.address, 0xFF00 if self.value else 0)

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return fixed_length(head, 5)

    def decode(self, pdu: bytes) -> bool:
        """The value the device confirmed."""
        check_echo(pdu, 5, self.encode())
        return self.value


@dataclass(frozen=True, slots=True)
class WriteRegister:
    """Function 6; `value` is the raw word 0..65535."""

    function: ClassVar[int] = 6
    address: int
    value: int
    idempotent: bool = True

    def __post_init__(self) -> None:
        _check_range("address", self.address, 0, 0xFFFF)
        _check_words((self.value,))

    def encode(self) -> bytes:
        """The request PDU."""
        return struct.pack(">BHH", 6, self.address, self.value)

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return fixed_length(head, 5)

    def decode(self, pdu: bytes) -> int:
        """The word the device confirmed."""
        check_echo(pdu, 6, self.encode())
        return self.value


@dataclass(frozen=True, slots=True)
class WriteCoils:
    """Function 15; not idempotent unless said so, as with WriteCoil."""

    function: ClassVar[int] = 15
    address: int
    values: tuple[bool, ...]
    idempotent: bool = False

    def __post_init__(self) -> None:
        _check_span(self.address, len(self.values), MAX_WRITE_BITS, "coils")

    def encode(self) -> bytes:
        """The request PDU."""
        packed = _pack_bits(self.values)
        return struct.pack(">BHHB", 15, self.address, len(self.values), len(packed)) + packed

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return fixed_length(head, 5)

    def decode(self, pdu: bytes) -> tuple[bool, ...]:
        """The values written: the device confirms their address and number."""
        check_echo(pdu, 15, struct.pack(">BHH", 15, self.address, len(self.values)))
        return self.values


@dataclass(frozen=True, slots=True)
class WriteRegisters:
    """Function 16; `values` are raw words 0..65535."""

    function: ClassVar[int] = 16
    address: int
    values: tuple[int, ...]
    idempotent: bool = True

    def __post_init__(self) -> None:
        _check_span(self.address, len(self.values), MAX_WRITE_REGISTERS, "registers")
        _check_words(self.values)

    def encode(self) -> bytes:
        """The request PDU."""
        count = len(self.values)
        return struct.pack(f">BHHB{count}H", 16, self.address, count, 2 * count, *self.values)

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return fixed_length(head, 5)

    def decode(self, pdu: bytes) -> tuple[int, ...]:
        """The values written: the device confirms their address and number."""
        check_echo(pdu, 16, struct.pack(">BHH", 16, self.address, len(self.values)))
        return self.values


@dataclass(frozen=True, slots=True)
class MaskWriteRegister:
    """Function 22: the register becomes (old AND and_mask) OR (or_mask AND NOT and_mask)."""

    function: ClassVar[int] = 22
    address: int
    and_mask: int
    or_mask: int
    idempotent: bool = True

    def __post_init__(self) -> None:
        _check_range("address", self.address, 0, 0xFFFF)
        _check_words((self.and_mask, self.or_mask))

    def encode(self) -> bytes:
        """The request PDU."""
        return struct.pack(">BHHH", 22, self.address, self.and_mask, self.or_mask)

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return fixed_length(head, 7)

    def decode(self, pdu: bytes) -> tuple[int, int]:
        """The masks the device confirmed: (and_mask, or_mask)."""
        check_echo(pdu, 22, self.encode())
        return self.and_mask, self.or_mask


@dataclass(frozen=True, slots=True)
class ReadWriteRegisters:
    """Function 23: writes `values`, then reads; the answer is a tuple of words."""

    function: ClassVar[int] = 23
    read_address: int
    read_count: int
    write_address: int
    values: tuple[int, ...]
    idempotent: bool = True

    def __post_init__(self) -> None:
        _check_span(self.read_address, self.read_count, MAX_READ_REGISTERS, "registers to read")
        _check_span(self.write_address, len(self.values), MAX_READ_WRITE_REGISTERS, "registers to write")
        _check_words(self.values)

    def encode(self) -> bytes:
        """The request PDU."""
        count = len(self.values)
        head = (23, self.read_address, self.read_count, self.write_address, count, 2 * count)
        return struct.pack(f">BHHHHB{count}H", *head, *self.values)

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return counted_length(head, 2 * self.read_count)

    def decode(self, pdu: bytes) -> tuple[int, ...]:
        """The registers read, lowest address first."""
        return struct.unpack(f">{self.read_count}H", counted_body(pdu, 23, 2 * self.read_count))


@dataclass(frozen=True, slots=True)
class DeviceIdentification:
    """What a device says it is: raw texts by object id (0 vendor, 1 product code, 2 revision, 3 and up optional).

    With `more_follows` the rest is asked for from `next_object` on.
    """

    objects: Mapping[int, bytes]
    more_follows: bool
    next_object: int


@dataclass(frozen=True, slots=True)
class ReadDeviceIdentification:
    """Function 43 type 14; `code` 1 basic, 2 regular, 3 extended (streams from `object_id`), 4 one object."""

    function: ClassVar[int] = 43
    code: int = 1
    object_id: int = 0
    idempotent: bool = True

    def __post_init__(self) -> None:
        if self.code not in (1, 2, 3, 4):
            raise ValueError(f"read device identification code {self.code} is not within 1..4")
        if not 0 <= self.object_id <= 255:
            raise ValueError(f"object id {self.object_id} is not within 0..255")

    def encode(self) -> bytes:
        """The request PDU."""
        return bytes((43, 14, self.code, self.object_id))

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`: known only once its last object's length is."""
        if not head:
            return None
        if head[0] & 0x80:
            return 2
        if len(head) > 1 and head[1] != 14:
            raise BadAnswer(f"answer of MEI type {head[1]} instead of 14")
        if len(head) < _IDENTIFICATION_HEAD:
            return None
        end = _IDENTIFICATION_HEAD
        for _ in range(head[6]):
            if len(head) < end + 2:
                return None
            end += 2 + head[end + 1]
        return end

    def decode(self, pdu: bytes) -> DeviceIdentification:
        """The objects of this answer."""
        check_answer(pdu, 43)
        if self.answer_length(pdu) != len(pdu):
            raise BadAnswer(f"device identification of {len(pdu)} bytes does not add up", "length")
        objects: dict[int, bytes] = {}
        at = _IDENTIFICATION_HEAD
        while at < len(pdu):
            size = pdu[at + 1]
            objects[pdu[at]] = pdu[at + 2 : at + 2 + size]
            at += 2 + size
        return DeviceIdentification(objects, pdu[4] == 0xFF, pdu[5])
