"""An MQTT broker of our own on loopback, for the demo."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

START_TIME = 10.0
LOOK_PERIOD = 0.05


def free_port() -> int:
    """A port of this machine that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def private_broker() -> AsyncIterator[int | None]:
    """The port of a mosquitto that runs while the block does; None where none is installed, or it does not start."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    # Without a config file it listens on loopback only and lets everybody in.
    broker = await asyncio.create_subprocess_exec(
        *(program, "-p", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield port if await _listens(port) else None
    finally:
        with suppress(ProcessLookupError):
            broker.terminate()
        await broker.wait()


async def _listens(port: int) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIME):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(LOOK_PERIOD)
                else:
                    writer.close()
                    await writer.wait_closed()
                    return True
    return False
