"""How the ledger counts energy, rule by rule."""

from dataclasses import replace

import pytest

from heliobus.ledger.account import points, step
from heliobus.ledger.sample import Sample
from ledger_samples import BULK, NIGHT, OSLO, at, energies, gap, kept, seen


def test_only_increases_count() -> None:
    t = at(21, 10)
    account = kept(*(seen(t + 5 * n, value) for n, value in enumerate((100, 100, 110, 110, 130))))
    assert points(account, t, OSLO) == {"yield_today": 0.13, "yield_total": 0.13}


def test_after_midnight_the_register_still_shows_yesterday() -> None:
    account = kept(seen(at(21, 14), 3000), seen(at(21, 23.999), 3000, NIGHT), seen(at(22, 0.01), 3000, NIGHT))
    assert energies(account, at(22, 0.01)) == [0.0, 3000.0]
    account = kept(seen(at(22, 0.02), 3000, NIGHT), account=account)
    assert energies(account, at(22, 0.02)) == [0.0, 3000.0]
    assert account.lifetime == 3000


def test_dawn_starts_the_register_again() -> None:
    dawn = at(22, 8)
    account = kept(seen(at(21, 14), 3000), seen(dawn - 60, 3000, NIGHT), seen(dawn, 0), seen(dawn + 30, 10))
    assert energies(account, dawn) == [10.0, 3000.0]


def test_a_small_increase_over_midnight_belongs_to_the_day_before() -> None:
    midnight = at(22, 0)
    account = kept(seen(at(21, 14), 3000), seen(midnight - 5, 3000, NIGHT), seen(midnight + 5, 3010, NIGHT))
    assert energies(account, midnight + 5) == [0.0, 3010.0]


@pytest.mark.parametrize(("after", "counted"), [(0, 3000), (20, 3020), (2900, 3000), (3400, 3000), (65_000, 3000)])
def test_more_than_is_physically_possible_only_moves_the_baseline(after: float, counted: float) -> None:
    t = at(21, 13)
    account = kept(seen(t, 3000), seen(t + 5, after), seen(t + 10, after))
    assert account.lifetime == counted
    assert kept(seen(t + 15, after + 10), account=account).lifetime == counted + 10


def test_a_reset_with_a_restored_day_counter_does_not_double() -> None:
    t = at(21, 13)
    values = (3000, 0, 0, 2900, 2900, 2910)
    account = kept(*(seen(t + 5 * n, value) for n, value in enumerate(values)))
    assert account.lifetime == 3010
    assert energies(account, t) == [3010.0]


def test_a_slowly_polled_counter_may_jump_as_far_as_the_measured_power_went() -> None:
    t = at(21, 13)
    samples = [seen(t + n, 1000, power=3000.0) for n in range(300)]
    account = kept(*samples, seen(t + 300, 1250, power=3000.0))
    assert account.lifetime == 1250
    glitch = kept(*samples, seen(t + 300, 2250, power=3000.0))
    assert glitch.lifetime == 1000


def test_a_large_charger_may_win_more() -> None:
    t = at(21, 13)
    big = {"rated_current": 400.0, "battery_voltage": 54.0}
    assert kept(seen(t, 0, **big), seen(t + 60, 400, **big)).lifetime == 400
    assert kept(seen(t, 0), seen(t + 60, 400)).lifetime == 0


def test_a_controller_reset_by_day_loses_and_doubles_nothing() -> None:
    t = at(21, 13)
    before = {"charge_total": 6000.0, "energy_total": 900.0, "time_absorption": 600.0}
    after = {"charge_total": 5800.0, "energy_total": 898.0, "time_absorption": 0.0}
    account = kept(
        seen(t, 3000, **before),
        seen(t + 5, 3010, **before),
        seen(t + 10, 0, **after),
        seen(t + 40, 10, **after | {"time_absorption": 30.0}),
    )
    assert account.lifetime == 900_020
    assert energies(account, t) == [3020.0]
    assert account.day.time_absorption == 630


def test_a_reset_hidden_in_a_gap_never_shrinks_and_never_doubles() -> None:
    t = at(21, 11)
    account = kept(
        seen(t, 1000, charge_total=6000.0, energy_total=900.0),
        seen(t + 3600, 400, charge_total=5900.0, energy_total=899.0),
    )
    assert account.lifetime == 900_400
    assert energies(account, t) == [1400.0]


def test_a_register_restored_in_a_gap_does_not_double() -> None:
    t = at(21, 11)
    cleared = kept(seen(t, 1000, charge_total=6000.0), seen(t + 5, 0, charge_total=5990.0))
    account = kept(seen(t + 3605, 950, charge_total=5990.0), account=cleared)
    assert account.lifetime == 1000
    again = kept(seen(t, 1000, charge_total=6000.0), seen(t + 3600, 950, charge_total=6000.0))
    assert again.lifetime == 1000


