"""`heliobus pzem`: look at a PZEM meter and set it up, before it joins the others on the line."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from heliobus.cli import columns, logs
from heliobus.cli.problem import Problem, RefusedByGuard, WrongUse
from heliobus.cli.served import SilentError, keep_off
from heliobus.config import DeviceConfig
from heliobus.devices import pzem_ac, pzem_dc
from heliobus.devices.pzem import commissioning, meter
from heliobus.devices.pzem.meter import Meter, MeterError, RefusedError
from heliobus.devices.pzem.points import CURRENT_RANGE, GENERAL_ADDRESS, HIGHEST_ADDRESS, MODBUS_ADDRESS, SHUNTS
from heliobus.model.point import Point
from heliobus.model.vocabulary import ENERGY_FORWARD_COUNTER, HEALTH_POINTS, SITE_POINTS
from heliobus.wire.address import LinkAddress, LinkAddressError, make_bus, parse_link
from heliobus.wire.bus import Bus

DRIVERS = {"ac": pzem_ac.DRIVER, "dc": pzem_dc.DRIVER}
OURS = frozenset({*HEALTH_POINTS, *SITE_POINTS, MODBUS_ADDRESS})
"""Points that the meter does not say, or that the headline says."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a meter: the question to its owner, what carries it out, and what to say when it is done."""

    question: Callable[[Meter], str]
    carry_out: Callable[[Bus, Meter], Awaitable[None]]
    done: str
    check: Callable[[Bus, Meter], Awaitable[None]]


