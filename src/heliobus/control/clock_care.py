"""A device's own clock, which its daily counters follow: set to local time when it is wrong (epever.md §9)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from datetime import time as time_of_day

from heliobus.control import host_clock
from heliobus.control.device_clock import WORST, parsed
from heliobus.control.plant import Plant
from heliobus.devices.terminal import RejectedError, TerminalError
from heliobus.devices.writes import ClockSetting
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Command, Done, Failed, Outcome, Refused

log = logging.getLogger("heliobus.control")

ORIGIN = "clock"
PERIOD, RETRY, WINDOW_PAUSE = 24 * 3600.0, 3600.0, 300.0
FROM, UNTIL = time_of_day(23, 55), time_of_day(0, 5)
"""A step about midnight makes the device count the day twice, or not at all."""
ACCURACY = 5.0
HALF_DAY = timedelta(hours=12)


def refusal(now: datetime, shown: datetime | None) -> str | None:
    """Why a clock that shows `shown` must not be set to `now`, both local without zone; None if it may. Pure."""
    for moment, whose in ((now, "it is"), (shown, "the device has it")):
        if moment is not None and (moment.time() >= FROM or moment.time() < UNTIL):
            return f"{whose} {moment:%H:%M}: a clock is not set between 23:55 and 00:05, where the day's counters end"
    if shown is not None and shown.date() != now.date() and abs(shown - now) < HALF_DAY:
        return f"it is {now:%H:%M}, the device has {shown:%Y-%m-%d %H:%M}: it is set when both have the same day"
    return None


class ClockCare:
    """The clock of one device. `set_clock` gives the command of setting it, for the record.

    `synchronised` says whether the machine's own clock is kept by a time server, None where that cannot be told.
    """

    def __init__(
        self,
        plant: Plant,
        clock: ClockSetting,
        set_clock: Callable[[Command], Awaitable[Outcome]],
        synchronised: Callable[[], bool | None] = host_clock.is_synchronised,
    ) -> None:
        self._plant = plant
        self._clock = clock
        self._set_clock = set_clock
        self._synchronised = synchronised
        self._said = ""
        self._failures = 0

    async def run(self) -> None:
        """Look at the clock at the start and once a day, until cancelled."""
        while True:
            pause = await self._look()
            await asyncio.sleep(pause)

    def refusal(self) -> str | None:
        """Why the clock would not be set now, by what is known without asking the device."""
        if not host_clock.is_plausible(self._plant.clock):
            return "this machine does not know the time: its clock was never set"
        now, drift = self._now(), self._plant.number(v.CLOCK_DRIFT)
        # What was read of the clock itself may be hours old.
        return refusal(now, None if drift is None else now + timedelta(seconds=drift))

    async def set(self) -> Outcome:
        """Set it to local time, and read it back."""
        plant, clock = self._plant, self._clock
        try:
            why = refusal(self._now(), await self._shown())
            if why is not None:
                return Refused(why)
            try:
                await plant.terminal.write_clock(clock, clock.encode(self._now()))
            except RejectedError:
                raise
            except TerminalError as error:
                if not error.sent:
                    raise
            after = await self._shown()
        except TerminalError as error:
            return Failed(str(error))
        finally:
            plant.refresh((clock.register.point.name,))
        if after is None or abs((after - self._now()).total_seconds()) > ACCURACY:
            return Failed(f"the clock was set, but reads {after or 'no time'}")
        return Done(1)

    async def change(self) -> tuple[Change, ...] | Failed:
        """What `set` would write, for people."""
        register = self._clock.register
        try:
            shown = await self._shown()
        except TerminalError as error:
            return Failed(str(error))
        now = self._now()
        words = self._clock.encode(now)
        place = f"registers 0x{register.address:04X} to 0x{register.end - 1:04X}, in one request"
        old = None if shown is None else str(shown)
        return (Change(register.point.name, place, old, str(now), None, words[0]),)

    async def _look(self) -> float:
        """Set the clock if it is wrong; the seconds until it is looked at again."""
        plant = self._plant
        if not plant.answers:
            return WINDOW_PAUSE
        try:
            shown = await self._shown()
        except TerminalError as error:
            log.debug("%s: its clock cannot be read: %s", plant.name, error)
            return RETRY
        now = self._now()
        if shown is not None and abs((shown - now).total_seconds()) <= WORST:
            return PERIOD
        if not host_clock.is_plausible(plant.clock) or self._synchronised() is False:
            self._say("its clock is wrong, and is not set: no time server keeps the clock of this machine")
            return RETRY
        if refusal(now, shown) is not None or plant.busy.locked():
            return WINDOW_PAUSE
        self._said = ""
        outcome = await self._set_clock(Command(plant.name, self._clock.point.name, 1, ORIGIN))
        if isinstance(outcome, Done):
            log.info("%s: its clock read %s and was set to %s", plant.name, shown or "no time", now)
            self._failures = 0
            return PERIOD
        # A clock that does not take its time is not written to every hour for years.
        self._failures += 1
        return min(PERIOD, RETRY * 2.0 ** min(self._failures - 1, 10))

    async def _shown(self) -> datetime | None:
        """What the device's clock shows now. Raises TerminalError."""
        register = self._clock.register
        values = await self._plant.terminal.values([register], {})
        return parsed(values[register.point.name])

    def _now(self) -> datetime:
        """Local time without its zone, to the nearest second, as a device has it."""
        plant = self._plant
        return (plant.local()(plant.clock.time() + 0.5)).replace(tzinfo=None, microsecond=0)

    def _say(self, what: str) -> None:
        """A line for the log, once."""
        if self._said != what:
            self._said = what
            log.warning("%s: %s", self._plant.name, what)
