"""Care of a charger's own network server: a restart each night, and one when it hangs (tristar.md §1.1, §1.8, §6)."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from heliobus.control.plant import Plant
from heliobus.control.store import StoreError
from heliobus.devices.driver import Register
from heliobus.devices.morningstar import http_cgi
from heliobus.devices.morningstar.http_cgi import HttpCgiError
from heliobus.devices.terminal import RejectedError, TerminalError
from heliobus.devices.writes import Coil
from heliobus.model import vocabulary as v
from heliobus.model.localtime import LocalTime
from heliobus.model.point import Value

log = logging.getLogger("heliobus.control")

SECTION = "server"
ORIGIN = "nightly"
WINDOW = 300.0
"""Seconds from the full hour in which the nightly restart may begin."""
LONGEST_SLEEP = 30.0
"""The wall clock may step, and a device fall silent, without a word to this task."""
BUSY_PAUSE = 5.0
SILENCE = 60.0
"""Seconds without an answer after which the server may be taken for hung."""
BUSY_SILENCE = 300.0
"""The same while settings are written: without its server back that can never end."""
REPEAT = 3600.0
"""Least seconds between two restarts of a hung server."""
PROBE_PERIOD = 300.0
"""Seconds between two looks by HTTP."""
SECOND_TRY = 5.0
"""A link that has just failed is not tried again before."""


def due_night(now: float, local: LocalTime, hour: int) -> str | None:
    """The local date (ISO) whose nightly restart may begin at UTC `now`, None outside its window. Pure.

    The window opens when the local time of a date first reaches `hour`: on the day on which that hour is skipped it is
    the next one, on the day on which it comes twice the first.
    """
    if hour < 0:
        return None
    here, before = local(now), local(now - WINDOW)
    if here.hour < hour or (before.date() == here.date() and before.hour >= hour):
        return None
    return here.date().isoformat()


def to_full_hour(now: float, local: LocalTime) -> float:
    """Seconds from UTC `now` to the next full local hour. Pure."""
    here = local(now)
    return 3600.0 - 60.0 * here.minute - here.second - here.microsecond / 1e6


class ServerCare:
    """The care of one device's server. `unit` is the device's Modbus unit.

    `press` presses its restart button over Modbus, once, for the origin it is given, and says whether it was pressed.
    The restart of a hung server goes by HTTP, and nothing else ever does.
    """

    def __init__(self, plant: Plant, press: Callable[[str], Awaitable[bool]], *, unit: int = 1) -> None:
        self._plant = plant
        self._press = press
        self._unit = unit
        kept = plant.store.section(SECTION)
        self._night = str(kept.get("night", ""))
        self._restarted_at = _number(kept.get("restarted_at"))
        self._resets = int(_number(kept.get("resets")) or 0)
        self._silent_since: float | None = None
        self._probe_at = 0.0
        self._said: set[str] = set()

    def values(self) -> Mapping[str, Value]:
        """How often the server was restarted, over all nights and hangs."""
        return {v.SERVER_RESETS.name: self._resets}

    async def run(self) -> None:
        """Take care until cancelled."""
        coil = self._plant.writes.server_reset
        if coil is None or self._plant.host is None:
            return
        while True:
            await self._nightly()
            await self._look(self._plant.host, coil)
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        plant = self._plant
        now = plant.clock.time()
        if self._tonight() is not None and plant.busy.locked():
            return BUSY_PAUSE
        return max(min(LONGEST_SLEEP, to_full_hour(now, plant.local())), 0.1)

    def _tonight(self) -> str | None:
        """The night whose restart is still to come and may begin now."""
        plant = self._plant
        night = due_night(plant.clock.time(), plant.local(), plant.options.server.nightly_reset)
        return None if night == self._night else night

    async def _nightly(self) -> None:
        plant, night = self._plant, self._tonight()
        if night is None or not plant.answers or plant.busy.locked():
            return
        self._night = night
        blocked = plant.writes.network_guard(plant.values)
        if blocked is not None:
            self._say("blocked", f"no nightly restart of the network server: {blocked}")
            return
        if not await self._remember("the nightly restart of the network server is left out"):
            return
        log.info("%s: nightly restart of the network server", plant.name)
        if await self._press(ORIGIN):
            await self._count()

    async def _look(self, host: str, coil: Coil) -> None:
        """Find out whether the server hangs, and restart it if it does."""
        plant, now = self._plant, asyncio.get_running_loop().time()
        if plant.answers or not plant.options.server.reset_when_hung:
            self._silent_since = None
            return
        if self._silent_since is None:
            self._silent_since = self._probe_at = now
            self._said -= {"unreachable", "stays"}
        silent = now - self._silent_since
        if silent <= (BUSY_SILENCE if plant.busy.locked() else SILENCE) or now < self._probe_at or self._lately():
            return
        self._probe_at = now + PROBE_PERIOD
        if await self._hangs(host):
            await self._restart(host, coil, silent)

    def _lately(self) -> bool:
        """Whether a hung server was restarted within the hour; a clock that was set back does not shorten it."""
        last = self._restarted_at
        return last is not None and abs(self._plant.clock.time() - last) < REPEAT

    async def _hangs(self, host: str) -> bool:
        """Whether the device answers by HTTP while it does not by Modbus."""
        plant, port = self._plant, self._plant.options.server.http_port
        witness = self._witness()
        try:
            await http_cgi.read_registers(host, port, self._unit, witness.address, witness.count)
        except HttpCgiError as error:
            if error.code is None:
                self._say("unreachable", f"answers neither by Modbus nor by HTTP ({error}): nothing to do but wait")
                return False
        # The poller asks a silent device once a minute only; after a power cut it may be back unnoticed.
        return not (await self._answers(witness) or await self._answers_later(witness) or plant.answers)

    async def _answers_later(self, witness: Register) -> bool:
        await asyncio.sleep(SECOND_TRY)
        return await self._answers(witness)

    async def _answers(self, witness: Register) -> bool:
        try:
            await self._plant.terminal.words([witness])
        except RejectedError:
            return True
        except TerminalError:
            return False
        return True

    def _witness(self) -> Register:
        """The register that is asked for as a sign of life: the charge state."""
        writes, registers = self._plant.writes, self._plant.terminal.driver.registers
        if writes.eeprom is not None:
            return writes.eeprom.state
        return registers[0] if writes.slave is None else writes.slave.state

    async def _restart(self, host: str, coil: Coil, silent: float) -> None:
        plant = self._plant
        before, self._restarted_at = self._restarted_at, plant.clock.time()
        if not await self._remember("its hung Modbus server is not restarted"):
            self._restarted_at = before
            return
        try:
            await http_cgi.press_coil(host, plant.options.server.http_port, self._unit, coil.address)
        except HttpCgiError as error:
            if error.code is not None or not error.sent:
                self._say("stays", f"its Modbus server hangs, but cannot be restarted: {error}")
                return
        log.warning(
            "%s: its Modbus server hangs: it has been silent for %.0f s, but HTTP answers; restarted by HTTP",
            plant.name,
            silent,
        )
        await self._count()

    async def _count(self) -> None:
        self._resets += 1
        self._plant.changed()
        await self._remember("a restart of its network server is not counted")

    async def _remember(self, otherwise: str) -> bool:
        """Have night, time and count on disk; False, with a line that says what follows, if that fails."""
        section: dict[str, Any] = {"night": self._night, "restarted_at": self._restarted_at, "resets": self._resets}
        try:
            await self._plant.store.keep(SECTION, section)
        except StoreError as error:
            self._say("store", f"{otherwise}: {error}")
            return False
        return True

    def _say(self, subject: str, what: str) -> None:
        """A line for the log, once for each subject."""
        if subject not in self._said:
            self._said.add(subject)
            log.warning("%s: %s", self._plant.name, what)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) else None
