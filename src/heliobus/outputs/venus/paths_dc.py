"""The paths of DC meters: dcsource, dcload, dcsystem, alternator. Source: venus.md §5.7, pzem.md §10.3.

Current and power are positive in the sense of the role: a source and an alternator produce, the others consume.
"""

from heliobus.outputs.venus.leaf import Constant, Leaf, RolePaths
from heliobus.outputs.venus.paths_control import METER_CONTROL

_MEASURED = (
    Leaf("/Dc/0/Voltage", "dc_voltage", "d"),
    Leaf("/Dc/0/Current", "dc_current", "d"),
    Leaf("/Dc/0/Power", "dc_power", "d"),
    Leaf("/Alarms/LowVoltage", "low_voltage_alarm", "i", if_known=True),
    Leaf("/Alarms/HighVoltage", "high_voltage_alarm", "i", if_known=True),
    *METER_CONTROL,
)
_PRODUCED = Leaf("/History/EnergyOut", "energy_forward", "d")
_CONSUMED = Leaf("/History/EnergyIn", "energy_forward", "d")
_MONITOR_MODE = Constant("/Settings/MonitorMode", "i", lambda device: device.placement.kind)

DC_SOURCE = RolePaths((*_MEASURED, _PRODUCED), (_MONITOR_MODE,), first_instance=60)
DC_LOAD = RolePaths((*_MEASURED, _CONSUMED), (_MONITOR_MODE,), first_instance=70)
DC_SYSTEM = RolePaths((*_MEASURED, _CONSUMED), first_instance=80)
ALTERNATOR = RolePaths((*_MEASURED, _PRODUCED), first_instance=90)
