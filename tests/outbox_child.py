"""A process that puts records into an outbox as fast as it can, says each number that is safe, and is killed."""

import asyncio
import sys
from pathlib import Path

from heliobus.outputs.outbox import Forwarder
from outbox_stage import FakeSink, make_outbox, record


async def main(folder: Path, number: int) -> None:
    outbox = make_outbox(folder, sync_every=0.02, limit_bytes=100_000_000)
    outbox.open()
    sink = FakeSink()
    sink.away = True
    forwarding = asyncio.create_task(Forwarder(outbox, sink, name="influx").run())
    while not forwarding.done():
        await outbox.put([record(number + each, 500) for each in range(4)])
        number += 4
        print(number - 1, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
