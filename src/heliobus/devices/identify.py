"""Asks a device who it is, by the questions of a driver."""

from heliobus.devices.driver import Driver, NotOurs, Recognised
from heliobus.wire.bus import Bus, NoAnswer
from heliobus.wire.modbus.answer import ModbusException

GATEWAY_EXCEPTIONS = frozenset({10, 11})
"""Exceptions in which a gateway says that the device behind it is silent."""


async def identify(bus: Bus, unit: int, driver: Driver) -> Recognised | NotOurs:
    """The driver's verdict. Raises BusError when the device is silent, ModbusException when a gateway says it is."""
    questions = driver.recognise()
    answer: object = None
    while True:
        try:
            ask = questions.send(answer)
        except StopIteration as verdict:
            result = verdict.value
            assert isinstance(result, Recognised | NotOurs)
            return result
        try:
            answer = await bus.ask(unit, ask.request, timing=driver.timing)
        except ModbusException as refusal:
            if refusal.code in GATEWAY_EXCEPTIONS and not ask.optional:
                raise
            answer = None
        except NoAnswer:
            if not ask.optional:
                raise
            answer = None
