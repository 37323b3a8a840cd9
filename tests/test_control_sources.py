"""Who limits the charger, and for how long it holds."""

import asyncio
import logging
import math
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from control_stage import Rig
from heliobus.control.limits import Limit
from heliobus.control.sources import BMS_MISSING, DVCC, REMOTE_TIMEOUT, USER, Sources
from heliobus.control.store import StoreError
from heliobus.model import vocabulary as v
from heliobus.sim.virtual_time import run_virtual

MODE, VOLTS, AMPS = v.REMOTE_NETWORK_MODE.name, v.REMOTE_CHARGE_VOLTAGE.name, v.REMOTE_CHARGE_CURRENT.name
USER_VOLTS, USER_AMPS = v.CHARGE_VOLTAGE_LIMIT.name, v.CHARGE_CURRENT_LIMIT.name
REQUIRED = v.BMS_REQUIRED.name


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtual(scene)


def test_the_owners_limits_survive_a_restart(tmp_path: Path) -> None:
    async def scene() -> None:
        async with (rig := Rig(tmp_path)).running() as plant:
            sources = Sources(plant)
            assert sources.limits() == ()
            sources.take(USER_VOLTS, 28.2)
            sources.take(USER_AMPS, 20)
            sources.take(REQUIRED, 1)
            assert rig.changes == 3
            await sources.save()
        async with Rig(tmp_path).running() as plant:
            sources = Sources(plant)
            assert sources.limits() == (Limit(BMS_MISSING, amps=0.0), Limit(USER, 28.2, 20.0))
            assert sources.values()[USER_AMPS] == 20.0
            assert sources.values()[REQUIRED] == 1
            sources.take(USER_VOLTS, 0)
            sources.take(REQUIRED, 0)
            assert sources.limits() == (Limit(USER, None, 20.0),)

    play(scene())


def test_what_dvcc_writes_holds_while_it_is_repeated(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "heliobus.control")

    async def scene() -> None:
        async with Rig().running() as plant:
            sources = Sources(plant)
            sources.take(VOLTS, 28.0)
            assert sources.limits() == (), "without external control a voltage is no limit"
            for _ in range(40):
                sources.take(MODE, 5)
                sources.take(VOLTS, 28.0)
                sources.take(AMPS, 0)
                assert sources.limits() == (Limit(DVCC, 28.0, 0.0),)
                await asyncio.sleep(3.0)
            expiry = sources.next_expiry()
            assert expiry == asyncio.get_running_loop().time() - 3.0 + REMOTE_TIMEOUT
            await asyncio.sleep(REMOTE_TIMEOUT - 4.0)
            assert sources.limits() != ()
            await asyncio.sleep(1.0)
            sources.review()
            assert sources.limits() == ()
            assert sources.next_expiry() is None
            values = sources.values()
            assert (values[MODE], values[VOLTS], values[AMPS]) == (0, None, None)

    play(scene())
    assert [each.message for each in caplog.records if "DVCC" in each.message] == [
        "roof: DVCC takes over",
        "roof: DVCC has fallen silent",
    ]


def test_each_remote_value_runs_out_by_itself() -> None:
    async def scene() -> None:
        async with Rig().running() as plant:
            sources = Sources(plant)
            sources.take(VOLTS, 28.0)
            await asyncio.sleep(30.0)
            sources.take(MODE, 4)
            sources.take(AMPS, 10.0)
            assert sources.limits() == (Limit(DVCC, 28.0, 10.0),)
            await asyncio.sleep(30.1)
            assert sources.limits() == (Limit(DVCC, None, 10.0),)
            sources.take(MODE, 1)
            assert sources.limits() == (), "the GX has let go"
            await asyncio.sleep(59.9)
            assert sources.values()[MODE] == 1
            await asyncio.sleep(0.2)
            assert sources.values()[MODE] == 0

    play(scene())


@pytest.mark.parametrize("mode", [8, 9, 13])
def test_a_required_bms_lets_charge_only_while_it_is_there(mode: int) -> None:
    async def scene() -> None:
        async with Rig().running() as plant:
            sources = Sources(plant)
            sources.take(REQUIRED, 1)
            missing = Limit(BMS_MISSING, amps=0.0)
            assert sources.limits() == (missing,)
            sources.take(MODE, 5)
            sources.take(AMPS, 30.0)
            assert sources.limits() == (missing, Limit(DVCC, None, 30.0)), "DVCC without a BMS is not enough"
            sources.take(MODE, mode)
            assert sources.limits() == (Limit(DVCC, None, 30.0),)
            await asyncio.sleep(REMOTE_TIMEOUT)
            assert sources.limits() == (missing,)
            sources.offer(Limit("BMS", 27.6, 40.0), 10.0)
            assert sources.limits() == (Limit("BMS", 27.6, 40.0),)
            sources.offer(Limit("BMS", 27.6, 0.0), 5.0)
            assert sources.limits() == (Limit("BMS", 27.6, 0.0),), "the newer offer takes the older one's place"
            await asyncio.sleep(5.0)
            sources.review()
            assert sources.limits() == (missing,)

    play(scene())


@pytest.mark.parametrize("rubbish", [math.nan, math.inf, -math.inf, -1.0, None, "28", True, [28.0]])
@pytest.mark.parametrize("name", [USER_VOLTS, USER_AMPS, REQUIRED, MODE, VOLTS, AMPS])
def test_rubbish_changes_nothing(name: str, rubbish: Any) -> None:
    async def scene() -> None:
        async with Rig().running() as plant:
            sources = Sources(plant)
            for each, value in ((MODE, 13), (VOLTS, 28.0), (AMPS, 10.0), (USER_VOLTS, 28.5), (USER_AMPS, 5.0)):
                sources.take(each, value)
            before = sources.limits(), sources.values()
            sources.take(name, rubbish)
            assert (sources.limits(), sources.values()) == before

    play(scene())


def test_a_damaged_store_is_no_limit(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = Rig(tmp_path)
        await rig.store.keep("limits", {USER_VOLTS: "high", USER_AMPS: -4, REQUIRED: None})
        async with rig.running() as plant:
            assert Sources(plant).limits() == ()
            with pytest.raises(ValueError, match="limits nothing"):
                Sources(plant).take("battery_voltage", 1.0)

    play(scene())


def test_a_disk_that_fails_is_reported(tmp_path: Path) -> None:
    async def scene() -> None:
        async with Rig(tmp_path / "taken").running() as plant:
            (tmp_path / "taken").write_text("no folder")
            sources = Sources(plant)
            sources.take(USER_AMPS, 20.0)
            with pytest.raises(StoreError):
                await sources.save()
            assert sources.limits() == (Limit(USER, None, 20.0),)

    play(scene())
