"""What the ledger takes from a reading."""

from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.model import vocabulary as points
from heliobus.model.point import Value
from heliobus.model.reading import Reading

# Beyond this no counter and no measurement of a charger is real; it also keeps NaN and infinity out of the file.
LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a charger, in the vocabulary's units; None is a value that was not measured.

    `energy_day` is in Wh, `energy_total` in kWh, `charge_total` in Ah, `operating_hours` in h, `time_*` in s.
    """

    time: float
    energy_day: float | None = None
    energy_total: float | None = None
    charge_total: float | None = None
    operating_hours: float | None = None
    time_absorption: float | None = None
    time_float: float | None = None
    time_equalize: float | None = None
    charger_state: int | None = None
    charger_error: int | None = None
    pv_voltage: float | None = None
    battery_voltage: float | None = None
    battery_current: float | None = None
    power: float | None = None
    rated_current: float | None = None
    day_power_max: float | None = None
    day_pv_voltage_max: float | None = None
    day_battery_voltage_min: float | None = None
    day_battery_voltage_max: float | None = None

    @property
    def measured(self) -> bool:
        """Whether there is anything here that an account could keep."""
        return not (
            self.battery_voltage is None
            and self.energy_day is None
            and self.pv_voltage is None
            and self.battery_current is None
            and self.power is None
            and self.charger_state is None
        )


def sample_of(reading: Reading) -> Sample:
    """The ledger's part of `reading`."""
    values = reading.values
    power = number_in(values, points.PV_POWER.name)
    state = number_in(values, points.CHARGER_STATE.name)
    error = counter_in(values, points.CHARGER_ERROR.name)
    return Sample(
        reading.time,
        counter_in(values, points.ENERGY_DAY_COUNTER.name),
        counter_in(values, points.ENERGY_TOTAL_COUNTER.name),
        counter_in(values, points.CHARGE_TOTAL_COUNTER.name),
        counter_in(values, points.OPERATING_HOURS.name),
        counter_in(values, points.TIME_ABSORPTION_COUNTER.name),
        counter_in(values, points.TIME_FLOAT_COUNTER.name),
        counter_in(values, points.TIME_EQUALIZE_COUNTER.name),
        None if state is None else int(state),
        None if error is None else int(error),
        number_in(values, points.PV_VOLTAGE.name),
        number_in(values, points.BATTERY_VOLTAGE.name),
        number_in(values, points.BATTERY_CURRENT.name),
        number_in(values, points.BATTERY_POWER.name) if power is None else power,
        number_in(values, points.RATED_CURRENT.name),
        number_in(values, points.DAY_POWER_MAX.name),
        number_in(values, points.DAY_PV_VOLTAGE_MAX.name),
        number_in(values, points.DAY_BATTERY_VOLTAGE_MIN.name),
        number_in(values, points.DAY_BATTERY_VOLTAGE_MAX.name),
    )


def number_in(values: Mapping[str, Value], name: str) -> float | None:
    """The number of this name, None for what cannot be one."""
    value = values.get(name)
    if value is None or isinstance(value, str) or not -LARGEST < value < LARGEST:
        return None
    return value


def counter_in(values: Mapping[str, Value], name: str) -> float | None:
    """The number of this name that cannot be negative."""
    value = values.get(name)
    if value is None or isinstance(value, str) or not 0 <= value < LARGEST:
        return None
    return value
