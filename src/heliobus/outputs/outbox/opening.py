"""Opens an outbox on a disk that may not be ready."""

import asyncio
import logging

from heliobus.outputs.outbox.outbox import Outbox

log = logging.getLogger("heliobus.outbox")

UNOPENED = 60.0
"""Seconds until a disk that cannot be used is tried again."""


async def opened(outbox: Outbox) -> None:
    """Return when `outbox` is open; while its folder cannot be used there is one line in the log for each reason."""
    status = outbox.status
    while True:
        try:
            losses = await asyncio.to_thread(outbox.open)
        except OSError as error:
            why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
            status.errors += 1
            if status.last_error != why:
                status.last_error = why
                log.error("%s: the outbox cannot be used, so nothing is recorded: %s; trying on", status.name, why)
            await asyncio.sleep(UNOPENED)
            continue
        status.last_error = ""
        for loss in losses:
            log.warning("%s", loss)
        if outbox.waiting:
            log.info("%s: %s", status.name, outbox.waiting_text())
        return
