"""Steering as a whole: the owner, DVCC and the top charge on a simulated charger, through days, cuts and crashes."""

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control_stage import OPTIONS, Rig
from heliobus.control.limits import Limit
from heliobus.control.steering import Steering
from heliobus.model import vocabulary as v
from heliobus.model.control_options import TopChargeOptions
from heliobus.model.reading import Reading
from heliobus.sim.faults import Faults
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar_charger import Stage
from heliobus.sim.virtual_time import run_virtual
from heliobus.sim.world import Sun, World
from steering_stage import AMPS, FAULT, RELEASE, VOLTS, SteeringRig, dvcc, gaps, now, until

USER_VOLTS, USER_AMPS = v.CHARGE_VOLTAGE_LIMIT.name, v.CHARGE_CURRENT_LIMIT.name
REMOTE_VOLTS, REMOTE_AMPS = v.REMOTE_CHARGE_VOLTAGE.name, v.REMOTE_CHARGE_CURRENT.name
REQUIRED, TOP = v.BMS_REQUIRED.name, v.TOP_CHARGE.name
SOURCE = v.CONTROL_SOURCE.name
TOP_OPTIONS = replace(OPTIONS, top_charge=TopChargeOptions(voltage=29.2))
OWN = (Stage.MPPT, Stage.ABSORPTION, Stage.FLOAT)


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtual(scene)


def charging(**options: Any) -> SimTriStar:
    """A charger that has charged for a while."""
    charger = SimTriStar(**{"hour": 12.0, "cloudiness": 0.0, "day_of_year": 152, "soc": 0.5, **options})
    charger.advance(60)
    return charger


class Overcast(Sun):
    """A sky that gives next to nothing."""

    def __init__(self) -> None:
        super().__init__(47.0, 0.0, 1)

    def irradiance(self, day: int, seconds: float) -> float:
        return 15.0


def check_what_was_written(rig: SteeringRig) -> None:
    """Only the two registers of slave control, and no coil but the one that clears faults."""
    assert {address for function, address, _ in rig.writes() if function == 6} <= {AMPS, VOLTS}
    assert {address for function, address, _ in rig.writes() if function == 5} <= {0x14}
    assert {function for function, _, _ in rig.writes()} <= {5, 6}
    assert rig.charger.eeprom_writes == 0
    for address, full in ((AMPS, 60 * 32768 / 80), (VOLTS, 33 * 32768 / 180)):
        assert all(word == RELEASE or 1 <= word <= full for word in rig.words(address))


@pytest.mark.slow
def test_a_day_under_dvcc() -> None:
    async def scene() -> None:
        rig = SteeringRig(charger=charging(hour=4.0, cloudiness=0.7, soc=0.4), period=30.0)
        faults, states, chargers = set(), set(), set()

        def noted(reading: Reading) -> None:
            rig.steering.observe(reading)
            faults.add(reading.values["faults"])
            states.add(reading.values["charger_state"])
            chargers.add(reading.values["charge_state"])

        async with rig.steered() as steering:
            rig.on_read = noted
            for quarter in range(4 * 24):
                await dvcc(steering, 900, 27.6 + quarter % 5 / 10, 10.0 + quarter % 30)
                assert rig.charger.charger.amps <= 10.0 + quarter % 30
                assert rig.charger.charger.sense_volts <= 28.1
        assert faults == {0}
        # 6 h before its dawn and after its dusk it is night; with light it never charges on its own.
        assert states <= {0, 252, None}
        assert Stage.SLAVE in chargers
        assert max(gaps(rig.times[AMPS]) + gaps(rig.times[VOLTS])) <= 16
        assert not rig.faulted
        check_what_was_written(rig)

    play(scene())


def test_dvcc_falls_silent() -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            await dvcc(steering, 120, 28.0, 20.0)
            last = now()
            assert steering.values()[SOURCE] == "DVCC"
            assert steering.steered
            await until(lambda: rig.charger.stage is not Stage.SLAVE, 70)
            assert 56 <= now() - last <= 62
            await rig.until(lambda reading: reading.values["charger_state"] in (3, 4))
            assert rig.words(AMPS)[-1] == rig.words(VOLTS)[-1] == RELEASE
            assert not rig.faulted
            assert steering.values()[SOURCE] == ""
            assert steering.values()[REMOTE_VOLTS] is None
            assert not steering.steered
            check_what_was_written(rig)

    play(scene())


