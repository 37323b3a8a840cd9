"""The output `files` at work in virtual time, as the tests of its rows and of its snapshots want it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from heliobus.config.outputs import FilesConfig
from heliobus.model.localtime import local_time
from heliobus.outputs.files.output import FilesOutput
from heliobus.outputs.status import OutputStatus, Statuses
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from heliobus.site import Site
from shown_site import NOON

OSLO = local_time("Europe/Oslo")


@asynccontextmanager
async def at_work(site: Site, config: FilesConfig, now: float = NOON) -> AsyncIterator[OutputStatus]:
    """The output since half a second: its first files are written."""
    statuses = Statuses()
    task = asyncio.create_task(FilesOutput(config, VirtualClock(now), lambda: OSLO, statuses).run(site))
    try:
        await asyncio.sleep(0.5)
        assert not task.done()
        yield statuses.open("files")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def virtually(main: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await main()

    run_virtual(run())
