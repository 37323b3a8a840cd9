"""What a bus counts, of each unit and of itself. All times are seconds."""

from dataclasses import dataclass, field
from math import inf

_SLICE = 5.0
_WINDOW = 60.0
_DECAY = 0.05
_GRACE = 0.15
_SUSPECT_ANSWERS = 10
_TARDY_ANSWERS = 100


@dataclass(slots=True)
class UnitStatistics:
    """Counters of one unit. `latency` is its filtered worst answer time: up at once, down slowly; None at first.

    `timeouts` are requests whose answer never came, `bad_frames` those that got something else; `refusals` are
    exception answers and count as answers too. `misses` counts what failed since the last answer.
    """

    requests: int = 0
    answers: int = 0
    timeouts: int = 0
    bad_frames: int = 0
    refusals: int = 0
    misses: int = 0
    latency: float | None = None
    _patience: float | None = None
    _suspect: int = 0
    _tardy: int = 0

    def timeout(self, floor: float, ceiling: float) -> float:
        """How long to wait for its next answer: 4 x latency within limits, more after a miss, `ceiling` at first."""
        if self.latency is None:
            return ceiling
        wanted = max(4 * self.latency, floor, self._patience or 0.0)
        return min(wanted, ceiling)

    def grace(self) -> float:
        """After how long a silence others may use the line: not before its timeout unless it is prompt, but failed."""
        if not self._suspect or self._tardy or self.latency is None:
            return inf
        return max(4 * self.latency, _GRACE)

    def answered(self, latency: float) -> None:
        """An answer, or a refusal, came after `latency`."""
        self.answers += 1
        self.misses = 0
        self._patience = None
        self._suspect -= self._suspect > 0
        self._tardy -= self._tardy > 0
        worst = self.latency
        self.latency = latency if worst is None or latency > worst else worst + _DECAY * (latency - worst)

    def missed(self, timeout: float | None) -> None:
        """No usable answer within `timeout`: the next one gets twice as long. None: others did not let it have all."""
        self.misses += 1
        self._suspect = _SUSPECT_ANSWERS
        if timeout is not None:
            self._patience = 2 * timeout

    def late(self) -> None:
        """Its answer came, or seems to have come, when nobody waited for it any more."""
        self._tardy = _TARDY_ANSWERS


@dataclass(slots=True)
class BusStatistics:
    """Counters of a bus. `reconnects` leaves out a peer that hangs up after its answer, as a TriStar may."""

    foreign_frames: int = 0
    late_answers: int = 0
    reconnects: int = 0
    chatter: int = 0
    units: dict[int, UnitStatistics] = field(default_factory=dict)
    _slices: dict[int, float] = field(default_factory=dict)

    def unit(self, unit: int) -> UnitStatistics:
        """The counters of `unit`, made at its first request."""
        found = self.units.get(unit)
        if found is None:
            found = self.units[unit] = UnitStatistics()
        return found

    def busy(self, start: float, end: float) -> None:
        """The bus was in use from `start` to `end` (loop time)."""
        at = start
        while at < end:
            index = int(at // _SLICE)
            until = min(end, (index + 1) * _SLICE)
            if index not in self._slices:
                self._forget(at)
            self._slices[index] = self._slices.get(index, 0.0) + until - at
            at = until

    def load(self, now: float) -> float:
        """The share of the last minute, in slices of 5 s, in which the bus was in use: 0..1."""
        self._forget(now)
        oldest = (now - _WINDOW) // _SLICE * _SLICE
        return min(1.0, sum(self._slices.values()) / (now - oldest))

    def _forget(self, now: float) -> None:
        oldest = int((now - _WINDOW) // _SLICE)
        for index in [index for index in self._slices if index < oldest]:
            del self._slices[index]
