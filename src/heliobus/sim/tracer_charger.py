"""The regulator of a simulated EPever charge controller: boost, float, equalize, protections. No registers here."""

from enum import IntEnum

from heliobus.sim.tracer_families import Rating
from heliobus.sim.tracer_settings import (
    BRC,
    BST,
    COMPENSATION,
    EQ,
    FLT,
    GEL,
    LIM,
    MAX_CURRENT,
    OVD,
    OVR,
    TYPE,
    USER,
    TracerSettings,
)
from heliobus.sim.world import Array, World

_EFFICIENCY = 0.97
_START_VOLTS, _START_WATTS = 1.0, 2.0
_DAY = 86400.0


class Stage(IntEnum):
    """3201 D3-D2."""

    NONE = 0
    FLOAT = 1
    BOOST = 2
    EQUALIZE = 3


class TracerCharger:
    """Steps with the world; its attributes are what the registers show (V, A, W, °C). `mppt` False: PWM."""

    def __init__(
        self, world: World, array: Array, settings: TracerSettings, rating: Rating, *, mppt: bool, sensor: bool
    ) -> None:
        self.world = world
        self.settings = settings
        self.sensor = sensor
        self.stage = Stage.NONE
        self.amps = self.array_volts = self.array_watts = 0.0
        self.night = False
        self.too_hot = self.over_voltage = False
        self.celsius = world.ambient + 5.0
        self._array = array
        self._rating = rating
        self._mppt = mppt
        self._target = 0.0
        self._held = self._dark = self._light = 0.0
        self._since_equalize = 0.0
        self.step(0.0, blocked=False)
        self.night = self.array_volts < settings.volts(0x901E)

    @property
    def watts(self) -> float:
        """Into the battery."""
        return self.amps * self.world.volts

    @property
    def array_amps(self) -> float:
        """From the array."""
        return self.array_watts / self.array_volts if self.array_volts > 1 else 0.0

    @property
    def battery_celsius(self) -> float:
        """At the sensor, 25 without one."""
        return self.world.battery_celsius if self.sensor else 25.0

    def restart(self) -> None:
        """Begin the charge anew."""
        self.stage, self._held = Stage.NONE, 0.0

    def step(self, seconds: float, *, blocked: bool) -> None:
        """Let time pass; `blocked` keeps it from charging."""
        self._curve = self._array.curve(self.world.irradiance, self.world.ambient)
        self._watch_the_sky(seconds)
        self._protect(seconds)
        self._since_equalize += seconds
        lit = self._curve.voc > self.world.volts + _START_VOLTS and self._curve.watts > _START_WATTS
        if blocked or self.too_hot or self.over_voltage or not lit:
            self._stop()
        else:
            self._regulate(seconds)

    def _watch_the_sky(self, seconds: float) -> None:
        words = self.settings.words
        idle = self._curve.voc or 1.9
        dark = idle < self.settings.volts(0x901E)
        light = idle > self.settings.volts(0x9020)
        self._dark = self._dark + seconds if dark else 0.0
        self._light = self._light + seconds if light else 0.0
        if self._dark > 60 * words[0x901F]:
            self.night = True
            self.restart()
        elif self._light > 60 * words[0x9021]:
            self.night = False

    def _protect(self, seconds: float) -> None:
        settings = self.settings
        warm = self.world.ambient + 5.0 + 0.03 * self.array_watts
        self.celsius += min(1.0, seconds / 600.0) * (warm - self.celsius)
        limit, recover = settings.celsius(0x9019, 85.0), settings.celsius(0x901A, 75.0)
        self.too_hot = self.celsius > (min(limit, recover) if self.too_hot else limit)
        self.over_voltage = self.world.volts > settings.volts(OVR if self.over_voltage else OVD)

    def _regulate(self, seconds: float) -> None:
        if self.stage is Stage.NONE:
            self.stage, self._held = self._first_stage(), 0.0
        regulating = self._target > 0 and self.world.volts >= self._target - 0.02
        if regulating:
            self._held += seconds
        words = self.settings.words
        if self.stage is Stage.EQUALIZE and self._held >= 60 * words[0x906B]:
            self._since_equalize = 0.0
            self.stage = Stage.FLOAT
        elif self.stage is Stage.BOOST and self._held >= 60 * words[0x906C]:
            self.stage = Stage.FLOAT
        elif self.stage is Stage.FLOAT and self.world.volts < self.settings.volts(BRC):
            self.stage, self._held = Stage.BOOST, 0.0
        self._operate()

    def _first_stage(self) -> Stage:
        words = self.settings.words
        due = self._since_equalize >= words.get(0x9016, 30) * _DAY > 0
        return Stage.EQUALIZE if due and words[TYPE] != GEL else Stage.BOOST

    def _setpoint(self) -> float:
        address = {Stage.FLOAT: FLT, Stage.BOOST: BST, Stage.EQUALIZE: EQ}[self.stage]
        cells = self.world.battery.nominal / 2
        drop = self.settings.words[COMPENSATION] / 100 / 1000 * cells * (self.battery_celsius - 25.0)
        if self.settings.words[TYPE] > USER + 3:
            drop = 0.0
        return min(self.settings.volts(address) - drop, self.settings.volts(LIM))

    def _operate(self) -> None:
        battery = self.world.battery
        self._target = self._setpoint()
        drawn = self.world.drawn_beside(self)
        if self._mppt:
            sunny = battery.amps_for(_EFFICIENCY * self._curve.watts, drawn)
        else:
            # PWM ties the array to the battery.
            sunny = self._curve.watts_at(self.world.volts + 0.3) / (self.world.volts + 0.3)
        regulated = battery.amps_at(self._target) + drawn
        limit = self._rating.amps
        if self.settings.words.get(MAX_CURRENT):
            limit = min(limit, self.settings.words[MAX_CURRENT] / 100)
        self.amps = max(0.0, min(sunny, regulated, limit))
        self.world.set_source(self, self.amps)
        self.array_watts = self.watts / _EFFICIENCY if self._mppt else self.amps * (self.world.volts + 0.3)
        self.array_volts = self._curve.volts_at(self.array_watts) if self._mppt else self.world.volts + 0.3

    def _stop(self) -> None:
        self.amps = self.array_watts = 0.0
        self.stage = Stage.NONE
        # The input floats at about two volts in the dark, as recorded.
        self.array_volts = self._curve.voc or 1.9
        self.world.set_source(self, 0.0)
