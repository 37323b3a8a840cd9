"""The guard and the watchdog of the equalize charge: the rules alone, and against the simulated charger."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_stage import NOON, OPTIONS, Rig
from heliobus.control.equalize import GRACE, SECTION, Equalize, Run, Sight, follow, look, overdue, time_left
from heliobus.control.plant import Plant
from heliobus.control.store import StoreError
from heliobus.devices.morningstar.writes import EQUALIZE
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions, EqualizeOptions
from heliobus.sim.device import Origin
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import run_virtual

ALLOWED = EqualizeOptions(allowed=True, interval=0.0)
ON, OFF = (5, 0, 0xFF00), (5, 0, 0)
IDLE = Sight(False, False, 20.0, 0.0)
WAITING = Sight(True, False, 20.0, 0.0)
RUNNING = Sight(True, True, 20.0, 100.0)
HOUR = 3600.0
NIGHT = 0.5


def flooded(**changes: object) -> ControlOptions:
    return replace(OPTIONS, equalize=replace(ALLOWED, **changes))  # type: ignore[arg-type]


def charger(hour: float = 11.0, **arguments: object) -> SimTriStar:
    """A bank that is nearly full, so that the equalize voltage is soon reached."""
    options = {"hour": hour, "cloudiness": 0.0, "day_of_year": 172, "soc": 0.97} | arguments
    return SimTriStar(**options)  # type: ignore[arg-type]


class Guarded(Rig):
    """A rig with the guard at work; commands go the way the charger's control sends them."""

    equalize: Equalize

    def __init__(
        self,
        folder: Path | None = None,
        options: ControlOptions | None = None,
        sim: SimTriStar | None = None,
        start: float = NOON,
    ) -> None:
        super().__init__(folder, options or flooded(), sim or charger(), start=start)
        self.reasons: list[str] = []
        self.steered = False

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[Equalize]:
        async with self.running() as plant:
            guard = self.equalize = Equalize(plant, self.cancel, lambda: self.steered)
            self.on_read = guard.observe
            task = asyncio.create_task(guard.run())
            try:
                yield guard
            finally:
                self.on_read = None
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def cancel(self, why: str) -> None:
        self.reasons.append(why)
        await self.command(0, "guard")

    async def command(self, on: int, origin: str = "cli") -> None:
        assert self.equalize.refusal(on) is None
        await self.equalize.commanded(on, origin)
        await self.plant.terminal.write_coil(EQUALIZE, bool(on))

    @property
    def status(self) -> object:
        return self.equalize.values()["equalize_status"]

    async def status_is(self, words: str, seconds: float = 6 * HOUR) -> float:
        """Wait for it; the seconds it took."""
        began = self.clock.time()
        while not str(self.status).startswith(words):
            assert self.clock.time() - began < seconds, f"still {self.status!r} after {seconds:g} s"
            await asyncio.sleep(5)
        return self.clock.time() - began


# The rules alone


def test_a_run_from_request_to_done() -> None:
    run: Run | None = Run(True, 0.0)
    run, ended = follow(run, IDLE, 5, 5, 7200)
    assert run == Run(True, 0.0, waited=5.0), "the coil may read 0 for a moment still"
    assert ended == ""
    run, _ = follow(run, WAITING, 5, 10, 7200)
    assert run == Run(True, 0.0, seen=True, waited=10.0)
    run, _ = follow(run, RUNNING, 5, 15, 7200)
    assert run == Run(True, 0.0, seen=True, running=True, base=100.0)
    run, _ = follow(run, replace(RUNNING, counter=7300.0), 7200, 7215, 7200)
    assert run is not None
    assert run.ran == 7200
    assert follow(run, IDLE, 5, 7220, 7200) == (None, "done")


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (Run(True, 0.0, seen=True), "cancelled: not by Heliobus, before it ran"),
        (Run(True, 0.0, seen=True, running=True, ran=595.0), "cancelled: not by Heliobus, after 10 min"),
        (Run(True, 0.0, seen=True, running=True, ran=7200.0), "done"),
        (Run(False, 0.0, seen=True, ran=7150.0), "done"),
        (Run(True, 0.0, seen=True, ran=7200.0, cancelled="by cli"), "cancelled: by cli"),
    ],
)
def test_how_it_ends(run: Run, words: str) -> None:
    assert follow(run, IDLE, 5.0, 0.0, 7200.0) == (None, words)


def test_of_a_preset_nobody_knows_how_long_it_must_run() -> None:
    assert follow(Run(True, 0.0, seen=True, running=True), IDLE, 5.0, 0.0, None) == (None, "done")


