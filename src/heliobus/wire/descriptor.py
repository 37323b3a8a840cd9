"""A socket or tty that the event loop watches for us: leaner than a transport, and closed when we say so."""

import asyncio
import os

from heliobus.wire.link import LinkClosed
from heliobus.wire.pipe import Inbox

_READ_SIZE = 4096


class Descriptor:
    """What arrives at the non-blocking file descriptor `number` goes into the inbox, until `end`. Closes nothing."""

    def __init__(self, number: int) -> None:
        self.inbox = Inbox()
        self._number = number
        asyncio.get_running_loop().add_reader(number, self._receive)

    def write(self, frame: bytes) -> None:
        """Send; that the other side is gone shows at the next read."""
        if self.inbox.ended:
            return
        # A frame is far smaller than the kernel's buffer; should that be full, the answer will be missed.
        try:
            os.write(self._number, frame)
        except BlockingIOError:
            return
        except OSError:
            self.end()

    def end(self) -> None:
        """Watch no longer: what has ended would be reported as readable for ever."""
        if not self.inbox.ended:
            asyncio.get_running_loop().remove_reader(self._number)
            self.inbox.end()

    def _receive(self) -> None:
        try:
            chunk = os.read(self._number, _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if chunk:
            self.inbox.put(chunk)
        else:
            self.end()


class DescriptorLink:
    """What links over a descriptor have in common; opening is what tells them apart."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._descriptor: Descriptor | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._descriptor is not None and not self._descriptor.inbox.ended

    def write(self, frame: bytes) -> None:
        """Send; that the other side is gone shows at the next read."""
        if self._descriptor is not None:
            self._descriptor.write(frame)

    async def read(self, timeout: float) -> bytes:
        """The bytes that came. TimeoutError after `timeout` seconds, LinkClosed at the end."""
        if self._descriptor is None:
            raise LinkClosed(f"{self.name}: not open")
        return await self._descriptor.inbox.get(timeout)

    def discard(self) -> bytes:
        """Take without waiting what came and was not read."""
        return b"" if self._descriptor is None else self._descriptor.inbox.take()

    def _unwatch(self) -> None:
        if self._descriptor is not None:
            self._descriptor.end()
            self._descriptor = None
