"""Top charge: once up to a voltage, until the battery takes no more, or time is up."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from heliobus.control.limits import NO_CURRENT, NO_VOLTAGE, Bounds, Limit, Setpoint, highest_amps
from heliobus.control.plant import Plant
from heliobus.control.store import StoreError
from heliobus.model import vocabulary as v
from heliobus.model.control_options import TopChargeOptions
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading

log = logging.getLogger("heliobus.control")

SECTION, SOURCE = "top_charge", "top charge"
SILENCE = 60.0
"""A charger that has not answered for so long may be anywhere: the top charge ends. Seconds."""
SAVE_INTERVAL = 60.0
NOT_CHARGING = (None, 0, 2)
"""Charger states in which a small current says nothing about the battery: unknown, off, fault."""
EQUALIZING = 7
FULL = "the battery is full"
NO_OPTIONS = "no top-charge voltage is set: give one under [device.top_charge] in the config"
BUSY_EQUALIZING = "an equalize is requested or runs: cancel it first"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a top charge is, in seconds: since its start, at the voltage in all, and with only a tail current since.

    `tail` is None while the current is larger, or the voltage is not there. `ended` says why it is over, else empty.
    """

    elapsed: float = 0.0
    at_voltage: float = 0.0
    tail: float | None = None
    holding: bool = False
    ended: str = ""


def step(
    progress: Progress, reading: Reading, dt: float, options: TopChargeOptions, allowed: float | None = None
) -> Progress:
    """Progress `dt` seconds later. `allowed`: the current imposed on the charger, in amperes, None for none.

    The charger regulates to the voltage, so it is there when less than the tolerance is missing. Without sun, or under
    a current limit as small as the tail, a small current does not tell that the battery is full.
    """
    values = reading.values
    volts, amps = values.get(v.BATTERY_VOLTAGE.name), values.get(v.BATTERY_CURRENT.name)
    charging = values.get(v.CHARGER_STATE.name) not in NOT_CHARGING
    there = isinstance(volts, int | float) and volts >= options.voltage - options.tolerance
    holding = charging and there
    small = isinstance(amps, int | float) and amps < options.tail_current
    telling = holding and small and (allowed is None or allowed > options.tail_current)
    tail = None if not telling else 0.0 if progress.tail is None else progress.tail + dt
    at_voltage = progress.at_voltage + dt if holding else progress.at_voltage
    elapsed = progress.elapsed + dt
    ended = ""
    if tail is not None and tail >= options.tail_time:
        ended = FULL
    elif at_voltage >= options.time_limit:
        ended = f"{options.time_limit / 60:.0f} min at the voltage are over"
    elif elapsed >= options.wait_limit:
        ended = f"it was not done within {options.wait_limit / 3600:.1f} h"
    return Progress(elapsed, at_voltage, tail, holding, ended)


def equalize_in_the_way(values: Mapping[str, Value]) -> bool:
    """Whether an equalize is requested or runs."""
    return values.get(v.EQUALIZE_REQUESTED.name) == 1 or values.get(v.CHARGER_STATE.name) == EQUALIZING


