"""The output that keeps a history, where Python has SQLite."""

import logging
from collections.abc import Callable
from pathlib import Path

from heliobus.config.outputs import HistoryConfig
from heliobus.model.clock import Clock
from heliobus.model.localtime import LocalTime
from heliobus.outputs.status import Statuses
from heliobus.site import Site

log = logging.getLogger("heliobus.history")

FILE = "history.db"


class HistoryOutput:
    """Keeps the history in `config.path`, or in `history.db` of the directory `state`."""

    name = "history"

    def __init__(
        self, config: HistoryConfig, state: Path, clock: Clock, local: Callable[[], LocalTime], statuses: Statuses
    ) -> None:
        self._config = config
        self._path = config.path or state / FILE
        self._clock = clock
        self._local = local
        self._status = statuses.open(self.name)

    async def run(self, site: Site) -> None:
        """Record until cancelled, and then what is left. Returns at once, with one line in the log, where it cannot."""
        try:
            from heliobus.outputs.history.recording import Recording  # noqa: PLC0415  brings sqlite3
        except ModuleNotFoundError as error:
            if error.name not in ("sqlite3", "_sqlite3"):
                raise
            self._status.last_error = "this Python has no sqlite3"
            log.error("history: this Python has no sqlite3, so no history is kept; remove [output.history]")
            return
        await Recording(self._config, self._path, self._clock, self._local, self._status).run(site)
