"""How wrong the clocks of devices are: a step of the site, for every device that shows its own (epever.md §9)."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from heliobus.control.device_clock import WORST, parsed
from heliobus.control.host_clock import EARLIEST_YEAR
from heliobus.devices.image import STALE_AFTER
from heliobus.devices.poll import SLOW_PERIOD
from heliobus.model import vocabulary as v
from heliobus.model.device import Device
from heliobus.model.localtime import LocalTime
from heliobus.model.reading import Reading, Reason

log = logging.getLogger("heliobus.app")

FAR = 86_400.0
"""Seconds that a clock goes back when its battery was flat, at least: it starts at a date long ago."""

READ_AGAIN = STALE_AFTER * SLOW_PERIOD
"""Seconds after which a clock that is still shown was read again: one that shows the same stands still."""


@dataclass(slots=True)
class _Seen:
    """What a clock showed last and when, by how many seconds it was fast, and whether that was said."""

    shown: datetime | None = None
    time: float = 0.0
    drift: int | None = None
    said: bool = False


class ClockDrift:
    """Adds `clock_drift` to readings. `local` gives the site's local time."""

    def __init__(self, local: Callable[[], LocalTime]) -> None:
        self._local = local
        self._seen: dict[str, _Seen] = {}

    def annotate(self, device: Device, reading: Reading) -> Reading:
        """The site's step: compare a clock with local time whenever it was read anew."""
        if v.DEVICE_CLOCK.name not in device.points:
            return reading
        shown = parsed(reading.values.get(v.DEVICE_CLOCK.name))
        drift = None
        reasons = {name: why for name, why in reading.reasons.items() if name != v.CLOCK_DRIFT.name}
        if shown is not None:
            seen = self._seen.setdefault(device.key, _Seen())
            if shown != seen.shown or reading.time - seen.time > READ_AGAIN:
                self._compare(device.name, seen, shown, reading.time)
            drift = seen.drift
        if drift is None:
            reasons[v.CLOCK_DRIFT.name] = reading.reasons.get(v.DEVICE_CLOCK.name, Reason.INVALID)
        return replace(reading, values={**reading.values, v.CLOCK_DRIFT.name: drift}, reasons=reasons)

    def _compare(self, name: str, seen: _Seen, shown: datetime, time: float) -> None:
        now = self._local()(time).replace(tzinfo=None)
        before, seen.shown, seen.time = seen.shown, shown, time
        if now.year < EARLIEST_YEAR:
            seen.drift = None
            return
        drift = seen.drift = round((shown - now).total_seconds())
        wrong = abs(drift) > WORST
        if wrong and before is not None and (before - shown).total_seconds() >= FAR:
            log.warning("%s: its clock went back from %s to %s: it was without its battery", name, before, shown)
        elif wrong and not seen.said:
            way = "fast" if drift > 0 else "slow"
            local = now.replace(microsecond=0)
            log.warning("%s: its clock is %d s %s: %s for local %s", name, abs(drift), way, shown, local)
        seen.said = wrong
