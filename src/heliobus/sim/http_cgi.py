"""The LiveView CGI of a simulated TriStar's web server, by the TriStar MPPT reference page §1.8.

`GET /MBCSV.cgi?ID=…&F=…&AHI=…&ALO=…&RHI=…&RLO=…` is answered with one line of decimal numbers. The page names functions
4, 5 and 6; 1, 2 and 3 are served alike. What a write is answered with is not on the page: here its echo.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from heliobus.sim.device import SimDevice

FUNCTIONS = range(1, 7)
_LONGEST_REQUEST = 2048


class HttpServer:
    """A listening web server with devices by unit id behind it; the first is the host.

    `requests` has unit id and PDU of every request. `restarted` is called when a request makes the server restart.
    `silent` swallows requests, as a network that ends somewhere on the way.
    """

    def __init__(self, devices: Mapping[int, SimDevice], restarted: Callable[[], None]) -> None:
        self.port = 0
        self.requests: list[tuple[int, bytes]] = []
        self.silent = False
        self._devices = devices
        self._restarted = restarted
        self._listener: asyncio.Server | None = None
        self._serving: set[asyncio.Task[Any]] = set()

    @property
    def _up(self) -> bool:
        return next(iter(self._devices.values())).network_up

    async def listen(self, host: str, port: int) -> None:
        """Start to accept."""
        self._listener = await asyncio.start_server(self._serve, host, port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop; returns when no connection is left."""
        assert self._listener is not None
        self._listener.close()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await self._listener.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            request = await self._request(reader)
            if self.silent:
                await reader.read()
            elif self._up:
                answer = self._answer(request)
                if self._up:
                    writer.write(answer)
                else:
                    self._restarted()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    @staticmethod
    async def _request(reader: asyncio.StreamReader) -> bytes:
        """The request line, once all headers have come."""
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _LONGEST_REQUEST:
            chunk = await reader.read(_LONGEST_REQUEST)
            if not chunk:
                break
            head += chunk
        return head.partition(b"\r\n")[0]

    def _answer(self, request: bytes) -> bytes:
        parts = request.decode("latin-1").split()
        if len(parts) != 3 or parts[0] != "GET":
            return _page("400 Bad Request", "")
        url = urlsplit(parts[1])
        if url.path != "/MBCSV.cgi":
            return _page("404 Not Found", "")
        asked = _numbers(url.query)
        if asked is None:
            return _page("400 Bad Request", "")
        unit, function, *octets = asked
        pdu = bytes((function, *octets))
        self.requests.append((unit, pdu))
        device = self._devices.get(unit)
        if device is None or function not in FUNCTIONS:
            return _page("404 Not Found", "")
        bridged = unit != next(iter(self._devices))
        answer = device.answer(pdu, bridged=bridged)
        return b"" if answer is None else _page("200 OK", ",".join(str(number) for number in (unit, *answer)))


def _numbers(query: str) -> tuple[int, ...] | None:
    """ID, F, AHI, ALO, RHI and RLO, each one byte; None for anything else."""
    given = parse_qs(query)
    try:
        numbers = tuple(int(given[name][0]) for name in ("ID", "F", "AHI", "ALO", "RHI", "RLO"))
    except (KeyError, ValueError):
        return None
    return numbers if all(0 <= number <= 255 for number in numbers) else None


def _page(status: str, body: str) -> bytes:
    return f"HTTP/1.0 {status}\r\nContent-Type: text/plain\r\n\r\n{body}\r\n".encode("ascii")


def _nothing() -> None:
    pass


@asynccontextmanager
async def serve_http(
    devices: Mapping[int, SimDevice],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    restarted: Callable[[], None] = _nothing,
) -> AsyncIterator[HttpServer]:
    """The web server of a TriStar. Time passes for the devices only where another server of theirs lets it pass."""
    server = HttpServer(devices, restarted)
    await server.listen(host, port)
    try:
        yield server
    finally:
        await server.close()
