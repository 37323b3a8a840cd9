"""Captured Modbus frames as people paste them: from hex to what was asked and what was answered. Pure."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heliobus.wire.modbus.answer import BadAnswer, ModbusException
from heliobus.wire.modbus.crc import crc16
from heliobus.wire.modbus.pdu import (
    DeviceIdentification,
    ModbusRequest,
    ReadBits,
    ReadDeviceIdentification,
    ReadRegisters,
    WriteCoil,
    WriteRegister,
    WriteRegisters,
)
from heliobus.wire.modbus.stray import find_frames, is_whole

_PREFIX = re.compile(r"\\x|0x", re.IGNORECASE)
_BETWEEN = re.compile(r"[\s:,;\-_.]+")
_HEX = re.compile(r"[0-9a-fA-F]+")
_HEADER = 6
LONGEST = 600
"""Bytes; a frame has 260 at most, and its echo may come before it."""


class HexError(ValueError):
    """It is not hex; the text is one line."""


class FrameRefusedError(ValueError):
    """A frame that says nothing; the text says why in one line."""


class NeedsRequestError(ValueError):
    """The answer alone does not tell which addresses it holds."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame without its wrapping: `tcp` or `rtu`, who and what; `transaction` of the former."""

    wire: str
    unit: int
    pdu: bytes
    transaction: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """What an exchange says: words (or bits) by address of the table that `function` belongs to, or texts."""

    wire: str
    unit: int
    function: int
    address: int = 0
    words: tuple[int, ...] = ()
    objects: Mapping[int, bytes] | None = None


def parse_hex(text: str) -> bytes:
    """The bytes of hex in any usual form: spaces, colons, commas, 0x or \\x before each byte. Raises HexError."""
    pieces = [piece for piece in _BETWEEN.split(_PREFIX.sub(" ", text).strip()) if piece]
    if not pieces:
        raise HexError("no bytes")
    for piece in pieces:
        if _HEX.fullmatch(piece) is None:
            raise HexError(f"{piece[:20]!r} is not hex")
    # A lone digit is a byte only where each byte stands for itself.
    if all(len(piece) <= 2 for piece in pieces):
        pieces = [piece.zfill(2) for piece in pieces]
    if any(len(piece) % 2 for piece in pieces):
        raise HexError("an odd number of hex digits")
    content = bytes.fromhex("".join(pieces))
    if len(content) > LONGEST:
        raise HexError(f"{len(content)} bytes are more than any frame has")
    return content


def understand(request: bytes | None, answer: bytes) -> Said:
    """What `answer` says to `request`. Raises FrameRefusedError, NeedsRequestError."""
    if request is None:
        return _alone(unwrap(answer))
    asked = unwrap(request, "the request: ")
    asking = _request(asked.pdu)
    if asked.wire == "rtu":
        answer = _without_echo(request, answer, asking)
        _check_length(asking, answer)
    frame = unwrap(answer)
    if frame.wire != asked.wire:
        raise FrameRefusedError("one frame is Modbus TCP, the other RTU")
    if frame.transaction != asked.transaction:
        raise FrameRefusedError(
            f"the answer to transaction {frame.transaction}, the request is transaction {asked.transaction}"
        )
    if frame.unit != asked.unit:
        raise FrameRefusedError(f"an answer of unit {frame.unit}, and unit {asked.unit} was asked")
    return _decoded(frame, asking)


def unwrap(content: bytes, whose: str = "") -> Frame:
    """The frame in `content`, whole and with a good checksum. Raises FrameRefusedError, beginning with `whose`."""
    if len(content) >= 4 and is_whole(content):
        return Frame("rtu", content[0], content[1:-2])
    if len(content) > _HEADER + 1:
        transaction, protocol, length = struct.unpack_from(">HHH", content)
        if protocol == 0 and length == len(content) - _HEADER:
            return Frame("tcp", content[_HEADER], content[_HEADER + 1 :], transaction)
    if len(content) < 4:
        raise FrameRefusedError(f"{whose}{len(content)} bytes are too few for a frame")
    made = crc16(content[:-2]).to_bytes(2, "little").hex(" ").upper()
    inside, _ = find_frames(content, complete=True)
    hint = f"; a whole frame lies inside: {inside[0].hex(' ').upper()}" if len(inside) == 1 else ""
    ends = content[-2:].hex(" ").upper()
    raise FrameRefusedError(f"{whose}bad CRC: it ends with {ends}, its bytes make {made}{hint}")


