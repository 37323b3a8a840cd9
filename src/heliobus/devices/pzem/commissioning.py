"""Setting up a PZEM meter that is alone on its line: its address, shunt, alarm, and an empty counter (pzem.md §7)."""

import asyncio
from typing import TypeVar

from heliobus.devices.pzem import requests
from heliobus.devices.pzem.meter import Meter, MeterError, RefusedError, ask, check_alone, check_free
from heliobus.devices.pzem.points import CURRENT_RANGE
from heliobus.devices.pzem.recognise import AC_INPUTS, DC_INPUTS
from heliobus.model.reading import Reason
from heliobus.wire.bus import BadFrame, Bus, BusError, LinkDown, NoAnswer
from heliobus.wire.framer import Request
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.modbus.coding import u32l
from heliobus.wire.modbus.pdu import WriteRegister

R = TypeVar("R")

LOOKS = 5
REFRESH = 0.5
"""Pause in seconds between looks at a counter that was reset: the meter renews its registers once a second."""
AC_ENERGY, DC_ENERGY = slice(5, 7), slice(4, 6)
EMPTY = 10
"""Wh; a counter below this after a reset was reset."""


async def renumber(bus: Bus, meter: Meter, address: int) -> None:
    """Give `meter` another address and see that it answers there and no more at the old one. Raises MeterError."""
    await check_alone(bus, meter)
    await check_free(bus, address)
    try:
        await bus.ask(meter.unit, requests.set_address(address), timing=requests.TIMING)
    except ModbusException as error:
        raise MeterError(f"the meter refused: {error}") from None
    except LinkDown as error:
        raise MeterError(str(error)) from None
    except (NoAnswer, BadFrame):
        # Its echo was lost, the address may be taken over all the same: the next question tells.
        pass
    try:
        found = await ask(bus, address, requests.READ_ADDRESS)
    except (BusError, ModbusException) as error:
        raise MeterError(f"no meter answers at address {address}: {error}; look for it without --unit") from None
    if found != (address,):
        raise MeterError(f"what answers at address {address} says that its address is {found[0]}")
    if meter.address is None:
        return
    try:
        await check_free(bus, meter.address)
    except RefusedError:
        raise MeterError(
            f"the meter has address {address} now, but something else still answers at {meter.address}"
        ) from None


async def set_shunt(bus: Bus, meter: Meter, amperes: int) -> None:
    """Have `meter` count with a shunt of so many amperes; its energy counter is not rescaled. Raises MeterError."""
    check_shunt(meter)
    await _write(bus, meter, requests.set_range(amperes))


def check_shunt(meter: Meter) -> None:
    """Raise RefusedError if `meter` has no shunt to choose."""
    if meter.is_ac or meter.reasons.get(CURRENT_RANGE.name) is Reason.NOT_SUPPORTED:
        raise RefusedError(f"this {meter.identity.model} has no shunt to choose; only a PZEM-017 has")


async def set_alarm_power(bus: Bus, meter: Meter, watts: int) -> None:
    """Move the power above which `meter` gives its alarm. Raises MeterError."""
    check_alarm_power(meter)
    await _write(bus, meter, requests.set_alarm_power(watts))


def check_alarm_power(meter: Meter) -> None:
    """Raise RefusedError if `meter` has no alarm of power."""
    if not meter.is_ac:
        raise RefusedError(f"a {meter.identity.model} has no alarm of power, only alarms of voltage")


async def reset_energy(bus: Bus, meter: Meter) -> None:
    """Set the energy counter of `meter` back to 0, and see that it is. Raises MeterError."""
    await check_alone(bus, meter)
    try:
        await bus.ask(meter.unit, requests.RESET_ENERGY, timing=requests.TIMING)
    except ModbusException as error:
        raise MeterError(f"the meter refused: {error}") from None
    except LinkDown as error:
        raise MeterError(str(error)) from None
    except (NoAnswer, BadFrame):
        # Its echo was lost; the counter tells whether it was done.
        pass
    for _ in range(LOOKS):
        words = await _asked(bus, meter, AC_INPUTS if meter.is_ac else DC_INPUTS)
        count = u32l.decode(words[AC_ENERGY if meter.is_ac else DC_ENERGY])
        if isinstance(count, int) and count < EMPTY:
            return
        await asyncio.sleep(REFRESH)
    raise MeterError(f"the energy counter was not set back: it reads {count} Wh")


async def _write(bus: Bus, meter: Meter, request: WriteRegister) -> None:
    """Write a setting and see that it reads back."""
    await check_alone(bus, meter)
    await _asked(bus, meter, request)
    (word,) = await _asked(bus, meter, requests.read_setting(request.address))
    if word != request.value:
        raise MeterError(f"the meter kept {word} in place of {request.value}")


async def _asked(bus: Bus, meter: Meter, request: Request[R]) -> R:
    try:
        return await ask(bus, meter.unit, request)
    except (BusError, ModbusException) as error:
        raise MeterError(str(error)) from None
