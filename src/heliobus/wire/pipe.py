"""The receiving end that links have in common: bytes put by a protocol, taken by one reader."""

import asyncio

from heliobus.wire.link import LinkClosed

# Far more than any answer: a line that talks all day while nobody asks must not fill the memory.
_LIMIT = 4096


class Inbox:
    """The last bytes received and not read yet. Made for one reader, without a task or a queue per read."""

    def __init__(self) -> None:
        self._received = b""
        self._reader: asyncio.Future[None] | None = None
        self.ended = False

    def put(self, chunk: bytes) -> None:
        """Bytes came."""
        self._received = (self._received + chunk)[-_LIMIT:] if self._received else chunk
        self._wake()

    def end(self) -> None:
        """Nothing will come any more."""
        self.ended = True
        self._wake()

    def take(self) -> bytes:
        """All that is there, perhaps nothing."""
        chunk, self._received = self._received, b""
        return chunk

    async def get(self, timeout: float) -> bytes:
        """All that is there, at least one byte. TimeoutError after `timeout` seconds, LinkClosed at the end."""
        if not self._received:
            if self.ended:
                raise LinkClosed("closed by the other side")
            loop = asyncio.get_running_loop()
            self._reader = loop.create_future()
            timer = loop.call_later(timeout, self._wake)
            try:
                await self._reader
            finally:
                timer.cancel()
                self._reader = None
            if not self._received:
                if self.ended:
                    raise LinkClosed("closed by the other side")
                raise TimeoutError
        return self.take()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
