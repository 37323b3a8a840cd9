"""The input registers of a simulated EPever charge controller (§8.1-§8.3b of the EPever reference page)."""

from heliobus.sim.tracer_charger import Stage, TracerCharger
from heliobus.sim.tracer_coding import NO_SENSOR, counted_words, hundredths, long_words, signed_hundredths
from heliobus.sim.tracer_load import TracerLoad
from heliobus.sim.tracer_state import LOAD_FAULTS, TracerFault, TracerState
from heliobus.sim.tracer_statistics import TracerStatistics

_SECOND_BATTERY_AMPS = 0.4
_CHARGING_BITS = {
    TracerFault.ARRAY_SHORT: 1 << 4,
    TracerFault.LOAD_SHORT: 1 << 8,
    TracerFault.LOAD_OVERLOAD: 1 << 9,
    TracerFault.ARRAY_OVER_CURRENT: 1 << 10,
    TracerFault.CHARGE_MOSFET_SHORT: 1 << 13,
    TracerFault.ARRAY_OVER_VOLTAGE: 2 << 14,
}
_BATTERY_BITS = {
    TracerFault.BATTERY_HOT: 1 << 4,
    TracerFault.BATTERY_COLD: 2 << 4,
    TracerFault.BATTERY_RESISTANCE: 1 << 8,
    TracerFault.WRONG_VOLTAGE: 1 << 15,
}


def input_image(
    state: TracerState, charger: TracerCharger, load: TracerLoad, statistics: TracerStatistics
) -> dict[int, int]:
    """Every input register that the family has."""
    words = (
        _rated(state)
        | _real_time(state, charger, load)
        | _slow(state, charger, load)
        | {
            0x3200: battery_status(state, charger, load),
            0x3201: charging_status(state, charger),
            0x3202: load_status(state, load, charger.world.volts),
        }
        | _counted(statistics)
    )
    return {address: word for address, word in words.items() if address in state.family.inputs}


def battery_status(state: TracerState, charger: TracerCharger, load: TracerLoad) -> int:
    """3200."""
    if charger.over_voltage:
        word = 1
    elif load.disconnected:
        word = 3
    else:
        word = 2 if state.low_battery else 0
    return word | sum(bits for fault, bits in _BATTERY_BITS.items() if fault in state.faults)


def charging_status(state: TracerState, charger: TracerCharger) -> int:
    """3201; D0 stands at night too."""
    word = 1 | charger.stage << 2
    bits = sum(bits for fault, bits in _CHARGING_BITS.items() if fault in state.faults)
    quirk = state.d1_quirk and charger.stage is not Stage.NONE
    word |= (bool(bits) or quirk) << 1
    if charger.night and state.no_input_bit and not bits >> 14:
        word |= 1 << 14
    return word | bits


def load_status(state: TracerState, load: TracerLoad, battery_volts: float) -> int:
    """3202."""
    share = load.amps(battery_volts) / state.rating.amps
    level = 0 if share < 0.3 else 1 if share < 0.7 else 2
    word = int(load.on)
    if state.faults & LOAD_FAULTS:
        word |= 1 << 1
    if TracerFault.LOAD_SHORT in state.faults:
        word |= 1 << 11
    if TracerFault.LOAD_OVERLOAD in state.faults:
        level = 3
    return word | level << 12


def _rated(state: TracerState) -> dict[int, int]:
    rating = state.rating
    return {
        0x3000: hundredths(rating.array_volts),
        0x3001: hundredths(rating.amps),
        **long_words(0x3002, rating.array_watts),
        0x3004: hundredths(rating.battery_volts),
        0x3005: hundredths(rating.amps),
        **long_words(0x3006, rating.charge_watts),
        0x3008: 2 if state.family.mppt else 1,
        0x300E: hundredths(rating.amps),
    }


def _real_time(state: TracerState, charger: TracerCharger, load: TracerLoad) -> dict[int, int]:
    volts = charger.world.volts
    load_amps = load.amps(volts) if state.family.load else _SECOND_BATTERY_AMPS
    load_volts = volts if load.on else 0.0
    output = {
        0: hundredths(load_volts),
        1: hundredths(load_amps),
        **long_words(2, load_amps * volts),
    }
    # G3 documents 3108 as the battery's voltage; before, it mirrors the load's.
    mirror = output | ({0: hundredths(volts)} if 0x90BF in state.family.holdings else {})
    return {
        0x3100: hundredths(charger.array_volts),
        0x3101: hundredths(charger.array_amps),
        **long_words(0x3102, charger.array_watts),
        0x3104: hundredths(volts),
        0x3105: hundredths(charger.amps),
        **long_words(0x3106, charger.watts),
        **{0x3108 + offset: word for offset, word in mirror.items()},
        **{0x310C + offset: word for offset, word in output.items()},
        0x3110: signed_hundredths(charger.battery_celsius),
        0x3111: signed_hundredths(charger.celsius),
        0x3112: signed_hundredths(charger.celsius),
        0x3113: NO_SENSOR,
    }


def _slow(state: TracerState, charger: TracerCharger, load: TracerLoad) -> dict[int, int]:
    volts = charger.world.volts
    net = charger.amps - (load.amps(volts) if state.family.load else 0.0)
    # Derived from the voltage, so that charging lifts it to 100 % (§7).
    per_12 = volts * 12 / charger.world.battery.nominal
    soc = round(100 * min(1.0, max(0.0, (per_12 - 11.2) / 1.7)))
    return {
        0x311A: soc,
        0x311B: signed_hundredths(charger.battery_celsius) if state.remote_sensor else NO_SENSOR,
        0x311D: hundredths(state.system),
        0x331A: hundredths(volts),
        **long_words(0x331B, net),
        0x331D: signed_hundredths(charger.battery_celsius),
        0x331E: NO_SENSOR,
    }


def _counted(statistics: TracerStatistics) -> dict[int, int]:
    words = {
        0x3300: hundredths(statistics.array.high),
        0x3301: hundredths(statistics.array.low),
        0x3302: hundredths(statistics.battery.high),
        0x3303: hundredths(statistics.battery.low),
    }
    for first, energy in ((0x3304, statistics.consumed), (0x330C, statistics.generated)):
        for offset, kwh in enumerate((energy.today, energy.month, energy.year, energy.total)):
            words |= counted_words(first + 2 * offset, kwh)
    return words | counted_words(0x3314, statistics.generated.total * 0.997 / 1000)