def test_only_a_current_uses_only_its_register() -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            await dvcc(steering, 120, None, 15.0)
            await steering.take(USER_AMPS, 10.0)
            await asyncio.sleep(2)
            assert rig.charger.charger.amps == pytest.approx(10.0, abs=0.01)
            assert steering.values()[SOURCE] == "user"
            await asyncio.sleep(120)
            assert rig.charger.stage is Stage.SLAVE, "the owner's limit goes on"
        assert rig.words(VOLTS) == []
        check_what_was_written(rig)

    play(scene())


def test_polls_fail_and_limits_hold() -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            steady = asyncio.create_task(dvcc(steering, 4000, 28.0, 20.0))
            await asyncio.sleep(60)
            rig.link.station.faults = Faults(lost=0.6, seed=8)
            await asyncio.sleep(3600)
            rig.link.station.faults = Faults()
            await asyncio.sleep(30)
            assert max(gaps(rig.times[AMPS]) + gaps(rig.times[VOLTS])) <= 25
            assert RELEASE not in rig.words(AMPS) + rig.words(VOLTS)
            assert rig.charger.stage is Stage.SLAVE
            await steady
            check_what_was_written(rig)

    play(scene())


def test_a_cut_of_ten_minutes() -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            steady = asyncio.create_task(dvcc(steering, 900, 28.0, 20.0))
            await asyncio.sleep(60)
            rig.link.paused = rig.link.refusing = True
            rig.link.hang_up()
            await asyncio.sleep(600)
            rig.charger.advance(600)
            assert rig.faulted
            rig.link.paused = rig.link.refusing = False
            await until(lambda: rig.charger.stage is Stage.SLAVE, 20)
            assert not rig.faulted
            await steady
            await rig.until(lambda reading: reading.values["charger_state"] == 252)

    play(scene())


@pytest.mark.parametrize("away", [10.0, 40.0, 600.0])
def test_a_kill_while_dvcc_steers(tmp_path: Path, away: float) -> None:
    async def scene() -> None:
        charger = charging()
        rig = SteeringRig(tmp_path, charger=charger)
        async with rig.steered(release=False) as steering:
            await dvcc(steering, 60, 28.0, 20.0)
        charger.advance(away)
        assert bool(charger.state.faults & FAULT) is (away > 60)
        rig = SteeringRig(tmp_path, charger=charger)
        async with rig.steered():
            await until(lambda: charger.stage in OWN, 40)
            assert not rig.faulted
            await asyncio.sleep(60)
            assert charger.stage in OWN
            assert charger.charger.amps > 20.0
            assert rig.words(AMPS) == rig.words(VOLTS) == [RELEASE]
            check_what_was_written(rig)

    play(scene())


def test_a_kill_under_the_owners_limit(tmp_path: Path) -> None:
    async def scene() -> None:
        charger = charging()
        rig = SteeringRig(tmp_path, charger=charger)
        async with rig.steered(release=False) as steering:
            await steering.take(USER_AMPS, 12.0)
            await asyncio.sleep(60)
        charger.advance(600)
        rig = SteeringRig(tmp_path, charger=charger)
        async with rig.steered() as steering:
            await until(lambda: charger.stage is Stage.SLAVE, 20)
            assert not rig.faulted
            assert charger.charger.amps <= 12.0
            assert steering.values()[USER_AMPS] == 12.0
            assert RELEASE not in rig.words(AMPS)

    play(scene())