def _request(pdu: bytes) -> ModbusRequest[Any]:
    """The request that these bytes are. Raises FrameRefusedError."""
    function = pdu[0]
    try:
        if function in (1, 2, 3, 4, 5, 6) and len(pdu) == 5:
            address, second = struct.unpack_from(">HH", pdu, 1)
            if function in (1, 2):
                return ReadBits(address, second, function)
            if function in (3, 4):
                return ReadRegisters(address, second, function)
            return WriteCoil(address, second == 0xFF00) if function == 5 else WriteRegister(address, second)
        if function == 16 and len(pdu) > 6 and len(pdu) == 6 + pdu[5] and pdu[5] % 2 == 0:
            address, _ = struct.unpack_from(">HH", pdu, 1)
            return WriteRegisters(address, struct.unpack_from(f">{pdu[5] // 2}H", pdu, 6))
        if function == 43 and len(pdu) == 4 and pdu[1] == 14:
            return ReadDeviceIdentification(pdu[2], pdu[3])
    except ValueError as error:
        raise FrameRefusedError(f"the request: {error}") from None
    known = function in (1, 2, 3, 4, 5, 6, 16, 43)
    why = f"{len(pdu)} bytes do not make one of function {function}" if known else _unknown(function)
    raise FrameRefusedError(f"the request: {why}")


def _unknown(function: int) -> str:
    return f"function {function} (0x{function:02X}) is not one that is decoded"


def _without_echo(request: bytes, answer: bytes, asking: ModbusRequest[Any]) -> bytes:
    """The answer without what an adapter returned of the request. Raises FrameRefusedError where that is all."""
    mirrored = asking.function in (5, 6)
    if answer.startswith(request) and (len(answer) > len(request)):
        return answer[len(request) :]
    if request.startswith(answer) and not (mirrored and answer == request):
        raise FrameRefusedError("only the echo of the request, or a part of it: the adapter returns what it sends")
    return answer


def _check_length(asking: ModbusRequest[Any], answer: bytes) -> None:
    """Say so where the length is wrong, which tells more than the checksum. Raises FrameRefusedError."""
    head = answer[1:]
    if not head or head[0] & 0x7F != asking.function or is_whole(answer):
        return
    try:
        length = asking.answer_length(head)
    except BadAnswer as bad:
        raise FrameRefusedError(bad.why) from None
    if length is not None and len(answer) < length + 3:
        raise FrameRefusedError(f"cut short: {len(answer)} of {length + 3} bytes")


def _alone(frame: Frame) -> Said:
    """What an answer says by itself."""
    pdu = frame.pdu
    function = pdu[0]
    if function & 0x80:
        raise (
            FrameRefusedError(_exception(ModbusException(pdu[1], function & 0x7F)))
            if len(pdu) == 2
            else (FrameRefusedError(f"an exception answer of {len(pdu)} bytes"))
        )
    if function == 43:
        return _decoded(frame, ReadDeviceIdentification())
    if function in (5, 6):
        return _decoded(frame, _request(pdu))
    if function in (1, 2, 3, 4):
        if len(pdu) < 2 or len(pdu) != 2 + pdu[1]:
            raise FrameRefusedError(
                "a request, not an answer"
                if len(pdu) == 5
                else f"{len(pdu)} bytes are no answer of function {function}"
            )
        raise NeedsRequestError("this answer does not say which addresses it holds: add --request with what was asked")
    if function == 16:
        raise NeedsRequestError("this answer does not say what was written: add --request with what was asked")
    raise FrameRefusedError(_unknown(function))


def _decoded(frame: Frame, asking: ModbusRequest[Any]) -> Said:
    try:
        result = asking.decode(frame.pdu)
    except ModbusException as refusal:
        raise FrameRefusedError(_exception(refusal)) from None
    except BadAnswer as bad:
        raise FrameRefusedError(bad.why) from None
    if isinstance(result, DeviceIdentification):
        return Said(frame.wire, frame.unit, asking.function, objects=result.objects)
    words = result if isinstance(result, tuple) else (result,)
    address = struct.unpack_from(">H", asking.encode(), 1)[0]
    return Said(frame.wire, frame.unit, asking.function, address, tuple(int(word) for word in words))


def _exception(refusal: ModbusException) -> str:
    return f"the device refuses function {refusal.function}: {refusal}"
