"""Slave control of the TriStar MPPT (§3.1): overrides that must be renewed every 60 s."""

TIMEOUT_SECONDS = 60.0


class SlaveControl:
    """The current and voltage override, in A and V; None while not used."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self.amps: float | None = None
        self.volts: float | None = None
        self.timed_out = False
        self._amps_age = 0.0
        self._volts_age = 0.0

    @property
    def active(self) -> bool:
        """Whether a master steers the controller."""
        return self.amps is not None or self.volts is not None

    def write_amps(self, amps: float) -> None:
        """Positive: override. Negative: release. Zero: neither starts nor renews anything."""
        self.timed_out = self.timed_out and amps == 0
        if amps > 0:
            self.amps, self._amps_age = amps, 0.0
        elif amps < 0:
            self.amps = None

    def write_volts(self, volts: float) -> None:
        """As `write_amps`."""
        self.timed_out = self.timed_out and volts == 0
        if volts > 0:
            self.volts, self._volts_age = volts, 0.0
        elif volts < 0:
            self.volts = None

    def step(self, seconds: float) -> None:
        """Age the overrides; each one in use must be renewed on its own."""
        self._amps_age += seconds
        self._volts_age += seconds
        if self.amps is not None and self._amps_age > self._timeout:
            self.timed_out = True
        if self.volts is not None and self._volts_age > self._timeout:
            self.timed_out = True
