"""How the ledger keeps days: clocks and zones, stages, extremes, errors."""

import pytest

from heliobus.ledger.account import days, points, step
from heliobus.model.day import Day
from heliobus.model.localtime import local_time
from ledger_samples import NIGHT, OSLO, at, energies, kept, seen

KIRITIMATI = local_time("Pacific/Kiritimati")
HONOLULU = local_time("Pacific/Honolulu")


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_days_of_23_and_25_hours(month: int, day: int) -> None:
    start = at(day, 12, month) - 86_400
    values = [seen(start, 500)]
    values += [seen(start + 60 * n, 500, NIGHT) for n in range(200, 1000)]
    account = kept(*values, seen(start + 60_060, 0), seen(start + 60_120, 100))
    assert energies(account, start + 60_120) == [100.0, 500.0]


def test_an_unset_clock_counts_on_the_last_known_date() -> None:
    t = at(21, 13)
    account = kept(
        seen(t, 1000, charge_total=6000.0), *(seen(100.0 + 5 * n, 1010, charge_total=6000.8) for n in range(9))
    )
    assert energies(account, 140.0) == [1010.0]
    account = kept(seen(t + 300, 1020, charge_total=6001.5), account=account)
    assert energies(account, t + 300) == [1020.0]
    assert account.lifetime == 1020


def test_a_device_first_seen_with_an_unset_clock() -> None:
    account = kept(seen(100.0, 500), seen(105.0, 510), seen(at(21, 13), 510))
    assert energies(account, at(21, 13)) == [510.0]
    assert account.past == ()


def test_a_clock_stepped_back_gives_the_open_record_its_date() -> None:
    account = kept(
        seen(at(21, 13), 1000, charge_total=6000.0),
        seen(at(22, 8.9), 0, charge_total=6000.0),
        seen(at(22, 9), 300, charge_total=6023.0, battery_voltage=12.0),
        seen(at(21, 9), 300, charge_total=6023.0),
    )
    assert account.day.date == "2026-11-21"
    assert energies(account, at(21, 9)) == [1300.0]
    assert account.day.min_battery_voltage == 12.0
    assert account.lifetime == 1300


def test_a_clock_stepped_forward_opens_a_later_day() -> None:
    t = at(21, 13)
    counters = {"charge_total": 6000.0, "operating_hours": 100.0}
    account = kept(seen(t, 3000, **counters), seen(t + 5 * 86_400, 3000, **counters))
    assert energies(account, t + 5 * 86_400) == [0.0, None, None, None, None, 3000.0]
    back = kept(seen(t + 10, 3010, **counters), account=account)
    assert energies(back, t) == [3010.0]


def test_a_clock_far_ahead_does_not_drop_the_history() -> None:
    account = kept(*(seen(at(day, 13), 1000 + day) for day in range(1, 22)))
    ahead = kept(seen(at(21, 13) + 10 * 365 * 86_400, 1021), account=account)
    back = kept(seen(at(21, 13) + 5, 1021), account=ahead)
    assert energies(back, at(21, 13)) == energies(account, at(21, 13))


def test_moving_west_over_midnight() -> None:
    t = at(21, 13)
    account = kept(seen(t, 1000), seen(t + 5, 1010), local=KIRITIMATI)
    assert account.day.date == "2026-11-22"
    account = kept(seen(t + 10, 1020), account=account, local=HONOLULU)
    assert account.day.date == "2026-11-21"
    assert energies(account, t, HONOLULU) == [1020.0]
    account = kept(seen(t + 15, 1030), account=account, local=KIRITIMATI)
    assert account.lifetime == 1030


def test_at_most_31_days_are_kept() -> None:
    account = None
    for n in range(60):
        account = step(account, seen(at(1, 13, 9) + n * 86_400, 1000 + 10 * n), OSLO)
    assert account is not None
    history = days(account, account.time, OSLO)
    assert len(history) == 31
    assert len(account.past) == 30
    assert None not in history


def test_stage_timers_by_delta() -> None:
    t = at(21, 15)
    account = kept(
        seen(t, 0, time_absorption=100.0, time_float=0.0, time_equalize=0.0),
        seen(t + 60, 0, time_absorption=160.0, time_float=0.0, time_equalize=0.0),
        seen(t + 120, 0, NIGHT, time_absorption=0.0, time_float=0.0, time_equalize=0.0),
        seen(t + 180, 0, time_absorption=7.0, time_float=5.0, time_equalize=4.0),
        seen(t + 240, 0, time_absorption=30_000.0, time_float=5.0, time_equalize=4.0),
    )
    assert (account.day.time_absorption, account.day.time_float, account.day.time_equalize) == (167, 5, 4)


def test_stage_timers_over_a_night_without_the_driver() -> None:
    account = kept(
        seen(at(21, 15), 900, time_absorption=100.0, time_float=50.0),
        seen(at(22, 13), 1200, time_absorption=300.0, time_float=20.0),
    )
    history = days(account, at(22, 13), OSLO)
    assert [(day.time_absorption, day.time_float) for day in history if day] == [(300, 20), (100, 50)]


