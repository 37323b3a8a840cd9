"""Local days, with Python's zoneinfo and without."""

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import tzdata

from heliobus.model.localtime import UnknownTimeZoneError, local_time

# Around both changes of the clock in Oslo in 2026, and around a New Year far to the east and to the west.
MOMENTS = [
    datetime(2026, 3, 29, hour, minute, tzinfo=UTC).timestamp() for hour in (0, 1, 22, 23) for minute in (0, 59)
] + [datetime(2026, 10, 25, hour, tzinfo=UTC).timestamp() for hour in (0, 1, 22, 23)]
ZONES = ["Europe/Oslo", "Pacific/Auckland", "America/St_Johns", "UTC"]


@pytest.fixture
def no_zoneinfo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "zoneinfo", None)
    monkeypatch.setenv("TZDIR", str(Path(tzdata.__file__).parent / "zoneinfo"))
    monkeypatch.setenv("TZ", os.environ.get("TZ", "UTC"))
    yield
    monkeypatch.undo()
    time.tzset()


def test_days_change_at_local_midnight_also_when_the_clock_is_changed() -> None:
    oslo = local_time("Europe/Oslo")
    assert oslo(datetime(2026, 3, 28, 22, 59, tzinfo=UTC).timestamp()).date().isoformat() == "2026-03-28"
    assert oslo(datetime(2026, 3, 28, 23, 0, tzinfo=UTC).timestamp()).date().isoformat() == "2026-03-29"
    assert oslo(datetime(2026, 3, 29, 21, 59, tzinfo=UTC).timestamp()).date().isoformat() == "2026-03-29"
    assert oslo(datetime(2026, 3, 29, 22, 0, tzinfo=UTC).timestamp()).date().isoformat() == "2026-03-30"


@pytest.mark.parametrize("zone", ZONES)
def test_the_c_library_says_the_same(zone: str, no_zoneinfo: None, monkeypatch: pytest.MonkeyPatch) -> None:
    by_c_library = [local_time(zone)(moment).replace(tzinfo=None) for moment in MOMENTS]
    monkeypatch.delitem(sys.modules, "zoneinfo")
    assert by_c_library == [local_time(zone)(moment).replace(tzinfo=None) for moment in MOMENTS]


def test_a_zone_nobody_knows() -> None:
    with pytest.raises(UnknownTimeZoneError, match="Mars/Olympus"):
        local_time("Mars/Olympus")


def test_a_zone_nobody_knows_without_zoneinfo(no_zoneinfo: None) -> None:
    with pytest.raises(UnknownTimeZoneError, match="Mars/Olympus"):
        local_time("Mars/Olympus")
