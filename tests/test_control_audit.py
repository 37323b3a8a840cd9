"""The record of commands: everything in order, through power cuts, full disks and garbage."""

import asyncio
import errno
import json
import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.control import audit
from heliobus.control.audit import FILE_NAME, LONGEST_TEXT, Audit, Record, read

ONE = Record(1_780_000_000.0, "roof", "tristar_1", "cli", "equalize_requested", 0, 1, "done", "", 1)


def numbered(number: int) -> Record:
    return Record(
        1_780_000_000.0 + number, "roof", "tristar_1", "cli", "charge_current_limit", 0.0, float(number), "done"
    )


async def write(folder: Path, *records: Record, **options: int) -> None:
    book = Audit(folder, **options)
    for record in records:
        await book.record(record)


async def test_a_record_is_on_disk_when_the_call_returns(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "control"
    await write(folder, ONE)
    assert list(read(folder)) == [ONE]
    [line] = (folder / FILE_NAME).read_text().splitlines()
    assert json.loads(line) == {
        "time": 1780000000.0,
        "device": "roof",
        "key": "tristar_1",
        "origin": "cli",
        "point": "equalize_requested",
        "old": 0,
        "new": 1,
        "result": "done",
        "why": "",
        "value": 1,
    }


async def test_without_a_folder_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await Audit(None).record(ONE)
    assert list(tmp_path.iterdir()) == []
    assert list(read(tmp_path / "none")) == []


async def test_records_made_at_once_keep_their_order(tmp_path: Path) -> None:
    book = Audit(tmp_path)
    await asyncio.gather(*(book.record(numbered(number)) for number in range(200)))
    assert [record.new for record in read(tmp_path)] == list(range(200))


async def test_the_event_loop_goes_on_while_the_disk_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def slow(descriptor: int) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(30)

    monkeypatch.setattr(audit.os, "fsync", slow)
    book = Audit(tmp_path)
    first = asyncio.create_task(book.record(numbered(1)))
    await begun.wait()
    others = [asyncio.create_task(book.record(numbered(number))) for number in (2, 3)]
    await asyncio.sleep(0)
    # Who is cancelled while the disk works is recorded all the same.
    first.cancel()
    others[0].cancel()
    await asyncio.gather(first, others[0], return_exceptions=True)
    go_on.set()
    await others[1]
    assert [record.new for record in read(tmp_path)] == [1, 2, 3]


async def test_who_is_cancelled_before_the_disk_is_free_is_recorded(tmp_path: Path) -> None:
    loop, go_on = asyncio.get_running_loop(), threading.Event()
    # One worker for all that blocks, as in the daemon.
    loop.set_default_executor(ThreadPoolExecutor(1))
    before = loop.run_in_executor(None, go_on.wait, 30)
    task = asyncio.create_task(Audit(tmp_path).record(ONE))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    go_on.set()
    assert await before
    await loop.shutdown_default_executor()
    assert list(read(tmp_path)) == [ONE]


async def test_what_is_returned_from_was_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        real(descriptor)
        synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(audit.os, "fsync", watch)
    book = Audit(tmp_path)
    for number in range(3):
        await book.record(numbered(number))
        assert synced[-1] == (tmp_path / FILE_NAME).stat().st_size


async def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    await write(tmp_path, *map(numbered, range(100)), largest=1000, kept=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, *(f"{FILE_NAME}.{n}" for n in (1, 2, 3))]
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    numbers = [record.new for record in read(tmp_path)]
    assert numbers == list(range(100 - len(numbers), 100))
    assert len(numbers) > 10


async def test_rotation_goes_on_where_a_crash_left_it(tmp_path: Path) -> None:
    await write(tmp_path, *map(numbered, range(20)), largest=1000, kept=5)
    before = len(list(read(tmp_path)))
    (tmp_path / f"{FILE_NAME}.1").replace(tmp_path / f"{FILE_NAME}.0-moved")
    there = len(list(read(tmp_path)))
    assert there < before
    await write(tmp_path, *map(numbered, range(20, 26)), largest=1000, kept=5)
    assert len(list(read(tmp_path))) == there + 6


async def test_a_line_that_a_power_cut_cut_is_left_behind(tmp_path: Path) -> None:
    await write(tmp_path, numbered(1), numbered(2))
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        path.write_bytes(whole[:cut])
        await write(tmp_path, numbered(3))
        # All but the line's end is still all of the record.
        expected = [1, 2, 3] if cut == len(whole) - 1 else [1, 3]
        assert [record.new for record in read(tmp_path)] == expected
    assert b"\n\n" not in path.read_bytes()


async def test_a_process_that_is_killed_leaves_what_was_recorded(tmp_path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from heliobus.control.audit import Audit, Record

async def main():
    book = Audit(Path(sys.argv[1]), largest=5000, kept=50)
    for number in range(100_000):
        await book.record(Record(number, "roof", "k", "cli", "p", None, number, "done"))
        print(number, flush=True)

asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for line in process.stdout:
        last = int(line)
        if last == 120:
            process.send_signal(signal.SIGKILL)
            break
    rest = process.stdout.read().split()
    process.stdout.close()
    assert process.wait(30) == -signal.SIGKILL
    last = int(rest[-1]) if rest else last
    await write(tmp_path, Record(0.0, "roof", "k", "cli", "p", None, "after", "done"))
    values = [record.new for record in read(tmp_path)]
    assert values[-1] == "after"
    assert values[:-1][: last + 1] == list(range(last + 1))
    assert len(values) - 1 in (last + 1, last + 2)


async def test_a_full_disk_is_said_once_and_what_waits_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    book = Audit(tmp_path)
    await book.record(numbered(0))
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(audit.os, "fsync", full)
    with caplog.at_level(logging.INFO):
        for number in (1, 2, 3):
            await book.record(numbered(number))
        assert caplog.messages == [f"commands cannot be recorded in {tmp_path}: No space left on device"]
        monkeypatch.setattr(audit.os, "fsync", real)
        assert [record.new for record in read(tmp_path)] == [0]
        await book.record(numbered(4))
        assert caplog.messages[1:] == [f"commands are recorded in {tmp_path} again"]
    assert [record.new for record in read(tmp_path)] == [0, 1, 2, 3, 4]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
async def test_a_device_that_is_really_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE_NAME).symlink_to("/dev/full")
    book = Audit(tmp_path)
    await book.record(ONE)
    await book.record(ONE)
    assert caplog.messages == [f"commands cannot be recorded in {tmp_path}: No space left on device"]


async def test_a_disk_that_stays_full_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    book = Audit(tmp_path / "file")
    monkeypatch.setattr(audit, "UNWRITTEN", 10)
    for number in range(50):
        await book.record(numbered(number))
    (tmp_path / "file").unlink()
    await book.record(numbered(50))
    assert [record.new for record in read(tmp_path / "file")] == list(range(40, 51))
    assert len(caplog.messages) == 1


ODD: list[tuple[Any, Any]] = [
    (math.nan, "nan"),
    (-math.inf, "-inf"),
    (True, 1),
    ([1, 2], "<list>"),
    (b"x", "<bytes>"),
    (10**5000, "<int>"),
    (2**63, 2**63),
    ("a\nb\x1b[31m\udc80", "a\nb\x1b[31m\udc80"),
    ("x" * 10_000, "x" * (LONGEST_TEXT - 1) + "…"),
]


@pytest.mark.parametrize(("value", "kept"), ODD, ids=range(len(ODD)))
async def test_whatever_was_asked_for_is_recorded(tmp_path: Path, value: Any, kept: Any) -> None:
    refused = Record(5.0, "roof", "k", "venus", "p", None, value, "refused", "no")
    await write(tmp_path, refused, ONE)
    first, second = read(tmp_path)
    assert (first.new, first.why, second) == (kept, "no", ONE)
    assert (tmp_path / FILE_NAME).read_text().isascii()


texts = st.text(max_size=30)
values = st.none() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | texts
records = st.builds(
    Record,
    time=st.integers(0, 4_000_000_000).map(float),
    device=texts,
    key=texts,
    origin=texts,
    point=texts,
    old=values,
    new=values,
    result=st.sampled_from(("done", "refused", "failed")),
    why=texts,
    value=values,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(records, max_size=10))
def test_what_is_read_is_what_was_recorded(written: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(write(Path(folder), *written))
        assert list(read(Path(folder))) == written


GARBAGE = [
    b"",
    b"null",
    b"5",
    b"[]",
    b"{}",
    b'"text"',
    b"[" * 100_000,
    b'{"time": 1}',
    b"\xff\xfe\x00",
    b"\x00" * 5000,
    b'{"time": ' + b"9" * 5000 + b"}",
    b"x" * 2_000_000,
]
GOOD = json.loads(audit._encoded(ONE))
WRONG: list[tuple[str, object]] = [
    *(("time", value) for value in ("1", None, -1, 1e12, math.nan, math.inf, True)),
    *((name, value) for name in ("device", "key", "origin", "point", "why") for value in (None, 5, [])),
    *((name, value) for name in ("old", "new", "value") for value in ([], {}, math.nan, math.inf, 2**70, "x" * 5000)),
    *(("result", value) for value in ("", "perhaps", None, [])),
]
GARBAGE += [json.dumps({**GOOD, name: value}).encode() for name, value in WRONG]
GARBAGE += [json.dumps({name: value for name, value in GOOD.items() if name != left_out}).encode() for left_out in GOOD]


@pytest.mark.parametrize("line", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_record_is_left_out(tmp_path: Path, line: bytes) -> None:
    good = json.dumps(GOOD).encode()
    (tmp_path / FILE_NAME).write_bytes(good + b"\n" + line + b"\n" + good + b"\n")
    assert list(read(tmp_path)) == [ONE, ONE]


def test_a_later_version_may_say_more(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({**GOOD, "more": [1]}))
    assert list(read(tmp_path)) == [ONE]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 250), st.binary(max_size=30))
def test_damage_never_raises_and_never_hides_the_rest(before: bytes, place: int, damage: bytes) -> None:
    good = json.dumps(GOOD).encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        damaged = good[:place] + damage + good[place + len(damage) :]
        (folder / FILE_NAME).write_bytes(before + b"\n" + good + b"\n" + damaged)
        (folder / f"{FILE_NAME}.1").write_bytes(before)
        (folder / f"{FILE_NAME}.bak").write_bytes(good)
        found = list(read(folder))
        assert ONE in found
        assert len(found) <= 2
        asyncio.run(write(folder, ONE))
        assert list(read(folder))[-1] == ONE


def test_what_must_not_be_read_raises(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(OSError, match=FILE_NAME):
        list(read(tmp_path))
