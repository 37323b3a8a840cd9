"""Rows of a machine that does not know the time yet (no battery behind its clock) wait, and then get the right time."""

import asyncio

from heliobus.model.clock import CLOCK_SET, Clock
from heliobus.outputs.influx.lines import Row
from heliobus.outputs.status import OutputStatus

ROOM = 1000
"""Rows that may wait; beyond that every second look at the site is forgotten, so that the rest spans all the time."""


class ClockCare:
    """Lets rows pass while the clock is right. What waits is in memory, and lost with the process."""

    def __init__(self, clock: Clock, status: OutputStatus) -> None:
        self._clock = clock
        self._status = status
        self._held: list[list[Row]] = []
        self._lead: float | None = None

    def passed(self, rows: list[Row]) -> list[Row]:
        """The rows that may be stored now, those that waited first. `rows` are those of one look at the site."""
        wall, steady = self._clock.time(), asyncio.get_running_loop().time()
        if wall < CLOCK_SET:
            self._lead = wall - steady
            self._hold(rows)
            return []
        # The steady clock went on evenly, so all that was measured before is wrong by the same difference.
        shift = None if self._lead is None else round(1000 * (wall - steady - self._lead))
        found = [row for look in (*self._held, rows) for row in look]
        self._held.clear()
        right = [each for row in found if (each := _right(row, shift)) is not None]
        self._status.dropped += len(found) - len(right)
        return right

    def _hold(self, rows: list[Row]) -> None:
        self._held.append(rows)
        while sum(map(len, self._held)) > ROOM and len(self._held) > 1:
            self._status.dropped += sum(map(len, self._held[1::2]))
            del self._held[1::2]


def _right(row: Row, shift: int | None) -> Row | None:
    """`row` with its right time; None if that cannot be known."""
    if row.time >= 1000 * CLOCK_SET:
        return row
    return None if shift is None else row._replace(time=row.time + shift)
