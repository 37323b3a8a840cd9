"""Seven days without the databases, with kills, a full disk and a power cut: all that was kept arrives, and once.

What a power cut may take is exact: the records that were kept after the beginning of the last fsync that was completed.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from databases import InfluxDatabase, VictoriaMetrics, influxdb, victoria_metrics
from outbox_process import DEVICES, NAMES, START, WEEK, Task, moment

PROCESS = Path(__file__).with_name("outbox_process.py")
KILLS_OFFLINE, KILLS_ONLINE = 7, 3
PATIENCE = 30.0
SECONDS_TO_LIVE = 5.0
Note = dict[str, Any]


class Story:
    """The process, started and killed, and its journal."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        self.state = folder / "state"
        self._path = folder / "journal"
        self._path.touch()
        self._journal = self._path.open()
        self._begun = ""
        self._notes: list[Note] = []
        self._urls = urls
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = (folder / "errors").open("w+b")
        self.kills = 0
        self.lost: dict[str, set[int]] = {name: set() for name in NAMES}

    def notes(self) -> list[Note]:
        """All of the journal."""
        # The last line may be on its way.
        *lines, self._begun = (self._begun + self._journal.read()).split("\n")
        self._notes += map(json.loads, lines)
        return self._notes

    def of(self, name: str, what: str) -> Iterator[Note]:
        """What the journal says of one output."""
        return (note for note in self.notes() if note["what"] == what and note["output"] == name)

    def kept(self, name: str) -> list[int]:
        """What the outbox has taken, in order."""
        return [time for note in self.of(name, "kept") for time in note["times"]]

    def step(self) -> int:
        """The last step of which anything may be on disk, whether or not that could still be noted."""
        given = (time for name in NAMES for note in self.of(name, "putting") for time in note["times"])
        last = max(given, default=1000 * START) // 1000
        return next(step for step in range(1 << 20) if moment(step + 1) > last)

    async def start(self, **more: int) -> None:
        """Go on where the process was; returns when its outputs run."""
        self._process = self._spawn(self.step() + 1, more)
        pid = self._process.pid
        await self.until(lambda notes: any(note["what"] == "ready" and note["pid"] == pid for note in notes))

    def _spawn(self, step: int, more: dict[str, int]) -> subprocess.Popen[bytes]:
        task = Task(str(self.state), str(self._path), self._urls, step, **more)
        return subprocess.Popen([sys.executable, str(PROCESS), json.dumps(asdict(task))], stderr=self._errors)

    async def until(self, happened: Callable[[list[Note]], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not happened(self.notes()):
                assert self._process is None or self._process.poll() is None, self.errors()
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """Blocks."""
        assert self._process is not None
        assert self._process.poll() is None, self.errors()
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self.kills += 1

    def cut_power(self) -> None:
        """What was not yet on disk for certain is gone. Blocks."""
        self.kill()
        notes = self.notes()
        for name in NAMES:
            begun = durable = -1
            files: dict[int, int] = {}
            for index, note in enumerate(notes):
                if note.get("output") != name:
                    continue
                if note["what"] == "syncing":
                    begun = index
                elif note["what"] == "synced":
                    durable = begun
                    files |= {int(inode): size for inode, size in note["files"].items()}
            for path in (self.state / "outbox" / name).iterdir():
                status = path.stat()
                if status.st_ino not in files:
                    path.unlink()
                else:
                    os.truncate(path, min(status.st_size, files[status.st_ino]))
            assert durable > 0
            later = (note for note in notes[durable:] if note["what"] == "kept" and note["output"] == name)
            self.lost[name] |= {time for note in later for time in note["times"]}

    def errors(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode()[-5000:]

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        self._journal.close()


def reached(step: int) -> Callable[[list[Note]], bool]:
    return lambda notes: any(note["what"] == "waiting" and note["step"] >= step for note in reversed(notes))


async def away(story: Story, chance: random.Random) -> None:
    """Seven days without databases: kills, a full disk, a power cut."""
    await story.start()
    for kill in range(KILLS_OFFLINE):
        await asyncio.sleep(chance.uniform(0.1, 0.9))
        if kill == KILLS_OFFLINE // 2:
            await story.until(
                lambda notes: {note["output"] for note in notes if note["what"] == "synced"} == set(NAMES)
            )
            story.cut_power()
        else:
            story.kill()
        await story.start()
    story.kill()
    full_at = story.step() + 20
    await story.start(full_at=full_at, full=60)
    await story.until(lambda notes: any(note["what"] == "room" for note in notes))
    # From here to the end of the week nobody disturbs it, so what waited in memory gets to the disk.
    await story.until(reached(WEEK))


async def back(story: Story, chance: random.Random) -> None:
    """The databases are there again; returns when nothing but the last moment waits."""
    for _ in range(KILLS_ONLINE - 1):
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        story.kill()
        await story.start()

    def caught_up(notes: list[Note]) -> bool:
        newest = {note["output"]: note["count"] for note in notes[-40:] if note["what"] == "waiting"}
        return len(newest) == len(NAMES) and all(count <= DEVICES for count in newest.values())

    await story.until(caught_up)
    story.kill()


@pytest.mark.slow
async def test_seven_days_offline_with_a_power_cut_in_the_middle(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    async with influxdb(tmp_path / "i") as influx, victoria_metrics(tmp_path / "v") as victoria:
        influx.stop()
        victoria.stop()
        story = Story(tmp_path, [influx.url, victoria.url])
        with ExitStack() as ending:
            ending.callback(story.close)
            await away(story, chance)
            offline = set(story.kept(NAMES[0]))
            assert not any(any(story.of(name, "sent")) for name in NAMES)
            await influx.start()
            await victoria.start()
            await back(story, chance)
            assert story.kills == KILLS_OFFLINE + 1 + KILLS_ONLINE
            assert len(offline) > DEVICES * WEEK * 0.9
            await everything_has_arrived_once(story, influx, victoria)
            for name in NAMES:
                backlog_in_order_and_live_first(story, name)


async def everything_has_arrived_once(story: Story, influx: InfluxDatabase, victoria: VictoriaMetrics) -> None:
    rows = await influx.rows("solar_charger")
    stored = {
        "influx": sorted((row["time"], row["device"]) for row in rows),
        "victoria": sorted(
            (time, labels["device"])
            for labels, samples in await victoria.export('{__name__="solar_charger_pv_power"}')
            for time, _ in samples
        ),
    }
    for name in NAMES:
        times = [time for time, _ in stored[name]]
        kept = set(story.kept(name))
        assert len(times) == len(set(times)), "stored twice"
        assert all(device == f"tracer_{time % 1000}" for time, device in stored[name])
        # A record that was killed between the disk and the journal may arrive without having been noted.
        assert kept - set(times) <= story.lost[name]
        assert len(set(times) - kept) <= DEVICES * (story.kills + 1)
    for row in rows:
        assert row["battery_voltage"] == 27.31 and row["fault_text"] == ""
        assert moment(int(row["pv_power"])) == row["time"] // 1000


def backlog_in_order_and_live_first(story: Story, name: str) -> None:
    sent = [(note["at"], note["times"]) for note in story.of(name, "sent")]
    delivered: dict[int, None] = {}
    for _, times in sent:
        assert times == sorted(times)
        delivered |= dict.fromkeys(times)
    week = [time for time in delivered if time < 1000 * moment(WEEK)]
    assert week == sorted(week)
    # What was measured after the databases came back did not wait for the week before it.
    began = sent[0][0]
    live = next(at for at, times in sent if times[-1] >= 1000 * moment(WEEK))
    assert live - began <= SECONDS_TO_LIVE
    assert live < next(at for at, times in sent if week[-1] in times)
