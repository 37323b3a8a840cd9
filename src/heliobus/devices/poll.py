"""Polls one device: recognises it, reads its blocks in their rhythm, and says when values no longer hold."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from heliobus.devices.driver import Driver, NotOurs, Poll, Recognised
from heliobus.devices.identify import (
    GATEWAY_EXCEPTIONS,
    PASSING_EXCEPTIONS,
    UNSUPPORTED_EXCEPTIONS,
    Refused,
    identify,
)
from heliobus.devices.image import Image, Slot
from heliobus.devices.learned import Learned, who
from heliobus.devices.plan import Block, Cost, plan
from heliobus.model import vocabulary as v
from heliobus.model.clock import Clock, SystemClock
from heliobus.model.reading import Health, Reading, Reason
from heliobus.wire.bus import Bus, BusError, Timing
from heliobus.wire.health import Change, HealthMachine
from heliobus.wire.modbus.answer import ModbusException

log = logging.getLogger("heliobus.devices")

NORMAL_PERIOD, SLOW_PERIOD, ONCE_PERIOD = 30.0, 3600.0, 86400.0
STATISTICS_PERIOD = 60.0
STRANGER_PAUSE = 60.0
RETRY_SHARE = 0.25
"""After a miss the next try is due after this share of the period, so that one lost frame blanks nothing."""
QUICK_RETRIES = 2
"""Tries at that pace; then the pause doubles each time, up to the period."""
LONGEST_RETRY = 7.5
FAILURE_PAUSE = 60.0
"""After the quick tries a block that the device has always failed at is tried this much later, then ever less."""
FIRST_WITHIN = 60.0
"""Seconds in which what was never read is read though others are late for it; until then it waits for them.

So devices that appear together are read one after the other, each to its end, between what others read in rhythm.
"""
SILENCE = 2
"""Misses in a row after which a device may have been without power."""
WATCH_PERIOD = 5.0
"""How often what is under control is read."""
PROBE_CEILING = 2.0
"""How long an offline device may take to answer where others wait for the same line, in seconds.

