"""Energy of a meter from its own counter, which may be reset, roll over, or show nonsense (PZEM reference, §9.3).

Small steps up count at once. Everything else is held until two more looks agree with it; what then turns out to be
more than was possible is a new base from which counting goes on. Where that leaves it open, the smaller energy counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from heliobus.ledger.moment import elapsed
from heliobus.ledger.sample import counter_in, number_in
from heliobus.model import vocabulary as points
from heliobus.model.point import Value
from heliobus.model.reading import Reading

RATED_POWER = 100_000.0
"""W. More than any single meter measures: 90 kW is the largest (PZEM-017), 23 kW the usual AC one."""
SLACK = 5.0
RESET_BELOW = 10.0
DIP = 10.0
"""Wh. So little backwards is noise; it is waited out."""
END = 9_999_990.0
"""Wh. Where a counter begins again at the latest that is certain: its display ends at 9999.99 kWh."""
AGREEMENTS = 2
NEWS = 2.0
"""Seconds after which a look that shows the same is another look, and not the same answer shown again."""
LONGEST_STEP = 60.0
_MORE = 1.25
_DAY = 86_400.0
_HOUR = 3600.0
_SHOWN = (points.AC_VOLTAGE, points.AC_CURRENT, points.AC_POWER, points.DC_VOLTAGE, points.DC_CURRENT, points.DC_POWER)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a meter: its counter in Wh, its power in W, the most power it can measure, and all it showed."""

    time: float
    counter: float | None
    power: float | None = None
    rated: float = RATED_POWER
    shown: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A counter value that is not believed yet: `first` seen at `since`, `last` at `time`, agreed with so often."""

    first: float
    since: float
    last: float
    time: float
    agreed: int = 0
    shown: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class MeterAccount:
    """What is kept for one meter.

    `total` in Wh never shrinks; None while the counter has not been believed once. `value` is the counter as last
    believed, at `time` and at `power` in W. `resets` counts how often it was set back, `reset_at` is when last.
    """

    total: float | None = None
    value: float = 0.0
    time: float = 0.0
    power: float = 0.0
    held: Held | None = None
    resets: int = 0
    reset_at: float | None = None


def look_of(reading: Reading) -> Look:
    """The meter's part of `reading`."""
    values = reading.values
    return Look(
        reading.time,
        counter_in(values, points.ENERGY_FORWARD_COUNTER.name),
        _power(values),
        counter_in(values, "rated_power") or RATED_POWER,
        tuple(values.get(point.name) for point in _SHOWN),
    )


def metered(account: MeterAccount, look: Look) -> MeterAccount:
    """`account` after `look`."""
    value = look.counter
    if value is None:
        return account
    if account.total is not None:
        gain = value - account.value
        if 0 <= gain <= _small_step(account, look):
            return _believed(account, look, value, gain)
        if -DIP <= gain < 0:
            return account if account.held is None else replace(account, held=None)
    held = _seen_again(account.held, look, value)
    return replace(account, held=held) if held.agreed < AGREEMENTS else _settled(account, held, look)


def _power(values: Mapping[str, Value]) -> float | None:
    power = number_in(values, points.AC_POWER.name)
    return number_in(values, points.DC_POWER.name) if power is None else power


def _small_step(account: MeterAccount, look: Look) -> float:
    """The energy in Wh that the measured power makes, with what a load may add that came and went between looks."""
    seconds = elapsed(account.time, look.time) or 0.0
    power = min(max(account.power, abs(look.power or 0.0)) * _MORE, look.rated)
    return power * min(seconds, LONGEST_STEP) / _HOUR + SLACK


def _most(look: Look, seconds: float | None) -> float:
    """The most energy in Wh in that time; nobody knows a longer one than a day after a clock was stepped."""
    return look.rated * (_DAY if seconds is None else seconds) / _HOUR + SLACK


def _believed(account: MeterAccount, look: Look, value: float, gain: float) -> MeterAccount:
    total = value if account.total is None else account.total + gain
    power = account.power if look.power is None else abs(look.power)
    return MeterAccount(total, value, look.time, power, None, account.resets, account.reset_at)


def _seen_again(held: Held | None, look: Look, value: float) -> Held:
    """What is held after it was seen, or seen otherwise: then it begins anew."""
    if held is not None:
        seconds = elapsed(held.time, look.time)
        if seconds is not None and 0 <= value - held.last <= _most(look, seconds):
            if seconds < NEWS and (held.last, held.shown) == (value, look.shown):
                return held
            return Held(held.first, held.since, value, look.time, held.agreed + 1, look.shown)
    return Held(value, look.time, value, look.time, 0, look.shown)


def _settled(account: MeterAccount, held: Held, look: Look) -> MeterAccount:
    """Believe what was held, and count what of it is certain."""
    since = held.last - held.first
    if account.total is None:
        return _believed(account, look, held.last, 0.0)
    most = _most(look, elapsed(account.time, held.since))
    step = held.first - account.value
    to_the_end = max(0.0, END - account.value)
    if step < 0 and to_the_end + held.first <= _small_step(account, look):
        return _believed(account, look, held.last, to_the_end + held.last)
    if step < 0 and held.first < RESET_BELOW:
        after = _believed(account, look, held.last, held.last)
        return replace(after, resets=account.resets + 1, reset_at=held.since)
    return _believed(account, look, held.last, since + (step if 0 <= step <= most else 0.0))
