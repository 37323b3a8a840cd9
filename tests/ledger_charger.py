"""An ideal charger whose true energy is known, with the counters of a TriStar MPPT and their habits."""

import math
from dataclasses import dataclass

from heliobus.ledger.sample import Sample

SLICE = 60.0


@dataclass
class Charger:
    """Sun from 7 to 17 o'clock UTC+1; the energy register rolls at dawn, a reset restores day-old totals."""

    time: float
    peak: float = 1500.0
    total: float = 812_400.0
    charge: float = 61_000.0
    hours: float = 87_017.0
    register: float = 0.0
    truth: float = 0.0
    lit: bool = False
    power: float = 0.0
    absorption: float = 0.0

    def __post_init__(self) -> None:
        self._stored_at = self.time
        self._store()
        self._light()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.time + seconds
        while self.time < end:
            length = min(SLICE, end - self.time)
            energy = self.power * length / 3600
            self.truth += energy
            self.total += energy
            self.register += energy
            self.charge += energy / self.voltage
            self.hours += length / 3600
            if self.state == 4:
                self.absorption += length
            self.time += length
            self._light()
            if self.time - self._stored_at >= 86_400:
                self._store()

    def reset(self) -> None:
        """Restart: the day's registers are cleared, the totals come back as they were stored."""
        self.register = self.absorption = 0.0
        self.total, self.charge, self.hours = self._stored

    @property
    def voltage(self) -> float:
        return 25.2 + 3.2 * min(1.0, self.power / 1000)

    @property
    def state(self) -> int:
        return 0 if not self.lit else 4 if self._hour() > 13 else 3

    def sample(self, clock: float, lifetime_counters: bool = True) -> Sample:
        """What a driver reads at the wall clock's `clock`."""
        return Sample(
            clock,
            energy_day=self.register // 10 * 10,
            energy_total=float(self.total // 1000) if lifetime_counters else None,
            charge_total=round(self.charge // 0.1 * 0.1, 1) if lifetime_counters else None,
            operating_hours=float(int(self.hours)) if lifetime_counters else None,
            time_absorption=float(int(self.absorption)),
            charger_state=self.state,
            pv_voltage=70.0 if self.lit else 0.3,
            battery_voltage=self.voltage,
            power=self.power,
        )

    def _hour(self) -> float:
        return (self.time / 3600 + 1) % 24

    def _light(self) -> None:
        hour = self._hour()
        day = math.floor((self.time + 3600) / 86_400)
        cloud = (0.9, 0.02, 0.5, 1.0, 0.2)[day % 5]
        lit = 7 <= hour < 17
        if lit and not self.lit:
            self.register = 0.0
        if not lit and self.lit:
            self.absorption = 0.0
        self.lit = lit
        self.power = self.peak * cloud * math.sin(math.pi * (hour - 7) / 10) if lit else 0.0

    def _store(self) -> None:
        self._stored_at = self.time
        self._stored = (self.total, self.charge, self.hours)
