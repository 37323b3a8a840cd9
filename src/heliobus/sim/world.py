"""The world around a simulated charger: sun, clouds, array, battery and loads. No I/O; time passes only in `step`.

Coarse on purpose, but energy adds up: what the chargers put in is what the battery and the loads take out.
"""

import math
import random
from dataclasses import dataclass

DAY = 86400.0
_CLOUD_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Curve:
    """An array's I-V curve in one light: open-circuit and maximum-power voltage (V) and maximum power (W)."""

    voc: float
    vmp: float
    watts: float

    def watts_at(self, volts: float) -> float:
        """The power at one array voltage."""
        if volts <= 0 or volts >= self.voc:
            return 0.0
        if volts <= self.vmp:
            return self.watts * volts / self.vmp
        return self.watts * (1 - ((volts - self.vmp) / (self.voc - self.vmp)) ** 2)

    def volts_at(self, watts: float) -> float:
        """The voltage right of the maximum-power point where the array gives this power."""
        if self.watts <= 0:
            return self.voc
        share = min(max(watts / self.watts, 0.0), 1.0)
        return self.vmp + (self.voc - self.vmp) * math.sqrt(1 - share)


@dataclass(frozen=True, slots=True)
class Array:
    """Solar modules: power (W), Voc and Vmp (V) under standard test conditions (1000 W/m², 25 °C)."""

    watts: float
    voc: float
    vmp: float

    def curve(self, irradiance: float, ambient: float) -> Curve:
        """The curve at an irradiance (W/m²) and air temperature (°C)."""
        if irradiance < 0.5:
            return Curve(0.0, 0.0, 0.0)
        warm = ambient + 0.03 * irradiance - 25.0
        dim = max(0.0, 1 + 0.06 * math.log(irradiance / 1000.0))
        volts = (1 - 0.003 * warm) * dim
        watts = self.watts * irradiance / 1000.0 * (1 - 0.004 * warm)
        return Curve(self.voc * volts, self.vmp * volts, watts)


@dataclass(frozen=True, slots=True)
class Sun:
    """The sun over a place: latitude in degrees, `cloudiness` 0..1, clouds from a seed."""

    latitude: float
    cloudiness: float
    seed: int

    def elevation_sine(self, day_of_year: int, hour: float) -> float:
        """The sine of the sun's elevation at a local solar hour."""
        declination = math.radians(23.44) * math.sin(2 * math.pi * (284 + day_of_year) / 365)
        latitude = math.radians(self.latitude)
        hour_angle = math.radians(15 * (hour - 12))
        return math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(
            hour_angle
        )

    def cloud(self, seconds: float) -> float:
        """The share of light the clouds take, 0..1: a function of time and seed alone, whatever the steps."""
        index, part = divmod(seconds / _CLOUD_SECONDS, 1.0)
        before, after = self._cover(int(index)), self._cover(int(index) + 1)
        return before + (after - before) * part

    def irradiance(self, day_of_year: int, seconds: float) -> float:
        """W/m² at `seconds` since the first midnight."""
        sine = self.elevation_sine(day_of_year, seconds % DAY / 3600)
        if sine <= 0:
            return 0.0
        return 1050.0 * math.pow(sine, 1.15) * (1 - self.cloud(seconds))

    def _cover(self, index: int) -> float:
        # A multiplicative hash: cheaper than a generator per segment and the same on every machine.
        mixed = (index * 2654435761 + self.seed * 40503) & 0xFFFFFFFF
        mixed = ((mixed ^ (mixed >> 15)) * 2246822519) & 0xFFFFFFFF
        mixed ^= mixed >> 13
        return self.cloudiness * 0.85 * (mixed / 0xFFFFFFFF)


