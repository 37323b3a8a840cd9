"""Limits in the charger's RAM (slave control, tristar.md §3.1): imposed, renewed on a timer of their own, taken back.

A limit that is not renewed in time ends in a fault that stops charging, so whatever was imposed is taken back: when
nobody wants it, on a clean stop, and at the next start after a crash.
"""

import asyncio
import logging
import math
from collections.abc import Mapping, Sequence

from heliobus.control.channel import Channel, floor_word, is_positive
from heliobus.control.limits import Setpoint
from heliobus.control.plant import Plant
from heliobus.control.store import StoreError
from heliobus.devices.encode import decode
from heliobus.devices.terminal import RejectedError, TerminalError
from heliobus.model import vocabulary as v
from heliobus.model.point import Value
from heliobus.model.reading import Reading

log = logging.getLogger("heliobus.control")

SECTION = "slave"
RETRY = 2.0
"""How soon a write whose answer was lost is tried again while the device answers at all."""
GRACE = 10.0
"""How long after a start a limit that was found is left alone, for whoever imposed it to come back."""
STORE = "store"
BUSY_PAUSE = 1.0
DISK_TIME = 1.0
"""How long a limit waits for the disk, in seconds."""
PASSING = frozenset({5, 6, 10, 11})
"""Exceptions of a device that is busy, and of a gateway that got no answer: the write may have arrived."""
SETTLE = 1.0
"""Time for the device to leave slave control before it is asked again."""
TRIES = 4
CLEAR_AFTER = 2
"""After this many tries the fault is cleared by its coil as well."""
ON_ITS_OWN = frozenset({3, 4, 5, 7})
"""Charger states in which it charges by its own settings."""


