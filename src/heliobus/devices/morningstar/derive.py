"""What a TriStar MPPT does not say outright but what follows from what it says. Pure."""

from collections.abc import Mapping

from heliobus.devices.morningstar import points as ts
from heliobus.devices.morningstar.system_voltage import system_voltage
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value, flag_words

DERIVED: tuple[Point, ...] = (
    v.PV_POWER,
    v.BATTERY_TEMPERATURE,
    v.CHARGER_STATE,
    v.CHARGER_ERROR,
    v.CHARGER_ENABLED,
    v.MPP_MODE,
    v.OFF_REASON,
    v.HIGH_TEMPERATURE,
    v.GENERAL_ALARM,
    v.HIGH_VOLTAGE_ALARM,
    v.SHORT_CIRCUIT_ALARM,
    v.FAULT_TEXT,
    v.NOMINAL_VOLTAGE,
    v.RATED_CURRENT,
    ts.SYSTEM_MULTIPLIER,
    ts.SYSTEM_EVIDENCE,
    ts.BATTERY_PROGRAM,
    ts.AUTO_EQUALIZE,
    ts.NETWORK_WRITES,
)

START, NIGHT_CHECK, DISCONNECT, NIGHT, FAULT, MPPT, ABSORPTION, FLOAT, EQUALIZE, SLAVE, FIXED = range(11)

OFF, FAILED, BULK, ABSORBING, FLOATING, EQUALIZING, EXTERNAL = 0, 2, 3, 4, 5, 7, 252
STATES = {
    START: OFF,
    NIGHT_CHECK: OFF,
    DISCONNECT: OFF,
    NIGHT: OFF,
    FAULT: FAILED,
    MPPT: BULK,
    ABSORPTION: ABSORBING,
    FLOAT: FLOATING,
    EQUALIZE: EQUALIZING,
    SLAVE: EXTERNAL,
    FIXED: BULK,
}

# Bit → number of `charger_error`, the most severe first.
FAULT_ERRORS = {1: 28, 2: 28, 0: 18, 3: 2, 4: 33, 9: 116, 11: 67, 7: 3, 8: 5, 5: 119, 6: 119}
ALARM_ERRORS = {15: 28, 16: 28, 14: 19, 12: 2, 10: 116, 11: 4, 1: 3, 2: 5, 3: 22, 4: 22, 8: 6, 9: 8}

RTS_OPEN = 1 << 0
HEAT_LIMIT = 1 << 5
LIMITING_ALARMS = 1 << 5 | 1 << 6 | 1 << 17
HVD_FAULT = 1 << 3
HVD_ALARM = 1 << 12
FETS_SHORTED = 1 << 1
RATED_AMPERES = {0: 45, 1: 60, 2: 30}
NO_INPUT, MODE_REGISTER, PROTECTION, ANALYSING = 1 << 0, 1 << 2, 1 << 4, 1 << 8


def derive(
    values: Mapping[str, Value], fault_bits: Point = ts.FAULT_BITS, alarm_bits: Point = ts.ALARM_BITS
) -> Mapping[str, Value]:
    """The `DERIVED` points from those that were read; None where what they follow from is missing.

    `fault_bits` and `alarm_bits` bring the words of the model's faults and alarms.
    """
    state = _number(values, ts.CHARGE_STATE)
    faults = _number(values, ts.FAULT_BITS)
    alarms = _number(values, ts.ALARM_BITS)
    switches = _number(values, ts.DIP_SWITCHES)
    disconnect = _number(values, ts.CHARGE_DISCONNECT)
    model = _number(values, ts.MODEL_NUMBER)
    multiplier, evidence = system_voltage(values)
    return {
        # The array current is good to ±20 % only, so the output power is the best figure there is.
        v.PV_POWER.name: values.get(v.BATTERY_POWER.name),
        # Without a sensor at the battery the regulation temperature is that of the controller's case.
        v.BATTERY_TEMPERATURE.name: values.get(ts.RTS_TEMPERATURE.name),
        v.CHARGER_STATE.name: None if state is None else STATES.get(state, OFF),
        v.CHARGER_ERROR.name: _error(faults, alarms),
        v.CHARGER_ENABLED.name: None if disconnect is None else 1 - disconnect,
        v.MPP_MODE.name: _mpp_mode(state, alarms),
        v.OFF_REASON.name: _off_reason(state, disconnect),
        v.HIGH_TEMPERATURE.name: None if alarms is None else int(bool(alarms & HEAT_LIMIT)),
        v.GENERAL_ALARM.name: None if faults is None else 2 * bool(faults),
        v.HIGH_VOLTAGE_ALARM.name: _high_voltage(faults, alarms),
        v.SHORT_CIRCUIT_ALARM.name: None if faults is None else 2 * bool(faults & FETS_SHORTED),
        v.FAULT_TEXT.name: _fault_text(fault_bits, faults, alarm_bits, alarms),
        v.NOMINAL_VOLTAGE.name: None if multiplier is None else 12 * multiplier,
        v.RATED_CURRENT.name: None if model is None else RATED_AMPERES.get(model),
        ts.SYSTEM_MULTIPLIER.name: multiplier,
        ts.SYSTEM_EVIDENCE.name: evidence,
        ts.BATTERY_PROGRAM.name: None if switches is None else _program(switches),
        ts.AUTO_EQUALIZE.name: None if switches is None else switches >> 6 & 1,
        ts.NETWORK_WRITES.name: None if switches is None else switches >> 7 & 1,
    }


def _number(values: Mapping[str, Value], point: Point) -> int | None:
    value = values.get(point.name)
    return value if isinstance(value, int) else None


def _error(faults: int | None, alarms: int | None) -> int | None:
    if faults is None or alarms is None:
        return None
    for bits, errors in ((faults, FAULT_ERRORS), (alarms, ALARM_ERRORS)):
        for bit, error in errors.items():
            if bits >> bit & 1:
                return error
    return 0


def _mpp_mode(state: int | None, alarms: int | None) -> int | None:
    if state is None:
        return None
    if state == MPPT:
        return 1 if alarms is not None and alarms & LIMITING_ALARMS else 2
    return 1 if state in (ABSORPTION, FLOAT, EQUALIZE, SLAVE, FIXED) else 0


def _off_reason(state: int | None, disconnect: int | None) -> int | None:
    if state is None:
        return None
    if state == DISCONNECT:
        return MODE_REGISTER if disconnect else PROTECTION
    return {START: ANALYSING, NIGHT_CHECK: NO_INPUT, NIGHT: NO_INPUT, FAULT: PROTECTION}.get(state, 0)


def _high_voltage(faults: int | None, alarms: int | None) -> int | None:
    if faults is None or alarms is None:
        return None
    return 2 * bool(faults & HVD_FAULT or alarms & HVD_ALARM)


def _fault_text(fault_bits: Point, faults: int | None, alarm_bits: Point, alarms: int | None) -> str | None:
    if faults is None or alarms is None:
        return None
    # An open RTS is normal where none is installed.
    words = [f"fault: {word}" for word in flag_words(fault_bits, faults)]
    words += [f"alarm: {word}" for word in flag_words(alarm_bits, alarms & ~RTS_OPEN)]
    return "; ".join(words)


def _program(switches: int) -> int:
    """Switches 4, 5, 6 as the manual's table writes them: switch 4 is the left digit."""
    return (switches >> 3 & 1) << 2 | (switches >> 4 & 1) << 1 | switches >> 5 & 1