def test_a_clean_stop_and_a_start_with_the_fault(tmp_path: Path) -> None:
    """Regression test 4 of the peer: what it used is released on SIGTERM, and fault bit 11 is recovered."""

    async def scene() -> None:
        charger = charging()
        rig = SteeringRig(tmp_path, charger=charger)
        async with rig.steered() as steering:
            await dvcc(steering, 60, 28.0, 20.0)
        assert rig.words(AMPS)[-1] == rig.words(VOLTS)[-1] == RELEASE
        charger.advance(300)
        assert charger.stage in OWN
        charger.inject_fault(11)
        assert charger.stage is Stage.FAULT
        rig = SteeringRig(tmp_path, charger=charger)
        async with rig.steered():
            await until(lambda: charger.stage in OWN, 60)
            assert not rig.faulted

    play(scene())


@pytest.mark.parametrize(
    ("volts", "amps", "expected_volts", "expected_amps"),
    [(60.0, 200.0, 32.0, 60.0), (12.0, 30.0, 21.44, 0.0), (0.0, 0.0, 21.44, 0.0), (28.0, 0.0, 28.0, 0.0)],
)
def test_set_points_are_clamped(volts: float, amps: float, expected_volts: float, expected_amps: float) -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            await dvcc(steering, 30, volts, amps)
            assert rig.words(VOLTS)[-1] * 180 / 32768 == pytest.approx(expected_volts, abs=0.02)
            assert rig.words(AMPS)[-1] == max(1, int(expected_amps * 32768 / 80))
            check_what_was_written(rig)

    play(scene())


def test_a_required_bms_that_is_missing_stops_the_charging() -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            assert steering.refusal(REQUIRED, 1) is None
            await steering.take(REQUIRED, 1)
            await asyncio.sleep(3)
            assert set(rig.words(AMPS)) == {1}
            assert steering.values()[SOURCE] == "BMS missing"
            await dvcc(steering, 30, 27.6, 25.0, mode=13)
            assert rig.charger.charger.amps == pytest.approx(25.0, abs=0.01)
            await asyncio.sleep(70)
            assert rig.charger.charger.amps < 0.01
            steering.offer(Limit("BMS", 27.6, 5.0), 20.0)
            await asyncio.sleep(3)
            assert steering.values()[SOURCE] == "BMS"
            await asyncio.sleep(20)
            assert steering.values()[SOURCE] == "BMS missing"
            await steering.take(REQUIRED, 0)
            await asyncio.sleep(3)
            assert rig.charger.stage in OWN

    play(scene())


def test_an_owners_limit_never_raises_the_charge_voltage() -> None:
    async def scene() -> None:
        rig = SteeringRig(charger=charging())
        async with rig.steered() as steering:
            own = float(rig.latest.values["target_voltage"])  # type: ignore[union-attr, arg-type]
            assert 28.8 < own < 29.6
            await steering.take(USER_VOLTS, round(own, 1) + 0.5)
            await asyncio.sleep(60)
            assert rig.writes() == [], "the charger keeps it by itself"
            await steering.take(USER_VOLTS, round(own, 1) - 0.2)
            await asyncio.sleep(60)
            assert rig.charger.stage is Stage.SLAVE
            assert rig.charger.charger.reference == pytest.approx(round(own, 1) - 0.2, abs=0.01)
            await steering.take(USER_VOLTS, round(own, 1) + 0.2)
            await asyncio.sleep(60)
            assert rig.charger.charger.reference <= own + 0.06
            await steering.take(USER_VOLTS, 30.5)
            await asyncio.sleep(60)
            assert rig.charger.stage in OWN
            await dvcc(steering, 30, 31.0, None)
            assert rig.charger.charger.reference == pytest.approx(30.5, abs=0.01), "it bounds what DVCC asks for"
            await steering.take(USER_VOLTS, 0)
            await steering.take(USER_AMPS, 60.0)
            await asyncio.sleep(90)
            assert rig.charger.stage in OWN, "its rating is no limit"

    play(scene())


