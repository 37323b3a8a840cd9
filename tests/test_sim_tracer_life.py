"""The simulated Tracer over hours and days: stages, energies, its clock, its load, its sleep."""

import pytest

from heliobus.sim.tracer import SimTracer
from heliobus.sim.tracer_charger import Stage
from heliobus.sim.world import World
from sim_frames import read, request


def u32(words: list[int]) -> int:
    return words[0] | words[1] << 16


def set_clock(device: SimTracer, year: int, month: int, day: int, hour: int, minute: int = 0) -> None:
    words = (minute << 8, day << 8 | hour, (year - 2000) << 8 | month)
    content = b"".join(word.to_bytes(2, "big") for word in words)
    assert device.answer(request(0x10, 0x9013, 3) + b"\x06" + content) == request(0x10, 0x9013, 3)


def energies(device: SimTracer) -> list[int]:
    """Generated today, month, year, total in 0.01 kWh."""
    words = read(device, 0x330C, 8)
    return [u32(words[at : at + 2]) for at in range(0, 8, 2)]


def stages(device: SimTracer, hours: float) -> list[Stage]:
    seen = [device.stage]
    for _ in range(int(hours * 60)):
        device.advance(60.0)
        if device.stage is not seen[-1]:
            seen.append(device.stage)
    return seen


def test_a_sunny_day_goes_from_boost_to_float_to_night() -> None:
    device = SimTracer(hour=2.0, soc=0.9, cloudiness=0.0)
    seen = stages(device, 20.0)
    assert seen[:3] == [Stage.NONE, Stage.BOOST, Stage.FLOAT]
    assert seen[-1] is Stage.NONE
    assert Stage.EQUALIZE not in seen


def test_float_shows_in_the_charging_status() -> None:
    device = SimTracer(hour=8.0, soc=0.97, cloudiness=0.0, d1_quirk=False)
    for _ in range(10 * 60):
        device.advance(60.0)
        if device.stage is Stage.FLOAT:
            break
    device.advance(600.0)
    assert read(device, 0x3201) == [0x0005]
    assert read(device, 0x3104)[0] == pytest.approx(1380, abs=3)


def test_equalize_comes_with_its_cycle() -> None:
    device = SimTracer(hour=2.0, soc=0.95, cloudiness=0.0)
    device.settings.write(0x9016, [1])
    seen = stages(device, 48.0)
    assert Stage.EQUALIZE in seen
    assert seen[seen.index(Stage.EQUALIZE) + 1] is Stage.FLOAT


def test_energies_add_up_with_the_battery() -> None:
    device = SimTracer(hour=0.0, soc=0.3, generated=0.0, cloudiness=0.2)
    total = 0.0
    for _ in range(23 * 60):
        device.advance(60.0)
        total += read(device, 0x3106)[0] / 100 / 60
    today = u32(read(device, 0x330C, 2)) * 10
    assert today > 200
    assert today == pytest.approx(total, rel=0.02)
    world = device.world
    consumed = u32(read(device, 0x3304, 2)) * 10
    assert consumed == pytest.approx(20 * 23, rel=0.15)
    gained = (world.battery.soc - 0.3) * world.battery.capacity
    assert gained * 12.5 < today - consumed


def test_a_day_is_the_same_in_any_steps_and_for_one_seed() -> None:
    whole, steps, other = SimTracer(seed=3), SimTracer(seed=3), SimTracer(seed=4)
    whole.advance(36000.0)
    for _ in range(3600):
        steps.advance(10.0)
    other.advance(36000.0)
    assert read(whole, 0x3300, 20) == read(steps, 0x3300, 20)
    assert read(whole, 0x3300, 20) != read(other, 0x3300, 20)


def test_midnight_by_its_own_clock_ends_the_day() -> None:
    device = SimTracer(hour=10.0)
    device.advance(3600.0)
    set_clock(device, 2026, 5, 30, 23, 59)
    device.advance(30.0)
    before = energies(device)
    assert before[0] == 0, "the clock set across a date ended the day"
    device.advance(25.0)
    produced = device.statistics.generated.today
    assert produced > 0
    device.advance(60.0)
    assert device.statistics.generated.today < 0.05
    assert energies(device)[1] >= before[1], "the month goes on"
    assert energies(device)[3] >= before[3]


