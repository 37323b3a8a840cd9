"""Moments as people write them: a local date or time, an age, today, yesterday."""

import re
from datetime import UTC, date, datetime, timedelta

from heliobus.model.localtime import LocalTime

AGES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
WORDS = (
    "a local date or time such as 2026-11-20 or '2026-11-20 14:30', an age such as -7d or -12h, today, yesterday or now"
)


def moment(text: str, now: float, local: LocalTime, *, end: bool = False) -> float:
    """UTC seconds of `text`; a date means its first moment, and as an `end` the first moment of the day after it.

    Raises ValueError, with what is allowed.
    """
    word = text.strip()
    if word == "now":
        return now
    age = re.fullmatch(r"-?([0-9]{1,6})\s*([smhdw])", word)
    if age:
        return now - int(age[1]) * AGES[age[2]]
    try:
        day = _day(word, local(now).date())
        if day is not None:
            return utc(datetime.combine(day + timedelta(days=int(end)), datetime.min.time()), local)
        found = datetime.fromisoformat(word)
        return found.timestamp() if found.tzinfo is not None else utc(found, local)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is neither {WORDS}") from None


def utc(naive: datetime, local: LocalTime) -> float:
    """UTC seconds at which `local` shows this date and time; where clocks go forward over it, the moment they do."""
    shown = naive.replace(tzinfo=UTC).timestamp()
    moment = shown
    for _ in range(2):
        offset = local(moment).utcoffset()
        moment = shown - (offset.total_seconds() if offset is not None else 0.0)
    return moment


def iso(milliseconds: int, local: LocalTime) -> str:
    """Local time with its offset, as ISO 8601; milliseconds only where there are any."""
    shown = local(milliseconds / 1000)
    return shown.isoformat(timespec="milliseconds" if milliseconds % 1000 else "seconds")


def _day(word: str, today: date) -> date | None:
    if word == "today":
        return today
    if word == "yesterday":
        return today - timedelta(days=1)
    return date.fromisoformat(word) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", word) else None
