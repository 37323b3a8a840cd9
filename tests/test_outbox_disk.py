"""The outbox and its disk: what is kept, what is dropped, and what a bad disk does to it."""

import asyncio
import logging
import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from heliobus.outputs.outbox import Files, Outbox, opened
from heliobus.outputs.outbox.recovery import recover
from heliobus.outputs.status import OutputStatus
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from outbox_stage import (
    START,
    CutFiles,
    FakeSink,
    FullFiles,
    HangingFiles,
    SetClock,
    an_outbox,
    forwarding,
    make_outbox,
    number_of,
    record,
    until,
    waiting_numbers,
)

LIMIT = 400_000


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


async def test_what_was_put_is_there_after_a_kill(tmp_path: Path) -> None:
    async with an_outbox(tmp_path / "outbox") as outbox:
        for number in range(300):
            await outbox.put([record(2 * number, 2000), record(2 * number + 1, 2000)])
        shutil.copytree(tmp_path / "outbox", tmp_path / "copy")
        assert len(list((tmp_path / "copy").glob("segment.*"))) > 0
        status = OutputStatus("influx")
        async with an_outbox(tmp_path / "copy", status=status) as again:
            assert await waiting_numbers(again) == list(range(600))
            assert (status.waiting, status.dropped, status.oldest) == (600, 0, START)
            entries = await again.oldest(1 << 60, 1000, 1 << 30)
            assert [entry.record for entry in entries] == [record(number, 2000) for number in range(600)]


def test_while_everything_is_taken_the_tail_stays_empty_and_is_never_synced(tmp_path: Path) -> None:
    class CountingFiles(Files):
        synced = 0

        def sync(self, path: Path) -> None:
            self.synced += 1
            super().sync(path)

    files, sink = CountingFiles(), FakeSink()

    async def main() -> None:
        async with an_outbox(tmp_path, files=files, sync_every=10) as outbox, forwarding(outbox, sink):
            for number in range(50):
                await outbox.put([record(number)])
                await until(lambda: outbox.waiting == 0)
            await asyncio.sleep(30)
            await until(lambda: bytes_in(tmp_path) == 0)

    run_virtual(main())
    assert sink.numbers == list(range(50))
    assert [path.name for path in tmp_path.iterdir()] == ["tail.00000001"]
    assert files.synced == 0


async def test_every_torn_end_of_the_tail_is_cut(tmp_path: Path) -> None:
    async with an_outbox(tmp_path / "outbox") as outbox:
        for number in range(3):
            await outbox.put([record(number)])
        content = (tmp_path / "outbox" / "tail.00000001").read_bytes()
        await outbox.put([record(3), record(4)])
        whole = (tmp_path / "outbox" / "tail.00000001").read_bytes()
    frame = (len(whole) - len(content)) // 2
    for length in range(len(content), len(whole) + 1):
        folder = tmp_path / "torn"
        folder.mkdir()
        (folder / "tail.00000001").write_bytes(whole[:length])
        found = recover(Files(), folder)
        kept = 3 + (length - len(content)) // frame
        assert [entry.record for entry in found.entries] == [record(number) for number in range(kept)]
        assert (found.waiting.total, found.lost, found.damaged) == (kept, 0, 0)
        shutil.rmtree(folder)


