"""How a device is doing: ok, failing, offline after three misses in a row, and when to look for it again."""

from dataclasses import dataclass

from heliobus.model.reading import Health


@dataclass(frozen=True, slots=True)
class Change:
    """A step from one state to another. `broke` and `healed` are true once per outage: the moment for a log line.

    `why` is the last miss's reason; `lasted` how many seconds the state before had lasted.
    """

    before: Health
    after: Health
    why: str
    lasted: float

    @property
    def broke(self) -> bool:
        """The device has just gone offline."""
        return self.after is Health.OFFLINE

    @property
    def healed(self) -> bool:
        """The device has just come back from being offline."""
        return self.before is Health.OFFLINE


class HealthMachine:
    """The state of one device, fed with what its polls came to; `now` is any clock in seconds that never goes back."""

    def __init__(self, misses: int = 3, first_probe: float = 5.0, probe_ceiling: float = 60.0) -> None:
        self._allowed = misses
        self._first_probe = first_probe
        self._probe_ceiling = probe_ceiling
        self._probe = first_probe
        self._missed = 0
        self._since: float | None = None
        self._why = ""
        self.state = Health.UNKNOWN

    def hit(self, now: float) -> Change | None:
        """The device answered."""
        self._missed = 0
        self._probe = self._first_probe
        return self._step(Health.OK, now)

    def miss(self, now: float, why: str) -> Change | None:
        """The device did not answer, or not with what was asked."""
        self._why = why
        if self.state is Health.OFFLINE:
            self._probe = min(self._probe_ceiling, 2 * self._probe)
            return None
        self._missed += 1
        return self._step(Health.OFFLINE if self._missed >= self._allowed else Health.FAILING, now)

    def probe_delay(self) -> float:
        """Seconds to leave the device alone before the next request: 0 unless it is offline."""
        return self._probe if self.state is Health.OFFLINE else 0.0

    def _step(self, after: Health, now: float) -> Change | None:
        before = self.state
        if before is after:
            return None
        lasted = 0.0 if self._since is None else now - self._since
        self.state = after
        self._since = now
        return Change(before, after, self._why, lasted)
