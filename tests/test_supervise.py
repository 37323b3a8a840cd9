"""What fails is started again; the log says why once."""

import asyncio
import logging

import pytest

from heliobus.outputs.output import FatalOutputError
from heliobus.sim.virtual_time import run_virtual
from heliobus.supervise import supervise


def test_what_fails_alike_again_and_again_is_one_traceback(caplog: pytest.LogCaptureFixture) -> None:
    count = 0

    async def fail() -> None:
        nonlocal count
        count += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(_fail(OSError("disk") if count < 10 else ValueError("worse")))

    async def story() -> None:
        task = asyncio.create_task(supervise("mqtt", fail))
        await asyncio.sleep(3600)
        task.cancel()

    with caplog.at_level(logging.ERROR):
        run_virtual(story())
    assert count > 60
    assert ["disk" in str(record.exc_text) for record in caplog.records if record.exc_text] == [True, False]
    assert [record.getMessage() for record in caplog.records][:3] == [
        "mqtt failed; starting it again in 1 s",
        "mqtt failed as before; starting it again in 2 s",
        "mqtt failed as before; starting it again in 4 s",
    ]


async def test_it_returns_with_the_task_and_lets_what_is_fatal_pass() -> None:
    await supervise("done", lambda: asyncio.sleep(0))
    with pytest.raises(FatalOutputError):
        await supervise("fatal", lambda: _fail(FatalOutputError("bus")))


async def _fail(error: Exception) -> None:
    raise error
