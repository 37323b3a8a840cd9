"""One command after another, each seen through to its end and recorded, whoever stops waiting for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from heliobus.control.plant import Plant
from heliobus.control.recorder import Recorder
from heliobus.model.command import Command, Failed, Outcome, Refused

TURN_TIME = 90.0
"""How long a command waits for the one before it: what somebody wanted long ago must not happen by surprise."""

T = TypeVar("T")


class Turns:
    """The commands of one device.

    `known` waits a moment for what guards the device. `refusal` is asked when a command comes, and again when its turn
    has come; then `carry_out` is awaited.
    """

    def __init__(
        self,
        plant: Plant,
        recorder: Recorder,
        *,
        known: Callable[[], Awaitable[None]],
        refusal: Callable[[Command], str | None],
        carry_out: Callable[[Command], Awaitable[Outcome]],
    ) -> None:
        self._plant = plant
        self._recorder = recorder
        self._known = known
        self._refusal = refusal
        self._carry_out = carry_out
        self._turn = asyncio.Lock()
        self._jobs: set[asyncio.Task[Any]] = set()

    async def command(self, command: Command) -> Outcome:
        """Carry out `command` in its turn, and record how it ended."""
        return await self.see_through(self._perform(command))

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Do `work` to its end, though whoever wants it may be cancelled meanwhile: only `end` ends it."""
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return await asyncio.shield(job)

    async def end(self, patience: float) -> None:
        """Let what is under way end within `patience` seconds, and stop the rest."""
        if self._jobs:
            _, late = await asyncio.wait(self._jobs, timeout=patience)
            for job in late:
                job.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _perform(self, command: Command) -> Outcome:
        await self._known()
        old = self._plant.values.get(command.point)
        why = self._refusal(command)
        outcome: Outcome = Failed("it was interrupted")
        try:
            outcome = Refused(why) if why is not None else await self._in_turn(command)
        except asyncio.CancelledError:
            self._recorder.note(command, old, outcome)
            raise
        await self._recorder.record(command, old, outcome)
        return outcome

    async def _in_turn(self, command: Command) -> Outcome:
        try:
            async with asyncio.timeout(TURN_TIME):
                await self._turn.acquire()
        except TimeoutError:
            return Refused("another command is still being carried out")
        try:
            why = self._refusal(command)
            return Refused(why) if why is not None else await self._carry_out(command)
        finally:
            self._turn.release()
