"""How a request on a bus may fail, and the pace at which a device may be asked."""

from dataclasses import dataclass


class BusError(Exception):
    """A request that came to nothing; the text is one line."""


class NoAnswer(BusError):  # noqa: N818 - what the field calls it
    """The unit did not answer in time, or its answer was lost."""


class BadFrame(BusError):  # noqa: N818 - what the field calls it
    """Something came, but not the answer."""


class LinkDown(BusError):  # noqa: N818 - what the field calls it
    """The link could not be opened, or closed."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What a driver knows about a device's pace, in seconds.

    The timeout adapts between `floor` and `ceiling`; `gap` is left after each transaction, also before the next TCP
    connection; `connect` is how long a connection may take to stand.
    """

    floor: float = 0.3
    ceiling: float = 3.0
    gap: float = 0.0
    connect: float = 3.0


DEFAULT = Timing()
