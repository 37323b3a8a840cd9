"""The status words as faults: error numbers and ids, alarms, words (epever.md §8.3, §16). Pure.

Bit D1 of 0x3201, "fault", is set for hours on chargers that charge normally, so nothing follows from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from heliobus.devices.epever import points as ep
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value, flag_words

WARNING, ALARM = 1, 2
OVER_VOLTAGE, UNDER_VOLTAGE, DISCONNECTED, BATTERY_FAULT = 1, 2, 3, 4
HOT, COLD = 1, 2
NO_INPUT, INPUT_HIGH, INPUT_ERROR = 1, 2, 3
OVERLOAD = 3


def _bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


RATED_VOLTAGE = _bits(15)
POWER_STAGE = _bits(4, 6, 11, 12, 13)
INPUT_CURRENT = _bits(10)
LOAD_SHORT, LOAD_OVER_CURRENT, LOAD_OUTPUT_SHORT = _bits(8), _bits(9), _bits(11)


@dataclass(frozen=True, slots=True)
class Status:
    """The status words, taken apart. What a model does not have reads as no fault."""

    voltage: int
    temperature: int
    battery: int
    charging: int
    pv_input: int
    load: int
    load_level: int
    hot: bool
    night: bool

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Self | None:
        """The status in `values`; None without the words of battery and charger."""

        def word(point: Point) -> int | None:
            value = values.get(point.name)
            return value if isinstance(value, int) else None

        voltage, temperature = word(ep.BATTERY_VOLTAGE_STATUS), word(ep.BATTERY_TEMPERATURE_STATUS)
        battery, charging = word(ep.BATTERY_FAULT_BITS), word(ep.CHARGING_FAULT_BITS)
        pv_input = word(ep.PV_INPUT_STATUS)
        if voltage is None or temperature is None or battery is None or charging is None or pv_input is None:
            return None
        return cls(
            voltage=voltage,
            temperature=temperature,
            battery=battery,
            charging=charging,
            pv_input=pv_input,
            load=word(ep.LOAD_FAULT_BITS) or 0,
            load_level=word(ep.LOAD_LEVEL) or 0,
            hot=bool(word(ep.OVER_TEMPERATURE)),
            night=bool(word(ep.NIGHT)),
        )

    @property
    def charger_fault(self) -> bool:
        """Whether the charger cannot work; faults of the load output and of the battery's resistance do not count."""
        return bool(
            self.voltage == BATTERY_FAULT
            or self.battery & RATED_VOLTAGE
            or self.charging & POWER_STAGE
            or self.pv_input in (INPUT_HIGH, INPUT_ERROR)
        )

    @property
    def protecting(self) -> bool:
        """Whether it may have stopped to protect itself or the battery."""
        return bool(
            self.charger_fault
            or self.charging & INPUT_CURRENT
            or self.voltage == OVER_VOLTAGE
            or self.temperature == HOT
            or self.hot
        )

    @property
    def no_input(self) -> bool:
        """Whether the array gives nothing."""
        return self.pv_input == NO_INPUT

    @property
    def battery_cold(self) -> bool:
        """Whether the battery is below its lowest temperature."""
        return self.temperature == COLD

    @property
    def load_short(self) -> bool:
        """Whether the load output is shorted."""
        return bool(self.charging & LOAD_SHORT or self.load & LOAD_OUTPUT_SHORT)

    @property
    def overload(self) -> bool:
        """Whether the load output has more to give than it can."""
        return bool(self.charging & LOAD_OVER_CURRENT or self.load_level == OVERLOAD)


@dataclass(frozen=True, slots=True)
class Error:
    """`number` is that of `charger_error`, 0 where the charger is not concerned; `id` is that of `error_ids`."""

    number: int
    id: str


def errors(status: Status) -> tuple[Error, ...]:
    """The errors and then the warnings there are, the most severe first."""
    table = (
        (Error(28, "epever:e-28"), status.charging & POWER_STAGE),
        (Error(119, "epever:e-119"), status.battery & RATED_VOLTAGE),
        (Error(33, "epever:e-33"), status.pv_input == INPUT_HIGH),
        (Error(34, "epever:e-34"), status.charging & INPUT_CURRENT),
        (Error(2, "epever:e-2"), status.voltage == OVER_VOLTAGE),
        (Error(1, "epever:e-1"), status.temperature == HOT),
        (Error(17, "epever:e-17"), status.hot),
        (Error(0, "epever:e-8"), status.load_short),
        (Error(0, "epever:w-9"), status.overload),
    )
    return tuple(error for error, there in table if there)


def faults_of(status: Status | None) -> dict[str, Value]:
    """The points of errors, alarms and words; all None without a status."""
    if status is None:
        return dict.fromkeys(
            point.name
            for point in (
                v.CHARGER_ERROR,
                v.ERROR_IDS,
                v.HIGH_VOLTAGE_ALARM,
                v.LOW_VOLTAGE_ALARM,
                v.HIGH_TEMPERATURE,
                v.LOW_TEMPERATURE_ALARM,
                v.SHORT_CIRCUIT_ALARM,
                v.GENERAL_ALARM,
                v.FAULT_TEXT,
            )
        )
    found = errors(status)
    return {
        v.CHARGER_ERROR.name: next((error.number for error in found if error.number), 0),
        v.ERROR_IDS.name: ",".join(error.id for error in found),
        v.HIGH_VOLTAGE_ALARM.name: ALARM * (status.voltage == OVER_VOLTAGE),
        v.LOW_VOLTAGE_ALARM.name: {UNDER_VOLTAGE: WARNING, DISCONNECTED: ALARM}.get(status.voltage, 0),
        v.HIGH_TEMPERATURE.name: ALARM * (status.temperature == HOT or status.hot),
        v.LOW_TEMPERATURE_ALARM.name: ALARM * status.battery_cold,
        v.SHORT_CIRCUIT_ALARM.name: ALARM * status.load_short,
        v.GENERAL_ALARM.name: ALARM if status.charger_fault else WARNING * _something_else(status),
        v.FAULT_TEXT.name: "; ".join(_words(status)),
    }


def _something_else(status: Status) -> bool:
    return bool(status.battery or status.charging or status.load or status.load_level == OVERLOAD or status.hot)


def _words(status: Status) -> list[str]:
    words = []
    if status.voltage:
        words.append(f"battery: {ep.BATTERY_VOLTAGE_STATUS.text(status.voltage)}")
    if status.temperature:
        words.append(f"battery: {ep.BATTERY_TEMPERATURE_STATUS.text(status.temperature)}")
    words += [f"battery: {word}" for word in flag_words(ep.BATTERY_FAULT_BITS, status.battery)]
    words += [f"charger: {word}" for word in flag_words(ep.CHARGING_FAULT_BITS, status.charging)]
    if status.pv_input in (INPUT_HIGH, INPUT_ERROR):
        words.append(f"array: {ep.PV_INPUT_STATUS.text(status.pv_input)}")
    if status.hot:
        words.append("charger: over-temperature")
    words += [f"load: {word}" for word in flag_words(ep.LOAD_FAULT_BITS, status.load)]
    if status.load_level == OVERLOAD:
        words.append("load: overload")
    return words
