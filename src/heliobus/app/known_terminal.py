"""A terminal that asks who is there before it goes on after trouble: an address may lead to another charger by then."""

import asyncio
import math
from typing import Any

from heliobus.devices.driver import Driver, NotOurs
from heliobus.devices.identify import identify
from heliobus.devices.plan import Cost
from heliobus.devices.terminal import RejectedError, Terminal, TerminalError, WriteRequest
from heliobus.wire.bus import Bus, BusError
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.modbus.pdu import ReadBits, ReadRegisters

SWAP_TIME = 20.0
"""Nobody puts another charger in the place of one that has just answered within so many seconds.

Longer than limits are renewed apart, so that a lost answer alone costs them no question.
"""
TRIES = 3
BELIEVED = 60.0
"""How long it is believed without asking, in seconds: a TCP peer that hangs up may be another one without trouble."""


class StrangerError(RejectedError):
    """Something else answers at the device's place: nothing was sent to it."""

    def __init__(self, why: str) -> None:
        super().__init__(why, code=0)


class _Witness(Bus):
    """The same bus, for the questions of an identification; remembers the last one and its answer."""

    def __init__(self, bus: Bus) -> None:
        self._inner = bus
        self.last: tuple[Any, object] | None = None

    async def ask(self, unit: int, request: Any, **how: Any) -> Any:
        answer = await self._inner.ask(unit, request, **{**how, "urgent": True})
        self.last = request, answer
        return answer


class KnownTerminal(Terminal):
    """A terminal of the device with this `serial` number, which has just said so."""

    def __init__(self, bus: Bus, unit: int, driver: Driver, cost: Cost, serial: str | None) -> None:
        super().__init__(bus, unit, driver, cost)
        self._serial = serial
        self._proof: tuple[Any, object] | None = None
        self._heard = -math.inf
        self._be_told()

    async def _read(self, request: ReadRegisters | ReadBits) -> tuple[int, ...]:
        await self._be_sure()
        answer = await super()._read(request)
        self._heard = _now()
        return answer

    async def _write(self, request: WriteRequest) -> None:
        await self._be_sure()
        await super()._write(request)
        self._heard = _now()

    def _be_told(self) -> None:
        """It has just said who it is."""
        self._sure = self._trouble()
        self._heard = _now()
        self._until = self._heard + BELIEVED

    def _trouble(self) -> tuple[int, ...]:
        """What counts up before another device can be at this place: lost answers and lost connections."""
        statistics = self._bus.statistics
        unit = statistics.unit(self.unit)
        return statistics.reconnects, unit.timeouts, unit.bad_frames

    async def _be_sure(self) -> None:
        """Raises StrangerError if it is another device, TerminalError while nobody says."""
        now = _now()
        if now < self._heard + SWAP_TIME or (now < self._until and self._trouble() == self._sure):
            return
        try:
            await self._ask()
        except (BusError, ModbusException) as error:
            raise TerminalError(str(error), sent=False) from error
        self._be_told()

    async def _ask(self) -> None:
        """Ask who is there; what proved it last is asked first, since it is one question instead of three."""
        timing = self.driver.timing
        if self._proof is not None:
            request, answer = self._proof
            for attempt in range(1, TRIES + 1):
                try:
                    said = await self._bus.ask(self.unit, request, timing=timing, urgent=True)
                except BusError:
                    if attempt == TRIES:
                        raise
                else:
                    if said == answer:
                        return
                    break
        witness = _Witness(self._bus)
        verdict = await identify(witness, self.unit, self.driver)
        if isinstance(verdict, NotOurs):
            raise StrangerError(verdict.why)
        if verdict.identity.serial != self._serial:
            raise StrangerError(
                f"the charger with serial number {verdict.identity.serial} answers in place of {self._serial}"
            )
        self._proof = witness.last


def _now() -> float:
    return asyncio.get_running_loop().time()
