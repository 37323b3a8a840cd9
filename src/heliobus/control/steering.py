"""Steering: brings together who wants what of the charger, and has it imposed."""

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import replace

from heliobus.control.limits import (
    KNOWN,
    NO_CURRENT,
    NO_VOLTAGE,
    Bounds,
    Limit,
    Setpoint,
    bounds,
    combine,
    highest_amps,
    own_voltage,
)
from heliobus.control.plant import Plant
from heliobus.control.slave_mode import SlaveMode
from heliobus.control.sources import Sources
from heliobus.control.store import StoreError
from heliobus.control.top_charge import TopCharge
from heliobus.model import vocabulary as v
from heliobus.model.point import Value
from heliobus.model.reading import Reading

log = logging.getLogger("heliobus.control")

BAND = 0.15
"""A voltage limit that is imposed stays so until the charger's own voltage is so far below it; volts for 12 V nominal.

A temperature that wavers between two degrees must not make it come and go.
"""
VOLTAGES = (v.CHARGE_VOLTAGE_LIMIT.name, v.REMOTE_CHARGE_VOLTAGE.name)
CURRENTS = (v.CHARGE_CURRENT_LIMIT.name, v.REMOTE_CHARGE_CURRENT.name)


class Steering:
    """Sources, top charge and slave mode of one device."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.sources = Sources(plant)
        self.top_charge = TopCharge(plant)
        self.slave_mode = SlaveMode(plant)
        self._known: dict[str, Value] = {}
        self._setpoint: Setpoint | None = None
        self._holding_user = False
        self._save_failed = False
        self._news = asyncio.Event()
        self._remember(plant.values)

    @property
    def steered(self) -> bool:
        """Whether somebody wants anything of the charger now."""
        return self._setpoint is not None

    def refusal(self, name: str, value: Value) -> str | None:
        """Why `value` for the point `name` would be refused now; None if it would not."""
        if not isinstance(value, int | float) or not 0 <= value < math.inf:
            return f"{name} takes a number from 0 on, not {value!r}"
        if name == v.TOP_CHARGE.name:
            return self.top_charge.refusal(self._bounds()) if value and not self.top_charge.running else None
        taken_back = not value and name in (v.CHARGE_VOLTAGE_LIMIT.name, v.CHARGE_CURRENT_LIMIT.name)
        if taken_back or name not in VOLTAGES + CURRENTS:
            return None
        if highest_amps(self._known, self._plant.options) is None:
            return NO_CURRENT
        if name in CURRENTS:
            return None
        allowed = self._bounds()
        if allowed is None:
            return NO_VOLTAGE
        if name == v.CHARGE_VOLTAGE_LIMIT.name and not allowed.lowest <= value <= allowed.highest:
            return (
                f"{name} must be from {allowed.lowest:.2f} to {allowed.highest:.2f} V, "
                f"or 0 for the charger's own; it is not {value:g} V"
            )
        return None

    async def take(self, name: str, value: Value) -> None:
        """Take what `refusal` let pass, and have it on disk where it is kept."""
        self.renew(name, value)
        await self._save()

    def renew(self, name: str, value: Value) -> None:
        """As `take`, for what is not kept: it runs out unless it comes again."""
        if name != v.TOP_CHARGE.name:
            self.sources.take(name, value)
        elif value:
            self.top_charge.start(_now())
        else:
            self.top_charge.stop("stopped by hand")
        self._decide()

    def offer(self, limit: Limit, valid_for: float) -> None:
        """Let a battery's own management limit the charger for `valid_for` seconds."""
        self.sources.offer(limit, valid_for)
        self._decide()

    def observe(self, reading: Reading) -> None:
        """Take a reading. What bounds are made from is remembered over times without one."""
        self._remember(reading.values)
        self.top_charge.observe(reading)
        self._decide()
        self.slave_mode.observe(reading)

    async def run(self) -> None:
        """Steer until cancelled; call `release` afterwards."""
        self.top_charge.resume(_now())
        reading = self._plant.reading()
        if reading is not None:
            self.observe(reading)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.slave_mode.run())
            tasks.create_task(self._follow_time())

    async def release(self, timeout: float) -> bool:
        """Give the charger back to itself within `timeout` seconds, until `resume`; whether it is certain."""
        return await self.slave_mode.release(timeout)

    def resume(self) -> None:
        """Steer again after `release`."""
        self.slave_mode.resume()

    def values(self) -> dict[str, Value]:
        """All that steering says of itself."""
        return {**self.sources.values(), **self.top_charge.values(), **self.slave_mode.values()}

    async def _follow_time(self) -> None:
        """Decide anew when something runs out, and keep what has to be kept."""
        while True:
            self._news.clear()
            await self._save()
            moments = [each for each in (self.sources.next_expiry(), self.top_charge.next_due()) if each is not None]
            try:
                async with asyncio.timeout_at(min(moments, default=None)):
                    await self._news.wait()
            except TimeoutError:
                self.sources.review()
                self.top_charge.review()
                self._decide()

    def _decide(self) -> None:
        """Work out the set-point and have it imposed."""
        setpoint = self._combined()
        if setpoint != self._setpoint:
            self._setpoint = setpoint
            self.top_charge.imposed(setpoint)
            self.slave_mode.want(setpoint)
            self._plant.changed()
        self._news.set()

    def _combined(self) -> Setpoint | None:
        allowed, target = self._bounds(), self.top_charge.target()
        if allowed is not None:
            return combine(self._binding(target), target, allowed)
        # Without a known nominal voltage only currents can be limited; without a rating, only stopped.
        amps = highest_amps(self._known, self._plant.options)
        limits = (replace(limit, volts=None) for limit in self.sources.limits())
        usable = [limit for limit in limits if limit.amps == 0 or amps is not None]
        return combine(usable, None, Bounds(0.0, 0.0, amps or 0.0))

    def _binding(self, target: Limit | None) -> list[Limit]:
        """Everybody's limits, without what the charger keeps by itself of its owner's.

        What is imposed takes the place of the charger's own absorption and float, so an owner's limit above them would
        raise the voltage. Where somebody else sets the voltage, the owner's limit is there to bound that.
        """
        limits = list(self.sources.limits())
        user = self.sources.user()
        others = [limit for limit in limits if limit != user]
        if limits == others:
            self._holding_user = False
            return limits
        rated = self._known.get(v.RATED_CURRENT.name)
        amps, volts = user.amps, user.volts
        if amps is not None and isinstance(rated, int | float) and amps >= rated:
            amps = None
        if target is None and all(limit.volts is None for limit in others):
            volts = self._beside_own(volts)
        return [*others, replace(user, volts=volts, amps=amps)]

    def _beside_own(self, volts: float | None) -> float | None:
        """The owner's voltage limit as it has to be imposed beside the charger's own settings; None if it need not."""
        own = own_voltage(self._known)
        if volts is None or own is None:
            self._holding_user = volts is not None
            return volts
        nominal = self._plant.options.system_voltage or self._known.get(v.NOMINAL_VOLTAGE.name)
        band = BAND * nominal / 12 if self._holding_user and isinstance(nominal, int) else 0.0
        self._holding_user = own > volts - band
        if not self._holding_user:
            return None
        # An equalize that may begin some day must not make absorption of a limit above it.
        absorbing = own_voltage(self._known, equalize=False)
        return volts if absorbing is None else min(volts, absorbing)

    def _remember(self, values: Mapping[str, Value]) -> None:
        self._known |= {name: value for name in KNOWN if (value := values.get(name)) is not None}

    def _bounds(self) -> Bounds | None:
        return bounds(self._known, self._plant.options)

    async def _save(self) -> None:
        """Have on disk what must survive; a disk that fails is told once."""
        try:
            await self.sources.save()
            await self.top_charge.save()
        except StoreError as error:
            if not self._save_failed:
                log.error("%s: limits cannot be remembered over a restart: %s", self._plant.name, error)
            self._save_failed = True
        else:
            self._save_failed = False


def _now() -> float:
    return asyncio.get_running_loop().time()