def test_a_request_that_never_shows_ends_after_the_grace() -> None:
    run, ended = follow(Run(True, 0.0), IDLE, GRACE, 0.0, None)
    assert run is not None
    assert ended == ""
    assert follow(run, IDLE, 1.0, 0.0, None) == (None, "cancelled: the charger did not take it")


def test_an_equalize_nobody_asked_for_here_is_followed_but_never_overdue() -> None:
    run, _ = follow(None, RUNNING, 5.0, 7.0, None)
    assert run == Run(False, 7.0, seen=True, running=True)
    old = replace(run, ran=1e6, waited=1e6)
    assert overdue(old, replace(RUNNING, celsius=90.0), ALLOWED, "locked") == ""
    assert follow(None, IDLE, 5.0, 7.0, None) == (None, "")


@pytest.mark.parametrize(
    ("run", "sight", "locked", "words"),
    [
        (Run(True, 0.0, running=True, ran=3 * HOUR), RUNNING, "", ""),
        (Run(True, 0.0, running=True, ran=3 * HOUR + 1), RUNNING, "", "3 h of equalize.time_limit"),
        (Run(True, 0.0, waited=24 * HOUR), WAITING, "", ""),
        (Run(True, 0.0, waited=24 * HOUR + 1), WAITING, "", "24 h of equalize.wait_limit"),
        (Run(True, 0.0, running=True), replace(RUNNING, celsius=45.0), "", ""),
        (Run(True, 0.0, running=True), replace(RUNNING, celsius=46.0), "", "at 46 °C, above the 45 °C"),
        (Run(True, 0.0, running=True), replace(RUNNING, celsius=None), "", ""),
        (Run(True, 0.0), replace(WAITING, celsius=60.0), "", ""),
        (Run(True, 0.0), WAITING, "forbidden", "forbidden"),
        (Run(True, 0.0, cancelled="by cli"), RUNNING, "", "by cli"),
        (Run(False, 0.0, cancelled="by cli"), RUNNING, "", "by cli"),
    ],
)
def test_what_is_overdue(run: Run, sight: Sight, locked: str, words: str) -> None:
    why = overdue(run, sight, ALLOWED, locked)
    assert words in why
    assert bool(why) is bool(words)


@pytest.mark.parametrize(
    ("run", "counter", "duration", "left"),
    [
        (Run(True, 0.0, running=False, ran=60.0), 0.0, 7200.0, None),
        (Run(True, 0.0, running=True, ran=60.0), None, None, 3 * HOUR - 60),
        (Run(True, 0.0, running=True, ran=60.0, base=500.0), 560.0, 7200.0, 7140.0),
        (Run(True, 0.0, running=True, ran=60.0, base=500.0), 30.0, 7200.0, 7170.0),
        (Run(True, 0.0, running=True, ran=60.0, base=500.0), 560.0, 20000.0, 3 * HOUR - 60),
        (Run(True, 0.0, running=True, ran=4 * HOUR), None, None, 0.0),
        (Run(False, 0.0, running=True, ran=60.0), None, None, None),
        (Run(False, 0.0, running=True, ran=60.0), 600.0, 7200.0, 6600.0),
    ],
)
def test_time_left(run: Run, counter: float | None, duration: float | None, left: float | None) -> None:
    assert time_left(run, counter, duration, 3 * HOUR) == left


@given(
    st.lists(
        st.tuples(st.booleans(), st.booleans(), st.floats(0, 1e5), st.one_of(st.none(), st.floats(-60, 127))),
        max_size=30,
    ),
    st.booleans(),
)
def test_ours_is_cancelled_no_later_than_by_its_limits_whatever_the_device_shows(
    shown: list[tuple[bool, bool, float, float | None]], ours: bool
) -> None:
    run: Run | None = Run(ours, 0.0)
    total = longest = 0.0
    for requested, running, seconds, celsius in shown:
        total += seconds
        longest = max(longest, seconds)
        run, ended = follow(run, Sight(requested, running, celsius, None), seconds, total, None)
        if run is None:
            assert ended
            return
        assert run.ran + run.waited <= total + 1e-6
        if ours and not overdue(run, Sight(requested, running, celsius, None), ALLOWED, ""):
            assert run.ran <= ALLOWED.time_limit
            assert run.waited <= ALLOWED.wait_limit


def test_what_is_not_known_is_not_looked_at() -> None:
    assert look({}) is None
    assert look({"equalize_requested": 1, "charger_state": None}) is None
    assert look({"equalize_requested": None, "charger_state": 7}) is None
    assert look({"equalize_requested": 1, "charger_state": 7}) == Sight(True, True, None, None)
    assert look({"equalize_requested": 0, "charger_state": 3, "battery_temperature": 21}) == Sight(
        False, False, 21, None
    )


