"""A device on a bus with a poller, and everything the poller says, for the tests of the drivers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from heliobus.devices import catalog
from heliobus.devices.driver import Driver, Poll, Recognised
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import TCP_COST, Cost, plan, rtu_cost
from heliobus.devices.poll import Poller
from heliobus.model.clock import Clock
from heliobus.model.point import Value
from heliobus.model.reading import Reading, Reason
from heliobus.sim.capture import SimCapture
from heliobus.sim.faults import Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.wire.bus import Bus
from heliobus.wire.link import Link
from heliobus.wire.modbus.rtu import RtuFramer, frame_silence
from heliobus.wire.modbus.tcp import TcpFramer

FRAMES = Path(__file__).parent / "frames" / "morningstar_tristar_mppt"
TRISTAR = catalog.driver("morningstar-tristar-mppt")
TRISTAR_600 = catalog.driver("morningstar-tristar-mppt-600v")
PRODUCT = {0: "Morningstar Corp.", 1: "TS-MPPT-60", 2: "v01.01.42"}
SERIAL = {0xE0C0: 0x3031, 0xE0C1: 0x3731, 0xE0C2: 0x3230, 0xE0C3: 0x3639}


def frames(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FRAMES / name).read_text())
    return content


def words_of(table: Mapping[str, int]) -> dict[int, int]:
    return {int(address, 16): word for address, word in table.items()}


def capture_c() -> dict[int, int]:
    """The published capture, and the identity it leaves out."""
    recorded = frames("capture-c.json")
    identity = {**SERIAL, 0x0004: 0x42, 0xE0CC: 1, 0xE0CD: 0x0101}
    return identity | words_of(recorded["computed"]) | words_of(recorded["quoted"])


def tristar(words: Mapping[int, int] | None = None, **options: Any) -> SimCapture:
    """Capture C with `words` in place of its own."""
    options = {"objects": PRODUCT, "coils": {}, **options}
    return SimCapture({**capture_c(), **(words or {})}, **options)


def decode(words: Mapping[int, int], driver: Driver = TRISTAR) -> tuple[dict[str, Value], dict[str, Reason]]:
    """What the driver makes of registers and coils that all read 0 but `words`, without a bus."""
    image = Image(driver)
    slots = [Slot(block, 5.0, 0.0) for block in plan(driver.registers, driver.limits, TCP_COST)]
    image.add(slots)
    for slot in slots:
        block = slot.block
        table = {} if block.table <= 2 else words
        image.answer(slot, [table.get(block.address + index, 0) for index in range(block.count)], 0.0)
    return image.snapshot()


class Ear:
    """Hears a poller: what it recognised, its readings with loop time, who was silent or strange."""

    def __init__(self) -> None:
        self.recognised_as: list[Recognised] = []
        self.readings: list[tuple[float, Reading]] = []
        self.silences: list[tuple[float, str]] = []
        self.strangers: list[str] = []
        self.on_read: Callable[[Reading], None] | None = None
        self._news = asyncio.Event()

    def recognised(self, recognised: Recognised) -> None:
        self.recognised_as.append(recognised)
        self._news.set()

    def read(self, reading: Reading) -> None:
        self.readings.append((now(), reading))
        if self.on_read is not None:
            self.on_read(reading)
        self._news.set()

    def silent(self, why: str) -> None:
        self.silences.append((now(), why))
        self._news.set()

    def stranger(self, why: str) -> None:
        self.strangers.append(why)
        self._news.set()

    @property
    def last(self) -> Reading:
        return self.readings[-1][1]

    async def wait(self, condition: Callable[[], bool], seconds: float = 1000.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def first(self) -> Reading:
        await self.wait(lambda: bool(self.readings))
        return self.readings[0][1]

    async def reading(self, condition: Callable[[Reading], bool], seconds: float = 1000.0) -> Reading:
        """The next reading from now on that fits."""
        heard = len(self.readings)
        await self.wait(lambda: any(condition(each) for _, each in self.readings[heard:]), seconds)
        return next(each for _, each in self.readings[heard:] if condition(each))


def now() -> float:
    return asyncio.get_running_loop().time()


def memory(device: object, framing: Framing = Framing.TCP, **options: Any) -> MemoryLink:
    """A link to devices by unit id, or to one at unit 1."""
    devices = device if isinstance(device, Mapping) else {1: device}
    if framing is Framing.RTU:
        options.setdefault("bits_per_second", 9600)
    return MemoryLink(devices, framing, **{"latency": 0.02, **options})  # type: ignore[arg-type]


@asynccontextmanager
async def running(link: Link, framing: Framing = Framing.TCP) -> AsyncIterator[Bus]:
    framer = TcpFramer() if framing is Framing.TCP else RtuFramer(frame_silence(9600, 8, "N", 2))
    bus = Bus(link, framer)
    task = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        await stop([task])


@asynccontextmanager
async def polling(
    bus: Bus,
    unit: int = 1,
    driver: Driver = TRISTAR,
    *,
    period: float = 5.0,
    cost: Cost = TCP_COST,
    clock: Clock | None = None,
) -> AsyncIterator[Ear]:
    ear = Ear()
    poller = Poller(bus, unit, driver, cost, ear, name=f"unit{unit}", period=period, clock=clock)
    task = asyncio.create_task(poller.run())
    try:
        yield ear
    finally:
        await stop([task])


@asynccontextmanager
async def alone(
    link: MemoryLink, framing: Framing = Framing.TCP, *, driver: Driver = TRISTAR, period: float = 5.0
) -> AsyncIterator[Ear]:
    """One poller on a bus of its own."""
    cost = TCP_COST if framing is Framing.TCP else rtu_cost(9600, 0.03)
    async with running(link, framing) as bus, polling(bus, driver=driver, period=period, cost=cost) as ear:
        yield ear


async def stop(tasks: Iterable["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    for failure in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(failure, asyncio.CancelledError):
            raise AssertionError("a task ended before its time") from failure


def points(driver: Driver, *polls: Poll) -> frozenset[str]:
    """The names of the points read in these poll classes."""
    return frozenset(register.point.name for register in driver.registers if register.poll in polls)


def reads(link: MemoryLink, address: int, function: int = 4) -> list[int]:
    """The counts of all requests that read registers from `address`."""
    head = bytes((function,)) + address.to_bytes(2, "big")
    return [int.from_bytes(pdu[3:5], "big") for _, pdu in link.requests if pdu[:3] == head]
