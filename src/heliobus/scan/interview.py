"""Whether a unit is there, and which driver knows it: by reads alone, and no question twice."""

from typing import Any, TypeVar, cast

from heliobus.devices.driver import Driver, NotOurs, Recognised
from heliobus.devices.identify import GATEWAY_EXCEPTIONS, identify
from heliobus.wire.bus import DEFAULT, BadFrame, Bus, BusError, NoAnswer, Timing
from heliobus.wire.framer import Request
from heliobus.wire.modbus.answer import ModbusException

R = TypeVar("R")
TRIES = 2
"""How often a question is put that has not been answered."""
READING = frozenset({1, 2, 3, 4, 43})
"""The function codes that only read."""
Outcome = object | ModbusException


class Interviewer:
    """Asks the units of one bus, and remembers what they said."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._answers: dict[tuple[int, Any], Outcome] = {}
        self._failures: dict[tuple[int, Any], int] = {}

    async def ask(self, unit: int, request: Request[R], *, timing: Timing = DEFAULT) -> R:
        """As `Bus.ask`, from memory where it has been answered, refused, or not answered `TRIES` times."""
        function = request.function  # type: ignore[attr-defined]
        if function not in READING:
            raise ValueError(f"function {function} is not a read")
        key = (unit, request)
        if key not in self._answers:
            if self._failures.get(key, 0) >= TRIES:
                raise NoAnswer(f"{self.bus.name} unit {unit}: has not answered this before")
            try:
                self._answers[key] = await self.bus.ask(unit, request, timing=timing)
            except ModbusException as refusal:
                self._answers[key] = refusal
            except BusError:
                self._failures[key] = self._failures.get(key, 0) + 1
                raise
        answer = self._answers[key]
        if isinstance(answer, ModbusException):
            raise answer
        return cast(R, answer)

    async def is_there(self, unit: int, question: Request[object], short: Timing, long: Timing) -> bool:
        """Whether the unit answers `question`, in whatever way. Raises LinkDown."""
        for timing in (short, long):
            try:
                await self.ask(unit, question, timing=timing)
            except ModbusException as refusal:
                return refusal.code not in GATEWAY_EXCEPTIONS
            except NoAnswer:
                return False
            except BadFrame:
                # Half an answer, noise, or the answer of another: worth a second question.
                continue
            return True
        return False

    async def recognise(self, unit: int, drivers: tuple[Driver, ...]) -> Recognised | str:
        """Who it is by the first driver that knows it, or what the drivers said of it in place of that."""
        said: list[str] = []
        for driver in drivers:
            try:
                verdict = await identify(self, unit, driver)
            except (BusError, ModbusException) as error:
                said.append(f"{driver.name}: {error}")
                continue
            if isinstance(verdict, NotOurs):
                said.append(verdict.why)
                continue
            return verdict
        return "; ".join(dict.fromkeys(said)) or "no driver for this speed"