# What is refused


def refused(options: ControlOptions, sim: SimTriStar | None = None, **state: object) -> str | None:
    """The answer to a start, asked of a charger in this state; cancelling is always allowed."""

    async def ask() -> str | None:
        rig = Guarded(None, options, sim)
        rig.steered = bool(state.get("steered"))
        async with rig.guarded() as guard:
            assert guard.refusal(0) is None
            return guard.refusal(1)

    return run_virtual(ask())


def test_it_is_allowed_where_the_owner_allows_it_for_a_flooded_battery() -> None:
    assert refused(flooded()) is None


def test_it_is_locked_by_default_and_says_how_to_unlock_it() -> None:
    assert "allowed = true" in str(refused(OPTIONS))


@pytest.mark.parametrize("name", sorted(set(CHEMISTRIES) - {"flooded"}))
def test_no_other_chemistry_takes_it_even_where_it_is_allowed(name: str) -> None:
    why = refused(replace(flooded(), chemistry=CHEMISTRIES[name]))
    assert name in str(why)


def test_a_charger_without_an_equalize_stage_is_told_what_lacks() -> None:
    sim = charger()
    sim.eeprom[0xE007] = 0
    assert "set_equalize_voltage" in str(refused(flooded(), sim))
    assert "switches 4, 5 and 6" in str(refused(flooded(), charger(program=0)))
    assert refused(flooded(), charger(program=3)) is None, "the stored voltage does not count in a preset"


def test_its_voltage_must_be_within_the_owners_limit() -> None:
    assert "30.20 V is above the 29.00 V" in str(refused(replace(flooded(), highest_voltage=29.0)))
    assert refused(replace(flooded(), highest_voltage=30.5)) is None


def test_a_hot_battery_is_left_alone_and_one_without_a_sensor_is_not() -> None:
    assert "equalize.hottest" in str(refused(flooded(hottest=5.0)))
    assert refused(flooded(hottest=5.0), charger(rts=False)) is None


def test_a_charger_that_cannot_or_must_not_be_steered_is_left_alone() -> None:
    faulty = charger()
    faulty.inject_fault(1)
    assert "FETs shorted" in str(refused(flooded(), faulty))
    off = charger()
    off.charger.requests.disconnect = True
    assert "charger_enabled" in str(refused(flooded(), off))
    slave = charger()
    slave.advance(30)
    slave.write_register(0x59, 4915, Origin.NETWORK)
    assert "external control" in str(refused(flooded(), slave))
    assert "external control" in str(refused(flooded(), steered=True))


def test_the_interval_is_kept_by_the_device_or_by_us() -> None:
    lately, long_ago = charger(), charger()
    for sim, days in ((lately, 3), (long_ago, 8)):
        sim.logger.eq_calendar_days = days
        sim.logger.store()
    assert "3 days ago, less than the 7" in str(refused(flooded(interval=7.0), lately))
    assert refused(flooded(interval=7.0), long_ago) is None

    async def ours() -> str | None:
        rig = Guarded(None, flooded(interval=7.0), long_ago)
        await rig.store.keep(SECTION, {"done": NOON - 2 * 86400})
        async with rig.guarded() as guard:
            return guard.refusal(1)

    assert "2 days ago" in str(run_virtual(ours()))


def test_a_charger_that_does_not_answer_refuses_both() -> None:
    async def ask() -> tuple[str | None, str | None]:
        rig = Guarded()
        async with rig.guarded() as guard:
            rig.link.paused = True
            await rig.until(lambda reading: reading.health == "offline")
            return guard.refusal(0), guard.refusal(1)

    assert run_virtual(ask()) == ("the charger does not answer",) * 2


# At the simulated charger


def test_an_equalize_from_the_request_to_its_end() -> None:
    async def day() -> None:
        rig = Guarded()
        async with rig.guarded() as guard:
            assert guard.values() == {"equalize_time_left": None, "equalize_status": ""}
            await rig.command(1)
            await rig.status_is("running", 60)
            left = guard.values()["equalize_time_left"]
            assert isinstance(left, float)
            assert 7100 < left <= 7200, "the charger's own two hours are less than our three"
            await asyncio.sleep(HOUR)
            later = guard.values()["equalize_time_left"]
            assert isinstance(later, float)
            assert left - later == pytest.approx(HOUR, abs=15)
            await rig.status_is("done")
            assert guard.values()["equalize_time_left"] is None
            rig.allow(equalize=EqualizeOptions(allowed=True, interval=1.0))
            assert "0 days ago" in str(guard.refusal(1))
        assert rig.reasons == []
        assert rig.writes() == [ON]
        assert rig.store.section(SECTION)["run"] is None
        assert rig.changes > 10

    run_virtual(day())


