"""An ideal EPever Tracer whose true energy is known: its day ends at the midnight of its own clock."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from heliobus.ledger.sample import Sample

SLICE = 30.0


@dataclass
class Tracer:
    """Sun from 6 to 20 o'clock UTC. Its clock is `skew` seconds fast; `day` and `total` count Wh."""

    time: float
    skew: float = 0.0
    peak: float = 800.0
    day: float = 0.0
    total: float = 1_234_560.0
    truth: float = 0.0
    days: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    power: float = 0.0

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.time + seconds
        while self.time < end:
            length = min(SLICE, end - self.time)
            before = self._own_date()
            energy = self.power * length / 3600
            self.truth += energy
            self.total += energy
            self.day += energy
            self.days[date(self.time)] += energy
            self.time += length
            if self._own_date() != before:
                self.day = 0.0
            hour = self.time / 3600 % 24
            cloud = (0.9, 0.05, 0.5, 1.0, 0.2, 0.7, 0.0)[int(self.time // 86_400) % 7]
            self.power = self.peak * cloud * max(0.0, math.sin(math.pi * (hour - 6) / 14))

    def clear(self) -> None:
        """Coil 0x0014: all statistics begin anew."""
        self.day = self.total = 0.0

    def lose_clock(self) -> None:
        """A flat battery: the clock restarts at its default date, and so does the day."""
        self.skew = -self.time
        self.day = 0.0

    def sample(self) -> Sample:
        """What a driver reads: energy in steps of 10 Wh, no charge counter, no hour meter."""
        lit = self.power > 0
        return Sample(
            self.time,
            energy_day=self.day // 10 * 10,
            energy_total=round(self.total // 10 / 100, 2),
            charger_state=3 if lit else 0,
            pv_voltage=70.0 if lit else 0.5,
            battery_voltage=13.0 + self.power / 1000,
            power=self.power,
            rated_current=40.0,
            day_pv_voltage_max=71.0,
            day_battery_voltage_min=12.5,
            day_battery_voltage_max=14.4,
        )

    def _own_date(self) -> int:
        return int((self.time + self.skew) // 86_400)


def date(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).date().isoformat()
