"""A line that somebody else talks on too: another master, or noise. Speak only into a quiet moment."""

import logging
import random
from collections.abc import Callable

from heliobus.wire.framer import Foreign

log = logging.getLogger("heliobus.bus")

MEMORY = 300.0
"""A line on which something was heard within so many seconds is taken for a shared one."""
ABSENCE = 3600.0
"""Another master that comes back after so many seconds is named in the log again."""
QUIET = 0.005
JITTER = 0.03
"""Before a request the line must have been quiet for QUIET seconds and a random time up to JITTER (epever.md §15)."""
PATIENCE = 0.2
"""A line that is never quiet is spoken on after so many seconds of listening."""


class Contention:
    """What was heard on the line called `name` that was not for us; times are the loop's."""

    def __init__(self, name: str, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._name = name
        self._uniform = uniform
        self._heard: float | None = None
        self._foreign: float | None = None

    def noise(self, now: float) -> None:
        """Bytes came that make no answer of ours."""
        self._heard = now

    def foreign(self, now: float, frame: Foreign) -> None:
        """A valid frame came that nobody here asked for."""
        before, self._foreign = self._foreign, now
        self._heard = now
        if before is not None and now - before < ABSENCE:
            return
        again = "" if before is None else " again"
        log.warning(
            "%s: another master is talking on this line%s: unit %d function %d",
            self._name,
            again,
            frame.unit,
            frame.function,
        )

    def lately(self, now: float) -> bool:
        """Whether the line is to be listened to before it is spoken on."""
        return self._heard is not None and now - self._heard < MEMORY

    def pause(self, quiet_for: float) -> float:
        """How much longer a line that has been quiet for so many seconds must be so; another time each time."""
        return max(0.0, QUIET - quiet_for) + self._uniform(0.0, JITTER)
