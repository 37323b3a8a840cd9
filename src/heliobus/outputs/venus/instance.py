"""The VRM instance of a service, kept by localsettings. Source: venus.md §4.2.

No two services of one class may share an instance (venus-consumers.md G16), also not while two swap their numbers
and not without localsettings.
"""

import asyncio
import logging
from collections.abc import Callable

from heliobus.outputs.venus.face import Face
from heliobus.outputs.venus.setting import Keeping, Setting, SettingValue

log = logging.getLogger(__name__)


class Instances:
    """The instances in use by this process, by class."""

    def __init__(self) -> None:
        self._taken: set[tuple[str, int]] = set()
        self._given = asyncio.Event()

    async def take(self, service_class: str, wanted: int, patience: float) -> int:
        """`wanted`, or the next free number if another service keeps it for longer than `patience` seconds."""
        try:
            async with asyncio.timeout(patience):
                while (service_class, wanted) in self._taken:
                    self._given.clear()
                    await self._given.wait()
        except TimeoutError:
            log.warning("%s:%d is another device's instance; taking the next free one", service_class, wanted)
        return self.take_free(service_class, wanted)

    def take_free(self, service_class: str, first: int) -> int:
        """The first free number from `first` on."""
        number = first
        while (service_class, number) in self._taken:
            number += 1
        self._taken.add((service_class, number))
        return number

    def give(self, service_class: str, number: int) -> None:
        """Let the number go."""
        self._taken.discard((service_class, number))
        self._given.set()


class DeviceInstance:
    """The instance of one service: `number` is in use, `wanted` is what localsettings says, None if it says nothing."""

    def __init__(self, face: Face, settings: Keeping, instances: Instances, changed: Callable[[], None]) -> None:
        self.number = 0
        self.wanted: int | None = None
        self._class = face.service_class
        self._fallback = face.fallback_instance
        self._settings = settings
        self._instances = instances
        self._changed = changed
        self._held = False
        self._path = f"/Settings/Devices/{face.key}/ClassAndVrmInstance"
        settings.follow(Setting(self._path, f"{self._class}:{face.first_instance}"), self._told)

    @property
    def outdated(self) -> bool:
        """Whether localsettings wants another number than the one in use."""
        return self._held and self.wanted is not None and self.wanted != self.number

    async def take(self, patience: float) -> int:
        """The number to use from now on. The one used before must not be on the bus any more."""
        self._give()
        await self._settings.settle(self._path)
        if self.wanted is None:
            self.number = self._instances.take_free(self._class, self._fallback)
        else:
            # A number that cannot be had is not asked for again and again: localsettings then wants the one taken.
            self.number = await self._instances.take(self._class, self.wanted, patience)
        self._held = True
        if self.wanted is not None and self.number != self.wanted:
            self._settings.write(self._path, f"{self._class}:{self.number}")
            self.wanted = self.number
        return self.number

    def close(self) -> None:
        """Use and follow the instance no more."""
        self._give()
        self._settings.forget(self._path)

    def _give(self) -> None:
        if self._held:
            self._instances.give(self._class, self.number)
            self._held = False

    def _told(self, value: SettingValue) -> None:
        service_class, _, digits = str(value).partition(":")
        number = int(digits) if digits.isascii() and digits.isdigit() else None
        if service_class != self._class or number is None:
            # Left from another role of the device, or written by hand.
            log.info("%s is %r; setting it to class %s", self._path, value, self._class)
            number = self._fallback if number is None else number
            self._settings.write(self._path, f"{self._class}:{number}")
        self.wanted = number
        self._changed()
