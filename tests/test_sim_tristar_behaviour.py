"""How the simulated TriStar MPPT behaves over time: stages, days, counters, resets."""

import pytest

from heliobus.sim.tristar import Behaviour, SimTriStar
from heliobus.sim.tristar_charger import Stage, Turn
from heliobus.sim.tristar_logger import Counters
from heliobus.sim.world import World
from sim_frames import read, request


def coil(device: SimTriStar, address: int, on: bool = True) -> bytes | None:
    return device.answer(request(5, address, 0xFF00 if on else 0))


def run_until(device: SimTriStar, stage: Stage, hours: float = 30.0) -> None:
    for _ in range(int(hours * 360)):
        if device.stage is stage:
            return
        device.advance(10.0)
    pytest.fail(f"never {stage.name}")


def test_a_day_goes_through_all_stages_in_order() -> None:
    device = SimTriStar(hour=2.0, cloudiness=0.2, soc=0.7)
    seen = [device.stage]
    for _ in range(24 * 360):
        device.advance(10.0)
        if device.stage is not seen[-1]:
            seen.append(device.stage)
    assert seen[:3] == [Stage.NIGHT, Stage.START, Stage.MPPT]
    assert seen.index(Stage.ABSORPTION) < seen.index(Stage.FLOAT) < seen.index(Stage.NIGHT_CHECK)
    assert seen[-1] is Stage.NIGHT
    assert Stage.FAULT not in seen


def test_energy_adds_up_over_a_day() -> None:
    device = SimTriStar(hour=0.0, soc=0.5, counters=Counters())
    device.advance(86400.0 - 3600.0)
    logger, world = device.logger, device.world
    assert logger.wh > 2000
    assert logger.counters.kwh_total == pytest.approx(logger.wh / 1000)
    # The cable between controller and battery takes the difference.
    assert 0 < logger.wh - world.charged_wh < 0.01 * logger.wh
    assert read(device, 0x44)[0] == int(logger.wh / 10) * 10
    assert read(device, 0x39)[0] == int(logger.wh / 1000)


def test_charge_balances_with_the_battery() -> None:
    device = SimTriStar(hour=0.0, soc=0.4, counters=Counters())
    world = device.world
    loads = 0.0
    for _ in range(14 * 360):
        loads += world.load_amps * 10 / 3600
        device.advance(10.0)
    gained = (world.battery.soc - 0.4) * world.battery.capacity
    # 4 % of what the battery takes is lost in charging; loads take theirs first.
    net = device.logger.counters.ah_total - loads
    assert 0.9 * net < gained <= net


def test_a_simulated_day_is_quick_and_deterministic() -> None:
    first, second = SimTriStar(seed=7), SimTriStar(seed=7)
    first.advance(86400.0)
    for _ in range(8640):
        second.advance(10.0)
    assert read(first, 0, 92) == read(second, 0, 92)
    other = SimTriStar(seed=8)
    other.advance(86400.0)
    assert read(other, 0x34, 4) != read(first, 0x34, 4)


def test_daily_registers_close_at_three_different_moments() -> None:
    device = SimTriStar(hour=12.0, soc=0.8, cloudiness=0.1, behaviour=Behaviour(close_hours=3.0))
    device.advance(600.0)
    run_until(device, Stage.NIGHT_CHECK)
    before = read(device, 0x43, 2) + read(device, 0x4D, 1)
    assert min(before) > 0
    run_until(device, Stage.NIGHT)
    assert read(device, 0x4D) == [0], "timers at night"
    assert read(device, 0x43, 2) == before[:2]
    device.advance(3 * 3600.0 - 60.0)
    assert read(device, 0x43, 2) == before[:2]
    device.advance(120.0)
    assert read(device, 0x43) == [0], "Ah some hours after NIGHT"
    assert read(device, 0x44) == [before[1]], "Wh not before dawn: past midnight it is still yesterday's"
    device.advance(3 * 3600.0)
    assert device.world.seconds % 86400 < 3 * 3600
    assert read(device, 0x44) == [before[1]]
    run_until(device, Stage.START)
    assert read(device, 0x44) == [0]


def test_a_short_night_closes_the_record_at_dawn() -> None:
    device = SimTriStar(behaviour=Behaviour(close_hours=23.0), counters=Counters())
    device.logger.today.ah = 50.0
    device.logger.observe(Turn.DUSK, 0, 0)
    assert device.logger.today.ah == 50.0
    device.logger.observe(Turn.DAWN, 0, 0)
    assert device.logger.today.ah == 0.0


