"""Rows by the day: nothing stale, nothing under a wrong header, nothing half, whatever clocks, cables and disks do."""

import asyncio
import csv
import errno
import json
import os
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from files_stage import OSLO, at_work, virtually
from heliobus.config.outputs import FilesConfig
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.outputs.files import line_file
from heliobus.outputs.files.daily import NAME, sweep
from heliobus.outputs.files.line_file import append
from heliobus.outputs.files.output import FilesOutput
from heliobus.outputs.status import OutputStatus, Statuses
from heliobus.sim.virtual_time import VirtualClock
from heliobus.site import Site
from shown_site import NOON, introduced, put, unplug

DAY = "2026-11-21"


def recording(
    site: Site,
    folder: Path,
    *,
    every: float = 60,
    formats: tuple[str, ...] = ("csv",),
    keep_days: int = 0,
    now: float = NOON,
) -> AbstractAsyncContextManager[OutputStatus]:
    return at_work(site, FilesConfig(folder, formats, every, keep_days), now)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def json_rows(path: Path) -> list[dict[str, Value]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def utc(*moment: int) -> float:
    return datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


async def measure(site: Site, device: Device, times: list[float], every: float = 60) -> None:
    """A new answer at each of `times`, one per row."""
    for number, time in enumerate(times):
        put(site, device, {"pv_power": float(number)}, time)
        await asyncio.sleep(every)


def test_a_pulled_cable_ends_the_rows(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        put(site, roof, {"pv_power": 10.0})
        async with recording(site, tmp_path, formats=("csv", "jsonl")) as status:
            await measure(site, roof, [NOON + 60])
            unplug(site, roof)
            await asyncio.sleep(3600)
            assert len(rows(tmp_path / f"roof-{DAY}.csv")) == 2
            assert len(json_rows(tmp_path / f"roof-{DAY}.jsonl")) == 2
            assert status.sent == 2
            # It answers again: rows go on, nothing is filled in.
            await measure(site, roof, [NOON + 4000])
        assert [row["time"][11:19] for row in rows(tmp_path / f"roof-{DAY}.csv")] == [
            "12:00:00",
            "12:01:00",
            "13:06:40",
        ]

    virtually(main)


def test_rows_hold_numbers_words_and_nothing_for_what_is_unknown(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        values: dict[str, Value] = {
            "battery_voltage": 26.4,
            "pv_power": 0.0,
            "charger_state": 3,
            "faults": 3,
            "fault_text": 'a "quoted",\nbroken text',
        }
        put(site, roof, values, NOON + 0.25)
        async with recording(site, tmp_path, formats=("csv", "jsonl")):
            pass
        [row] = rows(tmp_path / f"roof-{DAY}.csv")
        assert row["time"] == "2026-11-21T12:00:00.250+01:00"
        assert (row["battery_voltage"], row["pv_power"], row["pv_voltage"]) == ("26.4", "0.0", "")
        assert (row["charger_state"], row["charger_state_text"]) == ("3", "bulk")
        assert (row["mpp_mode"], row["mpp_mode_text"]) == ("", "")
        assert (row["faults"], row["faults_text"]) == ("3", "overcurrent, FETs shorted")
        assert row["fault_text"] == 'a "quoted", broken text'
        [document] = json_rows(tmp_path / f"roof-{DAY}.jsonl")
        assert list(document) == list(row)
        assert (document["battery_voltage"], document["pv_power"], document["pv_voltage"]) == (26.4, 0.0, None)
        assert (document["charger_state"], document["charger_state_text"]) == (3, "bulk")

    virtually(main)


def test_each_row_is_there_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        async with recording(site, tmp_path, every=1):
            for number in range(5):
                put(site, roof, {"pv_power": 1.0}, NOON + number)
                await asyncio.sleep(1)
                assert len(rows(tmp_path / f"roof-{DAY}.csv")) == number + 1

    virtually(main)


def test_after_a_restart_the_file_goes_on_without_a_second_header(tmp_path: Path) -> None:
    async def main() -> None:
        for number in range(3):
            site = Site()
            put(site, introduced(site), {"pv_power": float(number)}, NOON + number)
            async with recording(site, tmp_path):
                pass
        assert [row["pv_power"] for row in rows(tmp_path / f"roof-{DAY}.csv")] == ["0.0", "1.0", "2.0"]
        assert len(list(tmp_path.iterdir())) == 1

    virtually(main)


def test_a_day_ends_at_local_midnight(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        midnight = utc(2026, 11, 21, 23)
        async with recording(site, tmp_path):
            await measure(site, roof, [midnight - 60, midnight - 0.001, midnight, midnight + 60])
        assert [row["time"] for row in rows(tmp_path / "roof-2026-11-21.csv")] == [
            "2026-11-21T23:59:00.000+01:00",
            "2026-11-21T23:59:59.999+01:00",
        ]
        assert [row["pv_power"] for row in rows(tmp_path / "roof-2026-11-22.csv")] == ["2.0", "3.0"]

    virtually(main)


@pytest.mark.parametrize(
    ("noon", "hours", "offsets"),
    [((2026, 3, 29), 23, ("+01:00", "+02:00")), ((2026, 10, 25), 25, ("+02:00", "+01:00"))],
    ids=["spring", "autumn"],
)
def test_days_of_another_length_have_all_their_hours(
    tmp_path: Path, noon: tuple[int, int, int], hours: int, offsets: tuple[str, str]
) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        start = utc(*noon, 12) - 24 * 3600
        async with recording(site, tmp_path, every=3600):
            await measure(site, roof, [start + 3600 * number for number in range(48)], 3600)
        found = rows(tmp_path / f"roof-{date(*noon).isoformat()}.csv")
        assert len(found) == hours
        assert (found[0]["time"][-6:], found[-1]["time"][-6:]) == offsets
        assert len({row["time"] for row in found}) == hours

    virtually(main)


def test_a_clock_that_is_set_back_loses_no_row(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        tomorrow = NOON + 86_400
        async with recording(site, tmp_path):
            await measure(site, roof, [NOON, tomorrow, tomorrow + 60, NOON + 180, NOON + 240])
        assert [row["pv_power"] for row in rows(tmp_path / f"roof-{DAY}.csv")] == ["0.0", "3.0", "4.0"]
        assert [row["pv_power"] for row in rows(tmp_path / "roof-2026-11-22.csv")] == ["1.0", "2.0"]

    virtually(main)


def test_other_columns_get_another_part_and_old_ones_their_own_again(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        fewer = {name: point for name, point in roof.points.items() if name != "pv_voltage"}
        async with recording(site, tmp_path, formats=("csv", "jsonl")):
            await measure(site, roof, [NOON])
            changed = introduced(site, points=fewer)
            await measure(site, changed, [NOON + 60])
            back = introduced(site)
            await measure(site, back, [NOON + 120])
        whole, part = rows(tmp_path / f"roof-{DAY}.csv"), rows(tmp_path / f"roof-{DAY}.2.csv")
        assert [row["time"][14:19] for row in whole] == ["00:00", "02:00"] and "pv_voltage" in whole[0]
        assert [row["time"][14:19] for row in part] == ["01:00"] and "pv_voltage" not in part[0]
        assert len(json_rows(tmp_path / f"roof-{DAY}.jsonl")) == 3

    virtually(main)


HEADER = b"time,a\n"
FIRST, SECOND = b"1,2\n", b"3,4\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", HEADER + SECOND),
        (b"ti", HEADER + SECOND),
        (b"\0" * 4096, HEADER + SECOND),
        (HEADER, HEADER + SECOND),
        (HEADER + FIRST, HEADER + FIRST + SECOND),
        (HEADER + FIRST + b"3,", HEADER + FIRST + SECOND),
        (HEADER + FIRST + b"\0" * 200_000, HEADER + FIRST + SECOND),
        (HEADER + FIRST + b"3," + b"\0" * 100, HEADER + FIRST + SECOND),
    ],
    ids=["new", "half header", "zeros", "header", "whole", "half row", "row and zeros", "half row and zeros"],
)
def test_what_a_power_cut_left_is_repaired(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "roof.csv"
    path.write_bytes(before)
    note = append(path, HEADER, SECOND)
    assert path.read_bytes() == after
    assert bool(note) == (before not in (b"", HEADER, HEADER + FIRST))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12))
def test_cut_anywhere_any_number_of_times_it_holds_whole_rows_only(tmp_path: Path, cuts: list[int]) -> None:
    path = tmp_path / "cut.csv"
    path.unlink(missing_ok=True)
    for number, cut in enumerate(cuts):
        append(path, HEADER, f"{number},{number}\n".encode())
        os.truncate(path, max(0, path.stat().st_size - cut))
    append(path, HEADER, b"99,99\n")
    found = path.read_bytes().splitlines(keepends=True)
    assert found[0] == HEADER and found[-1] == b"99,99\n"
    numbers = [line.split(b",") for line in found[1:]]
    assert all(line.endswith(b"\n") and len(set(line.strip().split(b","))) == 1 for line in found[1:])
    assert numbers == sorted(numbers, key=lambda each: int(each[0]))


def test_a_full_disk_is_said_once_and_rows_go_on_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    room = {"bytes": 10**9}
    write = os.pwrite

    def limited(descriptor: int, content: bytes, at: int) -> int:
        if room["bytes"] <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, content[: room["bytes"]], at)
        room["bytes"] -= written
        return written

    monkeypatch.setattr(line_file.os, "pwrite", limited)

    async def main() -> None:
        site = Site()
        roof = introduced(site)
        path = tmp_path / f"roof-{DAY}.csv"
        async with recording(site, tmp_path) as status:
            await measure(site, roof, [NOON])
            whole = path.read_bytes()
            room["bytes"] = 20
            await measure(site, roof, [NOON + 60])
            # Not even the part for which there was room.
            assert path.read_bytes() == whole
            await measure(site, roof, [NOON + 120, NOON + 180])
            assert path.read_bytes() == whole
            assert (status.sent, status.dropped, status.errors) == (1, 3, 3)
            assert "No space left" in status.last_error
            room["bytes"] = 10**9
            await measure(site, roof, [NOON + 240])
            assert (status.sent, status.last_error) == (2, "")
        assert [row["time"][14:19] for row in rows(path)] == ["00:00", "04:00"]

    virtually(main)
    said = [record.getMessage() for record in caplog.records if record.name == "heliobus.files"]
    assert len(said) == 2
    assert "cannot be written" in said[0] and "No space left" in said[0] and "can be written again" in said[1]


def test_one_file_that_fails_does_not_keep_the_others(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof, shed = introduced(site, key="tristar_1"), introduced(site, name="shed", key="tristar_2")
        (tmp_path / f"roof-{DAY}.csv").mkdir()
        for device in (roof, shed):
            put(site, device, {"pv_power": 1.0})
        async with recording(site, tmp_path) as status:
            assert (status.sent, status.dropped) == (1, 1)
        assert len(rows(tmp_path / f"shed-{DAY}.csv")) == 1

    virtually(main)


def test_only_old_files_of_ours_are_deleted(tmp_path: Path) -> None:
    today = date(2026, 11, 21)
    for ago in range(20):
        day = (today - timedelta(days=ago)).isoformat()
        (tmp_path / f"roof-{day}.csv").write_bytes(b"time,a\n")
        (tmp_path / f"roof-{day}.2.csv").write_bytes(b"time,b\n")
        (tmp_path / f"roof-{day}.jsonl").write_bytes(b'{"time":"x"}\n')
    others = {
        "notes-2001-01-01.csv": b"my own table\n",
        "roof-2001-01-01.txt": b"time,\n",
        "roof-2001-01-01.csv.bak": b"time,\n",
        "Roof-2001-01-01.csv": b"time,\n",
        "roof-2001-13-45.csv": b"time,\n",
    }
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "barn-2001-01-01.csv").mkdir()
    (tmp_path / "link-2001-01-01.csv").symlink_to(tmp_path / "roof-2026-11-21.csv")
    gone = sweep(tmp_path, today, 7)
    left = {path.name for path in tmp_path.iterdir()}
    assert {*others, "barn-2001-01-01.csv", "link-2001-01-01.csv"} <= left
    days = {match[2] for name in left if (match := NAME.fullmatch(name)) and match[1] == "roof"} - {"2001-13-45"}
    assert days == {(today - timedelta(days=ago)).isoformat() for ago in range(8)}
    assert len(gone) == 12 * 3


def test_a_clock_that_leaps_ahead_costs_no_record(tmp_path: Path) -> None:
    for day in range(1, 8):
        (tmp_path / f"roof-2026-11-{day:02}.csv").write_bytes(b"time,a\n")
    (tmp_path / "roof-2099-01-01.csv").write_bytes(b"time,a\n")
    gone = sweep(tmp_path, date(2099, 1, 1), 7)
    assert [path.name for path in gone] == ["roof-2026-11-01.csv"]


def test_files_are_swept_as_days_pass(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site)
        async with recording(site, tmp_path, every=21_600, keep_days=2):
            await measure(site, roof, [NOON + 21_600 * number for number in range(24)], 21_600)
        names = sorted(path.name for path in tmp_path.iterdir())
        assert names == [f"roof-2026-11-{day}.csv" for day in (25, 26, 27)]

    virtually(main)


def test_without_keep_days_nothing_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "roof-2001-01-01.csv").write_bytes(b"time,a\n")

    async def main() -> None:
        site = Site()
        put(site, introduced(site), {"pv_power": 1.0})
        async with recording(site, tmp_path):
            pass
        assert len(list(tmp_path.iterdir())) == 2

    virtually(main)


