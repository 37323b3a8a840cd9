"""Simulated devices on real sockets: Modbus TCP as the maker built it, and RTU frames over TCP (a gateway)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Delivery, Faults
from heliobus.sim.line import Line, RtuLine, Station, TcpLine
from heliobus.sim.stepper import Stepper


class TcpServer:
    """A listening socket with a station behind it. `port` is where it listens; `requests` what it was asked."""

    def __init__(
        self,
        station: Station,
        make_line: Callable[[], Line],
        stepper: Stepper,
        *,
        close_after_answer: bool,
        host: str,
        port: int,
    ) -> None:
        self.station = station
        self.stepper = stepper
        self.close_after_answer = close_after_answer
        self.host = host
        self.port = port
        self.paused = False
        self.connections_made = 0
        self._make_line = make_line
        self._connections: set[_Connection] = set()
        self._listener: asyncio.Server | None = None

    @property
    def requests(self) -> list[tuple[int, bytes]]:
        """Unit id and PDU of every request, in order."""
        return self.station.requests

    async def pause(self, refuse: bool = False) -> None:
        """Pull the cable: connections fall silent. With `refuse`, they break and new ones are refused."""
        self.paused = True
        if refuse:
            await self._stop_listening()

    async def resume(self) -> None:
        """Plug it in again, on the same port."""
        self.paused = False
        if self._listener is None:
            await self.listen()

    async def listen(self) -> None:
        """Start to accept; port 0 becomes the one the system gave."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connection, self.host, self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop and break every connection; returns when none is left."""
        await self._stop_listening()

    def drop_connections(self) -> None:
        """Break the open connections, as a restarting server does."""
        for connection in list(self._connections):
            connection.abort()

    def joined(self, connection: "_Connection") -> None:
        """A connection was made."""
        self.connections_made += 1
        self._connections.add(connection)

    def left(self, connection: "_Connection") -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    def _connection(self) -> "_Connection":
        return _Connection(self, self._make_line())

    async def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        open_now = list(self._connections)
        self.drop_connections()
        await asyncio.gather(*(connection.closed for connection in open_now))
        await listener.wait_closed()


class _Connection(asyncio.Protocol):
    """One client of a TcpServer."""

    def __init__(self, server: TcpServer, line: Line) -> None:
        self._server = server
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._due: list[asyncio.TimerHandle] = []
        self._outstanding = 0
        self.closed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(self)
        if not self._server.station.network_up:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        for handle in self._due:
            handle.cancel()
        self._server.left(self)
        if not self.closed.done():
            self.closed.set_result(None)

    def data_received(self, received: bytes) -> None:
        if self._server.paused:
            return
        self._server.stepper.catch_up()
        if not self._server.station.network_up:
            self._server.drop_connections()
            return
        deliveries = self._line.feed(received, self._loop.time())
        if not self._server.station.network_up:
            self._server.drop_connections()
            return
        self._outstanding += len(deliveries)
        for delivery in deliveries:
            self._due.append(self._loop.call_later(delivery.delay, self._deliver, delivery))

    def abort(self) -> None:
        """Break the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _deliver(self, delivery: Delivery) -> None:
        self._outstanding -= 1
        if self._transport is None or self._transport.is_closing() or self._server.paused:
            return
        self._transport.write(delivery.payload)
        if self._server.close_after_answer and self._outstanding == 0:
            self._transport.close()


@asynccontextmanager
async def serve_tcp(
    devices: Mapping[int, SimDevice],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    close_after_answer: bool = True,
    faults: Faults | None = None,
    speed: float = 1.0,
    bridge_seconds: float = 0.0,
) -> AsyncIterator[TcpServer]:
    """Devices by unit id on Modbus TCP; the first is the host, the others are bridged behind it."""
    station = Station(devices, faults or Faults(), bridge_seconds)
    async with Stepper(devices.values(), speed) as stepper:
        server = TcpServer(
            station,
            lambda: TcpLine(station),
            stepper,
            close_after_answer=close_after_answer,
            host=host,
            port=port,
        )
        await server.listen()
        try:
            yield server
        finally:
            await server.close()


@asynccontextmanager
async def serve_rtu_tcp(
    devices: Mapping[int, SimDevice],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    faults: Faults | None = None,
    speed: float = 1.0,
    turnaround: float = 0.005,
    bits_per_second: int | None = None,
) -> AsyncIterator[TcpServer]:
    """Devices by unit id on one serial line behind a transparent gateway: RTU frames in a TCP stream."""
    station = Station(devices, faults or Faults())

    def line() -> RtuLine:
        return RtuLine(station, turnaround=turnaround, bits_per_second=bits_per_second)

    async with Stepper(devices.values(), speed) as stepper:
        server = TcpServer(station, line, stepper, close_after_answer=False, host=host, port=port)
        await server.listen()
        try:
            yield server
        finally:
            await server.close()
