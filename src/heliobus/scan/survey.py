"""The search itself: one bus after the other on each tty, and a few hosts at a time."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from heliobus.devices.driver import Driver, Recognised
from heliobus.scan.candidates import (
    EVERY,
    LIKELY,
    UNLIKELY,
    Speed,
    first_question,
    long_patience,
    short_patience,
    speeds,
    without,
)
from heliobus.scan.found import Found, Passed, Report, Stranger, serial_link
from heliobus.scan.interview import Interviewer
from heliobus.scan.ttys import other_program
from heliobus.wire.address import LinkAddress, make_bus
from heliobus.wire.bus import LinkDown

HOSTS_AT_ONCE = 16
NETWORK_WAIT = 1.0
"""Seconds that an answer may take through a gateway and Wi-Fi (epever.md §14)."""
CONNECT_TIME = 2.0


@dataclass(frozen=True, slots=True)
class Options:
    """How far a search goes: `units` are tried instead of the usual ones; `all_units` also where something was found.

    With `likely_only` it stops after the likely ones.
    """

    drivers: tuple[Driver, ...]
    units: tuple[int, ...] = ()
    all_units: bool = False
    likely_only: bool = False

    @property
    def passes(self) -> tuple[Sequence[int], ...]:
        """Unit ids in the order in which they are tried; each but the first only if the one before found nothing."""
        if self.units:
            return (self.units,)
        if self.all_units:
            return ((*LIKELY, *without(EVERY, LIKELY)),)
        return (LIKELY,) if self.likely_only else (LIKELY, UNLIKELY)


@dataclass(frozen=True, slots=True)
class Target:
    """A place to search. `speed` None is every known one; one of many hosts is not named if nobody is there."""

    link: LinkAddress
    speed: Speed | None = None
    one_of_many: bool = False

    @property
    def place(self) -> str:
        """What people call it: the path of a tty, or the link."""
        return self.link.path if self.link.kind == "serial" else str(self.link)


class Progress(Protocol):
    """Who wants to know how far a search is."""

    def expect(self, steps: int) -> None:
        """There is that much more to do."""

    def step(self, doing: str) -> None:
        """A step begins."""

    def found(self, found: Found) -> None:
        """There is a device."""


class Quiet:
    """Nobody wants to know."""

    def expect(self, steps: int) -> None:
        """Nothing to do."""

    def step(self, doing: str) -> None:
        """Nothing to do."""

    def found(self, found: Found) -> None:
        """Nothing to do."""


async def survey(targets: Iterable[Target], options: Options, report: Report, progress: Progress) -> None:
    """Search all targets at the same time, a few hosts at once; `report` is filled as things are found."""
    room = asyncio.Semaphore(HOSTS_AT_ONCE)

    async def network(target: Target) -> None:
        async with room:
            await _Search(target, options, report, progress).network()

    async with asyncio.TaskGroup() as group:
        for target in targets:
            serial = target.link.kind == "serial"
            search = _Search(target, options, report, progress).tty() if serial else network(target)
            group.create_task(search)


class _Search:
    """The search of one place."""

    def __init__(self, target: Target, options: Options, report: Report, progress: Progress) -> None:
        self._target = target
        self._options = options
        self._report = report
        self._progress = progress
        self._heard: dict[int, set[int]] = {}

    async def tty(self) -> None:
        """Every speed and unit id. Somebody else's tty is left alone."""
        target, report = self._target, self._report
        other = other_program(target.link.path)
        if other is not None:
            report.passed.append(Passed(target.place, f"in use by {other}"))
            return
        options = self._options
        chosen = speeds(options.drivers) if target.speed is None else (target.speed,)
        try:
            for number, units in enumerate(options.passes):
                if number and self._heard:
                    report.shortened.append(target.place)
                    break
                self._progress.expect(len(chosen) * len(units))
                for speed in chosen:
                    await self._at_speed(speed, units)
        except LinkDown as error:
            report.passed.append(Passed(target.place, _bare(str(error), f"serial:{target.link.path}: ")))
            return
        finally:
            self._forget_echoes()
        if not self._heard:
            report.silent.append(target.place)

    def _forget_echoes(self) -> None:
        """A virtual line has no speed: what was recognised at one is no stranger at another."""
        endpoint = self._target.link.endpoint
        known = {each.unit for each in self._report.found if each.link.endpoint == endpoint}
        self._report.strangers[:] = [
            each for each in self._report.strangers if each.link.endpoint != endpoint or each.unit not in known
        ]

    async def network(self) -> None:
        """Every unit id behind one TCP address, over one connection at a time."""
        target, report, options = self._target, self._report, self._options
        passes = options.passes[:1] if target.one_of_many else options.passes
        try:
            async with self._bus(target.link) as interviewer:
                for number, units in enumerate(passes):
                    if number and self._heard:
                        report.shortened.append(target.place)
                        break
                    self._progress.expect(len(units))
                    await self._units(interviewer, target.link, units, options.drivers)
        except LinkDown as error:
            if self._heard or not target.one_of_many:
                report.passed.append(Passed(target.place, _bare(str(error), f"{target.link}: ")))
            return
        if not self._heard:
            report.silent.append(target.place)

    async def _at_speed(self, speed: Speed, units: Sequence[int]) -> None:
        """The units that have not been heard at this baud rate, by the drivers of this baud rate."""
        options, target = self._options, self._target
        known = self._heard.get(speed.baud, set())
        for _ in known.intersection(units):
            self._progress.step(target.place)
        drivers = tuple(driver for driver in options.drivers if driver.baud == speed.baud) or options.drivers
        link = replace(target.link, baud=speed.baud, stop=speed.stop)
        async with self._bus(link) as interviewer:
            await self._units(interviewer, link, without(units, known), drivers)

    async def _units(
        self, interviewer: Interviewer, link: LinkAddress, units: Sequence[int], drivers: tuple[Driver, ...]
    ) -> None:
        """Ask each unit, and once more those whose answer came late. Raises LinkDown."""
        question, statistics = first_question(drivers), interviewer.bus.statistics
        serial = link.kind == "serial"
        short, long = short_patience(drivers, 0.0 if serial else NETWORK_WAIT), long_patience(drivers)
        if not serial:
            short, long = replace(short, connect=CONNECT_TIME), replace(long, connect=CONNECT_TIME)
        late: list[int] = []
        before = 0
        for unit in units:
            self._progress.step(f"{self._target.place} {f'{link.baud} baud ' if serial else ''}unit {unit}")
            answers = statistics.late_answers
            try:
                there = await interviewer.is_there(unit, question, short, long)
            except LinkDown:
                if serial or not self._heard:
                    raise
                # A gateway may answer for one unit and hang up on another.
                continue
            if there:
                await self._meet(interviewer, link, unit, drivers)
            if before and statistics.late_answers > answers:
                late.append(before)
            before = unit
        for unit in late:
            if unit not in self._heard.get(link.baud, ()) and await interviewer.is_there(unit, question, long, long):
                await self._meet(interviewer, link, unit, drivers)
        if statistics.foreign_frames and self._target.place not in self._report.shared:
            self._report.shared.append(self._target.place)

    async def _meet(self, interviewer: Interviewer, link: LinkAddress, unit: int, drivers: tuple[Driver, ...]) -> None:
        """Somebody is there: who?"""
        self._heard.setdefault(link.baud, set()).add(unit)
        verdict = await interviewer.recognise(unit, drivers)
        if not isinstance(verdict, Recognised):
            self._report.strangers.append(Stranger(link, unit, verdict))
            return
        if link.kind == "serial":
            link = serial_link(link.path, link.baud, link.stop, verdict.driver)
        found = Found(verdict.driver, link, unit, verdict.identity)
        self._report.found.append(found)
        self._progress.found(found)

    @asynccontextmanager
    async def _bus(self, link: LinkAddress) -> AsyncIterator[Interviewer]:
        """A bus of our own while the block runs."""
        bus = make_bus(link)
        task = asyncio.create_task(bus.run())
        try:
            yield Interviewer(bus)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _bare(why: str, prefix: str) -> str:
    return why.removeprefix(prefix)
