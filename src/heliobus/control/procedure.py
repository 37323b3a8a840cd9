"""The steps of writing stored settings into a charger, each of which ends in a known state (tristar.md §4.5, §6).

Before the first write a step may fail and nothing has happened. From then on there is only forward: a charger that
does not answer is asked again until it does, since without a restart it does not charge.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from heliobus.control.journal import Entry, Journal, JournalError, Record, Step
from heliobus.control.plant import Plant
from heliobus.control.settings import by_name
from heliobus.control.store import StoreError
from heliobus.devices.driver import Register
from heliobus.devices.terminal import TerminalError
from heliobus.devices.writes import Eeprom

log = logging.getLogger("heliobus.control")

PAUSE = 5.0
"""Between two tries while the charger is silent."""
DISCONNECT_TIME, DISCONNECT_POLL = 5.0, 0.5
RESTART_TIME, RESTART_POLL = 60.0, 1.0
RESTART_PROOF = 10.0
"""A fault that still stands so long after a restart was asked for proves that there was none."""
RESTARTS = 3
SETTLE_TIME = 30.0
RESTORES = 2

Say = Callable[[str, float], None]
Book = Callable[[Iterable[Register]], Awaitable[None]]


class Procedure:
    """One change of stored settings. `record` is None where nobody knows what was meant.

    `say` is told what happens and how far it is in per cent, `book` counts the writes of restoring. `begun`: what is
    on disk is a change that somebody else began, so that a disk that takes no more is no reason to stop.
    """

    def __init__(
        self,
        plant: Plant,
        eeprom: Eeprom,
        journal: Journal,
        record: Record | None,
        *,
        say: Say,
        book: Book,
        begun: bool = False,
    ) -> None:
        self.record = record
        self.latest: Mapping[str, int] = {}
        self.wrote = False
        self.disconnecting = False
        self._plant = plant
        self._terminal = plant.terminal
        self._eeprom = eeprom
        self._journal = journal
        self._registers = by_name(eeprom)
        self._say_so = say
        self._book = book
        self.begun = begun
        self._said = ("", 0.0)
        self._silent = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The registers that change."""
        return () if self.record is None else self.record.entries

    async def save_counters(self) -> None:
        """Have the charger store its counters, which the restart would lose. Raises TerminalError if it cannot be."""
        self._say("saving counters", 5)
        await self._send(self._terminal.write_coil(self._eeprom.save, True))

    async def disconnect(self) -> None:
        """Have the charger stop charging. Raises TerminalError if it does not take the command."""
        self._say("disconnecting", 10)
        self.disconnecting = True
        await self._send(self._terminal.write_coil(self._eeprom.disconnect, False))
        if await self._terminal.coil(self._eeprom.disconnect):
            raise TerminalError("the charger does not disconnect", sent=False)
        state = self._eeprom.state
        # It may be busy with something else; what counts is that it was told.
        for _ in range(round(DISCONNECT_TIME / DISCONNECT_POLL)):
            words = await self._terminal.words((state,))
            if words[state.point.name] == self._eeprom.disconnected:
                return
            await asyncio.sleep(DISCONNECT_POLL)

    async def write(self, held: Mapping[str, int]) -> str | None:
        """Write the new words where they are not `held`. Why it did not work, None if it did.

        Raises JournalError while nothing has been written.
        """
        for index, entry in enumerate(self.entries):
            if held[entry.point] != entry.new:
                self._say(f"writing {index + 1} of {len(self.entries)}", 15 + 45 * index / len(self.entries))
                await self._note(Step.WRITING, index)
                why = await self._write_word(entry, held[entry.point], entry.new)
                if why is not None:
                    return why
        return None

    async def verify(self) -> str | None:
        """Whether all words arrived, by raw words: why not, None if so."""
        self._say("verifying", 65)
        await self._note(Step.VERIFYING)
        held = await self.held()
        return self._differences(held, {entry.point: entry.new for entry in self.entries}, "after it was written")

    async def restore(self) -> str | None:
        """Write the old words where they are not. Why it did not work, None if it did."""
        self._say("restoring", 70)
        await self._note(Step.RESTORING)
        for _ in range(RESTORES):
            held = await self.held()
            left = [(index, entry) for index, entry in enumerate(self.entries) if held[entry.point] != entry.old]
            if not left:
                break
            await self._book_again(entry for _, entry in left)
            for index, entry in left:
                await self._note(Step.RESTORING, index, held)
                await self._write_word(entry, held[entry.point], entry.old)
        old = {entry.point: entry.old for entry in self.entries}
        return self._differences(await self.held(), old, "and could not be restored")

    async def restart(self) -> str | None:
        """Restart the charger: once, and again only if it provably did not. Why it does not, None when it did."""
        self._say("restarting", 75)
        await self._note(Step.RESTARTING)
        sent = 0
        while sent < RESTARTS:
            try:
                await self._terminal.write_coil(self._eeprom.reset, True)
                sent += 1
            except TerminalError as error:
                sent += error.sent
                if not error.sent:
                    self._wait_for(error)
            if await self._lifted():
                return None
        return (
            f"the charger was told {RESTARTS} times to restart and did not, so it does not charge: "
            "switch its supply off and on"
        )

    async def reconnect(self) -> None:
        """Let the charger charge again."""
        while not await self.enabled():
            try:
                await self._terminal.write_coil(self._eeprom.disconnect, True)
                await asyncio.sleep(RESTART_POLL)
            except TerminalError as error:
                self._wait_for(error)
                await asyncio.sleep(PAUSE)

    async def check(self) -> str | None:
        """Whether the charger has what it should have, and charges: why not, None if so."""
        self._say("checking", 90)
        await self._note(Step.CHECKING)
        eeprom, loop = self._eeprom, asyncio.get_running_loop()
        until = loop.time() + SETTLE_TIME
        while True:
            words = await self._words((eeprom.state, eeprom.faults))
            state, faults = words[eeprom.state.point.name], words[eeprom.faults.point.name]
            if state not in eeprom.idle or loop.time() > until:
                break
            await asyncio.sleep(RESTART_POLL)
        if state in eeprom.idle:
            log.warning(
                "%s: restarted, but does not charge: state %s, faults: %s",
                self._plant.name,
                eeprom.state.point.text(state),
                eeprom.faults.point.text(faults),
            )
        restored = self.record is not None and self.record.restored
        wanted = {entry.point: entry.old if restored else entry.new for entry in self.entries}
        return self._differences(await self.held(), wanted, "after the restart")

    async def held(self) -> Mapping[str, int]:
        """The words that the registers of the change hold now, by point name."""
        self.latest = await self._words([self._registers[entry.point] for entry in self.entries])
        return self.latest

    async def edited(self) -> bool:
        """Whether the charger waits for a restart after an edit of its settings."""
        faults = self._eeprom.faults
        return bool((await self._words((faults,)))[faults.point.name] >> self._eeprom.edit_fault & 1)

    async def enabled(self) -> bool:
        """Whether the charger is not told to disconnect."""
        while True:
            try:
                enabled = await self._terminal.coil(self._eeprom.disconnect)
            except TerminalError as error:
                self._wait_for(error)
                await asyncio.sleep(PAUSE)
            else:
                self._answered()
                return enabled

    async def _words(self, registers: Iterable[Register]) -> dict[str, int]:
        wanted = tuple(registers)
        while True:
            try:
                words = await self._terminal.words(wanted)
            except TerminalError as error:
                self._wait_for(error)
                await asyncio.sleep(PAUSE)
            else:
                self._answered()
                return words

    async def _write_word(self, entry: Entry, before: int, word: int) -> str | None:
        """Write one register, again only if it provably still holds `before`. Why it did not work, None if it did."""
        register, why = self._registers[entry.point], ""
        for _ in range(2):
            try:
                await self._terminal.write_word(register, word, once=True)
            except TerminalError as error:
                why = str(error)
            else:
                self.wrote = True
                return None
            held = (await self._words((register,)))[entry.point]
            self.wrote = self.wrote or held != before
            if held == word:
                return None
            if held != before:
                return f"register 0x{entry.address:04X} took the word 0x{held:04X} instead of 0x{word:04X}"
        return why

    async def _lifted(self) -> bool:
        """Wait for the charger to answer after a restart: whether the fault of the edit is gone."""
        loop, faults = asyncio.get_running_loop(), self._eeprom.faults
        begun = loop.time()
        while True:
            late = loop.time() - begun >= RESTART_TIME
            await asyncio.sleep(PAUSE if late else RESTART_POLL)
            try:
                words = await self._terminal.words((faults,))
            except TerminalError as error:
                if late:
                    self._wait_for(error)
                continue
            self._answered()
            if not words[faults.point.name] >> self._eeprom.edit_fault & 1:
                return True
            if loop.time() - begun >= RESTART_PROOF:
                return False

    async def _note(self, step: Step, index: int = 0, held: Mapping[str, int] | None = None) -> None:
        """Have on disk what happens next, and which wrong words the charger took."""
        if self.record is None:
            return
        self.record = self.record.at(step, index)
        if held is not None:
            self.record = replace(self.record, entries=tuple(_with_found(each, held) for each in self.record.entries))
        try:
            await self._journal.save(self.record)
        except JournalError as error:
            if not self.wrote and not self.begun:
                raise
            log.error("%s: %s; the change goes on, since the charger would be left in between", self._plant.name, error)

    async def _book_again(self, entries: Iterable[Entry]) -> None:
        try:
            await self._book([self._registers[entry.point] for entry in entries])
        except StoreError as error:
            log.error("%s: writes of restoring are not counted: %s", self._plant.name, error)

    async def _send(self, write: Awaitable[None]) -> None:
        """Take an answer that does not come for a yes: what matters is checked otherwise."""
        try:
            await write
        except TerminalError as error:
            if not error.sent:
                raise

    def _differences(self, held: Mapping[str, int], wanted: Mapping[str, int], when: str) -> str | None:
        wrong = [
            f"register 0x{entry.address:04X} holds 0x{held[entry.point]:04X} instead of 0x{wanted[entry.point]:04X}"
            for entry in self.entries
            if held[entry.point] != wanted[entry.point]
        ]
        return f"{', '.join(wrong)} {when}" if wrong else None

    def _say(self, what: str, progress: float) -> None:
        self._said = (what, progress)
        self._say_so(what, progress)

    def _wait_for(self, error: TerminalError) -> None:
        if not self._silent:
            self._silent = True
            what, progress = self._said
            log.warning(
                "%s: cannot go on with the change of settings (%s): %s; tried again until it works",
                self._plant.name,
                what,
                error,
            )
            self._say_so(f"{what}, waiting for the charger: {error}", progress)

    def _answered(self) -> None:
        if self._silent:
            self._silent = False
            log.warning("%s: the change of settings goes on", self._plant.name)
            self._say_so(*self._said)


def _with_found(entry: Entry, held: Mapping[str, int]) -> Entry:
    word = held[entry.point]
    return entry if word in (entry.old, entry.new) else replace(entry, found=word)
