"""Buttons that are requests of the vendor's own: sent exactly once, and judged by the counter they set back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from heliobus.control.plant import Plant
from heliobus.devices.terminal import RejectedError, TerminalError
from heliobus.devices.writes import Request
from heliobus.model.command import Done, Failed, Outcome
from heliobus.model.point import Value

log = logging.getLogger("heliobus.control")

SAVING_TIME = 10.0
LOOKS, LOOK_PAUSE = 3, 1.0
"""A meter renews what it shows about once a second (pzem.md §8)."""


class Requests:
    """The requests of one device. `save` puts our own counters on disk: what a counter had is known to nobody else."""

    def __init__(self, plant: Plant, save: Callable[[], Awaitable[None]]) -> None:
        self._plant = plant
        self._save = save

    async def send(self, request: Request) -> Outcome:
        """Send it once, whatever becomes of the answer, and see what the counter says."""
        plant, name = self._plant, request.point.name
        lost = ""
        try:
            before = await self._count(request)
            await self._save_ours()
            try:
                await plant.terminal.send(request)
            except RejectedError:
                raise
            except TerminalError as error:
                if not error.sent:
                    raise
                lost = str(error)
        except TerminalError as error:
            return Failed(str(error))
        finally:
            plant.refresh((request.counter.point.name,))
        after = await self._count_after(request)
        if after is not None and after <= request.nearly:
            if lost and before is not None and before <= request.nearly:
                return Failed(f"{name} was sent once, but its answer is lost ({lost}); the counter was at 0 before")
            return Done(1)
        if lost:
            return Failed(f"{name} was sent once, but its answer is lost ({lost}); it is not sent again")
        if after is None:
            return Done(1)
        return Failed(f"{name} was answered, but the counter reads {request.counter.point.text(after)}")

    async def _save_ours(self) -> None:
        try:
            async with asyncio.timeout(SAVING_TIME):
                await self._save()
        except TimeoutError:
            log.warning("%s: the disk does not answer, so its counters are not saved before", self._plant.name)

    async def _count(self, request: Request) -> float | None:
        """What the counter shows. Raises TerminalError."""
        register = request.counter
        value: Value = (await self._plant.terminal.values([register], {}))[register.point.name]
        return value if isinstance(value, int | float) else None

    async def _count_after(self, request: Request) -> float | None:
        after = None
        for _ in range(LOOKS):
            await asyncio.sleep(LOOK_PAUSE)
            try:
                after = await self._count(request)
            except TerminalError as error:
                log.debug("%s: its counter cannot be read: %s", self._plant.name, error)
                continue
            if after is not None and after <= request.nearly:
                break
        return after
