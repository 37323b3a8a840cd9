"""The declaration narrowed to what a family has and answers. Pure."""

from dataclasses import replace
from functools import cache

from heliobus.devices.driver import Driver, Table
from heliobus.devices.epever.families import Family
from heliobus.devices.epever.writes import tracer_writes


@cache
def fit(driver: Driver, family: Family) -> Driver:
    """`driver` without the input registers that `family` lacks, with requests no longer than it answers."""
    if not family.absent and family.max_count is None:
        return driver
    registers = tuple(
        register
        for register in driver.registers
        if register.table is not Table.INPUT or register.address not in family.absent
    )
    longest = min(driver.limits.max_count, family.max_count or driver.limits.max_count)
    return replace(
        driver,
        registers=registers,
        limits=replace(driver.limits, max_count=longest),
        writes=None if driver.writes is None else tracer_writes(registers),
    )
