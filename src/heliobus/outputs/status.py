"""How outputs are doing: told by themselves, read by whoever shows health."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class OutputStatus:
    """One output's own account. Counters count from the start of the process; times are UTC seconds since 1970.

    `connected` is None where there is nothing to connect to. `waiting` are records that the other side has not yet
    taken, `oldest` the time of the first of them. `sent`, `dropped` (for want of room or for age) and `refused` (the
    other side will not have them) count records. `last_error` is empty again when the other
    side is back.
    """

    name: str
    connected: bool | None = None
    waiting: int = 0
    waiting_bytes: int = 0
    oldest: float | None = None
    sent: int = 0
    dropped: int = 0
    refused: int = 0
    errors: int = 0
    last_error: str = ""
    last_success: float | None = None


class Statuses:
    """The accounts of all outputs, in the order in which they were opened."""

    def __init__(self) -> None:
        self._statuses: dict[str, OutputStatus] = {}

    def open(self, name: str) -> OutputStatus:
        """The account of the output `name`, which an output that is started again goes on with."""
        return self._statuses.setdefault(name, OutputStatus(name))

    def __iter__(self) -> Iterator[OutputStatus]:
        return iter(tuple(self._statuses.values()))
