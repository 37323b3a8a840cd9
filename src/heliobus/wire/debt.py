"""What must pass before a unit whose request failed is asked again: no answer may be taken for another request's."""

from dataclasses import dataclass

# A line that is never quiet is taken as it is after this many times the quiet it should have had.
_LIMIT = 3


@dataclass(slots=True)
class Debt:
    """`quiet` seconds without a byte, and the time `until` an answer may come, unless it `came` late; loop time."""

    quiet: float
    until: float
    quiet_at: float
    limit: float
    came: bool = False

    @property
    def due(self) -> float:
        """When it is paid if nothing more is heard, and at the latest."""
        return min(self.limit, self.quiet_at if self.came else max(self.quiet_at, self.until))

    def disturb(self, heard: float) -> None:
        """Bytes came at `heard`."""
        self.quiet_at = heard + self.quiet


def debt(now: float, quiet: float, until: float) -> Debt:
    """The debt of a request that failed `now`."""
    quiet_at = now + quiet
    return Debt(quiet, until, quiet_at, max(quiet_at, until) + (_LIMIT - 1) * quiet)
