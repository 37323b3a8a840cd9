"""What a device last said, block by block, and what of it still holds. Pure: time comes from outside."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from heliobus.devices.decode import Decoder
from heliobus.devices.driver import Driver, no_doubt
from heliobus.devices.plan import Block, halves
from heliobus.model.point import Value
from heliobus.model.reading import Reason
from heliobus.model.vocabulary import SITE_POINTS
from heliobus.wire.modbus.pdu import ReadBits, ReadRegisters

STALE_AFTER = 2
"""Periods after which a value that was not read again no longer holds."""


@dataclass(slots=True, eq=False)
class Slot:
    """A block in the schedule: what to ask, when it is due, when it was last answered (seconds of one clock).

    `served`: the device has answered it at some time, perhaps before an outage. `new`: not asked since it appeared.
    """

    block: Block
    period: float
    due: float
    answered: float | None = None
    misses: int = 0
    served: bool = False
    new: bool = True
    stale: bool = False
    words: Sequence[int] = ()
    request: ReadRegisters | ReadBits = field(init=False)
    decoder: Decoder = field(init=False)

    def __post_init__(self) -> None:
        block = self.block
        self.decoder = Decoder(block)
        if block.table <= 2:
            self.request = ReadBits(block.address, block.count, block.table)
        else:
            self.request = ReadRegisters(block.address, block.count, block.table)

    @property
    def expires(self) -> float | None:
        """When its values cease to hold, if they do now."""
        if self.answered is None or self.stale:
            return None
        return self.answered + STALE_AFTER * self.period

    @property
    def deadline(self) -> float:
        """When it should have been read, which for the first time is at once."""
        return self.due if self.answered is None and not self.misses else self.due + self.period

    def next_due(self, now: float) -> float:
        """The next point of its rhythm after `now`: a missed slot is skipped, not caught up."""
        behind = max(0.0, now - self.due)
        return self.due + self.period * (1 + behind // self.period)


class Image:
    """The present values of all points of one device."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._derived = tuple(point.name for point in driver.derived)
        self._factor_names = driver.factors
        self._doubts = driver.doubt is not no_doubt
        self._withheld: dict[str, Value] = {}
        self._slots: list[Slot] = []
        names = [name for name, point in driver.points().items() if point not in SITE_POINTS]
        self._values: dict[str, Value] = dict.fromkeys(names)
        self._reasons: dict[str, Reason] = dict.fromkeys(names, Reason.STALE)

    @property
    def complete(self) -> bool:
        """Whether every block that the device serves has been answered, or asked for in vain."""
        return all(slot.answered is not None or slot.misses for slot in self._slots)

    @property
    def slots(self) -> Sequence[Slot]:
        """The blocks the device serves."""
        return self._slots

    def add(self, slots: Iterable[Slot]) -> None:
        """Read these blocks too."""
        self._slots.extend(slots)

    def answer(self, slot: Slot, words: Sequence[int], now: float) -> None:
        """`slot` was answered."""
        slot.words, slot.answered, slot.stale, slot.misses, slot.served = words, now, False, 0, True
        before = self._factors()
        self._decode(slot)
        self._conclude()
        for _ in self._factor_names:
            known = self._factors()
            if known == before:
                break
            # What was read earlier, and this very block, is scaled by what is known now; that may tell the next factor.
            before = known
            for each in self._slots:
                if each.answered is not None and not each.stale:
                    self._decode(each)
            self._conclude()

    def refuse(self, slot: Slot) -> Sequence[Slot]:
        """The device refused the block: two smaller slots to try instead, or none, and its points are not supported."""
        self._slots.remove(slot)
        parts = halves(slot.block)
        if parts is None:
            self._void(slot, Reason.NOT_SUPPORTED)
            return ()
        slots = [Slot(part, slot.period, slot.due) for part in parts]
        self._slots.extend(slots)
        return slots

    def expire(self, now: float) -> bool:
        """Void what no longer holds at `now`; True if anything changed."""
        return self._let_go([slot for slot in self._slots if slot.expires is not None and slot.expires <= now])

    def forget(self) -> bool:
        """Void all that was read, until it is read again; True if anything changed."""
        return self._let_go([slot for slot in self._slots if slot.expires is not None])

    def expires(self) -> float | None:
        """When the next value ceases to hold."""
        return min((slot.expires for slot in self._slots if slot.expires is not None), default=None)

    def set(self, name: str, value: Value) -> None:
        """Set a point that is not read from the device."""
        self._values[name] = value
        if value is None:
            self._reasons[name] = Reason.INVALID
        else:
            self._reasons.pop(name, None)

    def snapshot(self) -> tuple[dict[str, Value], dict[str, Reason]]:
        """All points' values, and the reasons of those that are None."""
        return dict(self._values), dict(self._reasons)

    def _let_go(self, slots: Sequence[Slot]) -> bool:
        for slot in slots:
            slot.stale = True
            self._void(slot, Reason.STALE)
        if slots:
            self._conclude()
        return bool(slots)

    def _factors(self) -> tuple[Value, ...]:
        return tuple(self._values.get(name) for name in self._factor_names)

    def _decode(self, slot: Slot) -> None:
        values, reasons = slot.decoder.decode(slot.words, self._values)
        if self._withheld:
            self._withheld = {name: value for name, value in self._withheld.items() if name not in values}
        self._values.update(values)
        for name in values:
            self._reasons.pop(name, None)
        self._reasons.update(reasons)

    def _conclude(self) -> None:
        """Make of what was read what is shown."""
        if self._doubts:
            self._withhold()
        self._derive()

    def _withhold(self) -> None:
        """Void what contradicts the rest, and give back what no longer does."""
        for name, value in self._withheld.items():
            self._values[name] = value
            self._reasons.pop(name, None)
        doubted = self._driver.doubt(self._values)
        self._withheld = {name: self._values[name] for name in doubted if self._values.get(name) is not None}
        for name in self._withheld:
            self._values[name] = None
            self._reasons[name] = Reason.OUT_OF_RANGE

    def _derive(self) -> None:
        derived = self._driver.derive(self._values)
        self._values.update(derived)
        missing = Reason.STALE if any(slot.stale for slot in self._slots) else Reason.INVALID
        for name in self._derived:
            if derived.get(name) is None:
                self._reasons[name] = missing
            else:
                self._reasons.pop(name, None)

    def _void(self, slot: Slot, reason: Reason) -> None:
        for register in slot.block.registers:
            name = register.point.name
            self._withheld.pop(name, None)
            self._values[name] = None
            self._reasons[name] = reason
