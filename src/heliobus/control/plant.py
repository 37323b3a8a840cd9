"""What every part of the control of one device works with: the plant, as control engineering calls it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from heliobus.control.store import Store
from heliobus.devices.terminal import Terminal
from heliobus.devices.writes import Writes
from heliobus.model import vocabulary as v
from heliobus.model.clock import Clock
from heliobus.model.control_options import ControlOptions
from heliobus.model.localtime import LocalTime
from heliobus.model.point import Point, Value
from heliobus.model.reading import Health, Reading


@dataclass(slots=True, eq=False)
class Plant:
    """The device under control.

    `reading` gives its latest reading, `refresh` has the poller read points at once, `changed` is called when what
    control says of itself has changed. `host` is the network address of its own server, None on a serial line.
    `busy` is held while settings are written: nobody else writes then. Durations are the loop's time; `clock` and
    `local` tell the wall clock's.
    """

    name: str
    key: str
    terminal: Terminal
    options: ControlOptions
    store: Store
    clock: Clock
    local: Callable[[], LocalTime]
    reading: Callable[[], Reading | None]
    refresh: Callable[[Iterable[str]], None]
    changed: Callable[[], None]
    host: str | None
    busy: asyncio.Lock
    _factors: dict[str, Value] = field(default_factory=dict)

    @property
    def writes(self) -> Writes:
        """What may be written to it."""
        writes = self.terminal.driver.writes
        assert writes is not None
        return writes

    @property
    def answers(self) -> bool:
        """Whether it answered lately."""
        reading = self.reading()
        return reading is not None and reading.health in (Health.OK, Health.FAILING)

    @property
    def values(self) -> Mapping[str, Value]:
        """Its latest values; empty before the first."""
        reading = self.reading()
        return {} if reading is None else reading.values

    def number(self, point: Point) -> float | None:
        """The latest value of `point`, if it has one now."""
        value = self.values.get(point.name)
        return value if isinstance(value, int | float) else None

    def factors(self) -> dict[str, Value]:
        """What raw words are scaled by, with the system voltage as the owner confirmed it, else as it was found.

        They never change in the device's life, so they hold while its readings do not.
        """
        for name in self.terminal.driver.factors:
            value = self.values.get(name)
            if value is not None:
                self._factors[name] = value
        factors = dict(self._factors)
        eeprom, confirmed = self.writes.eeprom, self.options.system_voltage
        if eeprom is not None and confirmed is not None:
            factors[eeprom.multiplier.name] = confirmed // 12
        if self.writes.settings is not None and confirmed is not None:
            factors[v.NOMINAL_VOLTAGE.name] = confirmed
        return factors