@dataclass(slots=True)
class Battery:
    """A lead-acid battery: `nominal` V, `capacity` Ah, state of charge 0..1, internal resistance (Ω)."""

    nominal: float
    capacity: float
    soc: float
    resistance: float

    @property
    def open_volts(self) -> float:
        """The resting voltage."""
        return self.nominal / 12.0 * (11.6 + 1.25 * self.soc)

    @property
    def charge_resistance(self) -> float:
        """The slope above rest: a nearly full battery takes less and less current at a given voltage."""
        fullness = max(0.0, (self.soc - 0.9) / 0.1)
        return self.resistance * (1 + 40 * fullness * fullness)

    def volts_at(self, amps: float) -> float:
        """The voltage while `amps` flow in (negative: out)."""
        return self.open_volts + amps * (self.charge_resistance if amps > 0 else self.resistance)

    def amps_at(self, volts: float) -> float:
        """The current that holds it at `volts`."""
        above = volts - self.open_volts
        return above / (self.charge_resistance if above > 0 else self.resistance)

    def amps_for(self, watts: float, drawn: float) -> float:
        """The charger current at which `watts` enter while `drawn` amperes leave to others."""
        amps = _root(self.charge_resistance, self.open_volts - self.charge_resistance * drawn, watts)
        if amps >= drawn:
            return amps
        return _root(self.resistance, self.open_volts - self.resistance * drawn, watts)

    def flow(self, amps: float, seconds: float) -> None:
        """Charge it; a full battery turns the rest to gas."""
        efficiency = 0.96 if amps > 0 else 1.0
        self.soc = min(1.0, max(0.0, self.soc + efficiency * amps * seconds / 3600 / self.capacity))


def _root(resistance: float, volts: float, watts: float) -> float:
    if volts <= 0:
        return math.sqrt(watts / resistance)
    return (math.sqrt(volts * volts + 4 * resistance * watts) - volts) / (2 * resistance)


class World:
    """One site: a sun, a battery, a load and any number of chargers, which share the battery.

    `hour` is the local solar hour at which it starts. `load_watts` is the mean load; evenings take more.
    """

    def __init__(
        self,
        *,
        nominal: float = 24.0,
        capacity: float = 400.0,
        soc: float = 0.6,
        latitude: float = 47.0,
        day_of_year: int = 120,
        hour: float = 10.0,
        cloudiness: float = 0.3,
        load_watts: float = 90.0,
        seed: int = 1,
    ) -> None:
        self.seconds = hour * 3600.0
        self.sun = Sun(latitude, cloudiness, seed)
        self.battery = Battery(nominal, capacity, soc, resistance=nominal / 12.0 * 2.0 / capacity)
        self.charged_wh = 0.0
        self._day_of_year = day_of_year
        self._load_watts = load_watts
        self._peaks = [random.Random(seed).uniform(0.7, 1.3) for _ in range(24)]
        self._load_on = True
        self._sources: dict[object, float] = {}
        self._observe()
        self.volts = self.battery.open_volts

    @property
    def day_of_year(self) -> int:
        """1..365."""
        return (self._day_of_year - 1 + int(self.seconds // DAY)) % 365 + 1

    @property
    def load_amps(self) -> float:
        """What the loads draw now."""
        hour = int(self.seconds % DAY // 3600)
        evening = 2.2 if 17 <= hour < 23 else 0.7
        return self._load_watts * evening * self._peaks[hour] / self.volts if self._load_on else 0.0

    def drawn_beside(self, source: object) -> float:
        """Amperes drawn by all but `source`; negative when other chargers give more than the loads take."""
        return self.load_amps - sum(amps for key, amps in self._sources.items() if key is not source)

    def set_source(self, source: object, amps: float) -> None:
        """The current a charger gives from now on."""
        self._sources[source] = amps
        self._settle()

    def advance_to(self, seconds: float) -> None:
        """Step to a time; a world shared by several chargers has already been there for all but the first."""
        if seconds > self.seconds:
            self.step(seconds - self.seconds)

    def step(self, seconds: float) -> None:
        """Let time pass with the currents as they are."""
        given = sum(self._sources.values())
        load = self.load_amps
        self.charged_wh += given * self.volts * seconds / 3600
        self.battery.flow(given - load, seconds)
        self.seconds += seconds
        # Loads let go of an empty battery, as an inverter does.
        if self.battery.soc < 0.15:
            self._load_on = False
        elif self.battery.soc > 0.3:
            self._load_on = True
        self._observe()
        self._settle()

    def _observe(self) -> None:
        self.irradiance = self.sun.irradiance(self.day_of_year, self.seconds)
        hour = self.seconds % DAY / 3600
        season = -math.cos(2 * math.pi * (self.day_of_year - 15) / 365)
        self.ambient = 9.0 + 9.0 * season + 5.0 * math.cos(2 * math.pi * (hour - 15) / 24)
        self.battery_celsius = 12.0 + 7.0 * season + 2.0 * math.cos(2 * math.pi * (hour - 18) / 24)

    def _settle(self) -> None:
        self.volts = self.battery.volts_at(sum(self._sources.values()) - self.load_amps)
