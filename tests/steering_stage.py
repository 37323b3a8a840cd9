"""Steering at work on a simulated TriStar: started, killed and stopped as the daemon does it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

from control_stage import OPTIONS, Rig
from heliobus.control.steering import Steering
from heliobus.model import vocabulary as v
from heliobus.model.control_options import ControlOptions
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar_charger import Stage

AMPS, VOLTS = 0x58, 0x59
RELEASE = 0xFFF0
CLEAR_COIL = 0x14
FAULT = 1 << 11
DVCC_PERIOD = 3.0


class SteeringRig(Rig):
    """A rig that notes when each register was written, and whose device's time also passes without a connection."""

    def __init__(
        self,
        folder: Path | None = None,
        options: ControlOptions = OPTIONS,
        charger: SimTriStar | None = None,
        period: float = 5.0,
    ) -> None:
        super().__init__(folder, options, charger, period)
        self.steering: Steering
        self.times: dict[int, list[float]] = {AMPS: [], VOLTS: []}
        write = self.charger.write_register

        def noted(address: int, word: int, origin: object) -> None:
            self.times.setdefault(address, []).append(now())
            write(address, word, origin)  # type: ignore[arg-type]

        self.charger.write_register = noted  # type: ignore[method-assign]

    @asynccontextmanager
    async def steered(self, release: bool = True) -> AsyncIterator[Steering]:
        """Bus, poller and steering at work; `release` False is a kill."""
        async with self.running() as plant:
            steering = self.steering = Steering(plant)
            self.on_read = steering.observe
            task = asyncio.create_task(steering.run())
            try:
                yield steering
            finally:
                self.on_read = None
                task.cancel()
                results = await asyncio.gather(task, return_exceptions=True)
                assert isinstance(results[0], asyncio.CancelledError), results
                if release:
                    assert await steering.release(5.0)

    def words(self, address: int) -> list[int]:
        """Every word written to a register."""
        return [word for function, written, word in self.writes() if function == 6 and written == address]

    @property
    def slaved(self) -> bool:
        return self.charger.stage is Stage.SLAVE

    @property
    def faulted(self) -> bool:
        return bool(self.charger.state.faults & FAULT)


def gaps(times: list[float]) -> list[float]:
    """The seconds between one and the next."""
    return [later - earlier for earlier, later in pairwise(times)]


def now() -> float:
    return asyncio.get_running_loop().time()


async def dvcc(
    steering: Steering,
    seconds: float,
    volts: float | None,
    amps: float | None,
    mode: int = 5,
    period: float = DVCC_PERIOD,
) -> None:
    """Write as systemcalc does for some time."""
    end = now() + seconds
    while now() < end:
        steering.renew(v.REMOTE_NETWORK_MODE.name, mode)
        if volts is not None:
            steering.renew(v.REMOTE_CHARGE_VOLTAGE.name, volts)
        if amps is not None:
            steering.renew(v.REMOTE_CHARGE_CURRENT.name, amps)
        await asyncio.sleep(min(period, max(0.0, end - now())))


async def until(what: Callable[[], bool], seconds: float = 600.0) -> None:
    """Wait in virtual time until something is so."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.1)