async def test_a_flipped_bit_anywhere_never_raises_and_costs_little(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    async with an_outbox(folder, limit_bytes=LIMIT) as outbox:
        for number in range(40):
            await outbox.put([record(number, 3000)])
    originals = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(originals) > 2
    true = {number: record(number, 3000) for number in range(40)}
    for name, content in originals.items():
        for where in range(0, len(content), max(1, len(content) // 40)):
            spoilt = bytearray(content)
            spoilt[where] ^= 0x04
            (folder / name).write_bytes(spoilt)
            status = OutputStatus("influx")
            async with an_outbox(folder, limit_bytes=LIMIT, status=status) as again:
                kept = await again.oldest(1 << 60, 1 << 30, 1 << 40)
                for entry in kept:
                    assert entry.record == true[number_of(entry.record)]
                assert len(kept) >= 30
                assert status.waiting == len(kept)
                # A damaged state does not know what it misses.
                assert len(kept) + status.dropped in (40, len(kept))
            for path in folder.iterdir():
                path.unlink()
            for each, original in originals.items():
                (folder / each).write_bytes(original)


async def test_when_full_the_oldest_go_and_are_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    status = OutputStatus("influx")
    async with an_outbox(tmp_path, limit_bytes=LIMIT, status=status) as outbox:
        for number in range(400):
            await outbox.put([record(number, 2500)])
            assert bytes_in(tmp_path) <= LIMIT
        kept = await waiting_numbers(outbox)
        assert kept == list(range(400 - len(kept), 400))
        assert 0 < status.dropped == 400 - len(kept)
        assert status.waiting == len(kept)
        assert status.oldest == START + 10 * kept[0]
        assert 0.4 * LIMIT < status.waiting_bytes <= LIMIT
    said = [text for text in caplog.messages if "dropped" in text]
    assert len(said) == 2, "one at once, the rest at the end"
    assert "influx: " in said[0] and "from 2023-11-14 22:13:20 UTC to " in said[0] and "0.4 MB are full" in said[0]
    assert sum(int(text.split()[1]) for text in said) == status.dropped


async def test_what_is_too_old_goes(tmp_path: Path) -> None:
    clock, status = SetClock(), OutputStatus("influx")
    async with an_outbox(tmp_path, limit_bytes=LIMIT, keep_seconds=500, clock=clock, status=status) as outbox:
        for number in range(100):
            clock.now = START + 10 * number
            await outbox.put([record(number, 2500)])
        kept = await waiting_numbers(outbox)
        assert kept[-1] == 99 and 50 <= len(kept) <= 60, "blocks go when all in them is too old"
        clock.now += 3600
        assert await waiting_numbers(outbox) == []
        assert (status.waiting, status.waiting_bytes, status.oldest, status.dropped) == (0, 0, None, 100)


def test_a_full_disk_is_waited_for_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        files, status = FullFiles(), OutputStatus("influx")
        async with an_outbox(tmp_path, files=files, status=status, memory_bytes=20_000) as outbox:
            await outbox.put([record(number) for number in range(10)])
            files.room = 100
            for number in range(10, 50):
                await outbox.put([record(number)])
            assert (status.waiting, status.dropped) == (50, 0)
            for number in range(50, 90):
                await outbox.put([record(number, 1000)])
            kept = await waiting_numbers(outbox)
            dropped = status.dropped
            assert dropped > 0 and len(kept) + dropped == 90
            assert kept[-10:] == list(range(80, 90)), "never the newest"
            assert kept[:1] == [0], "what is on disk already stays"
            files.room = None
            await asyncio.sleep(6)
            await outbox.put([record(90)])
            assert status.dropped == dropped
            async with an_outbox_copy(tmp_path) as again:
                assert await waiting_numbers(again) == [*kept, 90]

    run_virtual(main())
    trouble = [text for text in caplog.messages if "No space left" in text]
    assert trouble == ["influx: cannot write the outbox (No space left on device); records wait in memory"]
    assert "influx: the outbox is on disk again" in caplog.messages


def an_outbox_copy(folder: Path) -> AbstractAsyncContextManager[Outbox]:
    """What a process would find that is started now."""
    copy = folder.with_name(folder.name + "-copy")
    shutil.copytree(folder, copy)
    return an_outbox(copy)


async def test_a_full_disk_does_not_stop_what_can_be_sent(tmp_path: Path) -> None:
    files, sink = FullFiles(), FakeSink()
    files.room = 0
    async with an_outbox(tmp_path / "outbox", files=files) as outbox, forwarding(outbox, sink):
        for number in range(20):
            await outbox.put([record(number)])
        await until(lambda: outbox.waiting == 0)
    assert sink.numbers == list(range(20))


def test_a_disk_that_is_full_to_the_last_byte_is_emptied_by_what_is_taken(tmp_path: Path) -> None:
    async def main() -> None:
        files, sink = FullFiles(), FakeSink()
        async with an_outbox(tmp_path / "outbox", files=files, limit_bytes=LIMIT) as outbox:
            for number in range(60):
                await outbox.put([record(number, 2000)])
            files.room = 0
            async with forwarding(outbox, sink, rate=1e6, share=1.0):
                await until(lambda: outbox.waiting == 0)
            await asyncio.sleep(6)
            assert sorted(sink.numbers) == list(range(60))
            assert bytes_in(tmp_path / "outbox") == 0
            async with an_outbox_copy(tmp_path / "outbox") as again:
                assert again.waiting == 0

    run_virtual(main())


async def test_an_fsync_that_hangs_blocks_nobody(tmp_path: Path) -> None:
    files = HangingFiles(syncs=True)
    async with an_outbox(tmp_path, files=files, sync_every=0.01) as outbox:
        await outbox.put([record(0)])
        assert await asyncio.to_thread(files.entered.wait, 10)
        longest = await longest_pause(outbox, 200)
        assert longest < 0.5
        async with an_outbox_copy(tmp_path) as again:
            assert await waiting_numbers(again) == list(range(201))
        files.go.set()


async def test_a_write_that_hangs_blocks_neither_the_loop_nor_the_sink(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("heliobus.outputs.outbox.writer.PATIENCE", 0.05)
    files, sink = HangingFiles(writes=True), FakeSink()
    async with an_outbox(tmp_path, files=files) as outbox:
        assert await longest_pause(outbox, 100) < 0.5
        async with forwarding(outbox, sink):
            await until(lambda: len(sink.records) == 100)
        files.go.set()


async def longest_pause(outbox: Outbox, puts: int) -> float:
    """The longest time in which the loop did not turn, while `puts` records are put."""
    loop = asyncio.get_running_loop()
    longest, stop = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal longest
        while not stop.is_set():
            before = loop.time()
            await asyncio.sleep(0)
            longest = max(longest, loop.time() - before)

    watching = asyncio.create_task(watch())
    for number in range(1, puts + 1):
        await outbox.put([record(number)])
    stop.set()
    await watching
    return longest


class PowerFiles(Files):
    """What is on the disk for certain: the content of a file and the names in the folder at their last fsync."""

    def __init__(self) -> None:
        self._contents: dict[str, bytes] = {}
        self.certain: dict[str, bytes] = {}

    def sync(self, path: Path) -> None:
        super().sync(path)
        if path.exists():
            self._contents[path.name] = path.read_bytes()

    def sync_folder(self, folder: Path) -> None:
        super().sync_folder(folder)
        names = {path.name for path in folder.iterdir()}
        self.certain = {name: content for name, content in self._contents.items() if name in names}
        self._contents = dict(self.certain)

    def after_the_cut(self, folder: Path) -> Path:
        folder.mkdir()
        # A file of which only the content is newer has that content.
        for name in self.certain:
            (folder / name).write_bytes(self._contents[name])
        return folder


@pytest.mark.parametrize("seconds", [95, 600, 1801, 2500])
def test_a_power_cut_loses_ten_seconds_at_most(tmp_path: Path, seconds: int) -> None:
    files = PowerFiles()

    async def main() -> None:
        outbox = make_outbox(tmp_path / "outbox", files=files, clock=VirtualClock(START), limit_bytes=2_000_000)
        outbox.open()
        for number in range(seconds):
            await outbox.put([record(number, 300)])
            await asyncio.sleep(1)
        after = files.after_the_cut(tmp_path / "after")
        await outbox.close()
        async with an_outbox(after) as again:
            kept = await waiting_numbers(again)
            assert kept == list(range(len(kept)))
            assert len(kept) >= seconds - 11

    run_virtual(main())


def test_a_power_cut_does_not_bring_back_what_was_taken_a_while_ago(tmp_path: Path) -> None:
    files, sink = PowerFiles(), FakeSink()

    async def main() -> None:
        clock = VirtualClock(START)
        sink.away = True
        async with an_outbox(tmp_path / "outbox", files=files, clock=clock, limit_bytes=2_000_000) as outbox:
            async with forwarding(outbox, sink):
                for number in range(2000):
                    await outbox.put([record(number, 300)])
                    await asyncio.sleep(1)
                sink.away = False
                await until(lambda: outbox.waiting == 0)
                await asyncio.sleep(15)
                after = files.after_the_cut(tmp_path / "after")
            async with an_outbox(after) as again:
                assert await waiting_numbers(again) == []

    run_virtual(main())
    assert sorted(sink.numbers) == list(range(2000))


@pytest.mark.parametrize("left", [*range(0, 3000, 131), *range(16_200, 16_300, 3), *range(20_000, 120_000, 1777)])
async def test_killed_after_any_byte_nothing_that_was_put_is_lost(tmp_path: Path, left: int) -> None:
    files = CutFiles(left)
    outbox = make_outbox(tmp_path / "outbox", files=files, limit_bytes=LIMIT, sync_every=3600)
    outbox.open()
    safe = 0
    for number in range(60):
        await outbox.put([record(number, 1500)])
        if files.dead:
            break
        safe = number + 1
    async with an_outbox_copy(tmp_path / "outbox") as again:
        kept = await waiting_numbers(again)
        assert kept in (list(range(safe)), list(range(safe + 1)))
    await outbox.close()


async def test_an_outbox_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="outbox"):
        make_outbox(tmp_path / "outbox").open()


def test_an_outbox_that_cannot_be_used_is_tried_again_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    in_the_way = tmp_path / "outbox"
    in_the_way.write_text("in the way", encoding="utf-8")
    status = OutputStatus("influx")

    async def main() -> None:
        outbox = make_outbox(in_the_way, status=status, clock=VirtualClock(START))
        opening = asyncio.create_task(opened(outbox))
        while status.errors < 3:
            await asyncio.sleep(1)
        assert status.last_error.startswith(str(in_the_way))
        in_the_way.unlink()
        await opening
        assert status.last_error == ""
        await outbox.put([record(0)])
        await outbox.close()
        again = make_outbox(in_the_way)
        await opened(again)
        await again.close()

    run_virtual(main())
    said = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [level for level, _ in said] == ["ERROR", "INFO"], said
    assert "so nothing is recorded" in said[0][1] and said[1][1].startswith("influx: 1 record waits, of 20")


async def test_a_folder_thrown_away_under_way_costs_what_was_in_it(tmp_path: Path) -> None:
    status = OutputStatus("influx")
    async with an_outbox(tmp_path / "outbox", limit_bytes=LIMIT, status=status) as outbox:
        for number in range(30):
            await outbox.put([record(number, 3000)])
        shutil.rmtree(tmp_path / "outbox")
        for number in range(30, 60):
            await outbox.put([record(number, 3000)])
        kept = await waiting_numbers(outbox)
        assert set(range(30, 60)) <= set(kept)
        assert status.dropped + len(kept) == 60
