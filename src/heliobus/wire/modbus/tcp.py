"""Modbus TCP framing (Modbus Messaging on TCP/IP V1.0b, §3.1.3): transaction id, protocol 0, length, unit, PDU."""

import struct
from typing import Any

from heliobus.wire.framer import Answer, Event, Fault, FaultKind, Late
from heliobus.wire.modbus.answer import BadAnswer, ModbusException
from heliobus.wire.modbus.pdu import ModbusRequest

_MBAP = struct.Struct(">HHHB")
_HEAD = 6


class TcpFramer:
    """One open request at a time; answers are told apart by transaction id, unit and function.

    After a Fault the stream is not read any further until `reset`: the bus closes the connection.
    """

    silence = 0.0
    drains = False

    def __init__(self) -> None:
        self._buffer = b""
        self._transaction = 0
        self._unit = 0
        self._request: ModbusRequest[Any] | None = None
        self._lost = False

    def encode(self, unit: int, request: ModbusRequest[Any]) -> bytes:
        """The frame of `request`, under the next transaction id."""
        if not 0 <= unit <= 255:
            raise ValueError(f"unit {unit} is not within 0..255")
        pdu = request.encode()
        self._transaction = self._transaction % 0xFFFF + 1
        self._unit = unit
        self._request = request
        return _MBAP.pack(self._transaction, 0, len(pdu) + 1, unit) + pdu

    def alike(self, one: Any, other: Any) -> bool:
        """Never: an answer carries the number of its request."""
        return False

    def refused_alike(self, one: Any, other: Any) -> bool:
        """Never, for the same reason."""
        return False

    def feed(self, chunk: bytes) -> list[Event]:
        """What `chunk` completes."""
        events: list[Event] = []
        buffer = self._buffer + chunk if self._buffer else chunk
        while not self._lost and len(buffer) >= _HEAD:
            transaction, protocol, length = struct.unpack_from(">HHH", buffer)
            if protocol != 0 or not 2 <= length <= 254:
                why = f"not a Modbus TCP header: protocol {protocol}, length {length}"
                events.append(self._fault("header", why))
                break
            end = _HEAD + length
            if len(buffer) < end:
                break
            events.append(self._frame(transaction, buffer[_HEAD], buffer[_HEAD + 1 : end]))
            buffer = buffer[end:]
        self._buffer = b"" if self._lost else buffer
        return events

    def flush(self) -> list[Event]:
        """Nothing to tell: a connection has no quiet line, and half a frame stays half a frame."""
        return []

    def abandon(self) -> int:
        """The open request is given up, its answer late from now on; how many bytes of it had come."""
        self._request = None
        return len(self._buffer)

    def reset(self) -> None:
        """A new connection: forget half a frame."""
        self._buffer = b""
        self._request = None
        self._lost = False

    def _frame(self, transaction: int, unit: int, pdu: bytes) -> Event:
        request = self._request
        if request is None or transaction != self._transaction:
            return Late()
        if unit != self._unit:
            return self._fault("unit", f"answer of unit {unit} instead of unit {self._unit}")
        try:
            result = request.decode(pdu)
        except ModbusException as refusal:
            result = refusal
        except BadAnswer as bad:
            return self._fault(bad.kind, bad.why)
        self._request = None
        return Answer(result)

    def _fault(self, kind: FaultKind, why: str) -> Fault:
        self._request = None
        self._lost = True
        return Fault(kind, why)
