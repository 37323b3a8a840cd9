"""`heliobus run`: the daemon."""

import asyncio
import logging
import signal
import time
from pathlib import Path

import click

from heliobus import __version__, config
from heliobus.app import Installation, StartError
from heliobus.cli import logs
from heliobus.cli.lean import bring_openssl
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config.warnings import warnings
from heliobus.outputs.output import FatalOutputError

log = logging.getLogger("heliobus")

SUPERVISOR_PAUSE = 10.0
"""A GX restarts what ends at once; a pause keeps a broken config from spinning."""


@click.command(name="run")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
@click.option("--tty", metavar="TTY", help="Serve this tty alone, and end when nothing of ours is there.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(path: Path | None, tty: str | None, verbose: bool) -> None:
    """Poll the devices of the config and serve its outputs until stopped.

    Without -c the config is heliobus.toml here, then ~/.config/heliobus/, then /etc/heliobus/; on a GX
    /data/conf/heliobus.toml, and without any file the charger set up under /Settings/TristarMPPT.

    With --tty ttyUSB0 it serves what the config has on that tty, or what it finds there, beside a daemon for the rest;
    it ends with exit code 0 when it finds nothing and when the tty goes. That is how a GX starts it for each adapter.
    """
    logs.start(verbose)
    if tty is not None:
        from heliobus.cli import one_tty  # noqa: PLC0415  brings the search

        one_tty.serve(tty, path, _run)
        return
    try:
        settings = config.load(path)
        if settings.outputs.encrypted:
            bring_openssl()
        asyncio.run(_run(settings))
    except config.ConfigError as error:
        _end(WrongUse(str(error)))
    except (StartError, FatalOutputError) as error:
        _end(Problem(str(error)))


def _end(problem: Problem) -> None:
    if config.on_venus_os():
        time.sleep(SUPERVISOR_PAUSE)
    raise problem


async def _run(settings: config.Config) -> None:
    count = len(settings.devices)
    log.info("heliobus %s with %s: %d device%s", __version__, settings.source, count, "" if count == 1 else "s")
    for warning in warnings(settings):
        log.warning("%s", warning)
    work = asyncio.ensure_future(Installation(settings).run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped")
