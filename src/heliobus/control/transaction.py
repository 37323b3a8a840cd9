"""The change of a charger's stored settings as a transaction: all or nothing, and charging again (tristar.md §4.5).

It survives lost answers, power cuts of the charger, and being killed at any moment: the journal and the charger's own
words say at the next start what is left to do.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress

from heliobus.control.change_state import RECOVERING, ChangeState, back_up
from heliobus.control.checks import problems, system_refusal
from heliobus.control.endurance import Endurance
from heliobus.control.journal import Damaged, Entry, Journal, JournalError, Record
from heliobus.control.plant import Plant
from heliobus.control.procedure import Procedure
from heliobus.control.recovery import Way, way
from heliobus.control.settings import SettingChange, changes, malformed, stored, values_of
from heliobus.control.store import StoreError
from heliobus.devices.driver import Register
from heliobus.devices.terminal import TerminalError
from heliobus.model.command import Done, Failed, Outcome, Refused, StoredSetting
from heliobus.model.point import Value

log = logging.getLogger("heliobus.control")

READS, READ_PAUSE = 3, 1.0

Wanted = Mapping[str, float]
Meanwhile = Callable[[], Awaitable[None]]


class SettingsChange:
    """Changes the stored settings of one charger.

    `prepare` is awaited before the charger is disconnected: nobody steers it any more, and our own counters are saved;
    it may raise TerminalError or StoreError. `finished` is awaited after it. Raises ValueError for a device whose
    settings cannot be written.
    """

    def __init__(self, plant: Plant, *, prepare: Meanwhile, finished: Meanwhile) -> None:
        eeprom = plant.writes.eeprom
        if eeprom is None:
            raise ValueError(f"{plant.name} has no settings that can be written")
        self._plant = plant
        self._eeprom = eeprom
        self._prepare = prepare
        self._finished = finished
        self._journal = Journal(plant.store.folder, plant.key)
        self._endurance = Endurance(plant)
        self._held: Mapping[str, int] = {}
        self._state = ChangeState(plant, self._endurance, pending=self.pending)
        self._looking = False

    @property
    def pending(self) -> bool:
        """Whether a change was interrupted and has to be finished by `recover` before anything else."""
        return self._journal.pending

    @property
    def failed(self) -> bool:
        """Whether the last change ended as nobody wanted."""
        return self._state.failed

    def refusal(self, wanted: Mapping[str, object]) -> str | None:
        """Why `wanted` would be refused now, by what is known without asking the charger; None if it would not."""
        plant = self._plant
        if plant.busy.locked():
            return "its charge settings are being written at this moment"
        if self.pending:
            return "an interrupted change of its charge settings has to be finished first"
        if not plant.answers:
            return "the charger does not answer"
        wrong = malformed(self._eeprom, wanted)
        if wrong:
            return "; ".join(wrong)
        return (
            self._eeprom.guard(plant.values)
            or system_refusal(plant)
            or self._known_to_be_wrong(wanted)
            or (None if self._looking else self._known_to_be_too_early(wanted))
        )

    @contextmanager
    def only_looking(self) -> Iterator[None]:
        """Within the block nothing is going to be written, so the wear of the memory is no reason to refuse."""
        self._looking = True
        try:
            yield
        finally:
            self._looking = False

    async def plan(self, wanted: Wanted) -> tuple[SettingChange, ...] | Refused | Failed:
        """What would be written for `wanted`, from what the charger has stored now; empty if it has all of it."""
        with self.only_looking():
            why = self.refusal(wanted)
        if why is not None:
            return Refused(why)
        try:
            return self._planned(await self._read(), wanted, for_writing=False)
        except TerminalError as error:
            return Failed(str(error))

    async def stored(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        """All settings as the charger has them stored, read now."""
        if self._plant.busy.locked():
            return Refused("its charge settings are being written at this moment")
        try:
            return stored(self._eeprom, await self._read(), self._plant.factors())
        except TerminalError as error:
            return Failed(str(error))

    async def apply(self, wanted: Wanted, *, label: str, origin: str) -> Outcome:
        """Have the charger store `wanted`; `label` names them for people, `origin` says who asked."""
        why = self.refusal(wanted)
        if why is not None:
            return Refused(why)
        outcome: Outcome = Failed("it was interrupted")
        async with self._plant.busy:
            self._state.say("reading", 0)
            try:
                begun = await self._begin(wanted, label, origin)
                outcome = await self._carry_out(begun) if isinstance(begun, Record) else begun
            finally:
                self._state.end(outcome)
        return outcome

    async def recover(self) -> str | None:
        """Finish what was interrupted, and say in words how it ended.

        None if there is nothing to finish, or while the charger does not answer: then `pending` stays.
        """
        if not self.pending or self._plant.busy.locked():
            return None
        async with self._plant.busy:
            record = await self._journal.load()
            if record is None:
                return None
            try:
                await self._plant.terminal.words((self._eeprom.faults,))
            except TerminalError:
                return None
            self._state.say(RECOVERING, 0)
            said = await (
                self._reset_only(f"a change of settings was interrupted, and its journal is damaged ({record.why})")
                if isinstance(record, Damaged)
                else self._finish(record)
            )
        log.warning("%s: %s", self._plant.name, said)
        return said

    def values(self) -> Mapping[str, Value]:
        """What the change of settings says of itself, by point name."""
        return self._state.values(pending=self.pending)

    def _known_to_be_wrong(self, wanted: Mapping[str, object]) -> str | None:
        """What is wrong with `wanted` beside the settings that were polled last; None if nothing, or not known."""
        polled = {each.point.name: self._plant.values.get(each.point.name) for each in self._eeprom.registers}
        touched = {name: value for name, value in wanted.items() if isinstance(value, int | float)}
        if any(value is None for value in polled.values()):
            return None
        touched = {name: value for name, value in touched.items() if value != polled[name]}
        return "; ".join(problems(self._eeprom, {**polled, **touched}, touched, self._plant.options)) or None

    def _known_to_be_too_early(self, wanted: Mapping[str, object]) -> str | None:
        """Why not yet, if by the words that were last read something would have to be written."""
        numbers = {name: value for name, value in wanted.items() if isinstance(value, int | float)}
        try:
            if self._held and not changes(self._eeprom, self._held, numbers, self._plant.factors()):
                return None
        except ValueError as error:
            return str(error)
        return self._endurance.refusal(self._plant.clock.time()) if self._held else None

    async def _read(self) -> Mapping[str, int]:
        """The words of all settings. Raises TerminalError."""
        for _ in range(READS - 1):
            try:
                self._held = await self._plant.terminal.words(self._eeprom.registers)
            except TerminalError:
                await asyncio.sleep(READ_PAUSE)
            else:
                return self._held
        self._held = await self._plant.terminal.words(self._eeprom.registers)
        return self._held

    def _planned(
        self, held: Mapping[str, int], wanted: Wanted, *, for_writing: bool = True
    ) -> tuple[SettingChange, ...] | Refused:
        plant, eeprom = self._plant, self._eeprom
        try:
            planned = changes(eeprom, held, wanted, plant.factors())
        except ValueError as error:
            return Refused(str(error))
        after = {**held, **{each.register.point.name: each.new_word for each in planned}}
        touched = {each.register.point.name: wanted[each.register.point.name] for each in planned}
        wrong = problems(eeprom, values_of(eeprom, after, plant.factors()), touched, plant.options)
        if wrong:
            return Refused("; ".join(wrong))
        early = self._endurance.refusal(plant.clock.time()) if planned and for_writing else None
        return planned if early is None else Refused(early)

    async def _begin(self, wanted: Wanted, label: str, origin: str) -> Record | Outcome:
        """Everything that must be known and on disk before the charger is touched."""
        plant = self._plant
        try:
            held = await self._read()
            planned = self._planned(held, wanted)
            if not planned:
                await self._state.remember(label, Done(label))
                return Done(label)
            why = planned.why if isinstance(planned, Refused) else await self._occupied()
            if isinstance(planned, Refused) or why is not None:
                await self._state.remember(label, Refused(str(why)))
                return Refused(str(why))
            record = Record(plant.key, label, origin, plant.clock.time(), tuple(_entry(each) for each in planned))
            await back_up(plant, self._eeprom, held, record.time)
            await self._endurance.book([each.register for each in planned], record.time)
            await self._journal.save(record)
        except (TerminalError, StoreError, JournalError, OSError) as error:
            await self._close_journal()
            outcome = Failed(f"{str(error) or 'the disk does not answer'}; nothing was changed")
            await self._state.remember(label, outcome)
            return outcome
        names = ", ".join(f"{each.register.point.name} {each.old} → {each.new}" for each in planned)
        log.info("%s: settings are changed to %s (%s): %s", plant.name, label, origin, names)
        return record

    async def _carry_out(self, record: Record) -> Outcome:
        procedure = self._procedure(record)
        why: str | None
        try:
            try:
                await self._prepare()
                await procedure.save_counters()
                await procedure.disconnect()
                why = await procedure.write({entry.point: entry.old for entry in procedure.entries})
            except (TerminalError, StoreError, JournalError, OSError) as error:
                why = str(error)
            return await self._conclude(procedure, why)
        finally:
            await self._finished()

    async def _conclude(self, procedure: Procedure, why: str | None) -> Outcome:
        """After the writes, or `why` they failed: verify or restore, restart, reconnect, check."""
        unrestored = None
        if why is None:
            why = await procedure.verify()
        if why is not None:
            touched = procedure.wrote or procedure.begun
            unrestored = await procedure.restore() if touched else None
            why = f"{why}; {unrestored or ('the settings from before are back' if touched else 'nothing was changed')}"
        stuck = wrong = None
        if procedure.disconnecting or procedure.begun:
            stuck = await procedure.restart() if procedure.wrote or await procedure.edited() else None
            await procedure.reconnect()
        if stuck is None and (procedure.wrote or procedure.begun):
            wrong = await procedure.check()
        if self._held:
            self._held = {**self._held, **procedure.latest}
        self._plant.refresh(register.point.name for register in self._eeprom.registers)
        reasons = [each for each in (why, stuck, wrong if unrestored is None else None) if each is not None]
        label = "" if procedure.record is None else procedure.record.label
        outcome: Outcome = Failed("; ".join(reasons)) if reasons else Done(label)
        await self._state.remember(label, outcome, written=True)
        if stuck is None:
            # While the charger does not restart the journal stays, so that it is tried again.
            await self._close_journal()
        return outcome

    async def _finish(self, record: Record) -> str:
        """Finish or take back a change that was interrupted; says how that ended."""
        name = f"the interrupted change of settings to {record.label}"
        known = {register.point.name: register.address for register in self._eeprom.registers}
        if any(known.get(entry.point) != entry.address for entry in record.entries):
            return await self._reset_only(f"{name} is about registers that are not known", record.label)
        procedure = self._procedure(record, begun=True)
        held = await procedure.held()
        chosen = way(record, held, await procedure.edited())
        if chosen is Way.LEAVE:
            return await self._reset_only(f"{name} was overtaken by another edit of the same settings", record.label)
        if chosen is Way.DROP:
            return await self._drop(procedure, record)
        why = "it was interrupted" if chosen is Way.RESTORE else None
        if chosen is Way.FINISH and any(held[entry.point] != entry.new for entry in record.entries):
            # A charger that does not take this stops charging with the first write all the same.
            with suppress(TerminalError):
                await procedure.disconnect()
            why = await procedure.write(held)
        outcome = await self._conclude(procedure, why)
        self._state.end(outcome)
        return f"{name} was finished" if isinstance(outcome, Done) else f"{name} failed: {_why(outcome)}"

    async def _drop(self, procedure: Procedure, record: Record) -> str:
        """End a change of which no word was written."""
        if await procedure.edited():
            await procedure.restart()
        await procedure.reconnect()
        said = f"the change of settings to {record.label} was interrupted before it began; nothing was changed"
        await self._state.remember(record.label, Failed(said))
        await self._close_journal()
        self._state.end(Failed(said))
        return said

    async def _reset_only(self, why: str, label: str = "") -> str:
        """Nobody can say what the settings should be: have the charger charge, and say so."""
        procedure = self._procedure(None, begun=True)
        restarted = await procedure.edited()
        stuck = await procedure.restart() if restarted else None
        await procedure.reconnect()
        end = stuck or ("the charger was restarted and charges" if restarted else "the charger charges")
        said = f"{why}: its settings are left as they are found, and {end}; check them"
        await self._state.remember(label, Failed(said))
        if stuck is None:
            await self._close_journal(damaged=True)
        self._state.end(Failed(said))
        return said

    async def _occupied(self) -> str | None:
        """Why the charger should not be touched as it is now. Raises TerminalError."""
        eeprom, terminal = self._eeprom, self._plant.terminal
        if not await terminal.coil(eeprom.disconnect):
            return "it is told not to charge, and a change of settings would end that: let it charge first"
        faults = await terminal.words((eeprom.faults,))
        if faults[eeprom.faults.point.name] >> eeprom.edit_fault & 1:
            return "somebody else has edited its settings, and it waits for a restart: restart it first"
        return None

    def _procedure(self, record: Record | None, *, begun: bool = False) -> Procedure:
        async def book(registers: Iterable[Register]) -> None:
            await self._endurance.book(registers, self._plant.clock.time(), again=True)

        return Procedure(self._plant, self._eeprom, self._journal, record, say=self._state.say, book=book, begun=begun)

    async def _close_journal(self, *, damaged: bool = False) -> None:
        try:
            await self._journal.close(damaged=damaged)
        except JournalError as error:
            log.error("%s: %s", self._plant.name, error)


def _entry(change: SettingChange) -> Entry:
    register = change.register
    return Entry(register.point.name, register.address, change.old_word, change.new_word)


def _why(outcome: Outcome) -> str:
    return "" if isinstance(outcome, Done) else outcome.why
