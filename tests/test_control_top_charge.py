"""Top charge: how it ends, what does not fool it, and that a restart continues it."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_stage import OPTIONS, Rig
from heliobus.control.limits import Bounds, Limit, Setpoint
from heliobus.control.top_charge import FULL, NO_OPTIONS, Progress, TopCharge, step
from heliobus.model import vocabulary as v
from heliobus.model.control_options import TopChargeOptions
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading
from heliobus.sim.virtual_time import run_virtual

TOP = TopChargeOptions(voltage=29.2)
BOUNDS = Bounds(21.4, 31.0, 60.0)
WITH_TOP = replace(OPTIONS, top_charge=TOP)


def read(volts: Value = 29.2, amps: Value = 10.0, state: Value = 252, **values: Value) -> Reading:
    health = values.pop("health", Health.OK)
    assert isinstance(health, Health)
    points = {"battery_voltage": volts, "battery_current": amps, "charger_state": state, "equalize_requested": 0}
    return Reading("roof", 0.0, {**points, **values}, {}, health)


def run(reading: Reading, seconds: float, progress: Progress | None = None, **extra: Any) -> Progress:
    progress = progress or Progress()
    for _ in range(round(seconds / 5)):
        progress = step(progress, reading, 5.0, TOP, **extra)
        if progress.ended:
            break
    return progress


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtual(scene)


def test_the_tail_current_says_that_the_battery_is_full() -> None:
    progress = run(read(29.19, 1.5), 3600)
    assert progress.ended == FULL
    assert progress.elapsed == 305.0


@pytest.mark.parametrize("volts", [29.12, 29.18, 29.2, 29.4])
def test_the_charger_need_not_reach_the_target_to_the_last_digit(volts: float) -> None:
    assert run(read(volts, 1.5), 400).ended == FULL


@pytest.mark.parametrize(
    "reading",
    [
        read(28.0, 0.5),
        read(29.2, 0.0, state=0),
        read(29.2, 0.0, state=2),
        read(29.2, 0.0, state=None),
        read(29.2, 2.0),
        read(29.2, None),
        read(None, 0.5),
    ],
    ids=["no sun", "night", "fault", "unknown state", "not small", "no current", "no voltage"],
)
def test_a_small_current_alone_does_not_fool_it(reading: Reading) -> None:
    assert run(reading, 3600).ended == ""


def test_a_current_limit_as_small_as_the_tail_tells_nothing() -> None:
    assert run(read(29.2, 1.0), 3600, allowed=1.0).ended == ""
    assert run(read(29.2, 1.0), 3600, allowed=30.0).ended == FULL


def test_the_tail_must_last() -> None:
    progress = Progress()
    for _ in range(20):
        progress = run(read(29.2, 1.5), 200, progress)
        progress = run(read(29.0, 1.5), 5, progress)
    assert progress.ended == ""
    assert progress.at_voltage == pytest.approx(20 * 200)


def test_the_time_at_the_voltage_is_bounded_clouds_only_interrupt_it() -> None:
    progress = run(read(29.2, 20.0), 7000)
    progress = run(read(27.0, 3.0), 7000, progress)
    assert progress.ended == ""
    progress = run(read(29.15, 20.0), 600, progress)
    assert progress.ended == "120 min at the voltage are over"
    assert progress.elapsed == pytest.approx(14200)


def test_it_does_not_wait_for_ever() -> None:
    progress = run(read(28.0, 30.0), 13 * 3600)
    assert progress.ended == "it was not done within 12.0 h"
    assert progress.elapsed == TOP.wait_limit


values = st.none() | st.floats(allow_nan=True) | st.integers(-5, 300) | st.text(max_size=3)


@given(
    st.lists(st.tuples(values, values, values, st.floats(0.0, 4000.0)), max_size=30), st.none() | st.floats(0.0, 60.0)
)
def test_it_ends_in_time_whatever_comes(heard: list[tuple[Value, Value, Value, float]], allowed: float | None) -> None:
    progress = Progress()
    for volts, amps, state, dt in heard:
        before = progress
        progress = step(progress, read(volts, amps, state), dt, TOP, allowed)
        assert progress.elapsed == before.elapsed + dt
        assert 0.0 <= progress.at_voltage <= progress.elapsed
        assert progress.ended or progress.elapsed < TOP.wait_limit
        if progress.ended == FULL:
            assert before.tail is not None, "one reading never tells that it is full"
        if progress.ended:
            return


async def begun(rig: Rig) -> TopCharge:
    top = TopCharge(rig.plant)
    top.start(asyncio.get_running_loop().time())
    return top


async def feed(top: TopCharge, reading: Reading, seconds: float) -> None:
    for _ in range(round(seconds / 5)):
        await asyncio.sleep(5.0)
        top.observe(reading)
        await top.save()


def test_its_life_from_start_to_full() -> None:
    async def scene() -> None:
        rig = Rig(options=WITH_TOP)
        async with rig.running() as plant:
            top = TopCharge(plant)
            assert top.values() == {
                v.TOP_CHARGE.name: 0,
                v.TOP_CHARGE_STATUS.name: "",
                v.TOP_CHARGE_TIME_LEFT.name: None,
                v.TOP_CHARGE_LAST.name: None,
            }
            assert top.target() is None
            top = await begun(rig)
            assert top.target() == Limit("top charge", 29.2)
            await feed(top, read(28.0, 30.0), 600)
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "charging to 29.20 V"
            assert top.values()[v.TOP_CHARGE_TIME_LEFT.name] == 12 * 3600 - 600
            top.imposed(Setpoint("DVCC", 28.4))
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "waiting: DVCC allows only 28.40 V of 29.20 V"
            top.imposed(Setpoint("BMS missing", 29.2, 0.0))
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "waiting: BMS missing allows no charging"
            top.imposed(Setpoint("top charge", 29.0))
            assert "the charger's own bounds allow only 29.00 V" in str(top.values()[v.TOP_CHARGE_STATUS.name])
            top.imposed(Setpoint("top charge", 29.2))
            await feed(top, read(29.2, 8.0), 600)
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "holding 29.20 V until the current is below 2 A"
            assert top.values()[v.TOP_CHARGE_TIME_LEFT.name] == 6600
            await feed(top, read(29.2, 1.0), 310)
            shown = top.values()
            assert shown[v.TOP_CHARGE.name] == 0
            assert shown[v.TOP_CHARGE_STATUS.name] == f"ended: {FULL}"
            assert str(shown[v.TOP_CHARGE_LAST.name]).startswith("2026-06-01T12:2")
            assert top.target() is None

    play(scene())


def test_other_ends() -> None:
    async def scene() -> None:
        rig = Rig(options=WITH_TOP)
        async with rig.running():
            top = await begun(rig)
            top.stop("stopped by hand")
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "ended: stopped by hand"
            assert top.values()[v.TOP_CHARGE_LAST.name] is None
            top.start(asyncio.get_running_loop().time())
            top.observe(read(29.2, 5.0, equalize_requested=1))
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "ended: an equalize was requested"
            top.start(asyncio.get_running_loop().time())
            rig.allow(top_charge=None)
            top.observe(read())
            assert not top.running

    play(scene())


def test_it_ends_when_the_charger_falls_silent() -> None:
    async def scene() -> None:
        rig = Rig(options=WITH_TOP)
        async with rig.running():
            top = await begun(rig)
            silent = read(None, None, None, health=Health.OFFLINE)
            rig.latest = silent
            await feed(top, silent, 55)
            top.review()
            assert top.running
            due = top.next_due()
            assert due is not None
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            rig.latest = silent
            top.review()
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "ended: the charger fell silent"
            top.start(asyncio.get_running_loop().time())
            rig.latest = read()
            await asyncio.sleep(61.0)
            rig.latest = read()
            top.review()
            assert top.running, "what was said last still holds"

    play(scene())


def test_a_restart_continues_it(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = Rig(tmp_path, options=WITH_TOP)
        async with rig.running():
            top = await begun(rig)
            await top.save()
            await feed(top, read(29.2, 9.0), 1800)
        await asyncio.sleep(900)
        rig = Rig(tmp_path, options=WITH_TOP)
        async with rig.running() as plant:
            top = TopCharge(plant)
            assert not top.running
            top.resume(asyncio.get_running_loop().time())
            assert top.running
            await feed(top, read(29.2, 9.0), 5)
            left = top.values()[v.TOP_CHARGE_TIME_LEFT.name]
            assert isinstance(left, int)
            assert left == pytest.approx(TOP.time_limit - 1800, abs=70)
            top.stop("stopped by hand")
            await top.save()
        async with Rig(tmp_path, options=WITH_TOP).running() as plant:
            top = TopCharge(plant)
            top.resume(asyncio.get_running_loop().time())
            assert not top.running
            assert top.values()[v.TOP_CHARGE_STATUS.name] == "ended: stopped by hand"

    play(scene())


@pytest.mark.parametrize("away", [13 * 3600.0, -3600.0])
def test_a_long_interruption_ends_it(tmp_path: Path, away: float) -> None:
    async def scene() -> None:
        rig = Rig(tmp_path, options=WITH_TOP)
        async with rig.running():
            top = await begun(rig)
            await top.save()
        rig = Rig(tmp_path, options=WITH_TOP, start=1_780_315_200.0 + away)
        async with rig.running() as plant:
            top = TopCharge(plant)
            top.resume(asyncio.get_running_loop().time())
            assert not top.running
            assert "restart" in str(top.values()[v.TOP_CHARGE_STATUS.name])

    play(scene())


def test_progress_is_saved_once_a_minute(tmp_path: Path) -> None:
    async def scene() -> int:
        rig = Rig(tmp_path, options=WITH_TOP)
        kept = 0
        async with rig.running():
            top = await begun(rig)
            keep = rig.store.keep

            async def counted(name: str, section: Any) -> None:
                nonlocal kept
                kept += 1
                await keep(name, section)

            rig.store.keep = counted  # type: ignore[method-assign]
            await top.save()
            await feed(top, read(29.2, 9.0), 3600)
        return kept

    assert 50 <= run_virtual(scene()) <= 61


def test_when_it_is_refused() -> None:
    async def scene() -> None:
        rig = Rig()
        async with rig.running() as plant:
            top = TopCharge(plant)
            assert top.refusal(BOUNDS) == NO_OPTIONS
            rig.allow(top_charge=TOP)
            assert top.refusal(BOUNDS) is None
            assert "nominal voltage" in str(top.refusal(None))
            assert "29.20 V is not within the 21.40 to 29.00 V" in str(top.refusal(replace(BOUNDS, highest=29.0)))
            for values in ({"equalize_requested": 1}, {"charger_state": 7}):
                rig.latest = read(**values)
                assert "equalize" in str(top.refusal(BOUNDS))
            rig.latest = None
            assert "rated current" in str(top.refusal(None))

    play(scene())
