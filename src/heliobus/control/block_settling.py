"""Writing the settings of a journal's record, and what to do about what the device has afterwards (epever.md §10)."""

import asyncio
import logging
from collections.abc import Mapping

from heliobus.control.change_state import ChangeState
from heliobus.control.endurance import Endurance
from heliobus.control.journal import Journal, JournalError, Record, Step
from heliobus.control.plant import Plant
from heliobus.control.settings_reader import SettingsReader, spans_of
from heliobus.control.store import StoreError
from heliobus.devices.terminal import RejectedError, TerminalError
from heliobus.devices.writes import Settings, Span
from heliobus.model.command import Done, Failed

log = logging.getLogger("heliobus.control")

RESTORES = 4
"""In how many starts the old settings are written back, once in each: a device that keeps none is then left alone."""

Words = Mapping[str, int]


def is_new(record: Record, held: Words) -> bool:
    """Whether the device has all that the change wants. Pure."""
    return all(held.get(entry.point) == entry.new for entry in record.entries)


def is_old(record: Record, held: Words) -> bool:
    """Whether the device has what it had before. Pure."""
    return all(held.get(entry.point) == entry.old for entry in record.entries)


class Settling:
    """The writes of one device's changes. What was sent is never sent again, whatever became of the answer."""

    def __init__(
        self,
        plant: Plant,
        settings: Settings,
        reader: SettingsReader,
        journal: Journal,
        endurance: Endurance,
        state: ChangeState,
    ) -> None:
        self._plant = plant
        self._settings = settings
        self._reader = reader
        self._journal = journal
        self._endurance = endurance
        self._state = state

    async def write(self, record: Record) -> str | None:
        """Write the new words of `record`, each span once; why it was broken off, None if it was not."""
        changed = frozenset(entry.point for entry in record.entries if entry.old != entry.new)
        return await self._write(changed, {entry.point: entry.new for entry in record.entries})

    async def conclude(self, record: Record, held: Words, why: str | None) -> tuple[Done | Failed, bool]:
        """By what the device has: done, never begun, or back to what it was; False while that is not over."""
        if is_new(record, held):
            return Done(record.label), True
        if is_old(record, held):
            return Failed(f"{why or 'the device did not take it'}; nothing was changed"), True
        end, over = await self._take_back(record, held)
        return Failed(f"{why or 'the device stored something else'}; {end}"), over

    async def _take_back(self, record: Record, held: Words) -> tuple[str, bool]:
        attempt = record.index + 1 if record.step is Step.RESTORING else 1
        if attempt > RESTORES:
            return f"its settings are uncertain, for it does not keep those from before: {_strange(record, held)}", True
        wrong = frozenset(entry.point for entry in record.entries if held.get(entry.point) != entry.old)
        registers = [each for span in spans_of(self._settings, wrong) for each in span.registers]
        try:
            await self._journal.save(record.at(Step.RESTORING, attempt))
            await self._endurance.book(registers, self._plant.clock.time(), again=True)
        except (StoreError, JournalError) as error:
            return f"its settings are uncertain, for those from before cannot be written back yet: {error}", False
        log.warning("%s: settings from before are written back: %s", self._plant.name, _strange(record, held))
        self._state.say("restoring", 80)
        await self._write(wrong, {entry.point: entry.old for entry in record.entries})
        try:
            held = await self._reader.read()
        except TerminalError as error:
            return f"its settings are uncertain, for they cannot be read back: {error}", False
        if is_old(record, held):
            return "the settings from before are back", True
        return f"its settings are uncertain: {_strange(record, held)}", True

    async def _write(self, names: frozenset[str], words: Words) -> str | None:
        terminal = self._plant.terminal
        for span in self._in_order(spans_of(self._settings, names), words):
            try:
                await terminal.write_span(span, [words[register.point.name] for register in span.registers])
            except RejectedError as error:
                return f"the device refused it ({error}){self._settings.rules}"
            except TerminalError as error:
                if not error.sent:
                    return str(error)
                log.info("%s: %s; what it has is read back", self._plant.name, error)
            await asyncio.sleep(self._settings.settle)
        return None

    def _in_order(self, spans: tuple[Span, ...], words: Words) -> tuple[Span, ...]:
        """The type "user" never meets an automatic system voltage: that is given up first, and taken up last."""
        battery = self._settings.battery
        automatic = battery is not None and words.get(battery.code.point.name) == battery.automatic
        return spans[::-1] if automatic else spans


def _strange(record: Record, held: Words) -> str:
    """What the device has where it has neither what was wanted nor what it had."""
    words = [
        f"{entry.point} is 0x{held[entry.point]:04X} instead of 0x{entry.old:04X}"
        if entry.point in held
        else f"{entry.point} is not there"
        for entry in record.entries
        if held.get(entry.point) != entry.old
    ]
    return ", ".join(words)
