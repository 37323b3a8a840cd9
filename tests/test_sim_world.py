"""The sun, the battery and the loads of the simulated world."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.sim.world import Array, Battery, Curve, Sun, World


def test_the_sun_is_highest_at_noon_and_down_at_midnight() -> None:
    sun = Sun(latitude=47.0, cloudiness=0.0, seed=1)
    light = [sun.irradiance(172, hour * 3600.0) for hour in range(24)]
    assert light.index(max(light)) == 12
    assert light[0] == light[23] == 0.0
    assert 800 < max(light) < 1100


def test_winter_is_darker_than_summer_and_the_pole_has_no_winter_sun() -> None:
    noon = 12 * 3600.0
    assert Sun(60.0, 0.0, 1).irradiance(355, noon) < 0.3 * Sun(60.0, 0.0, 1).irradiance(172, noon)
    assert Sun(70.0, 0.0, 1).irradiance(355, noon) == 0.0


def test_clouds_take_light_and_depend_on_the_seed_alone() -> None:
    cloudy, again, other = Sun(47.0, 0.9, 5), Sun(47.0, 0.9, 5), Sun(47.0, 0.9, 6)
    times = [10 * 3600.0 + 97.0 * i for i in range(60)]
    assert [cloudy.irradiance(120, t) for t in times] == [again.irradiance(120, t) for t in times]
    assert [cloudy.irradiance(120, t) for t in times] != [other.irradiance(120, t) for t in times]
    clear = Sun(47.0, 0.0, 5)
    assert all(cloudy.irradiance(120, t) <= clear.irradiance(120, t) for t in times)


def test_a_dark_array_gives_nothing() -> None:
    assert Array(1500.0, 78.0, 64.0).curve(0.0, 10.0) == Curve(0.0, 0.0, 0.0)


@given(st.floats(min_value=0.0, max_value=1.0))
def test_the_curve_and_its_inverse_agree_right_of_the_maximum(share: float) -> None:
    curve = Curve(voc=80.0, vmp=65.0, watts=1000.0)
    assert curve.watts_at(curve.volts_at(share * 1000.0)) == pytest.approx(share * 1000.0, abs=1e-6)


def test_an_array_peaks_at_vmp() -> None:
    curve = Array(1500.0, 78.0, 64.0).curve(1000.0, -5.0)
    assert curve.watts == pytest.approx(1500.0, rel=0.01)
    assert max(range(90), key=curve.watts_at) in range(int(curve.vmp) - 1, int(curve.vmp) + 2)


@given(st.floats(0.05, 1.0), st.floats(-50.0, 60.0))
def test_battery_voltage_and_current_are_inverse(soc: float, amps: float) -> None:
    battery = Battery(nominal=24.0, capacity=400.0, soc=soc, resistance=0.01)
    assert battery.amps_at(battery.volts_at(amps)) == pytest.approx(amps, abs=1e-6)


@given(st.floats(0.05, 1.0), st.floats(0.0, 2000.0), st.floats(-20.0, 60.0))
def test_amps_for_gives_exactly_the_power(soc: float, watts: float, drawn: float) -> None:
    battery = Battery(nominal=24.0, capacity=400.0, soc=soc, resistance=0.01)
    amps = battery.amps_for(watts, drawn)
    assert amps * battery.volts_at(amps - drawn) == pytest.approx(watts, rel=1e-6, abs=1e-6)


def test_charge_adds_up() -> None:
    battery = Battery(nominal=24.0, capacity=400.0, soc=0.5, resistance=0.01)
    battery.flow(-40.0, 3600.0)
    assert battery.soc == pytest.approx(0.4)
    battery.flow(40.0 / 0.96, 3600.0)
    assert battery.soc == pytest.approx(0.5)


def test_the_world_is_deterministic_and_time_is_shared() -> None:
    first, second = World(seed=3), World(seed=3)
    for _ in range(500):
        first.step(60.0)
        second.step(60.0)
    assert (first.volts, first.battery.soc, first.irradiance) == (
        second.volts,
        second.battery.soc,
        second.irradiance,
    )
    before = first.seconds
    first.advance_to(before - 5.0)
    assert first.seconds == before


def test_loads_empty_the_battery_and_then_let_go() -> None:
    world = World(soc=0.3, capacity=20.0, hour=0.0)
    for _ in range(24 * 60):
        world.step(60.0)
    assert world.load_amps == 0.0
    assert 0.1 < world.battery.soc < 0.2


def test_days_of_the_year_go_on() -> None:
    world = World(day_of_year=365, hour=23.0)
    assert world.day_of_year == 365
    world.step(7200.0)
    assert world.day_of_year == 1
