"""What a simulated EPever charge controller counts: energies and extremes of its day, by its own clock (§8.3b)."""

from dataclasses import dataclass, field
from datetime import date


@dataclass(slots=True)
class Energy:
    """kWh of one direction."""

    today: float = 0.0
    month: float = 0.0
    year: float = 0.0
    total: float = 0.0

    def add(self, kwh: float) -> None:
        """Count."""
        self.today += kwh
        self.month += kwh
        self.year += kwh
        self.total += kwh

    def roll(self, before: date, after: date) -> None:
        """A new date begins: today, and on other months or years theirs, start at 0."""
        self.today = 0.0
        if (before.year, before.month) != (after.year, after.month):
            self.month = 0.0
        if before.year != after.year:
            self.year = 0.0


@dataclass(slots=True)
class Extremes:
    """The lowest and highest voltage of the day."""

    low: float
    high: float

    def see(self, volts: float) -> None:
        """Widen."""
        self.low = min(self.low, volts)
        self.high = max(self.high, volts)


@dataclass(slots=True)
class TracerStatistics:
    """Energies in kWh, voltages in V."""

    array: Extremes
    battery: Extremes
    day: date
    generated: Energy = field(default_factory=Energy)
    consumed: Energy = field(default_factory=Energy)

    def count(self, generated_watts: float, consumed_watts: float, seconds: float) -> None:
        """Let the powers flow for a time."""
        self.generated.add(generated_watts * seconds / 3.6e6)
        self.consumed.add(consumed_watts * seconds / 3.6e6)

    def observe(self, today: date, array_volts: float, battery_volts: float) -> None:
        """Look at the clock and the voltages."""
        if today != self.day:
            for energy in (self.generated, self.consumed):
                energy.roll(self.day, today)
            self.day = today
            self.array = Extremes(array_volts, array_volts)
            self.battery = Extremes(battery_volts, battery_volts)
        self.array.see(array_volts)
        self.battery.see(battery_volts)

    def clear_generated(self) -> None:
        """Coil 0014."""
        self.generated = Energy()
