"""A clock that leaps ahead does not cost what waits."""

import asyncio
from pathlib import Path

from heliobus.outputs.status import OutputStatus
from heliobus.sim.virtual_time import run_virtual
from outbox_stage import SetClock, an_outbox, record

YEAR = 365 * 86_400.0
HOUR = 3600.0


def test_what_is_too_old_goes_only_when_the_clock_says_so_for_a_while(tmp_path: Path) -> None:
    async def main() -> None:
        clock, status = SetClock(), OutputStatus("influx")
        async with an_outbox(tmp_path, clock=clock, status=status, trust=HOUR) as outbox:
            await outbox.put([record(number) for number in range(100)])
            for ahead in (YEAR, 0.0, 30 * YEAR):
                clock.now += ahead
                await outbox.put([])
                assert await outbox.oldest(1000, 1000, 10**6)
                await asyncio.sleep(0.9 * HOUR)
                assert len(await outbox.oldest(1000, 1000, 10**6)) == 100, "wrong for less than an hour"
                clock.now -= ahead
                assert await outbox.oldest(1000, 1000, 10**6)
            clock.now += YEAR
            assert await outbox.oldest(1000, 1000, 10**6)
            await asyncio.sleep(HOUR)
            assert await outbox.oldest(1000, 1000, 10**6) == []
            assert (status.waiting, status.dropped) == (0, 100)

    run_virtual(main())
