"""Modbus RTU framing (Modbus over Serial Line V1.02, §2.5): unit, PDU, CRC.

Frames end by their length, which the request knows, never by silence: USB adapters and gateways tear frames apart.
"""

from typing import Any

from heliobus.wire.framer import Answer, Event, Fault, FaultKind, Foreign, Late
from heliobus.wire.line_settings import frame_silence
from heliobus.wire.modbus.answer import BadAnswer, ModbusException
from heliobus.wire.modbus.crc import with_crc
from heliobus.wire.modbus.pdu import ModbusRequest, ReadBits, ReadRegisters
from heliobus.wire.modbus.stray import MAX_FRAME, find_frames, frame_lengths, is_whole

__all__ = ["RtuFramer", "frame_silence"]


def _answers(request: ModbusRequest[Any], pdu: bytes) -> bool:
    """Whether `pdu` would be taken for an answer to `request`: single writes are confirmed by their own bytes."""
    try:
        request.decode(pdu)
    except (BadAnswer, ModbusException):
        return False
    return True


class RtuFramer:
    """One open request at a time; its answer is known by unit, function, length and CRC, also behind line noise.

    An adapter that returns what it sends is found out by the first read, and its echo stripped from then on. Until
    then the first copy of a mirrored write is taken for its answer.
    """

    drains = True

    def __init__(self, silence: float = 0.0) -> None:
        self.silence = silence
        self._buffer = bytearray()
        self._request: ModbusRequest[Any] | None = None
        self._unit = 0
        self._sent = b""
        self._mirrored = False
        self._look_at = 1
        self._echo: bool | None = None
        self._stripped = False
        self._perhaps_echo = False
        self._abandoned: dict[int, int] = {}

    @property
    def echo(self) -> bool | None:
        """Whether the adapter returns what it sends; None until a read has shown it."""
        return self._echo

    def encode(self, unit: int, request: ModbusRequest[Any]) -> bytes:
        """The frame of `request`. Unit 0 is broadcast, which nobody answers, and so an error here."""
        if not 1 <= unit <= 255:
            raise ValueError(f"unit {unit} is not within 1..255")
        pdu = request.encode()
        self._sent = with_crc(bytes((unit,)) + pdu)
        self._mirrored = _answers(request, pdu)
        self._unit = unit
        self._request = request
        self._stripped = False
        self._perhaps_echo = False
        self._clear()
        return self._sent

    def alike(self, one: ModbusRequest[Any], other: ModbusRequest[Any]) -> bool:
        """Two reads by one function of as many bytes, which no answer tells apart: it does not name its address."""
        if not (isinstance(one, ReadBits | ReadRegisters) and isinstance(other, ReadBits | ReadRegisters)):
            return False
        return one.function == other.function and one.size == other.size and one.address != other.address

    def refused_alike(self, one: ModbusRequest[Any], other: ModbusRequest[Any]) -> bool:
        """Two requests of one function: a refusal names nothing else."""
        return one.function == other.function and one != other

    def feed(self, chunk: bytes) -> list[Event]:
        """What `chunk` completes. Frames that nobody asked for may be told later, at the latest by `flush`."""
        events: list[Event] = []
        at = 0
        # Stopping at each length that can mean something makes the events independent of the chunks.
        while self._request is not None and at < len(chunk):
            end = at + max(1, self._look_at - len(self._buffer))
            self._buffer += chunk[at:end]
            at = end
            if len(self._buffer) >= self._look_at:
                events += self._look(self._request)
        if at < len(chunk):
            self._buffer += chunk[at:]
        if self._request is None:
            events += self._strays(complete=False)
        return events

    def flush(self) -> list[Event]:
        """The line has been quiet: nothing more belongs to what came, so what frames did come?"""
        self.abandon()
        return self._strays(complete=True)

    def abandon(self) -> int:
        """The open request is given up, its answer late from now on; how many bytes of it, or of noise, had come."""
        if self._request is not None:
            self._abandoned[self._unit] = self._request.function
            self._request = None
        return len(self._buffer)

    def reset(self) -> None:
        """A new connection: forget half a frame and whatever could have come late."""
        self._request = None
        self._abandoned.clear()
        self._clear()

    def _clear(self) -> None:
        self._buffer.clear()
        self._look_at = 1

    def _look(self, request: ModbusRequest[Any]) -> list[Event]:
        """Judge the buffer as of its last byte, and say at which length to look again."""
        size = len(self._buffer)
        self._look_at = size + 1
        if size == len(self._sent) and self._buffer == self._sent and self._is_echo():
            self._echo = self._stripped = True
            self._clear()
            return []
        if self._buffer[0] == self._unit:
            end = self._answer_end(request, 0)
            if end is None:
                return []
            if end > 0:
                return self._look_at_answer(request, end)
        if size in frame_lengths(self._buffer) and is_whole(self._buffer):
            return self._stray_instead(bytes(self._buffer), request)
        return self._look_behind_noise(request)

    def _answer_end(self, request: ModbusRequest[Any], at: int) -> int | None:
        """Where the answer that begins at `at` ends; None if too little of it is there, 0 if none begins there."""
        head = self._buffer[at + 1 :]
        if head and head[0] & 0x7F != request.function:
            return 0
        try:
            length = request.answer_length(bytes(head))
        except BadAnswer:
            return 0
        return None if length is None else at + 1 + length + 2

    def _look_at_answer(self, request: ModbusRequest[Any], end: int) -> list[Event]:
        size = len(self._buffer)
        if size == end and is_whole(self._buffer):
            if not self._mirrored:
                self._echo = self._stripped
            return [self._answer(request, self._buffer[1:-2])]
        if not self._stripped and size < len(self._sent) and self._sent.startswith(self._buffer):
            self._look_at = min(end, len(self._sent)) if size < end else len(self._sent)
            return []
        if size < end:
            self._look_at = end
            return []
        return [self._fault("crc", f"bad CRC in {size} bytes from unit {self._unit}")]

    def _answer(self, request: ModbusRequest[Any], pdu: bytearray) -> Event:
        try:
            result = request.decode(bytes(pdu))
        except ModbusException as refusal:
            result = refusal
        except BadAnswer as bad:
            return self._fault(bad.kind, bad.why)
        self._request = None
        self._perhaps_echo = self._mirrored and self._echo is None
        self._clear()
        return Answer(result)

    def _fault(self, kind: FaultKind, why: str) -> Fault:
        self.abandon()
        self._clear()
        return Fault(kind, why)

    def _is_echo(self) -> bool:
        return not self._stripped and (not self._mirrored or self._echo is True)

    def _look_behind_noise(self, request: ModbusRequest[Any]) -> list[Event]:
        """A driver that is switched on often puts a byte or two of noise before the answer."""
        for function in (request.function, request.function | 0x80):
            at = self._buffer.find(bytes((self._unit, function)), 1)
            while at > 0:
                if self._answer_end(request, at) == len(self._buffer) and is_whole(self._buffer[at:]):
                    return self._answer_behind(request, at)
                at = self._buffer.find(bytes((self._unit, function)), at + 1)
        if len(self._buffer) >= 2 * MAX_FRAME:
            del self._buffer[:MAX_FRAME]
            self._look_at = len(self._buffer) + 1
        return []

    def _answer_behind(self, request: ModbusRequest[Any], at: int) -> list[Event]:
        """The answer begins at `at`; it is ours unless a frame lies before it that is neither our echo nor late."""
        before, _ = find_frames(self._buffer[:at], complete=True)
        pdu = self._buffer[at + 1 : -2]
        events: list[Event] = []
        for frame in before:
            if frame == self._sent:
                continue
            events += self._stray_instead(frame, request)
            if self._request is None:
                return events
        return [*events, self._answer(request, pdu)]

    def _stray_instead(self, frame: bytes, request: ModbusRequest[Any]) -> list[Event]:
        """A valid frame came where the answer should be: whatever follows cannot be trusted to be ours.

        Unless it is what another unit owed us: that one speaks, and the answer is still to come.
        """
        unit, function = frame[0], frame[1]
        if unit != self._unit and self._abandoned.get(unit) == function & 0x7F:
            del self._abandoned[unit]
            self._clear()
            return [Late(unit)]
        kind: FaultKind = "unit" if unit != self._unit else "function"
        if unit == self._unit and function == request.function and len(frame) == 5 + frame[2]:
            return [self._fault("length", f"{frame[2]} bytes of values, another number than asked for")]
        stray = self._stray(frame)
        fault = self._fault(kind, f"a frame of unit {unit} function {function} came instead of the answer")
        return [fault] if stray is None else [stray, fault]

    def _strays(self, *, complete: bool) -> list[Event]:
        if not self._buffer:
            return []
        frames, dealt_with = find_frames(self._buffer, complete=complete)
        del self._buffer[:dealt_with]
        return [event for event in map(self._stray, frames) if event is not None]

    def _stray(self, frame: bytes) -> Event | None:
        """What a valid frame outside a request is; None if the first copy of a mirrored write was its echo."""
        if self._perhaps_echo and frame == self._sent:
            self._perhaps_echo = False
            self._echo = True
            return None
        unit, function = frame[0], frame[1] & 0x7F
        if self._abandoned.get(unit) == function:
            del self._abandoned[unit]
            return Late(unit)
        return Foreign(unit, function)
