"""Roll-ups are what a slow and simple program finds, on every kind of day."""

import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliobus.model.localtime import LocalTime, local_time
from heliobus.model.point import Value
from heliobus.outputs.history.buckets import Row
from heliobus.outputs.history.every import parse
from heliobus.outputs.history.local_days import LocalDays
from history_site import BEGIN, DAY, HOUR, OSLO, Diary, asked, every, local_midnight, rolled_up, sample

Values = list[tuple[float, Value]]


def means(rows: list[Row]) -> dict[int, tuple[object, ...]]:
    return {row.time: (row.minimum, row.maximum, row.mean, row.samples) for row in rows if row.samples}


def expected_means(values: Values, bucket: Callable[[float], float]) -> dict[int, tuple[object, ...]]:
    found = rolled_up(values, bucket)
    return {
        begin: (low, high, pytest.approx(total / count), count) for begin, (low, high, total, _, count) in found.items()
    }


def at(text: str, zone: str = "Europe/Oslo") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def noise(begin: float, end: float, step: float, seed: int = 1) -> Values:
    chance = random.Random(seed)
    return [
        (begin + index * step + chance.randrange(0, 900) / 1000, round(chance.gauss(500, 200), 1))
        for index in range(int((end - begin) / step))
    ]


STEPS = [("1m", every(60)), ("15m", every(900)), ("1h", every(HOUR)), ("1d", local_midnight(OSLO))]


@pytest.mark.parametrize(("step", "bucket"), STEPS)
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25", "2026-11-21"])
def test_days_of_23_24_and_25_hours(tmp_path: Path, day: str, step: str, bucket: Callable[[float], float]) -> None:
    begin = at(f"{day}T00:00") - 3 * HOUR
    values = noise(begin, begin + 31 * HOUR, 47)
    with Diary(tmp_path / "h.db") as diary:
        diary.record(values, commit=40)
        rows = asked(diary.path, "pv_power", begin - DAY, begin + 2 * DAY, every=parse(step))
    assert means(rows) == expected_means(values, bucket)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Asia/Kathmandu", "2026-11-20"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("America/Havana", "2026-03-08"),
        ("America/Havana", "2026-11-01"),
        ("Pacific/Chatham", "2026-09-27"),
    ],
)
def test_days_of_odd_time_zones(tmp_path: Path, zone: str, day: str) -> None:
    local = local_time(zone)
    begin = at(f"{day}T12:00", zone) - DAY
    values = noise(begin, begin + 2 * DAY, 301)
    dates = {local(time).date() for time, _ in values}
    with Diary(tmp_path / "h.db", local=local) as diary:
        diary.record(values, commit=50)
        rows = asked(diary.path, "pv_power", begin - DAY, begin + 3 * DAY, local, every=parse("1d"))
    assert sum(row.samples for row in rows) == len(values)
    assert {local(row.time / 1000).date(): row.samples for row in rows} == {
        date: sum(local(time).date() == date for time, _ in values) for date in dates
    }


@pytest.mark.parametrize("zone", ["Europe/Oslo", "Asia/Kathmandu", "America/Havana", "Pacific/Apia", "UTC"])
def test_the_quarters_of_all_days_of_years_are_each_in_one_day(zone: str) -> None:
    days = LocalDays(local_time(zone))
    first = days.of(BEGIN // 900)
    after = days.quarters(first).start
    for day in range(first, first + 400):
        quarters = days.quarters(day)
        assert quarters.start == after and len(quarters) in (92, 96, 100)
        assert all(days.of(quarter) == day for quarter in (quarters[0], quarters[-1]))
        after = quarters.stop


TIMES = st.integers(0, 3 * HOUR).map(lambda second: BEGIN + second)
BATCH = st.lists(st.tuples(TIMES, st.none() | st.integers(-9999, 9999).map(lambda n: n / 10)), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BATCH, min_size=1, max_size=6), st.booleans())
def test_late_and_repeated_samples_count_once_and_in_their_place(
    tmp_path: Path, batches: list[Values], reopened: bool
) -> None:
    path = tmp_path / "h.db"
    path.unlink(missing_ok=True)
    with Diary(path) as diary:
        for batch in batches:
            # Each commit is made at the end: all hours but the last are sealed again and again.
            diary.write([sample(time, pv_power=value, charger_state=3) for time, value in batch], BEGIN + 4 * HOUR)
            if reopened:
                diary.reopen()
        last = {round(1000 * time): value for batch in batches for time, value in batch if value is not None}
        values: Values = [(time / 1000, value) for time, value in last.items()]
        if not values:
            return
        for step, bucket in STEPS:
            assert means(asked(path, "pv_power", BEGIN - DAY, BEGIN + DAY, every=parse(step))) == expected_means(
                values, bucket
            )
        raw = asked(path, "pv_power", BEGIN, BEGIN + DAY, every=parse("raw"))
        assert {row.time: row.mean for row in raw if row.samples} == {round(1000 * t): value for t, value in values}
        times = [row.time for row in raw]
        assert times == sorted(set(times))


def test_what_is_not_yet_sealed_is_seen_too(tmp_path: Path) -> None:
    values = noise(BEGIN, BEGIN + 2.5 * HOUR, 10)
    with Diary(tmp_path / "h.db") as diary:
        diary.record(values)
        for step, bucket in STEPS:
            rows = asked(diary.path, "pv_power", BEGIN, BEGIN + DAY, every=parse(step))
            assert means(rows) == expected_means(values, bucket)
        assert len(asked(diary.path, "pv_power", BEGIN, BEGIN + DAY, every=parse("raw"))) == len(values)
        for pixels in (7, 100, 1000):
            rows = asked(diary.path, "pv_power", BEGIN, BEGIN + 3 * HOUR, pixels=pixels)
            assert sum(row.samples for row in rows) == len(values)
            assert max(row.maximum or 0 for row in rows) == max(value or 0 for _, value in values)
            assert len(rows) <= pixels + 1


