"""Where a sample lies in local time: its date, and whether that day's dawn was before it."""

from dataclasses import dataclass
from datetime import date, timedelta

from heliobus.ledger.sample import Sample
from heliobus.model.clock import CLOCK_SET
from heliobus.model.localtime import LocalTime

DATE_SET = "2025"
"""The year of CLOCK_SET: a local date before it is none."""

OFF, FAULT, BULK, ABSORPTION, FLOAT, EQUALIZE = 0, 2, 3, 4, 5, 7
_NOON = 12
# Sun before this hour is the midnight sun or a wrong time zone, and says nothing about dawn.
_EARLIEST_DAWN = 3


@dataclass(frozen=True, slots=True)
class Moment:
    """`today` is the local date of the sample, `earlier` that of the sample before.

    `dawned` says whether today's dawn is past, None where nobody can tell.
    """

    today: str
    earlier: str
    dawned: bool | None

    @property
    def register_date(self) -> str:
        """The date of the controller's present day: before dawn its registers still show yesterday."""
        return day_before(self.today) if self.dawned is False else self.today


def moment_of(sample: Sample, open_date: str | None, local: LocalTime) -> Moment:
    """The moment of `sample`, when the record of `open_date` is the open one (None: there is no record yet)."""
    if sample.time < CLOCK_SET:
        today = open_date or local(sample.time).date().isoformat()
        return Moment(today, today, None)
    now = local(sample.time)
    today = now.date().isoformat()
    in_order = open_date is not None and DATE_SET <= open_date <= today
    return Moment(today, open_date if in_order and open_date else today, _dawned(sample, now.hour))


def elapsed(before: float, now: float) -> float | None:
    """Seconds between two samples; None when the clock was stepped back, set or lost between them."""
    if now < before or (before < CLOCK_SET <= now):
        return None
    return now - before


def day_before(day: str) -> str:
    """The date before `day`."""
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def days_between(before: str, after: str) -> int:
    """Days from one date to another."""
    return date.fromisoformat(after).toordinal() - date.fromisoformat(before).toordinal()


def _dawned(sample: Sample, hour: int) -> bool | None:
    if hour >= _NOON:
        return True
    state, pv, battery = sample.charger_state, sample.pv_voltage, sample.battery_voltage
    if state is None or state == FAULT:
        return None
    if state != OFF:
        return True if hour >= _EARLIEST_DAWN else None
    # A charger that somebody switched off by day is off too, but its array stands above the battery.
    lit = pv is not None and battery is not None and pv > battery
    return None if lit else False
