"""The settings of a simulated EPever charge controller: presets, ranges and the vendor's conditions (§8.4, §10).

Sections are those of the EPever reference page. What it leaves open is named where it is decided.
"""

from collections.abc import Mapping, Sequence

from heliobus.sim.device import ILLEGAL_ADDRESS, ILLEGAL_VALUE, RefusalError
from heliobus.sim.tracer_families import Family

DEVICE_FAILURE = 4
USER, SEALED, GEL, FLOODED = range(4)
TYPE, CAPACITY, COMPENSATION = 0x9000, 0x9001, 0x9002
FIRST_VOLTAGE, LAST_VOLTAGE = 0x9003, 0x900E
LOAD_MODE, SYSTEM_CODE, MAX_CURRENT = 0x903D, 0x9067, 0x90BF
(OVD, LIM, OVR, EQ, BST, FLT, BRC, LVR, UVR, UVW, LVD, DLV) = range(FIRST_VOLTAGE, LAST_VOLTAGE + 1)
CLOCK = range(0x9013, 0x9016)
_VOLTAGES = range(FIRST_VOLTAGE, LAST_VOLTAGE + 1)
_WHOLE_BLOCKS = ((FIRST_VOLTAGE, 12), (TYPE, 15))

# Per 12 V, multiplied by the system voltage.
_LEAD_ACID: Mapping[int, tuple[float, ...]] = {
    SEALED: (16.0, 15.0, 15.0, 14.6, 14.4, 13.8, 13.2, 12.6, 12.2, 12.0, 11.1, 10.6),
    # The page gives no equalize voltage for gel; boost keeps the order.
    GEL: (16.0, 15.0, 15.0, 14.2, 14.2, 13.8, 13.2, 12.6, 12.2, 12.0, 11.1, 10.6),
    FLOODED: (16.0, 15.0, 15.0, 14.8, 14.6, 13.8, 13.2, 12.6, 12.2, 12.0, 11.1, 10.6),
}
# LiFePO4 presets differ by firmware; these are one plausible set for four cells.
_LFP_4S = (15.6, 14.6, 14.6, 14.4, 14.4, 13.6, 13.2, 12.8, 12.4, 12.2, 11.1, 10.8)
_LFP_CELLS = {4: 4, 5: 8, 6: 15, 7: 16}
# Total pack voltages.
_LNCM: Mapping[int, tuple[float, ...]] = {
    8: (12.8, 12.6, 12.5, 12.5, 12.5, 12.2, 12.1, 10.5, 12.2, 10.5, 9.3, 9.3),
    9: (25.6, 25.2, 25.0, 25.0, 25.0, 24.4, 24.2, 21.0, 24.4, 21.0, 18.6, 18.6),
    10: (29.8, 29.4, 29.1, 29.1, 29.1, 28.4, 28.2, 24.5, 28.4, 24.5, 21.7, 21.7),
    11: (55.4, 54.6, 54.1, 54.1, 54.1, 52.8, 52.4, 45.5, 52.8, 45.5, 40.3, 40.3),
    12: (59.7, 58.8, 58.3, 58.3, 58.3, 56.9, 56.4, 49.0, 56.9, 49.0, 43.4, 43.4),
}
_FACTORY: Mapping[int, int] = {
    TYPE: SEALED,
    CAPACITY: 200,
    COMPENSATION: 300,
    0x9010: 0,
    0x9011: 0,
    0x9016: 30,
    0x9017: 6500,
    0x9018: 0xF060,
    0x9019: 8500,
    0x901A: 7500,
    0x901B: 8500,
    0x901C: 7500,
    0x901E: 500,
    0x901F: 10,
    0x9020: 600,
    0x9021: 10,
    0x903E: 0x0100,
    0x903F: 0x0100,
    0x9044: 19,
    0x9047: 6,
    0x904A: 19,
    0x904D: 6,
    0x9063: 60,
    0x906A: 1,
    0x906B: 120,
    0x906C: 120,
    0x906D: 80,
    0x906E: 100,
    0x906F: 100,
}
# Accepted values, first and last; a register that is not named takes any word.
_ACCEPTED: Mapping[int, tuple[int, int]] = {
    CAPACITY: (1, 9999),
    COMPENSATION: (0, 900),
    0x901F: (0, 99),
    0x9021: (0, 99),
    LOAD_MODE: (0, 3),
    **dict.fromkeys((0x9042, 0x9043, 0x9045, 0x9046, 0x9048, 0x9049, 0x904B, 0x904C), (0, 59)),
    **dict.fromkeys((0x9044, 0x9047, 0x904A, 0x904D), (0, 23)),
    SYSTEM_CODE: (0, 9),
    0x9069: (0, 1),
    0x906A: (0, 1),
    0x906B: (0, 180),
    0x906C: (10, 180),
    0x906D: (0, 100),
    0x906E: (0, 100),
    0x9070: (0, 1),
}


