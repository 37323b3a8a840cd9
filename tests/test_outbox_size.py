"""How much of the disk 30 days offline take: six hours measured, of noise that does not sleep at night."""

import tracemalloc
from itertools import islice
from pathlib import Path

import pytest

from outbox_samples import EVERY, samples
from outbox_stage import an_outbox

DAY = 86400 // EVERY
MEASURED = DAY // 4
LIMIT_MB = 100.0


@pytest.mark.slow
async def test_thirty_days_of_140_values_every_10_s_stay_below_100_mb(tmp_path: Path) -> None:
    tracemalloc.start()
    async with an_outbox(tmp_path, limit_bytes=100_000_000, sync_every=3600) as outbox:
        before, _ = tracemalloc.get_traced_memory()
        for records in islice(samples(), MEASURED):
            await outbox.put(records)
        after, _ = tracemalloc.get_traced_memory()
        size = sum(path.stat().st_size for path in tmp_path.glob("segment.*"))
        assert size * 30 * DAY / MEASURED / 1e6 < LIMIT_MB
        # What is in memory is the tail and an index: most of it does not grow with what waits.
        assert after - before < 600_000
        tracemalloc.stop()
        expected = (each for records in islice(samples(), MEASURED) for each in records)
        while outbox.waiting:
            entries = await outbox.oldest(1 << 60, 5000, 1_000_000)
            assert [entry.record for entry in entries] == list(islice(expected, len(entries)))
            await outbox.acknowledge(entries)
        assert next(expected, None) is None