def test_kwh_counters_may_move_at_dawn_only() -> None:
    device = SimTriStar(hour=6.0, behaviour=Behaviour(kwh_live=False), counters=Counters(kwh_total=100.0))
    device.advance(8 * 3600.0)
    assert read(device, 0x44)[0] > 1000
    assert read(device, 0x39) == [100]
    run_until(device, Stage.NIGHT)
    run_until(device, Stage.START)
    assert read(device, 0x39)[0] > 101


def test_a_reset_loses_counters_back_to_eeprom() -> None:
    device = SimTriStar(hour=9.0, counters=Counters(100.0, 5.0, 1000.0, 7.0, 500.0))
    device.advance(4 * 3600.0)
    lost = read(device, 0x36, 4)
    assert lost[1] > 10000
    assert coil(device, 0xFF) == request(5, 0xFF, 0xFF00)
    assert device.answer(request(4, 0, 1)) is None, "silent while it boots"
    device.advance(1.5)
    assert read(device, 0x36, 4) == [0, 10000, 7, 500]
    assert read(device, 0x2A, 2) == [0, 100]
    assert read(device, 0x43, 3) == [0, 0, 0b1001], "daily record: reset detected, an alarm occurred"
    assert read(device, 0x2E, 2) == [8, 0], "alarm 19"
    assert device.stage is Stage.START


def test_coil_0x16_saves_the_counters_first() -> None:
    device = SimTriStar(hour=9.0, counters=Counters())
    device.advance(4 * 3600.0)
    coil(device, 0x16)
    ah = read(device, 0x36, 2)
    coil(device, 0xFF)
    device.advance(2.0)
    assert read(device, 0x36, 2) == ah
    assert read(device, 0xE084, 2) == [ah[1], ah[0]]


def test_counters_go_to_eeprom_every_24_hours() -> None:
    device = SimTriStar(counters=Counters(hours=10.5))
    device.advance(86400.0 - 60.0)
    assert read(device, 0xE080) == [10]
    device.advance(120.0)
    assert read(device, 0xE080) == [34]


def test_the_answer_to_a_reset_may_be_lost() -> None:
    device = SimTriStar(behaviour=Behaviour(reset_answer_lost=True))
    assert coil(device, 0xFF) is None
    assert device.resets == 1
    assert coil(device, 0xFF) is None
    assert device.resets == 1, "a silent unit hears nothing"


def test_alarms_are_cleared_by_their_coil() -> None:
    device = SimTriStar()
    device.reset()
    device.advance(2.0)
    assert read(device, 0x2E) == [8]
    coil(device, 0x15)
    assert read(device, 0x2E, 2) == [0, 0]
    assert read(device, 0x4B) == [8], "the daily word is sticky"


def test_the_server_goes_away_for_some_seconds() -> None:
    device = SimTriStar(behaviour=Behaviour(server_restart_seconds=5.0))
    assert coil(device, 0x10FF) is None
    assert not device.network_up
    device.advance(4.0)
    assert not device.network_up
    device.advance(2.0)
    assert device.network_up
    assert device.resets == 0


def test_two_chargers_share_one_battery() -> None:
    world = World(hour=11.0, cloudiness=0.0, soc=0.5, capacity=600.0)
    first = SimTriStar(world=world, serial="11111111")
    second = SimTriStar(world=world, serial="22222222", model=45)
    for _ in range(60):
        first.advance(10.0)
        second.advance(10.0)
    assert world.seconds == 11 * 3600.0 + 600.0
    assert first.charger.sense_volts == second.charger.sense_volts
    assert 0 < second.charger.amps < first.charger.amps
    total = first.logger.wh + second.logger.wh
    assert world.charged_wh == pytest.approx(total, rel=0.02)


@pytest.mark.parametrize(("model", "system"), [(30, 12), (45, 48), (60, 24)])
def test_the_current_stays_within_the_rating(model: int, system: int) -> None:
    device = SimTriStar(model=model, system=system, day_of_year=172, hour=4.0, cloudiness=0.0, soc=0.2)
    highest = 0.0
    for _ in range(12 * 60):
        device.advance(60.0)
        highest = max(highest, device.charger.amps)
    assert 0.5 * model < highest <= model
