"""How fast and how patiently records are forwarded."""

import random
from collections.abc import Callable
from dataclasses import dataclass

Uniform = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits of a Forwarder; all times in seconds.

    A batch has at most `records` and about `size` bytes. The backlog takes at most `rate` records a second and at most
    `share` of the time. An answer that takes longer than `timeout` is none. Attempts to reach a sink that is away are
    spread over `first` seconds, then over twice as many each time up to `longest`. At the end `farewell` is left for
    what is not yet sent.
    """

    records: int = 5000
    size: int = 1_000_000
    rate: float = 2000.0
    share: float = 0.5
    timeout: float = 30.0
    first: float = 1.0
    longest: float = 60.0
    farewell: float = 2.0

    def pause(self, records: int, took: float) -> float:
        """How long the backlog rests after `records` that `took` so long."""
        return max(records / self.rate - took, took / self.share - took)


class Backoff:
    """Delays with full jitter, so that a thousand sites do not come back at the same moment."""

    def __init__(self, pace: Pace, uniform: Uniform = random.uniform) -> None:
        self._pace = pace
        self._uniform = uniform
        self._ceiling = pace.first

    def next(self) -> float:
        """How long to wait now."""
        ceiling, self._ceiling = self._ceiling, min(self._pace.longest, 2 * self._ceiling)
        return self._uniform(0.0, ceiling)

    def reset(self) -> None:
        """It worked: start over."""
        self._ceiling = self._pace.first
