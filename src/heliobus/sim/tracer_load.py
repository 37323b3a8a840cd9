"""The load output of a simulated EPever charge controller (§8.4, §8.7, §11)."""

from datetime import datetime

from heliobus.sim.tracer_settings import LOAD_MODE, LVD, LVR, TracerSettings

MANUAL, LIGHT, LIGHT_AND_TIMER, TIMER = range(4)


class TracerLoad:
    """`ohms` is what is wired to the output. `wanted`: coil 2. A low battery holds it off whatever is wanted."""

    def __init__(self, settings: TracerSettings, ohms: float) -> None:
        self.settings = settings
        self.ohms = ohms
        self.wanted = bool(settings.words.get(0x906A, 1))
        self.test_mode = self.forced = False
        self.on = False
        self.disconnected = False
        self._since_dusk = 0.0

    def amps(self, volts: float) -> float:
        """What it draws at a battery voltage."""
        return volts / self.ohms if self.on else 0.0

    def step(self, seconds: float, volts: float, night: bool, now: datetime, *, blocked: bool) -> None:
        """Let time pass; `blocked` by a short circuit or an overload."""
        self._since_dusk = self._since_dusk + seconds if night else 0.0
        self.disconnected = volts < self.settings.volts(LVR if self.disconnected else LVD)
        self.on = self._asked(night, now) and not self.disconnected and not blocked

    def _asked(self, night: bool, now: datetime) -> bool:
        if self.test_mode and self.forced:
            return True
        words = self.settings.words
        mode = words.get(LOAD_MODE, MANUAL)
        if mode == LIGHT:
            return night
        if mode == LIGHT_AND_TIMER:
            hours, minutes = divmod(words[0x903E], 256)
            return night and self._since_dusk < 3600 * hours + 60 * minutes
        if mode == TIMER:
            return self._in_timer(0x9042, now) or (words[0x9069] == 1 and self._in_timer(0x9048, now))
        return self.wanted

    def _in_timer(self, first: int, now: datetime) -> bool:
        words = self.settings.words
        start, end = (words[at] + 60 * words[at + 1] + 3600 * words[at + 2] for at in (first, first + 3))
        second = now.second + 60 * now.minute + 3600 * now.hour
        return start <= second < end if start <= end else second >= start or second < end
