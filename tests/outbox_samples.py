"""Samples of a site as line protocol: 4 devices with 35 values each, noisy as measurements are."""

import random
from collections.abc import Iterator

from heliobus.outputs.outbox import Record

DEVICES, VALUES, EVERY = 4, 35, 10
_STEADY, _SLOW, _NOISY = "steady", "slow", "noisy"
_KINDS = (*(_STEADY,) * 7, *(_SLOW,) * 10, *(_NOISY,) * 18)


class _Walk:
    """A value that goes up and down around where it began, measured with noise and a resolution."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._kind = chance.choice(_KINDS)
        self._home = chance.choice((3.3, 13.0, 27.0, 54.0, 120.0, 900.0)) * chance.uniform(0.9, 1.1)
        self._value = self._home
        self._step = self._home * {_STEADY: 0.0, _SLOW: 0.0002, _NOISY: 0.004}[self._kind]
        self._decimals = chance.choice((1, 2, 2, 3))

    def next(self) -> float:
        self._value += 0.002 * (self._home - self._value) + self._chance.gauss(0, 1) * self._step
        return round(self._value, self._decimals)


def samples(seed: int = 1, start: int = 1_700_000_000_000) -> Iterator[list[Record]]:
    """What a site of 140 values puts into the outbox every 10 s, for ever."""
    chance = random.Random(seed)
    walks = [[_Walk(chance) for _ in range(VALUES)] for _ in range(DEVICES)]
    now = start
    while True:
        yield [
            _line(device, [walk.next() for walk in values], now + chance.randrange(400))
            for device, values in enumerate(walks)
        ]
        now += 1000 * EVERY


def _line(device: int, values: list[float], time_ms: int) -> Record:
    fields = ",".join(f"battery_quantity_{number}={value!r}" for number, value in enumerate(values))
    tags = f"site=cabin,device=tristar_mppt_1234567{device},name=roof\\ {device},model=TS-MPPT-60"
    return Record(time_ms, f"solar_charger,{tags} {fields} {time_ms}".encode())
