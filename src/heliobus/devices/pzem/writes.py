"""What may be commanded of a PZEM meter (pzem.md §5 to §7; the maker's manuals).

Never declared: the factory calibration (0x41) and the password that goes with it. Address and shunt are no commands:
`heliobus pzem` changes them, with one meter on the line.
"""

from collections.abc import Iterable

from heliobus.devices.driver import Register
from heliobus.devices.pzem import points as pzem
from heliobus.devices.writes import WRITE_SINGLE, Request, Settings, Span, Writes
from heliobus.model import vocabulary as v
from heliobus.model.point import Point

RESET_ENERGY = 0x42
COUNTED_SINCE = 10.0
"""Wh that a meter may have counted by the time it is asked."""
THRESHOLDS: dict[Point, tuple[float, float]] = {
    pzem.SET_ALARM_POWER: (1, 25_000),
    pzem.SET_HIGH_VOLTAGE_ALARM: (5, 350),
    pzem.SET_LOW_VOLTAGE_ALARM: (1, 350),
}


def pzem_writes(registers: Iterable[Register]) -> Writes:
    """The declaration, for the registers of a meter."""
    by_point = {register.point: register for register in registers}
    thresholds = {point: limits for point, limits in THRESHOLDS.items() if point in by_point}
    return Writes(
        settings=Settings(
            groups=tuple((Span((by_point[point],)),) for point in thresholds),
            function=WRITE_SINGLE,
            ranges={point.name: limits for point, limits in thresholds.items()},
            spaced=False,
        ),
        requests=(Request(v.RESET_ENERGY, RESET_ENERGY, by_point[v.ENERGY_FORWARD_COUNTER], nearly=COUNTED_SINCE),),
    )
