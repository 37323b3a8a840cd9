"""How far apart values are asked for: `raw`, `15m`, `1h`, `1d`, `1w`, `1mo`."""

import re
from dataclasses import dataclass
from datetime import date

from heliobus.outputs.history.levels import DAY_MS

FIXED = {"s": 1000, "m": 60_000, "h": 3_600_000}
WORDS = "auto, raw, or a number with s, m, h, d, w or mo, such as 15m or 1d"
NICE = ("1m", "5m", "15m", "30m", "1h", "2h", "6h", "12h", "1d", "1w", "1mo")
MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Every:
    """The width of a bucket: `ms`, or whole local `days` or `months`; all 0 means every sample by itself."""

    ms: int = 0
    days: int = 0
    months: int = 0

    @property
    def about(self) -> int:
        """Roughly how many ms it is."""
        return self.ms + DAY_MS * (self.days + MONTH_DAYS * self.months)

    def bucket(self, day: int) -> int:
        """The first local day, by its ordinal, of the bucket that `day` is in. Weeks begin on Mondays."""
        if not self.months:
            return day - (day - 1) % self.days
        found = date.fromordinal(day)
        months = (found.year * 12 + found.month - 1) // self.months * self.months
        return date(months // 12, months % 12 + 1, 1).toordinal()


RAW = Every()


def parse(text: str) -> Every:
    """What `text` says. Raises ValueError with what is allowed."""
    if text == "raw":
        return RAW
    match = re.fullmatch(r"([1-9][0-9]{0,5})\s*(s|min|m|h|d|w|mo)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not one of: {WORDS}")
    count, unit = int(match[1]), match[2].replace("min", "m")
    if unit in FIXED:
        return Every(ms=count * FIXED[unit])
    if unit == "mo":
        return Every(months=count)
    return Every(days=count * (7 if unit == "w" else 1))


def nice(span: int, most: int) -> tuple[str, Every]:
    """The finest usual width with which `span` ms are about `most` buckets or fewer, and what it is called."""
    for name in NICE:
        every = parse(name)
        if span <= most * every.about:
            return name, every
    return NICE[-1], parse(NICE[-1])
