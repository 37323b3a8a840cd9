"""Time in the charge stages: from the device's timers where it has them, else by watching its state.

The timers are seconds that the device clears at night, at another moment than its energy counter (TriStar MPPT
reference, §7.1).
"""

from dataclasses import dataclass

from heliobus.ledger.energy import GAP
from heliobus.ledger.moment import ABSORPTION, BULK, EQUALIZE, FLOAT, elapsed
from heliobus.ledger.sample import Sample

_DAY = 86_400.0
# Timers tick in whole seconds and the device's second is not ours.
_SLACK = 60.0
# A device polled less often than this is not watched at all between two samples.
LONGEST_PERIOD = 600.0

Timers = tuple[float | None, float | None, float | None]
_NONE: Timers = (None, None, None)


@dataclass(frozen=True, slots=True)
class StageMark:
    """The timers for absorption, float and equalize as last counted, in seconds."""

    time: float
    timers: Timers


def stage_mark(mark: StageMark | None, sample: Sample) -> StageMark | None:
    """What the next count starts from; a timer that was not read keeps its last value."""
    timers = (sample.time_absorption, sample.time_float, sample.time_equalize)
    if timers == _NONE:
        return mark
    if mark is not None and None in timers:
        absorption, floating, equalize = (
            kept if new is None else new for kept, new in zip(mark.timers, timers, strict=True)
        )
        timers = (absorption, floating, equalize)
    return StageMark(sample.time, timers)


def timed(mark: StageMark | None, sample: Sample, rolled: bool) -> tuple[float, float, float]:
    """Seconds of absorption, float and equalize that the device's timers gained since `mark`."""
    seconds = None if mark is None else elapsed(mark.time, sample.time)
    limit = _DAY if seconds is None else seconds + _SLACK
    before = _NONE if mark is None else mark.timers
    rolled = rolled and (seconds is None or seconds > GAP)
    return (
        _gain(before[0], sample.time_absorption, limit, rolled),
        _gain(before[1], sample.time_float, limit, rolled),
        _gain(before[2], sample.time_equalize, limit, rolled),
    )


def watched(
    mark: StageMark | None, state: int | None, seconds: float | None, period: float
) -> tuple[float, float, float, float]:
    """Seconds of bulk, absorption, float and equalize since the sample `seconds` ago that showed `state`.

    Stages that the device times itself are left to its timers.
    """
    if seconds is None or state not in (BULK, ABSORPTION, FLOAT, EQUALIZE):
        return 0.0, 0.0, 0.0, 0.0
    if state == BULK:
        return (seconds if seconds <= max(GAP, 2 * period) else 0.0), 0.0, 0.0, 0.0
    if seconds > GAP:
        return 0.0, 0.0, 0.0, 0.0
    timers = _NONE if mark is None else mark.timers
    return (
        0.0,
        seconds if state == ABSORPTION and timers[0] is None else 0.0,
        seconds if state == FLOAT and timers[1] is None else 0.0,
        seconds if state == EQUALIZE and timers[2] is None else 0.0,
    )


def _gain(before: float | None, value: float | None, limit: float, rolled: bool) -> float:
    if value is None:
        return 0.0
    gain = value if before is None or rolled or value < before else value - before
    return gain if gain <= limit else 0.0
