"""`heliobus run --tty`: a daemon for one adapter, as the serial-starter of Venus OS starts them (venus.md §9.4)."""

import asyncio
import fcntl
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from heliobus import atomic, config
from heliobus.app import StartError
from heliobus.cli.daemon import connected
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config import Config, ConfigError, DeviceConfig, SiteConfig, VenusConfig
from heliobus.config.outputs import NONE
from heliobus.devices import catalog
from heliobus.outputs.output import FatalOutputError
from heliobus.scan import Found, Options, Quiet, Report, Target, other_program, stable_path, survey
from heliobus.wire.adapter import adapter_of
from heliobus.wire.address import LinkAddress, parse_link

log = logging.getLogger("heliobus")

LONGEST_PROBE = 90.0
LOOK_PERIOD = 2.0
NUMBERS = 100
"""Devices of one adapter are numbered within so many; those of the daemon for the rest come before."""

Serve = Callable[[Config], Awaitable[None]]


def serve(tty: str, path: Path | None, run: Serve) -> None:
    """Have `run` serve the tty until it goes. Returns when nothing of ours is there, or is served already.

    Raises Problem. There is no pause before the end: serial-starter goes on to the next driver.
    """
    device = stable_path(tty if tty.startswith("/") else f"/dev/{tty}")
    try:
        asyncio.run(_serve(tty, parse_link(f"serial:{device}"), _settings(path), run))
    except (StartError, FatalOutputError) as error:
        raise Problem(str(error)) from None


def _settings(path: Path | None) -> Config:
    """The config, or that of a site without a file: a tty can be served without any."""
    if path is None and not config.on_venus_os() and not any(each.is_file() for each in config.default_paths()):
        return Config("no config file", SiteConfig("site", None, config.default_state()), (), VenusConfig())
    try:
        return config.load(path)
    except ConfigError as error:
        raise WrongUse(str(error)) from None


async def _serve(tty: str, link: LinkAddress, settings: Config, run: Serve) -> None:
    try:
        before = _mark(link.endpoint)
    except OSError:
        raise Problem(f"{tty}: no such tty") from None
    devices = tuple(each for each in settings.devices if each.link.endpoint == link.endpoint)
    if devices and await _daemon_runs(settings.site.state):
        log.info("%s: served by the daemon of %s", tty, settings.source)
        return
    other = other_program(link.path)
    if other is not None:
        raise Problem(f"{tty}: in use by {other}")
    devices = devices or await _found(tty, link)
    if not devices:
        log.info("%s: no device that Heliobus knows answers; leaving it to others", tty)
        return
    serving = asyncio.ensure_future(run(_of_one(settings, devices, adapter_of(link.path))))
    going = asyncio.create_task(_gone(link.endpoint, before))
    try:
        await asyncio.wait((serving, going), return_when=asyncio.FIRST_COMPLETED)
        if not serving.done():
            log.info("%s: the tty has gone", tty)
    finally:
        going.cancel()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving


async def _daemon_runs(state: Path) -> bool:
    async with connected(state) as client:
        return client is not None


async def _found(tty: str, link: LinkAddress) -> tuple[DeviceConfig, ...]:
    """What answers on the tty at the likely speeds and unit ids. Raises Problem where it cannot be searched."""
    report = Report()
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_PROBE):
            await survey([Target(link)], Options(catalog.drivers(), likely_only=True), report, Quiet())
    for passed in report.passed:
        raise Problem(f"{tty}: {passed.why}")
    return tuple(_devices(report.found))


def _devices(found: Iterable[Found]) -> Iterable[DeviceConfig]:
    counts: dict[str, int] = {}
    for each in found:
        driver = each.driver
        number = counts[driver.short] = counts.get(driver.short, 0) + 1
        name = driver.short if number == 1 else f"{driver.short}-{number}"
        yield DeviceConfig(name, driver.name, each.link, each.unit, driver.poll_period)


def _of_one(settings: Config, devices: tuple[DeviceConfig, ...], adapter: str) -> Config:
    """The config of a daemon for these devices, with a state directory and numbers of its own. Raises StartError."""
    ttys = settings.site.state / "tty"
    name = re.sub(r"[^A-Za-z0-9]+", "_", adapter).strip("_")
    names = {each.name for each in devices}
    profiles = tuple(each for each in settings.profiles if not each.devices or names.intersection(each.devices))
    venus = None if settings.venus is None else replace(settings.venus, settings_charger=False)
    site = replace(settings.site, state=ttys / name, first_number=first_number(ttys, name))
    return replace(settings, site=site, devices=devices, profiles=profiles, venus=venus, totals=(), outputs=NONE)


def first_number(ttys: Path, adapter: str) -> int:
    """The first number for devices of `adapter`, the same at each start and another one for each. Raises StartError.

    D-Bus names are made of them, and no two daemons of a machine may have the same.
    """
    file = ttys / "numbers.json"
    try:
        ttys.mkdir(parents=True, exist_ok=True)
        with (ttys / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = _known(file)
            if adapter not in known:
                taken = set(known.values())
                known[adapter] = next(each for each in range(1, len(taken) + 2) if each not in taken)
                atomic.write(file, json.dumps(known, indent=1).encode())
            return NUMBERS * known[adapter]
    except OSError as error:
        raise StartError(f"{ttys}: cannot keep the numbers of adapters there: {error.strerror}") from None


def _known(file: Path) -> dict[str, int]:
    try:
        content = json.loads(file.read_bytes())
        return {str(key): int(number) for key, number in content.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, AttributeError):
        log.error("%s is damaged: the adapters are numbered anew", file)
        return {}


def _mark(tty: str) -> tuple[int, int]:
    """What tells this plugging in from the next one, which may bear the same name. Raises OSError."""
    found = Path(tty).stat()
    return found.st_ino, found.st_rdev


async def _gone(tty: str, before: tuple[int, int]) -> None:
    """Return when the tty has gone, or has come back as another."""
    while True:
        await asyncio.sleep(LOOK_PERIOD)
        try:
            if _mark(tty) != before:
                return
        except OSError:
            return