def test_month_and_year_end_by_its_own_clock() -> None:
    device = SimTracer(hour=10.0)
    set_clock(device, 2026, 5, 31, 12)
    device.advance(1200.0)
    set_clock(device, 2026, 5, 31, 23, 59)
    assert energies(device)[1] > 0
    device.advance(120.0)
    assert energies(device)[1] == 0
    assert energies(device)[2] > 0
    set_clock(device, 2026, 12, 31, 23, 59)
    device.advance(120.0)
    assert energies(device)[2] == 0
    assert energies(device)[3] > 40000


def test_setting_the_clock_within_a_day_keeps_it() -> None:
    device = SimTracer(hour=9.0, day_of_year=1)
    device.advance(7200.0)
    today = energies(device)[0]
    assert today > 0
    set_clock(device, 2026, 1, 1, 15)
    assert energies(device)[0] == today


def test_the_clock_runs_between_refreshes_and_drifts() -> None:
    device = SimTracer(hour=10.0, clock_drift=3600.0)
    device.advance(0.9)
    device.advance(86400.0)
    assert read(device, 0x9013, 2, 3)[1] & 0xFF == 11
    steady = SimTracer(hour=10.0)
    for _ in range(5):
        steady.advance(0.5)
    assert read(steady, 0x9013, 1, 3) == [2]


def test_extremes_of_the_day() -> None:
    device = SimTracer(hour=6.0)
    device.advance(12 * 3600.0)
    array_high, array_low, high, low = read(device, 0x3300, 4)
    assert array_high > array_low
    assert high > low
    assert array_high >= read(device, 0x3100)[0] >= array_low


def test_real_time_values_are_renewed_about_every_second() -> None:
    device = SimTracer(hour=7.0, cloudiness=0.0)
    before = read(device, 0x3100, 18)
    device.advance(0.5)
    assert read(device, 0x3100, 18) == before
    device.advance(300.0)
    assert read(device, 0x3100, 18) != before


def test_a_low_battery_lets_the_load_go_and_holds_it_off() -> None:
    device = SimTracer(hour=0.0, soc=0.02, load_watts=900.0)
    for _ in range(5 * 360):
        device.advance(10.0)
        if device.load.disconnected:
            break
    assert read(device, 0x3200)[0] & 0xF == 3
    assert read(device, 0x3202) == [0]
    device.answer(request(5, 2, 0xFF00))
    assert read(device, 0x3202) == [0]


def test_a_low_battery_warns_before() -> None:
    device = SimTracer(hour=0.0, soc=0.25)
    assert read(device, 0x3200)[0] & 0xF == 2


@pytest.mark.parametrize(("mode", "day", "night"), [(1, 0, 1), (2, 0, 1), (3, 0, 1)])
def test_load_modes(mode: int, day: int, night: int) -> None:
    noon, evening = SimTracer(hour=12.0), SimTracer(hour=18.0, day_of_year=350)
    evening.advance(3900.0)
    for device, on in ((noon, day), (evening, night)):
        device.settings.write(0x903D, [mode])
        device.settings.write(0x903E, [0x0500])
        device.advance(2.0)
        assert read(device, 0x3202)[0] & 1 == on
        assert device.answer(request(5, 2, 0)) == request(5, 2, 0), "acknowledged, and ignored"
        assert read(device, 0x3202)[0] & 1 == on


def test_it_sleeps_at_night_with_the_load_off_and_wakes_with_the_sun() -> None:
    device = SimTracer(hour=22.0, sleeps=True)
    assert device.answer(request(4, 0x3100, 1)) is not None
    assert device.answer(request(5, 2, 0)) == request(5, 2, 0)
    device.advance(1.0)
    assert device.answer(request(4, 0x3100, 1)) is None
    device.press_button()
    assert device.answer(request(4, 0x3100, 1)) is not None
    device.press_button()
    device.advance(1.0)
    assert device.asleep
    device.advance(10 * 3600.0)
    assert device.answer(request(4, 0x3100, 1)) is not None


def test_several_share_one_battery() -> None:
    world = World(nominal=24.0, hour=11.0)
    pair = [SimTracer(unit, system=24, world=world, hour=11.0) for unit in (1, 2)]
    for _ in range(60):
        for device in pair:
            device.advance(10.0)
    first, second = (read(device, 0x3100, 8) for device in pair)
    assert first[4] == pytest.approx(second[4], abs=2)
    assert min(first[5], second[5]) > 0


def test_an_unplugged_one_is_silent() -> None:
    device = SimTracer()
    device.connected = False
    assert device.answer(request(4, 0x3100, 1)) is None
    device.connected = True
    assert device.answer(request(4, 0x3100, 1)) is not None
