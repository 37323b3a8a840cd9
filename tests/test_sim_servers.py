"""Simulated devices on real sockets and a real pseudo-terminal."""

import asyncio
import os

import pytest

from heliobus.sim.capture import SimCapture
from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Faults
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.server import serve_rtu_tcp, serve_tcp
from heliobus.sim.tristar import Behaviour, SimTriStar
from sim_frames import mbap, request, rtu

WORD = request(3, 0, 1)
SAID = b"\x03\x02\x12\x34"
SOON = 0.2


class Client:
    """A raw TCP client that closes what it opens."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Client":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:
            return

    async def ask(self, frame: bytes, length: int) -> bytes:
        self.writer.write(frame)
        return await asyncio.wait_for(self.reader.readexactly(length), 5.0)

    async def silent(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(1), SOON)
        except TimeoutError:
            return True
        return False

    async def ended(self) -> bool:
        try:
            return await asyncio.wait_for(self.reader.read(), 5.0) == b""
        except ConnectionError:
            return True


def devices() -> dict[int, SimDevice]:
    return {1: SimCapture({0: 0x1234}), 2: SimCapture({0: 2})}


async def test_the_server_closes_after_each_answer() -> None:
    async with serve_tcp(devices()) as server:
        for transaction in (1, 2):
            async with Client(server.port) as client:
                answer = await client.ask(mbap(1, WORD, transaction), 11)
                assert answer == mbap(1, SAID, transaction)
                assert await client.ended()
        assert server.requests == [(1, WORD), (1, WORD)]
        assert server.connections_made == 2


async def test_the_server_may_keep_the_connection() -> None:
    async with serve_tcp(devices(), close_after_answer=False) as server, Client(server.port) as client:
        for transaction in range(20):
            assert await client.ask(mbap(1, WORD, transaction), 11) == mbap(1, SAID, transaction)
        assert await client.ask(mbap(2, WORD), 11) == mbap(2, b"\x03\x02\x00\x02")
        assert server.connections_made == 1


async def test_a_pulled_cable_is_silent_and_comes_back() -> None:
    async with serve_tcp(devices(), close_after_answer=False) as server, Client(server.port) as client:
        await server.pause()
        client.writer.write(mbap(1, WORD))
        assert await client.silent()
        assert server.requests == []
        await server.resume()
        assert await client.ask(mbap(1, WORD), 11) == mbap(1, SAID)


async def test_a_refusing_host_comes_back_on_the_same_port() -> None:
    async with serve_tcp(devices()) as server:
        async with Client(server.port) as client:
            await server.pause(refuse=True)
            assert await client.ended()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", server.port)
        await server.resume()
        async with Client(server.port) as client:
            assert await client.ask(mbap(1, WORD), 11) == mbap(1, SAID)


async def test_bridged_units_answer_slowly() -> None:
    loop = asyncio.get_running_loop()
    async with serve_tcp(devices(), bridge_seconds=0.15) as server:
        async with Client(server.port) as client:
            began = loop.time()
            await client.ask(mbap(2, WORD), 11)
            assert loop.time() - began >= 0.14
        async with Client(server.port) as client:
            client.writer.write(mbap(9, WORD))
            assert await client.silent()


async def test_late_answers_come_after_the_next_request() -> None:
    faults = Faults(late=1.0, late_seconds=0.3)
    async with (
        serve_tcp(devices(), close_after_answer=False, faults=faults) as server,
        Client(server.port) as client,
    ):
        client.writer.write(mbap(1, WORD, 1))
        async with asyncio.timeout(5.0):
            while not server.requests:
                await asyncio.sleep(0)
        faults.late = 0.0
        assert await client.ask(mbap(1, WORD, 2), 22) == mbap(1, SAID, 2) + mbap(1, SAID, 1)


async def test_the_server_restarts_and_refuses_meanwhile() -> None:
    device = SimTriStar(behaviour=Behaviour(server_restart_seconds=1000.0))
    async with serve_tcp({1: device}) as server:
        async with Client(server.port) as client:
            client.writer.write(mbap(1, request(5, 0x10FF, 0xFF00)))
            assert await client.ended()
        async with Client(server.port) as client:
            assert await client.ended()
        device.advance(1000.0)
        async with Client(server.port) as client:
            assert len(await client.ask(mbap(1, request(4, 0, 92)), 193)) == 193


async def test_time_passes_for_the_devices_at_speed() -> None:
    device = SimTriStar(hour=10.0)
    async with serve_tcp({1: device}, speed=3600.0) as server, Client(server.port) as client:
        async with asyncio.timeout(10.0):
            while device.world.seconds < 10.1 * 3600.0:
                await asyncio.sleep(0.02)
        await client.ask(mbap(1, request(4, 0, 92)), 193)
    after = device.world.seconds
    await asyncio.sleep(0.3)
    assert device.world.seconds == after


async def test_rtu_over_tcp() -> None:
    async with serve_rtu_tcp(devices()) as server, Client(server.port) as client:
        assert await client.ask(rtu(1, WORD), 7) == rtu(1, SAID)
        assert await client.ask(rtu(2, WORD), 7) == rtu(2, b"\x03\x02\x00\x02")
        client.writer.write(rtu(3, WORD))
        assert await client.silent()
        assert [unit for unit, _ in server.requests] == [1, 2, 3]


async def _ask(descriptor: int, frame: bytes, length: int) -> bytes:
    loop = asyncio.get_running_loop()
    received = bytearray()
    whole = asyncio.Event()

    def readable() -> None:
        received.extend(os.read(descriptor, 4096))
        if len(received) >= length:
            whole.set()

    loop.add_reader(descriptor, readable)
    try:
        os.write(descriptor, frame)
        await asyncio.wait_for(whole.wait(), 5.0)
    finally:
        loop.remove_reader(descriptor)
    return bytes(received)


async def test_a_pty_is_a_serial_port() -> None:
    async with serve_pty(devices()) as server:
        for _ in range(2):
            descriptor = os.open(server.path, os.O_RDWR | os.O_NOCTTY)
            try:
                assert await _ask(descriptor, rtu(1, WORD), 7) == rtu(1, SAID)
            finally:
                os.close(descriptor)
        assert server.requests == [(1, WORD), (1, WORD)]


async def test_a_paused_pty_hears_nothing() -> None:
    async with serve_pty(devices()) as server:
        descriptor = os.open(server.path, os.O_RDWR | os.O_NOCTTY)
        try:
            server.pause()
            os.write(descriptor, rtu(1, WORD))
            await asyncio.sleep(0.05)
            assert server.requests == []
            server.resume()
            await asyncio.sleep(0.15)
            assert await _ask(descriptor, rtu(1, WORD), 7) == rtu(1, SAID)
        finally:
            os.close(descriptor)


async def test_serial_writes_are_not_blocked_by_switch_8() -> None:
    device = SimTriStar(network_writes=False)
    disconnect = request(5, 2, 0xFF00)
    async with serve_tcp({1: device}) as server, Client(server.port) as client:
        assert await client.ask(mbap(1, disconnect), 9) == mbap(1, b"\x85\x01")
    async with serve_rtu_tcp({1: device}) as server, Client(server.port) as client:
        assert await client.ask(rtu(1, disconnect), 8) == rtu(1, disconnect)
