"""The output: from the site into the file, whatever happens to the disk, the cable or the daemon."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from heliobus.config.outputs import HistoryConfig
from heliobus.model.reading import Health, Reading, Reason
from heliobus.outputs.history import recording
from heliobus.outputs.history.every import parse
from heliobus.outputs.history.output import HistoryOutput
from heliobus.outputs.history.query import History
from heliobus.outputs.history.stored import Stored, open_for_reading
from heliobus.outputs.status import OutputStatus, Statuses
from heliobus.site import Site
from history_site import BEGIN, DAY, HOUR, OSLO, asked, device

PATIENCE = 20.0
RAW = parse("raw")
FAST = HistoryConfig(every=0.005, commit=0.01)
DAEMON = """
import asyncio, signal, sys
from pathlib import Path
from heliobus.config.outputs import HistoryConfig
from heliobus.model.reading import Reading
from heliobus.outputs.history.output import HistoryOutput
from heliobus.outputs.status import Statuses
from heliobus.site import Site
from history_site import BEGIN, OSLO, device
from test_history_output import HandClock

async def main() -> None:
    site = Site()
    site.introduce(device())
    config = HistoryConfig(every=0.001, commit=3600.0)
    output = HistoryOutput(config, Path(sys.argv[1]), HandClock(), lambda: OSLO, Statuses())
    work = asyncio.create_task(output.run(site))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    for index in range(50):
        site.put(Reading("roof", BEGIN + 10.0 * index, {"pv_power": float(index)}))
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.gather(work, return_exceptions=True)