def test_a_wavering_temperature_does_not_make_a_limit_come_and_go() -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            latest = rig.latest
            assert latest is not None
            own = 28.8 + 0.06 * (25 - float(latest.values["regulation_temperature"]))  # type: ignore[arg-type]
            await steering.take(USER_VOLTS, own - 0.01)
            await asyncio.sleep(10)
            degrees = float(latest.values["regulation_temperature"])  # type: ignore[arg-type]
            for wave in range(40):
                assert rig.latest is not None
                values = {**rig.latest.values, "regulation_temperature": degrees + wave % 2}
                steering.observe(replace(rig.latest, values=values))
                await asyncio.sleep(1.1)
            assert RELEASE not in rig.words(VOLTS)

    play(scene())


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        (USER_VOLTS, 20.0, "from 21.44 to 32.00 V"),
        (USER_VOLTS, 33.0, "from 21.44 to 32.00 V"),
        (USER_VOLTS, math.nan, "takes a number"),
        (USER_AMPS, -1, "takes a number"),
        (REMOTE_VOLTS, "28", "takes a number"),
        (TOP, 1, "top-charge voltage"),
        (USER_VOLTS, 28.0, None),
        (USER_VOLTS, 0, None),
        (USER_AMPS, 500.0, None),
        (REMOTE_VOLTS, 99.0, None),
        (TOP, 0, None),
    ],
)
def test_refusals(name: str, value: Any, words: str | None) -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            why = steering.refusal(name, value)
            assert why is None if words is None else words in str(why)

    play(scene())


def test_before_anything_is_known_voltages_are_refused() -> None:
    async def scene() -> None:
        rig = Rig()
        async with rig.running() as plant:
            reading, rig.latest = rig.latest, None
            steering = Steering(plant)
            for name in (USER_VOLTS, USER_AMPS, REMOTE_VOLTS, REMOTE_AMPS):
                assert "rated current" in str(steering.refusal(name, 10.0))
            assert steering.refusal(USER_VOLTS, 0) is None
            assert steering.refusal(REQUIRED, 1) is None
            assert reading is not None
            plant.options = replace(OPTIONS, system_voltage=None)
            steering.observe(replace(reading, values={**reading.values, "nominal_voltage": None}))
            assert "nominal voltage" in str(steering.refusal(REMOTE_VOLTS, 28.0))
            assert steering.refusal(REMOTE_AMPS, 10.0) is None

    play(scene())


def test_without_a_nominal_voltage_currents_are_still_limited() -> None:
    async def scene() -> None:
        rig = SteeringRig(options=replace(OPTIONS, system_voltage=None), charger=charging(switch_system=False))
        async with rig.running() as plant:
            assert rig.latest is not None
            unsure = replace(rig.latest, values={**rig.latest.values, "nominal_voltage": None})
            rig.latest = None
            steering = Steering(plant)
            rig.latest = unsure
            rig.on_read = lambda reading: setattr(rig, "latest", unsure)
            steering.observe(unsure)
            for name, value in ((v.REMOTE_NETWORK_MODE.name, 5), (REMOTE_VOLTS, 28.0), (REMOTE_AMPS, 11.0)):
                steering.renew(name, value)
            task = asyncio.create_task(steering.run())
            await asyncio.sleep(5)
            assert rig.charger.charger.amps == pytest.approx(11.0, abs=0.01)
            assert rig.words(VOLTS) == []
            assert await steering.release(5.0)
            task.cancel()

    play(scene())


def test_a_top_charge_from_start_to_full() -> None:
    async def scene() -> None:
        # The charger measures its own current, which feeds the loads too.
        world = World(nominal=24.0, soc=0.97, day_of_year=152, hour=9.0, cloudiness=0.0, load_watts=10.0)
        charger = charging(world=world)
        # A full battery of 400 Ah still takes 8.5 A at this voltage here.
        options = replace(OPTIONS, top_charge=TopChargeOptions(voltage=29.2, tail_current=10.0))
        rig = SteeringRig(options=options, charger=charger)
        async with rig.steered() as steering:
            assert steering.refusal(TOP, 1) is None
            await steering.take(TOP, 1)
            await asyncio.sleep(3)
            assert charger.stage is Stage.SLAVE
            assert rig.words(AMPS) == []
            assert steering.values()[SOURCE] == "top charge"
            await until(lambda: not steering.top_charge.running, 4 * 3600)
            assert steering.values()[v.TOP_CHARGE_STATUS.name] == "ended: the battery is full"
            assert charger.charger.sense_volts > 29.0
            await asyncio.sleep(3)
            assert charger.stage in OWN
            assert rig.words(VOLTS)[-1] == RELEASE
            check_what_was_written(rig)

    play(scene())


