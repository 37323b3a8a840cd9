"""Everything that is kept for one device, and the pure step that keeps it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import overload

from heliobus.ledger.energy import GAP, Count, EnergyMark, count, mark_of
from heliobus.ledger.extremes import UNKNOWN, Extremes, device_extremes, known, moved, own
from heliobus.ledger.history import Past, credited, opened, window
from heliobus.ledger.moment import Moment, elapsed, moment_of
from heliobus.ledger.sample import Sample
from heliobus.ledger.stages import LONGEST_PERIOD, StageMark, stage_mark, timed, watched
from heliobus.model.clock import CLOCK_SET
from heliobus.model.day import Day, Days
from heliobus.model.localtime import LocalTime
from heliobus.model.vocabulary import YIELD_TODAY, YIELD_TOTAL

# After a gap the charge counter may come a poll later than the energy counter that it is to judge.
_PATIENCE = 120.0
# Two steps of a counter of 0.01 kWh.
_STEPS = 20.0


@dataclass(frozen=True, slots=True)
class Account:
    """What is kept for one device.

    `lifetime` is in Wh; `anchored` says that it started from the device's own lifetime counter. `time`, `state` and
    `power` are those of the last sample, `resumed` is the time of the first one after the last gap, `period` the
    usual distance of samples in s. `pending` is the energy in Wh by measured power since the day counter last moved.
    `extremes` are the device's: highest power, highest array voltage, lowest and highest battery voltage. `day` is
    the open record, `past` at most 30 days before it, newest first.
    """

    lifetime: float
    anchored: bool
    time: float
    resumed: float
    period: float
    state: int | None
    power: float | None
    pending: float
    energy: EnergyMark | None
    stages: StageMark | None
    extremes: Extremes
    day: Day
    past: Past = ()


@overload
def step(account: Account, sample: Sample, local: LocalTime) -> Account: ...
@overload
def step(account: None, sample: Sample, local: LocalTime) -> Account | None: ...
def step(account: Account | None, sample: Sample, local: LocalTime) -> Account | None:
    """`account` after `sample`; a value that is None changes nothing. None: nothing was ever measured."""
    if not sample.measured:
        return account
    moment = moment_of(sample, None if account is None else account.day.date, local)
    if account is None:
        account = _blank(sample, moment)
    sample = _patient(account, sample)
    day, past = opened(account.day, account.past, moment.today)
    between = elapsed(account.time, sample.time)
    pending = account.pending + _by_power(account.power, between)
    total = _count(account, sample, moment, pending)
    for gain in _gains(account, sample, moment, total, between):
        day, past = credited(day, past, gain)
    lifetime, anchored = _lifetime(account, sample, total)
    value = sample.energy_day
    return Account(
        lifetime,
        anchored,
        sample.time,
        _resumed(account, sample.time),
        between if between and between <= LONGEST_PERIOD else account.period,
        sample.charger_state,
        sample.power,
        pending if value is None or (account.energy is not None and value == account.energy.value) else 0.0,
        account.energy if value is None else mark_of(sample, value, moment),
        stage_mark(account.stages, sample),
        known(account.extremes, device_extremes(sample)),
        day,
        past,
    )


def points(account: Account, now: float, local: LocalTime) -> dict[str, float | None]:
    """The yields in kWh at `now`; today's is None when nothing was measured today."""
    today = today_of(account, now, local)
    record = (
        account.day if account.day.date == today else next((old for old in account.past if old.date == today), None)
    )
    return {
        YIELD_TODAY.name: None if record is None else round(record.energy / 1000, 2),
        YIELD_TOTAL.name: round(account.lifetime / 1000, 2),
    }


def days(account: Account, now: float, local: LocalTime) -> Days:
    """The history at `now`: index n is n local days ago, at most 31 entries with today's."""
    return window((account.day, *account.past), today_of(account, now, local))


def today_of(account: Account, now: float, local: LocalTime) -> str:
    """The local date at `now`; while the clock is unset, the last date that was known."""
    return account.day.date if now < CLOCK_SET else local(now).date().isoformat()


def _blank(sample: Sample, moment: Moment) -> Account:
    return Account(0.0, False, sample.time, sample.time, 0.0, None, None, 0.0, None, None, UNKNOWN, Day(moment.today))


def _patient(account: Account, sample: Sample) -> Sample:
    """`sample` without its counters while the charge counter, which judges the gap behind us, is still to come."""
    mark = account.energy
    if mark is None or mark.charge is None or sample.charge_total is not None:
        return sample
    between = elapsed(mark.time, sample.time)
    if (between is not None and between <= GAP) or sample.time - _resumed(account, sample.time) > _PATIENCE:
        return sample
    return replace(
        sample,
        energy_day=None,
        time_absorption=None,
        time_float=None,
        time_equalize=None,
        day_power_max=None,
        day_pv_voltage_max=None,
        day_battery_voltage_min=None,
        day_battery_voltage_max=None,
    )


def _resumed(account: Account, now: float) -> float:
    between = elapsed(account.time, now)
    return account.resumed if between is not None and between <= GAP else now


def _by_power(power: float | None, seconds: float | None) -> float:
    return 0.0 if power is None or power <= 0 or seconds is None or seconds > GAP else power * seconds / 3600


def _count(account: Account, sample: Sample, moment: Moment, pending: float) -> Count:
    if sample.energy_day is None:
        return Count(0.0, moment.earlier)
    return count(account.energy, sample, sample.energy_day, moment, pending)


def _lifetime(account: Account, sample: Sample, total: Count) -> tuple[float, bool]:
    """The lifetime in Wh, and whether the device's own lifetime counter is in it."""
    # What the day counter shows at first sight is already in the device's lifetime counter.
    news = 0.0 if account.anchored and account.energy is None else total.energy + total.unseen
    if account.anchored or sample.energy_total is None:
        return _caught_up(account.lifetime + news, account.anchored, sample), account.anchored
    return max(
        account.lifetime if account.energy is None else account.lifetime + news, sample.energy_total * 1000
    ), True


def _caught_up(lifetime: float, anchored: bool, sample: Sample) -> float:
    """`lifetime` with what the day counter's steps lose at the end of each day, if a fine lifetime counter has it."""
    if not anchored or sample.charge_total is not None or sample.energy_total is None or not sample.energy_total % 1:
        return lifetime
    lost = sample.energy_total * 1000 - lifetime
    return lifetime + lost if 0 < lost <= _STEPS else lifetime


def _gains(account: Account, sample: Sample, moment: Moment, total: Count, between: float | None) -> Iterator[Day]:
    """What the sample adds to the record, each part with the date it belongs to."""
    seconds = watched(account.stages, account.state, between, account.period)
    if any(seconds):
        yield _staged(moment.earlier, *seconds)
    if total.energy:
        yield Day(total.date, total.energy)
    seconds = (0.0, *timed(account.stages, sample, total.rolled))
    if any(seconds):
        yield _staged(moment.register_date if account.stages is None else total.date, *seconds)
    date = moment.register_date if account.extremes == UNKNOWN else total.date
    device = moved(account.extremes, device_extremes(sample), date, total.rolled)
    if device is not None:
        yield device
    yield own(sample, moment.today)


def _staged(date: str, bulk: float, absorption: float, floating: float, equalize: float) -> Day:
    return Day(date, time_bulk=bulk, time_absorption=absorption, time_float=floating, time_equalize=equalize)
