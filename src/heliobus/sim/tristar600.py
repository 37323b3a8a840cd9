"""A simulated TriStar MPPT 600 V: the same regulator and coils, another register map (§8.3).

The page leaves the coding of some words open; taken here: 0x0006 and the timers are plain integers, single floats
are high word first, everything else that is a number is a half float.
"""

from collections.abc import Mapping
from typing import Any

from heliobus.sim.tristar import Image, SimTriStar
from heliobus.sim.tristar_charger import Charger
from heliobus.sim.tristar_coding import HalfFloat, float_words, high_first, low_first, u16
from heliobus.sim.tristar_logger import Logger
from heliobus.sim.tristar_registers import P3, P12, PMETER, identity_words, led_state
from heliobus.sim.tristar_state import Identity, State

_RAM_LAST = 0x68


def ram_image(identity: Identity, charger: Charger, logger: Logger, state: State) -> list[int]:
    """The words 0x0000-0x0068."""
    words = [0] * (_RAM_LAST + 1)
    words[0x04], words[0x05] = identity.firmware, 0x0012
    words[0x06] = round(charger.world.battery.nominal / 12)
    _put_measured(words, charger, identity)
    _put_state(words, charger, state)
    _put_logged(words, logger)
    return words


def _put_measured(words: list[int], charger: Charger, identity: Identity) -> None:
    code = HalfFloat()
    half, celsius = code.half, code.celsius
    words[0x18] = half(charger.sense_volts if identity.sense else charger.terminal_volts)
    words[0x19] = half(charger.terminal_volts)
    words[0x1A] = half(charger.sense_volts if identity.sense else 0.0)
    words[0x1B] = half(charger.array_volts)
    words[0x1C] = half(charger.amps)
    words[0x1D] = half(charger.array_amps * identity.array_current_error)
    words[0x1E] = half(P12)
    words[0x1F] = half(P3)
    words[0x20] = half(PMETER)
    words[0x21] = half(12.11)
    words[0x23] = celsius(charger.heatsink)
    words[0x24] = celsius(charger.battery_celsius if charger.rts else None)
    words[0x25] = celsius(charger.battery_celsius)
    words[0x26] = half(charger.slow_volts)
    words[0x27] = half(charger.slow_amps)
    words[0x33] = half(charger.reference)
    words[0x3A] = half(charger.watts)
    words[0x3B] = half(charger.watts_in * identity.array_current_error)
    words[0x3C] = half(charger.sweep.watts)
    words[0x3D] = half(charger.sweep.vmp)
    words[0x3E] = half(charger.sweep.voc)


def _put_state(words: list[int], charger: Charger, state: State) -> None:
    words[0x2C], words[0x2D] = high_first(state.faults)
    words[0x2E], words[0x2F] = high_first(state.alarms)
    words[0x30] = state.switches
    words[0x31] = led_state(charger, state.faults)
    words[0x32] = int(charger.stage)
    for address, word in state.control.items():
        words[address] = word


def _put_logged(words: list[int], logger: Logger) -> None:
    code = HalfFloat()
    half = code.half
    counters, today, timers = logger.counters, logger.today, logger.timers
    words[0x28] = half(counters.vb_min or 0.0)
    words[0x29] = half(counters.vb_max or 0.0)
    words[0x2A], words[0x2B] = high_first(int(counters.hours))
    words[0x34], words[0x35] = float_words(counters.ah_resettable)
    words[0x36], words[0x37] = float_words(counters.ah_total)
    words[0x38] = half(counters.kwh_resettable)
    words[0x39] = half(counters.kwh_total)
    words[0x40] = half(today.vb_min)
    words[0x41] = half(today.vb_max)
    words[0x42] = half(today.va_max)
    words[0x43] = half(today.ah)
    words[0x44] = half(logger.wh)
    words[0x45] = today.flags
    words[0x46] = half(today.watts_max)
    words[0x47] = code.celsius(today.tb_min)
    words[0x48] = code.celsius(today.tb_max)
    words[0x49], words[0x4A] = high_first(today.faults)
    words[0x4B], words[0x4C] = high_first(today.alarms)
    words[0x4D] = u16(timers.absorption)
    words[0x4E] = u16(timers.equalize)
    words[0x4F] = u16(timers.float_stage)


def counter_words(logger: Logger) -> dict[int, int]:
    """The counters as EEPROM holds them, 0xE080-0xE0BF; kWh as single floats at 0xE086 and 0xE08E."""
    stored = logger.stored
    counters = stored.counters
    half = HalfFloat().half
    words = dict.fromkeys(range(0xE080, 0xE0C0), 0)
    words[0xE080], words[0xE081] = low_first(counters.hours)
    words[0xE082], words[0xE083] = float_words(counters.ah_resettable)
    words[0xE084], words[0xE085] = float_words(counters.ah_total)
    words[0xE086], words[0xE087] = float_words(counters.kwh_resettable)
    words[0xE08E], words[0xE08F] = float_words(counters.kwh_total)
    words[0xE088] = half(stored.vb_min)
    words[0xE089] = half(stored.vb_max)
    words[0xE08A] = half(stored.va_max)
    words[0xE08B] = stored.eq_calendar_days
    words[0xE08C] = stored.service_days
    return words


class SimTriStar600(SimTriStar):
    """A TS-MPPT-60-600V-48. Takes the keywords of SimTriStar but `model` and `system`."""

    coding = HalfFloat()
    slave_amps_address = 0x68

    def __init__(self, *, firmware: int = 0x19, **options: Any) -> None:
        super().__init__(firmware=firmware, system=48, **options)

    def _images(self) -> tuple[Image, ...]:
        return ((0x0000, _RAM_LAST, self._ram), *super()._images()[1:])

    def _ram(self) -> Mapping[int, int]:
        return dict(enumerate(ram_image(self.identity, self.charger, self.logger, self.state)))

    def _counters(self) -> dict[int, int]:
        return counter_words(self.logger) | identity_words(self.identity)

    @staticmethod
    def _model(model: int) -> tuple[float, int]:
        return 60.0, 0

    @staticmethod
    def _product(model: int) -> str:
        return "TS-MPPT-60-600V-48"

    @staticmethod
    def _netbios(serial: str) -> str:
        return f"tsmppt600v{serial}"[:16]

    @staticmethod
    def _voc(system: int) -> float:
        return 480.0
