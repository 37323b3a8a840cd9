"""Asks a device who it is, by the questions of a driver."""

from typing import Protocol, TypeVar

from heliobus.devices.driver import Ask, Driver, NotOurs, Recognised
from heliobus.wire.bus import BusError, Timing
from heliobus.wire.framer import Request
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.modbus.pdu import ReadDeviceIdentification, ReadRegisters

GATEWAY_EXCEPTIONS = frozenset({10, 11})
"""Exceptions in which a gateway says that the device behind it is silent."""
UNSUPPORTED_EXCEPTIONS = frozenset({1, 2, 3})
"""Exceptions that say something about the device; all others are about the moment."""
PASSING_EXCEPTIONS = GATEWAY_EXCEPTIONS | {5, 6}
"""Exceptions that say nothing about what the device knows: a silent one, and one that is busy."""
OPTIONAL_TRIES = 2


Refused = set[ReadRegisters | ReadDeviceIdentification]

R = TypeVar("R")


class Asker(Protocol):
    """A bus, or who asks one."""

    async def ask(self, unit: int, request: Request[R], *, timing: Timing = ...) -> R:
        """As `Bus.ask`."""


async def identify(
    bus: Asker, unit: int, driver: Driver, timing: Timing | None = None, refused: Refused | None = None
) -> Recognised | NotOurs:
    """The driver's verdict. Raises BusError when the device is silent, ModbusException when it cannot answer now.

    The requests that the device said it does not support are put into `refused`.
    """
    timing = timing or driver.timing
    questions = driver.recognise()
    answer: object = None
    refused = set() if refused is None else refused
    while True:
        try:
            ask = questions.send(answer)
        except StopIteration as verdict:
            result = verdict.value
            assert isinstance(result, Recognised | NotOurs)
            return result
        answer = await (_ask_softly if ask.optional else _ask)(bus, unit, ask, timing, refused)


async def _ask(bus: Asker, unit: int, ask: Ask, timing: Timing, refused: Refused) -> object:
    """The answer, or None when the device refuses."""
    try:
        return await bus.ask(unit, ask.request, timing=timing)
    except ModbusException as refusal:
        if refusal.code in PASSING_EXCEPTIONS:
            raise
        if refusal.code in UNSUPPORTED_EXCEPTIONS:
            refused.add(ask.request)
        return None


async def _ask_softly(bus: Asker, unit: int, ask: Ask, timing: Timing, refused: Refused) -> object:
    """As `_ask`, but None also when nothing sensible comes; one lost frame must not hide what the device knows."""
    for _ in range(OPTIONAL_TRIES):
        try:
            return await _ask(bus, unit, ask, timing, refused)
        except (BusError, ModbusException):
            continue
    return None