def test_counters_and_states_have_their_last_value(tmp_path: Path) -> None:
    values: Values = [(BEGIN + 10 * index, round(100 + index / 100, 2)) for index in range(800)]
    with Diary(tmp_path / "h.db") as diary:
        diary.record(values, "yield_total")
        diary.record([(time, 3 if index < 400 else 5) for index, (time, _) in enumerate(values)], "charger_state")
        for step, bucket in STEPS:
            rows = asked(diary.path, "yield_total", BEGIN, BEGIN + DAY, every=parse(step))
            found = rolled_up(values, bucket)
            assert {row.time: (row.minimum, row.last, row.mean) for row in rows} == {
                time: (low, last, None) for time, (low, _, _, last, _) in found.items()
            }
        states = asked(diary.path, "charger_state", BEGIN, BEGIN + DAY, every=parse("1d"))
    assert [(row.last, row.minimum, row.maximum) for row in states] == [(5, 3, 5)]


def test_weeks_begin_on_monday_and_months_on_their_first_day(tmp_path: Path) -> None:
    begin = at("2026-10-20T12:00")
    values: Values = [(begin + 6 * HOUR * index, float(index)) for index in range(120)]
    with Diary(tmp_path / "h.db") as diary:
        diary.record(values, commit=20)
        weeks = asked(diary.path, "pv_power", begin, begin + 40 * DAY, every=parse("1w"))
        months = asked(diary.path, "pv_power", begin, begin + 40 * DAY, every=parse("1mo"))
    assert [f"{OSLO(row.time / 1000):%Y-%m-%d %H:%M %a}" for row in weeks[:3]] == [
        "2026-10-19 00:00 Mon",
        "2026-10-26 00:00 Mon",
        "2026-11-02 00:00 Mon",
    ]
    assert [f"{OSLO(row.time / 1000):%Y-%m-%d}" for row in months] == ["2026-10-01", "2026-11-01"]
    assert sum(row.samples for row in weeks) == sum(row.samples for row in months) == len(values)


def test_a_silent_device_and_a_missing_point_are_gaps(tmp_path: Path) -> None:
    with Diary(tmp_path / "h.db") as diary:
        values: Values = [(BEGIN + 10 * index, 1.0) for index in range(720)]
        silent = [(time, value) for time, value in values if not BEGIN + 1000 <= time < BEGIN + 2000]
        without: Values = [(time, None if BEGIN + 3000 <= time < BEGIN + 4000 else value) for time, value in silent]
        batch = [sample(time, pv_power=value, battery_voltage=25.0) for time, value in without]
        for index in range(0, len(batch), 6):
            diary.write(batch[index : index + 6])
        for step in ("raw", "1m"):
            rows = asked(diary.path, "pv_power", BEGIN, BEGIN + 7200, every=parse(step))
            gaps = [row for row in rows if not row.samples]
            assert len(gaps) == 2
            assert all(row.mean is None and row.minimum is None and row.last is None for row in gaps)
            assert 980 <= gaps[0].time / 1000 - BEGIN <= 1060
            assert 2980 <= gaps[1].time / 1000 - BEGIN <= 3060
        hours = asked(diary.path, "pv_power", BEGIN, BEGIN + 7200, every=parse("1h"))
        assert all(row.samples for row in hours)


def test_a_device_that_is_read_each_two_minutes_is_no_row_of_gaps(tmp_path: Path) -> None:
    with Diary(tmp_path / "h.db") as diary:
        diary.record([(BEGIN + 120 * index, 1.0) for index in range(100)])
        for step in ("raw", "1m"):
            rows = asked(diary.path, "pv_power", BEGIN, BEGIN + DAY, every=parse(step))
            assert len(rows) == 100 and all(row.samples for row in rows)


def test_values_that_are_not_rounded_are_kept_exactly(tmp_path: Path) -> None:
    values: Values = [(BEGIN + 10 * index, 1 / (index + 1)) for index in range(500)]
    with Diary(tmp_path / "h.db") as diary:
        diary.record(values)
        rows = asked(diary.path, "pv_power", BEGIN, BEGIN + DAY, every=parse("raw"))
        assert [row.mean for row in rows] == [value for _, value in values]
        assert means(asked(diary.path, "pv_power", BEGIN, BEGIN + DAY, every=parse("15m"))) == expected_means(
            values, every(900)
        )


def test_another_time_zone_moves_only_days_that_come(tmp_path: Path) -> None:
    noon = at("2026-11-20T12:00", "UTC")
    utc = local_time("UTC")
    zones: list[LocalTime] = [utc, utc, OSLO]
    with Diary(tmp_path / "h.db", local=zones[0]) as diary:
        for index, local in enumerate(zones):
            diary.local = local
            diary.record(noise(noon + index * DAY, noon + index * DAY + 4 * HOUR, 60))
        rows = asked(diary.path, "pv_power", noon - DAY, noon + 3 * DAY, every=parse("1d"))
    assert [row.samples for row in rows] == [240, 240, 240]
    assert [f"{OSLO(row.time / 1000):%d %H:%M}" for row in rows] == ["20 01:00", "21 00:00", "22 00:00"]
