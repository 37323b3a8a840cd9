"""The change of settings that a device stores at once, without a restart, in as few writes as can be (epever.md §10).

What is meant is on disk before the first byte is sent. Whoever starts after a crash reads what the device has: all new
is done, all old was never begun, and anything else is taken back to what it was.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from heliobus.control.block_checks import advice, battery_refusal, concerns_battery, problems
from heliobus.control.block_settling import Settling, is_new
from heliobus.control.change_state import RECOVERING, ChangeState, back_up
from heliobus.control.endurance import Endurance
from heliobus.control.journal import Damaged, Entry, Journal, JournalError, Record, Step
from heliobus.control.plant import Plant
from heliobus.control.settings import SettingChange, changes, malformed, stored, values_of
from heliobus.control.settings_reader import SettingsReader, spans_of
from heliobus.control.store import StoreError
from heliobus.devices.terminal import TerminalError
from heliobus.devices.writes import Settings
from heliobus.model.command import Done, Failed, Outcome, Refused, StoredSetting
from heliobus.model.point import Value

log = logging.getLogger("heliobus.control")

Wanted = Mapping[str, float]
Words = Mapping[str, int]


class BlockChange:
    """Changes the stored `settings` of one device."""

    def __init__(self, plant: Plant, settings: Settings) -> None:
        self._plant = plant
        self._settings = settings
        self._reader = SettingsReader(plant, settings)
        self._journal = Journal(plant.store.folder, plant.key)
        self._endurance = Endurance(plant)
        self._state = ChangeState(plant, self._endurance, pending=self.pending)
        self._settling = Settling(plant, settings, self._reader, self._journal, self._endurance, self._state)
        self._looking = False

    @property
    def pending(self) -> bool:
        """Whether a change was interrupted and has to be finished by `recover` before anything else."""
        return self._journal.pending

    @property
    def failed(self) -> bool:
        """Whether the last change ended as nobody wanted."""
        return self._state.failed

    def values(self) -> Mapping[str, Value]:
        """What the change of settings says of itself, by point name."""
        return self._state.values(pending=self.pending)

    @contextmanager
    def only_looking(self) -> Iterator[None]:
        """Within the block nothing is going to be written, so the wear of the memory is no reason to refuse."""
        self._looking = True
        try:
            yield
        finally:
            self._looking = False

    def refusal(self, wanted: Mapping[str, object]) -> str | None:
        """Why `wanted` would be refused now, by what is known without asking the device; None if it would not."""
        plant = self._plant
        if plant.busy.locked():
            return "its settings are being written at this moment"
        if self.pending:
            return "an interrupted change of its settings has to be finished first"
        if not plant.answers:
            return "the device does not answer"
        wrong = malformed(self._settings, wanted)
        if wrong:
            return "; ".join(wrong)
        numbers = {name: value for name, value in wanted.items() if isinstance(value, int | float)}
        held = {each.point.name: plant.values.get(each.point.name) for each in self._settings.registers}
        touched = {name: value for name, value in numbers.items() if held[name] != value}
        return self._unfit(held, touched, numbers)

    async def plan(self, wanted: Wanted) -> tuple[SettingChange, ...] | Refused | Failed:
        """What would be written for `wanted`, from what the device has stored now; empty if it has all of it."""
        with self.only_looking():
            why = self.refusal(wanted)
        if why is not None:
            return Refused(why)
        try:
            return self._planned(await self._reader.read(), wanted, for_writing=False)
        except TerminalError as error:
            return Failed(str(error))

    async def stored(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        """All settings that the device has, read now."""
        if self._plant.busy.locked():
            return Refused("its settings are being written at this moment")
        try:
            held = await self._reader.read()
        except TerminalError as error:
            return Failed(str(error))
        return stored(self._reader.present(held), held, self._plant.factors())

    async def apply(self, wanted: Wanted, *, label: str, origin: str) -> Outcome:
        """Have the device store `wanted`; `label` names them for people, `origin` says who asked."""
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

        None if there is nothing to finish, or while that is not possible: then `pending` stays.
        """
        if not self.pending or self._plant.busy.locked():
            return None
        async with self._plant.busy:
            record = await self._journal.load()
            if record is None:
                return None
            self._state.say(RECOVERING, 0)
            try:
                held = await self._reader.read()
            except TerminalError:
                return None
            said = await self._settle(record, held)
        if said is not None:
            log.warning("%s: %s", self._plant.name, said)
        return said

    def _unfit(self, held: Mapping[str, Value], touched: Wanted, wanted: Wanted) -> str | None:
        """What speaks against `touched` of what is `wanted`, beside the settings `held` that were polled last."""
        plant, settings = self._plant, self._settings
        if not touched:
            return None
        absent = [name for name in touched if self._reader.is_absent(name)]
        if absent:
            return f"this device has no {', '.join(absent)}"
        if concerns_battery(settings, touched):
            why = battery_refusal(plant, settings, held)
            if why is not None:
                return why
        known = all(value is not None or self._reader.is_absent(name) for name, value in held.items())
        after = {**held, **touched}
        wrong = "; ".join(problems(settings, after, touched, plant.options, wanted)) if known else ""
        return wrong or (None if self._looking else self._too_early())

    def _too_early(self) -> str | None:
        return self._endurance.refusal(self._plant.clock.time(), spaced=self._settings.spaced)

    def _planned(self, held: Words, wanted: Wanted, *, for_writing: bool = True) -> tuple[SettingChange, ...] | Refused:
        plant, settings, present = self._plant, self._settings, self._reader.present(held)
        values = values_of(present, held, plant.factors())
        absent = [name for name in wanted if name not in held]
        if absent:
            return Refused(f"this device has no {', '.join(absent)}")
        try:
            planned = changes(present, held, wanted, plant.factors())
        except ValueError as error:
            return Refused(str(error))
        touched = {each.register.point.name: wanted[each.register.point.name] for each in planned}
        after = {**values, **{each.register.point.name: each.new for each in planned}}
        why = battery_refusal(plant, settings, values) if concerns_battery(settings, touched) else None
        wrong = why or "; ".join(problems(settings, after, touched, plant.options, wanted))
        if wrong:
            return Refused(wrong)
        for odd in advice(settings, after, touched):
            log.warning("%s: %s; the device decides", plant.name, odd)
        early = self._too_early() if planned and for_writing else None
        return planned if early is None else Refused(early)

    async def _begin(self, wanted: Wanted, label: str, origin: str) -> Record | Outcome:
        """Everything that must be known and on disk before the device is touched."""
        plant = self._plant
        try:
            held = await self._reader.read()
            planned = self._planned(held, wanted)
            if isinstance(planned, Refused):
                await self._state.remember(label, planned)
                return planned
            if not planned:
                await self._state.remember(label, Done(label))
                return Done(label)
            record = self._record(held, planned, label, origin)
            await back_up(plant, self._reader.present(held), held, record.time)
            known = {each.point.name: each for each in self._settings.registers}
            await self._endurance.book([known[entry.point] for entry in record.entries], record.time)
            await self._journal.save(record)
        except (TerminalError, StoreError, JournalError, OSError) as error:
            await self._close_journal()
            outcome = Failed(f"{str(error) or 'the disk does not answer'}; nothing was changed")
            await self._state.remember(label, outcome)
            return outcome
        names = ", ".join(f"{each.register.point.name} {each.old} → {each.new}" for each in planned)
        log.info("%s: settings are changed to %s (%s): %s", plant.name, label, origin, names)
        return record

    def _record(self, held: Words, planned: tuple[SettingChange, ...], label: str, origin: str) -> Record:
        """The change with all words that its requests write, also those that stay."""
        new = {**held, **{each.register.point.name: each.new_word for each in planned}}
        spans = spans_of(self._settings, frozenset(each.register.point.name for each in planned))
        entries = tuple(
            Entry(each.point.name, each.address, held[each.point.name], new[each.point.name])
            for span in spans
            for each in span.registers
        )
        return Record(self._plant.key, label, origin, self._plant.clock.time(), entries, Step.WRITING)

    async def _carry_out(self, record: Record) -> Outcome:
        self._state.say("writing", 30)
        why = await self._settling.write(record)
        self._state.say("verifying", 70)
        try:
            held = await self._reader.read()
        except TerminalError as error:
            # The journal stays: what the device has is found out as soon as it answers.
            outcome = Failed(f"its settings are uncertain, for they cannot be read back: {error}")
            await self._state.remember(record.label, outcome, written=True)
            return outcome
        return await self._conclude(record, held, why)

    async def _conclude(self, record: Record, held: Words, why: str | None) -> Outcome:
        outcome, over = await self._settling.conclude(record, held, why)
        self._plant.refresh(register.point.name for register in self._settings.registers)
        await self._state.remember(record.label, outcome, written=True)
        if over:
            await self._close_journal()
        return outcome

    async def _settle(self, record: Record | Damaged, held: Words) -> str | None:
        """End an interrupted change by what the device has; how, in words, None while it cannot be ended."""
        if isinstance(record, Damaged):
            return await self._leave(f"a change of settings was interrupted, and its journal is damaged ({record.why})")
        name = f"the interrupted change of settings to {record.label}"
        known = {register.point.name: register.address for register in self._reader.present(held).registers}
        if any(known.get(entry.point) != entry.address for entry in record.entries):
            return await self._leave(f"{name} is about registers that are not known", record.label)
        outcome = await self._conclude(record, held, None if is_new(record, held) else "it was interrupted")
        if self.pending:
            return None
        self._state.end(outcome)
        return f"{name} was finished" if isinstance(outcome, Done) else f"{name} failed: {_why(outcome)}"

    async def _leave(self, why: str, label: str = "") -> str:
        """Nobody can say what the settings should be: say so."""
        said = f"{why}: its settings are left as they are found; check them"
        await self._state.remember(label, Failed(said))
        await self._close_journal(damaged=True)
        self._state.end(Failed(said))
        return said

    async def _close_journal(self, *, damaged: bool = False) -> None:
        try:
            await self._journal.close(damaged=damaged)
        except JournalError as error:
            log.error("%s: %s", self._plant.name, error)


def _why(outcome: Outcome) -> str:
    return "" if isinstance(outcome, Done) else outcome.why
