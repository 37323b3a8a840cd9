"""Simulated Peacefair meters, from the PZEM reference page, never from a driver (§ are that page's).

What they measure is what a test sets: `volts`, `watts` and so on; time passes only in `advance`.
"""

import random
from abc import abstractmethod
from collections.abc import Mapping, Sequence

from heliobus.sim.device import ILLEGAL_ADDRESS, ILLEGAL_VALUE, Origin, RefusalError
from heliobus.sim.serial_units import SerialDevice

BAUD = 9600
CALIBRATE, RESET_ENERGY = 0x41, 0x42
GARBAGE_SECONDS = 4.5
# A little slower than once a second, so that a master sees the same values twice now and then.
REFRESH_SECONDS = 1.03
RANGE_AMPS: Mapping[int, int] = {0: 100, 1: 50, 2: 200, 3: 300}
"""Holding register 0003 of the 017."""
_ALARM = 0xFFFF
_EPEVER_UNIT_ID = 0x45
_DEVICE_FAILURE = 4


class _SimPzem(SerialDevice):
    """What the AC and the DC meters share. `calibrations` counts what no program may ever ask: function 41."""

    functions = frozenset({3, 4, 6, CALIBRATE, RESET_ENERGY})
    input_count: int
    rollover_wh: int

    def __init__(self, unit: int, energy_wh: float, holdings: dict[int, int], address_at: int, seed: int) -> None:
        super().__init__(unit, BAUD)
        self.energy_wh = energy_wh
        self.calibrations = 0
        self.resets = 0
        self.writes = 0
        self._holdings = holdings
        self._address_at = address_at
        self._random = random.Random(seed)
        self._garbage = 0.0
        self._age = 0.0
        self._shown: list[int] = []

    @property
    def garbage_seconds(self) -> float:
        """How much longer it answers wrong data with a valid checksum."""
        return max(0.0, self._garbage)

    @abstractmethod
    def measured(self) -> list[int]:
        """The input registers now."""

    @abstractmethod
    def counted_watts(self) -> float:
        """What its energy counter sees."""

    def advance(self, seconds: float) -> None:
        """Let time pass; energy counts while it is powered."""
        if not self.alive:
            return
        self._garbage -= seconds
        self.energy_wh = (self.energy_wh + self.counted_watts() * seconds / 3600) % self.rollover_wh
        self._age += seconds
        if self._age >= REFRESH_SECONDS:
            self._age %= REFRESH_SECONDS
            self._refresh()

    def hears_general(self, pdu: bytes) -> bool:
        """Any request (§3), but those that EPever's charge controllers get there, at a speed it does not hear."""
        return self.alive and pdu[:1] != bytes((_EPEVER_UNIT_ID,))

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        """Exact lengths: one register too many refuses the request."""
        wanted = range(address, address + count)
        if function == 3:
            holdings = self._holdings | {self._address_at: self.unit}
            if any(index not in holdings for index in wanted):
                raise RefusalError(ILLEGAL_ADDRESS)
            return [holdings[index] for index in wanted]
        if wanted.stop > self.input_count:
            raise RefusalError(ILLEGAL_ADDRESS)
        if self._garbage > 0:
            return [self._random.getrandbits(16) for _ in wanted]
        if not self._shown:
            self._refresh()
        return self._shown[wanted.start : wanted.stop]

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        """§5.2 and §6.2; a new address counts from the next request on."""
        if address == self._address_at:
            if not 1 <= word <= 0xF7:
                raise RefusalError(ILLEGAL_VALUE)
            self.unit = word
        elif address not in self._holdings:
            raise RefusalError(ILLEGAL_ADDRESS)
        elif not self.accepts(address, word):
            raise RefusalError(ILLEGAL_VALUE)
        else:
            self._holdings[address] = word
        self.writes += 1
        self._refresh()

    def accepts(self, address: int, word: int) -> bool:
        """Whether a setting is within its range."""
        return True

    def other(self, pdu: bytes, origin: Origin) -> bytes:
        """Energy reset (42); calibration (41) is refused and remembered."""
        if pdu[0] == CALIBRATE:
            self.calibrations += 1
            raise RefusalError(_DEVICE_FAILURE)
        if len(pdu) != 1:
            raise RefusalError(ILLEGAL_VALUE)
        self.energy_wh = 0.0
        self.resets += 1
        self._refresh()
        return pdu

    def start(self) -> None:
        """Power came: wrong data with a valid checksum for some seconds (§8)."""
        self._garbage = GARBAGE_SECONDS
        self._shown = []

    def _refresh(self) -> None:
        self._shown = self.measured()


