"""A TCP connection as a link."""

import asyncio
import os
import re
import socket

from heliobus.wire.link import LinkClosed, LinkError
from heliobus.wire.pipe import Inbox

_BUFFER_SIZE = 4096


class _Receiver(asyncio.BufferedProtocol):
    """Takes what the socket has, without a new buffer for each read."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._buffer = bytearray(_BUFFER_SIZE)
        self._view = memoryview(self._buffer)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._inbox.put(bytes(self._view[:nbytes]))

    def eof_received(self) -> None:
        self._inbox.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbox.end()


class TcpLink:
    """A link to `host`:`port`; `name` is how people and log lines call it."""

    hangs_up = True

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name = name
        self._host = host
        self._port = port
        self._inbox = Inbox()
        self._transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._transport is not None and not self._inbox.ended

    async def open(self, timeout: float) -> None:
        """Connect within `timeout` seconds, or raise LinkError."""
        self.close()
        inbox = Inbox()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport, _ = await loop.create_connection(
                    lambda: _Receiver(inbox), self._host, self._port, happy_eyeballs_delay=0.25
                )
        except TimeoutError:
            raise LinkError(f"{self.name}: no connection within {timeout:g} s") from None
        except socket.gaierror as error:
            raise LinkError(f"{self.name}: host not found ({error.strerror})") from None
        except OSError as error:
            raise LinkError(f"{self.name}: {_words(error)}") from None
        self._inbox = inbox
        self._transport = transport

    def write(self, frame: bytes) -> None:
        """Send; a connection that is gone shows at the next read."""
        if self._transport is not None:
            self._transport.write(frame)

    async def read(self, timeout: float) -> bytes:
        """The bytes that came. TimeoutError after `timeout` seconds, LinkClosed at the end."""
        if self._transport is None:
            raise LinkClosed(f"{self.name}: not connected")
        return await self._inbox.get(timeout)

    def discard(self) -> bytes:
        """Take without waiting what came and was not read."""
        return self._inbox.take()

    def close(self) -> None:
        """End the connection."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None


def _words(error: OSError) -> str:
    """The system's reason; where several addresses failed, the last one's."""
    number = error.errno
    if number is None:
        numbers = re.findall(r"\[Errno (\d+)\]", str(error))
        number = int(numbers[-1]) if numbers else None
    return os.strerror(number).lower() if number is not None else str(error)
