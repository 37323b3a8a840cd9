"""EEPROM bears a limited number of writes, nobody says how many (tristar.md §4.5.5): they are counted and rationed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from heliobus.control.plant import Plant
from heliobus.devices.driver import Register

SECTION = "eeprom"


class Endurance:
    """The writes of one device, kept in its store."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    @property
    def counts(self) -> dict[str, int]:
        """Writes by register (`0xE000`)."""
        counts = self._section.get("counts")
        if not isinstance(counts, Mapping):
            return {}
        return {str(name): number for name, number in counts.items() if type(number) is int and number > 0}

    @property
    def total(self) -> int:
        """Registers written in the device's life, as far as is known here."""
        return sum(self.counts.values())

    def refusal(self, now: float, *, spaced: bool = True) -> str | None:
        """Why settings should not be changed at `now` (UTC seconds since 1970), and from when on; None if they may.

        `spaced`: also because the last change was so lately.
        """
        limits = self._plant.options.eeprom
        today = self._local(now)
        wait = self._last + limits.interval - now
        # A wait longer than the interval means that the clock was wrong then, or is now.
        if spaced and 0 < wait <= limits.interval:
            until = self._local(self._last + limits.interval)
            day = "" if until.date() == today.date() else f"{until:%Y-%m-%d} "
            return (
                f"settings were changed at {self._local(self._last):%H:%M}, and the device's memory wears out "
                f"([device.eeprom] interval): "
                f"not before {day}{until:%H:%M}"
            )
        if self._today(today) >= limits.daily:
            return (
                f"settings were changed {limits.daily} times today, as often as allowed, "
                "and the device's memory wears out: not before tomorrow, 00:00"
            )
        return None

    async def book(self, registers: Iterable[Register], now: float, *, again: bool = False) -> None:
        """Count one write of each of `registers`, before they happen; `again`: for a change that is counted already.

        Raises StoreError.
        """
        counts = Counter(self.counts)
        counts.update(f"0x{register.address:04X}" for register in registers)
        today = self._local(now)
        section: dict[str, Any] = {
            "counts": dict(counts),
            "last": self._last if again else now,
            "day": today.date().isoformat(),
            "changes": self._today(today) + (not again),
        }
        await self._plant.store.keep(SECTION, section)

    @property
    def _section(self) -> Mapping[str, Any]:
        return self._plant.store.section(SECTION)

    @property
    def _last(self) -> float:
        last = self._section.get("last")
        return float(last) if isinstance(last, int | float) else float("-inf")

    def _today(self, today: datetime) -> int:
        """Changes begun on this day so far."""
        number = self._section.get("changes")
        same = self._section.get("day") == today.date().isoformat()
        return number if same and type(number) is int else 0

    def _local(self, moment: float) -> datetime:
        return self._plant.local()(moment)
