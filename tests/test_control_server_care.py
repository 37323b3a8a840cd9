"""The nightly restart of a charger's network server, and that of one that hangs, in virtual time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import control_stage
from control_stage import OPTIONS, Rig
from heliobus.control.plant import Plant
from heliobus.control.server_care import SECTION, ServerCare, due_night, to_full_hour
from heliobus.control.store import StoreError
from heliobus.devices.morningstar.writes import SERVER_RESET
from heliobus.devices.terminal import TerminalError
from heliobus.model.control_options import ControlOptions, ServerOptions
from heliobus.model.localtime import LocalTime, local_time
from heliobus.sim.http_cgi import HttpServer, serve_http
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import run_virtual

PRESS = (5, 0x10FF, 0xFF00)
HTTP_PRESS = (1, bytes((5, 0x10, 0xFF, 0xFF, 0)))
OSLO = local_time("Europe/Oslo")
CLOSED_PORT = 1
NIGHTS = ServerOptions(3, reset_when_hung=False)


@pytest.fixture(autouse=True)
def nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Days pass faster when the charger is not read every 5 s."""
    monkeypatch.setattr(control_stage, "WATCHED", frozenset())


def utc(*when: int) -> float:
    return datetime(*when, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


class CareRig(Rig):
    """A rig whose site has a time zone, and whose charger's time need not pass."""

    local: LocalTime = staticmethod(OSLO)  # type: ignore[assignment]

    def __init__(
        self,
        folder: Path | None,
        server: ServerOptions,
        start: float,
        charger: SimTriStar | None = None,
        period: float = 900.0,
    ) -> None:
        super().__init__(folder, replace(OPTIONS, server=server), charger, period, start)

    @asynccontextmanager
    async def cared(self) -> AsyncIterator[tuple[Plant, ServerCare]]:
        async with self.running() as plant:
            plant.local = lambda: self.local

            async def press(origin: str) -> bool:
                try:
                    await plant.terminal.write_coil(SERVER_RESET, True)
                except TerminalError as error:
                    return error.sent
                return True

            care = ServerCare(plant, press, unit=1)
            task = asyncio.create_task(care.run())
            try:
                yield plant, care
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def presses(self) -> int:
        return self.writes().count(PRESS)


async def until(rig: Rig, moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - rig.clock.time()))


def restarts_in(zone: str, hour: int, start: float, hours: int) -> list[datetime]:
    """The moments at which a restart is due for the first time of a night, looking every five minutes."""
    local = local_time(zone)
    nights: dict[str, datetime] = {}
    for step in range(hours * 12):
        moment = start + 300 * step
        night = due_night(moment, local, hour)
        if night is not None:
            nights.setdefault(night, datetime.fromtimestamp(moment, UTC))
    return list(nights.values())


@pytest.mark.parametrize(
    ("zone", "month", "day"),
    [
        ("Europe/Oslo", 3, 28),
        ("Europe/Oslo", 10, 24),
        ("Australia/Lord_Howe", 4, 3),
        ("Australia/Lord_Howe", 10, 2),
        ("Asia/Beirut", 3, 27),
        ("Asia/Beirut", 10, 23),
        ("America/Havana", 3, 6),
        ("America/Havana", 10, 30),
        ("UTC", 12, 31),
    ],
)
def test_every_local_day_has_one_window_also_when_the_clock_is_changed(zone: str, month: int, day: int) -> None:
    local = local_time(zone)
    start = utc(2026, month, day)
    for hour in range(24):
        found = [local(moment.timestamp()) for moment in restarts_in(zone, hour, start, 4 * 24)]
        for ahead in range(1, 4):
            date = local(start).date() + timedelta(ahead)
            moments = [moment for moment in found if moment.date() == date]
            assert len(moments) == 1, (hour, date, moments)
            assert moments[0].hour in (hour, hour + 1)


def test_the_hour_that_is_skipped_and_the_one_that_comes_twice() -> None:
    assert restarts_in("Europe/Oslo", 2, utc(2026, 3, 28, 12), 24) == [datetime(2026, 3, 29, 1, tzinfo=UTC)]
    assert restarts_in("Europe/Oslo", 2, utc(2026, 10, 24, 12), 24) == [datetime(2026, 10, 25, 0, tzinfo=UTC)]
    assert restarts_in("Europe/Oslo", 3, utc(2026, 10, 24, 12), 24) == [datetime(2026, 10, 25, 2, tzinfo=UTC)]


