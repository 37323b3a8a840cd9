"""Measures the parts of a poll cycle in this process. Usage: parts.py ADDRESS PORT SECONDS. Prints JSON.

Readings are made before the clock starts, as a charger polled at 1 Hz would give them.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count

from charger_server import RAM_COUNT, RAM_REQUEST, Charger
from heliobus.devices.decode import Decoder
from heliobus.devices.driver import Poll
from heliobus.devices.image import Image, Slot
from heliobus.devices.morningstar_tristar_mppt import DRIVER
from heliobus.devices.plan import TCP_COST, plan
from heliobus.ledger.ledger import Ledger
from heliobus.model.clock import SystemClock
from heliobus.model.device import Device, Identity
from heliobus.model.localtime import local_time
from heliobus.model.reading import Reading
from heliobus.outputs.venus.connection import connect_to
from heliobus.outputs.venus.device_tree import DeviceTree
from heliobus.outputs.venus.service import BusItemService
from heliobus.site import Site
from heliobus.wire.address import make_bus, parse_link
from heliobus.wire.bus import Timing
from heliobus.wire.modbus.pdu import ReadRegisters
from side_process import say

FEW = 50
KEY = "tristar_10170296"
BEGINNING = 1_700_000_000.0


def device() -> Device:
    identity = Identity(vendor="Morningstar", model="TriStar MPPT 60", serial="10170296", firmware="1.1.42")
    return Device(
        name="charger",
        label="",
        driver=DRIVER.name,
        short=DRIVER.short,
        role=DRIVER.role,
        address="Modbus TCP 127.0.0.1, unit 1",
        identity=identity,
        points=DRIVER.points(),
        key=KEY,
        number=0,
    )


class Chain:
    """A charger's answers as words, one poll after the other, and the image they go through."""

    def __init__(self) -> None:
        self._charger = Charger(0)
        self._polls = 0
        self.image = Image(DRIVER)
        slots = [Slot(block, 1.0, 0.0) for block in plan(DRIVER.registers, DRIVER.limits, TCP_COST)]
        self.image.add(slots)
        self.fast = next(slot for slot in slots if slot.block.poll is Poll.FAST)
        for slot in slots:
            self.image.answer(slot, self.words() if slot is self.fast else (0,) * slot.block.count, 0.0)

    def words(self) -> Sequence[int]:
        pdu = self._charger.answer(RAM_REQUEST)
        return tuple(int.from_bytes(pdu[2 + 2 * n : 4 + 2 * n], "big") for n in range(RAM_COUNT))

    def reading(self) -> Reading:
        self._polls += 1
        self.image.answer(self.fast, self.words(), float(self._polls))
        return Reading("charger", BEGINNING + self._polls, *self.image.snapshot())


def timed(seconds: float, chain: Chain, work: Callable[[Reading], object]) -> float:
    """Microseconds of CPU of one `work` on a reading, all readings made beforehand."""
    used, done = 0.0, 0
    while used < seconds:
        readings = [chain.reading() for _ in range(FEW)]
        began = time.process_time()
        for reading in readings:
            work(reading)
        used += time.process_time() - began
        done += FEW
    return 1e6 * used / done


async def read(port: int, seconds: float) -> float:
    """A read by the bus alone, without a gap between two."""
    bus = make_bus(parse_link(f"tcp://127.0.0.1:{port}"))
    owner = asyncio.create_task(bus.run())
    request, timing = ReadRegisters(0, RAM_COUNT, 4), Timing(gap=0.0)
    await bus.ask(1, request, timing=timing)
    done, began = 0, time.process_time()
    while (used := time.process_time() - began) < seconds:
        for _ in range(FEW):
            await bus.ask(1, request, timing=timing)
        done += FEW
    owner.cancel()
    await asyncio.gather(owner, return_exceptions=True)
    return 1e6 * used / done


async def signal(address: str, chain: Chain, ledger: Ledger, seconds: float) -> tuple[float, float]:
    """Microseconds of the tree, and of the signal."""
    connection = await connect_to(address, 30.0)
    service = BusItemService(connection, "com.victronenergy.solarcharger.bench")
    tree = DeviceTree(service, device())
    await service.claim(1.0)
    site = Site()
    site.introduce(device())
    mailbox = site.subscribe()
    shown = sent = 0.0
    done = 0
    while shown + sent < seconds:
        for _ in range(FEW):
            site.put(ledger.apply(chain.reading(), KEY))
            (update,) = await mailbox.get()
            assert update.reading is not None
            began = time.process_time()
            tree.show(update.reading, update.changed)
            between = time.process_time()
            await service.flush()
            shown, sent = shown + between - began, sent + time.process_time() - between
        done += FEW
    await connection.close()
    return 1e6 * shown / done, 1e6 * sent / done


async def main(address: str, port: int, seconds: float) -> None:
    chain = Chain()
    ledger = Ledger(None, local_time("Europe/Oslo"), SystemClock())
    decoder = Decoder(chain.fast.block)
    site = Site()
    site.introduce(device())
    site.subscribe()
    words = [chain.words() for _ in range(FEW)]
    known = chain.reading().values
    numbers = count()

    def image(_: Reading) -> None:
        number = next(numbers)
        chain.image.answer(chain.fast, words[number % FEW], float(number))
        chain.image.snapshot()

    tree, flush = await signal(address, chain, ledger, seconds)
    say(
        {
            "read": await read(port, seconds),
            "decode": timed(seconds, chain, lambda _: decoder.decode(words[0], known)),
            "image": timed(seconds, chain, image),
            "ledger": timed(seconds, chain, lambda reading: ledger.apply(reading, KEY)),
            "site": timed(seconds, chain, site.put),
            "tree": tree,
            "signal": flush,
        }
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
