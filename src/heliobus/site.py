"""The installation: the latest reading of every device, what changed in it, who is told, who takes commands."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from heliobus.model.command import Change, Command, Failed, Outcome, Refused, StoredSetting
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading, Reason

Step = Callable[[Device, Reading], Reading]
"""A derived step: adds points to a reading, for example the ledger's yields."""


@dataclass(frozen=True, slots=True)
class Update:
    """What an output is told: the device's newest reading and the names of the points that changed since the last one.

    `reading` is None when the device left the site. `device` is a new object when identity or points changed.
    """

    device: Device
    reading: Reading | None
    changed: frozenset[str]


class Mailbox:
    """One slot per device, in which the latest wins and the changes add up. Putting never waits."""

    def __init__(self) -> None:
        self._slots: dict[str, Update] = {}
        self._filled = asyncio.Event()

    def put(self, update: Update) -> None:
        """Leave `update` for the output."""
        name = update.device.name
        waiting = self._slots.get(name)
        # Another device object brings all its points as changed, and need not have those of the one before.
        if waiting is not None and waiting.device is update.device and update.reading is not None:
            update = replace(update, changed=update.changed | waiting.changed)
        self._slots[name] = update
        self._filled.set()

    async def get(self) -> list[Update]:
        """All that waits, one update per device; waits until there is one."""
        await self._filled.wait()
        self._filled.clear()
        updates = list(self._slots.values())
        self._slots.clear()
        return updates


class Commandable(Protocol):
    """What carries out commands for one device."""

    def refusal(self, command: Command) -> str | None:
        """Why `command` would be refused now, by what is known without asking the device; None if it would not."""

    def refused(self, command: Command, why: str) -> None:
        """An output has refused `command` for what `refusal` said: record it."""

    async def command(self, command: Command) -> Outcome:
        """Carry out `command`, or say why not."""

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        """What `command` would write, without writing."""

    async def settings(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        """The charge settings as the device has them stored, read now."""


class Site:
    """The latest reading of every device, and everybody who wants to know."""

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps = tuple(steps)
        self._devices: dict[str, Device] = {}
        self._readings: dict[str, Reading] = {}
        self._commandables: dict[str, Commandable] = {}
        self._mailboxes: list[Mailbox] = []

    @property
    def devices(self) -> tuple[Device, ...]:
        """All devices that have said who they are, now or earlier."""
        return tuple(self._devices.values())

    def device(self, name: str) -> Device | None:
        """The device of this name."""
        return self._devices.get(name)

    def reading(self, name: str) -> Reading | None:
        """The newest reading of the device of this name."""
        return self._readings.get(name)

    def subscribe(self) -> Mailbox:
        """A mailbox that gets every change from now on, and first the present state of every device."""
        mailbox = Mailbox()
        for name, device in self._devices.items():
            reading = self._readings[name]
            mailbox.put(Update(device, reading, frozenset(reading.values)))
        self._mailboxes.append(mailbox)
        return mailbox

    def unsubscribe(self, mailbox: Mailbox) -> None:
        """Put nothing into `mailbox` any more."""
        self._mailboxes.remove(mailbox)

    def introduce(self, device: Device, commandable: Commandable | None = None) -> None:
        """Make `device` known, or known anew when its identity changed. Until its first reading it is offline."""
        name = device.name
        if commandable is not None:
            self._commandables[name] = commandable
        if self._devices.get(name) == device:
            return
        if commandable is None:
            self._commandables.pop(name, None)
        self._devices[name] = device
        self._store(device, silent(device), everything=True)

    def remove(self, name: str) -> None:
        """Forget the device: outputs take it away."""
        device = self._devices.pop(name, None)
        self._commandables.pop(name, None)
        if device is not None:
            del self._readings[name]
            self._tell(Update(device, None, frozenset()))

    def put(self, reading: Reading) -> None:
        """Take a new reading of a device that was introduced. Never waits."""
        self._store(self._devices[reading.device], reading, everything=False)

    def silence(self, name: str) -> None:
        """Nobody asks the device of this name any more: what it said holds no longer."""
        device = self._devices.get(name)
        if device is not None:
            self.put(silent(device, Health.OFFLINE, self._readings[name].time))

    def amend(self, name: str, values: Mapping[str, Value]) -> None:
        """Put `values`, which do not come from the device itself, into its newest reading."""
        device, reading = self._devices.get(name), self._readings.get(name)
        if device is None or reading is None:
            return
        reasons = {point: reason for point, reason in reading.reasons.items() if values.get(point) is None}
        self._store(device, replace(reading, values={**reading.values, **values}, reasons=reasons), everything=False)

    def refusal(self, command: Command) -> str | None:
        """Why `command` would be refused now, without asking the device; None if it would not."""
        commandable = self._commandables.get(command.device)
        return self._nobody(command.device) if commandable is None else commandable.refusal(command)

    def refused(self, command: Command, why: str) -> None:
        """Have it recorded that an output has refused `command` for what `refusal` said."""
        commandable = self._commandables.get(command.device)
        if commandable is not None:
            commandable.refused(command, why)

    async def command(self, command: Command) -> Outcome:
        """Have `command` carried out by its device."""
        commandable = self._commandables.get(command.device)
        return Refused(self._nobody(command.device)) if commandable is None else await commandable.command(command)

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        """What `command` would write, without writing."""
        commandable = self._commandables.get(command.device)
        return Refused(self._nobody(command.device)) if commandable is None else await commandable.plan(command)

    async def settings(self, name: str) -> tuple[StoredSetting, ...] | Refused | Failed:
        """The charge settings as the device of this name has them stored, read now."""
        commandable = self._commandables.get(name)
        return Refused(self._nobody(name)) if commandable is None else await commandable.settings()

    def _nobody(self, name: str) -> str:
        device = self._devices.get(name)
        if device is None:
            return f"there is no device {name!r}"
        if device.controls:
            return f"{name} has not answered yet"
        return f'control of {name} is off: set control = "on" for it in the config'

    def _store(self, device: Device, reading: Reading, *, everything: bool) -> None:
        for step in self._steps:
            reading = step(device, reading)
        before = self._readings.get(device.name)
        self._readings[device.name] = reading
        if before is None or everything:
            self._tell(Update(device, reading, frozenset(reading.values)))
            return
        # Decoding has rounded every value to its point's decimals, so equality is the dead band.
        old = before.values
        changed = frozenset(name for name, value in reading.values.items() if name not in old or old[name] != value)
        if (
            changed
            or before.health is not reading.health
            or before.days is not reading.days
            or before.reasons != reading.reasons
        ):
            self._tell(Update(device, reading, changed))

    def _tell(self, update: Update) -> None:
        for mailbox in self._mailboxes:
            mailbox.put(update)


def silent(device: Device, health: Health = Health.UNKNOWN, time: float = 0.0) -> Reading:
    """The reading of a device that says nothing: every point None, reason OFFLINE."""
    return Reading(
        device.name,
        time,
        dict.fromkeys(device.points),
        dict.fromkeys(device.points, Reason.OFFLINE),
        health,
    )
