"""A link that is opened when it is needed, left alone for a while when that fails, and set as the next unit speaks."""

import asyncio
import logging
from collections.abc import Callable

from heliobus.wire.backoff import Backoff
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import Link, LinkBusy, LinkError
from heliobus.wire.outcome import LinkDown, Timing
from heliobus.wire.statistics import BusStatistics

log = logging.getLogger("heliobus.bus")


class Connection:
    """`link` with its ups and downs. `opened` is called each time it stands anew; `used` says if it carried a frame."""

    def __init__(
        self,
        link: Link,
        backoff: Backoff,
        statistics: BusStatistics,
        settings: LineSettings | None,
        opened: Callable[[], None],
    ) -> None:
        self.link = link
        self.used = False
        self._backoff = backoff
        self._statistics = statistics
        self._settings = settings
        self._opened = opened
        self._was_open = False
        self._lost = False
        self._down: str | None = None
        self._retry_at = 0.0

    async def claim(self, timeout: float) -> None:
        """Open the link before it is needed. LinkBusy; any other failure is left to the first request."""
        try:
            await self._open(timeout)
        except LinkBusy:
            raise
        except LinkError:
            return

    async def connect(self, timing: Timing, *, fresh: bool) -> None:
        """Have a connection, an unused one if `fresh`. LinkDown."""
        if self.link.is_open:
            if not (fresh and self.used):
                return
            self.link.close()
            await asyncio.sleep(timing.gap)
        if self._down is not None and asyncio.get_running_loop().time() < self._retry_at:
            raise LinkDown(self._down)
        try:
            await self._open(timing.connect)
        except LinkError as error:
            raise LinkDown(str(error)) from None

    def tune(self, settings: LineSettings | None) -> None:
        """Speak with `settings` from now on, None for as before. LinkDown when the tty has gone."""
        if settings is None or settings == self._settings:
            return
        self._settings = None
        try:
            self.link.configure(settings)
        except LinkError as error:
            self.link.close()
            self.fail(str(error))
            raise LinkDown(str(error)) from None
        self._settings = settings

    def lose(self) -> None:
        """End the connection: it is out of step, or has ended by itself."""
        self.link.close()
        self._lost = True

    def fail(self, why: str) -> None:
        """The link is down: no further try for a while. Its devices say so in the log."""
        if self._down is None:
            log.debug("%s", why)
        self._down = why
        self._lost = self._was_open
        self._retry_at = asyncio.get_running_loop().time() + self._backoff.next()

    async def _open(self, timeout: float) -> None:
        """Connect. LinkError, and then not again for a while."""
        try:
            await self.link.open(timeout)
        except LinkError as error:
            self.fail(str(error))
            raise
        if self._down is not None:
            log.debug("%s: connected again", self.link.name)
        if self._lost:
            self._statistics.reconnects += 1
        self._down = None
        self._lost = False
        self._was_open = True
        self.used = False
        self._backoff.reset()
        self._opened()
