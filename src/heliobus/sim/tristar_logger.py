"""The counters and the daily logger of a simulated TriStar MPPT (§3 notes, §4.4, §5.6, §7.1)."""

from dataclasses import dataclass, field, replace

from heliobus.sim.tristar_charger import Charger, Stage, Turn

EEPROM_SECONDS = 86400.0


class DailyFlag:
    """Bits of flags_daily (§5.6)."""

    RESET = 1 << 0
    EQUALIZE = 1 << 1
    FLOAT = 1 << 2
    ALARM = 1 << 3
    FAULT = 1 << 4


@dataclass(slots=True)
class Counters:
    """Running totals: h, Ah, kWh, and the long-term battery extremes (V)."""

    hours: float = 0.0
    ah_resettable: float = 0.0
    ah_total: float = 0.0
    kwh_resettable: float = 0.0
    kwh_total: float = 0.0
    vb_min: float | None = None
    vb_max: float | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """What EEPROM holds of the counters: whole hours, tenths of Ah, whole kWh; extremes of the last 24 h."""

    counters: Counters
    vb_min: float
    vb_max: float
    va_max: float
    eq_calendar_days: int = 0
    service_days: int = 0


@dataclass(slots=True)
class Extremes:
    """The daily record's voltages, charge, power, temperatures and sticky bits."""

    vb_min: float
    vb_max: float
    va_max: float
    tb_min: float
    tb_max: float
    ah: float = 0.0
    watts_max: float = 0.0
    flags: int = 0
    faults: int = 0
    alarms: int = 0


@dataclass(slots=True)
class Timers:
    """Seconds in each stage today."""

    absorption: float = 0.0
    equalize: float = 0.0
    float_stage: float = 0.0


@dataclass(slots=True)
class Logger:
    """Watches a charger. `close_hours`: how long after NIGHT voltages and Ah close (the document's unknown X).

    `kwh_live`: whether kwhc_r/kwhc_t move during the day or at dawn; the document does not say.
    """

    charger: Charger
    counters: Counters
    close_hours: float = 3.0
    kwh_live: bool = True
    wh: float = 0.0
    timers: Timers = field(default_factory=Timers)
    today: Extremes = field(init=False)
    stored: Stored = field(init=False)
    eq_calendar_days: float = 0.0
    service_days: float = 0.0
    _span: Extremes = field(init=False)
    _since_store: float = 0.0
    _since_dusk: float | None = None

    def __post_init__(self) -> None:
        self.today = self._fresh()
        self._span = self._fresh()
        self.store()

    def accumulate(self, seconds: float) -> None:
        """Count what flowed during the step that is about to end."""
        ah = self.charger.amps * seconds / 3600
        wh = self.charger.watts * seconds / 3600
        counters = self.counters
        counters.hours += seconds / 3600
        counters.ah_resettable += ah
        counters.ah_total += ah
        self.today.ah += ah
        self.wh += wh
        if self.kwh_live:
            counters.kwh_resettable += wh / 1000
            counters.kwh_total += wh / 1000
        self.eq_calendar_days += seconds / 86400
        self.service_days += seconds / 86400
        if self.charger.stage is Stage.ABSORPTION:
            self.timers.absorption += seconds
        elif self.charger.stage is Stage.EQUALIZE:
            self.timers.equalize += seconds
        elif self.charger.stage is Stage.FLOAT:
            self.timers.float_stage += seconds
        self._since_store += seconds
        if self._since_dusk is not None:
            self._since_dusk += seconds

    def observe(self, turn: Turn | None, faults: int, alarms: int) -> None:
        """Look at the new state of things; close what is due."""
        if turn is Turn.DUSK:
            self.timers = Timers()
            self._since_dusk = 0.0
        if turn is Turn.DAWN:
            self._dawn()
        if self._since_dusk is not None and self._since_dusk >= self.close_hours * 3600:
            self._close()
        self._widen(self.today)
        self._widen(self._span)
        self.mark(faults, alarms)
        counters, volts = self.counters, self.charger.terminal_volts
        counters.vb_min = volts if counters.vb_min is None else min(counters.vb_min, volts)
        counters.vb_max = volts if counters.vb_max is None else max(counters.vb_max, volts)
        if self._since_store >= EEPROM_SECONDS:
            self.store()

    def mark(self, faults: int, alarms: int) -> None:
        """The sticky bits of today."""
        today, stage = self.today, self.charger.stage
        today.faults |= faults
        today.alarms |= alarms
        today.flags |= (DailyFlag.FAULT if faults else 0) | (DailyFlag.ALARM if alarms else 0)
        today.flags |= DailyFlag.FLOAT if stage is Stage.FLOAT else 0
        if stage is Stage.EQUALIZE:
            today.flags |= DailyFlag.EQUALIZE
            self.eq_calendar_days = 0.0

    def store(self) -> None:
        """Write the counters to EEPROM, as the controller does every 24 h and on coil 0x0016."""
        counters = self.counters
        whole = replace(
            counters,
            hours=float(int(counters.hours)),
            ah_resettable=int(counters.ah_resettable * 10) / 10,
            ah_total=int(counters.ah_total * 10) / 10,
            kwh_resettable=float(int(counters.kwh_resettable)),
            kwh_total=float(int(counters.kwh_total)),
        )
        span = self._span
        days = int(self.eq_calendar_days), int(self.service_days)
        self.stored = Stored(whole, span.vb_min, span.vb_max, span.va_max, *days)
        self._span = self._fresh()
        self._since_store = 0.0

    def reset(self) -> None:
        """The controller restarts: back to what EEPROM holds, and a new daily record."""
        self.counters = replace(self.stored.counters)
        self.eq_calendar_days = float(self.stored.eq_calendar_days)
        self.service_days = float(self.stored.service_days)
        self.wh = 0.0
        self.timers = Timers()
        self.today = self._fresh()
        self._span = self._fresh()
        self._since_store = 0.0
        self._since_dusk = None
        self.today.flags = DailyFlag.RESET

    def clear_extremes(self) -> None:
        """Coil 0x0019."""
        self.counters.vb_min = self.counters.vb_max = self.charger.terminal_volts

    def _dawn(self) -> None:
        if not self.kwh_live:
            self.counters.kwh_resettable += self.wh / 1000
            self.counters.kwh_total += self.wh / 1000
        self.wh = 0.0
        # A night shorter than X hours: the record closes at dawn at the latest.
        if self._since_dusk is not None:
            self._close()

    def _close(self) -> None:
        self.today = self._fresh()
        self._since_dusk = None

    def _fresh(self) -> Extremes:
        charger = self.charger
        volts, celsius = charger.terminal_volts, charger.battery_celsius
        return Extremes(volts, volts, charger.array_volts, celsius, celsius)

    def _widen(self, span: Extremes) -> None:
        charger = self.charger
        volts, celsius = charger.terminal_volts, charger.battery_celsius
        span.vb_min = min(span.vb_min, volts)
        span.vb_max = max(span.vb_max, volts)
        span.va_max = max(span.va_max, charger.array_volts)
        span.tb_min = min(span.tb_min, celsius)
        span.tb_max = max(span.tb_max, celsius)
        span.watts_max = max(span.watts_max, charger.watts)
