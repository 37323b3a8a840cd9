"""The check names of the EPever monitoring program, so that what reads it can read this (epever-pzem-peers.md §1.1)."""

from collections.abc import Mapping

from heliobus.devices.driver import Alias
from heliobus.devices.epever import points as ep
from heliobus.model import vocabulary as v

CHECKS: Mapping[str, Alias] = {
    "pvvolt": Alias(v.PV_VOLTAGE.name),
    "pvamps": Alias(v.PV_CURRENT.name),
    "pvwatt": Alias(v.PV_POWER.name),
    "bavolt": Alias(v.BATTERY_VOLTAGE.name),
    "baamps": Alias(v.BATTERY_CURRENT.name),
    "bawatt": Alias(v.BATTERY_POWER.name),
    "batemp": Alias(ep.BATTERY_PROBE_TEMPERATURE.name),
    # That program prints the state of charge as a fraction.
    "baperc": Alias(ep.SOC_ESTIMATE.name, 0.01),
    "bastat": Alias(ep.BATTERY_STATUS.name),
    "eptemp1": Alias(ep.CONTROLLER_TEMPERATURE.name),
    "eptemp2": Alias(ep.POWER_STAGE_TEMPERATURE.name),
    "epstat": Alias(ep.CHARGING_STATUS.name),
    "dcvolt": Alias(v.LOAD_VOLTAGE.name),
    "dcamps": Alias(v.LOAD_CURRENT.name),
    "dcwatt": Alias(v.LOAD_POWER.name),
    "pvkwhtotal": Alias(v.ENERGY_TOTAL_COUNTER.name),
    "dckwhtotal": Alias(v.LOAD_ENERGY_TOTAL.name),
    "pvkwhtoday": Alias(v.ENERGY_DAY_COUNTER.name, 0.001),
    "dckwhtoday": Alias(v.LOAD_ENERGY_TODAY.name),
}
