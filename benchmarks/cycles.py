"""Poll cycles back to back in this process. Usage: cycles.py ADDRESS PORT SECONDS. Prints JSON: cycles and CPU seconds.

The product's poller, bus, ledger, site and Venus output, without the pauses that the driver and the output make.
"""

import asyncio
import sys
import time
from dataclasses import replace

from heliobus.devices.driver import Recognised, Recognition
from heliobus.devices.morningstar_tristar_mppt import DRIVER
from heliobus.devices.plan import TCP_COST
from heliobus.devices.poll import Poller
from heliobus.ledger.ledger import Ledger
from heliobus.model.clock import SystemClock
from heliobus.model.device import Device
from heliobus.model.localtime import local_time
from heliobus.model.reading import Reading
from heliobus.outputs.venus.host import ChargerSettings, VenusOptions
from heliobus.outputs.venus.output import Timing as Pace
from heliobus.outputs.venus.output import VenusOutput
from heliobus.site import Site
from heliobus.wire.address import make_bus, parse_link
from heliobus.wire.bus import Timing
from parts import KEY, device
from side_process import say

WARM_UP = 300
# As short as it can be without a value going stale between two polls.
PERIOD = 0.002


def _recognise() -> Recognition:
    verdict = yield from DRIVER.recognise()
    return replace(verdict, driver=HASTY) if isinstance(verdict, Recognised) else verdict


HASTY = replace(DRIVER, timing=Timing(gap=0.0), recognise=_recognise)


class Cycles:
    """Listens to the poller, counts its readings, and hosts the output."""

    def __init__(self) -> None:
        self._ledger = Ledger(None, local_time("Europe/Oslo"), SystemClock())
        self.site = Site([self._account])
        self.done = 0
        self._wanted = WARM_UP
        self._reached = asyncio.Event()

    def _account(self, one: Device, reading: Reading) -> Reading:
        return self._ledger.apply(reading, KEY)

    async def more(self, count: int) -> None:
        self._wanted = self.done + count
        self._reached.clear()
        await self._reached.wait()

    def recognised(self, recognised: Recognised) -> None:
        self.site.introduce(device())

    def read(self, reading: Reading) -> None:
        self.site.put(reading)
        self.done += 1
        if self.done >= self._wanted:
            self._reached.set()

    def silent(self, why: str) -> None:
        raise RuntimeError(why)

    def stranger(self, why: str) -> None:
        raise RuntimeError(why)

    def place(self, settings: ChargerSettings | None) -> None:
        """No charger is set up by settings here."""

    def time_zone(self, name: str) -> None:
        """The zone is fixed."""


async def main(address: str, port: int, seconds: float) -> None:
    cycles = Cycles()
    bus = make_bus(parse_link(f"tcp://127.0.0.1:{port}"))
    poller = Poller(bus, 1, HASTY, TCP_COST, cycles, name="charger", period=PERIOD)
    output = VenusOutput(cycles, VenusOptions(address, settings_charger=False), Pace(pace=0.0, grace=0.1))
    tasks = [asyncio.create_task(work) for work in (bus.run(), poller.run(), output.run(cycles.site))]
    await cycles.more(WARM_UP)
    say("warm")
    first, began = cycles.done, time.process_time()
    while (used := time.process_time() - began) < seconds:
        await cycles.more(100)
    say({"cycles": cycles.done - first, "cpu": used})
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
