"""A simulated EPever charge controller, from the EPever reference page, never from a driver (§ are that page's)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from heliobus.sim.device import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    Origin,
    RefusalError,
)
from heliobus.sim.serial_units import SerialDevice
from heliobus.sim.tracer_charger import Stage, TracerCharger
from heliobus.sim.tracer_clock import TracerClock
from heliobus.sim.tracer_coding import sparse_answer
from heliobus.sim.tracer_families import FAMILIES, rating_of
from heliobus.sim.tracer_load import MANUAL, TracerLoad
from heliobus.sim.tracer_registers import input_image
from heliobus.sim.tracer_settings import (
    CLOCK,
    DEVICE_FAILURE,
    LOAD_MODE,
    UVR,
    UVW,
    TracerSettings,
)
from heliobus.sim.tracer_state import CHARGE_FAULTS, LOAD_FAULTS, TracerFault, TracerState
from heliobus.sim.tracer_statistics import Energy, Extremes, TracerStatistics
from heliobus.sim.world import Array, World

BAUD = 115200
SPARSE_READ, UNIT_ID = 0x43, 0x45
_STEP_SECONDS = 10.0
_WAKE_VOLTS = 14.0
_LOAD_COIL, _DEFAULT_COIL, _TEST_COIL, _FORCE_COIL, _FACTORY_COIL, _CLEAR_COIL = 0x02, 0x03, 0x05, 0x06, 0x13, 0x14
_SYSTEM_CODES = {12: 1, 24: 2, 36: 3, 48: 4}


class SimTracer(SerialDevice):
    """A Tracer of one `family` (a key of `FAMILIES`) on a `system` of 12, 24, 36 or 48 V.

    `system_code`: 9067, None for the system's own, 0 for automatic. `sensor`: a battery probe is fitted, else
    25.00 °C. `load_watts`: what is wired to the load output. `sleeps`: at night with the load switched off it stops
    answering (§11). `rights`: coil 14 clears the energy. `clock_drift` in seconds per day. `statistics_pause`: the gap
    inside long answers of 33xx (s), which a line with `SerialFaults` carries. `generated`: kWh counted before.
    """

    functions = frozenset({1, 2, 3, 4, 5, 6, 0x10, 0x2B, SPARSE_READ, UNIT_ID})
    refresh_seconds = 1.0
    """How often what the registers show is renewed; longer makes long simulations cheaper."""

    def __init__(
        self,
        unit: int = 1,
        *,
        model: str = "Tracer4215BN",
        family: str = "BN",
        serial: str = "0002201301200045",
        version: str = "V02.05+V07.12",
        system: int = 12,
        system_code: int | None = None,
        world: World | None = None,
        array: Array | None = None,
        latitude: float = 47.0,
        year: int = 2026,
        day_of_year: int = 120,
        hour: float = 10.0,
        cloudiness: float = 0.3,
        soc: float = 0.6,
        seed: int = 1,
        load_watts: float = 20.0,
        generated: float = 412.34,
        sensor: bool = False,
        remote_sensor: bool = False,
        d1_quirk: bool = True,
        no_input_bit: bool = True,
        sleeps: bool = False,
        rights: bool = False,
        clock_drift: float = 0.0,
        statistics_pause: float = 0.04,
    ) -> None:
        super().__init__(unit, BAUD)
        kind, rating = FAMILIES[family], rating_of(model)
        self.world = world or World(
            nominal=float(system),
            capacity=200.0,
            soc=soc,
            latitude=latitude,
            day_of_year=day_of_year,
            hour=hour,
            cloudiness=cloudiness,
            load_watts=15.0,
            seed=seed,
        )
        array = array or _array(system, rating.amps, mppt=kind.mppt)
        code = _SYSTEM_CODES[system] if system_code is None else system_code
        self.state = TracerState(model, serial, version, kind, rating, system, remote_sensor, d1_quirk, no_input_bit)
        self.settings = TracerSettings(kind, system, code)
        self.charger = TracerCharger(self.world, array, self.settings, rating, mppt=kind.mppt, sensor=sensor)
        self.load = TracerLoad(self.settings, system * system / load_watts if load_watts and kind.load else 1e9)
        start = datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=day_of_year - 1, hours=hour)
        self.clock = TracerClock(start, clock_drift)
        self.statistics = _statistics(self.charger, start, generated)
        self.asleep = False
        self.factory_resets = 0
        self._sleeps, self._rights, self._statistics_pause = sleeps, rights, statistics_pause
        self._default_load = False
        self._pending = 0.0
        self._time = self.world.seconds
        self._image: Mapping[int, int] | None = None
        self._act()

    @property
    def alive(self) -> bool:
        """Silent without its plug, and while it sleeps."""
        return self.connected and not self.asleep

    @property
    def stage(self) -> Stage:
        """The charge stage."""
        return self.charger.stage

    def advance(self, seconds: float) -> None:
        """Let time pass; what the registers show is renewed every `refresh_seconds`."""
        self._pending += seconds
        while self._pending >= self.refresh_seconds:
            part = min(self._pending, _STEP_SECONDS)
            self._pending -= part
            self._step(part)

    def inject(self, fault: TracerFault) -> None:
        """Raise a fault until it is cleared."""
        self.state.injected.add(fault)
        self._act()

    def clear(self, fault: TracerFault) -> None:
        """Let a fault go."""
        self.state.injected.discard(fault)
        self._act()

    def press_button(self) -> None:
        """Switch the load by hand, which also wakes it."""
        self.load.wanted = not self.load.wanted
        self.asleep = False
        self._act()

    def slowness(self, pdu: bytes) -> float:
        """Settings come from slow storage: 13-25 ms in all (§5)."""
        if pdu[0] == SPARSE_READ or (pdu[0] == 3 and len(pdu) == 5):
            return 0.008 + 0.0008 * min(pdu[4], 15)
        return 0.0

    def pause(self, pdu: bytes) -> float:
        """Long statistics come in two bursts (§5)."""
        statistics = pdu[:2] == b"\x04\x33" and len(pdu) == 5 and pdu[4] > 8
        return self._statistics_pause if statistics else 0.0

    def hears_general(self, pdu: bytes) -> bool:
        """Function 45 only (§8.6)."""
        return self.alive and pdu[:1] == bytes((UNIT_ID,))

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        """Input or holding registers; one hole refuses the whole request (§4)."""
        words = self._holdings() if function == 3 else self._inputs()
        wanted = range(address, address + count)
        if any(index not in words for index in wanted):
            raise RefusalError(ILLEGAL_ADDRESS)
        return [words[index] for index in wanted]

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        """Coils by function 01, 2000 and 200C by function 02."""
        known = self._coils() if function == 1 else self._discretes()
        wanted = range(address, address + count)
        if any(index not in known for index in wanted):
            raise RefusalError(ILLEGAL_ADDRESS)
        return [known[index] for index in wanted]

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        """§8.7. The load coil is acknowledged in every load mode, and obeyed in the manual one."""
        family = self.state.family
        if address == _FACTORY_COIL:
            self.factory_resets += on
            if on:
                self.settings.restore()
        elif address == _CLEAR_COIL:
            if on and self._rights:
                self.statistics.clear_generated()
        elif address in family.ignored_coils:
            return
        elif address not in family.coils:
            raise RefusalError(ILLEGAL_ADDRESS)
        elif address == _LOAD_COIL:
            if self.settings.words[LOAD_MODE] == MANUAL:
                self.load.wanted = on
        elif address == _DEFAULT_COIL:
            self._default_load = on
        elif address == _TEST_COIL:
            self.load.test_mode = on
        else:
            self.load.forced = on
        self._act()

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        """Function 06: some isolated settings of some families (§4)."""
        if self.state.family.isolated is None:
            raise RefusalError(ILLEGAL_FUNCTION)
        self.settings.write(address, [word], single=True)
        self._act()

    def write_registers(self, address: int, words: Sequence[int], origin: Origin) -> None:
        """Function 10: the clock in one request of three, or settings (§9, §10)."""
        if not set(CLOCK).isdisjoint(range(address, address + len(words))):
            if (address, len(words)) != (CLOCK.start, len(CLOCK)):
                raise RefusalError(DEVICE_FAILURE)
            self.clock.write(words)
            # What is still to pass is no part of the time it was given.
            self.clock.advance(-self._pending)
        else:
            self.settings.write(address, words)
        self._act()

    def identification(self) -> Mapping[int, str]:
        """§1; not every family answers."""
        if not self.state.family.identification:
            raise RefusalError(ILLEGAL_FUNCTION)
        return {0: "EPsolar Tech co., Ltd", 1: self.state.model, 2: self.state.version, 3: self.state.serial}

    def other(self, pdu: bytes, origin: Origin) -> bytes:
        """The undocumented functions 43 (sparse read) and 45 (unit id)."""
        if pdu[0] == SPARSE_READ and self.state.family.sparse:
            words = {**self._inputs(), **self._holdings()}
            return sparse_answer(pdu, words.get)
        if pdu[0] != UNIT_ID:
            raise RefusalError(ILLEGAL_FUNCTION)
        if len(pdu) != 5 or pdu[1:4] != b"\x00\x01\x01" or pdu[4] == 0:
            raise RefusalError(ILLEGAL_VALUE)
        if pdu[4] <= 247:
            self.unit = pdu[4]
        return bytes((UNIT_ID, self.unit))

    def _step(self, seconds: float) -> None:
        self.statistics.count(self.charger.watts, self._load_watts, seconds)
        self.clock.advance(seconds)
        self._time += seconds
        self.world.advance_to(self._time)
        self._operate(seconds)

    def _act(self) -> None:
        """Let a request take effect at once, not only with the next step."""
        self._operate(0.0)

    def _operate(self, seconds: float) -> None:
        state, charger, load = self.state, self.charger, self.load
        self._watch_battery()
        charger.step(seconds, blocked=bool(state.faults & CHARGE_FAULTS))
        load.step(seconds, self.world.volts, charger.night, self.clock.moment, blocked=bool(state.faults & LOAD_FAULTS))
        self.world.set_source(load, -load.amps(self.world.volts))
        self.statistics.observe(self.clock.moment.date(), charger.array_volts, self.world.volts)
        if self.asleep:
            self.asleep = charger.array_volts <= _WAKE_VOLTS
        else:
            manual = self.settings.words.get(LOAD_MODE, MANUAL) == MANUAL
            self.asleep = self._sleeps and charger.night and manual and not load.wanted
        self._image = None

    def _watch_battery(self) -> None:
        """The low warning of 3200 and the battery's temperature limits (9017, 9018)."""
        state, settings = self.state, self.settings
        state.low_battery = self.world.volts < settings.volts(UVR if state.low_battery else UVW)
        if not self.charger.sensor:
            return
        celsius = self.charger.battery_celsius
        for fault, beyond in (
            (TracerFault.BATTERY_HOT, celsius > settings.celsius(0x9017, 65.0)),
            (TracerFault.BATTERY_COLD, celsius < settings.celsius(0x9018, -40.0)),
        ):
            (state.found.add if beyond else state.found.discard)(fault)

    @property
    def _load_watts(self) -> float:
        return self.load.amps(self.world.volts) * self.world.volts

    def _inputs(self) -> Mapping[int, int]:
        if self._image is None:
            self._image = input_image(self.state, self.charger, self.load, self.statistics)
        return self._image

    def _holdings(self) -> Mapping[int, int]:
        return self.settings.words | dict(zip(CLOCK, self.clock.words(self._pending), strict=True))

    def _coils(self) -> Mapping[int, bool]:
        known = {
            _LOAD_COIL: self.load.wanted,
            _DEFAULT_COIL: self._default_load,
            _TEST_COIL: self.load.test_mode,
            _FORCE_COIL: self.load.forced,
        }
        return {address: on for address, on in known.items() if address in self.state.family.coils}

    def _discretes(self) -> Mapping[int, bool]:
        hot = self.charger.too_hot or TracerFault.OVER_TEMPERATURE in self.state.faults
        return {0x2000: hot, 0x200C: self.charger.night}


def _array(system: int, amps: float, *, mppt: bool) -> Array:
    """Modules that fit: 36 cells for each 12 V on PWM, a longer string on MPPT."""
    cells = system / 12 if not mppt else max(2.0, system / 12 * 1.5)
    return Array(watts=1.1 * amps * system, voc=22.0 * cells, vmp=18.0 * cells)


def _statistics(charger: TracerCharger, start: datetime, generated: float) -> TracerStatistics:
    """A day that begins, after months in use."""
    volts, light = charger.world.volts, charger.array_volts
    counted = Energy(0.0, generated / 20, generated / 2, generated)
    return TracerStatistics(Extremes(light, light), Extremes(volts, volts), start.date(), counted)
