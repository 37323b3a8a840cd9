"""What the outbox keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Record:
    """One thing to be stored elsewhere: `time_ms` is when it was measured (UTC ms since 1970), `content` is opaque."""

    time_ms: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with its number in the outbox; numbers only grow."""

    sequence: int
    record: Record
