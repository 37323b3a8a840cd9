"""Who limits the charger: its owner, a GX over DVCC (venus.md §5.4), and whoever offers a limit for a time."""

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.control.limits import Limit
from heliobus.control.plant import Plant
from heliobus.control.store import StoreError
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value

log = logging.getLogger("heliobus.control")

REMOTE_TIMEOUT = 60.0
"""How long what a GX writes holds, in seconds; it writes every 3 s while DVCC is on."""
EXTERNAL_CONTROL, BMS = 4, 8
"""Bits of the network mode."""
SECTION = "limits"
USER, DVCC, BMS_MISSING = "user", "DVCC", "BMS missing"

KEPT = (v.CHARGE_VOLTAGE_LIMIT, v.CHARGE_CURRENT_LIMIT, v.BMS_REQUIRED)
REMOTE = (v.REMOTE_NETWORK_MODE, v.REMOTE_CHARGE_VOLTAGE, v.REMOTE_CHARGE_CURRENT)
_KEPT_NAMES = frozenset(point.name for point in KEPT)
_REMOTE_NAMES = frozenset(point.name for point in REMOTE)


@dataclass(frozen=True, slots=True)
class _Timed:
    """A number that holds until a moment of the loop's time."""

    number: float
    until: float


class Sources:
    """Everybody's limits for one charger. All that is kept survives a restart; what is remote or offered runs out."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        section = plant.store.section(SECTION)
        self._kept = {point.name: _number(section.get(point.name)) or 0.0 for point in KEPT}
        self._remote: dict[str, _Timed] = {}
        self._offers: dict[str, tuple[Limit, float]] = {}
        self._unsaved = False
        self._steered = False

    def take(self, name: str, value: Value) -> None:
        """Take a value for the point `name`; what is no number from 0 on is not taken. Voltage and current: V, A."""
        number = _number(value)
        if number is None:
            return
        if name in _KEPT_NAMES:
            self._unsaved |= self._kept[name] != number
            self._kept[name] = number
        elif name in _REMOTE_NAMES:
            # Also when the value is the same: it is the writing that shows somebody is there.
            self._remote[name] = _Timed(number, _now() + REMOTE_TIMEOUT)
        else:
            raise ValueError(f"{name} limits nothing")
        self.review()
        self._plant.changed()

    def offer(self, limit: Limit, valid_for: float) -> None:
        """Let `limit` hold for `valid_for` seconds, in place of what its source offered before.

        Offers come from a battery's own management, so they are what `bms_required` waits for.
        """
        self._offers[limit.source] = limit, _now() + valid_for
        self._plant.changed()

    async def save(self) -> None:
        """Have on disk what is kept. Raises StoreError."""
        if not self._unsaved:
            return
        self._unsaved = False
        try:
            await self._plant.store.keep(SECTION, dict(self._kept))
        except StoreError:
            self._unsaved = True
            raise

    def review(self) -> None:
        """Drop what has run out, and say so when a GX takes over or falls silent."""
        now = _now()
        self._remote = {name: timed for name, timed in self._remote.items() if now < timed.until}
        self._offers = {name: offer for name, offer in self._offers.items() if now < offer[1]}
        steered = self._dvcc() is not None
        if steered is self._steered:
            return
        self._steered = steered
        if steered:
            log.info("%s: DVCC takes over", self._plant.name)
        elif self._fresh(v.REMOTE_NETWORK_MODE) is None:
            log.warning("%s: DVCC has fallen silent", self._plant.name)
        else:
            log.info("%s: DVCC lets go", self._plant.name)

    def limits(self) -> tuple[Limit, ...]:
        """What everybody allows now."""
        limits = [limit for limit, until in self._offers.values() if _now() < until]
        dvcc = self._dvcc()
        # A battery that is said to be there, but gives no limit, protects nothing.
        if self._kept[v.BMS_REQUIRED.name] and not limits and not (self._mode() & BMS and dvcc is not None):
            limits.append(Limit(BMS_MISSING, amps=0.0))
        if dvcc is not None:
            limits.append(dvcc)
        user = self.user()
        return (*limits, user) if user.volts is not None or user.amps is not None else tuple(limits)

    def user(self) -> Limit:
        """What the owner allows."""
        volts, amps = self._kept[v.CHARGE_VOLTAGE_LIMIT.name], self._kept[v.CHARGE_CURRENT_LIMIT.name]
        return Limit(USER, volts or None, amps or None)

    def next_expiry(self) -> float | None:
        """When the next limit runs out, in the loop's time."""
        moments = [timed.until for timed in self._remote.values()] + [until for _, until in self._offers.values()]
        return min(moments, default=None)

    def values(self) -> Mapping[str, Value]:
        """The points that say who limits what; a remote one is None when it does not hold (the mode 0)."""
        return {
            v.CHARGE_VOLTAGE_LIMIT.name: self._kept[v.CHARGE_VOLTAGE_LIMIT.name],
            v.CHARGE_CURRENT_LIMIT.name: self._kept[v.CHARGE_CURRENT_LIMIT.name],
            v.BMS_REQUIRED.name: int(self._kept[v.BMS_REQUIRED.name]),
            v.REMOTE_NETWORK_MODE.name: self._mode(),
            v.REMOTE_CHARGE_VOLTAGE.name: self._fresh(v.REMOTE_CHARGE_VOLTAGE),
            v.REMOTE_CHARGE_CURRENT.name: self._fresh(v.REMOTE_CHARGE_CURRENT),
        }

    def _dvcc(self) -> Limit | None:
        """The GX's limit while it is in control."""
        volts, amps = self._fresh(v.REMOTE_CHARGE_VOLTAGE), self._fresh(v.REMOTE_CHARGE_CURRENT)
        if not self._mode() & (EXTERNAL_CONTROL | BMS) or (volts is None and amps is None):
            return None
        return Limit(DVCC, volts, amps)

    def _mode(self) -> int:
        # Venus demands a valid number from the start.
        return int(self._fresh(v.REMOTE_NETWORK_MODE) or 0)

    def _fresh(self, point: Point) -> float | None:
        timed = self._remote.get(point.name)
        return timed.number if timed is not None and _now() < timed.until else None


def _number(value: object) -> float | None:
    """A number from 0 on, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < math.inf else None


def _now() -> float:
    return asyncio.get_running_loop().time()
