"""What can go wrong with an answer on its way, as pure arithmetic on bytes: the same seed gives the same accidents."""

import random
from dataclasses import dataclass
from enum import Enum

from heliobus.wire.modbus.crc import with_crc


class Framing(Enum):
    """How a PDU is wrapped."""

    RTU = "rtu"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Bytes that reach the master `delay` seconds after its request was complete."""

    delay: float
    payload: bytes


class Faults:
    """Probabilities (0..1) of accidents; `second_master` is the period in seconds of a foreign request and answer.

    late: the answer comes after `late_seconds`. lost: never. cut: only its beginning. joined: glued to a repeat of
    the answer before it. flipped: one bit wrong. echo: the request comes back first, as on two-wire lines without
    echo suppression. wrong_unit: another device's id. exception: refused with `exception_code`. garbage: noise first.
    """

    def __init__(
        self,
        *,
        late: float = 0.0,
        late_seconds: float = 3.0,
        lost: float = 0.0,
        cut: float = 0.0,
        joined: float = 0.0,
        flipped: float = 0.0,
        echo: bool = False,
        wrong_unit: float = 0.0,
        exception: float = 0.0,
        exception_code: int = 6,
        second_master: float | None = None,
        garbage: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.late, self.late_seconds = late, late_seconds
        self.lost, self.cut, self.joined, self.flipped = lost, cut, joined, flipped
        self.echo, self.wrong_unit, self.garbage = echo, wrong_unit, garbage
        self.exception, self.exception_code = exception, exception_code
        self.second_master = second_master
        self.applied: dict[str, int] = {}
        self._random = random.Random(seed)
        self._previous = b""
        self._next_foreign = second_master

    def apply(
        self, answer: bytes, *, request: bytes, framing: Framing, delay: float = 0.0, now: float = 0.0
    ) -> list[Delivery]:
        """What the master gets instead of `answer`, a whole frame due `delay` seconds after the request."""
        deliveries = self._foreign(framing, now)
        if self.echo:
            deliveries.append(Delivery(0.0, request))
        if self._happens("lost", self.lost):
            return deliveries
        if self._happens("late", self.late):
            delay += self.late_seconds
        frame = self._spoil(answer, framing)
        if self._happens("garbage", self.garbage):
            frame = self._random.randbytes(self._random.randint(1, 6)) + frame
        deliveries.append(Delivery(delay, frame))
        self._previous = answer
        return deliveries

    def _spoil(self, answer: bytes, framing: Framing) -> bytes:
        frame = answer
        if self._happens("exception", self.exception):
            frame = reframed(frame, framing, exception_code=self.exception_code)
        if self._happens("wrong_unit", self.wrong_unit):
            frame = reframed(frame, framing, unit_step=self._random.randint(1, 200))
        if self._happens("flipped", self.flipped):
            position = self._random.randrange(8 * len(frame))
            spoiled = bytearray(frame)
            spoiled[position // 8] ^= 1 << position % 8
            frame = bytes(spoiled)
        if self._happens("cut", self.cut):
            frame = frame[: self._random.randint(1, len(frame) - 1)]
        if self._happens("joined", self.joined):
            frame = self._previous + frame
        return frame

    def _foreign(self, framing: Framing, now: float) -> list[Delivery]:
        """A second master's request and its answer, where its period has come; only a shared line carries them."""
        if self._next_foreign is None or self.second_master is None or framing is not Framing.RTU:
            return []
        if now < self._next_foreign:
            return []
        self._next_foreign = now + self.second_master
        self.applied["second_master"] = self.applied.get("second_master", 0) + 1
        words = self._random.randbytes(4)
        asked = with_crc(bytes((0x55, 0x03, 0x00, 0x10, 0x00, 0x02)))
        return [Delivery(0.0, asked), Delivery(0.0, with_crc(bytes((0x55, 0x03, 0x04)) + words))]

    def _happens(self, name: str, probability: float) -> bool:
        # One draw each time keeps the sequence of one accident independent of the others' probabilities.
        happened = self._random.random() < probability
        if happened:
            self.applied[name] = self.applied.get(name, 0) + 1
        return happened


def reframed(frame: bytes, framing: Framing, *, unit_step: int = 0, exception_code: int | None = None) -> bytes:
    """The frame with another unit id, or turned into an exception, and otherwise valid."""
    head, unit_at = (b"", 0) if framing is Framing.RTU else (frame[:4], 6)
    unit = (frame[unit_at] + unit_step - 1) % 247 + 1 if unit_step else frame[unit_at]
    pdu = frame[1:-2] if framing is Framing.RTU else frame[7:]
    if exception_code is not None:
        pdu = bytes((pdu[0] | 0x80, exception_code))
    if framing is Framing.RTU:
        return with_crc(bytes((unit,)) + pdu)
    return head + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu
