"""Who comes in: by which names, how many at a time and for how long, and what browsers are told to keep to."""

import asyncio
import ipaddress
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiohttp.web_protocol import RequestHandler

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "Server": "Heliobus",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections at a time, and how many seconds one may last; each serves one request."""

    connections: int = 32
    longest: float = 15.0


def on_loopback(host: str) -> bool:
    """Whether a server on `host` can only be reached from the machine itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def names_check(host: str) -> Middleware | None:
    """Nothing, or what raises HTTPForbidden for a request that calls the server by a name that is not its own.

    Only on loopback are all names known. There it keeps out pages of the web whose name was made to mean this machine
    (DNS rebinding).
    """
    if not on_loopback(host):
        return None
    names = LOOPBACK_NAMES | {host.lower()}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        called = request.headers.get("Host")
        # No browser leaves it out.
        if called is not None and host_name(called) not in names:
            raise web.HTTPForbidden(text=f"This server is {host}, not what it was called.\n")
        return await handler(request)

    return check


def host_name(header: str) -> str | None:
    """The name in a `Host` header, without the port; None if it cannot be one."""
    try:
        name = urlsplit(f"//{header}").hostname
    except ValueError:
        return None
    return None if name is None else name.removesuffix(".")


async def furnish(_: web.Request, response: web.StreamResponse) -> None:
    """Put what browsers shall keep to on `response`, and end its connection: a client that stays only takes room."""
    response.headers.update(HEADERS)
    response.force_close()


class NotOurs(logging.Filter):
    """Passes errors of ours; that a client sent no HTTP is worth no line, or a hostile one fills the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged."""
        return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


@asynccontextmanager
async def open_door(runner: web.AppRunner, host: str, port: int, limits: Limits) -> "AsyncIterator[asyncio.Server]":
    """Listen on `host` and `port` while the block runs. Raises OSError."""
    server = runner.server
    assert server is not None

    def admit() -> asyncio.Protocol:
        return _Full() if len(server.connections) >= limits.connections else server()

    listener = await asyncio.get_running_loop().create_server(admit, host, port)
    watch = asyncio.create_task(_watch(server, limits.longest))
    try:
        yield listener
    finally:
        watch.cancel()
        listener.close()


class _Full(asyncio.Protocol):
    """What a client gets that is one too many: nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """End it at once."""
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


async def _watch(server: web.Server, longest: float) -> None:
    """End what lasts too long: a client that sends its request or reads its answer slowly, or does neither."""
    loop = asyncio.get_running_loop()
    begun: dict[RequestHandler, float] = {}
    while True:
        now = loop.time()
        begun = {connection: begun.get(connection, now) for connection in server.connections}
        for connection, since in begun.items():
            if now - since >= longest and connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(longest / 4)
