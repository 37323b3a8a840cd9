"""Guard and watchdog of the equalize charge, which ruins lithium and sealed batteries (tristar.md §4.3, §6)."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from heliobus.control.controls import equalize_lock, highest_voltage
from heliobus.control.plant import Plant
from heliobus.control.store import StoreError
from heliobus.devices.morningstar import points as ts
from heliobus.devices.morningstar.writes import CUSTOM_PROGRAM
from heliobus.model import vocabulary as v
from heliobus.model.control_options import EqualizeOptions
from heliobus.model.point import Point, Value
from heliobus.model.reading import Reading

log = logging.getLogger("heliobus.control")

SECTION = "equalize"
FAULT, EQUALIZE, EXTERNAL = 2, 7, 252
"""Numbers of `charger_state`."""
NO_EQUALIZE_PROGRAM = 0
HIGHEST_PRESET = 16.0
"""The highest equalize voltage of a fixed battery program, for 12 V nominal (tristar.md §5.4)."""
DONE = "done"
GRACE = 60.0
"""Seconds in which the device must show a request, or that it is gone."""
KEEP_PERIOD = 60.0
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Run:
    """One equalize, from its request on. `ours`: requested through Heliobus; `seen`: the device has shown it.

    `since` is UTC; `waited` are the seconds since then or since it last ran, `ran` those in which it did. `base` is the
    device's day counter when it began to run, `cancelled` why it is being ended.
    """

    ours: bool
    since: float
    seen: bool = False
    running: bool = False
    waited: float = 0.0
    ran: float = 0.0
    base: float | None = None
    cancelled: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What the device shows of an equalize: °C, and the seconds of its day counter."""

    requested: bool
    running: bool
    celsius: float | None
    counter: float | None

    @property
    def active(self) -> bool:
        """Whether there is one."""
        return self.requested or self.running


def look(values: Mapping[str, Value]) -> Sight | None:
    """What `values` show, None where that is not known now. Pure."""
    requested, state = values.get(v.EQUALIZE_REQUESTED.name), values.get(v.CHARGER_STATE.name)
    if requested is None or state is None:
        return None
    celsius, counter = _number(values, v.BATTERY_TEMPERATURE), _number(values, v.TIME_EQUALIZE_COUNTER)
    return Sight(bool(requested), state == EQUALIZE, celsius, counter)


def follow(run: Run | None, sight: Sight, seconds: float, now: float, needed: float | None) -> tuple[Run | None, str]:
    """The run after `seconds` more, and in words how it ended if it did. Pure.

    The device never ends by itself before it has run for the `needed` seconds, None where they are not known.
    """
    if run is None:
        return (Run(False, now, True, sight.running) if sight.active else None), ""
    if not sight.active:
        if not run.seen:
            waiting = replace(run, waited=run.waited + seconds)
            return (waiting, "") if waiting.waited <= GRACE else (None, "cancelled: the charger did not take it")
        return None, _ending(run, seconds, needed)
    if not sight.running:
        return replace(run, seen=True, running=False, waited=run.waited + seconds), ""
    if not run.running:
        base = sight.counter if run.base is None else run.base
        return replace(run, seen=True, running=True, waited=0.0, base=base), ""
    return replace(run, ran=run.ran + seconds), ""


def _ending(run: Run, seconds: float, needed: float | None) -> str:
    if run.cancelled:
        return f"cancelled: {run.cancelled}"
    ran = run.ran + (seconds if run.running else 0.0)
    if not ran:
        return "cancelled: not by Heliobus, before it ran"
    if needed is not None and ran + GRACE < needed:
        return f"cancelled: not by Heliobus, after {ran / 60:.0f} min"
    return DONE


def overdue(run: Run, sight: Sight, options: EqualizeOptions, locked: str) -> str:
    """Why the run must be cancelled now, empty if it need not. One that is not ours is only watched. Pure."""
    if run.cancelled or not run.ours:
        return run.cancelled
    if locked:
        return locked
    if sight.running and sight.celsius is not None and sight.celsius > options.hottest:
        return f"the battery is at {sight.celsius:g} °C, above the {options.hottest:g} °C of equalize.hottest"
    if run.ran > options.time_limit:
        return f"it has run for the {options.time_limit / 3600:g} h of equalize.time_limit"
    if run.waited > options.wait_limit:
        return f"it has waited for sun for the {options.wait_limit / 3600:g} h of equalize.wait_limit"
    return ""


def time_left(run: Run, counter: float | None, duration: float | None, limit: float) -> float | None:
    """Seconds until a running equalize ends at the latest, None while it does not run or nothing bounds it. Pure.

    `duration` is the device's own setting, which its day counter is measured against.
    """
    if not run.running:
        return None
    bounds = [limit - run.ran] if run.ours else []
    if duration is not None and counter is not None:
        base = run.base or 0.0
        # A counter below its start has begun a new day.
        bounds.append(duration - (counter - base if counter >= base else counter))
    return max(0.0, min(bounds)) if bounds else None


