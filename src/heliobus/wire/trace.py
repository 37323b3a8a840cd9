"""The last frames of a bus, kept for bug reports and told to whoever records."""

from collections import deque
from collections.abc import Callable
from typing import Literal, NamedTuple

Direction = Literal["tx", "rx"]


class Frame(NamedTuple):
    """Bytes that went over a link: `time` in UTC seconds since 1970, "tx" from here, "rx" to here."""

    time: float
    direction: Direction
    data: bytes


class Trace:
    """A ring of the last `size` frames."""

    def __init__(self, size: int = 256) -> None:
        self._ring: deque[Frame] = deque(maxlen=size)
        self._listeners: list[Callable[[Frame], None]] = []

    def add(self, time: float, direction: Direction, data: bytes) -> None:
        """Keep a frame and tell the listeners."""
        frame = Frame(time, direction, data)
        self._ring.append(frame)
        for listener in tuple(self._listeners):
            listener(frame)

    def frames(self) -> tuple[Frame, ...]:
        """What is kept, oldest first."""
        return tuple(self._ring)

    def subscribe(self, listener: Callable[[Frame], None]) -> Callable[[], None]:
        """Call `listener` with every frame from now on, until the function returned here is called."""
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe
