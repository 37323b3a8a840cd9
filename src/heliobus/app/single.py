"""One device under control for the length of one command, when no daemon runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from heliobus.app.installation import Installation
from heliobus.app.lock import StartError
from heliobus.config import Config, DeviceConfig
from heliobus.model.reading import Health
from heliobus.site import Site

PATIENCE = 30.0


@asynccontextmanager
async def open_control(config: Config, device: DeviceConfig) -> AsyncIterator[Site]:
    """A site of which `device` has answered and takes commands. Raises StartError.

    What an earlier change left unfinished is finished by the first command, not by who only looks.
    """
    installation = Installation(replace(config, devices=(device,), venus=None), lasting=False)
    work = asyncio.create_task(installation.run())
    try:
        ready = asyncio.create_task(_ready(installation, device.name))
        await asyncio.wait({work, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await work
        yield await ready
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def _ready(installation: Installation, name: str) -> Site:
    site = installation.site
    mailbox = site.subscribe()
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                reading = site.reading(name)
                if reading is not None and reading.health is Health.OK:
                    return site
                await mailbox.get()
    except TimeoutError:
        raise StartError(f"{name} does not answer; heliobus doctor {name} tells more") from None
    finally:
        site.unsubscribe(mailbox)
