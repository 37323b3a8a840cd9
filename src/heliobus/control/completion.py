"""Finishing a change of stored settings that was interrupted, again and again until the device lets it be finished."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from heliobus.control.plant import Plant
from heliobus.control.recorder import Recorder
from heliobus.model import vocabulary as v
from heliobus.model.command import Command, Done, Failed

PAUSE, LONGEST_PAUSE = 5.0, 600.0
"""Between two tries, in seconds; one that fails costs the device something."""


class Recoverable(Protocol):
    """A change of settings that may have been interrupted."""

    @property
    def pending(self) -> bool:
        """Whether one was."""

    @property
    def failed(self) -> bool:
        """Whether the last one that ended did so as nobody wanted."""

    async def recover(self) -> str | None:
        """Finish it, and say in words how it ended; None while that is not possible."""


class Completion:
    """Has `change` finished. `see_through` keeps what was begun from being broken off."""

    def __init__(
        self,
        plant: Plant,
        change: Recoverable,
        recorder: Recorder,
        see_through: Callable[[Coroutine[Any, Any, str | None]], Coroutine[Any, Any, str | None]],
    ) -> None:
        self._plant = plant
        self._change = change
        self._recorder = recorder
        self._see_through = see_through
        self._over = asyncio.Event()
        if not change.pending:
            self._over.set()

    @property
    def over(self) -> bool:
        """Whether nothing that an earlier start left is to be finished."""
        return self._over.is_set()

    async def wait(self) -> None:
        """Wait until it is over."""
        await self._over.wait()

    async def once(self) -> None:
        """Work until nothing is left to finish."""
        plant, pause = self._plant, PAUSE
        while self._change.pending:
            # While a change is under way its journal is there too, and `busy` is held.
            if plant.answers and not plant.busy.locked():
                said = await self._see_through(self._change.recover())
                if said is not None:
                    command = Command(plant.name, v.APPLY_SETTINGS.name, "", "recovery")
                    outcome = Failed(said) if self._change.failed else Done(said)
                    await self._recorder.record(command, "", outcome)
                    pause = min(2 * pause, LONGEST_PAUSE)
            if self._change.pending:
                await asyncio.sleep(pause)
        self._over.set()

    async def run(self) -> None:
        """The same for ever: a change may be left unfinished at any time."""
        while True:
            await self.once()
            await asyncio.sleep(PAUSE)