A serial line is drained for as long again; together that is less than the usual period, so nobody's values go stale.
"""


class Listener(Protocol):
    """Who wants to know what comes of polling. All calls return at once."""

    def recognised(self, recognised: Recognised) -> None:
        """The device said who it is; called again when another device answers at its place."""

    def read(self, reading: Reading) -> None:
        """There is a new reading, or the old one no longer holds."""

    def silent(self, why: str) -> None:
        """The device has gone offline, or was not there when it was looked for."""

    def stranger(self, why: str) -> None:
        """Something else answers at its place."""


class Poller:
    """Polls the device with id `unit` on `bus` every `period` seconds and tells `listener`, under the name `name`.

    The points `watched` are read every WATCH_PERIOD at least, whatever their poll class.
    """

    def __init__(
        self,
        bus: Bus,
        unit: int,
        driver: Driver,
        cost: Cost,
        listener: Listener,
        *,
        name: str,
        period: float | None = None,
        clock: Clock | None = None,
        watched: frozenset[str] = frozenset(),
    ) -> None:
        self._watched = watched
        self._image: Image | None = None
        self._waiting: asyncio.Future[bool] | None = None
        self._bus = bus
        self._unit = unit
        self._driver = driver
        self._cost = cost
        self._listener = listener
        self._name = name
        self._period = period or driver.poll_period
        self._clock = clock or SystemClock()
        self._health = HealthMachine()
        self._expiry: asyncio.TimerHandle | None = None
        self._counted = float("-inf")
        self._answered_at = 0.0
        self._serving: Driver | None = None
        self._complaint = ""
        self._learned = Learned()
        self._unsupported: list[str] = []
        self._quiet = SILENCE
        self._settled = float("-inf")

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            while True:
                await self._serve(await self._recognise())
        except asyncio.CancelledError:
            # After any other exception the values on show still have to cease to hold in their time.
            self._disarm()
            raise

    def refresh(self, names: Iterable[str]) -> None:
        """Read these points as soon as the line is free, after what was just written."""
        if self._image is None:
            return
        wanted = frozenset(names)
        now = asyncio.get_running_loop().time()
        for slot in self._image.slots:
            if any(register.point.name in wanted for register in slot.block.registers):
                # Its deadline is now, whatever its rhythm.
                slot.due = min(slot.due, now - slot.period)
        if self._waiting is not None:
            _settle(self._waiting, False)

    async def _recognise(self) -> Driver:
        """Ask who is there until it is one of ours; returns the declaration that fits."""
        while True:
            await asyncio.sleep(self._health.probe_delay())
            refused: Refused = set()
            try:
                verdict = await identify(self._bus, self._unit, self._driver, self._probe_timing(), refused)
            except (BusError, ModbusException) as error:
                self._missed(error)
                if self._health.state is not Health.OFFLINE:
                    await asyncio.sleep(self._retry_pause(self._period, 1))
                continue
            if isinstance(verdict, NotOurs):
                await self._shun(verdict.why)
                continue
            if self._learned.who != who(verdict):
                self._learned = Learned(who(verdict))
            self._serving = verdict.driver
            self._hit()
            if asyncio.get_running_loop().time() >= self._settled:
                self._learned.refused |= refused - self._learned.served
            self._listener.recognised(verdict)
            return verdict.driver

    def _probe_timing(self) -> Timing:
        timing = self._driver.timing
        if self._health.state is Health.OFFLINE and len(self._bus.statistics.units) > 1:
            return replace(timing, ceiling=min(timing.ceiling, PROBE_CEILING))
        return timing

    async def _shun(self, why: str) -> None:
        """Say once what is wrong with what answers here, and leave it alone for a while."""
        if why != self._complaint:
            log.error("%s: %s", self._name, why)
            self._complaint = why
        self._listener.stranger(why)
        await asyncio.sleep(STRANGER_PAUSE)

    async def _serve(self, driver: Driver) -> None:
        """Read all blocks in their rhythm until the device is offline."""
        loop = asyncio.get_running_loop()
        image = self._image = Image(driver)
        now = loop.time()
        image.add(
            Slot(block, self._period_of(block), now) for block in plan(driver.registers, driver.limits, self._cost)
        )
        self._learned.apply(image)
        self._counted = float("-inf")
        while image.slots:
            slot = _next(image.slots, loop.time())
            if not await self._is_due(slot):
                continue
            try:
                # Nothing else is asked meanwhile, so a patient block waits no longer than the most urgent one may.
                deadline = min(each.deadline for each in image.slots) + (FIRST_WITHIN if slot.new else 0.0)
                slot.new = False
                answer = await self._bus.ask(self._unit, slot.request, timing=driver.timing, due=deadline)
            except (BusError, ModbusException) as error:
                if self._failed(image, slot, error):
                    return
                continue
            self._hit()
            now = loop.time()
            if now < self._settled:
                self._disbelieve(image, slot, now)
                continue
            if not slot.served:
                self._learned.served.add(slot.request)
            image.answer(slot, tuple(int(word) for word in answer) if slot.block.table <= 2 else answer, now)
            slot.due = slot.next_due(now)
            self._answered_at = self._clock.time()
            if image.complete:
                self._complaint = ""
                self._publish(image)
        # Nothing but exceptions is another device, or one in a mood: it is asked for everything anew.
        self._learned = Learned()
        await self._shun("the device refuses every register")

    def _disbelieve(self, image: Image, slot: Slot, now: float) -> None:
        """Let pass what came right after silence; it was asked for only to notice when there is silence again."""
        slot.due = min(slot.next_due(now), self._settled)
        if image.forget():
            self._publish(image)

    async def _is_due(self, slot: Slot) -> bool:
        """Wait until `slot` is due; False when another one has to be looked for first."""
        loop = asyncio.get_running_loop()
        if slot.due <= loop.time():
            return True
        # As asyncio.sleep does it, but `refresh` can end it.
        self._waiting = loop.create_future()
        timer = loop.call_at(slot.due, _settle, self._waiting, True)
        try:
            return await self._waiting
        finally:
            timer.cancel()
            self._waiting = None

    def _failed(self, image: Image, slot: Slot, error: BusError | ModbusException) -> bool:
        """Deal with a request that failed; True when the device is offline by now."""
        now = asyncio.get_running_loop().time()
        stubborn = False
        if isinstance(error, ModbusException) and error.code not in GATEWAY_EXCEPTIONS:
            self._hit()
            if now < self._settled:
                self._disbelieve(image, slot, now)
                return False
            # A block that was answered before is served; then a refusal is a passing mood of the device.
            if error.code in UNSUPPORTED_EXCEPTIONS and not slot.served:
                self._refused(image, slot, error)
                return False
            stubborn = error.code not in PASSING_EXCEPTIONS and not slot.served
        elif slot.block.poll is _most_frequent(image.slots):
            # Only what is read most often tells whether the device is there: it may serve the rest badly or not at all.
            self._missed(error)
        complete = image.complete
        slot.misses += 1
        slot.due = now + (_failure_pause(slot.misses) if stubborn else self._retry_pause(slot.period, slot.misses))
        if self._health.state is Health.OFFLINE:
            return True
        if image.complete and not complete:
            self._publish(image)
        return False

    def _retry_pause(self, period: float, misses: int) -> float:
        """How long to wait after that many misses in a row."""
        first = min(RETRY_SHARE * min(period, self._period), LONGEST_RETRY)
        return min(period, first * 2.0 ** min(max(0, misses - QUICK_RETRIES), 20))

    def _refused(self, image: Image, slot: Slot, error: ModbusException) -> None:
        self._learned.refused.add(slot.request)
        if image.refuse(slot):
            return
        log.debug("%s: %s", self._name, error)
        self._unsupported += [register.point.name for register in slot.block.registers]
        if image.complete and image.slots:
            self._publish(image)

    def _period_of(self, block: Block) -> float:
        usual = {
            Poll.FAST: self._period,
            Poll.NORMAL: max(NORMAL_PERIOD, self._period),
            Poll.SLOW: max(SLOW_PERIOD, self._period),
            Poll.ONCE: max(ONCE_PERIOD, self._period),
        }[block.poll]
        if any(register.point.name in self._watched for register in block.registers):
            return min(usual, WATCH_PERIOD)
        return usual

    def _hit(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._quiet >= SILENCE and self._serving is not None:
            self._settled = now + self._serving.settling
        self._quiet = 0
        change = self._health.hit(now)
        if change is not None and change.healed:
            log.warning("%s: answers again after %.0f s", self._name, change.lasted)

    def _missed(self, error: BusError | ModbusException) -> None:
        self._quiet += 1
        change: Change | None = self._health.miss(asyncio.get_running_loop().time(), str(error))
        if change is not None and change.broke:
            log.warning("%s: no answer, shown as not connected: %s", self._name, error)
            self._publish_silence()
            self._listener.silent(str(error))

    def _publish(self, image: Image) -> None:
        if self._unsupported:
            log.info("%s: not supported: %s", self._name, ", ".join(self._unsupported))
            self._unsupported.clear()
        loop_time = asyncio.get_running_loop().time()
        if loop_time - self._counted >= STATISTICS_PERIOD:
            self._counted = loop_time
            self._count(image, loop_time)
        values, reasons = image.snapshot()
        self._listener.read(Reading(self._name, self._answered_at, values, reasons, self._health.state))
        self._arm(image)

    def _publish_silence(self) -> None:
        self._disarm()
        if self._serving is None:
            return
        points = self._serving.points()
        reading = Reading(
            self._name,
            self._answered_at,
            dict.fromkeys(points),
            dict.fromkeys(points, Reason.OFFLINE),
            Health.OFFLINE,
        )
        self._listener.read(reading)

    def _count(self, image: Image, now: float) -> None:
        bus = self._bus.statistics
        unit = bus.unit(self._unit)
        latency = None if unit.latency is None else round(1000 * unit.latency, v.BUS_LATENCY.decimals)
        image.set(v.BUS_REQUESTS.name, unit.requests)
        image.set(v.BUS_TIMEOUTS.name, unit.timeouts)
        image.set(v.BUS_BAD_FRAMES.name, unit.bad_frames)
        image.set(v.BUS_REFUSALS.name, unit.refusals)
        image.set(v.BUS_LATENCY.name, latency)
        image.set(v.BUS_LOAD.name, round(100 * bus.load(now), v.BUS_LOAD.decimals))
        image.set(v.BUS_FOREIGN_FRAMES.name, bus.foreign_frames)
        image.set(v.BUS_RECONNECTS.name, bus.reconnects)

    def _arm(self, image: Image) -> None:
        """Have values voided the moment they cease to hold, whatever the bus is waiting for."""
        self._disarm()
        expires = image.expires()
        if expires is not None:
            self._expiry = asyncio.get_running_loop().call_at(expires, self._expire, image)

    def _expire(self, image: Image) -> None:
        if image.expire(asyncio.get_running_loop().time()):
            self._publish(image)
        else:
            self._arm(image)

    def _disarm(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None


def _next(slots: Sequence[Slot], now: float) -> Slot:
    """Of what is due the slot with the earliest deadline: blocks read rarely never hold up the frequent ones."""
    first = min(slots, key=lambda slot: slot.due)
    if first.due > now:
        return first
    return min((slot for slot in slots if slot.due <= now), key=lambda slot: slot.deadline)


def _settle(waiting: "asyncio.Future[bool]", due: bool) -> None:
    if not waiting.done():
        waiting.set_result(due)


def _failure_pause(misses: int) -> float:
    """How long to wait after the device has failed that often at what it never did."""
    if misses <= QUICK_RETRIES:
        return RETRY_SHARE * LONGEST_RETRY
    return min(SLOW_PERIOD, FAILURE_PAUSE * 2.0 ** min(misses - QUICK_RETRIES - 1, 20))


def _most_frequent(slots: Sequence[Slot]) -> Poll:
    """The class of what is read most often, whatever is watched."""
    classes = {slot.block.poll for slot in slots}
    return next(poll for poll in Poll if poll in classes)
