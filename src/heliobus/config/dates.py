"""Dates of the config: when the seasons begin, and the days on which a profile is due by itself.

They are texts, MM-DD for every year or YYYY-MM-DD, and sort as days do.
"""

from enum import IntEnum

from heliobus.config.table import DATES, ConfigError, Table
from heliobus.model.control_options import NORTH, SOUTH, Seasons, When

SEASONS = ("spring", "summer", "autumn", "winter")


class Kind(IntEnum):
    """How specific a `when` is; the larger goes before the smaller."""

    SEASON = 0
    YEARLY = 1
    DATED = 2


def kind(when: When) -> Kind:
    """Whether `when` is a season, a range of every year, or one of dates with years."""
    if when.season:
        return Kind.SEASON
    return Kind.YEARLY if len(when.first) == len("12-01") else Kind.DATED


def within(when: When, day: str) -> bool:
    """Whether the range `when` includes `day`, a date written like its own; it may run over the end of the year."""
    if when.first <= when.last:
        return when.first <= day <= when.last
    return day >= when.first or day <= when.last


def overlap(one: When, other: When) -> bool:
    """Whether there is a day on which both are due and neither is the more specific."""
    if kind(one) is not kind(other):
        return False
    if one.season:
        return one.season == other.season
    return within(one, other.first) or within(other, one.first)


def seasons(site: Table) -> Seasons:
    """The seasons of `[site]`: those of its hemisphere, changed by `[site.seasons]`. Raises ConfigError."""
    usual = SOUTH if site.choice("hemisphere", "north", ("north", "south")) == "south" else NORTH
    table = site.table("seasons")
    table.only(*SEASONS)
    starts = [table.date(name, getattr(usual, name), yearly=True) for name in SEASONS]
    following = zip(starts, starts[1:] + starts[:1], strict=True)
    # Once round the year there is one step back, over its end.
    if len(set(starts)) < len(starts) or sum(after < before for before, after in following) != 1:
        raise ConfigError(f"{table.where()}: the seasons begin on {', '.join(starts)}; allowed: one after another")
    return Seasons(*starts)


def when(table: Table) -> When:
    """The `when` of a profile in `table`. Raises ConfigError."""
    table.only("season", "from", "to")
    if table.has("season"):
        if table.has("from") or table.has("to"):
            raise ConfigError(f"{table.where()}: season and dates together; allowed: either of them")
        return When(season=table.choice("season", "", SEASONS))
    found = When(first=table.date("from"), last=table.date("to"))
    if len(found.first) != len(found.last):
        raise table.error("to", found.last, f"a date written like from, both as {DATES}")
    if kind(found) is Kind.DATED and found.last < found.first:
        raise table.error("to", found.last, f"a date not before from, {found.first}")
    return found
