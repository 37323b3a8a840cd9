"""The paths of `com.victronenergy.solarcharger`. Source: venus.md §5.1.

Without control the charger is passive: `/Link/*`, `/Settings/ChargeCurrentLimit` and `/Settings/BmsPresent` promise the
GX that the charger obeys its voltage and current limits (venus.md §5.4).
"""

from collections.abc import Callable

from heliobus.model.point import Value
from heliobus.outputs.venus.leaf import Constant, Leaf, RolePaths
from heliobus.outputs.venus.paths_control import CONTROL, LINK

# 1 on, 4 off
MODES = {1: 1, 0: 4}
MODE_WORDS = {1: "on", 4: "off"}

ERRORS = 4


def nth_word(n: int) -> Callable[[Value], Value]:
    """The nth of words with commas between them, None where there are fewer."""

    def of(value: Value) -> Value:
        words = [word for each in str(value).split(",") if (word := each.strip())]
        return words[n] if n < len(words) else None

    return of


SOLAR_CHARGER = RolePaths(
    leaves=(
        Leaf("/Dc/0/Voltage", "battery_voltage", "d"),
        Leaf("/Dc/0/Current", "battery_current", "d"),
        # The battery's own temperature; the GX may take it for the whole battery.
        Leaf("/Dc/0/Temperature", "battery_temperature", "d"),
        Leaf("/Pv/V", "pv_voltage", "d"),
        Leaf("/Pv/I", "pv_current", "d"),
        Leaf("/Yield/Power", "pv_power", "d"),
        Leaf("/Yield/User", "yield_total", "d"),
        Leaf("/Yield/System", "yield_total", "d"),
        Leaf("/State", "charger_state", "i"),
        Leaf("/MppOperationMode", "mpp_mode", "i"),
        Leaf("/Mode", "charger_enabled", "i", MODES, MODE_WORDS, command="charger_enabled"),
        Leaf("/ErrorCode", "charger_error", "i"),
        Leaf("/DeviceOffReason", "off_reason", "i"),
        Leaf("/Settings/ChargeTargetVoltage", "target_voltage", "d"),
        Leaf("/Settings/BatteryVoltageSetting", "nominal_voltage", "i"),
        Leaf("/Equalization/Pending", "equalize_requested", "i"),
        # A double on Victron's own chargers too.
        Leaf("/Equalization/TimeRemaining", "equalize_time_left", "d", if_known=True),
        Leaf("/Alarms/HighTemperature", "high_temperature", "i"),
        Leaf("/Alarms/Alarm", "general_alarm", "i"),
        Leaf("/Alarms/HighVoltage", "high_voltage_alarm", "i"),
        Leaf("/Alarms/ShortCircuit", "short_circuit_alarm", "i"),
        Leaf("/Alarms/LowVoltage", "low_voltage_alarm", "i", if_known=True),
        Leaf("/Alarms/LowTemperature", "low_temperature_alarm", "i", if_known=True),
        *(Leaf(f"/Error/{n}/Id", "error_ids", "s", if_known=True, of=nth_word(n)) for n in range(ERRORS)),
        Leaf("/Load/State", "load_state", "i", if_known=True),
        Leaf("/Load/I", "load_current", "d", if_known=True),
        *CONTROL,
        *LINK,
    ),
    constants=(Constant("/NrOfTrackers", "i", lambda device: 1),),
    first_instance=278,
    history=True,
)
