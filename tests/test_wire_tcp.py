"""The TCP link and the bus on real sockets of 127.0.0.1."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from unittest.mock import AsyncMock

import pytest

from heliobus.wire.address import make_bus, parse_link
from heliobus.wire.bus import LinkDown, NoAnswer, Timing
from heliobus.wire.link import LinkClosed, LinkError
from heliobus.wire.modbus.pdu import ReadRegisters, WriteCoil
from heliobus.wire.tcp_link import TcpLink
from wire_fakes import running, tcp_answer, values_at

READ = ReadRegisters(10, 2)


class Server:
    """A Modbus TCP device; `serve(reader, writer, frame)` answers one frame and says whether to keep the connection."""

    def __init__(self, serve):
        self.serve = serve
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.frames = []

    async def accept(self, reader, writer):
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            while True:
                head = await reader.readexactly(6)
                frame = head + await reader.readexactly(struct.unpack(">H", head[4:])[0])
                self.frames.append(frame)
                if not await self.serve(writer, frame):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def serving(serve):
    device = Server(serve)
    server = await asyncio.start_server(device.accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with running(make_bus(parse_link(f"tcp://127.0.0.1:{port}"))) as bus:
            yield bus, device
    finally:
        server.close()
        await server.wait_closed()
        while device.open:
            await asyncio.sleep(0.001)


async def keep(writer, frame):
    writer.write(tcp_answer(frame))
    return True


async def close_after(writer, frame):
    writer.write(tcp_answer(frame))
    return False


async def bytewise(writer, frame):
    for byte in tcp_answer(frame):
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.001)
    return True


@pytest.mark.parametrize("serve", [keep, close_after, bytewise])
async def test_reads(serve):
    async with serving(serve) as (bus, device):
        for at in range(20):
            assert await bus.ask(1, ReadRegisters(at, 3)) == values_at(at, 3)
        assert device.connections == (20 if serve is close_after else 1)
        assert bus.statistics.reconnects == 0
        unit = bus.statistics.units[1]
        assert (unit.requests, unit.answers, unit.timeouts, unit.bad_frames) == (20, 20, 0, 0)


async def test_one_connection_at_a_time_whoever_asks():
    async with serving(close_after) as (bus, device):
        await asyncio.gather(*(bus.ask(unit, READ) for unit in range(1, 30)))
        assert len(device.frames) == 29
        assert device.most_open == 1


async def test_closing_just_before_the_next_request_is_not_noticed_by_who_asks():
    async def close_every_third(writer, frame):
        if len(device.frames) % 3 == 0:
            writer.transport.abort()
            return False
        return await keep(writer, frame)

    async with serving(close_every_third) as (bus, device):
        for _ in range(10):
            assert await bus.ask(1, READ) == values_at(10, 2)
        assert bus.statistics.units[1].timeouts == 0


async def test_a_reset_pulse_is_sent_once_even_when_the_connection_dies():
    async def dies_of_writes(writer, frame):
        if frame[7] == 5:
            writer.transport.abort()
            return False
        return await keep(writer, frame)

    async with serving(dies_of_writes) as (bus, device):
        await bus.ask(1, READ)
        with pytest.raises(NoAnswer, match="may have been executed"):
            await bus.ask(1, WriteCoil(0xFF, True))
        await bus.ask(1, READ)
        assert [frame[7] for frame in device.frames] == [3, 5, 3]


async def test_a_timeout_closes_the_connection():
    async def deaf_at_first(writer, frame):
        return await keep(writer, frame) if len(device.frames) > 1 else True

    async with serving(deaf_at_first) as (bus, device):
        with pytest.raises(NoAnswer):
            await bus.ask(1, READ, timing=Timing(floor=0.05, ceiling=0.05))
        assert await bus.ask(1, READ) == values_at(10, 2)
        assert device.connections == 2
        assert bus.statistics.reconnects == 1


async def test_nobody_listens(monkeypatch: pytest.MonkeyPatch):
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with running(make_bus(parse_link(f"tcp://127.0.0.1:{port}"))) as bus:
        for _ in range(2):
            with pytest.raises(LinkDown, match=f"^tcp://127.0.0.1:{port}: connection refused$"):
                await bus.ask(1, READ)
    addresses = [(socket.AF_INET, 0, 0, "", (host, port)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", AsyncMock(return_value=addresses))
    link = TcpLink("x", "charger.example", port)
    with pytest.raises(LinkError, match=r"^x: connection refused$"):
        await link.open(2)


async def test_no_such_host():
    link = TcpLink("tcp://no.such.host.invalid:502", "no.such.host.invalid", 502)
    with pytest.raises(LinkError, match=r"^tcp://no.such.host.invalid:502: (host not found|no connection)"):
        await link.open(5)


async def test_connecting_takes_too_long(monkeypatch):
    async def never(*args, **kwargs):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", never)
    with pytest.raises(LinkError, match=r"^x: no connection within 0.01 s$"):
        await TcpLink("x", "192.0.2.1", 502).open(0.01)


async def test_link_alone():
    received = asyncio.Event()

    async def accept(reader, writer):
        writer.write(b"hello")
        await received.wait()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    link = TcpLink("x", "127.0.0.1", server.sockets[0].getsockname()[1])
    with pytest.raises(LinkClosed):
        await link.read(1)
    await link.open(2)
    assert link.is_open
    assert await link.read(2) == b"hello"
    with pytest.raises(TimeoutError):
        await link.read(0.01)
    received.set()
    with pytest.raises(LinkClosed):
        await link.read(2)
    assert not link.is_open
    link.close()
    link.close()
    assert link.discard() == b""
    server.close()
    await server.wait_closed()
