"""The paths of single-phase AC meters: grid, genset, pvinverter, acload. Source: venus.md §5.6, pzem.md §10.2.

Power is positive in the sense of the role: taken from the grid, produced, or consumed.
"""

from collections.abc import Callable, Mapping

from heliobus.model.device import Device
from heliobus.model.placement import Position
from heliobus.model.point import Value
from heliobus.outputs.venus.item import fitting
from heliobus.outputs.venus.leaf import Constant, Leaf, RolePaths
from heliobus.outputs.venus.paths_control import METER_CONTROL

# venus.md §5.6 has 0 and 1 of the AC load the other way round than pzem.md §10.2; Victron's own words (gui-v2 issue
# 2089, node-red-contrib-victron pull request 545) agree with pzem.md: like an EV charger's, and unlike a PV inverter's.
LOAD_POSITIONS: Mapping[Position, int] = {Position.AC_OUTPUT: 0, Position.AC_INPUT_1: 1}
PV_POSITIONS: Mapping[Position, int] = {Position.AC_INPUT_1: 0, Position.AC_OUTPUT: 1, Position.AC_INPUT_2: 2}
PV_STANDBY, PV_RUNNING = 8, 7
GENSET_STANDBY, GENSET_RUNNING = 0, 8

_MEASURED = (
    Leaf("/Ac/Power", "ac_power", "d"),
    Leaf("/Ac/Frequency", "ac_frequency", "d"),
    Leaf("/Ac/PowerFactor", "ac_power_factor", "d"),
    Leaf("/Ac/Energy/Forward", "energy_forward", "d"),
    Leaf("/Ac/L{phase}/Voltage", "ac_voltage", "d"),
    Leaf("/Ac/L{phase}/Current", "ac_current", "d"),
    Leaf("/Ac/L{phase}/Power", "ac_power", "d"),
    Leaf("/Ac/L{phase}/PowerFactor", "ac_power_factor", "d"),
    Leaf("/Ac/L{phase}/Energy/Forward", "energy_forward", "d"),
    Leaf("/Alarms/HighPower", "high_power_alarm", "i", if_known=True),
    *METER_CONTROL,
)
# Invalid, not 0, where the meter has no direction.
_REVERSE = (
    Leaf("/Ac/Energy/Reverse", "energy_reverse", "d"),
    Leaf("/Ac/L{phase}/Energy/Reverse", "energy_reverse", "d"),
)


def _one_phase(device: Device) -> Value:
    """1, or None on L2 and L3: the GX takes 1 for L1, and without a number looks which phase has values."""
    return 1 if device.placement.phase == 1 else None


_EVERY = (
    Constant("/NrOfPhases", "i", _one_phase),
    Constant("/DeviceType", "i", lambda device: 0),
    Constant("/ErrorCode", "i", lambda device: 0),
)
# Says that a meter stands in for the device itself.
_GENERIC = Constant("/IsGenericEnergyMeter", "i", lambda device: 1)


def _status(running: int, standby: int) -> Leaf:
    words = {running: "running", standby: "standby"}
    return Leaf("/StatusCode", "ac_power", "i", words=words, of=_by_power(running, standby))


def _by_power(running: int, standby: int) -> Callable[[Value], Value]:
    def of(power: Value) -> Value:
        known = fitting("d", power)
        return None if not isinstance(known, float) else running if known > 0 else standby

    return of


GRID_METER = RolePaths((*_MEASURED, *_REVERSE), _EVERY, first_instance=30, refresh_time=True)
GENSET = RolePaths(
    (*_MEASURED, _status(GENSET_RUNNING, GENSET_STANDBY)), (*_EVERY, _GENERIC), first_instance=35, refresh_time=True
)
PV_INVERTER = RolePaths(
    (*_MEASURED, _status(PV_RUNNING, PV_STANDBY)),
    (*_EVERY, _GENERIC),
    first_instance=20,
    positions=PV_POSITIONS,
    refresh_time=True,
)
AC_LOAD = RolePaths(_MEASURED, (*_EVERY, _GENERIC), first_instance=40, positions=LOAD_POSITIONS, refresh_time=True)