def preset_words(battery_type: int, system: int) -> tuple[int, ...] | None:
    """9003-900E as a preset type loads them, None for the user type, which keeps what is there."""
    if battery_type in _LEAD_ACID:
        return tuple(round(volts * 100 * system / 12) for volts in _LEAD_ACID[battery_type])
    if battery_type in _LFP_CELLS:
        return tuple(round(volts * 100 * _LFP_CELLS[battery_type] / 4) for volts in _LFP_4S)
    if battery_type in _LNCM:
        return tuple(round(volts * 100) for volts in _LNCM[battery_type])
    return None


def ordered(words: Mapping[int, int]) -> bool:
    """The vendor's conditions as every source accepts them (§10)."""
    w = words
    return (
        w[OVD] > w[LIM]
        and w[OVD] > w[OVR]
        and w[LIM] >= w[EQ] >= w[BST] >= w[FLT] > w[BRC] > w[LVR] > w[LVD] >= w[DLV]
        and w[UVR] > w[UVW] >= w[DLV]
        and w[LIM] > w[LVR]
        and w[LIM] > w[UVR]
    )


class TracerSettings:
    """The holding registers but the clock; `writes` counts the requests that changed something (flash wear)."""

    def __init__(self, family: Family, system: int, system_code: int) -> None:
        self._family = family
        self._system = system
        self._system_code = system_code
        self.writes = 0
        self.words: dict[int, int] = {}
        self.restore()

    def restore(self) -> None:
        """Factory settings; the system voltage code stays as it was set up."""
        self.words = {address: _FACTORY.get(address, 0) for address in self._family.holdings}
        self.words[SYSTEM_CODE] = self._system_code
        self._load_preset(SEALED)

    def volts(self, address: int) -> float:
        """A voltage setting."""
        return self.words[address] / 100

    def celsius(self, address: int, default: float) -> float:
        """A temperature setting, `default` where the family has none."""
        word = self.words.get(address)
        return default if word is None else (word - 0x10000 if word & 0x8000 else word) / 100

    def write(self, address: int, words: Sequence[int], *, single: bool = False) -> None:
        """One request (`single`: function 06); raises RefusalError and changes nothing where it is not taken."""
        wanted = {address + index: word for index, word in enumerate(words)}
        if not wanted.keys() <= self.words.keys() or not wanted.keys().isdisjoint(CLOCK):
            raise RefusalError(ILLEGAL_ADDRESS)
        in_block = not wanted.keys().isdisjoint(_VOLTAGES)
        if in_block and (single or (address, len(words)) not in _WHOLE_BLOCKS):
            raise RefusalError(DEVICE_FAILURE)
        if single and address not in (self._family.isolated or ()):
            raise RefusalError(ILLEGAL_ADDRESS)
        self._check_values(wanted)
        after = self.words | wanted
        battery_type = after[TYPE]
        if TYPE in wanted and battery_type == USER and after[SYSTEM_CODE] == 0:
            raise RefusalError(DEVICE_FAILURE)
        if in_block:
            self._check_voltages(wanted, battery_type)
        if 0x906B in wanted and battery_type == GEL and wanted[0x906B] != self.words[0x906B]:
            raise RefusalError(DEVICE_FAILURE)
        self.writes += after != self.words
        self.words = after
        if TYPE in wanted:
            self._load_preset(battery_type)

    def _check_values(self, wanted: Mapping[int, int]) -> None:
        for address, word in wanted.items():
            lowest, highest = _ACCEPTED.get(address, (0, 0xFFFF))
            if not lowest <= word <= highest or (address == TYPE and word not in self._family.types):
                raise RefusalError(ILLEGAL_VALUE)

    def _check_voltages(self, wanted: Mapping[int, int], battery_type: int) -> None:
        block = {address: wanted[address] for address in _VOLTAGES}
        if battery_type != USER:
            # A preset type takes no voltages but its own.
            if tuple(block.values()) != preset_words(battery_type, self._system):
                raise RefusalError(DEVICE_FAILURE)
            return
        scale = 100 * self._system / 12
        inside = all(9 * scale <= word <= 17 * scale for word in block.values())
        if not inside or not ordered(block):
            raise RefusalError(DEVICE_FAILURE)

    def _load_preset(self, battery_type: int) -> None:
        preset = preset_words(battery_type, self._system)
        if preset is not None:
            self.words |= dict(zip(_VOLTAGES, preset, strict=True))
