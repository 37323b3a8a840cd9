"""Which charge profile the calendar asks for, and when it is time to write it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import date, timedelta

from heliobus.config.dates import SEASONS, Kind, kind, within
from heliobus.control.plant import Plant
from heliobus.control.store import StoreError
from heliobus.model import vocabulary as v
from heliobus.model.command import Command, Done, Outcome
from heliobus.model.control_options import Profile, Seasons, When

log = logging.getLogger("heliobus.control")

SECTION = "schedule"
PAUSE = 60.0
RETRY = 3600.0
PATIENCE = 24 * 3600.0
EARLIEST = date(2025, 1, 1)
"""A clock that says less was never set, and tells nothing of seasons."""
LOOK_BACK = timedelta(days=400)
"""Whatever comes again comes within a year."""
QUIET = 0b1111
"""Bits of the point `off_reason`: it is dark, or somebody switched it off; not: it is starting, or protects itself."""


def season(seasons: Seasons, day: date) -> str:
    """The season of `day`: the one that began last."""
    starts = sorted((getattr(seasons, name), name) for name in SEASONS)
    begun = [name for start, name in starts if start <= _month_and_day(day)]
    return begun[-1] if begun else starts[-1][1]


def due(profiles: Iterable[Profile], device: str, seasons: Seasons, day: date) -> Profile | None:
    """The profile that is due by itself for `device` on the local `day`: dates with years before every year's dates
    before seasons; None if there is none."""
    found: Profile | None = None
    for profile in profiles:
        when = profile.when
        if when is None or (profile.devices and device not in profile.devices) or not _includes(when, seasons, day):
            continue
        if found is None or found.when is None or kind(when) > kind(found.when):
            found = profile
    return found


def _includes(when: When, seasons: Seasons, day: date) -> bool:
    if when.season:
        return season(seasons, day) == when.season
    return within(when, day.isoformat() if kind(when) is Kind.DATED else _month_and_day(day))


def _month_and_day(day: date) -> str:
    return day.isoformat()[len("2026-") :]


class Schedule:
    """Says once which profile is to be written, and no more until another one is due: between, the owner decides.

    It prefers the night or a charger that is off, since a change of settings interrupts charging.
    """

    def __init__(self, plant: Plant, profiles: Iterable[Profile], seasons: Seasons) -> None:
        self._plant = plant
        self._profiles = tuple(profiles)
        self._seasons = seasons
        self._pending: Profile | None = None
        self._since = 0.0
        self._tried: float | None = None
        self._found: tuple[tuple[date, object], Profile | None] | None = None

    def next(self, now: float) -> Profile | None:
        """The profile to write now, in UTC seconds. Giving it counts as a try: it is given again after an hour.

        None while there is nothing to write, the charger works by day (for 24 hours), is silent or is being written to.
        """
        plant = self._plant
        profile = self._unscheduled(plant.local()(now).date())
        if profile is not self._pending:
            self._pending, self._since, self._tried = profile, now, None
            if profile is not None:
                log.info("%s: profile %r is due by the calendar", plant.name, profile.name)
        if profile is None or not plant.answers or plant.busy.locked():
            return None
        # A clock that was set back proves nothing about how long ago something was.
        if self._tried is not None and 0 <= now - self._tried < RETRY:
            return None
        if not self._quiet() and 0 <= now - self._since < PATIENCE:
            return None
        self._tried = now
        return profile

    async def done(self, profile: Profile) -> None:
        """`profile` is in the charger (or was there already): it is not asked for again."""
        today = self._plant.local()(self._plant.clock.time()).date()
        try:
            await self._plant.store.keep(SECTION, {"profile": profile.name, "date": today.isoformat()})
        except StoreError as error:
            log.error("%s: profile %r may be written again after a restart: %s", self._plant.name, profile.name, error)

    def _quiet(self) -> bool:
        why = self._plant.number(v.OFF_REASON)
        return why is not None and bool(int(why) & QUIET)

    def _unscheduled(self, day: date) -> Profile | None:
        last = self._plant.store.section(SECTION)
        key = (day, last)
        # Looking back takes a year of days; the answer holds for a day.
        if self._found is None or self._found[0] != key:
            self._found = (key, self._look_back(day, last.get("profile"), last.get("date")))
        return self._found[1]

    def _look_back(self, day: date, name: object, scheduled: object) -> Profile | None:
        """What is due on `day`, unless it was scheduled on the day `scheduled` and has been due ever since."""
        profile = self._due(day)
        if profile is None or day < EARLIEST:
            return None
        since = _date(scheduled)
        if profile.name != name or since is None:
            return profile
        between = max(since, day - LOOK_BACK)
        while (between := between + timedelta(days=1)) < day:
            if self._due(between) is not profile:
                return profile
        return None

    def _due(self, day: date) -> Profile | None:
        return due(self._profiles, self._plant.name, self._seasons, day)


async def follow(schedule: Schedule, plant: Plant, command: Callable[[Command], Awaitable[Outcome]]) -> None:
    """Command what `schedule` asks for, until cancelled."""
    while True:
        profile = schedule.next(plant.clock.time())
        if profile is not None:
            outcome = await command(Command(plant.name, v.APPLY_PROFILE.name, profile.name, "schedule"))
            if isinstance(outcome, Done):
                await schedule.done(profile)
        await asyncio.sleep(PAUSE)


def _date(text: object) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