class Equalize:
    """The guard and watchdog of one device.

    `cancel` ends the equalize for the reason it is given, as a command does; it says so in the log, and what went
    wrong. `steered` says whether anything steers the charger by slave control.
    """

    def __init__(
        self, plant: Plant, cancel: Callable[[str], Awaitable[None]], steered: Callable[[], bool] = lambda: False
    ) -> None:
        self._plant = plant
        self._cancel = cancel
        self._steered = steered
        kept = plant.store.section(SECTION)
        self._run = _run(kept.get("run"))
        self._ended = str(kept.get("ended", ""))
        self._done = _finite(kept.get("done"))
        self._kept_at = _finite(kept.get("at"))
        self._seen_at: float | None = None
        self._cancel_at = self._keep_at = 0.0
        self._urgent = False
        self._news = asyncio.Event()
        self._shown: Mapping[str, Value] = {}

    def locked(self) -> str:
        """Why an equalize is never started, by the options alone; empty if it may be."""
        return equalize_lock(self._plant.options)

    def refusal(self, on: int) -> str | None:
        """Why an equalize may not be started (or ended) now and what to change, None if it may."""
        plant = self._plant
        if not plant.answers:
            return "the charger does not answer"
        if not on:
            return None
        return self.locked() or self._by_program() or self._by_state() or self._by_battery() or None

    async def commanded(self, on: int, origin: str = "command") -> None:
        """A command is about to start or end it; `origin` says whose. Call it before the coil is written.

        Raises StoreError when a start cannot be remembered: then it must not begin.
        """
        run, now = self._run, self._plant.clock.time()
        if on:
            self._run = Run(True, now) if run is None else replace(run, ours=True, cancelled="")
            self._seen_at = asyncio.get_running_loop().time()
            try:
                await self._keep()
            except StoreError:
                self._run = run
                raise
        elif run is not None and not run.cancelled:
            self._run = replace(run, cancelled=f"by {origin}")
            self._cancel_at = asyncio.get_running_loop().time() + GRACE
            await self._keep_if_possible()
        self._show()

    def observe(self, reading: Reading) -> None:
        """Follow what the device does; call it with every reading. `run` acts on it."""
        sight = look(reading.values)
        if sight is not None:
            self._follow(sight)
            self._news.set()
        self._show()

    async def run(self) -> None:
        """Keep what was observed and cancel what is overdue, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._cancel_overdue()
            if self._urgent or (self._run is not None and asyncio.get_running_loop().time() >= self._keep_at):
                await self._keep_if_possible()

    def values(self) -> Mapping[str, Value]:
        """What the equalize does, or how the last one ended, and the seconds until it ends at the latest."""
        run, plant, locked = self._run, self._plant, self.locked()
        if run is not None and self._seen_at is None:
            # It was so before a restart; nobody has looked since.
            return {v.EQUALIZE_TIME_LEFT.name: None, v.EQUALIZE_STATUS.name: None}
        if run is None:
            return {
                v.EQUALIZE_TIME_LEFT.name: None,
                v.EQUALIZE_STATUS.name: f"locked: {locked}" if locked else self._ended,
            }
        duration = plant.number(ts.SET_EQUALIZE_TIME) if self._custom else None
        counter = plant.number(v.TIME_EQUALIZE_COUNTER)
        left = time_left(run, counter, duration, plant.options.equalize.time_limit)
        status = f"cancelling: {run.cancelled}" if run.cancelled else "running" if run.running else "waiting for sun"
        if not run.ours:
            status += ", not started by Heliobus"
        return {v.EQUALIZE_TIME_LEFT.name: left, v.EQUALIZE_STATUS.name: status}

    @property
    def _custom(self) -> bool:
        return self._plant.values.get(ts.BATTERY_PROGRAM.name) == CUSTOM_PROGRAM

    def _by_program(self) -> str:
        plant = self._plant
        program, volts = plant.number(ts.BATTERY_PROGRAM), plant.number(ts.SET_EQUALIZE_VOLTAGE)
        if program is None:
            return "it is not known yet which battery program the settings switches choose"
        if program == NO_EQUALIZE_PROGRAM:
            return "the battery program of switches 4, 5 and 6 has no equalize: choose another one"
        highest = highest_voltage(plant.options)
        if program != CUSTOM_PROGRAM:
            nominal = plant.options.system_voltage or plant.number(v.NOMINAL_VOLTAGE)
            if plant.options.highest_voltage is None or (nominal and highest >= HIGHEST_PRESET * nominal / 12):
                return ""
            return (
                f"the battery program of switches 4, 5 and 6 may equalize at more than the {highest:.2f} V that are "
                "allowed: choose the custom program, all three on"
            )
        if volts is None:
            return ""
        if volts == 0:
            return f"the charger has no equalize voltage: set {ts.SET_EQUALIZE_VOLTAGE.name} first"
        if volts > highest:
            return f"the charger's equalize voltage of {volts:.2f} V is above the {highest:.2f} V that are allowed"
        return ""

    def _by_state(self) -> str:
        plant = self._plant
        state = plant.values.get(v.CHARGER_STATE.name)
        if state is None:
            return "it is not known yet what the charger does"
        if state == FAULT:
            return f"the charger has a fault ({plant.values.get(v.FAULT_TEXT.name) or 'unknown'}): clear it first"
        if plant.values.get(v.CHARGER_ENABLED.name) == 0:
            return f"the charger is disconnected: set {v.CHARGER_ENABLED.name} to 1 first"
        if state == EXTERNAL or self._steered():
            return "the charger is under external control, by a limit, a top charge or the GX: end that first"
        return ""

    def _by_battery(self) -> str:
        options, celsius = self._plant.options.equalize, self._plant.number(v.BATTERY_TEMPERATURE)
        if celsius is not None and celsius > options.hottest:
            return f"the battery is at {celsius:g} °C, above the {options.hottest:g} °C of equalize.hottest"
        days = self._days_since()
        if self._run is None and days is not None and days < options.interval:
            return (
                f"the last equalize was {days:.0f} days ago, less than the {options.interval:g} "
                "of interval_days under [device.equalize]"
            )
        return ""

    def _days_since(self) -> float | None:
        """By the device, which counts once a day, and by what was seen here, whichever is less."""
        counted = self._plant.number(v.DAYS_SINCE_EQUALIZE)
        days = [] if counted is None else [counted]
        if self._done is not None:
            # A clock that was set back must not make it long ago.
            days.append(max(0.0, self._plant.clock.time() - self._done) / DAY)
        return min(days, default=None)

    def _follow(self, sight: Sight) -> None:
        now, moment = self._plant.clock.time(), asyncio.get_running_loop().time()
        before = self._run
        if self._seen_at is not None:
            seconds = moment - self._seen_at
        else:
            # What went on while Heliobus was not running counts too.
            seconds = 0.0 if self._kept_at is None else max(0.0, now - self._kept_at)
        self._seen_at = moment
        self._run, ended = follow(before, sight, seconds, now, self._needed())
        if ended:
            self._ended = ended
            self._done = now if ended == DONE else self._done
            log.info("%s: equalize %s", self._plant.name, ended)
        if self._run is not None and before is None:
            self._name_stranger()
        self._urgent |= _phase(before) != _phase(self._run)

    def _needed(self) -> float | None:
        plant = self._plant
        known = (plant.number(point) for point in (ts.SET_EQUALIZE_TIME, ts.SET_EQUALIZE_LIMIT))
        return min((each for each in known if each is not None), default=None) if self._custom else None

    def _name_stranger(self) -> None:
        locked = self.locked()
        words = f"; {locked}" if locked else ""
        level = logging.WARNING if locked else logging.INFO
        log.log(level, "%s: an equalize was requested, not by Heliobus: it is watched only%s", self._plant.name, words)

    async def _cancel_overdue(self) -> None:
        plant, run, moment = self._plant, self._run, asyncio.get_running_loop().time()
        sight = look(plant.values)
        if run is None or sight is None or not sight.active or moment < self._cancel_at or plant.busy.locked():
            return
        why = overdue(run, sight, plant.options.equalize, self.locked())
        if not why:
            return
        self._cancel_at = moment + GRACE
        self._run = replace(run, cancelled=why)
        await self._keep_if_possible()
        await self._cancel(why)

    async def _keep_if_possible(self) -> None:
        try:
            await self._keep()
        except StoreError as error:
            log.warning("%s: the equalize cannot be remembered: %s", self._plant.name, error)

    async def _keep(self) -> None:
        self._urgent = False
        self._keep_at = asyncio.get_running_loop().time() + KEEP_PERIOD
        run = None if self._run is None else asdict(self._run)
        section: dict[str, Any] = {"run": run, "ended": self._ended, "done": self._done}
        section["at"] = self._plant.clock.time()
        await self._plant.store.keep(SECTION, section)

    def _show(self) -> None:
        values = self.values()
        if values != self._shown:
            self._shown = values
            self._plant.changed()


def _phase(run: Run | None) -> tuple[bool, ...]:
    return () if run is None else (run.ours, run.seen, run.running)


def _number(values: Mapping[str, Value], point: Point) -> float | None:
    value = values.get(point.name)
    return value if isinstance(value, int | float) else None


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _run(kept: object) -> Run | None:
    """The run that was kept, None if there was none or it makes no sense."""
    if not isinstance(kept, dict):
        return None
    since, waited, ran = (_finite(kept.get(name)) for name in ("since", "waited", "ran"))
    if since is None or waited is None or ran is None:
        return None
    ours, seen, running = (kept.get(name) is True for name in ("ours", "seen", "running"))
    return Run(ours, since, seen, running, waited, ran, _finite(kept.get("base")), str(kept.get("cancelled", "")))
