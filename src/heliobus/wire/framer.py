"""What a bus needs of a protocol: requests made into frames, and a stream of bytes made into events."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

R_co = TypeVar("R_co", covariant=True)

FaultKind = Literal["crc", "unit", "function", "length", "header", "content"]


class Request(Protocol[R_co]):
    """What a bus needs to know of a request; its framer knows the rest."""

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice is the same as sending it once."""

    def decode(self, pdu: bytes) -> R_co:
        """The answer's values."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The open request's answer: what its `decode` gave, or the refusal it raised."""

    result: Any


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that came instead of the open request's answer; nothing more is read until the bus has resynchronised."""

    kind: FaultKind
    why: str


@dataclass(frozen=True, slots=True)
class Late:
    """The answer of a request to `unit` that is no longer open; 0 where that is not known."""

    unit: int = 0


@dataclass(frozen=True, slots=True)
class Foreign:
    """A valid frame that nobody here asked for: a second master, or what it was answered."""

    unit: int
    function: int


Event = Answer | Fault | Late | Foreign


class Framer(Protocol):
    """A protocol on one link, without I/O. How the stream is cut into chunks never changes the events.

    At most one request is open: from `encode` until an Answer, a Fault, `flush` or `abandon`.
    """

    @property
    def silence(self) -> float:
        """Seconds of quiet line that must lie between two frames."""

    @property
    def drains(self) -> bool:
        """Whether lost synchronism is regained by draining the line; else by closing the connection."""

    def encode(self, unit: int, request: Any) -> bytes:
        """The frame of `request`, which is the open one from now on. ValueError for an impossible unit."""

    def alike(self, one: Any, other: Any) -> bool:
        """Whether the answer to request `one` could be taken for that to `other`, both of one unit."""

    def refused_alike(self, one: Any, other: Any) -> bool:
        """The same of a refusal of `one`."""

    def feed(self, chunk: bytes) -> list[Event]:
        """What `chunk` completes. Never raises."""

    def flush(self) -> list[Event]:
        """The line has been quiet: nothing more belongs to what came, so what frames did come?"""

    def abandon(self) -> int:
        """The open request is given up, its answer late from now on; how many bytes of it, or of noise, had come."""

    def reset(self) -> None:
        """A new connection: forget half a frame and whatever could have come late."""
