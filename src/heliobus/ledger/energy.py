"""Energy from the device's own day counter by delta arithmetic (TriStar MPPT reference, §7.1; EPever reference, §8.3b).

The counter's day ends when the device likes, a reset clears it, and a gap in sampling may hide either. Nothing here
trusts more than the counters prove: where they leave it open, the smaller energy is counted.
"""

from dataclasses import dataclass

from heliobus.ledger.moment import DATE_SET, Moment, days_between, elapsed
from heliobus.ledger.sample import Sample

# Samples further apart may hide the end of a controller day between them.
GAP = 60.0
# Full scale of the largest 150 V charger: 80 A at 90 V.
FULL_SCALE_POWER = 7200.0
_SLACK = 20.0
_DAY = 86_400.0
_HOUR = 3600.0
# Charge times the mean of two battery voltages is the gap's energy to about a fifth.
_LESS, _MORE = 0.8, 1.25
_ESTIMATE_SLACK = 30.0
# A register step, which the counters may differ by at any moment.
_STEP = 10.0
# Without a charge counter the dates alone decide, and a cloud at dawn must not look like a night.
_SHORTEST_NIGHT = 2 * _HOUR


@dataclass(frozen=True, slots=True)
class EnergyMark:
    """The device's energy counters when its day counter (`value`, Wh) was last counted, and when that was."""

    time: float
    value: float
    total: float | None
    charge: float | None
    hours: float | None
    voltage: float | None
    date: str
    dawned: bool | None


@dataclass(frozen=True, slots=True)
class Count:
    """`energy` Wh won on `date`; `unseen` Wh for the lifetime only, won on days or hours nobody can name.

    `rolled` says that the device's registers show another controller day than before the gap.
    """

    energy: float
    date: str
    unseen: float = 0.0
    rolled: bool = False


def mark_of(sample: Sample, value: float, moment: Moment) -> EnergyMark:
    """What the next count starts from."""
    return EnergyMark(
        sample.time,
        value,
        sample.energy_total,
        sample.charge_total,
        sample.operating_hours,
        sample.battery_voltage,
        moment.today,
        moment.dawned,
    )


def count(mark: EnergyMark | None, sample: Sample, value: float, moment: Moment, measured: float) -> Count:
    """The energy between `mark` and `sample`, whose day counter is `value`.

    `measured` is the energy in Wh that the measured power makes since the counter last moved.
    """
    if mark is None:
        return Count(value if value <= _limit(sample, _DAY) else 0.0, moment.register_date)
    seconds = elapsed(mark.time, sample.time)
    if seconds is None or seconds > GAP:
        return _after_gap(mark, sample, value, moment, seconds)
    # A decrease is a new controller day or a reset: it starts from zero, and the value is new energy.
    gain = value - mark.value if value >= mark.value else value
    allowed = _limit(sample, seconds) + 2 * measured
    return Count(gain if gain <= allowed else 0.0, _date_of(mark, moment))


@dataclass(frozen=True, slots=True)
class _Gap:
    """Two looks at the counters with `seconds` between them (None: nobody knows how many).

    `limit` is the most energy in Wh that may have been won; `real` is what a lifetime counter says, if one can be
    believed.
    """

    mark: EnergyMark
    sample: Sample
    value: float
    moment: Moment
    seconds: float | None
    limit: float
    real: float | None


def _after_gap(mark: EnergyMark, sample: Sample, value: float, moment: Moment, seconds: float | None) -> Count:
    limit = _limit(sample, _DAY if seconds is None else seconds)
    gap = _Gap(mark, sample, value, moment, seconds, limit, _by_lifetime(mark, sample, limit))
    if value >= mark.value and not _rolled_over(gap):
        return Count(_bounded(value - mark.value, gap), _date_of(mark, moment))
    gain = _bounded(value, gap)
    return Count(gain, moment.register_date, _unseen(gap, gain), rolled=True)


def _date_of(mark: EnergyMark, moment: Moment) -> str:
    """The date of the earlier sample, unless a clock that was wrong or a move has made it a date to come."""
    return mark.date if DATE_SET <= mark.date <= moment.today else moment.earlier


