"""Which local day a quarter of an hour belongs to."""

from bisect import bisect_left

from heliobus.model.localtime import LocalTime
from heliobus.outputs.history.levels import QUARTER

EPOCH = 719_163
"""The ordinal of 1970-01-01."""
QUARTERS = 96
REACH = 60
"""No local day begins or ends further than so many quarters from its noon by UTC less the offset."""
MOST_KEPT = 10_000


class LocalDays:
    """Local days by their ordinal (0001-01-01 is 1); quarters of an hour by their number since 1970 UTC.

    All zones of today are a multiple of 15 minutes from UTC, so a quarter lies in one day.
    """

    def __init__(self, local: LocalTime) -> None:
        self.local = local
        self._known: dict[int, int] = {}

    def of(self, quarter: int) -> int:
        """The day of a quarter."""
        day = self._known.get(quarter)
        if day is None:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            day = self._known[quarter] = self.local(quarter * QUARTER.step / 1000).toordinal()
        return day

    def quarters(self, day: int) -> range:
        """The quarters of a day: 96, or 92 or 100 where summer time begins or ends."""
        noon = (day - EPOCH) * QUARTERS + QUARTERS // 2
        offset = self.local(noon * QUARTER.step / 1000).utcoffset()
        if offset is not None:
            noon -= round(1000 * offset.total_seconds()) // QUARTER.step
        around = range(noon - REACH, noon + REACH + 1)
        return range(
            around[0] + bisect_left(around, day, key=self.of), around[0] + bisect_left(around, day + 1, key=self.of)
        )
