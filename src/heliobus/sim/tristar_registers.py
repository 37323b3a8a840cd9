"""The register image of the 150 V TriStar MPPT: RAM (§3), network (§4.1, §4.2), read-only EEPROM (§4.4)."""

from heliobus.sim.tristar_charger import Charger, Stage
from heliobus.sim.tristar_coding import FixedPoint, high_first, low_first, s16, text_words, u16
from heliobus.sim.tristar_logger import Logger
from heliobus.sim.tristar_state import Identity, State

RAM_WORDS = 0x5C
P12, P3, PMETER, P18, V_REF = 13.02, 3.31, 12.41, 1.79, 2.05
"""The internal rails, V: five different numbers, so that a decoder off by one register is caught."""
_LED_BY_STAGE = {Stage.START: 0, Stage.EQUALIZE: 3, Stage.FLOAT: 4, Stage.ABSORPTION: 5, Stage.MPPT: 6}
_LED_HVD, _LED_ERROR = 16, 12


def led_state(charger: Charger, faults: int) -> int:
    """§5.5; state-of-charge colours by voltage thresholds."""
    if faults:
        return _LED_HVD if faults & 1 << 3 else _LED_ERROR
    if charger.stage in _LED_BY_STAGE:
        return _LED_BY_STAGE[charger.stage]
    green, _, yellow, _ = charger.settings.led_thresholds
    if charger.terminal_volts >= green:
        return 6
    return 8 if charger.terminal_volts >= yellow else 11


def tenths(value: float) -> float:
    """Ah as counted: whole tenths, never rounded up."""
    return int(value * 10 + 1e-6)


def ram_image(identity: Identity, charger: Charger, logger: Logger, state: State) -> list[int]:
    """The words 0x0000-0x005B."""
    words = [0] * RAM_WORDS
    words[0x00], words[0x01] = 180, 0
    words[0x02], words[0x03] = 80, 0
    words[0x04] = identity.firmware
    _put_measured(words, identity, charger)
    _put_state(words, charger, state)
    _put_logged(words, logger)
    return words


def _put_measured(words: list[int], identity: Identity, charger: Charger) -> None:
    code = FixedPoint()
    volts, amps, watts = code.volts, code.amps, code.watts
    words[0x18] = volts(charger.sense_volts if identity.sense else charger.terminal_volts)
    words[0x19] = volts(charger.terminal_volts)
    words[0x1A] = volts(charger.sense_volts) if identity.sense else 0
    words[0x1B] = volts(charger.array_volts)
    words[0x1C] = amps(charger.amps)
    words[0x1D] = amps(charger.array_amps * identity.array_current_error)
    words[0x1E] = s16(P12 * 32768 / 18.612)
    words[0x1F] = s16(P3 * 32768 / 6.6)
    words[0x20] = s16(PMETER * 32768 / 18.612)
    words[0x21] = s16(P18 * 32768 / 3)
    words[0x22] = s16(V_REF * 32768 / 3)
    words[0x23] = code.celsius(charger.heatsink)
    words[0x24] = code.celsius(charger.battery_celsius if charger.rts else None)
    words[0x25] = code.celsius(charger.battery_celsius)
    words[0x26] = volts(charger.slow_volts)
    words[0x27] = amps(charger.slow_amps)
    words[0x33] = volts(charger.reference)
    words[0x3A] = watts(charger.watts)
    words[0x3B] = watts(charger.watts_in * identity.array_current_error)
    words[0x3C] = watts(charger.sweep.watts)
    words[0x3D] = volts(charger.sweep.vmp)
    words[0x3E] = volts(charger.sweep.voc)


def _put_state(words: list[int], charger: Charger, state: State) -> None:
    words[0x2C] = state.faults & 0xFFFF
    words[0x2E], words[0x2F] = high_first(state.alarms)
    words[0x30] = state.switches
    words[0x31] = led_state(charger, state.faults)
    words[0x32] = int(charger.stage)
    words[0x58] = state.control[0x58]
    words[0x59] = state.control[0x59]
    words[0x5A] = state.control[0x5A]
    words[0x5B] = state.control[0x5B]


