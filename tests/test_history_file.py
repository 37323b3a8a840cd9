"""The file of the history: killed writers, damage, other versions, age and size."""

import asyncio
import logging
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from heliobus.outputs.history import schema
from heliobus.outputs.history.database import UnusableFileError, open_for_writing
from heliobus.outputs.history.every import parse
from heliobus.outputs.history.query import History, NoHistoryError
from heliobus.outputs.history.retention import Limits, used
from heliobus.outputs.history.sound import examined
from history_site import BEGIN, DAY, HOUR, Diary, asked, device, sample

RAW, MINUTES, DAYS = parse("raw"), parse("1m"), parse("1d")

WRITER = """
import sys
from pathlib import Path
from history_site import BEGIN, Diary, sample
with Diary(Path(sys.argv[1])) as diary:
    first = int(sys.argv[2])
    for index in range(first, first + 100_000):
        diary.write([sample(BEGIN + 10 * index, pv_power=float(index), fault_text=str(index // 50))])
        print(index, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


def filled(path: Path, hours: int = 30) -> list[tuple[float, float]]:
    """A closed file with a value each 20 s, and what it holds."""
    chance = random.Random(hours)
    values = [(BEGIN + 20.0 * index, round(chance.uniform(0, 3000), 1)) for index in range(180 * hours)]
    with Diary(path) as diary:
        for index in range(0, len(values), 60):
            batch = values[index : index + 60]
            diary.write([sample(time, pv_power=value, charger_state=int(value) % 7) for time, value in batch])
        diary.write([sample(values[-1][0] + 20, fault_text="fan failed")])
    return values


def raw(path: Path) -> dict[float, float]:
    found = asked(path, "pv_power", BEGIN - DAY, BEGIN + 1000 * DAY, every=RAW)
    return {row.time / 1000: row.mean for row in found if row.mean is not None}


def minutes(path: Path) -> int:
    return sum(row.samples for row in asked(path, "pv_power", BEGIN - DAY, BEGIN + 1000 * DAY, every=MINUTES))


async def killed_at(path: Path, first: int, last: int) -> int:
    """A writer that is killed once it has said it committed `last`; what it said last."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WRITER,
        str(path),
        str(first),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert process.stdout is not None
    said = first
    async with asyncio.timeout(60):
        while said < last:
            said = int(await process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = await process.stdout.read()
        await process.wait()
    return max([said, *map(int, rest.split(b"\n")[:-1])])


async def test_what_was_committed_survives_kill_9(path: Path) -> None:
    chance = random.Random(5)
    first, said = 0, -1
    for _ in range(5):
        last = first + chance.randrange(100, 400)
        said = await killed_at(path, first, last)
        # The one after what it said may be committed, or not.
        found = raw(path)
        assert list(found.values()) == [float(index) for index in range(len(found))]
        assert said <= len(found) - 1 <= said + 1
        first = len(found)
        assert minutes(path) == len(found)
    assert examined(path).problems == ()
    with History(path) as history:
        texts = history.texts(history.devices()[0], ["fault_text"], BEGIN, BEGIN + DAY)["fault_text"]
    assert [text for _, text in texts] == [str(number) for number in range((first - 1) // 50 + 1)]


def damage(path: Path, kind: str, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if kind == "bits":
        for _ in range(5):
            content[chance.randrange(4096, len(content))] ^= 1 << chance.randrange(8)
    elif kind == "page":
        at = 4096 * chance.randrange(3, len(content) // 4096 - 1)
        content[at : at + 4096] = bytes(4096)
    elif kind == "cut":
        del content[len(content) * 2 // 3 // 4096 * 4096 + 100 :]
    elif kind == "head":
        content[:100] = bytes(100)
    else:
        content = bytearray(chance.randbytes(50_000))
    path.write_bytes(content)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["bits", "page", "cut", "head", "garbage"])
def test_a_damaged_file_is_kept_aside_and_what_can_be_read_is_saved(
    path: Path, caplog: pytest.LogCaptureFixture, kind: str, seed: int
) -> None:
    values = dict(filled(path))
    damage(path, kind, random.Random(seed))
    damaged = path.read_bytes()
    with Diary(path) as diary:
        after = BEGIN + 40 * HOUR
        diary.write([sample(after, pv_power=1.5)])
        found = raw(path)
        aside = [each for each in path.parent.iterdir() if ".damaged-" in each.name]
    assert found.pop(after) == 1.5
    # Never another value than was measured.
    assert found.items() <= values.items()
    # A bit in a block is noticed when that is read.
    assert all("damaged blocks" in problem for problem in examined(path).problems)
    if kind in ("cut", "head", "garbage"):
        assert len(aside) == 1
        said = [record.getMessage() for record in caplog.records]
        assert any("is damaged" in text and aside[0].name in text for text in said)
        assert kind == "cut" or aside[0].read_bytes() == damaged
    if kind in ("page", "bits"):
        assert len(found) > len(values) // 4
    if kind == "cut":
        assert found or minutes(path)


def test_flipped_bits_in_a_block_are_a_gap_and_no_value(path: Path) -> None:
    values = dict(filled(path, 6))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        number, block = connection.execute("SELECT id, block FROM raw ORDER BY length(block) DESC LIMIT 1").fetchone()
        touched = bytes((*block[:-3], block[-3] ^ 4, *block[-2:]))
        connection.execute("UPDATE raw SET block = ? WHERE id = ?", (touched, number))
    with History(path) as history:
        selection = history.select(history.devices()[0], ["pv_power"], BEGIN, BEGIN + DAY, every=RAW)
    found = {row.time / 1000: row.mean for row in selection.rows["pv_power"] if row.samples}
    assert selection.damaged and 0 < len(found) < len(values)
    assert found.items() <= values.items()
    assert "1 damaged blocks in the table raw" in examined(path).problems
    assert minutes(path) == len(values)


def test_a_recovery_that_was_cut_off_is_finished(path: Path) -> None:
    values = filled(path, 3)
    # The rescued file has its name, the damaged one is away, and then the power went.
    path.rename(path.with_name("history.db.rescued"))
    with Diary(path) as diary:
        diary.write([sample(BEGIN + DAY, pv_power=1.0)])
    assert raw(path).items() >= dict(values).items()
    # Cut off a moment earlier, the damaged file is still there, and is rescued again.
    path.with_name("history.db.rescued").write_bytes(b"half")
    open_for_writing(path, BEGIN).close()
    assert not path.with_name("history.db.rescued").exists()
    assert raw(path).items() >= dict(values).items()


def test_damage_while_it_runs_is_recovered_from(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Diary(path) as diary:
        for index in range(600):
            diary.write([sample(BEGIN + 20 * index, pv_power=float(index))])
        diary.writer.close()
        with path.open("r+b") as file:
            file.seek(4096 * 2)
            file.write(os.urandom(4096 * 4))
        diary.reopen()
        for index in range(600, 700):
            diary.write([sample(BEGIN + 20 * index, pv_power=float(index))])
    found = raw(path)
    assert all(value == (time - BEGIN) / 20 for time, value in found.items())
    assert max(found.values()) == 699.0


def test_a_file_of_a_newer_version_is_left_alone(path: Path) -> None:
    filled(path, 2)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
        connection.commit()
    before = path.read_bytes()
    with Diary(path) as diary, pytest.raises(UnusableFileError, match="a newer version of Heliobus wrote") as error:
        diary.write([sample(BEGIN, pv_power=1.0)])
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    with pytest.raises(NoHistoryError, match="a newer version"):
        History(path)


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE states(id)")
    before = path.read_bytes()
    with Diary(path) as diary, pytest.raises(UnusableFileError, match="another program"):
        diary.write([sample(BEGIN, pv_power=1.0)])
    assert path.read_bytes() == before
    with pytest.raises(NoHistoryError, match="it is no history"):
        History(path)


def test_there_is_one_writer(path: Path) -> None:
    with Diary(path) as one, Diary(path) as other:
        one.write([sample(BEGIN, pv_power=1.0)])
        with pytest.raises(UnusableFileError, match="another heliobus writes this file"):
            other.write([sample(BEGIN, pv_power=1.0)])
        one.writer.close()
        other.write([sample(BEGIN + 10, pv_power=2.0)])
    assert len(raw(path)) == 2


def test_an_error_while_writing_leaves_nothing_half_done(path: Path) -> None:
    with Diary(path) as diary:
        diary.write([sample(BEGIN, pv_power=1.0)])
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
            diary.writer._database.connection.execute("PRAGMA busy_timeout = 0")  # type: ignore[union-attr]
            other.execute("BEGIN IMMEDIATE")
            new = sample(BEGIN + 10, device("other", key="other_1"), pv_power=2.0)
            with pytest.raises(sqlite3.OperationalError):
                diary.writer.write([new], BEGIN + 10, diary.local)
            other.execute("ROLLBACK")
        diary.write([new])
    with History(path) as history:
        assert [each.key for each in history.devices()] == ["tristar_1", "other_1"]


def test_a_full_disk_loses_nothing_that_was_there(path: Path) -> None:
    with Diary(path) as diary:
        diary.write([sample(BEGIN + 10 * index, pv_power=float(index)) for index in range(1000)])
        connection = diary.writer._database.connection  # type: ignore[union-attr]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        more = [sample(BEGIN + 10 * index, pv_power=random.random()) for index in range(1000, 40_000)]
        with pytest.raises(sqlite3.OperationalError, match="full"):
            diary.write(more)
        connection.execute("PRAGMA max_page_count = 1000000")
        diary.write(more)
    assert len(raw(path)) == minutes(path) == 40_000


def ticks(begin: float, days: float, step: float) -> Iterator[tuple[float, float]]:
    for index in range(int(days * DAY / step)):
        yield begin + index * step, float(index % 313)


def test_what_is_old_goes_and_coarser_values_stay(path: Path) -> None:
    with Diary(path, Limits(raw_days=3, minute_days=8, quarter_days=0, most_bytes=10**12)) as diary:
        diary.record(ticks(BEGIN, 20, 300), commit=12)
    now = BEGIN + 20 * DAY
    first = {
        name: asked(path, "pv_power", BEGIN, now, every=parse(name))[0].time / 1000
        for name in ("raw", "1m", "15m", "1d")
    }
    assert first["15m"] == BEGIN // 900 * 900
    # A finer question about what is gone is answered by what is left.
    assert first["raw"] == first["1m"] == first["15m"]
    rows = asked(path, "pv_power", BEGIN, now, every=RAW)
    assert sum(row.samples for row in rows) == 20 * DAY // 300
    # Only a sample by itself has both a mean and a last value.
    single = next(row.time / 1000 for row in rows if row.mean == row.last)
    assert now - 3 * DAY - 2 * HOUR <= single <= now - 3 * DAY + HOUR
    with closing(sqlite3.connect(path)) as connection:
        oldest = {
            table: connection.execute(f"SELECT min(id) >> 20 FROM {table}").fetchone()[0] for table in ("raw", "minute")
        }
    assert abs(oldest["raw"] * HOUR - (now - 3 * DAY)) <= 2 * HOUR
    assert abs(oldest["minute"] * 6 * HOUR - (now - 8 * DAY)) <= 12 * HOUR


def test_quarters_and_days_go_too_if_that_is_wanted(path: Path) -> None:
    with Diary(path, Limits(2, 4, 30, 10**12)) as diary:
        diary.record(ticks(BEGIN, 200, 3600), commit=12)
    rows = asked(path, "pv_power", BEGIN, BEGIN + 200 * DAY, every=parse("15m"))
    now = BEGIN + 200 * DAY
    single = next(row for row in rows if row.samples == 1)
    assert 30 <= (now - single.time / 1000) / DAY <= 36
    days = asked(path, "pv_power", BEGIN, now, every=DAYS)
    assert 30 <= (now - days[0].time / 1000) / DAY <= 30 + 65
    assert rows[0] == days[0]


def test_a_wrong_clock_for_a_while_does_not_cost_the_history(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Diary(path, Limits(30, 60, 0, 10**12)) as diary:
        diary.record(ticks(BEGIN, 6, 60), commit=60)
        before = minutes(path)
        ahead = BEGIN + 10 * 365 * DAY
        diary.record([(ahead + 10 * index, 1.0) for index in range(60)])
        back = BEGIN + 6 * DAY
        diary.record([(back + 10 * index, 2.0) for index in range(400)])
    kept = raw(path)
    assert len([time for time in kept if time < back]) >= 5 * DAY // 60 - 60
    assert list(kept) == sorted(kept)
    assert len([time for time in kept if back <= time < back + 4000]) == 400
    assert minutes(path) >= before * 5 // 6


def test_a_wrong_clock_for_a_while_does_not_cost_the_texts(path: Path) -> None:
    begun = [(day, f"fault {day}") for day in range(6)]
    with Diary(path, Limits(30, 60, 0, 10**12)) as diary:
        for day, text in begun:
            diary.write([sample(BEGIN + day * DAY, fault_text=text)])
        diary.write([sample(BEGIN + 10 * 365 * DAY, fault_text="later")])
    with History(path) as history:
        (only,) = history.devices()
        found = history.texts(only, ["fault_text"], BEGIN, BEGIN + 7 * DAY)["fault_text"]
    assert found == [(1000 * (BEGIN + day * DAY), text) for day, text in begun[1:]]


def test_a_clock_that_was_set_back_counts_nothing_twice(path: Path) -> None:
    with Diary(path) as diary:
        diary.record([(BEGIN + 10 * index, 1.0) for index in range(720)])
        diary.record([(BEGIN + 3605 + 10 * index, 2.0) for index in range(720)])
    rows = asked(path, "pv_power", BEGIN, BEGIN + DAY, every=RAW)
    times = [row.time for row in rows]
    assert len(times) == 1440 and times == sorted(set(times))
    assert minutes(path) == 1440


def test_samples_of_a_clock_that_was_never_set_are_left_out(path: Path) -> None:
    with Diary(path) as diary:
        diary.write([sample(1000.0 + index, pv_power=1.0) for index in range(100)])
        diary.write([sample(BEGIN, pv_power=1.0)])
    assert list(raw(path)) == [BEGIN]


def test_late_values_of_a_time_whose_raw_values_are_gone_are_added(path: Path) -> None:
    with Diary(path, Limits(1, 60, 0, 10**12)) as diary:
        diary.record(ticks(BEGIN, 5, 300), commit=12)
        count = minutes(path)
        diary.write([sample(BEGIN + 3 + 300 * index, pv_power=9999.0) for index in range(20)], BEGIN + 5 * DAY)
    assert minutes(path) == count + 20
    assert asked(path, "pv_power", BEGIN, BEGIN + DAY, every=DAYS)[0].maximum == 9999.0


def test_the_size_is_bounded_and_raw_values_go_first(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(3)
    limits = Limits(36_500, 36_500, 0, 1_200_000)
    largest = 0
    with caplog.at_level(logging.WARNING), Diary(path, limits) as diary:
        for day in range(40):
            for hour in range(24):
                begin = BEGIN + day * DAY + hour * HOUR
                diary.write([sample(begin + 30 * index, pv_power=chance.random()) for index in range(120)])
                largest = max(largest, path.stat().st_size)
        connection = diary.writer._database.connection  # type: ignore[union-attr]
        assert used(connection) <= limits.most_bytes
    assert largest <= limits.most_bytes * 1.2
    said = [record.getMessage() for record in caplog.records]
    assert said and all("limit_mb" in text for text in said) and len(said) <= 40
    assert "raw values" in said[0]
    rows = asked(path, "pv_power", BEGIN, BEGIN + 40 * DAY, every=parse("15m"))
    assert sum(row.samples for row in rows) == 40 * 24 * 120


def test_a_lower_limit_makes_the_file_smaller(path: Path) -> None:
    filled(path, 300)
    size = path.stat().st_size
    with Diary(path, Limits(30, 730, 0, size // 2)) as diary:
        diary.write([sample(BEGIN + 400 * HOUR, pv_power=1.0)])
    assert path.stat().st_size <= size // 2


def test_names_change_and_the_history_goes_on(path: Path) -> None:
    with Diary(path) as diary:
        diary.write([sample(BEGIN, device("roof"), pv_power=1.0)])
        diary.write([sample(BEGIN + 10, device("attic", "Attic west"), pv_power=2.0)])
        diary.reopen()
        diary.write([sample(BEGIN + 20, device("attic", "Attic west"), pv_power=3.0)])
    with History(path) as history:
        (only,) = history.devices()
        assert (only.key, only.name, only.label) == ("tristar_1", "attic", "Attic west")
        assert all(history.device(name) == only for name in ("tristar_1", "attic", "Attic west", "ATTIC"))
    assert list(raw(path).values()) == [1.0, 2.0, 3.0]


def test_texts_are_written_down_when_they_change(path: Path) -> None:
    said = ["", "", "fan failed", "fan failed", None, "", ""]
    with Diary(path) as diary:
        for index, text in enumerate(said):
            clock = f"2026-10-26 08:00:{index:02}"
            diary.write([sample(BEGIN + 10 * index, pv_power=1.0, fault_text=text, device_clock=clock)])
            diary.reopen()
    with History(path) as history:
        (only,) = history.devices()
        assert "device_clock" not in only.series
        found = history.texts(only, ["fault_text"], BEGIN, BEGIN + DAY)["fault_text"]
        later = history.texts(only, ["fault_text"], BEGIN + 35, BEGIN + DAY)["fault_text"]
    assert found == [
        (1000 * (BEGIN + 10 * index), text) for index, text in ((0, ""), (2, "fan failed"), (4, None), (5, ""))
    ]
    assert later[0] == (1000 * (BEGIN + 20), "fan failed")


def test_a_point_without_any_value_has_no_series_and_garbage_is_no_value(path: Path) -> None:
    with Diary(path) as diary:
        diary.write(
            [
                sample(BEGIN, pv_power=None, battery_voltage=float("nan"), yield_total=float("inf"), unheard_of=1.0),
                sample(BEGIN + 10, charger_state=3),
            ]
        )
    with History(path) as history:
        assert list(history.devices()[0].series) == ["charger_state"]


def test_it_is_read_while_it_is_written(path: Path) -> None:
    with Diary(path) as diary:
        for index in range(1500):
            diary.write([sample(BEGIN + 10 * index, pv_power=float(index))])
            if index % 50 == 0:
                # At no moment a sample is missing or there twice, also not when an hour has just been sealed.
                assert list(raw(path).values()) == [float(number) for number in range(index + 1)]
                assert minutes(path) == index + 1


def test_it_is_read_where_nothing_may_be_written(path: Path) -> None:
    values = filled(path, 2)
    for each in path.parent.iterdir():
        if each != path:
            each.unlink()
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        assert len(raw(path)) == len(values)
    finally:
        path.parent.chmod(0o755)
