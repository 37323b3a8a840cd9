"""Asks a device who it is, by the questions of a driver."""

from heliobus.devices.driver import Ask, Driver, NotOurs, Recognised
from heliobus.wire.bus import Bus, BusError, Timing
from heliobus.wire.modbus.answer import ModbusException

GATEWAY_EXCEPTIONS = frozenset({10, 11})
"""Exceptions in which a gateway says that the device behind it is silent."""
UNSUPPORTED_EXCEPTIONS = frozenset({1, 2, 3})
"""Exceptions that say something about the device; all others are about the moment."""
PASSING_EXCEPTIONS = GATEWAY_EXCEPTIONS | {5, 6}
"""Exceptions that say nothing about what the device knows: a silent one, and one that is busy."""
OPTIONAL_TRIES = 2


async def identify(bus: Bus, unit: int, driver: Driver, timing: Timing | None = None) -> Recognised | NotOurs:
    """The driver's verdict. Raises BusError when the device is silent, ModbusException when it cannot answer now."""
    timing = timing or driver.timing
    questions = driver.recognise()
    answer: object = None
    while True:
        try:
            ask = questions.send(answer)
        except StopIteration as verdict:
            result = verdict.value
            assert isinstance(result, Recognised | NotOurs)
            return result
        answer = await (_ask_softly if ask.optional else _ask)(bus, unit, ask, timing)


async def _ask(bus: Bus, unit: int, ask: Ask, timing: Timing) -> object:
    """The answer, or None when the device refuses."""
    try:
        return await bus.ask(unit, ask.request, timing=timing)
    except ModbusException as refusal:
        if refusal.code in PASSING_EXCEPTIONS:
            raise
        return None


async def _ask_softly(bus: Bus, unit: int, ask: Ask, timing: Timing) -> object:
    """As `_ask`, but None also when nothing sensible comes; one lost frame must not hide what the device knows."""
    for _ in range(OPTIONAL_TRIES):
        try:
            return await _ask(bus, unit, ask, timing)
        except (BusError, ModbusException):
            continue
    return None
