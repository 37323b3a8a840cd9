"""Which profile is due, and when it is written: once, at night if it can be, until another one is due."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_stage import DRIVER, OPTIONS, Rig
from heliobus.control import schedule
from heliobus.control.plant import Plant
from heliobus.control.schedule import Schedule, due, season
from heliobus.control.store import Store
from heliobus.devices.plan import TCP_COST
from heliobus.devices.terminal import Terminal
from heliobus.model.control_options import NORTH, SOUTH, Profile, Seasons, When
from heliobus.model.localtime import local_time
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.tcp import TcpFramer

HOUR, DAY = 3600.0, 86400.0
BULK, OFF = {"off_reason": 0}, {"off_reason": 1}

WINTER = Profile("winter", {"set_float_voltage": 27.6}, when=When("winter"))
SUMMER = Profile("summer", {"set_float_voltage": 27.0}, when=When("summer"))
DARK = Profile("dark", {"set_float_voltage": 27.4}, when=When("", "12-01", "01-15"))
VISIT = Profile("visit", {"set_float_voltage": 27.2}, when=When("", "2026-12-20", "2027-01-05"))
BY_HAND = Profile("rest", {"set_float_voltage": 26.8})
BARN = Profile("barn", {"set_float_voltage": 26.8}, ("barn",), When("summer"))
ALL = (BARN, BY_HAND, SUMMER, WINTER, DARK, VISIT)


def on(year: int, month: int, day: int, hour: float = 12.0) -> float:
    return datetime(year, month, day, tzinfo=UTC).timestamp() + hour * HOUR


class Stage:
    """A plant whose charger says what the test wants, and its schedule."""

    def __init__(self, *profiles: Profile, folder: Path | None = None, zone: str = "UTC") -> None:
        self.values: Mapping[str, Value] = OFF
        self.health = Health.OK
        self.silent = False
        self.now = 0.0
        self.folder = folder
        store = Store(folder, "tristar_1")
        assert store.load() is None
        self.plant = Plant(
            name="roof",
            key="tristar_1",
            terminal=Terminal(Bus(MemoryLink({}), TcpFramer()), 1, DRIVER, TCP_COST),
            options=OPTIONS,
            store=store,
            clock=self,
            local=lambda: local_time(zone),
            reading=lambda: None if self.silent else Reading("roof", self.now, self.values, {}, self.health),
            refresh=lambda names: None,
            changed=lambda: None,
            host=None,
            busy=asyncio.Lock(),
        )
        self.schedule = Schedule(self.plant, profiles or ALL, NORTH)

    def time(self) -> float:
        return self.now

    def next(self, moment: float) -> str | None:
        self.now = moment
        profile = self.schedule.next(moment)
        return None if profile is None else profile.name

    async def apply(self, moment: float) -> str | None:
        """Write what is to be written, successfully."""
        self.now = moment
        profile = self.schedule.next(moment)
        if profile is None:
            return None
        await self.schedule.done(profile)
        return profile.name


@pytest.mark.parametrize(
    ("day", "north", "south"),
    [
        ("2026-01-01", "winter", "summer"),
        ("2026-02-28", "winter", "summer"),
        ("2028-02-29", "winter", "summer"),
        ("2026-03-01", "spring", "autumn"),
        ("2026-05-31", "spring", "autumn"),
        ("2026-06-01", "summer", "winter"),
        ("2026-08-31", "summer", "winter"),
        ("2026-09-01", "autumn", "spring"),
        ("2026-11-30", "autumn", "spring"),
        ("2026-12-01", "winter", "summer"),
        ("2026-12-31", "winter", "summer"),
    ],
)
def test_seasons(day: str, north: str, south: str) -> None:
    assert season(NORTH, date.fromisoformat(day)) == north
    assert season(SOUTH, date.fromisoformat(day)) == south


def test_a_season_that_begins_on_a_leap_day_begins_the_day_after_in_other_years() -> None:
    seasons = Seasons(spring="02-29")
    assert season(seasons, date(2028, 2, 29)) == "spring"
    assert season(seasons, date(2027, 2, 28)) == "winter"
    assert season(seasons, date(2027, 3, 1)) == "spring"


starts = st.lists(
    st.dates(date(2024, 1, 1), date(2024, 12, 31)).map(lambda day: day.isoformat()[5:]),
    min_size=4,
    max_size=4,
    unique=True,
)


@given(starts, st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_a_season_lasts_from_its_start_to_the_next_start(first_days: list[str], day: date) -> None:
    seasons = Seasons(*first_days)
    by_day = dict(zip(first_days, ("spring", "summer", "autumn", "winter"), strict=True))
    found = season(seasons, day)
    # Back, day by day of a leap year, until one of the four begins.
    step = date(2024, day.month, day.day)
    while step.isoformat()[5:] not in by_day:
        step = (step - timedelta(1)).replace(year=2024)
    assert found == by_day[step.isoformat()[5:]]


@pytest.mark.parametrize(
    ("day", "profile"),
    [
        ("2026-07-01", SUMMER),
        ("2026-10-01", None),
        ("2026-11-30", None),
        ("2026-12-01", DARK),
        ("2026-12-19", DARK),
        ("2026-12-20", VISIT),
        ("2027-01-05", VISIT),
        ("2027-01-06", DARK),
        ("2027-01-15", DARK),
        ("2027-01-16", WINTER),
        ("2027-12-25", DARK),
    ],
)
def test_the_most_specific_is_due(day: str, profile: Profile | None) -> None:
    for order in (ALL, ALL[::-1]):
        assert due(order, "roof", NORTH, date.fromisoformat(day)) is profile


def test_a_profile_is_due_for_its_devices_only() -> None:
    assert due((BARN,), "roof", NORTH, date(2026, 7, 1)) is None
    assert due((BARN,), "barn", NORTH, date(2026, 7, 1)) is BARN
    assert due((BY_HAND,), "roof", NORTH, date(2026, 7, 1)) is None


def test_a_range_of_the_leap_day_only() -> None:
    leap = Profile("leap", when=When("", "02-29", "02-29"))
    to_leap = Profile("to", when=When("", "02-10", "02-29"))
    assert due((leap,), "roof", NORTH, date(2028, 2, 29)) is leap
    assert all(due((leap,), "roof", NORTH, date(2027, 1, 1) + timedelta(n)) is None for n in range(365))
    assert due((to_leap,), "roof", NORTH, date(2027, 2, 28)) is to_leap
    assert due((to_leap,), "roof", NORTH, date(2027, 3, 1)) is None


month_days = st.dates(date(2024, 1, 1), date(2024, 12, 31)).map(lambda day: day.isoformat()[5:])
days = st.dates(date(2025, 1, 1), date(2032, 12, 31))


@given(month_days, month_days, days)
def test_yearly_ranges_hold_both_ends_and_wrap(first: str, last: str, day: date) -> None:
    profile = Profile("x", when=When("", first, last))
    found = due((profile,), "roof", NORTH, day) is profile
    today = day.isoformat()[5:]
    step, inside = first, False
    for _ in range(366):
        inside = inside or step == today
        if step == last:
            break
        step = (date.fromisoformat(f"2024-{step}") + timedelta(1)).isoformat()[5:]
    assert found == inside


@given(days, days, days)
def test_ranges_of_dates_hold_both_ends(one: date, other: date, day: date) -> None:
    first, last = sorted((one, other))
    profile = Profile("x", when=When("", first.isoformat(), last.isoformat()))
    assert (due((profile,), "roof", NORTH, day) is profile) == (first <= day <= last)


async def test_a_profile_is_scheduled_once_and_then_the_owner_decides() -> None:
    stage = Stage(WINTER, SUMMER)
    assert await stage.apply(on(2026, 12, 1)) == "winter"
    for day in range(2, 90):
        assert stage.next(on(2026, 12, 1) + day * DAY) is None
    assert await stage.apply(on(2027, 6, 1)) == "summer"
    assert stage.next(on(2027, 8, 31)) is None
    assert await stage.apply(on(2027, 12, 1)) == "winter"


async def test_after_a_gap_the_same_profile_is_due_anew() -> None:
    stage = Stage(DARK)
    assert await stage.apply(on(2026, 12, 10)) == "dark"
    assert stage.next(on(2027, 1, 15)) is None
    assert stage.next(on(2027, 6, 1)) is None
    assert await stage.apply(on(2027, 12, 1)) == "dark"
    assert stage.next(on(2028, 1, 10)) is None


async def test_also_when_nobody_ran_in_the_gap(tmp_path: Path) -> None:
    assert await Stage(DARK, folder=tmp_path).apply(on(2026, 12, 10)) == "dark"
    assert Stage(DARK, folder=tmp_path).next(on(2027, 1, 10)) is None
    assert Stage(DARK, folder=tmp_path).next(on(2027, 12, 1)) == "dark"
    assert Stage(DARK, folder=tmp_path).next(on(2035, 12, 1)) == "dark"


async def test_a_profile_that_is_always_due_is_scheduled_once(tmp_path: Path) -> None:
    always = Profile("always", {"set_float_voltage": 27.0}, when=When("", "01-01", "12-31"))
    assert await Stage(always, folder=tmp_path).apply(on(2026, 12, 10)) == "always"
    for year in (2027, 2028, 2036):
        assert Stage(always, folder=tmp_path).next(on(year, 1, 1)) is None


async def test_after_a_visit_the_winter_comes_back() -> None:
    stage = Stage(WINTER, VISIT)
    names = [name for day in range(80) if (name := await stage.apply(on(2026, 12, 1) + day * DAY))]
    assert names == ["winter", "visit", "winter"]


async def test_a_restart_does_not_repeat_what_was_done(tmp_path: Path) -> None:
    assert await Stage(folder=tmp_path).apply(on(2026, 7, 1)) == "summer"
    assert Stage(folder=tmp_path).next(on(2026, 7, 2)) is None


def test_a_failed_try_is_repeated_after_an_hour() -> None:
    stage = Stage(SUMMER)
    start = on(2026, 7, 1, 1)
    assert stage.next(start) == "summer"
    assert stage.next(start + 5) is None
    assert stage.next(start + HOUR - 1) is None
    assert stage.next(start + HOUR) == "summer"
    assert stage.next(start + HOUR + 5) is None


def test_by_day_it_waits_for_the_night() -> None:
    stage = Stage(SUMMER)
    stage.values = BULK
    start = on(2026, 7, 1)
    assert stage.next(start) is None
    assert stage.next(start + 8 * HOUR) is None
    stage.values = OFF
    assert stage.next(start + 9 * HOUR) == "summer"


def test_it_waits_a_day_at_most() -> None:
    stage = Stage(SUMMER)
    stage.values = BULK
    start = on(2026, 7, 1)
    assert stage.next(start) is None
    assert stage.next(start + DAY - 1) is None
    assert stage.next(start + DAY) == "summer"
    assert stage.next(start + DAY + 60) is None
    assert stage.next(start + DAY + HOUR) == "summer"


def test_an_unknown_state_a_start_and_a_protection_are_no_night() -> None:
    stage = Stage(SUMMER)
    for values in ({}, {"off_reason": None}, {"off_reason": 0x100}, {"off_reason": 0x10}):
        stage.values = values
        assert stage.next(on(2026, 7, 1)) is None


async def test_nothing_is_tried_with_a_charger_that_is_silent_or_busy() -> None:
    stage = Stage(SUMMER)
    start = on(2026, 7, 1)
    stage.health = Health.OFFLINE
    assert stage.next(start + 2 * DAY) is None
    stage.silent, stage.health = True, Health.OK
    assert stage.next(start + 2 * DAY) is None
    stage.silent = False
    async with stage.plant.busy:
        assert stage.next(start + 2 * DAY) is None
    # None of these was a try.
    assert stage.next(start + 2 * DAY) == "summer"


def test_another_profile_does_not_wait_for_the_failed_one() -> None:
    stage = Stage(SUMMER, Profile("autumn", when=When("autumn")))
    assert stage.next(on(2026, 8, 31, 23.75)) == "summer"
    assert stage.next(on(2026, 9, 1, 0.25)) == "autumn"


def test_days_are_those_of_the_site() -> None:
    assert Stage(SUMMER, zone="Europe/Oslo").next(on(2026, 5, 31, 21.9)) is None
    assert Stage(SUMMER, zone="Europe/Oslo").next(on(2026, 5, 31, 22.1)) == "summer"


async def test_a_clock_that_was_never_set_schedules_nothing() -> None:
    stage = Stage(WINTER)
    assert stage.next(0.0) is None
    assert stage.next(on(2024, 12, 24)) is None
    assert stage.next(on(2026, 12, 24)) == "winter"


async def test_a_clock_that_is_set_back_neither_blocks_nor_repeats() -> None:
    stage = Stage(SUMMER)
    assert stage.next(on(2030, 7, 1)) == "summer"
    assert await stage.apply(on(2026, 7, 1)) == "summer"
    assert stage.next(on(2026, 6, 30)) is None
    stage = Stage(SUMMER)
    stage.values = BULK
    assert stage.next(on(2030, 7, 1)) is None
    assert stage.next(on(2026, 7, 1)) == "summer"


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"profile": "summer"},
        {"profile": "summer", "date": None},
        {"profile": "summer", "date": "x"},
        {"profile": "summer", "date": 5},
        {"profile": ["summer"], "date": "2026-07-01"},
        {"profile": None, "date": "2026-07-01"},
    ],
)
async def test_a_memory_that_says_nothing_is_none(section: dict[str, object]) -> None:
    stage = Stage(SUMMER)
    await stage.plant.store.keep(schedule.SECTION, section)
    assert stage.next(on(2026, 7, 1)) == "summer"


async def test_a_memory_as_old_as_can_be_is_looked_back_on_quickly() -> None:
    stage = Stage(SUMMER)
    await stage.plant.store.keep(schedule.SECTION, {"profile": "summer", "date": "0001-01-01"})
    assert stage.next(on(2026, 7, 1)) == "summer"


async def test_a_memory_that_cannot_be_kept_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    stage = Stage(SUMMER)
    stage.plant.store = Store(tmp_path / "file", "tristar_1")
    stage.schedule = Schedule(stage.plant, (SUMMER,), NORTH)
    assert await stage.apply(on(2026, 7, 1)) == "summer"
    assert stage.next(on(2026, 7, 2)) is None
    assert "roof: profile 'summer' may be written again after a restart" in caplog.text


async def test_the_log_says_once_that_something_is_due(caplog: pytest.LogCaptureFixture) -> None:
    stage = Stage(SUMMER)
    stage.values = BULK
    with caplog.at_level(logging.INFO):
        for minute in range(100):
            stage.next(on(2026, 7, 1) + 60 * minute)
    assert caplog.messages == ["roof: profile 'summer' is due by the calendar"]


@given(st.lists(st.tuples(days, st.booleans(), st.booleans()), max_size=20))
def test_whatever_happens_what_is_given_is_due_and_never_twice_an_hour(steps: list[tuple[date, bool, bool]]) -> None:
    async def live() -> None:
        stage = Stage()
        given_at: dict[str, float] = {}
        for day, dark, works in steps:
            stage.values = OFF if dark else BULK
            moment = on(day.year, day.month, day.day)
            name = stage.next(moment)
            wanted = due(ALL, "roof", NORTH, day)
            if name is not None:
                assert wanted is not None
                assert name == wanted.name
                if works:
                    await stage.schedule.done(wanted)
                    assert stage.next(moment + 2 * HOUR) is None
                given_at[name] = moment
            assert stage.next(moment) is None

    asyncio.run(live())


def test_the_simulated_charger_is_left_alone_until_its_night() -> None:
    async def live() -> None:
        charger = SimTriStar(hour=15.0, cloudiness=0.0, day_of_year=152, soc=0.5)
        rig = Rig(charger=charger, start=on(2026, 6, 1, 15))
        async with rig.running() as plant:
            calendar = Schedule(plant, (SUMMER,), NORTH)
            assert plant.values["charger_state"] == 0, "it has just started"
            assert calendar.next(rig.clock.time()) is None
            await rig.until(lambda reading: reading.values["charge_state"] == 3, 12 * HOUR)
            assert calendar.next(rig.clock.time()) is SUMMER

    run_virtual(live())
