"""A simulated Morningstar TriStar MPPT (150 V family), from the TriStar MPPT reference page, never from a driver.

What the page leaves open is an option of `Behaviour`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from heliobus.sim.device import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    Origin,
    RefusalError,
    SilenceError,
    SimDevice,
)
from heliobus.sim.tristar_charger import Charger, Stage
from heliobus.sim.tristar_coding import Coding, FixedPoint
from heliobus.sim.tristar_coils import LOGGER_COILS
from heliobus.sim.tristar_logger import Counters, Logger
from heliobus.sim.tristar_registers import (
    counter_words,
    identity_words,
    network_eeprom,
    network_image,
    ram_image,
)
from heliobus.sim.tristar_settings import CUSTOM, FIRST, LAST, Settings, active_settings, factory_words
from heliobus.sim.tristar_slave import TIMEOUT_SECONDS, SlaveControl
from heliobus.sim.tristar_state import Identity, State
from heliobus.sim.world import Array, World

FAULT_HVD, FAULT_SWITCH, FAULT_CUSTOM_EDIT, FAULT_SLAVE_TIMEOUT = 3, 5, 6, 11
ALARM_RTS_OPEN, ALARM_CURRENT_LIMIT, ALARM_HVD, ALARM_RESET = 0, 6, 12, 19
SWITCH_7, SWITCH_8 = 0x40, 0x80
_RATINGS = {30: (30.0, 2), 45: (45.0, 0), 60: (60.0, 1)}
_SYSTEM_BITS = {None: 0b00, 12: 0b10, 24: 0b01, 48: 0b11}
_STEP_SECONDS = 10.0
_COIL_CLEAR_FAULTS, _COIL_CLEAR_ALARMS, _COIL_RESET_CONTROL, _COIL_RESET_SERVER = 0x14, 0x15, 0xFF, 0x10FF
_TEST_NOTIFICATIONS = frozenset(range(0x1000, 0x1004))
_SET_ONLY_COILS = _TEST_NOTIFICATIONS | {
    *LOGGER_COILS,
    _COIL_CLEAR_FAULTS,
    _COIL_CLEAR_ALARMS,
    _COIL_RESET_CONTROL,
    _COIL_RESET_SERVER,
}
_READ_ONLY_NETWORK = frozenset((0x1518, 0x1519, 0x151A))
Image = tuple[int, int, Callable[[], Mapping[int, int]]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the reference page leaves open, or gives as one site's experience.

    `kwh_live`: kwhc_r/kwhc_t move during the day, else at dawn. `close_hours`: how long after NIGHT the record's
    voltages and Ah close. `reset_answer_lost`: coil 0x00FF is not answered. `boot_seconds`: silence after it.
    `server_restart_seconds`: how long the TCP server is away after coil 0x10FF. `slave_timeout`: the page's 60 s, or
    longer where simulated time runs faster than its master's.
    """

    kwh_live: bool = True
    close_hours: float = 3.0
    reset_answer_lost: bool = False
    boot_seconds: float = 1.0
    server_restart_seconds: float = 5.0
    slave_timeout: float = TIMEOUT_SECONDS


_AS_DOCUMENTED = Behaviour()