@click.command(name="pzem")
@click.argument("link")
@click.option(
    "-u",
    "--unit",
    type=click.IntRange(1, GENERAL_ADDRESS),
    default=GENERAL_ADDRESS,
    help="Its address; unless given, the one meter on the line is asked for it.",
)
@click.option("--ac", "kind", flag_value="ac", help="It is an AC meter; do not find out.")
@click.option("--dc", "kind", flag_value="dc", help="It is a DC meter; do not find out.")
@click.option("--set-address", "address", type=click.IntRange(1, HIGHEST_ADDRESS), help="Give it another address.")
@click.option(
    "--set-shunt",
    "shunt",
    type=click.Choice([str(each) for each in sorted(SHUNTS)]),
    help="Amperes printed on the shunt of a PZEM-017.",
)
@click.option(
    "--set-alarm-power", "watts", type=click.IntRange(1, 25_000), help="Watts above which an AC meter gives its alarm."
)
@click.option("--reset-energy", "reset", is_flag=True, help="Set its energy counter back to 0.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before it is changed.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(
    link: str,
    unit: int,
    kind: str | None,
    address: int | None,
    shunt: str | None,
    watts: int | None,
    reset: bool,
    yes: bool,
    path: Path | None,
    verbose: bool,
) -> None:
    """Show the one PZEM meter on LINK, or change it.

    \b
        heliobus pzem serial:/dev/ttyUSB0
        heliobus pzem serial:/dev/ttyUSB0 --set-address 10

    New meters all have address 1: connect them one at a time and number them. A change is made only while one meter
    answers on the line, and is read back.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused by a guard.
    """
    logs.start(verbose, quiet=True)
    place = _place(link, unit)
    change = _change(address, shunt, watts, reset)
    if change is not None and not yes and not interactive():
        raise WrongUse("this changes the meter: say that you want it with --yes")
    visit = Visit(place, path, kind)
    try:
        found = asyncio.run(visit.look(change))
        _show(found, place.link)
        if change is None:
            return
        question = change.question(found)
        if yes:
            click.echo(question)
        else:
            # Asked between two visits, so that nobody is kept from the line while the user thinks.
            click.confirm(f"{question} Go on?", abort=True, err=True)
        asyncio.run(visit.carry_out(change, found))
    except RefusedError as error:
        raise RefusedByGuard(str(error)) from None
    except MeterError as error:
        raise Problem(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    click.echo(change.done)


class Visit:
    """The meter at `place`, reached by this process; `kind` None finds out which it is."""

    def __init__(self, place: DeviceConfig, path: Path | None, kind: str | None) -> None:
        self._place = place
        self._path = path
        self._driver = None if kind is None else DRIVERS[kind]

    async def look(self, change: Change | None) -> Meter:
        """The meter, after the checks of `change`. Raises MeterError, Problem."""
        async with self._bus() as bus:
            found = await meter.find(bus, self._place.unit, self._driver)
            if change is not None:
                await meter.check_alone(bus, found)
                await change.check(bus, found)
            return found

    async def carry_out(self, change: Change, seen: Meter) -> None:
        """Change the meter that was `seen`. Raises MeterError, Problem."""
        async with self._bus() as bus:
            found = await meter.find(bus, self._place.unit, self._driver)
            if (found.address, found.driver) != (seen.address, seen.driver):
                raise RefusedError("another meter is on the line now")
            await change.carry_out(bus, found)

    @asynccontextmanager
    async def _bus(self) -> AsyncIterator[Bus]:
        try:
            await keep_off(self._place, self._path, "set up its meters")
        except (RefusedByGuard, SilentError):
            raise RefusedByGuard(
                f"the daemon is the only master of {self._place.link.endpoint}: stop it to set up its meters, "
                "or look at one with heliobus read NAME"
            ) from None
        bus = make_bus(self._place.link)
        task = asyncio.create_task(bus.run())
        try:
            yield bus
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def interactive() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


def _place(link: str, unit: int) -> DeviceConfig:
    text = f"serial:{link}" if link.startswith("/") else link
    try:
        return DeviceConfig("pzem", pzem_ac.DRIVER.name, parse_link(text, baud=pzem_ac.DRIVER.baud), unit)
    except LinkAddressError as error:
        raise WrongUse(str(error)) from None


def _change(address: int | None, shunt: str | None, watts: int | None, reset: bool) -> Change | None:
    """What is asked for, None to look only. Raises WrongUse for more than one thing."""
    changes = []
    if address is not None:
        changes.append(_address_change(address))
    if shunt is not None:
        changes.append(_shunt_change(int(shunt)))
    if watts is not None:
        changes.append(_alarm_change(watts))
    if reset:
        changes.append(_reset_change())
    if len(changes) > 1:
        raise WrongUse("one change at a time")
    return changes[0] if changes else None


def _address_change(address: int) -> Change:
    async def check(bus: Bus, found: Meter) -> None:
        if found.address == address:
            raise RefusedError(f"the meter has address {address} already")
        await meter.check_free(bus, address)

    return Change(
        lambda found: f"The meter at address {found.address} gets address {address}, at once and for good.",
        lambda bus, found: commissioning.renumber(bus, found, address),
        f"Done: it answers at address {address} now. In the config: unit = {address}",
        check,
    )


def _shunt_change(amperes: int) -> Change:
    async def check(_: Bus, found: Meter) -> None:
        commissioning.check_shunt(found)

    def question(found: Meter) -> str:
        now = CURRENT_RANGE.text(found.values.get(CURRENT_RANGE.name))
        return (
            f"The meter counts with a shunt of {amperes} A in place of {now}: current, power and energy change in "
            "proportion. It must be what is printed on the shunt."
        )

    return Change(
        question,
        lambda bus, found: commissioning.set_shunt(bus, found, amperes),
        f"Done: it counts with a shunt of {amperes} A. Its energy counter is not rescaled: what it has counted so far "
        "stays as it is, unless you set it back with --reset-energy",
        check,
    )


def _alarm_change(watts: int) -> Change:
    async def check(_: Bus, found: Meter) -> None:
        commissioning.check_alarm_power(found)

    return Change(
        lambda _: f"The meter gives its alarm above {watts} W. It switches nothing.",
        lambda bus, found: commissioning.set_alarm_power(bus, found, watts),
        f"Done: its alarm is at {watts} W",
        check,
    )


def _reset_change() -> Change:
    async def check(_: Bus, __: Meter) -> None:
        """Every meter has a counter."""

    def question(found: Meter) -> str:
        count = ENERGY_FORWARD_COUNTER.text(found.values.get(ENERGY_FORWARD_COUNTER.name))
        return f"The energy counter of the meter, now {count}, goes back to 0; that cannot be undone."

    return Change(question, commissioning.reset_energy, "Done: its energy counter is 0", check)


def _show(found: Meter, link: LinkAddress) -> None:
    address = "an address it does not say" if found.address is None else f"address {found.address}"
    click.echo(f"{found.identity.vendor} {found.identity.model}, {address}, on {link.endpoint}")
    columns.show([_row(found, point) for point in found.driver.points().values() if point not in OURS])


def _row(found: Meter, point: Point) -> tuple[str, str, str]:
    value = found.values.get(point.name)
    return point.name, point.text(value), str(found.reasons.get(point.name, "")) if value is None else ""