def _put_logged(words: list[int], logger: Logger) -> None:
    code = FixedPoint()
    volts, watts = code.volts, code.watts
    counters, today, timers = logger.counters, logger.today, logger.timers
    words[0x28] = volts(counters.vb_min or 0.0)
    words[0x29] = volts(counters.vb_max or 0.0)
    words[0x2A], words[0x2B] = high_first(int(counters.hours))
    words[0x34], words[0x35] = high_first(tenths(counters.ah_resettable))
    words[0x36], words[0x37] = high_first(tenths(counters.ah_total))
    words[0x38] = u16(int(counters.kwh_resettable))
    words[0x39] = u16(int(counters.kwh_total))
    words[0x40] = volts(today.vb_min)
    words[0x41] = volts(today.vb_max)
    words[0x42] = volts(today.va_max)
    words[0x43] = u16(tenths(today.ah))
    words[0x44] = u16(int(logger.wh / 10) * 10)
    words[0x45] = today.flags
    words[0x46] = watts(today.watts_max)
    words[0x47] = code.celsius(today.tb_min)
    words[0x48] = code.celsius(today.tb_max)
    words[0x49] = today.faults & 0xFFFF
    words[0x4B], words[0x4C] = high_first(today.alarms)
    words[0x4D] = u16(timers.absorption)
    words[0x4E] = u16(timers.equalize)
    words[0x4F] = u16(timers.float_stage)


def network_image(identity: Identity) -> dict[int, int]:
    """The words 0x1000-0x1030."""
    words = dict.fromkeys(range(0x1000, 0x1031), 0)
    words[0x1000] = identity.server_version
    addresses = (identity.ip, identity.mask, identity.gateway, identity.dns[0], identity.dns[1])
    for index, address in enumerate(addresses):
        octets = bytes(int(part) for part in address.split("."))
        words[0x100F + 2 * index] = octets[0] | octets[1] << 8
        words[0x1010 + 2 * index] = octets[2] | octets[3] << 8
    for index, word in enumerate(text_words(identity.controller_id, 8)):
        words[0x101D + index] = word
    words[0x1025] = 0x4000 if identity.dhcp else 0
    for index in range(3):
        words[0x1026 + index] = identity.mac[2 * index] | identity.mac[2 * index + 1] << 8
    for index, word in enumerate(text_words(identity.netbios, 8)):
        words[0x1029 + index] = word
    return words


def network_eeprom(identity: Identity) -> dict[int, int]:
    """The words 0x1501-0x1534 as stored."""
    active = network_image(identity)
    words = dict.fromkeys(range(0x1501, 0x1535), 0)
    words |= {0x1501 + offset: active[0x100F + offset] for offset in range(0x1A)}
    return words | {0x151B: 80, 0x151C: 502, 0x151D: 0, 0x151E: 162, 0x151F: 0}


def identity_words(identity: Identity) -> dict[int, int]:
    """Serial number, model and hardware version, 0xE0C0-0xE0CD."""
    words = dict.fromkeys(range(0xE0C0, 0xE0CE), 0)
    words |= {0xE0C0 + index: word for index, word in enumerate(text_words(identity.serial, 4))}
    return words | {0xE0CC: identity.model_word, 0xE0CD: identity.hardware}


def counter_words(logger: Logger) -> dict[int, int]:
    """The counters as EEPROM holds them, 0xE080-0xE0BF, the low word first."""
    stored = logger.stored
    counters = stored.counters
    volts = FixedPoint().volts
    words = dict.fromkeys(range(0xE080, 0xE0C0), 0)
    words[0xE080], words[0xE081] = low_first(counters.hours)
    words[0xE082], words[0xE083] = low_first(tenths(counters.ah_resettable))
    words[0xE084], words[0xE085] = low_first(tenths(counters.ah_total))
    words[0xE086] = u16(counters.kwh_resettable)
    words[0xE087] = u16(counters.kwh_total)
    words[0xE088] = volts(stored.vb_min)
    words[0xE089] = volts(stored.vb_max)
    words[0xE08A] = volts(stored.va_max)
    words[0xE08B] = stored.eq_calendar_days
    words[0xE08C] = stored.service_days
    return words