class TopCharge:
    """The top charge of one device; it goes on after a restart."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        section = plant.store.section(SECTION)
        self._progress: Progress | None = None
        self._started = 0.0
        self._seen = self._heard = 0.0
        self._setpoint: Setpoint | None = None
        self._last = _text(section.get("last"))
        self._ended = _text(section.get("ended"))
        self._saved_at = 0.0
        self._due_to_save = False
        self._remembered = section if section.get("running") is True else None

    @property
    def running(self) -> bool:
        """Whether one is under way."""
        return self._progress is not None

    def refusal(self, bounds: Bounds | None) -> str | None:
        """Why none can be started now; `bounds` are those of the charger, None where they are not known."""
        plant = self._plant
        options = plant.options.top_charge
        if options is None:
            return NO_OPTIONS
        if bounds is None:
            return NO_CURRENT if highest_amps(plant.values, plant.options) is None else NO_VOLTAGE
        if not bounds.lowest <= options.voltage <= bounds.highest:
            return (
                f"its voltage of {options.voltage:.2f} V is not within the {bounds.lowest:.2f} to "
                f"{bounds.highest:.2f} V that are allowed: change it under [device.top_charge] in the config"
            )
        return BUSY_EQUALIZING if equalize_in_the_way(plant.values) else None

    def start(self, now: float) -> None:
        """Begin, at loop time `now`; nothing if one is under way or there are no options."""
        options = self._plant.options.top_charge
        if self._progress is None and options is not None:
            self._begin(Progress(), now, self._plant.clock.time())
            log.info("%s: top charge to %.2f V begins", self._plant.name, options.voltage)

    def stop(self, why: str) -> None:
        """End it; `why` completes "ended: "."""
        if self._progress is None:
            return
        self._progress = None
        self._setpoint = None
        self._ended = why
        if why == FULL:
            self._last = datetime.fromtimestamp(self._plant.clock.time(), UTC).isoformat(timespec="seconds")
        self._due_to_save = True
        log.info("%s: top charge ended: %s", self._plant.name, why)
        self._plant.changed()

    def resume(self, now: float) -> None:
        """Go on with what a restart interrupted, if its time is not over."""
        remembered, self._remembered = self._remembered, None
        options = self._plant.options.top_charge
        if remembered is None or self._progress is not None:
            return
        started, at_voltage = _number(remembered.get("started")), _number(remembered.get("at_voltage"))
        elapsed = self._plant.clock.time() - started
        if options is None or not 0 <= elapsed < options.wait_limit:
            self._ended = "a restart interrupted it for too long"
            self._due_to_save = True
            return
        self._begin(Progress(elapsed=elapsed, at_voltage=at_voltage), now, started)
        log.info("%s: top charge to %.2f V goes on", self._plant.name, options.voltage)

    def target(self) -> Limit | None:
        """The voltage it asks for."""
        options = self._plant.options.top_charge
        return Limit(SOURCE, options.voltage) if self._progress is not None and options is not None else None

    def imposed(self, setpoint: Setpoint | None) -> None:
        """Hear what the charger is told, all limits considered."""
        self._setpoint = setpoint

    def observe(self, reading: Reading) -> None:
        """Take a reading."""
        options, progress = self._plant.options.top_charge, self._progress
        if progress is None:
            return
        if options is None:
            self.stop("it is no longer in the config")
            return
        now = _now()
        if _speaks(reading):
            self._heard = now
        if equalize_in_the_way(reading.values):
            self.stop("an equalize was requested")
            return
        allowed = None if self._setpoint is None else self._setpoint.amps
        self._progress = step(progress, reading, now - self._seen, options, allowed)
        self._seen = now
        self._due_to_save |= now >= self._saved_at + SAVE_INTERVAL
        if self._progress.ended:
            self.stop(self._progress.ended)
        self._plant.changed()

    def next_due(self) -> float | None:
        """When `review` is due at the latest, in the loop's time."""
        return None if self._progress is None else self._heard + SILENCE

    def review(self) -> None:
        """End it when the charger has been silent for too long."""
        if self._progress is None or _now() < self._heard + SILENCE:
            return
        reading = self._plant.reading()
        if reading is not None and _speaks(reading):
            # It is asked so rarely that what it said last still holds.
            self._heard = _now()
        else:
            self.stop("the charger fell silent")

    async def save(self) -> None:
        """Have on disk how far it is: at its start and end, and once a minute. Raises StoreError."""
        if not self._due_to_save:
            return
        self._due_to_save = False
        self._saved_at = _now()
        section: dict[str, Value | bool] = {"last": self._last, "ended": self._ended, "running": self.running}
        if self._progress is not None:
            section |= {"started": self._started, "at_voltage": round(self._progress.at_voltage)}
        try:
            await self._plant.store.keep(SECTION, section)
        except StoreError:
            self._due_to_save = True
            raise

    def values(self) -> Mapping[str, Value]:
        """Whether it runs, what it does, the time left (None when none runs), and when it last filled the battery."""
        options = self._plant.options.top_charge
        left = None
        status = f"ended: {self._ended}" if self._ended else ""
        if self._progress is not None and options is not None:
            left = round(_left(self._progress, options))
            status = self._status(self._progress, options)
        return {
            v.TOP_CHARGE.name: int(self.running),
            v.TOP_CHARGE_STATUS.name: status,
            v.TOP_CHARGE_TIME_LEFT.name: left,
            v.TOP_CHARGE_LAST.name: self._last or None,
        }

    def _begin(self, progress: Progress, now: float, started: float) -> None:
        self._progress = replace(progress, tail=None)
        self._started = started
        self._seen = self._heard = now
        self._ended = ""
        self._due_to_save = True
        self._plant.changed()

    def _status(self, progress: Progress, options: TopChargeOptions) -> str:
        wanted = f"{options.voltage:.2f} V"
        setpoint = self._setpoint
        if setpoint is not None and setpoint.amps == 0:
            return f"waiting: {setpoint.source} allows no charging"
        if setpoint is not None and setpoint.volts is not None and setpoint.volts < options.voltage:
            who = "the charger's own bounds allow" if setpoint.source == SOURCE else f"{setpoint.source} allows"
            return f"waiting: {who} only {setpoint.volts:.2f} V of {wanted}"
        if progress.tail is not None:
            return f"holding {wanted}, the current is below {options.tail_current:g} A"
        if progress.holding:
            return f"holding {wanted} until the current is below {options.tail_current:g} A"
        return f"charging to {wanted}"


def _left(progress: Progress, options: TopChargeOptions) -> float:
    """Seconds until it ends at the latest."""
    left = options.wait_limit - progress.elapsed
    if progress.holding:
        left = min(left, options.time_limit - progress.at_voltage)
    return max(0.0, left)


def _speaks(reading: Reading) -> bool:
    return reading.health is not Health.OFFLINE and reading.values.get(v.BATTERY_VOLTAGE.name) is not None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()
