"""kill -9 at a chosen tick of a change of settings, for tests that walk all its steps."""

from collections.abc import Awaitable, Callable
from typing import Any


class Killed(BaseException):
    """kill -9."""


class Fuse:
    """Kills at tick `at`, and at every tick after; None never. With `after` False only what comes is killed."""

    def __init__(self, at: int | None, *, after: bool = True) -> None:
        self.ticks = 0
        self._at = at
        self._after = after

    async def burn(self, what: Callable[[], Awaitable[Any]]) -> Any:
        self._tick()
        try:
            return await what()
        finally:
            if self._after:
                self._tick()

    @property
    def blown(self) -> bool:
        return self._at is not None and self.ticks >= self._at

    def _tick(self) -> None:
        self.ticks += 1
        if self.blown:
            raise Killed
