"""The accidents of a serial line whose devices pause, dawdle and collide, on top of the plain ones."""

import random
from dataclasses import replace

from heliobus.sim.faults import Delivery, Faults, Framing
from heliobus.sim.serial_units import GENERAL_ADDRESS, SerialUnits


class SerialFaults(Faults):
    """`Faults` of one line for `units`.

    A device's own slowness delays its answer, a device's pause splits it into two bursts, and where several devices
    answer one request the master gets garbage. `collisions` and `bursts` count the last two.
    """

    def __init__(
        self,
        units: SerialUnits,
        *,
        late: float = 0.0,
        late_seconds: float = 3.0,
        lost: float = 0.0,
        cut: float = 0.0,
        flipped: float = 0.0,
        echo: bool = False,
        garbage: float = 0.0,
        second_master: float | None = None,
        seed: int = 1,
    ) -> None:
        super().__init__(
            late=late,
            late_seconds=late_seconds,
            lost=lost,
            cut=cut,
            flipped=flipped,
            echo=echo,
            garbage=garbage,
            second_master=second_master,
            seed=seed,
        )
        units.garbles = True
        self.collisions = self.bursts = 0
        self._units = units
        self._noise = random.Random(seed)

    def apply(
        self, answer: bytes, *, request: bytes, framing: Framing, delay: float = 0.0, now: float = 0.0
    ) -> list[Delivery]:
        """As `Faults.apply`."""
        if self._units.answering(request) > 1:
            self.collisions += 1
            answer = self._noise.randbytes(len(answer))
        device = self._units.at(request[0]) if request[0] != GENERAL_ADDRESS else None
        if device is not None:
            delay += device.slowness(request[1:-2])
        deliveries = super().apply(answer, request=request, framing=framing, delay=delay, now=now)
        pause = device.pause(request[1:-2]) if device is not None else 0.0
        # The whole answer comes last; an echo or another master's frames come before it and have no pause.
        if pause and deliveries and deliveries[-1].delay >= delay:
            self.bursts += 1
            deliveries[-1:] = _two_bursts(deliveries[-1], pause)
        return deliveries


def _two_bursts(whole: Delivery, pause: float) -> list[Delivery]:
    middle = len(whole.payload) // 2
    return [
        replace(whole, payload=whole.payload[:middle]),
        Delivery(whole.delay + pause, whole.payload[middle:]),
    ]
