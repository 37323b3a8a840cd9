"""What a change of stored settings says of itself, and what of it is remembered."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from heliobus.control import backup
from heliobus.control.endurance import Endurance
from heliobus.control.plant import Plant
from heliobus.control.settings import stored
from heliobus.control.store import StoreError
from heliobus.devices.writes import Stored
from heliobus.model import vocabulary as v
from heliobus.model.command import Done, Outcome
from heliobus.model.point import Value

log = logging.getLogger("heliobus.control")

SECTION = "settings"
BACKUP_TIME = 10.0
IDLE, DONE, FAILED, RECOVERING = "idle", "done", "failed", "finishing an interrupted change"


class ChangeState:
    """Status, progress and the last end of the changes of one device."""

    def __init__(self, plant: Plant, endurance: Endurance, *, pending: bool) -> None:
        self._plant = plant
        self._endurance = endurance
        self._status = RECOVERING if pending else IDLE
        self._progress = 0.0

    @property
    def failed(self) -> bool:
        """Whether the last change ended as nobody wanted."""
        return bool(self._plant.store.section(SECTION).get("error"))

    def say(self, status: str, progress: float) -> None:
        """What is being done, and how much of all is done, in percent."""
        self._status, self._progress = status, progress
        self._plant.changed()

    def end(self, outcome: Outcome) -> None:
        """It is over."""
        done = isinstance(outcome, Done)
        if not isinstance(outcome, Done):
            log.warning("%s: settings were not changed as wanted: %s", self._plant.name, outcome.why)
        self.say(DONE if done else FAILED, 100 if done else 0)

    async def remember(self, label: str, outcome: Outcome, *, written: bool = False) -> None:
        """Keep what was applied last and how it ended. Not being able to is no reason to stop."""
        kept = dict(self._plant.store.section(SECTION))
        if isinstance(outcome, Done):
            kept |= {"applied": label, "error": ""}
            if written:
                kept["at"] = datetime.fromtimestamp(self._plant.clock.time(), UTC).isoformat(timespec="seconds")
        else:
            kept["error"] = outcome.why
        try:
            await self._plant.store.keep(SECTION, kept)
        except StoreError as error:
            log.error("%s: %s", self._plant.name, error)

    def values(self, *, pending: bool) -> Mapping[str, Value]:
        """The points, by name."""
        kept = self._plant.store.section(SECTION)
        # An earlier control of the same device may have finished it.
        over = self._status == RECOVERING and not pending and not self._plant.busy.locked()
        return {
            v.PROFILE_STATUS.name: IDLE if over else self._status,
            v.PROFILE_PROGRESS.name: round(self._progress),
            v.PROFILE_ERROR.name: str(kept.get("error", "")),
            v.PROFILE_APPLIED.name: str(kept.get("applied", "")),
            v.PROFILE_APPLIED_AT.name: str(kept.get("at", "")),
            v.EEPROM_WRITES.name: self._endurance.total,
        }


async def back_up(plant: Plant, of: Stored, held: Mapping[str, int], time: float) -> None:
    """Have a backup of all settings on disk, as the words `held` have them. Raises OSError, TimeoutError among them."""
    driver = plant.terminal.driver
    serial = plant.key.removeprefix(f"{driver.short}_")
    origin = backup.Origin(serial, driver.name, plant.options.system_voltage or 0, time)
    document = backup.backup_document(origin, stored(of, held, plant.factors()))
    async with asyncio.timeout(BACKUP_TIME):
        await backup.keep(plant.store.folder, plant.key, time, document)