class SimPzemAc(_SimPzem):
    """A PZEM-014, -016 or -004T v3. It lives from the mains it measures: `power(False)` and it is silent.

    `wobble`: the mains voltage and the load change by this share, at random but alike for one `seed`.
    """

    input_count = 10
    rollover_wh = 10_000_000

    def __init__(
        self,
        unit: int = 1,
        *,
        volts: float = 230.0,
        watts: float = 400.0,
        power_factor: float = 0.95,
        hertz: float = 50.0,
        energy_wh: float = 0.0,
        alarm_watts: int = 23000,
        wobble: float = 0.0,
        seed: int = 1,
    ) -> None:
        super().__init__(unit, energy_wh, {0x0001: alarm_watts}, 0x0002, seed)
        self.volts, self.watts, self.power_factor, self.hertz = volts, watts, power_factor, hertz
        self.mains = True
        self._wobble = wobble
        self._ripple = random.Random(seed)

    @property
    def alive(self) -> bool:
        """Silent without its plug and without at least 80 V."""
        return self.connected and self.mains and self.volts >= 80

    def power(self, on: bool) -> None:
        """Switch the mains it measures."""
        if on and not self.mains:
            self.start()
        self.mains = on

    def counted_watts(self) -> float:
        """Active power."""
        return self.watts

    def measured(self) -> list[int]:
        """§5.1."""
        spread = 1 + self._wobble * self._ripple.uniform(-1, 1)
        volts, watts = self.volts * (1 + (spread - 1) / 10), self.watts * spread
        amps = watts / volts / self.power_factor if self.power_factor else 0.0
        return [
            round(volts * 10),
            *_low_first(amps * 1000),
            *_low_first(watts * 10),
            *_low_first(int(self.energy_wh + 1e-6)),
            round(self.hertz * 10),
            round(self.power_factor * 100),
            _ALARM if watts > self._holdings[0x0001] else 0,
        ]


class SimPzemDc(_SimPzem):
    """A PZEM-017, or a -003 with `shunt=None`: `shunt` is the fitted one in A, 0003 says which it reckons with.

    `amps` below 0 read 0. Below 7 V it is silent unless `fed` by its USB socket.
    """

    input_count = 8
    rollover_wh = 10_000_000

    def __init__(
        self,
        unit: int = 1,
        *,
        volts: float = 13.2,
        amps: float = 4.0,
        energy_wh: float = 0.0,
        shunt: int | None = 100,
        range_code: int = 0,
        fed: bool = True,
        seed: int = 1,
    ) -> None:
        holdings = {0x0000: 30000, 0x0001: 700, 0x0003: range_code}
        super().__init__(unit, energy_wh, holdings, 0x0002, seed)
        self.volts, self.amps, self.fed = volts, amps, fed
        self._shunt = shunt

    @property
    def alive(self) -> bool:
        """Silent without its plug and without supply."""
        return self.connected and (self.fed or self.volts >= 7)

    @property
    def reckoned_amps(self) -> float:
        """What it takes the current for: a wrong range scales it."""
        amps = max(0.0, self.amps)
        return amps if self._shunt is None else amps * RANGE_AMPS[self._holdings[0x0003]] / self._shunt

    def accepts(self, address: int, word: int) -> bool:
        """§6.2; the 003 has no range."""
        if address == 0x0003:
            return self._shunt is not None and word in RANGE_AMPS
        return (500 if address == 0x0000 else 100) <= word <= 35000

    def counted_watts(self) -> float:
        """As it reckons."""
        return self.volts * self.reckoned_amps

    def measured(self) -> list[int]:
        """§6.1."""
        hundredths = round(self.volts * 100)
        return [
            hundredths,
            round(self.reckoned_amps * 100),
            *_low_first(self.counted_watts() * 10),
            *_low_first(int(self.energy_wh + 1e-6)),
            _ALARM if hundredths > self._holdings[0x0000] else 0,
            _ALARM if hundredths < self._holdings[0x0001] else 0,
        ]


def _low_first(value: float) -> tuple[int, int]:
    whole = max(0, min(0xFFFFFFFF, round(value)))
    return whole & 0xFFFF, whole >> 16
