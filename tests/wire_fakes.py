"""Links and devices for the tests of the bus, without sockets."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from heliobus.wire.backoff import Backoff
from heliobus.wire.bus import Bus
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import LinkClosed, LinkError
from heliobus.wire.modbus.crc import with_crc
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.modbus.tcp import TcpFramer
from heliobus.wire.pipe import Inbox

Script = Sequence[tuple[float, bytes | None]]


class FakeLink:
    """What is written goes to `device`, which says what comes back: (seconds from now, bytes, or None for the end)."""

    def __init__(self, device: Callable[[bytes], Script], *, hangs_up: bool = False) -> None:
        self.name = "fake"
        self.hangs_up = hangs_up
        self.written: list[bytes] = []
        self.times: list[float] = []
        self.settings: list[tuple[float, LineSettings]] = []
        self.opened = 0
        self.failure: str | None = None
        self._device = device
        self._inbox: Inbox | None = None

    @property
    def is_open(self) -> bool:
        return self._inbox is not None and not self._inbox.ended

    async def open(self, timeout: float) -> None:
        self.opened += 1
        if self.failure is not None:
            raise LinkError(self.failure)
        self._inbox = Inbox()

    def configure(self, settings: LineSettings) -> None:
        self.settings.append((asyncio.get_running_loop().time(), settings))

    def write(self, frame: bytes) -> None:
        self.written.append(frame)
        self.times.append(asyncio.get_running_loop().time())
        for delay, chunk in self._device(frame):
            self.later(delay, chunk)

    def later(self, delay: float, chunk: bytes | None) -> None:
        inbox = self._inbox
        assert inbox is not None
        loop = asyncio.get_running_loop()
        if chunk is None:
            loop.call_later(delay, inbox.end)
        else:
            loop.call_later(delay, inbox.put, chunk)

    async def read(self, timeout: float) -> bytes:
        if self._inbox is None:
            raise LinkClosed("not open")
        return await self._inbox.get(timeout)

    def discard(self) -> bytes:
        return b"" if self._inbox is None else self._inbox.take()

    def close(self) -> None:
        self._inbox = None


def values_at(address: int, count: int) -> tuple[int, ...]:
    """What the fake devices hold: the address itself, times ten."""
    return tuple(10 * (address + offset) for offset in range(count))


def read_answer(pdu: bytes) -> bytes:
    function, address, count = struct.unpack(">BHH", pdu[:5])
    return struct.pack(f">BB{count}H", function, 2 * count, *values_at(address, count))


def answer_pdu(pdu: bytes) -> bytes:
    """Reads are answered with values, single writes with their echo, all else is an illegal function."""
    if pdu[0] in (3, 4):
        return read_answer(pdu)
    if pdu[0] in (5, 6):
        return pdu
    return bytes((pdu[0] | 0x80, 1))


def rtu_answer(frame: bytes) -> bytes:
    return with_crc(frame[:1] + answer_pdu(frame[1:-2]))


def tcp_answer(frame: bytes) -> bytes:
    pdu = answer_pdu(frame[7:])
    return frame[:4] + struct.pack(">HB", len(pdu) + 1, frame[6]) + pdu


def rtu_bus(device: Callable[[bytes], Script], *, hangs_up: bool = False, silence: float = 0.0) -> tuple[Bus, FakeLink]:
    link = FakeLink(device, hangs_up=hangs_up)
    return Bus(link, RtuFramer(silence), backoff=Backoff(jitter=0), uniform=lambda low, high: low), link


def tcp_bus(device: Callable[[bytes], Script]) -> tuple[Bus, FakeLink]:
    link = FakeLink(device, hangs_up=True)
    return Bus(link, TcpFramer(), backoff=Backoff(jitter=0)), link


@asynccontextmanager
async def running(bus: Bus) -> AsyncIterator[Bus]:
    task = asyncio.get_running_loop().create_task(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
