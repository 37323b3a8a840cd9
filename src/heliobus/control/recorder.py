"""Every command and how it ended, on record, and the last one in words."""

import asyncio
from contextlib import suppress

from heliobus.control.audit import Audit, Record
from heliobus.control.plant import Plant
from heliobus.model.command import Command, Done, Outcome, Refused
from heliobus.model.point import Value

DISK_TIME = 10.0
LONGEST_WORDS = 500
REPEATED = 60.0
"""Seconds in which the very same refusal is recorded once: a program that insists must not fill the disk."""


class Recorder:
    """The record of one device. `last` says the last command and its end in words."""

    def __init__(self, plant: Plant, audit: Audit) -> None:
        self.last = ""
        self._plant = plant
        self._audit = audit
        self._notes: set[asyncio.Task[None]] = set()
        self._refusal: tuple[object, float] = (None, 0.0)

    async def record(self, command: Command, old: Value, outcome: Outcome) -> None:
        """Have on disk how `command` ended; `old` was the value before."""
        plant = self._plant
        value, why = (outcome.value, "") if isinstance(outcome, Done) else (None, outcome.why)
        result = type(outcome).__name__.lower()
        if isinstance(outcome, Refused) and self._repeated(command, why):
            return
        words = f"{command.point} {command.value}: {result}{': ' + why if why else ''}"
        # Everybody is shown it again and again, and the sender's own words may be many.
        self.last = words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1] + "…"
        time = plant.clock.time()
        record = Record(
            time, plant.name, plant.key, command.origin, command.point, old, command.value, result, why, value
        )
        plant.changed()
        # What waits is written when the disk answers again.
        with suppress(TimeoutError):
            async with asyncio.timeout(DISK_TIME):
                await self._audit.record(record)

    def note(self, command: Command, old: Value, outcome: Outcome) -> None:
        """Record without waiting for the disk."""
        note = asyncio.create_task(self.record(command, old, outcome))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def close(self) -> None:
        """Wait until everything noted is on disk."""
        if self._notes:
            await asyncio.wait(self._notes)

    def _repeated(self, command: Command, why: str) -> bool:
        now, same = asyncio.get_running_loop().time(), (command, why)
        before, since = self._refusal
        if before == same and now - since < REPEATED:
            return True
        self._refusal = (same, now)
        return False