def test_the_window_is_five_minutes_long_and_minus_one_means_never() -> None:
    start = utc(2026, 6, 2, 1)
    assert due_night(start - 1, OSLO, 3) is None
    assert due_night(start, OSLO, 3) == due_night(start + 299, OSLO, 3) == "2026-06-02"
    assert due_night(start + 300, OSLO, 3) is None
    assert all(due_night(start + 60 * minute, OSLO, -1) is None for minute in range(1440))


def test_the_time_to_the_full_hour_is_by_the_local_clock() -> None:
    assert to_full_hour(utc(2026, 6, 2, 1, 59, 30), OSLO) == 30.0
    assert to_full_hour(utc(2026, 6, 2, 1, 59, 30), local_time("Asia/Kolkata")) == 1830.0


@pytest.mark.parametrize("change", [(2026, 3, 28, 12), (2026, 10, 24, 12), (2026, 6, 1, 12)])
@pytest.mark.parametrize("hour", [2, 3])
def test_once_a_night_over_three_days(change: tuple[int, ...], hour: int) -> None:
    async def nights() -> tuple[int, dict[str, object], int]:
        rig = CareRig(None, ServerOptions(hour, False), utc(*change))
        async with rig.cared() as (_, care):
            await asyncio.sleep(3 * 86400)
            return rig.presses(), dict(care.values()), rig.changes

    presses, values, changes = run_virtual(nights())
    assert presses == 3
    assert values == {"server_resets": 3}
    assert changes == 3


def test_the_restart_comes_with_the_full_hour() -> None:
    async def night() -> float:
        rig = CareRig(None, NIGHTS, utc(2026, 6, 1, 22, 17))
        async with rig.cared():
            while not rig.presses():
                await asyncio.sleep(1)
            return rig.clock.time()

    assert run_virtual(night()) - utc(2026, 6, 2, 1) < 5


def test_off_means_never() -> None:
    async def nights() -> int:
        rig = CareRig(None, ServerOptions(-1, False), utc(2026, 6, 1, 12))
        async with rig.cared():
            await asyncio.sleep(2 * 86400)
        return rig.presses()

    assert run_virtual(nights()) == 0


def test_a_restart_of_the_daemon_within_the_window_does_not_repeat_it_but_one_before_does_not_lose_it(
    tmp_path: Path,
) -> None:
    async def start_at(minute: float, seconds: float) -> tuple[int, int]:
        rig = CareRig(tmp_path, NIGHTS, utc(2026, 6, 2, 1) + 60 * minute)
        async with rig.cared() as (_, care):
            await asyncio.sleep(seconds)
            return rig.presses(), int(care.values()["server_resets"] or 0)

    assert run_virtual(start_at(-10, 300)) == (0, 0)
    assert run_virtual(start_at(2, 30)) == (1, 1), "a start within the window still does it"
    assert run_virtual(start_at(3, 600)) == (0, 1), "once a night"
    assert run_virtual(start_at(24 * 60 - 1, 300)) == (1, 2), "and in the next again"


def test_it_is_on_disk_before_it_is_sent(tmp_path: Path) -> None:
    class CrashError(Exception):
        pass

    async def crash() -> None:
        rig = CareRig(tmp_path, NIGHTS, utc(2026, 6, 2, 1, 1))
        async with rig.running() as plant:
            plant.local = lambda: OSLO

            async def press(origin: str) -> bool:
                raise CrashError

            await ServerCare(plant, press, unit=1).run()

    with pytest.raises(CrashError):
        run_virtual(crash())

    async def again() -> int:
        rig = CareRig(tmp_path, NIGHTS, utc(2026, 6, 2, 1, 2))
        async with rig.cared():
            await asyncio.sleep(600)
        return rig.presses()

    assert run_virtual(again()) == 0