def test_a_disk_that_hangs_holds_nothing_else_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop goes on while the file system does not."""
    import threading

    hanging, begun = threading.Event(), threading.Event()

    def stuck(path: Path, header: bytes, line: bytes) -> str:
        begun.set()
        hanging.wait(10)
        return append(path, header, line)

    monkeypatch.setattr("heliobus.outputs.files.daily.append", stuck)

    async def main() -> None:
        site = Site()
        put(site, introduced(site), {"pv_power": 1.0})
        config = FilesConfig(tmp_path)
        task = asyncio.create_task(FilesOutput(config, VirtualClock(NOON), lambda: OSLO, Statuses()).run(site))
        async with asyncio.timeout(10):
            while not begun.is_set():
                await asyncio.sleep(0.01)
            # Here the thread is stuck, and others still run; so does the end.
            await asyncio.get_running_loop().run_in_executor(None, int)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        hanging.set()

    asyncio.run(main())


def test_a_clock_that_was_never_set_dates_no_row(tmp_path: Path) -> None:
    site = Site()

    async def main() -> None:
        device = introduced(site)
        put(site, device, {"pv_power": 1.0}, 86_400.0)
        async with recording(site, tmp_path, every=60, now=86_400.0) as status:
            await asyncio.sleep(61)
            assert status.dropped == 1
            put(site, device, {"pv_power": 2.0}, NOON)
            await asyncio.sleep(61)
            assert status.sent == 1

    virtually(main)
    [row] = rows(tmp_path / f"roof-{DAY}.csv")
    assert row["pv_power"] == "2.0"
