"""Messages of a subscription that wait to be taken."""

import asyncio

from heliobus.outputs.mqtt.session import Message

MOST_MESSAGES = 100
MOST_BYTES = 1024 * 1024


class Inbox(asyncio.Queue[Message]):
    """A queue that never refuses: the oldest are dropped instead. Bounded in messages and, but for one, in bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._size = 0

    def leave(self, message: Message) -> None:
        """Put `message`."""
        self._size += len(message.payload)
        while not self.empty() and (self.qsize() >= MOST_MESSAGES or self._size > MOST_BYTES):
            self.get_nowait()
        self.put_nowait(message)

    def _get(self) -> Message:
        taken = super()._get()
        self._size -= len(taken.payload)
        return taken