def test_what_cannot_be_remembered_is_not_done(caplog: pytest.LogCaptureFixture) -> None:
    async def night() -> int:
        rig = CareRig(None, NIGHTS, utc(2026, 6, 2, 0, 59))

        async def keep(name: str, section: object) -> None:
            raise StoreError("disk full")

        rig.store.keep = keep  # type: ignore[method-assign]
        async with rig.cared():
            await asyncio.sleep(600)
        return rig.presses()

    assert run_virtual(night()) == 0
    assert [record.message for record in caplog.records if "disk full" in record.message] == [
        "roof: the nightly restart of the network server is left out: disk full"
    ]


@pytest.mark.parametrize(("held", "presses"), [(120, 1), (600, 0)])
def test_it_waits_while_settings_are_written_but_not_beyond_the_window(held: float, presses: int) -> None:
    async def night() -> int:
        rig = CareRig(None, NIGHTS, utc(2026, 6, 2, 0, 59))
        async with rig.cared() as (plant, _):
            async with plant.busy:
                await until(rig, utc(2026, 6, 2, 1) + held)
                assert rig.presses() == 0
            await asyncio.sleep(600)
        return rig.presses()

    assert run_virtual(night()) == presses


def test_a_charger_without_a_server_and_one_that_is_blocked_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def night(charger: SimTriStar, host: str | None) -> int:
        rig = CareRig(None, NIGHTS, utc(2026, 6, 2, 0, 59), charger)
        async with rig.running() as plant:
            plant.local, plant.host = (lambda: OSLO), host

            async def press(origin: str) -> bool:
                raise AssertionError

            task = asyncio.create_task(ServerCare(plant, press, unit=1).run())
            await asyncio.sleep(2 * 86400)
            if task.done():
                task.result()
            task.cancel()
        return rig.presses()

    assert run_virtual(night(SimTriStar(), None)) == 0
    with caplog.at_level(logging.INFO):
        assert run_virtual(night(SimTriStar(network_writes=False), "127.0.0.1")) == 0
    assert len([record for record in caplog.records if "switch 8" in record.message]) == 1


# A server that hangs


def hung(
    scene: Callable[[CareRig, Plant, HttpServer], Coroutine[Any, Any, None]],
    server: ServerOptions | None = None,
    *,
    folder: Path | None = None,
    heals: bool = True,
    charger: SimTriStar | None = None,
    start: float = utc(2026, 6, 1, 12),
) -> CareRig:
    """Play a scene with a charger whose Modbus server hangs from the start of it, its web server being there."""

    async def play() -> CareRig:
        rig = CareRig(folder, server or ServerOptions(-1), start, charger, 30.0)

        def restarted() -> None:
            rig.link.paused = not heals

        async with serve_http({1: rig.charger}, restarted=restarted) as web:
            options = replace(rig.options, server=replace(rig.options.server, http_port=web.port))
            async with rig.cared() as (plant, _):
                plant.options = options
                rig.link.paused = True
                await scene(rig, plant, web)
        return rig

    return run_virtual(play())


def pressed(web: HttpServer) -> int:
    return web.requests.count(HTTP_PRESS)