def test_driver_down_from_evening_to_noon_register_below() -> None:
    account = gap(3000, 1300, 100.0, at(21, 20), at(22, 12))
    assert energies(account, at(22, 12)) == [1300.0, 3000.0]
    assert account.lifetime == 901_300


def test_driver_down_from_evening_to_noon_register_above() -> None:
    account = gap(1000, 1300, 100.0, at(21, 20), at(22, 12))
    assert energies(account, at(22, 12)) == [1300.0, 1000.0]
    assert account.lifetime == 901_300


@pytest.mark.parametrize("charge", [None, 0.0])
def test_driver_down_overnight_without_a_charge_counter(charge: float | None) -> None:
    account = kept(seen(at(21, 20), 1000, NIGHT, charge_total=charge), seen(at(22, 12), 1300, charge_total=charge))
    assert energies(account, at(22, 12)) == [1300.0, 1000.0]


def test_the_register_rolled_in_the_night_before_this_midnight() -> None:
    account = gap(1000, 1300, 0.0, at(21, 20), at(22, 2), state=NIGHT)
    assert energies(account, at(22, 2)) == [0.0, 1000.0]  # the charge counter proves that the 300 Wh are not real
    account = gap(1000, 1300, 23.1, at(21, 14), at(22, 2), state=NIGHT)
    assert energies(account, at(22, 2)) == [0.0, 1300.0]


def test_a_gap_from_before_dawn_to_afternoon() -> None:
    account = kept(seen(at(20, 14), 1000), seen(at(21, 2), 1000, NIGHT, charge_total=6000.0))
    account = kept(seen(at(21, 14), 1300, charge_total=6100.0), account=account)
    assert energies(account, at(21, 14)) == [1300.0, 1000.0]


def test_a_gap_within_one_day_stays_the_same_controller_day() -> None:
    account = gap(500, 2000, 115.0, at(21, 10), at(21, 13))
    assert energies(account, at(21, 13)) == [2000.0]
    assert account.lifetime == 901_500


def test_an_ambiguous_gap_invents_nothing() -> None:
    # 20 Wh on a dark day, then a fault state that says nothing about dawn: charge fits both stories.
    account = kept(seen(at(21, 15), 20, BULK, charge_total=6000.0), seen(at(22, 9), 100, 2, charge_total=6007.0))
    assert account.lifetime == 100


def test_a_cell_under_snow_never_dawned() -> None:
    before = seen(at(21, 14), 500, charge_total=6000.0)
    account = kept(before, seen(at(23, 14), 500, NIGHT, charge_total=6000.0))
    assert account.lifetime == 500
    assert kept(seen(at(21, 14), 500), seen(at(23, 14), 500, NIGHT)).lifetime == 500


def test_whole_kwh_counter_and_hour_meter_may_deny_a_rollover() -> None:
    before, after = at(21, 20), at(22, 12)
    stuck = kept(seen(before, 3000, NIGHT, energy_total=900.0), seen(after, 3010, energy_total=900.0))
    assert stuck.lifetime == 900_010
    stepped = kept(seen(before, 300, NIGHT, operating_hours=100.0), seen(after, 310, operating_hours=100.0))
    assert stepped.lifetime == 310


def test_three_days_without_the_driver_are_three_gaps_and_nothing_shifts() -> None:
    account = kept(seen(at(16, 13), 900), seen(at(17, 13), 2500, charge_total=6000.0, energy_total=900.0))
    account = kept(seen(at(21, 11), 700, charge_total=6800.0, energy_total=910.0), account=account)
    assert energies(account, at(21, 11)) == [700.0, None, None, None, 2500.0, 900.0]
    # 800 Ah at 13 V were won; what the register shows is counted once.
    assert account.lifetime == pytest.approx(900_000 + 800 * 13.0, abs=10)


def test_the_same_outage_with_a_register_above() -> None:
    account = kept(seen(at(17, 13), 700, charge_total=6000.0, energy_total=900.0))
    account = kept(seen(at(21, 11), 900, charge_total=6800.0, energy_total=910.0), account=account)
    assert energies(account, at(21, 11)) == [900.0, None, None, None, 700.0]
    assert account.lifetime == pytest.approx(900_000 + 800 * 13.0, abs=10)


def test_back_at_night_the_register_is_yesterdays() -> None:
    account = kept(seen(at(17, 13), 700, charge_total=6000.0), seen(at(21, 2), 900, NIGHT, charge_total=6300.0))
    assert energies(account, at(21, 2)) == [0.0, 900.0, None, None, 700.0]


@pytest.mark.parametrize("charge", [5990.0, 60_000.0])
def test_a_charge_counter_that_makes_no_sense_adds_nothing(charge: float) -> None:
    account = kept(seen(at(17, 13), 2500, charge_total=6000.0), seen(at(19, 11), 700, charge_total=charge))
    assert account.lifetime == 3200


