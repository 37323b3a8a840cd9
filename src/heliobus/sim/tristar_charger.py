"""The regulator of a simulated TriStar MPPT: charge stages, references and currents. No registers here."""

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from heliobus.sim.tristar_settings import Settings
from heliobus.sim.tristar_slave import TIMEOUT_SECONDS, SlaveControl
from heliobus.sim.world import Array, Curve, World

CABLE_OHMS = 0.002
_NIGHT_CHECK_SECONDS = 600.0
_DAWN_SECONDS = 60.0
_START_SECONDS = 10.0
_SWEEP_SECONDS = 600.0


class Stage(IntEnum):
    """Charge states (§5.3)."""

    START = 0
    NIGHT_CHECK = 1
    DISCONNECT = 2
    NIGHT = 3
    FAULT = 4
    MPPT = 5
    ABSORPTION = 6
    FLOAT = 7
    EQUALIZE = 8
    SLAVE = 9
    FIXED = 10


class Turn(Enum):
    """The moments at which the daily logger acts."""

    DAWN = "dawn"
    DUSK = "dusk"


@dataclass(slots=True)
class Requests:
    """What the outside asked of the regulator; all of it is RAM and gone after a reset."""

    disconnect: bool = False
    equalize: bool = False
    slave: SlaveControl = field(default_factory=SlaveControl)
    fixed_volts: float = 0.0
    fixed_ratio: float = 0.0


