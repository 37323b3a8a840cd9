"""A TCP connection as a link."""

import asyncio
import contextlib
import os
import socket
from typing import Any

from heliobus.wire.descriptor import Descriptor, DescriptorLink
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import LinkError

_Address = tuple[int, Any]


class TcpLink(DescriptorLink):
    """A link to `host`:`port`; `name` is how people and log lines call it."""

    hangs_up = True

    def __init__(self, name: str, host: str, port: int) -> None:
        super().__init__(name)
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None

    async def open(self, timeout: float) -> None:
        """Connect within `timeout` seconds, or raise LinkError."""
        self.close()
        try:
            async with asyncio.timeout(timeout):
                self._socket = await self._connect()
        except TimeoutError:
            raise LinkError(f"{self.name}: no connection within {timeout:g} s") from None
        except socket.gaierror as error:
            raise LinkError(f"{self.name}: host not found ({error.strerror})") from None
        except (OSError, UnicodeError) as error:
            raise LinkError(f"{self.name}: {_words(error)}") from None
        self._descriptor = Descriptor(self._socket.fileno())

    def configure(self, settings: LineSettings) -> None:
        """Nothing: what lies behind the other end has settings of its own."""

    def close(self) -> None:
        """End the connection."""
        self._unwatch()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _connect(self) -> socket.socket:
        """A connected socket to the first of the host's addresses that takes one. Raises the last one's OSError."""
        failure: OSError | None = None
        for family, address in await self._addresses():
            try:
                return await _connected(family, address)
            except OSError as error:
                failure = error
        raise failure or OSError("the host has no address")

    async def _addresses(self) -> list[_Address]:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, self._host)
            except OSError:
                continue
            return [(family, (self._host, self._port))]
        found = await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        # This gear speaks IPv4; a network whose IPv6 leads nowhere must not use up the time.
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return [(family, address) for family, _, _, _, address in found]


async def _connected(family: int, address: Any) -> socket.socket:
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(one, address)
        stack.pop_all()
    return one


def _words(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number is not None else str(error)