def test_without_charge_the_kwh_counter_tells_what_nobody_saw() -> None:
    account = kept(seen(at(17, 13), 2500, energy_total=900.0), seen(at(21, 11), 700, energy_total=912.0))
    assert 900_000 + 7000 < account.lifetime <= 912_000


def test_first_sight_takes_the_devices_own_total() -> None:
    account = kept(seen(at(21, 13), 2500, energy_total=900.0))
    assert points(account, at(21, 13), OSLO) == {"yield_today": 2.5, "yield_total": 900.0}


def test_first_sight_without_a_total() -> None:
    account = kept(seen(at(21, 13), 2500))
    assert points(account, at(21, 13), OSLO) == {"yield_today": 2.5, "yield_total": 2.5}
    later = kept(seen(at(21, 13) + 5, 2500, energy_total=900.0), account=account)
    assert later.lifetime == 900_000


def test_first_sight_at_night_is_yesterdays_register() -> None:
    account = kept(seen(at(21, 3), 2500, NIGHT, energy_total=900.0))
    assert energies(account, at(21, 3)) == [0.0, 2500.0]
    # Switched off by hand in the morning: the array is lit, so the register is today's.
    lit = kept(seen(at(21, 10), 500, NIGHT, pv_voltage=60.0))
    assert energies(lit, at(21, 10)) == [500.0]


def test_none_changes_nothing() -> None:
    account = kept(seen(at(21, 13), 2500))
    assert step(account, Sample(at(21, 13) + 5), OSLO) is account
    assert step(None, Sample(at(21, 13)), OSLO) is None
    hours_later = kept(*(seen(at(21, 13) + 30 * n, None) for n in range(240)), account=account)
    assert kept(seen(at(21, 15), 2900), account=hours_later).lifetime == 2900


def test_after_a_restart_the_energy_waits_for_the_charge_counter() -> None:
    account = kept(seen(at(21, 20), 1000, NIGHT, charge_total=6000.0))
    account = kept(seen(at(22, 12), 1300), seen(at(22, 12) + 5, 1300), account=account)
    assert energies(account, at(22, 12)) == [0.0, 1000.0]
    done = kept(seen(at(22, 12) + 10, 1300, charge_total=6100.0), account=account)
    assert energies(done, at(22, 12)) == [1300.0, 1000.0]
    never = kept(*(seen(at(22, 12) + 10 * n, 1300) for n in range(1, 20)), account=account)
    assert energies(never, at(22, 12)) == [1300.0, 1000.0]


def test_capture_of_a_twelve_volt_charger_at_night() -> None:
    sample = Sample(at(21, 2), energy_day=0.0, charger_state=0, pv_voltage=0.33, battery_voltage=13.43)
    account = kept(sample, replace(sample, time=sample.time + 5))
    assert points(account, sample.time, OSLO) == {"yield_today": 0.0, "yield_total": 0.0}
    assert account.past == ()


def test_after_a_dark_day_the_dates_decide() -> None:
    account = gap(20, 100, 7.7, at(21, 15), at(22, 12))
    assert energies(account, at(22, 12)) == [100.0, 20.0]


def test_a_register_that_stood_still_for_days_is_not_new() -> None:
    account = gap(10, 10, 0.0, at(21, 15), at(23, 13))
    assert account.lifetime == 900_000
    assert energies(account, at(23, 13)) == [0.0, None, 10.0]


def test_a_charge_counter_a_third_off_does_not_make_a_new_day() -> None:
    account = gap(500, 2000, 150.0, at(21, 10), at(21, 13))
    assert energies(account, at(21, 13)) == [2000.0]


def test_a_charge_counter_gone_mad_decides_nothing() -> None:
    account = gap(500, 2000, 54_000.0, at(21, 10), at(21, 13))
    assert energies(account, at(21, 13)) == [2000.0]
    assert account.lifetime == 901_500


@pytest.mark.parametrize(("charge", "hour"), [(None, 2.5), (23.1, 3.5)])
def test_sun_at_midnight_is_no_dawn(charge: float | None, hour: float) -> None:
    before, after = at(21, 22, 6), at(22, hour, 6)
    total = None if charge is None else 6000.0 + charge
    account = kept(
        seen(before, 1000, charge_total=None if charge is None else 6000.0), seen(after, 1300, charge_total=total)
    )
    assert energies(account, after) == [0.0, 1300.0]


def test_first_sight_of_the_energy_after_that_of_the_total() -> None:
    t = at(21, 13)
    account = kept(seen(t, None, energy_total=900.0), seen(t + 5, 2500, energy_total=900.0))
    assert points(account, t, OSLO) == {"yield_today": 2.5, "yield_total": 900.0}