def test_a_limit_below_the_target_is_obeyed_and_named() -> None:
    async def scene() -> None:
        rig = SteeringRig(options=TOP_OPTIONS, charger=charging(soc=0.97))
        async with rig.steered() as steering:
            await steering.take(TOP, 1)
            await dvcc(steering, 1800, 27.6, None)
            assert rig.charger.charger.sense_volts <= 27.65
            assert steering.values()[v.TOP_CHARGE_STATUS.name] == "waiting: DVCC allows only 27.60 V of 29.20 V"
            await steering.take(TOP, 0)
            assert steering.values()[v.TOP_CHARGE_STATUS.name] == "ended: stopped by hand"

    play(scene())


def test_clouds_do_not_end_a_top_charge() -> None:
    async def scene() -> None:
        charger = charging(soc=0.6)
        rig = SteeringRig(options=TOP_OPTIONS, charger=charger)
        async with rig.steered() as steering:
            await steering.take(TOP, 1)
            charger.world.sun = Overcast()
            await asyncio.sleep(3600)
            assert charger.charger.amps < 2.0
            assert steering.top_charge.running

    play(scene())


def test_a_charger_that_cannot_be_seen_is_not_top_charged() -> None:
    async def scene() -> None:
        rig = SteeringRig(options=TOP_OPTIONS, charger=charging())
        async with rig.steered() as steering:
            await steering.take(TOP, 1)
            await asyncio.sleep(60)
            rig.link.paused = True
            rig.link.hang_up()
            cut = now()
            await until(lambda: not steering.top_charge.running, 120)
            assert 55 <= now() - cut <= 80
            assert steering.values()[v.TOP_CHARGE_STATUS.name] == "ended: the charger fell silent"
            rig.charger.advance(100)
            rig.link.paused = False
            await until(lambda: rig.charger.stage in OWN, 60)

    play(scene())


def test_a_top_charge_goes_on_after_a_crash(tmp_path: Path) -> None:
    async def scene() -> None:
        charger = charging()
        rig = SteeringRig(tmp_path, options=TOP_OPTIONS, charger=charger)
        async with rig.steered(release=False) as steering:
            await steering.take(TOP, 1)
            await asyncio.sleep(120)
        charger.advance(300)
        rig = SteeringRig(tmp_path, options=TOP_OPTIONS, charger=charger)
        async with rig.steered() as steering:
            await until(lambda: charger.stage is Stage.SLAVE, 20)
            assert steering.top_charge.running
            assert not rig.faulted
            charger.answer(bytes.fromhex("05 0000 ff00"))
            await until(lambda: not steering.top_charge.running, 60)
            assert "equalize" in str(steering.values()[v.TOP_CHARGE_STATUS.name])
            assert "equalize" in str(steering.refusal(TOP, 1))

    play(scene())


def test_release_and_resume_around_a_settings_transaction(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = SteeringRig(tmp_path)
        async with rig.steered() as steering:
            await steering.take(USER_AMPS, 10.0)
            await asyncio.sleep(20)
            async with rig.plant.busy:
                assert await steering.release(5.0)
                written = len(rig.writes())
                await steering.take(USER_AMPS, 8.0)
                await asyncio.sleep(120)
                assert len(rig.writes()) == written
            steering.resume()
            await asyncio.sleep(3)
            assert rig.charger.charger.amps <= 8.0
            assert rig.charger.stage is Stage.SLAVE

    play(scene())


def test_it_speaks_only_when_something_changed() -> None:
    async def scene() -> None:
        rig = SteeringRig()
        async with rig.steered() as steering:
            await steering.take(USER_AMPS, 10.0)
            await asyncio.sleep(30)
            before = rig.changes
            await asyncio.sleep(600)
            assert rig.changes == before
            assert steering.values().keys() == {
                *(point.name for point in v.CONTROL_POINTS[:13]),
            }

    play(scene())
