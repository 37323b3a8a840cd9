"""Finding and reading one PZEM meter on a line, and proving that it is alone there (pzem.md §3).

The meters answer to a general address too, all at once: what is garbled there are several meters.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from heliobus.devices import pzem_ac, pzem_dc
from heliobus.devices.driver import Driver, NotOurs, Recognised
from heliobus.devices.identify import UNSUPPORTED_EXCEPTIONS, identify
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import plan, rtu_cost
from heliobus.devices.pzem import requests
from heliobus.devices.pzem.points import GENERAL_ADDRESS, MODBUS_ADDRESS
from heliobus.devices.pzem.recognise import AC_MODEL, DC_INPUTS, DC_MODEL, VENDOR, recogniser
from heliobus.model.device import Identity
from heliobus.model.point import Value
from heliobus.model.reading import Reason
from heliobus.wire.bus import BadFrame, Bus, BusError, LinkDown, NoAnswer
from heliobus.wire.framer import Request
from heliobus.wire.modbus.answer import ModbusException

TRIES = 3
KNOCKS = 2
"""Questions to an address before it is called free."""
ROUNDS = 3
"""Pairs of questions to the general address before it is believed that one meter is alone."""
COST = rtu_cost(9600, 0.03)

R = TypeVar("R")


class MeterError(Exception):
    """It came to nothing; the text is one line."""


class RefusedError(MeterError):
    """It must not be done here; nothing was written."""


@dataclass(frozen=True, slots=True, eq=False)
class Meter:
    """A meter that was read at `unit`, its own address or the general one; `values` and `reasons` by point name."""

    unit: int
    driver: Driver
    identity: Identity
    values: Mapping[str, Value]
    reasons: Mapping[str, Reason]

    @property
    def address(self) -> int | None:
        """The address it has stored for itself, None if it does not say."""
        address = self.values.get(MODBUS_ADDRESS.name)
        return address if isinstance(address, int) else None

    @property
    def is_ac(self) -> bool:
        """Whether it measures AC."""
        return self.driver is pzem_ac.DRIVER


async def find(bus: Bus, unit: int, driver: Driver | None = None) -> Meter:
    """The meter at `unit`, read completely; `driver` for one that is not to be recognised. Raises MeterError."""
    try:
        identity, driver = await _recognise(bus, unit, driver)
        values, reasons = await _read(bus, unit, driver)
    except BadFrame as error:
        raise (_crowd(error) if unit == GENERAL_ADDRESS else MeterError(str(error))) from None
    except NoAnswer:
        raise MeterError(f"{bus.name}: {_silence(unit)}") from None
    except (BusError, ModbusException) as error:
        raise MeterError(str(error)) from None
    meter = Meter(unit, driver, identity, values, reasons)
    if unit != GENERAL_ADDRESS and meter.address not in (None, unit):
        raise MeterError(f"what answers at address {unit} says that its address is {meter.address}")
    return meter


async def check_alone(bus: Bus, meter: Meter) -> None:
    """Raise RefusedError if more than one meter answers on this line, MeterError if the line is down."""
    overheard = bus.statistics.foreign_frames
    for _ in range(ROUNDS):
        try:
            (address,) = await bus.ask(GENERAL_ADDRESS, requests.READ_ADDRESS, timing=requests.TIMING)
            # Meters of one address still measure different values.
            await bus.ask(GENERAL_ADDRESS, DC_INPUTS, timing=requests.TIMING)
        except BadFrame as error:
            raise _crowd(error) from None
        except LinkDown as error:
            raise MeterError(str(error)) from None
        except (NoAnswer, ModbusException):
            # Some copies do not know the general address; then nothing speaks against the one that was found.
            continue
        if meter.address is not None and address != meter.address:
            raise RefusedError(f"a meter of address {address} answers too: connect one meter alone")
    if bus.statistics.foreign_frames > overheard:
        # One that is slower than the other comes through whole, right behind it.
        raise RefusedError("more is said on this line than one meter answers: connect one meter alone")


async def check_free(bus: Bus, address: int) -> None:
    """Raise RefusedError if anything answers at `address`, be it with a refusal or garbled; MeterError as above."""
    for _ in range(KNOCKS):
        try:
            await bus.ask(address, requests.READ_ADDRESS, timing=requests.TIMING)
        except NoAnswer:
            continue
        except LinkDown as error:
            raise MeterError(str(error)) from None
        except (BadFrame, ModbusException):
            pass
        raise RefusedError(f"address {address} is taken: something answers there")


async def ask(bus: Bus, unit: int, request: Request[R]) -> R:
    """The answer, asked for again where one was lost; only for what may be sent twice. BusError, ModbusException."""
    return await _again(lambda: bus.ask(unit, request, timing=requests.TIMING))


async def _again(attempt: Callable[[], Awaitable[R]]) -> R:
    for _ in range(TRIES - 1):
        try:
            return await attempt()
        except (NoAnswer, BadFrame):
            continue
    return await attempt()


async def _recognise(bus: Bus, unit: int, driver: Driver | None) -> tuple[Identity, Driver]:
    if driver is not None:
        return Identity(VENDOR, AC_MODEL if driver is pzem_ac.DRIVER else DC_MODEL), driver
    either = replace(pzem_ac.DRIVER, recognise=lambda: recogniser(ac=pzem_ac.DRIVER, dc=pzem_dc.DRIVER))
    verdict: Recognised | NotOurs = await _again(lambda: identify(bus, unit, either))
    if isinstance(verdict, NotOurs):
        raise MeterError(verdict.why)
    return verdict.identity, verdict.driver


async def _read(bus: Bus, unit: int, driver: Driver) -> tuple[Mapping[str, Value], Mapping[str, Reason]]:
    image = Image(driver)
    image.add(Slot(block, driver.poll_period, 0.0) for block in plan(driver.registers, driver.limits, COST))
    waiting = list(image.slots)
    while waiting:
        slot = waiting.pop(0)
        try:
            words = await ask(bus, unit, slot.request)
        except ModbusException as refusal:
            if refusal.code not in UNSUPPORTED_EXCEPTIONS:
                raise
            waiting += image.refuse(slot)
            continue
        image.answer(slot, words, 0.0)
    return image.snapshot()


def _crowd(error: BusError) -> RefusedError:
    return RefusedError(
        f"what answers at the general address is garbled: more than one meter is on this line, or its wiring is bad; "
        f"connect one alone to change it; --unit looks at one of several ({error})"
    )


def _silence(unit: int) -> str:
    who = "no meter" if unit == GENERAL_ADDRESS else f"no meter of address {unit}"
    return f"{who} answers: an AC meter needs mains, a DC meter 5 V on its RS-485 side, and A and B may be swapped"
