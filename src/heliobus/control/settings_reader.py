"""The stored settings that a device has: a family declares more than each of its models knows."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.control.plant import Plant
from heliobus.devices.driver import Register
from heliobus.devices.terminal import RejectedError, TerminalError
from heliobus.devices.writes import Group, Settings, Span
from heliobus.model.reading import Reason

TRIES, PAUSE = 3, 1.0
ILLEGAL_ADDRESS = 2


@dataclass(frozen=True, slots=True)
class Present:
    """The registers of the settings that a device has."""

    registers: tuple[Register, ...]


def spans_of(settings: Settings, names: frozenset[str]) -> tuple[Span, ...]:
    """The smallest spans that have all settings of `names`, one of each group that is concerned. Pure."""
    found = []
    for group in settings.groups:
        concerned = names & _names(group[-1])
        if concerned:
            found.append(next(span for span in group if concerned <= _names(span)))
    return tuple(found)


class SettingsReader:
    """Reads all settings of one device. What it refuses it is not asked again."""

    def __init__(self, plant: Plant, settings: Settings) -> None:
        self._plant = plant
        self._settings = settings
        self._refused: set[str] = set()

    def is_absent(self, name: str) -> bool:
        """Whether the device is known not to have the setting `name`."""
        reading = self._plant.reading()
        return name in self._refused or (reading is not None and reading.reasons.get(name) is Reason.NOT_SUPPORTED)

    def present(self, held: Mapping[str, int]) -> Present:
        """The registers of the settings in `held`."""
        return Present(tuple(each for each in self._settings.registers if each.point.name in held))

    async def read(self) -> dict[str, int]:
        """The raw words of all settings that the device has, by point name. Raises TerminalError."""
        held: dict[str, int] = {}
        for group in self._settings.groups:
            if not any(self.is_absent(name) for name in _names(group[-1])):
                held.update(await self._group(group))
        return held

    async def _group(self, group: Group) -> Mapping[str, int]:
        for _ in range(TRIES - 1):
            try:
                return await self._words(group)
            except RejectedError:
                raise
            except TerminalError:
                await asyncio.sleep(PAUSE)
        return await self._words(group)

    async def _words(self, group: Group) -> Mapping[str, int]:
        try:
            return await self._plant.terminal.words(group[-1].registers)
        except RejectedError as error:
            if error.code != ILLEGAL_ADDRESS or self._is_served(group):
                raise
            self._refused |= _names(group[-1])
            return {}

    def _is_served(self, group: Group) -> bool:
        """Whether the device has shown any of these settings: then a refusal is about the moment."""
        values = self._plant.values
        return any(values.get(name) is not None for name in _names(group[-1]))


def _names(span: Span) -> frozenset[str]:
    return frozenset(register.point.name for register in span.registers)
