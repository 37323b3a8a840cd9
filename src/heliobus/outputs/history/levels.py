"""How fine values are kept, and how many of them make a block."""

from dataclasses import dataclass

SERIES_BITS = 20
"""A block's id in its table is its number in time, and the series in the lowest bits: blocks lie in order of time."""
HOUR = 3_600_000
DAY_MS = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Level:
    """`step` is the ms of a slot, `slots` how many of them a block has. A slot of the level `DAY` is a local day."""

    table: str
    step: int
    slots: int

    @property
    def span(self) -> int:
        """Milliseconds of a block."""
        return self.step * self.slots

    def id(self, block: int, series: int) -> int:
        """The id of the block number `block` of `series`."""
        return (block << SERIES_BITS) | series


RAW = Level("raw", 1, HOUR)
MINUTE = Level("minute", 60_000, 360)
QUARTER = Level("quarter", 900_000, 384)
DAY = Level("day", DAY_MS, 64)
LEVELS = (RAW, MINUTE, QUARTER, DAY)
"""From fine to coarse."""
ROLLED_UP = (MINUTE, QUARTER, DAY)
