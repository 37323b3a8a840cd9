"""Lets the loop's time pass for simulated devices."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType

from heliobus.sim.device import SimDevice

_PERIOD = 0.25


class Stepper:
    """Advances devices by loop time × `speed`: in the background every 0.25 s, and whenever `catch_up` is called."""

    def __init__(self, devices: Iterable[SimDevice], speed: float = 1.0) -> None:
        # One device may answer for several unit ids; time passes for it once.
        self._devices = list({id(device): device for device in devices}.values())
        self._speed = speed
        self._last = asyncio.get_running_loop().time()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Stepper":
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def catch_up(self) -> None:
        """Let the time since the last call pass for the devices."""
        now = asyncio.get_running_loop().time()
        elapsed, self._last = now - self._last, now
        for device in self._devices:
            device.advance(elapsed * self._speed)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD)
            self.catch_up()