def test_it_waits_for_sun_and_is_given_up_in_the_end() -> None:
    async def night() -> float:
        rig = Guarded(None, flooded(wait_limit=2 * HOUR), charger(NIGHT))
        async with rig.guarded():
            await rig.command(1)
            await rig.status_is("waiting for sun", 60)
            took = await rig.status_is("cancelled: it has waited for sun for the 2 h")
        assert len(rig.reasons) == 1
        assert rig.writes() == [ON, OFF]
        assert not rig.charger.charger.requests.equalize
        return took

    assert run_virtual(night()) == pytest.approx(2 * HOUR, abs=90)


def test_it_is_ended_after_our_limit() -> None:
    async def day() -> float:
        rig = Guarded(None, flooded(time_limit=HOUR))
        async with rig.guarded() as guard:
            await rig.command(1)
            await rig.status_is("running", 60)
            left = guard.values()["equalize_time_left"]
            assert isinstance(left, float)
            assert 3580 < left <= 3600
            took = await rig.status_is("cancelled: it has run for the 1 h")
        assert rig.writes() == [ON, OFF]
        return took

    assert run_virtual(day()) == pytest.approx(HOUR, abs=20)


def test_it_is_ended_when_the_battery_gets_hot() -> None:
    async def day() -> None:
        rig = Guarded()
        async with rig.guarded():
            await rig.command(1)
            await rig.status_is("running", 60)
            rig.allow(equalize=replace(ALLOWED, hottest=5.0))
            await rig.status_is("cancelled: the battery is at", 60)
        assert rig.writes() == [ON, OFF]

    run_virtual(day())


def test_it_is_ended_when_the_owner_forbids_it() -> None:
    async def day() -> None:
        rig = Guarded()
        async with rig.guarded():
            await rig.command(1)
            await rig.status_is("running", 60)
            rig.allow(equalize=EqualizeOptions())
            await rig.status_is("locked: ", 60)
        assert rig.writes() == [ON, OFF]

    run_virtual(day())


def test_a_restart_of_the_daemon_goes_on_counting(tmp_path: Path) -> None:
    sim = charger()

    async def first() -> float:
        rig = Guarded(tmp_path, flooded(time_limit=HOUR), sim)
        async with rig.guarded():
            await rig.command(1)
            await rig.status_is("running", 60)
            await asyncio.sleep(1800)
        return rig.clock.time()

    async def second(start: float) -> float:
        rig = Guarded(tmp_path, flooded(time_limit=HOUR), sim, start)
        async with rig.guarded():
            assert rig.status is None, "nobody has looked yet"
            await rig.status_is("running", 60)
            left = rig.equalize.values()["equalize_time_left"]
            assert isinstance(left, float)
            took = await rig.status_is("cancelled: it has run")
            assert took == pytest.approx(left, abs=20)
        assert rig.writes() == [OFF]
        return took

    end = run_virtual(first())
    sim.advance(600)
    # What went on while nobody watched counts as well: 30 min before, 10 min in between.
    assert run_virtual(second(end + 600)) == pytest.approx(1200, abs=90)


def test_a_request_that_was_remembered_but_never_sent_is_forgotten(tmp_path: Path) -> None:
    async def first() -> None:
        rig = Guarded(tmp_path)
        async with rig.guarded() as guard:
            await guard.commanded(1, "cli")

    async def second() -> None:
        rig = Guarded(tmp_path, start=NOON + 10)
        async with rig.guarded():
            await rig.status_is("cancelled: the charger did not take it", 120)
        assert rig.writes() == []

    run_virtual(first())
    run_virtual(second())


def test_one_that_somebody_else_began_is_watched_only(caplog: pytest.LogCaptureFixture) -> None:
    async def day(options: ControlOptions) -> None:
        rig = Guarded(None, options)
        async with rig.guarded():
            rig.charger.charger.requests.equalize = True
            await rig.status_is("running, not started by Heliobus", 60)
            await rig.status_is(
                "locked" if "allowed" not in options.chemistry.name and rig.equalize.locked() else "done"
            )
        assert rig.reasons == []
        assert rig.writes() == []

    with caplog.at_level(logging.INFO, "heliobus.control"):
        run_virtual(day(flooded(time_limit=HOUR, hottest=5.0)))
        run_virtual(day(replace(OPTIONS, chemistry=CHEMISTRIES["lifepo4"])))
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "lifepo4" in warned[0]