class SlaveMode:
    """Imposes a set-point on one device, and takes it back."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        slave = plant.writes.slave
        assert slave is not None
        self._slave = slave
        # The current comes first and goes last: a voltage is never imposed without the current's limit.
        self._channels = (Channel(slave.amps), Channel(slave.volts))
        noted = plant.store.section(SECTION).get("engaged")
        for channel in self._channels:
            channel.used = isinstance(noted, list) and channel.name in noted
        self._wanted: Setpoint | None = None
        self._source = ""
        self._looked_back = self._quiet = False
        self._left_until = self._checked = -math.inf
        self._complaints: set[str] = set()
        self._shown: Mapping[str, Value] = {}
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()

    def want(self, setpoint: Setpoint | None) -> None:
        """Impose `setpoint` from now on; None lets the charger go back to its own settings."""
        if setpoint != self._wanted:
            self._wanted = setpoint
            self._wake.set()

    def observe(self, reading: Reading) -> None:
        """Take a reading: a fault and a charger that goes its own way are seen to at once."""
        if not self._looked_back:
            self._wake.set()
            return
        now, in_use = _now(), bool(self._in_use())
        faults, state = (reading.values.get(each.point.name) for each in (self._slave.faults, self._slave.state))
        faulted = isinstance(faults, int) and bool(faults >> self._slave.timeout_fault & 1)
        own_way = reading.values.get(v.CHARGER_STATE.name) in ON_ITS_OWN
        astray = faulted or (own_way if in_use else state == self._slave.active)
        if not astray or now < self._checked + self._slave.renewal:
            return
        self._checked = now
        for channel in self._channels:
            channel.used |= not in_use
            channel.doubt = channel.failing = True
            channel.due = now
        self._wake.set()

    async def run(self) -> None:
        """Impose, renew and take back until cancelled; call `release` afterwards."""
        while True:
            self._wake.clear()
            pause = await self._turn()
            self._publish()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def release(self, timeout: float) -> bool:
        """Take everything back within `timeout` seconds and stay quiet until `resume`; whether it is certain."""
        self._quiet = True
        try:
            async with asyncio.timeout(timeout), self._writing:
                known = self._looked_back or await self._look_back()
                return await self._take_back(last=True) if self._in_use() else known
        except TimeoutError:
            log.error("%s: its limits could not be taken back within %.0f s", self._plant.name, timeout)
            return False
        finally:
            self._publish()

    def resume(self) -> None:
        """Impose again what is wanted."""
        self._quiet = False
        self._wake.set()

    def values(self) -> Mapping[str, Value]:
        """What is imposed now, in V and A as the device has it, and for whom; None and "" where nothing is."""
        amps, volts = (self._imposed(channel) for channel in self._channels)
        return {
            v.CONTROL_SOURCE.name: "" if amps is None and volts is None else self._source,
            v.CONTROL_VOLTAGE.name: volts,
            v.CONTROL_CURRENT.name: amps,
        }

    def _imposed(self, channel: Channel) -> Value:
        # After the device's own time-out what it took no longer holds.
        if channel.word is None or _now() > channel.taken + self._slave.timeout:
            return None
        return decode(channel.register, channel.word, self._plant.factors())

    def _in_use(self) -> list[Channel]:
        return [channel for channel in self._channels if channel.used]

    async def _turn(self) -> float:
        """Do what is due; how long the next thing may wait, in seconds."""
        if self._quiet or self._plant.busy.locked():
            return BUSY_PAUSE
        renewal = self._slave.renewal
        async with self._writing:
            if not self._looked_back and not await self._look_back():
                return RETRY if self._plant.answers else renewal
            wanted = self._wanted
            if wanted is not None:
                return await self._impose(wanted)
            wait = self._left_until - _now()
            if self._in_use() and wait > 0:
                return wait
            if self._in_use():
                await self._take_back()
            else:
                await self._note([])
            return renewal

    async def _look_back(self) -> bool:
        """Find out what a session before this one left in the device; False while that cannot be said."""
        slave = self._slave
        if not (self._plant.answers or self._quiet):
            return False
        try:
            words = await self._plant.terminal.words((slave.amps, slave.volts, slave.state, slave.faults))
        except TerminalError as error:
            self._complain("silent", f"it cannot be seen whether it is steered: {error}")
            return False
        left = [channel for channel in self._channels if is_positive(words[channel.name])]
        if not left and not self._is_free(words):
            left = list(self._channels)
        for channel in left:
            channel.used = True
        if self._in_use():
            log.warning("%s: limits of a session before this one are still there", self._plant.name)
            self._left_until = -math.inf if self._is_faulted(words) else _now() + GRACE
        self._looked_back = True
        return True

    async def _impose(self, wanted: Setpoint) -> float:
        """Write what is due, release what is no longer wanted; seconds until the next is due."""
        begins = not self._in_use()
        blocked = self._blocked() if begins else None
        if blocked is not None:
            self._complain("blocked", f"cannot be steered: {blocked}")
            return self._slave.renewal
        words = self._words(wanted)
        if words is None:
            return self._slave.renewal
        await self._note([channel.name for channel in self._channels if channel.used or channel in words])
        doubt = False
        for channel in self._channels:
            word = words.get(channel)
            if (word is None and not channel.used) or _now() < channel.due_for(word):
                continue
            if word is None:
                await self._drop(channel)
            else:
                doubt |= channel.doubt
                await self._tell(channel, word)
        if doubt and not any(channel.failing for channel in words):
            await self._lift_fault(words)
        self._source = wanted.source
        if begins and self._in_use():
            log.info("%s: is steered by %s", self._plant.name, wanted.source)
        moments = [
            channel.due_for(words.get(channel)) for channel in self._channels if channel.used or channel in words
        ]
        return min(max(0.0, min(moments, default=math.inf) - _now()), self._slave.renewal)

    def _blocked(self) -> str | None:
        """Why the device takes no writes, None if it does."""
        return None if self._plant.host is None else self._plant.writes.network_guard(self._plant.values)

    def _words(self, wanted: Setpoint) -> dict[Channel, int] | None:
        """The words of a set-point, never more than it says; None while a scale is not known."""
        words = {}
        for channel, value in zip(self._channels, (wanted.amps, wanted.volts), strict=True):
            if value is None:
                continue
            word = floor_word(channel.register, value, self._plant.factors())
            if word is None:
                return None
            words[channel] = word
        return words

    async def _tell(self, channel: Channel, word: int) -> None:
        """Write one register; read it back where it changes or is in doubt."""
        check = channel.doubt or word != channel.word
        if not await self._write(channel, word):
            return
        channel.word = word
        if not check:
            return
        held = await self._held(channel)
        channel.doubt = held is None
        if held is not None and held != word:
            channel.word = None
            self._failed(channel, "not held", f"{channel.name} was written, but reads back 0x{held:04X}")

    async def _drop(self, channel: Channel) -> None:
        """Release one register while the other goes on."""
        channel.word = None
        if not await self._write(channel, self._slave.release):
            return
        held = await self._held(channel)
        if held is None or is_positive(held):
            self._failed(channel, "not released", f"{channel.name} was released, but that cannot be seen yet")
            return
        channel.used = False
        channel.doubt = True
        await self._note([each.name for each in self._in_use()])

    async def _lift_fault(self, words: Mapping[Channel, int]) -> None:
        """A write leaves the time-out fault; where it does not, the fault's coil does. The limits stay."""
        terminal = self._plant.terminal
        self._checked = _now()
        for attempt in range(1, TRIES + 1):
            try:
                found = await terminal.words((self._slave.state, self._slave.faults))
                if not self._is_faulted(found):
                    self._settled()
                    return
                if attempt >= CLEAR_AFTER:
                    await terminal.write_coil(self._slave.clear, True)
            except TerminalError as error:
                log.debug("%s: %s", self._plant.name, error)
            await asyncio.sleep(SETTLE)
            for channel, word in words.items():
                await self._write(channel, word)
        self._complain("fault", "the slave control fault stays although its limits are renewed")

    async def _take_back(self, *, last: bool = False) -> bool:
        """Release every used register; True when the device is seen to be on its own and without the fault.

        `last`: there may be no other occasion, so it is tried also where nobody is seen to answer.
        """
        plant, slave = self._plant, self._slave
        why, faulted = "", False
        for channel in self._channels:
            channel.word, channel.doubt = None, True
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(SETTLE)
            try:
                if faulted and attempt >= CLEAR_AFTER:
                    await plant.terminal.write_coil(slave.clear, True)
                for channel in reversed(self._in_use()):
                    channel.sent = _now()
                    await plant.terminal.write_word(channel.register, slave.release, once=False)
                words = await plant.terminal.words((slave.state, slave.faults))
            except TerminalError as error:
                why = str(error)
                if _is_final(error) or not (plant.answers or last):
                    break
                continue
            if self._is_free(words):
                await self._be_free()
                return True
            faulted = self._is_faulted(words)
            why = "the slave control fault stays" if faulted else "it stays in slave control"
        self._complain("stuck", f"its limits cannot be taken back yet: {why}")
        return False

    async def _be_free(self) -> None:
        for channel in self._channels:
            channel.used = channel.failing = False
        self._checked = _now()
        await self._note([])
        self._settled()
        self._plant.refresh((self._slave.state.point.name, self._slave.faults.point.name))
        log.info("%s: charges by its own settings again", self._plant.name)

    async def _write(self, channel: Channel, word: int) -> bool:
        """One write; False, with the next try planned, when it came to nothing."""
        was_used, channel.used = channel.used, True
        channel.sent = _now()
        try:
            await self._plant.terminal.write_word(channel.register, word, once=False)
        except RejectedError as error:
            channel.used = was_used or not _is_final(error)
            self._failed(channel, "rejected", f"its limits are refused: {error}")
            return False
        except TerminalError as error:
            late = channel.sent > channel.taken + 2 * self._slave.renewal
            self._failed(channel, "silent" if late else "", f"its limits cannot be renewed: {error}")
            if self._plant.answers:
                channel.due = _now() + RETRY
            return False
        channel.failing = False
        channel.taken = _now()
        channel.due = channel.sent + self._slave.renewal
        if not any(each.failing for each in self._in_use()):
            # Whether these are over is seen elsewhere.
            self._settled("fault", "stuck", "not held", "not released", STORE)
        return True

    async def _held(self, channel: Channel) -> int | None:
        """The register's word, fresh from the device; None where it does not say."""
        try:
            return (await self._plant.terminal.words((channel.register,)))[channel.name]
        except TerminalError as error:
            log.debug("%s: %s", self._plant.name, error)
            return None

    async def _note(self, engaged: Sequence[str]) -> None:
        """Have on disk which registers may hold a limit."""
        try:
            async with asyncio.timeout(DISK_TIME):
                await self._plant.store.keep(SECTION, {"engaged": list(engaged)} if engaged else {})
        except (StoreError, TimeoutError) as error:
            # The next start also finds what is left by asking the device; a battery's limit must not wait for a disk.
            self._complain(STORE, f"it cannot be remembered that it is steered: {error or 'the disk does not answer'}")
        else:
            self._complaints.discard(STORE)

    def _failed(self, channel: Channel, kind: str, why: str) -> None:
        channel.failing = channel.doubt = True
        channel.due = channel.sent + self._slave.renewal
        if kind:
            self._complain(kind, why)

    def _complain(self, kind: str, why: str) -> None:
        """Say what is wrong, once until it is over."""
        if kind not in self._complaints:
            self._complaints.add(kind)
            log.warning("%s: %s", self._plant.name, why)

    def _settled(self, *but: str) -> None:
        """Say that it is over, but for complaints of the kinds `but`."""
        over = self._complaints.difference(but)
        if over:
            self._complaints -= over
            log.info("%s: takes its limits again", self._plant.name)

    def _is_faulted(self, words: Mapping[str, int]) -> bool:
        return bool(words[self._slave.faults.point.name] >> self._slave.timeout_fault & 1)

    def _is_free(self, words: Mapping[str, int]) -> bool:
        return words[self._slave.state.point.name] != self._slave.active and not self._is_faulted(words)

    def _publish(self) -> None:
        """Tell who shows it when it has changed."""
        values = self.values()
        if values != self._shown:
            self._shown = values
            self._plant.changed()


def _is_final(error: TerminalError) -> bool:
    """Whether the device itself says no."""
    return isinstance(error, RejectedError) and error.code not in PASSING


def _now() -> float:
    return asyncio.get_running_loop().time()