def _limit(sample: Sample, seconds: float) -> float:
    power = FULL_SCALE_POWER
    if sample.rated_current is not None and sample.battery_voltage is not None:
        power = max(power, _MORE * sample.rated_current * sample.battery_voltage)
    return power * seconds / _HOUR + _SLACK


def _by_lifetime(mark: EnergyMark, sample: Sample, limit: float) -> float | None:
    """Energy of the gap in Wh from the device's lifetime counters; None when they do not tell."""
    if mark.charge is not None or sample.charge_total is not None:
        return _by_charge(mark, sample, limit)
    before, now = mark.total, sample.energy_total
    # A total of whole kWh is too coarse to judge by.
    if before is None or now is None or now < before or not (before % 1 or now % 1):
        return None
    energy = (now - before) * 1000
    return energy if energy <= limit else None


def _by_charge(mark: EnergyMark, sample: Sample, limit: float) -> float | None:
    """Energy of the gap in Wh from the lifetime counter of charge; None when that counter is not to be believed."""
    if mark.charge is None or not sample.charge_total or sample.charge_total < mark.charge:
        return None
    voltages = [voltage for voltage in (mark.voltage, sample.battery_voltage) if voltage is not None and voltage > 0]
    if not voltages:
        return None
    energy = (sample.charge_total - mark.charge) * sum(voltages) / len(voltages)
    return energy if energy <= limit else None


def _bounded(gain: float, gap: _Gap) -> float:
    if gain > gap.limit:
        return 0.0
    # A restored counter shows energy that was not won in this gap.
    return gain if gap.real is None or gain <= _MORE * gap.real + _ESTIMATE_SLACK else gap.real


def _rolled_over(gap: _Gap) -> bool:
    """Whether a counter that did not fall began a new controller day in the gap."""
    dawn = _dawn_between(gap)
    same = gap.value - gap.mark.value
    if gap.real is None:
        long = gap.seconds is not None and gap.seconds >= _SHORTEST_NIGHT
        return dawn is True and long and same > 0 and not _total_denies(gap)
    if gap.real <= 0 or gap.real < _LESS * gap.value - _STEP:
        return False
    if gap.real <= _MORE * same + _ESTIMATE_SLACK:
        return dawn is True
    # Without a dawn it can only have been a reset, which wants better proof.
    return dawn is not False or gap.real > 1.5 * same + 100.0


def _total_denies(gap: _Gap) -> bool:
    """Whether the whole-kWh counter moved less than any rollover would have made it move."""
    before, now = gap.mark.total, gap.sample.energy_total
    if before is None or now is None or now < before:
        return False
    return (now - before + 1) * 1000 < _LESS * min(gap.mark.value, gap.value)


def _dawn_between(gap: _Gap) -> bool | None:
    """Whether a dawn lay in the gap; None where the dates leave it open."""
    before, now = gap.mark.dawned, gap.moment.dawned
    if gap.seconds is None or gap.mark.date > gap.moment.today or _hours_deny(gap, gap.seconds):
        return None
    days = days_between(gap.mark.date, gap.moment.today)
    if days + (now is True) - (before is not False) >= 1:
        return True
    return False if days + (now is not False) - (before is True) <= 0 else None


def _hours_deny(gap: _Gap, seconds: float) -> bool:
    """Whether hour meter and clock disagree: the clock was stepped in the gap, or the device had no power."""
    before, now = gap.mark.hours, gap.sample.operating_hours
    return (
        before is not None and now is not None and now >= before and abs((now - before) * _HOUR - seconds) > 2 * _HOUR
    )


def _unseen(gap: _Gap, gain: float) -> float:
    """Energy of the gap in Wh that the day counter no longer shows."""
    before, now = gap.mark.total, gap.sample.energy_total
    if gap.real is not None:
        known = gap.real - gain - _STEP
    elif before is not None and now is not None:
        # Some devices add a day to this counter only when it ends: then it may contain what was counted before.
        known = (now - before - 1) * 1000 - gap.mark.value - gain
    else:
        return 0.0
    return known if _STEP < known <= gap.limit else 0.0