def test_a_server_that_hangs_is_restarted_and_answers_again(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        began = rig.clock.time()
        while not pressed(web):
            await asyncio.sleep(5)
        assert rig.clock.time() - began < 240
        await asyncio.sleep(180)
        assert plant.answers
        await asyncio.sleep(2 * 86400)
        assert pressed(web) == 1
        assert set(web.requests) == {HTTP_PRESS, (1, bytes((4, 0, 0x32, 0, 1)))}, "nothing else ever goes by HTTP"

    rig = hung(scene)
    assert rig.presses() == 0
    assert rig.store.section(SECTION)["resets"] == 1
    assert [record.message for record in caplog.records if "hangs" in record.message] != []


def test_a_server_that_stays_hung_is_restarted_once_an_hour_also_over_restarts_of_the_daemon(tmp_path: Path) -> None:
    moments: list[float] = []

    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        for _ in range(4 * 360):
            before = pressed(web)
            await asyncio.sleep(10)
            moments.extend([rig.clock.time()] * (pressed(web) - before))
            # The charger's own time passes only while somebody talks to it.
            rig.charger.advance(10)

    hung(scene, folder=tmp_path, heals=False)
    hung(scene, folder=tmp_path, heals=False, start=moments[-1] + 60)
    assert len(moments) in (7, 8)
    assert all(3600 <= later - earlier < 4300 for earlier, later in pairwise(moments))


def test_without_http_nothing_is_done_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        web.silent = True
        await asyncio.sleep(7200)
        plant.options = replace(plant.options, server=replace(plant.options.server, http_port=CLOSED_PORT))
        await asyncio.sleep(7200)
        assert web.requests == []

    rig = hung(scene)
    assert rig.writes() == []
    assert len([record for record in caplog.records if "neither by Modbus nor by HTTP" in record.message]) == 1


def test_a_charger_that_came_back_unnoticed_is_not_restarted() -> None:
    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        web.silent = True
        await asyncio.sleep(1800)
        rig.link.paused, web.silent = False, False
        await asyncio.sleep(1800)
        assert plant.answers
        assert pressed(web) == 0

    hung(scene)


def test_a_charger_whose_modbus_is_back_when_http_is_asked_is_not_restarted() -> None:
    class Back(list[tuple[int, bytes]]):
        """The power is back the moment the web server is asked, long before the poller looks again."""

        def append(self, request: tuple[int, bytes]) -> None:
            super().append(request)
            rigs[0].link.paused = False

    rigs: list[CareRig] = []

    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        rigs.append(rig)
        web.requests = Back()
        while not web.requests:
            await asyncio.sleep(0.1)
        assert not plant.answers
        await asyncio.sleep(300)
        assert plant.answers
        assert pressed(web) == 0

    hung(scene)


def test_the_owner_may_forbid_it() -> None:
    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        await asyncio.sleep(7200)
        assert web.requests == []

    hung(scene, ServerOptions(-1, reset_when_hung=False))


def test_a_blocked_charger_says_so_once_and_is_asked_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        await asyncio.sleep(3000)
        assert pressed(web) == 1

    rig = hung(scene, charger=SimTriStar(network_writes=False))
    assert rig.store.section(SECTION)["resets"] == 0
    said = [record.message for record in caplog.records if record.name == "heliobus.control"]
    assert len(said) == 1
    assert "cannot be restarted" in said[0]
    assert "switch 8" in said[0]


def test_while_settings_are_written_it_waits_longer_but_not_for_ever() -> None:
    async def scene(rig: CareRig, plant: Plant, web: HttpServer) -> None:
        async with plant.busy:
            await asyncio.sleep(300)
            assert pressed(web) == 0
            await asyncio.sleep(900)
            assert pressed(web) == 1

    hung(scene)


def test_another_web_server_at_the_same_address_is_left_alone() -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        asked.append(request.split()[1])
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n<html>gateway</html>")
        writer.close()
        await writer.wait_closed()

    asked: list[bytes] = []

    async def play() -> None:
        listener = await asyncio.start_server(stranger, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        rig = CareRig(None, ServerOptions(-1, http_port=port), utc(2026, 6, 1, 12), period=30.0)
        async with rig.cared():
            rig.link.paused = True
            await asyncio.sleep(7200)
        listener.close()
        await listener.wait_closed()

    run_virtual(play())
    assert asked
    assert all(b"F=4" in path for path in asked)


@pytest.mark.parametrize("kept", [{"night": 3, "restarted_at": "x", "resets": None}, {"resets": float("inf")}])
def test_what_was_kept_and_makes_no_sense_is_as_nothing(kept: dict[str, object]) -> None:
    async def look() -> object:
        rig = CareRig(None, ServerOptions(), utc(2026, 6, 1, 12))
        async with rig.running() as plant:
            await rig.store.keep(SECTION, kept)

            async def press(origin: str) -> bool:
                return True

            return ServerCare(plant, press, unit=1).values()["server_resets"]

    assert run_virtual(look()) == 0


def test_options_are_those_of_the_moment() -> None:
    async def night() -> int:
        rig = CareRig(None, ServerOptions(-1, False), utc(2026, 6, 1, 20))
        async with rig.cared() as (plant, _):
            await asyncio.sleep(3600)
            changed: ControlOptions = replace(plant.options, server=NIGHTS)
            plant.options = changed
            await asyncio.sleep(8 * 3600)
        return rig.presses()

    assert run_virtual(night()) == 1
