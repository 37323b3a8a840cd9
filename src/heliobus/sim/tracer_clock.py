"""The clock of a simulated EPever charge controller (§9): local time without a zone, and it drifts."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from heliobus.sim.device import ILLEGAL_VALUE, RefusalError


class TracerClock:
    """`drift` is in seconds per day. The UTC tag of `moment` means nothing: the device knows no zone."""

    def __init__(self, moment: datetime, drift: float = 0.0) -> None:
        self.moment = moment.replace(tzinfo=UTC)
        self._pace = 1 + drift / 86400

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.moment += timedelta(seconds=seconds * self._pace)

    def words(self, ahead: float = 0.0) -> tuple[int, int, int]:
        """9013-9015, `ahead` seconds later than `moment`."""
        now = self.moment + timedelta(seconds=ahead)
        return now.minute << 8 | now.second, now.day << 8 | now.hour, (now.year - 2000) << 8 | now.month

    def write(self, words: Sequence[int]) -> None:
        """Set by 9013-9015; raises RefusalError for a date that does not exist."""
        (minute, second), (day, hour), (year, month) = (divmod(word, 256) for word in words)
        try:
            self.moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            raise RefusalError(ILLEGAL_VALUE) from None
