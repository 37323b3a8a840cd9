"""A real process with an outbox, killed with -9 again and again while the sink is away."""

import asyncio
import random
import sys
from pathlib import Path

from heliobus.outputs.status import OutputStatus
from outbox_stage import FakeSink, an_outbox, forwarding, record, until

CHILD = Path(__file__).with_name("outbox_child.py")
KILLS = 10


async def test_nothing_that_was_put_is_lost_by_ten_kills(tmp_path: Path) -> None:
    folder, chance = tmp_path / "outbox", random.Random(7)
    safe: set[int] = set()
    offered = 0
    for _ in range(KILLS):
        last, begun = await put_until_killed(folder, offered, chance.randrange(1, 400))
        safe |= set(range(offered, last + 1))
        offered = begun
    sink, status = FakeSink(), OutputStatus("influx")
    async with (
        an_outbox(folder, status=status, limit_bytes=100_000_000) as outbox,
        forwarding(outbox, sink, rate=1e6, share=1.0),
    ):
        await until(lambda: outbox.waiting == 0)
    assert len(safe) > 1000
    assert safe <= set(sink.numbers)
    assert len(sink.numbers) == len(set(sink.numbers)), "nothing twice"
    assert set(sink.numbers) <= set(range(offered))
    assert all(each == record(number, 500) for each, number in zip(sink.records, sink.numbers, strict=True))
    assert status.dropped == 0


async def put_until_killed(folder: Path, first: int, puts: int) -> tuple[int, int]:
    """The last number that was safe, and one that was not used."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), str(folder), str(first), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    last = first - 1
    try:
        for _ in range(puts):
            last = int(await child.stdout.readline())
    finally:
        child.kill()
    rest = (await child.stdout.read()).split(b"\n")
    await child.wait()
    # A line may be torn by the kill.
    last = max([last, *(int(line) for line in rest[:-1])])
    return last, last + 5
