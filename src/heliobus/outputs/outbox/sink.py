"""The other side of an outbox."""

from collections.abc import Sequence
from typing import Protocol

from heliobus.outputs.outbox.record import Record


class SinkAwayError(Exception):
    """The sink cannot take records now: they are offered again later. The text says why, for the log."""


class SinkRefusedError(Exception):
    """The sink will never take at least one of these records. The text says why, for the log."""


class Sink(Protocol):
    """What takes records."""

    async def send(self, records: Sequence[Record]) -> None:
        """Return when the other side has stored `records`. Raises SinkAwayError, SinkRefusedError."""