asyncio.run(main())
"""


class HandClock:
    def __init__(self, now: float = BEGIN) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


class Stage:
    """A site with one charger, and its history."""

    def __init__(self, folder: Path, config: HistoryConfig = FAST) -> None:
        self.site = Site()
        self.clock = HandClock()
        self.statuses = Statuses()
        self.output = HistoryOutput(config, folder, self.clock, lambda: OSLO, self.statuses)
        self.path = config.path or folder / "history.db"
        self.site.introduce(device())
        self.task = asyncio.create_task(self.output.run(self.site))

    @property
    def status(self) -> OutputStatus:
        return next(iter(self.statuses))

    async def say(self, time: float, **values: float | str | None) -> None:
        """A reading that has been looked at."""
        before = self.status.sent + self.status.waiting + self.status.dropped
        self.clock.now = time
        self.site.put(Reading("roof", time, values))
        await until(lambda: self.status.sent + self.status.waiting + self.status.dropped > before)

    async def committed(self) -> None:
        await until(lambda: self.status.waiting == 0)

    async def stop(self) -> None:
        """As impatient as the daemon, which cancels what it has cancelled."""
        for _ in range(4):
            self.task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(self.task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def stage(folder: Path, config: HistoryConfig = FAST) -> AsyncIterator[Stage]:
    made = Stage(folder, config)
    try:
        yield made
    finally:
        await made.stop()


def values(path: Path) -> dict[float, object]:
    rows = asked(path, "pv_power", BEGIN - DAY, BEGIN + 10 * DAY, every=RAW)
    return {row.time / 1000 - BEGIN: row.mean for row in rows}


async def test_readings_become_history(tmp_path: Path) -> None:
    async with stage(tmp_path) as made:
        for index in range(20):
            await made.say(BEGIN + 10 * index, pv_power=float(index), fault_text="" if index < 10 else "fan failed")
        await made.committed()
        assert made.status.sent == 20 and made.status.last_success is not None
        assert values(made.path) == {10.0 * index: float(index) for index in range(20)}
    with History(made.path) as history:
        assert [
            text for _, text in history.texts(history.device("roof"), ["fault_text"], BEGIN, BEGIN + DAY)["fault_text"]
        ]


async def test_a_pulled_cable_is_a_gap_and_no_old_value_comes_back(tmp_path: Path) -> None:
    async with stage(tmp_path) as made:
        for index in range(30):
            await made.say(BEGIN + 10 * index, pv_power=700.0)
        # What the site says of a device that does not answer any more.
        made.clock.now = BEGIN + 310
        last = BEGIN + 290.0
        made.site.put(Reading("roof", last, {"pv_power": None}, {"pv_power": Reason.OFFLINE}, Health.OFFLINE))
        await asyncio.sleep(0.05)
    async with stage(tmp_path) as made:
        # Nothing has been read since the restart.
        await asyncio.sleep(0.05)
        assert made.status.sent == made.status.waiting == 0
        for index in range(90, 120):
            await made.say(BEGIN + 10 * index, pv_power=5.0)
        await made.committed()
    for step, width in (("raw", 10), ("1m", 60)):
        rows = asked(made.path, "pv_power", BEGIN, BEGIN + HOUR, every=parse(step))
        (gap,) = [row for row in rows if not row.samples]
        assert (gap.mean, gap.minimum, gap.maximum, gap.last) == (None, None, None, None)
        assert BEGIN + 290 < gap.time / 1000 <= BEGIN + 290 + width
        assert not [row for row in rows if gap.time < row.time < 1000 * (BEGIN + 900)]


async def test_on_sigterm_all_is_committed(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        DAEMON,
        str(tmp_path),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        assert await process.stdout.readline() == b"ready\n"
        with History(tmp_path / "history.db") as history:
            assert not history.devices()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    found = values(tmp_path / "history.db")
    assert len(found) >= 25 and max(found) == 490.0


async def test_the_last_commit_is_made_though_it_is_cancelled_again_and_again(tmp_path: Path) -> None:
    async with stage(tmp_path, HistoryConfig(every=0.005, commit=3600.0)) as made:
        for index in range(10):
            await made.say(BEGIN + 10 * index, pv_power=float(index))
        assert made.status.waiting >= 9
    assert made.task.cancelled() and made.status.waiting == 0
    assert max(values(made.path)) == 90.0


async def test_without_sqlite_there_is_one_line_and_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.startswith("heliobus.outputs.history.") or "sqlite3" in name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    async with asyncio.timeout(PATIENCE):
        await HistoryOutput(FAST, tmp_path, HandClock(), lambda: OSLO, Statuses()).run(Site())
    assert [record.getMessage() for record in caplog.records] == [
        "history: this Python has no sqlite3, so no history is kept; remove [output.history]"
    ]
    assert not list(tmp_path.iterdir())


def test_the_output_is_imported_without_sqlite() -> None:
    code = "import sys; import heliobus.outputs.history.output; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_a_file_that_is_not_ours_ends_the_output_with_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(tmp_path / "history.db")) as connection:
        connection.execute("CREATE TABLE states(id)")
    made = Stage(tmp_path)
    async with asyncio.timeout(PATIENCE):
        await made.task
    assert "another program" in made.status.last_error
    assert len(caplog.records) == 1


async def test_a_disk_that_fails_is_said_once_and_what_waits_is_written_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "away"
    folder.write_text("a file where the directory should be")
    caplog.set_level(logging.INFO)
    async with stage(tmp_path, HistoryConfig(path=folder / "h.db", every=0.005, commit=0.01)) as made:
        for index in range(20):
            await made.say(BEGIN + 10 * index, pv_power=float(index))
        await until(lambda: made.status.errors > 3)
        assert made.status.waiting == 20 and made.status.oldest == BEGIN and "away" in made.status.last_error
        folder.unlink()
        await until(lambda: "is written again" in caplog.text)
        assert len(values(made.path)) == 20 and made.status.last_error == ""
    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if "cannot be written" in text and "Errno" not in text]) == 1
    assert len([text for text in said if "written again" in text]) == 1


async def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_WAITING", 10)
    folder = tmp_path / "away"
    folder.write_text("")
    async with stage(tmp_path, HistoryConfig(path=folder / "h.db", every=0.005, commit=0.01)) as made:
        for index in range(25):
            await made.say(BEGIN + 10 * index, pv_power=float(index))
        assert made.status.waiting == 10 and made.status.dropped >= 15
        folder.unlink()
        await made.committed()
        assert max(values(made.path)) == 240.0


async def test_devices_of_a_site_are_kept_apart(tmp_path: Path) -> None:
    async with stage(tmp_path) as made:
        made.site.introduce(device("shed", key="tristar_2"))
        made.site.put(Reading("shed", BEGIN + 1.0, {"pv_power": 2.0}))
        await made.say(BEGIN + 2, pv_power=1.0)
        await until(lambda: made.status.sent == 2)
    connection = open_for_reading(made.path)
    try:
        stored = Stored(connection)
        found = {
            each.key: stored.samples(each, each.series["pv_power"], 0, 1000 * (BEGIN + DAY))
            for each in stored.devices()
        }
    finally:
        connection.close()
    assert {key: [value for _, value in each] for key, each in found.items()} == {
        "tristar_1": [1.0],
        "tristar_2": [2.0],
    }
