"""Keeps a task alive: an error restarts it with back-off; one that comes again is one line in the log."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable

from heliobus.outputs.alone import alone
from heliobus.outputs.output import FatalOutputError

log = logging.getLogger("heliobus.supervise")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
CALM = 300.0
"""Seconds without an error after which the next one is treated as the first again."""


async def supervise(name: str, task: Callable[[], Awaitable[None]]) -> None:
    """Run `task` until it returns or is cancelled. FatalOutputError passes; any other exception restarts it."""
    loop = asyncio.get_running_loop()
    pause = FIRST_PAUSE
    told = ""
    while True:
        began = loop.time()
        try:
            await alone(task())
        except FatalOutputError:
            raise
        except Exception as error:
            if loop.time() - began > CALM:
                pause, told = FIRST_PAUSE, ""
            where = "".join(traceback.format_exception(error))
            if where == told:
                log.error("%s failed as before; starting it again in %.0f s", name, pause)
            else:
                log.exception("%s failed; starting it again in %.0f s", name, pause)
            told = where
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            return