class SimTriStar(SimDevice):
    """A TS-MPPT-30, -45 or -60 on a 12, 24 or 48 V battery; `switch_system=False` leaves switches 2, 3 on auto."""

    functions = frozenset({1, 2, 3, 4, 5, 6, 0x2B})
    coding: Coding = FixedPoint()
    slave_amps_address = 0x58

    def __init__(
        self,
        *,
        serial: str = "10170296",
        model: int = 60,
        unit: int = 1,
        system: int = 24,
        firmware: int = 0x42,
        server_version: int = 9,
        hardware: int = 0x0101,
        world: World | None = None,
        array: Array | None = None,
        latitude: float = 47.0,
        day_of_year: int = 120,
        hour: float = 10.0,
        cloudiness: float = 0.3,
        soc: float = 0.6,
        seed: int = 1,
        program: int = CUSTOM,
        network_writes: bool = True,
        switch_system: bool = True,
        rts: bool = True,
        sense: bool = True,
        counters: Counters | None = None,
        behaviour: Behaviour = _AS_DOCUMENTED,
    ) -> None:
        self.world = world or World(
            nominal=float(system),
            latitude=latitude,
            day_of_year=day_of_year,
            hour=hour,
            cloudiness=cloudiness,
            soc=soc,
            seed=seed,
        )
        self.multiplier = system // 12
        rating, model_word = self._model(model)
        product, netbios = self._product(model), self._netbios(serial)
        self.identity = Identity(serial, product, model_word, netbios, firmware, server_version, hardware, sense=sense)
        self.state = State(_switches(system if switch_system else None, program, network_writes))
        self.eeprom = factory_words(self.coding, unit)
        self.network = network_eeprom(self.identity)
        voc = self._voc(system)
        array = array or Array(watts=1.1 * rating * system, voc=voc, vmp=0.82 * voc)
        self.charger = Charger(self.world, array, self._settings(), rating, rts, behaviour.slave_timeout)
        self.logger = Logger(
            self.charger,
            counters or Counters(hours=30000.0, ah_total=98765.4, kwh_total=2410.0),
            close_hours=behaviour.close_hours,
            kwh_live=behaviour.kwh_live,
        )
        self.eeprom_writes = 0
        self.resets = 0
        self._behaviour = behaviour
        self._silent = 0.0
        self._server_down = 0.0
        self._time = self.world.seconds
        self._judge()

    @property
    def network_up(self) -> bool:
        """False for some seconds after coil 0x10FF."""
        return self._server_down <= 0

    @property
    def stage(self) -> Stage:
        """The charge state."""
        return self.charger.stage

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps of at most 10 s."""
        while seconds > 0:
            part = min(seconds, _STEP_SECONDS)
            seconds -= part
            self._step(part)

    def inject_fault(self, bit: int) -> None:
        """Raise a fault until coil 0x0014 or a reset clears it (bits 5 and 6: only a reset)."""
        hard = bit in (FAULT_SWITCH, FAULT_CUSTOM_EDIT)
        self.state.hard_faults |= (1 << bit) if hard else 0
        self.state.injected_faults |= 0 if hard else 1 << bit
        self._act()

    def inject_alarm(self, bit: int) -> None:
        """Raise an alarm until coil 0x0015 or a reset clears it."""
        self.state.injected_alarms |= 1 << bit
        self._act()

    def set_switches(self, word: int) -> None:
        """Move the settings switches while powered: fault bit 5 until a reset."""
        if word != self.state.switches:
            self.state.switches = word
            self.inject_fault(FAULT_SWITCH)

    def reset(self) -> None:
        """Restart the controller (coil 0x00FF or a power cycle): silent for a while, settings take effect."""
        self.resets += 1
        state = self.state
        state.hard_faults = state.injected_faults = 0
        state.injected_alarms = 1 << ALARM_RESET
        self.charger.settings = self._settings()
        self.charger.restart()
        self.logger.reset()
        state.control = dict.fromkeys(state.control, 0)
        self._write_control(0x5A, self.eeprom[0xE020])
        self._write_control(0x5B, self.eeprom[0xE021])
        self._silent = self._behaviour.boot_seconds
        self._judge()

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        """As SimDevice, but silent while it boots."""
        if self._silent > 0:
            return None
        return super().answer(pdu, bridged, serial)

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        """RAM, network and EEPROM; holding and input registers are the same."""
        end = address + count
        for first, last, image in self._images():
            if first <= address and end - 1 <= last:
                words = image()
                return [words[index] for index in range(address, end)]
        raise RefusalError(ILLEGAL_ADDRESS)

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        """The coils of §6; reserved and set-only ones read 0."""
        inside = address + count <= 0x0100 or (address >= 0x1000 and address + count <= 0x1100)
        if not inside:
            raise RefusalError(ILLEGAL_ADDRESS)
        requests = self.charger.requests
        on = {0x0000: requests.equalize, 0x0002: requests.disconnect}
        return [on.get(index, False) for index in range(address, address + count)]

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        """Manual control (RAM), charge settings and network settings (EEPROM)."""
        self._check_switch_8(origin)
        if address in (self.slave_amps_address, 0x59, 0x5A, 0x5B):
            self._write_control(address, word)
        elif FIRST <= address <= LAST or address in self.network.keys() - _READ_ONLY_NETWORK:
            (self.eeprom if address >= FIRST else self.network)[address] = word
            self.eeprom_writes += 1
            self.inject_fault(FAULT_CUSTOM_EDIT)
        else:
            raise RefusalError(ILLEGAL_ADDRESS)

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        """§6. Writing OFF to a set-only coil does nothing."""
        self._check_switch_8(origin)
        requests = self.charger.requests
        if address == 0x0000:
            requests.equalize = on
        elif address == 0x0002:
            requests.disconnect = on
        elif address not in _SET_ONLY_COILS:
            raise RefusalError(ILLEGAL_ADDRESS)
        elif on:
            self._set_coil(address, origin)
        self._act()

    def identification(self) -> Mapping[int, str]:
        """§1.6."""
        identity = self.identity
        return {0: "Morningstar Corp.", 1: identity.product, 2: identity.revision}

    def _settings(self) -> Settings:
        return active_settings(self.eeprom, self.coding, self.multiplier, self.state.switches)

    def _set_coil(self, address: int, origin: Origin) -> None:
        if address in LOGGER_COILS:
            LOGGER_COILS[address](self.logger)
        elif address == _COIL_CLEAR_FAULTS:
            self.state.injected_faults = 0
            self.charger.requests.slave = SlaveControl(self._behaviour.slave_timeout)
        elif address == _COIL_CLEAR_ALARMS:
            self.state.injected_alarms = 0
        elif address == _COIL_RESET_CONTROL:
            self.reset()
            if self._behaviour.reset_answer_lost:
                raise SilenceError
        elif address == _COIL_RESET_SERVER:
            self._server_down = self._behaviour.server_restart_seconds
            if origin is not Origin.SERIAL:
                raise SilenceError

    def _step(self, seconds: float) -> None:
        self._server_down -= seconds
        self._silent -= seconds
        self.logger.accumulate(seconds)
        self._time += seconds
        self.world.advance_to(self._time)
        self.charger.requests.slave.step(seconds)
        if self._silent > 0:
            return
        self._equalize_by_calendar()
        self._judge()
        turn = self.charger.step(seconds, bool(self.state.faults))
        self._judge()
        self.logger.observe(turn, self.state.faults, self.state.alarms)

    def _equalize_by_calendar(self) -> None:
        """Switch 7 ON: every Et_eqcalendar days (0: never)."""
        days = self.charger.settings.equalize_calendar_days
        if self.state.switches & SWITCH_7 and 0 < days <= self.logger.eq_calendar_days:
            self.charger.requests.equalize = True

    def _act(self) -> None:
        """Let a request take effect at once, not only with the next step."""
        if self._silent > 0:
            return
        self._judge()
        self.charger.step(0.0, bool(self.state.faults))
        self.logger.mark(self.state.faults, self.state.alarms)

    def _judge(self) -> None:
        """Work out the fault and alarm words from what is injected and what is so."""
        state, settings, charger = self.state, self.charger.settings, self.charger
        volts = charger.sense_volts
        limit = settings.reconnect if state.faults & 1 << FAULT_HVD else settings.disconnect
        too_high = settings.disconnect > 0 and volts > limit
        state.faults = state.hard_faults | state.injected_faults | too_high << FAULT_HVD
        state.faults |= charger.requests.slave.timed_out << FAULT_SLAVE_TIMEOUT
        state.alarms = state.injected_alarms | (not charger.rts) << ALARM_RTS_OPEN
        state.alarms |= charger.current_limited << ALARM_CURRENT_LIMIT | too_high << ALARM_HVD

    def _check_switch_8(self, origin: Origin) -> None:
        if origin is Origin.NETWORK and not self.state.switches & SWITCH_8:
            raise RefusalError(ILLEGAL_FUNCTION)

    def _images(self) -> tuple[Image, ...]:
        """The served ranges, first and last address and their words."""
        return (
            (0x0000, 0x005B, self._ram),
            (0x1000, 0x1030, lambda: network_image(self.identity)),
            (0x1501, 0x1534, lambda: self.network),
            (0xE000, 0xE021, lambda: self.eeprom),
            (0xE080, 0xE0CD, lambda: self._counters() | identity_words(self.identity)),
        )

    def _ram(self) -> Mapping[int, int]:
        return dict(enumerate(ram_image(self.identity, self.charger, self.logger, self.state)))

    def _counters(self) -> dict[int, int]:
        return counter_words(self.logger)

    def _write_control(self, address: int, word: int) -> None:
        self.state.control[address] = word
        requests, coding = self.charger.requests, self.coding
        if address == self.slave_amps_address:
            requests.slave.write_amps(coding.amps_of(word))
        elif address == 0x59:
            requests.slave.write_volts(coding.volts_of(word))
        elif address == 0x5A:
            requests.fixed_volts = max(0.0, coding.volts_of(word))
        elif address == 0x5B:
            requests.fixed_ratio = coding.ratio_of(word)
        self._act()

    @staticmethod
    def _model(model: int) -> tuple[float, int]:
        """Rated current (A) and Emodel word."""
        return _RATINGS[model]

    @staticmethod
    def _product(model: int) -> str:
        return f"TS-MPPT-{model}"

    @staticmethod
    def _netbios(serial: str) -> str:
        return f"tsmppt{serial}"

    @staticmethod
    def _voc(system: int) -> float:
        """A string that fits the battery and the 150 V input."""
        return {12: 45.0, 24: 78.0, 48: 125.0}[system]


def _switches(system: int | None, program: int, network_writes: bool) -> int:
    """The switch word (§5.4); `program` is SW4 SW5 SW6 as printed, so switch 4 is its highest bit."""
    word = _SYSTEM_BITS[system] << 1
    for index in range(3):
        word |= (program >> (2 - index) & 1) << (3 + index)
    return word | (SWITCH_8 if network_writes else 0)