def test_the_owner_cancels_it_also_one_he_did_not_begin_here() -> None:
    async def day(ours: bool) -> list[tuple[int, int, int]]:
        rig = Guarded()
        async with rig.guarded():
            if ours:
                await rig.command(1)
            else:
                rig.charger.charger.requests.equalize = True
            await rig.status_is("running", 60)
            await rig.command(0, "venus")
            await rig.status_is("cancelled: by venus", 60)
        return rig.writes()

    assert run_virtual(day(True)) == [ON, OFF]
    assert run_virtual(day(False)) == [OFF]


def test_a_cancel_that_was_lost_is_sent_again() -> None:
    async def day() -> None:
        rig = Guarded()
        lost = 2

        async def cancel(why: str) -> None:
            nonlocal lost
            rig.reasons.append(why)
            await rig.equalize.commanded(0, "guard")
            if lost:
                lost -= 1
            else:
                await rig.plant.terminal.write_coil(EQUALIZE, False)

        rig.cancel = cancel  # type: ignore[method-assign]
        async with rig.guarded():
            await rig.command(1)
            await rig.status_is("running", 60)
            rig.allow(equalize=replace(ALLOWED, hottest=5.0))
            took = await rig.status_is("cancelled: the battery is at", 600)
        assert len(rig.reasons) == 3
        assert len(set(rig.reasons)) == 1
        assert took == pytest.approx(2 * GRACE, abs=30)

    run_virtual(day())


def test_nothing_is_written_while_settings_are() -> None:
    async def day() -> None:
        rig = Guarded()
        async with rig.guarded():
            await rig.command(1)
            await rig.status_is("running", 60)
            async with rig.plant.busy:
                rig.allow(equalize=replace(ALLOWED, hottest=5.0))
                await asyncio.sleep(600)
                assert rig.reasons == []
            await rig.status_is("cancelled: the battery is at", 60)

    run_virtual(day())


def test_an_hour_of_silence_counts_as_running() -> None:
    async def day() -> float:
        rig = Guarded(None, flooded(time_limit=1.5 * HOUR))
        async with rig.guarded():
            await rig.command(1)
            await rig.status_is("running", 60)
            rig.link.paused = True
            await asyncio.sleep(HOUR)
            assert rig.reasons == []
            rig.link.paused = False
            await rig.until(lambda reading: reading.health == "ok")
            return await rig.status_is("cancelled: it has run")

    assert run_virtual(day()) == pytest.approx(0.5 * HOUR, abs=150)


def test_a_start_that_cannot_be_remembered_must_not_begin() -> None:
    async def day() -> None:
        rig = Guarded()

        async def keep(name: str, section: object) -> None:
            raise StoreError("disk full")

        async with rig.guarded() as guard:
            rig.store.keep = keep  # type: ignore[method-assign]
            with pytest.raises(StoreError):
                await guard.commanded(1, "cli")
            assert rig.status == ""
            await guard.commanded(0, "cli")

    run_virtual(day())


def test_it_is_kept_no_more_than_once_a_minute() -> None:
    async def day() -> int:
        rig = Guarded()
        kept = 0
        real = rig.store.keep

        async def keep(name: str, section: dict[str, object]) -> None:
            nonlocal kept
            kept += 1
            await real(name, section)

        rig.store.keep = keep  # type: ignore[method-assign,assignment]
        async with rig.guarded():
            await asyncio.sleep(600)
            assert kept == 0, "nothing is going on"
            await rig.command(1)
            await asyncio.sleep(1800)
        return kept

    assert 29 <= run_virtual(day()) <= 34


@pytest.mark.parametrize(
    "kept",
    [
        {"run": 3, "ended": 4, "done": "x", "at": None},
        {"run": {"ours": 1, "since": "x"}},
        {"run": {"ours": True, "since": 0, "waited": float("nan"), "ran": 0}},
    ],
)
def test_what_was_kept_and_makes_no_sense_is_as_nothing(kept: dict[str, object]) -> None:
    async def day() -> None:
        rig = Guarded()
        await rig.store.keep(SECTION, kept)
        async with rig.guarded() as guard:
            assert guard.values()["equalize_time_left"] is None
            assert guard.refusal(1) is None

    run_virtual(day())


def test_the_plant_alone_is_enough_to_make_it() -> None:
    async def day() -> None:
        rig = Rig()

        async def cancel(why: str) -> None:
            raise AssertionError

        async with rig.running() as plant:
            assert isinstance(plant, Plant)
            assert Equalize(plant, cancel).locked().startswith("equalize is locked")

    run_virtual(day())
