"""The clock of an EPever charger: how wrong it is, and when it is set."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_stage import NOON, Stage, tracer
from heliobus.app.clock_drift import ClockDrift
from heliobus.control import host_clock
from heliobus.control.clock_care import refusal
from heliobus.control.device_clock import parsed
from heliobus.devices.epever.coding import clock
from heliobus.devices.epever.writes import clock_words
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Done, Failed, Refused
from heliobus.model.device import Device, Identity
from heliobus.model.localtime import local_time
from heliobus.model.reading import Reading, Reason
from heliobus.model.role import Role
from heliobus.sim.faults import Faults
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import run_virtual

WRITE = bytes.fromhex("109013000306")
DAY = 86_400.0


class FixedClock:
    """Stands still."""

    def __init__(self, moment: float) -> None:
        self._moment = moment

    def time(self) -> float:
        return self._moment


def wrong_by(seconds: float) -> SimTracer:
    simulated = tracer()
    simulated.clock.moment += timedelta(seconds=seconds)
    return simulated


def drift(simulated: SimTracer, now: float) -> float:
    return simulated.clock.moment.timestamp() - now


def test_the_vendors_example() -> None:
    assert clock_words(datetime.fromisoformat("2015-06-19 00:48:53")) == (0x3035, 0x1300, 0x0F06)


@given(st.datetimes(datetime.fromisoformat("2000-01-01"), datetime.fromisoformat("2099-12-31")))
def test_what_is_written_reads_as_the_same_moment(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert parsed(clock.decode(clock_words(moment))) == moment


@pytest.mark.parametrize("text", ["", None, 5, "noon", "2026-13-01 00:00:00"])
def test_what_is_no_time(text: object) -> None:
    assert parsed(text) is None


def at(hour: int, minute: int, day: int = 10) -> datetime:
    return datetime(2026, 5, day, hour, minute)  # noqa: DTZ001  a device has no zone


@pytest.mark.parametrize(
    ("now", "shown", "allowed"),
    [
        (at(12, 0), at(11, 0), True),
        (at(12, 0), None, True),
        (at(23, 54), at(23, 40), True),
        (at(23, 55), at(23, 40), False),
        (at(0, 4), at(0, 20), False),
        (at(0, 5), at(0, 20), True),
        (at(12, 0), at(23, 57, 3), False),
        # A step over midnight ends or repeats the device's day.
        (at(0, 30, 11), at(23, 40, 10), False),
        (at(23, 30, 10), at(0, 20, 11), False),
        # Whoever is wrong by days has no day to lose.
        (at(12, 0, 20), at(11, 0, 3), True),
    ],
)
def test_when_a_clock_may_be_set(now: datetime, shown: datetime | None, allowed: bool) -> None:
    assert (refusal(now, shown) is None) is allowed


async def _button(tmp_path: Path) -> None:
    simulated = wrong_by(-3600)
    stage = Stage(simulated, folder=tmp_path)
    async with stage.running():
        plan = await stage.plan("set_clock", 1)
        assert isinstance(plan, tuple)
        (change,) = plan
        assert isinstance(change, Change)
        assert change.place == "registers 0x9013 to 0x9015, in one request"
        assert await stage.set("set_clock", 1) == Done(1)
        (written,) = stage.writes()
        assert written.startswith(WRITE)
        assert abs(drift(simulated, stage.clock.time())) < 3
        await stage.until(lambda reading: str(reading.values["device_clock"]) >= "2026-05-01 12:00:00")
    assert [(each.point, each.origin, each.result) for each in stage.records()] == [("set_clock", "test", "done")]


def test_the_button(tmp_path: Path) -> None:
    run_virtual(_button(tmp_path))


async def _day(stage: Stage, seconds: float) -> None:
    stage.allow(auto_clock=True)
    async with stage.running():
        await stage.until(lambda _: stage.clock.time() >= stage.start + seconds, 2 * seconds)


def test_a_wrong_clock_is_set_at_the_start(tmp_path: Path) -> None:
    simulated = wrong_by(90)
    stage = Stage(simulated, folder=tmp_path)
    run_virtual(_day(stage, 600))
    assert len(stage.writes()) == 1
    assert [(each.point, each.origin, each.result) for each in stage.records()] == [("set_clock", "clock", "done")]


def test_a_clock_that_is_right_is_left_alone() -> None:
    stage = Stage(wrong_by(50))
    run_virtual(_day(stage, 600))
    assert stage.writes() == []


def test_a_clock_that_runs_away_is_set_once_a_day() -> None:
    simulated = tracer(clock_drift=100.0)
    stage = Stage(simulated, period=600.0)
    run_virtual(_day(stage, 2.5 * DAY))
    assert len(stage.writes()) == 2
    assert abs(drift(simulated, stage.start + 2.5 * DAY)) < 100


def test_by_hand_only() -> None:
    simulated = wrong_by(7200)
    stage = Stage(simulated)

    async def life() -> None:
        async with stage.running():
            await stage.until(lambda _: stage.clock.time() >= NOON + 600)

    run_virtual(life())
    assert stage.writes() == []


@pytest.mark.parametrize(("synchronised", "writes"), [(True, 1), (None, 1), (False, 0)])
def test_a_machine_that_does_not_know_the_time_sets_no_clock(
    synchronised: bool | None, writes: int, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(wrong_by(600), synchronised=synchronised)
    run_virtual(_day(stage, 2 * 3600))
    assert len(stage.writes()) == writes
    assert caplog.text.count("no time server keeps the clock of this machine") == (synchronised is False)


def test_a_clock_that_was_never_set_sets_no_other() -> None:
    stage = Stage(tracer(), start=0.0)

    async def life() -> None:
        async with stage.running():
            refused = await stage.set("set_clock", 1)
            assert isinstance(refused, Refused)
            assert "never set" in refused.why

    run_virtual(life())
    stage = Stage(tracer(), start=0.0)
    run_virtual(_day(stage, 600))
    assert stage.writes() == []


def _near_midnight(minutes: float) -> Stage:
    simulated = wrong_by(-600)
    simulated.clock.moment += timedelta(hours=12) - timedelta(minutes=minutes)
    return Stage(simulated, start=NOON + 12 * 3600 - 60 * minutes)


def test_not_about_midnight() -> None:
    stage = _near_midnight(3)
    before = []

    async def life() -> None:
        async with stage.running():
            refused = await stage.set("set_clock", 1)
            assert isinstance(refused, Refused)
            assert "not set between 23:55 and 00:05" in refused.why
            before.extend(stage.writes())

    run_virtual(life())
    assert before == []
    stage = _near_midnight(3)
    run_virtual(_day(stage, 1800))
    (written,) = stage.writes()
    minute, day, hour = written[6], written[8], written[9]
    assert (day, hour) == (2, 0)
    assert minute >= 15


class Deaf(SimTracer):
    """Answers that its clock is set, and does not set it."""

    def write_registers(self, address: int, words: object, origin: object) -> None:
        """Nothing."""


def test_a_clock_that_does_not_take_it_fails(tmp_path: Path) -> None:
    simulated = Deaf(system=12, year=2026, day_of_year=121, hour=11.0)
    stage = Stage(simulated, folder=tmp_path)

    async def life() -> object:
        async with stage.running():
            return await stage.set("set_clock", 1)

    outcome = run_virtual(life())
    assert isinstance(outcome, Failed)
    assert "was set, but reads 2026-05-01 11:00" in outcome.why
    stage = Stage(Deaf(system=12, year=2026, day_of_year=121, hour=11.0), folder=tmp_path)
    run_virtual(_day(stage, 3.5 * 3600))
    assert len(stage.writes()) == 3, "at once, after an hour, and two hours after that"


def test_a_lost_answer_is_read_back() -> None:
    faults = Faults()
    simulated = wrong_by(300)
    stage = Stage(simulated, faults=faults)

    async def life() -> object:
        async with stage.running():
            answer = simulated.answer
            simulated.answer = lambda pdu, *how, **more: (answer(pdu), None)[1] if pdu[0] == 16 else answer(pdu)  # type: ignore[method-assign]
            return await stage.set("set_clock", 1)

    assert run_virtual(life()) == Done(1)
    assert len(stage.writes()) == 1


DEVICE = Device(
    "cabin",
    "",
    "epever-tracer",
    "tracer",
    Role.SOLAR_CHARGER,
    "somewhere",
    Identity("EPever", "Tracer"),
    {point.name: point for point in (v.DEVICE_CLOCK, v.CLOCK_DRIFT)},
    "tracer_1",
    0,
)


def step(zone: str = "Europe/Oslo") -> Callable[[float, str | None], Reading]:
    drifts = ClockDrift(lambda: local_time(zone))

    def put(time: float, text: str | None) -> Reading:
        reasons = {} if text is not None else {v.DEVICE_CLOCK.name: Reason.STALE}
        reading = Reading("cabin", time, {v.DEVICE_CLOCK.name: text, v.CLOCK_DRIFT.name: None}, reasons)
        return drifts.annotate(DEVICE, reading)

    return put


def test_the_drift_is_against_local_time(caplog: pytest.LogCaptureFixture) -> None:
    put = step()
    with caplog.at_level(logging.INFO):
        assert put(NOON, "2026-05-01 14:00:30").values[v.CLOCK_DRIFT.name] == 30
        # What was read an hour ago says nothing new.
        assert put(NOON + 3600, "2026-05-01 14:00:30").values[v.CLOCK_DRIFT.name] == 30
        assert caplog.text == ""
        assert put(NOON + 3600, "2026-05-01 14:58:00").values[v.CLOCK_DRIFT.name] == -120
        assert put(NOON + 7200, "2026-05-01 15:58:00").values[v.CLOCK_DRIFT.name] == -120
    assert caplog.text.count("its clock is 120 s slow") == 1
    unknown = put(NOON + 9000, None)
    assert unknown.values[v.CLOCK_DRIFT.name] is None
    assert unknown.reasons[v.CLOCK_DRIFT.name] is Reason.STALE


def test_a_clock_that_goes_far_back_was_without_its_battery(caplog: pytest.LogCaptureFixture) -> None:
    put = step("UTC")
    put(NOON, "2026-05-01 12:00:00")
    assert put(NOON + 3600, "2015-01-01 00:10:00").values[v.CLOCK_DRIFT.name] < -3e8  # type: ignore[operator]
    assert "its clock went back from 2026-05-01 12:00:00 to 2015-01-01 00:10:00" in caplog.text
    # Set right again, it may be wrong again.
    put(NOON + 7200, "2026-05-01 14:00:00")
    put(NOON + 9000, "2026-05-01 14:00:00")
    put(NOON + 10800, "2015-01-01 00:10:00")
    assert caplog.text.count("went back") == 2


def test_a_machine_that_does_not_know_the_time_judges_no_clock() -> None:
    assert step("UTC")(3600.0, "2026-05-01 12:00:00").values[v.CLOCK_DRIFT.name] is None


def test_another_device_has_no_drift() -> None:
    device = Device(**{**{name: getattr(DEVICE, name) for name in DEVICE.__slots__}, "points": {}})
    reading = Reading("cabin", NOON, {})
    assert ClockDrift(lambda: local_time("UTC")).annotate(device, reading) is reading


def test_the_machines_own_clock() -> None:
    assert host_clock.is_synchronised() in (True, False, None)
    assert host_clock.is_plausible(FixedClock(datetime(2024, 1, 2, tzinfo=UTC).timestamp()))
    assert not host_clock.is_plausible(FixedClock(datetime(2023, 1, 2, tzinfo=UTC).timestamp()))
