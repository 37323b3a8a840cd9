"""The control of a device that nobody steers: switches, buttons, its clock and its stored settings."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from heliobus.control import host_clock
from heliobus.control.audit import Audit
from heliobus.control.block_change import BlockChange
from heliobus.control.clock_care import ClockCare
from heliobus.control.completion import Completion
from heliobus.control.plant import Plant
from heliobus.control.preview import coil_change, request_change, setting_changes
from heliobus.control.recorder import Recorder
from heliobus.control.requests import Requests
from heliobus.control.schedule import Schedule, follow
from heliobus.control.switches import Switches
from heliobus.control.turns import Turns
from heliobus.control.wanted import is_setting, wanted
from heliobus.devices.terminal import TerminalError
from heliobus.devices.writes import Coil, Settings
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Command, Control, Failed, Outcome, Refused, StoredSetting
from heliobus.model.control_options import Profile, Seasons
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading, Reason

log = logging.getLogger("heliobus.control")

KNOWING_TIME = 10.0
ENDING_TIME = 30.0
NO_SETTINGS = Settings(groups=(), function=0, ranges={})

Keep = Callable[[str, Callable[[], Awaitable[None]]], Coroutine[Any, Any, None]]
"""Runs work under a name, and again after an error."""


class DeviceControl:
    """Implements `site.Commandable`. `run` keeps it at work. There is nothing to give back when it ends."""

    def __init__(
        self,
        plant: Plant,
        controls: Mapping[str, Control],
        *,
        profiles: Mapping[str, Profile],
        seasons: Seasons,
        audit: Audit,
        save_counters: Callable[[], Awaitable[None]],
        synchronised: Callable[[], bool | None] = host_clock.is_synchronised,
    ) -> None:
        writes = plant.writes
        self._plant = plant
        self._controls = controls
        self._profiles = profiles
        self._coils = {coil.point.name: coil for coil in writes.coils}
        self._requests = {request.point.name: request for request in writes.requests}
        self._recorder = Recorder(plant, audit)
        self._switches = Switches(plant)
        self._buttons = Requests(plant, save_counters)
        self._clock = None if writes.clock is None else ClockCare(plant, writes.clock, self.command, synchronised)
        self._change = BlockChange(plant, writes.settings or NO_SETTINGS)
        self._schedule = Schedule(plant, list(profiles.values()), seasons)
        self._turns = Turns(
            plant, self._recorder, known=self._be_known, refusal=self.refusal, carry_out=self._carry_out
        )
        self._completion = Completion(plant, self._change, self._recorder, self._turns.see_through)
        self._news = asyncio.Event()
        self._closed = False

    def refusal(self, command: Command) -> str | None:
        """Why `command` would be refused now, without asking the device."""
        control = self._controls.get(command.point)
        if control is None:
            return f"{command.device} has no command {command.point!r}"
        try:
            value = control.coerced(command.value)
        except ValueError as error:
            return str(error)
        if control.locked:
            return control.locked
        if self._closed:
            return f"this control of {command.device} has ended"
        if not self._completion.over:
            return "an interrupted change of its settings is being finished first"
        if self._plant.busy.locked():
            return "its settings are being written at this moment"
        if not self._plant.answers:
            return "the device does not answer"
        return self._special_refusal(command.point, value)

    def refused(self, command: Command, why: str) -> None:
        """Record that an output has refused `command` by itself, after `refusal` told it to."""
        self._recorder.note(command, self._plant.values.get(command.point), Refused(why))

    async def command(self, command: Command) -> Outcome:
        """Carry out `command`, read back what it did, and record it."""
        return await self._turns.command(command)

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        """What `command` would write, without writing."""
        await self._be_known()
        with self._change.only_looking():
            why = self.refusal(command)
        if why is not None:
            return Refused(why)
        name, value = command.point, self._controls[command.point].coerced(command.value)
        coil, request = self._coils.get(name), self._requests.get(name)
        if coil is not None:
            return await coil_change(self._plant, coil, int(value or 0))
        if request is not None:
            return request_change(request)
        if self._clock is not None and not is_setting(name):
            return await self._clock.change()
        planned = await self._change.plan(wanted(name, value, self._profiles))
        return planned if isinstance(planned, Refused | Failed) else setting_changes(planned)

    async def settings(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        """The settings as the device has them stored, read now."""
        if self._plant.writes.settings is None:
            return Refused("this device's settings cannot be read")
        await self._be_known()
        return await self._change.stored()

    def values(self, *, answers: bool) -> dict[str, Value]:
        """What control says of itself, by point name, whether or not the device answers."""
        values: dict[str, Value] = {v.COMMAND_RESULT.name: self._recorder.last}
        if self._plant.writes.settings is not None:
            values.update(self._change.values())
        return values

    def observe(self, reading: Reading) -> None:
        """There is a new reading."""
        if reading.health is not Health.UNKNOWN:
            self._news.set()

    async def run(self, keep: Keep) -> None:
        """Finish what was interrupted, and do what is due until cancelled. What fails must not stop the rest."""
        plant, name = self._plant, self._plant.name
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(keep(f"recovery of {name}", self._completion.run))
            await self._completion.wait()
            tasks.create_task(keep(f"schedule of {name}", partial(follow, self._schedule, plant, self.command)))
            if self._clock is not None and plant.options.auto_clock:
                tasks.create_task(keep(f"clock of {name}", self._clock.run))

    async def ready(self) -> None:
        """Wait until nothing interrupted is left to finish."""
        await self._completion.wait()

    async def tidy(self) -> None:
        """Only finish what was interrupted, for who has turned control off."""
        await self._completion.once()

    async def close(self) -> None:
        """What is under way may end first, else it is for the next start."""
        self._closed = True
        await self._turns.end(ENDING_TIME)
        await self._recorder.close()

    def _special_refusal(self, name: str, value: Value) -> str | None:
        coil = self._coils.get(name)
        if coil is not None:
            return None if coil.guard is None else coil.guard(self._plant.values, bool(value))
        if is_setting(name):
            try:
                return self._change.refusal(wanted(name, value, self._profiles))
            except ValueError as error:
                return str(error)
        return None if name in self._requests or self._clock is None else self._clock.refusal()

    async def _be_known(self) -> None:
        """Wait a moment for what guards the device: nobody knows it right after the start."""
        with suppress(TimeoutError):
            async with asyncio.timeout(KNOWING_TIME):
                while not self._is_known():
                    self._news.clear()
                    await self._news.wait()

    def _is_known(self) -> bool:
        reading = self._plant.reading()
        if reading is None:
            return False
        guards = {register.point.name for coil in self._coils.values() for register in coil.guarded_by}
        absent = {name for name in guards if reading.reasons.get(name) is Reason.NOT_SUPPORTED}
        return all(reading.values.get(name) is not None for name in guards - absent)

    async def _carry_out(self, command: Command) -> Outcome:
        name, value = command.point, self._controls[command.point].coerced(command.value)
        coil, request = self._coils.get(name), self._requests.get(name)
        if coil is not None:
            return await self._switch(coil, bool(value))
        if request is not None:
            return await self._buttons.send(request)
        if is_setting(name):
            label = str(value) if name == v.APPLY_PROFILE.name else name
            return await self._change.apply(wanted(name, value, self._profiles), label=label, origin=command.origin)
        assert self._clock is not None
        return await self._clock.set()

    async def _switch(self, coil: Coil, on: bool) -> Outcome:
        if coil.momentary:
            return await self._switches.press(coil)
        if coil.guard is not None:
            # What guards it is polled rarely, and somebody at the device may have changed it since.
            try:
                fresh = await self._plant.terminal.values(coil.guarded_by, self._plant.factors())
            except TerminalError as error:
                return Failed(str(error))
            why = coil.guard({**self._plant.values, **fresh}, on)
            if why is not None:
                self._plant.refresh(register.point.name for register in coil.guarded_by)
                return Refused(why)
        return await self._switches.set(coil, on)
