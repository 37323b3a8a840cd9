"""What is given up: counted at once, said in the log once a minute at most."""

import asyncio
import logging
from datetime import UTC, datetime

from heliobus.outputs.outbox.queue import Loss
from heliobus.outputs.status import OutputStatus

log = logging.getLogger("heliobus.outbox")

MINUTE = 60.0


class Seldom:
    """Keeps the log quiet."""

    def __init__(self) -> None:
        self._said: float | None = None

    def due(self) -> bool:
        """Whether a minute of the loop's time has passed since this was last true."""
        now = asyncio.get_running_loop().time()
        if self._said is not None and now - self._said < MINUTE:
            return False
        self._said = now
        return True


class Losses:
    """The account of one outbox."""

    def __init__(self, status: OutputStatus) -> None:
        self._status = status
        self._due, self._troubled = Seldom(), Seldom()
        self._unsaid: dict[str, Loss] = {}

    def note(self, loss: Loss, why: str) -> None:
        """Count records that are dropped."""
        if not loss.count:
            return
        self._status.dropped += loss.count
        before = self._unsaid.get(why, loss)
        count = loss.count + (before.count if why in self._unsaid else 0)
        first_ms, last_ms = min(loss.first_ms, before.first_ms), max(loss.last_ms, before.last_ms)
        self._unsaid[why] = Loss(count, first_ms, last_ms)
        self.say()

    def say(self, *, final: bool = False) -> None:
        """Say what was not said yet, unless the last time was less than a minute ago; `final` does not wait."""
        if not self._unsaid or not (final or self._due.due()):
            return
        for why, loss in self._unsaid.items():
            log.warning(
                "%s: %d records from %s to %s dropped: %s",
                self._status.name,
                loss.count,
                text(loss.first_ms),
                text(loss.last_ms),
                why,
            )
        self._unsaid.clear()

    def trouble(self, what: str) -> None:
        """Say what goes wrong without a loss."""
        if self._troubled.due():
            log.warning("%s: %s", self._status.name, what)


def text(time_ms: float) -> str:
    """A time in UTC, for the log."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
