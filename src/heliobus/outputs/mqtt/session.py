"""One connection to a broker, as the parts of the MQTT output see it."""

import asyncio
import math
from dataclasses import dataclass
from typing import Protocol


class PublishRefusedError(Exception):
    """The broker will not have this message (a reason code of MQTT 5); the text says what it said."""


class ConnectionLostError(Exception):
    """The connection is gone; the text says why."""


@dataclass(frozen=True, slots=True)
class Message:
    """What came from the broker. `retain`: it is an old message that the broker had kept.

    `expires` is the loop's time after which its sender wants it ignored (MQTT 5).
    """

    topic: str
    payload: bytes
    retain: bool
    expires: float = math.inf


class Session(Protocol):
    """A connection while it lasts."""

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Send; with `qos` 1 wait for the broker's yes. Raises PublishRefusedError, ConnectionLostError."""

    async def subscribe(self, *filters: str) -> asyncio.Queue[Message]:
        """What comes on these topics from now on, the oldest dropped when nobody takes it. Raises as `publish`."""


class Part(Protocol):
    """One use of the connection: states, discovery, commands, samples, Victron's topics."""

    async def run(self, session: Session) -> None:
        """Work while the connection lasts; begun anew with each. Raises ConnectionLostError."""
