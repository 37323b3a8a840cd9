"""What an EPever charger does not say outright but what follows from what it says (epever.md §16). Pure."""

from collections.abc import Mapping

from heliobus.devices.epever import points as ep
from heliobus.devices.epever import settings as st
from heliobus.devices.epever.faults import Status, faults_of
from heliobus.devices.epever.setpoints import convention, effective, nominal_voltage, number, ratio
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value

DERIVED: tuple[Point, ...] = (
    v.BATTERY_TEMPERATURE,
    v.CHARGER_STATE,
    v.CHARGER_ERROR,
    v.ERROR_IDS,
    v.MPP_MODE,
    v.OFF_REASON,
    v.TARGET_VOLTAGE,
    v.HIGH_VOLTAGE_ALARM,
    v.LOW_VOLTAGE_ALARM,
    v.HIGH_TEMPERATURE,
    v.LOW_TEMPERATURE_ALARM,
    v.SHORT_CIRCUIT_ALARM,
    v.GENERAL_ALARM,
    v.FAULT_TEXT,
    v.NOMINAL_VOLTAGE,
    ep.SETTINGS_CONVENTION,
    ep.SETTINGS_RATIO,
)

NOT_CHARGING, FLOAT, BOOST, EQUALIZE = range(4)
OFF, FAILED, BULK, ABSORBING, FLOATING, EQUALIZING = 0, 2, 3, 4, 5, 7
SETPOINTS = {FLOAT: st.SET_FLOAT_VOLTAGE, BOOST: st.SET_ABSORPTION_VOLTAGE, EQUALIZE: st.SET_EQUALIZE_VOLTAGE}
TRACKER_OFF, LIMITED, TRACKING = range(3)
NO_INPUT, PROTECTION, TOO_COLD = 1 << 0, 1 << 4, 1 << 9
TOLERANCE = 0.1
"""Volts per 12 V below a setpoint at which the charger is taken to hold it.

The page wants absorption left only 0.3 V below. What was before is not known here, so one threshold serves both ways:
under passing clouds the state may go back to bulk earlier than a charger with memory would say.
"""
HALF_COUNT = 0.005
"""Volts by which a voltage in hundredths may miss the true one."""
NO_PROBE = 25.0
"""°C that the charger shows without a probe, exactly."""
SAME_PROBE = 2.0
"""°C that one battery changes at most between two readings of its probe."""


def derive(values: Mapping[str, Value]) -> Mapping[str, Value]:
    """The `DERIVED` points from those that were read; None where what they follow from is missing."""
    nominal = nominal_voltage(values)
    temperature = battery_temperature(values)
    known = {**values, v.BATTERY_TEMPERATURE.name: temperature, v.NOMINAL_VOLTAGE.name: nominal}
    status = Status.of(values)
    stage = number(values, ep.CHARGE_STAGE)
    target = effective(known, SETPOINTS[int(stage)]) if stage in SETPOINTS else None
    held = _held(number(values, v.BATTERY_VOLTAGE), target, nominal)
    return {
        v.BATTERY_TEMPERATURE.name: temperature,
        v.NOMINAL_VOLTAGE.name: nominal,
        v.TARGET_VOLTAGE.name: None if target is None else round(target, v.TARGET_VOLTAGE.decimals),
        v.CHARGER_STATE.name: None if status is None or stage is None else _state(status, int(stage), held),
        v.MPP_MODE.name: None if stage is None else _mpp_mode(int(stage), held),
        v.OFF_REASON.name: None if status is None or stage is None else _off_reason(status, int(stage)),
        ep.SETTINGS_CONVENTION.name: convention(known),
        ep.SETTINGS_RATIO.name: ratio(known),
        **faults_of(status),
    }


def battery_temperature(values: Mapping[str, Value]) -> float | None:
    """The probe's temperature. Exactly 25.00 is believed only while a second reading of the probe is not 25.00 too."""
    first, second = number(values, ep.BATTERY_PROBE_TEMPERATURE), number(values, ep.BATTERY_PROBE_TEMPERATURE_B)
    if first != NO_PROBE:
        return first
    if second is None or second == NO_PROBE or abs(second - first) > SAME_PROBE:
        return None
    return first


def _held(volts: float | None, target: float | None, nominal: float | None) -> bool:
    """Whether the battery is at the voltage that the charger regulates to."""
    if volts is None or target is None or nominal is None:
        return False
    return volts >= target - TOLERANCE * nominal / 12 - HALF_COUNT


def _state(status: Status, stage: int, held: bool) -> int:
    if status.charger_fault:
        return FAILED
    if stage == BOOST:
        return ABSORBING if held else BULK
    return {FLOAT: FLOATING, EQUALIZE: EQUALIZING}.get(stage, OFF)


def _mpp_mode(stage: int, held: bool) -> int:
    if stage == NOT_CHARGING:
        return TRACKER_OFF
    return LIMITED if held else TRACKING


def _off_reason(status: Status, stage: int) -> int:
    if stage != NOT_CHARGING:
        return 0
    return (
        NO_INPUT * (status.no_input or status.night) | PROTECTION * status.protecting | TOO_COLD * status.battery_cold
    )