def test_stages_are_watched_where_the_device_has_no_timers() -> None:
    t = at(21, 12)
    states = [3, 3, 4, 5, 7, 0, 3]
    account = kept(*(seen(t + 30 * n, 0, state) for n, state in enumerate(states)), seen(t + 3600, 0, 4))
    day = account.day
    assert (day.time_bulk, day.time_absorption, day.time_float, day.time_equalize) == (60, 30, 30, 30)


def test_bulk_is_watched_at_slow_polls_too() -> None:
    t = at(21, 12)
    account = kept(*(seen(t + 300 * n, 0, time_absorption=0.0) for n in range(5)))
    assert account.day.time_bulk == 900
    assert kept(seen(t + 1200 + 7200, 0), account=account).day.time_bulk == 900


def test_own_extremes() -> None:
    t = at(21, 12)
    account = kept(
        seen(t, 0, pv_voltage=70.0, battery_voltage=13.5, battery_current=9.0, power=100.0),
        seen(t + 5, 0, pv_voltage=65.0, battery_voltage=12.5, battery_current=30.0, power=300.0),
        seen(t + 10, 0, pv_voltage=None, battery_voltage=None),
    )
    assert account.day == Day("2026-11-21", 0.0, 300.0, 70.0, 12.5, 13.5, 30.0, time_bulk=10)


def test_the_devices_extremes_count_only_when_they_move() -> None:
    midnight = at(22, 0)
    old = {
        "day_power_max": 800.0,
        "day_pv_voltage_max": 90.0,
        "day_battery_voltage_min": 11.0,
        "day_battery_voltage_max": 15.0,
    }
    account = kept(seen(midnight - 30, 0, NIGHT, **old), seen(midnight + 5, 0, NIGHT, **old))
    yesterday = account.past[0]
    assert (yesterday.max_power, yesterday.min_battery_voltage, yesterday.max_battery_voltage) == (800, 11, 15)
    assert (account.day.max_power, account.day.max_pv_voltage, account.day.min_battery_voltage) == (None, 0.3, 13)
    moved = kept(
        seen(midnight + 10, 0, NIGHT, **old | {"day_battery_voltage_min": 10.5}),
        account=account,
    )
    assert (moved.day.min_battery_voltage, moved.day.max_battery_voltage) == (10.5, 13.0)


def test_the_devices_extremes_at_first_sight_in_the_night_are_yesterdays() -> None:
    account = kept(seen(at(22, 3), 700, NIGHT, day_power_max=800.0, day_battery_voltage_max=15.0))
    assert account.past == (Day("2026-11-21", 700.0, max_power=800.0, max_battery_voltage=15.0),)
    assert account.day.max_power is None


def test_the_devices_extremes_after_a_night_without_the_driver() -> None:
    account = kept(seen(at(21, 15), 900, day_power_max=800.0), seen(at(22, 13), 1200, day_power_max=800.0))
    assert account.day.max_power == 800


def test_the_last_four_different_errors() -> None:
    t = at(21, 12)
    numbers = [0, 2, 2, 17, 0, 33, 2, 119, 1, None]
    account = kept(*(seen(t + 5 * n, 0, charger_error=number) for n, number in enumerate(numbers)))
    assert account.day.errors == (1, 119, 2, 33)


def test_nothing_measured_today_is_no_record() -> None:
    account = kept(seen(at(21, 13), 1000))
    assert days(account, at(23, 9), OSLO) == (None, None, account.day)
    assert points(account, at(23, 9), OSLO)["yield_today"] is None
    assert days(account, at(23, 9) + 60 * 86_400, OSLO) == ()


def test_setting_the_clock_is_no_night() -> None:
    account = kept(seen(at(21, 13), 1000), seen(100.0, 1010), seen(105.0, 1010), seen(at(22, 9), 1020))
    assert energies(account, at(22, 9)) == [0.0, 1020.0]


def test_days_of_a_clock_that_was_ahead_make_room_for_real_ones() -> None:
    account = kept(*(seen(at(1, 13) + n * 86_400, 1000 + n) for n in range(400, 435)))
    account = kept(*(seen(at(1, 13) + n * 86_400, 2000 + n) for n in range(20)), account=account)
    history = energies(account, at(20, 13))
    assert history[:-1] == [2019.0 - n for n in range(19)]
    assert len(account.past) == 30


def test_stage_timers_at_first_sight_in_the_night_are_yesterdays() -> None:
    account = kept(seen(at(22, 3), 700, NIGHT, time_absorption=3600.0))
    assert account.past[0].time_absorption == 3600
    assert account.day.time_absorption == 0


def test_stage_timers_are_not_counted_again_when_the_energy_comes_back() -> None:
    noon = at(22, 12)
    account = kept(
        seen(at(21, 20), 1000, NIGHT, time_absorption=100.0),
        seen(noon - 30, None, time_absorption=50.0),
        seen(noon, 1300, time_absorption=50.0),
    )
    assert [day.time_absorption for day in (account.day, *account.past)] == [0, 150]
