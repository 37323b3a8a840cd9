"""The control of one charger: takes commands, guards them, has them carried out by its parts, and records them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from heliobus.control.audit import Audit
from heliobus.control.completion import Completion
from heliobus.control.equalize import Equalize
from heliobus.control.plant import Plant
from heliobus.control.preview import coil_change, limit_changes, setting_changes
from heliobus.control.recorder import Recorder
from heliobus.control.schedule import Schedule, follow
from heliobus.control.server_care import ServerCare
from heliobus.control.steering import Steering
from heliobus.control.store import StoreError
from heliobus.control.switches import Switches
from heliobus.control.transaction import SettingsChange
from heliobus.control.turns import Turns
from heliobus.control.wanted import is_setting, wanted
from heliobus.devices.terminal import TerminalError
from heliobus.devices.writes import Coil
from heliobus.model import vocabulary as v
from heliobus.model.command import (
    Change,
    Command,
    Control,
    Done,
    Failed,
    Outcome,
    Refused,
    StoredSetting,
)
from heliobus.model.control_options import Profile, Seasons
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading

log = logging.getLogger("heliobus.control")

RELEASE_PAUSE = 5.0
RELEASE_TIME = 15.0
KNOWING_TIME = 10.0
ENDING_TIME = 30.0
SAVING_TIME = 10.0

Keep = Callable[[str, Callable[[], Awaitable[None]]], Coroutine[Any, Any, None]]
"""Runs work under a name, and again after an error."""

# What control says about the device itself ceases to hold when the device falls silent.
ABOUT_THE_DEVICE = frozenset(
    point.name
    for point in (
        v.CONTROL_SOURCE,
        v.CONTROL_VOLTAGE,
        v.CONTROL_CURRENT,
        v.TOP_CHARGE,
        v.TOP_CHARGE_STATUS,
        v.TOP_CHARGE_TIME_LEFT,
        v.EQUALIZE_STATUS,
        v.EQUALIZE_TIME_LEFT,
    )
)


class ChargerControl:
    """Implements `site.Commandable`. `run` keeps it at work, `close` gives the charger back to itself."""

    def __init__(
        self,
        plant: Plant,
        controls: Mapping[str, Control],
        *,
        profiles: Mapping[str, Profile],
        seasons: Seasons,
        audit: Audit,
        save_counters: Callable[[], Awaitable[None]],
    ) -> None:
        self._plant = plant
        self._controls = controls
        self._profiles = profiles
        self._save_counters = save_counters
        self._coils = {coil.point.name: coil for coil in plant.writes.coils}
        self._recorder = Recorder(plant, audit)
        self._switches = Switches(plant)
        self._steering = Steering(plant)
        self._equalize = Equalize(plant, self._cancel_equalize, self._is_steered)
        self._change = SettingsChange(plant, prepare=self._step_aside, finished=self._step_back)
        self._care = ServerCare(plant, self._restart_server, unit=plant.terminal.unit)
        self._schedule = Schedule(plant, list(profiles.values()), seasons)
        self._turns = Turns(
            plant, self._recorder, known=self._be_known, refusal=self.refusal, carry_out=self._carry_out
        )
        self._completion = Completion(plant, self._change, self._recorder, self._turns.see_through)
        self._closed = False
        self._news = asyncio.Event()
        self._steered_by: Value = ""

    def refusal(self, command: Command) -> str | None:
        """Why `command` would be refused now, without asking the charger."""
        control = self._controls.get(command.point)
        if control is None:
            return f"{command.device} has no command {command.point!r}"
        try:
            value = control.coerced(command.value)
        except ValueError as error:
            return str(error)
        # Switching off is never locked.
        if control.locked and value not in (0, 0.0):
            return control.locked
        if self._closed:
            return f"this control of {command.device} has ended"
        if not self._completion.over:
            return "an interrupted change of its charge settings is being finished first"
        if self._plant.busy.locked() and not control.dynamic:
            return "its charge settings are being written at this moment"
        if not self._plant.answers and not control.dynamic:
            return "the charger does not answer"
        # Whoever renews its values goes on while the charger is silent; they count when it answers again.
        unknown = control.dynamic and not self._is_known()
        return (None if unknown else self._guard()) or self._special_refusal(command.point, value)

    def refused(self, command: Command, why: str) -> None:
        """Record that an output has refused `command` by itself, after `refusal` told it to."""
        self._recorder.note(command, self._plant.values.get(command.point), Refused(why))

    async def command(self, command: Command) -> Outcome:
        """Carry out `command`, read back what it did, and record it."""
        control = self._controls.get(command.point)
        if control is not None and control.dynamic:
            return self._renew(command, control)
        return await self._turns.command(command)

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        """What `command` would write, without writing."""
        await self._be_known()
        with self._change.only_looking():
            why = self.refusal(command)
        if why is not None:
            return Refused(why)
        value = self._controls[command.point].coerced(command.value)
        coil = self._coils.get(command.point)
        if coil is not None:
            return await coil_change(self._plant, coil, int(value or 0))
        if is_setting(command.point):
            planned = await self._change.plan(wanted(command.point, value, self._profiles))
            return planned if isinstance(planned, Refused | Failed) else setting_changes(planned)
        return limit_changes(self._plant, command.point, value)

    async def settings(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        """The charge settings as the charger has them stored, read now."""
        eeprom = self._plant.writes.eeprom
        if eeprom is None:
            return Refused("this charger's settings cannot be read")
        if self._plant.busy.locked():
            return Refused("its charge settings are being written at this moment")
        await self._be_known()
        return await self._change.stored()

    def values(self, *, answers: bool) -> dict[str, Value]:
        """What control says of itself, by point name; None for what nobody can know while the charger is silent."""
        values: dict[str, Value] = {v.COMMAND_RESULT.name: self._recorder.last}
        for part in (self._steering, self._equalize, self._change, self._care):
            values.update(part.values())
        if not answers:
            values.update(dict.fromkeys(ABOUT_THE_DEVICE & values.keys()))
        return values

    def observe(self, reading: Reading) -> None:
        """There is a new reading."""
        if reading.health is Health.UNKNOWN:
            return
        self._news.set()
        self._steering.observe(reading)
        self._equalize.observe(reading)
        self._note_source()

    async def run(self, keep: Keep) -> None:
        """Finish what was interrupted, and act on the charger until cancelled. What fails must not stop the rest."""
        name = self._plant.name
        async with asyncio.TaskGroup() as tasks:
            # Without its network server an interrupted change can never be finished.
            tasks.create_task(keep(f"care of the server of {name}", self._care.run))
            tasks.create_task(keep(f"recovery of {name}", self._completion.run))
            await self._completion.wait()
            tasks.create_task(keep(f"steering of {name}", self._steering.run))
            tasks.create_task(keep(f"equalize of {name}", self._equalize.run))
            tasks.create_task(keep(f"schedule of {name}", partial(follow, self._schedule, self._plant, self.command)))

    async def ready(self) -> None:
        """Wait until nothing interrupted is left to finish."""
        await self._completion.wait()

    async def tidy(self) -> None:
        """Only finish what was interrupted and give the charger back to itself, for who has turned control off."""
        await self._completion.once()
        while True:
            if self._plant.answers and await self._steering.release(RELEASE_TIME):
                return
            await asyncio.sleep(RELEASE_PAUSE)

    async def close(self) -> None:
        """Give the charger back to itself. What is under way may end first, else it is for the next start."""
        self._closed = True
        await self._turns.end(ENDING_TIME)
        await self._steering.release(RELEASE_TIME)
        await self._recorder.close()

    async def _be_known(self) -> None:
        """Wait a moment for what guards the charger: nobody knows it right after the start, or after a restart."""
        with suppress(TimeoutError):
            async with asyncio.timeout(KNOWING_TIME):
                while not self._is_known():
                    self._news.clear()
                    await self._news.wait()

    def _is_known(self) -> bool:
        slave = self._plant.writes.slave
        return slave is None or self._plant.values.get(slave.state.point.name) is not None

    def _guard(self) -> str | None:
        plant = self._plant
        return None if plant.host is None else plant.writes.network_guard(plant.values)

    def _special_refusal(self, name: str, value: Value) -> str | None:
        equalize = self._plant.writes.equalize
        if equalize is not None and name == equalize.point.name:
            return self._equalize.refusal(int(bool(value)))
        if is_setting(name):
            try:
                return self._change.refusal(wanted(name, value, self._profiles))
            except ValueError as error:
                return str(error)
        return None if name in self._coils else self._steering.refusal(name, value)

    async def _carry_out(self, command: Command) -> Outcome:
        name, value = command.point, self._controls[command.point].coerced(command.value)
        coil = self._coils.get(name)
        if coil is not None:
            return await self._switch(coil, bool(value), command.origin)
        if is_setting(name):
            label = str(value) if name == v.APPLY_PROFILE.name else name
            return await self._change.apply(wanted(name, value, self._profiles), label=label, origin=command.origin)
        await self._steering.take(name, value)
        return Done(value)

    async def _switch(self, coil: Coil, on: bool, origin: str) -> Outcome:
        writes = self._plant.writes
        if coil is writes.equalize:
            try:
                await self._equalize.commanded(int(on), origin)
            except StoreError as error:
                return Failed(str(error))
        if not coil.momentary:
            return await self._switches.set(coil, on)
        if writes.eeprom is not None and coil is writes.eeprom.reset:
            # A restart loses up to a day of the charger's own counters, and all of the day's, unless they are stored.
            await self._save_our_counters()
            await self._switches.press(writes.eeprom.save)
        return await self._switches.press(coil)

    def _renew(self, command: Command, control: Control) -> Outcome:
        """Take a value of a program that steers; it is recorded when its steering begins and ends, not each time."""
        why = self.refusal(command)
        if why is not None:
            return Refused(why)
        value = control.coerced(command.value)
        self._steering.renew(command.point, value)
        return Done(value)

    def _note_source(self) -> None:
        """Record when steering begins and ends; who of several steers may change every few seconds."""
        source = self._steering.values().get(v.CONTROL_SOURCE.name)
        if bool(source) is bool(self._steered_by):
            return
        before, self._steered_by = self._steered_by, source
        self._recorder.note(Command(self._plant.name, v.CONTROL_SOURCE.name, source, "control"), before, Done(source))

    async def _save_our_counters(self) -> None:
        try:
            async with asyncio.timeout(SAVING_TIME):
                await self._save_counters()
        except TimeoutError:
            log.warning(
                "%s: the disk does not answer, so its counters are not saved before its restart", self._plant.name
            )

    async def _step_aside(self) -> None:
        await self._save_our_counters()
        if not await self._steering.release(RELEASE_TIME):
            self._steering.resume()
            raise TerminalError("slave control could not be ended first", sent=False)

    async def _step_back(self) -> None:
        self._steering.resume()

    def _is_steered(self) -> bool:
        return bool(self._steering.values().get(v.CONTROL_SOURCE.name))

    async def _cancel_equalize(self, why: str) -> None:
        equalize = self._plant.writes.equalize
        assert equalize is not None
        await self.command(Command(self._plant.name, equalize.point.name, 0, f"guard: {why}"))

    async def _restart_server(self, origin: str) -> bool:
        server = self._plant.writes.server_reset
        assert server is not None
        return isinstance(await self.command(Command(self._plant.name, server.point.name, 1, origin)), Done)
