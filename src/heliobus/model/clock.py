"""Where wall-clock time is read, so that tests and the demo can bring their own."""

import time
from typing import Protocol

CLOCK_SET = 1_735_689_600
"""2025-01-01 UTC in seconds: a clock before it was never set, and does not say when anything was measured."""


class Clock(Protocol):
    """Wall-clock time in UTC seconds since 1970."""

    def time(self) -> float:
        """Now."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Now."""
        return time.time()


class FastClock:
    """A clock that starts at `start` and runs `speed` times as fast as `source`: a day in minutes, for the demo."""

    def __init__(self, speed: float, start: float, source: Clock | None = None) -> None:
        self._source = source or SystemClock()
        self._speed = speed
        self._start = start
        self._began = self._source.time()

    def time(self) -> float:
        """Now."""
        return self._start + (self._source.time() - self._began) * self._speed