class Charger:
    """Steps with the world; its attributes are what the registers show (V, A, W, s, °C)."""

    def __init__(
        self,
        world: World,
        array: Array,
        settings: Settings,
        rating: float,
        rts: bool,
        slave_timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.world = world
        self.array = array
        self.settings = settings
        self.rating = rating
        self.rts = rts
        self._slave_timeout = slave_timeout
        self.sweep = Curve(0.0, 0.0, 0.0)
        self.lowest_at_night = world.volts
        self.current_limited = False
        self.restart()

    def restart(self) -> None:
        """After power-up or a reset: START, or NIGHT where it is dark."""
        self.requests = Requests(slave=SlaveControl(self._slave_timeout))
        self.stage = Stage.START
        self._charging_stage = Stage.MPPT
        self._absorbed = self._below_float = self._equalized = self._above_absorption = 0.0
        self._dark = self._light = self._since_start = 0.0
        self._sweep_age = _SWEEP_SECONDS
        self._night = False
        self._curve = self.array.curve(self.world.irradiance, self.world.ambient)
        if self._curve.watts <= 0:
            self._night = True
            self.stage = Stage.NIGHT
        self.reference = 0.0
        self.heatsink = self.world.ambient
        self._stop()
        self.slow_volts, self.slow_amps = self.terminal_volts, self.amps

    @property
    def sense_volts(self) -> float:
        """At the battery's poles."""
        return self.world.volts

    @property
    def terminal_volts(self) -> float:
        """At the controller's terminals, a cable away from the battery."""
        return self.world.volts + self.amps * CABLE_OHMS

    @property
    def watts(self) -> float:
        """Into the battery."""
        return self.terminal_volts * self.amps

    @property
    def array_amps(self) -> float:
        """The true array current."""
        return self.watts_in / self.array_volts if self.array_volts > 1 else 0.0

    @property
    def battery_celsius(self) -> float:
        """The RTS, or the local sensor, which is a little warm."""
        return self.world.battery_celsius + (0.0 if self.rts else 2.0)

    def step(self, seconds: float, faulty: bool) -> Turn | None:
        """Let time pass with the world; `faulty` stops charging. Tells when night or day began."""
        self._curve = self.array.curve(self.world.irradiance, self.world.ambient)
        turn = self._watch_the_sky(seconds)
        self.stage = self._next_stage(seconds, faulty)
        self._operate()
        self._filter(seconds)
        return turn

    def _watch_the_sky(self, seconds: float) -> Turn | None:
        lit = self._curve.watts > 3.0 and self._curve.voc > self.world.volts + 1.0
        self._light = self._light + seconds if lit else 0.0
        self._dark = 0.0 if lit else self._dark + seconds
        self._since_start += seconds
        if self._night:
            self.lowest_at_night = min(self.lowest_at_night, self.terminal_volts)
            if self._light >= _DAWN_SECONDS:
                self._night = False
                self._since_start = 0.0
                self._sweep_age = _SWEEP_SECONDS
                return Turn.DAWN
        elif self._dark >= _NIGHT_CHECK_SECONDS:
            self._night = True
            self.lowest_at_night = self.terminal_volts
            self._charging_stage = Stage.MPPT
            self._absorbed = self._below_float = 0.0
            return Turn.DUSK
        return None

    def _next_stage(self, seconds: float, faulty: bool) -> Stage:
        if faulty:
            return Stage.FAULT
        if self.requests.disconnect:
            return Stage.DISCONNECT
        if self._night:
            return Stage.NIGHT
        if self._dark > 0:
            return Stage.NIGHT_CHECK
        if self._since_start < _START_SECONDS:
            return Stage.START
        if self.requests.slave.active:
            return Stage.SLAVE
        if self.requests.fixed_volts or self.requests.fixed_ratio:
            return Stage.FIXED
        self._charging_stage = self._charge_on(seconds)
        return self._charging_stage

    def _charge_on(self, seconds: float) -> Stage:
        """MPPT → ABSORPTION → FLOAT, or EQUALIZE where it was asked for (§4.3)."""
        settings, stage = self.settings, self._charging_stage
        regulating = self.reference > 0 and self.sense_volts >= self.reference - 0.02
        if stage is not Stage.EQUALIZE and self.requests.equalize and settings.equalize > 0:
            self._equalized = self._above_absorption = 0.0
            return Stage.EQUALIZE
        if stage is Stage.EQUALIZE:
            return self._equalize_on(seconds, regulating)
        if stage is Stage.FLOAT:
            if not regulating:
                self._below_float += seconds
            if self._below_float < settings.float_exit_seconds:
                return Stage.FLOAT
            self._absorbed = self._below_float = 0.0
            return Stage.MPPT
        if not regulating:
            return Stage.MPPT
        self._absorbed += seconds
        deep = self.lowest_at_night < settings.extension_below
        needed = settings.absorption_seconds + (settings.extension_seconds if deep else 0.0)
        skipped = self.lowest_at_night < settings.float_cancel_below
        if self._absorbed < needed or settings.float_volts <= 0 or skipped:
            return Stage.ABSORPTION
        self._below_float = 0.0
        return Stage.FLOAT

    def _equalize_on(self, seconds: float, regulating: bool) -> Stage:
        if not self.requests.equalize:
            return Stage.MPPT
        if regulating:
            self._equalized += seconds
        if self.sense_volts > self._compensated(self.settings.absorption):
            self._above_absorption += seconds
        over = self._equalized >= self.settings.equalize_seconds
        if not over and self._above_absorption < self.settings.equalize_above_seconds:
            return Stage.EQUALIZE
        self.requests.equalize = False
        return Stage.FLOAT if self.settings.float_volts > 0 else Stage.ABSORPTION

    def _compensated(self, volts: float) -> float:
        settings = self.settings
        degrees = min(max(self.battery_celsius, settings.coldest), settings.hottest)
        volts -= settings.volts_per_degree * (degrees - 25.0)
        return min(volts, settings.ceiling) if settings.ceiling > 0 else volts

    def _target(self) -> float:
        settings = self.settings
        slave_volts = self.requests.slave.volts
        if self.stage is Stage.SLAVE and slave_volts is not None:
            return min(slave_volts, settings.ceiling) if settings.ceiling > 0 else slave_volts
        if self.stage is Stage.FLOAT:
            return self._compensated(settings.float_volts)
        if self.stage is Stage.EQUALIZE:
            return self._compensated(settings.equalize)
        return self._compensated(settings.absorption)

    def _operate(self) -> None:
        """Find the operating point: the smallest of what sun, rating, voltage and a master allow."""
        if self.stage < Stage.MPPT:
            self._stop()
            return
        self.reference = self._target()
        available = self._available()
        drawn = self.world.drawn_beside(self)
        sunny = self.world.battery.amps_for(0.97 * available, drawn)
        regulated = self.world.battery.amps_at(self.reference) + drawn
        limit = min(self.rating, self.settings.amps_limit or self.rating)
        self.current_limited = sunny > limit and regulated > limit
        slave_amps = self.requests.slave.amps
        if self.stage is Stage.SLAVE and slave_amps is not None:
            limit = min(limit, slave_amps)
        self.amps = max(0.0, min(sunny, regulated, limit))
        self.world.set_source(self, self.amps)
        self.watts_in = self.watts / 0.97
        if self.stage is not Stage.FIXED:
            self.array_volts = self._curve.volts_at(self.watts_in)

    def _available(self) -> float:
        if self.stage is not Stage.FIXED:
            return self._curve.watts
        # §3.2: 0x005A wins over 0x005B.
        self.array_volts = self.requests.fixed_volts or self.requests.fixed_ratio * self._curve.voc
        return self._curve.watts_at(self.array_volts)

    def _stop(self) -> None:
        self.amps = self.watts_in = 0.0
        self.reference = 0.0
        self.current_limited = False
        # A dark array input reads a hair below zero on real hardware.
        self.array_volts = self._curve.voc if self._curve.voc > 0 else -0.027
        self.world.set_source(self, 0.0)

    def _filter(self, seconds: float) -> None:
        part = min(1.0, seconds / 60.0)
        self.slow_volts += part * (self.terminal_volts - self.slow_volts)
        self.slow_amps += part * (self.amps - self.slow_amps)
        target = self.world.ambient + 0.025 * self.watts_in
        self.heatsink += min(1.0, seconds / 600.0) * (target - self.heatsink)
        self._sweep_age += seconds
        if self.stage > Stage.FAULT and self._sweep_age >= _SWEEP_SECONDS:
            self._sweep_age = 0.0
            self.sweep = self._curve
