"""The tail: what came last, appended record by record, with notes of what has been taken.

A tail begins with a state: which numbers below `next` wait. What follows are records, and notes of what was taken.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from heliobus.outputs.outbox.frames import framed, frames_in
from heliobus.outputs.outbox.intervals import Interval
from heliobus.outputs.outbox.record import Entry, Record

STATE, RECORD, TAKEN = 1, 2, 3
_NUMBERS = struct.Struct("<QQ")
_INTERVAL = struct.Struct("<QQ")
_RECORD = struct.Struct("<Qq")


@dataclass(frozen=True, slots=True)
class State:
    """What waits of the numbers below `next`; of those from `next` on, everything that is found waits.

    What waits of the numbers below `stored` was on disk when this was written.
    """

    next: int
    stored: int = 0
    waiting: tuple[Interval, ...] = ()


@dataclass(slots=True)
class Replay:
    """What tails say, read one after the other. `damaged` counts damaged stretches."""

    state: State = State(1)
    entries: dict[int, Entry] = field(default_factory=dict)
    taken: list[Interval] = field(default_factory=list)
    damaged: int = 0

    def read(self, content: bytes) -> None:
        """Go on with one tail, older ones first. Garbage changes nothing."""
        frames, damaged = frames_in(content)
        self.damaged += damaged
        for frame in frames:
            try:
                self._follow(frame.kind, frame.body)
            except struct.error:
                self.damaged += 1

    def _follow(self, kind: int, body: bytes) -> None:
        if kind == STATE:
            following, stored = _NUMBERS.unpack_from(body)
            self.state = State(following, stored, _intervals(body[_NUMBERS.size :]))
        elif kind == RECORD:
            sequence, time_ms = _RECORD.unpack_from(body)
            self.entries[sequence] = Entry(sequence, Record(time_ms, body[_RECORD.size :]))
        elif kind == TAKEN:
            self.taken += _intervals(body)


def state_frame(state: State) -> bytes:
    """The beginning of a tail."""
    return framed(STATE, _NUMBERS.pack(state.next, state.stored) + _packed(state.waiting))


def record_frames(entries: Iterable[Entry]) -> bytes:
    """Records, to be appended."""
    return b"".join(
        framed(RECORD, _RECORD.pack(entry.sequence, entry.record.time_ms) + entry.record.content) for entry in entries
    )


def taken_frame(taken: Sequence[Interval]) -> bytes:
    """The note that these have been taken, or given up."""
    return framed(TAKEN, _packed(taken)) if taken else b""


def _packed(intervals: Iterable[Interval]) -> bytes:
    return b"".join(_INTERVAL.pack(*interval) for interval in intervals)


def _intervals(body: bytes) -> tuple[Interval, ...]:
    return tuple((first, last) for first, last in _INTERVAL.iter_unpack(body))
