"""Waiting longer after each failure."""

import random
from collections.abc import Callable


class Backoff:
    """Delays in seconds: `first`, then twice as long each time up to `ceiling`; each varies by the share `jitter`."""

    def __init__(
        self,
        first: float = 0.5,
        ceiling: float = 60.0,
        jitter: float = 0.2,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._first = first
        self._ceiling = ceiling
        self._jitter = jitter
        self._uniform = uniform
        self._next = first

    def next(self) -> float:
        """How long to wait now; never more than the ceiling."""
        delay = self._next
        self._next = min(self._ceiling, 2 * delay)
        return min(self._ceiling, delay * self._uniform(1 - self._jitter, 1 + self._jitter))

    def reset(self) -> None:
        """It worked: start over."""
        self._next = self._first
