"""A link: a pipe of bytes to where the devices are."""

from typing import Protocol

from heliobus.wire.line_settings import LineSettings


class LinkError(Exception):
    """A link could not be opened; the text is one line for people and names the link."""


class LinkBusy(LinkError):  # noqa: N818 - what it is
    """Another program has the tty."""


class LinkClosed(Exception):  # noqa: N818 - a TCP peer that hangs up is no error by itself
    """The other side ended the connection, or the tty went away."""


class Link(Protocol):
    """One connection at a time to one TCP endpoint or tty. Only its bus touches it."""

    @property
    def name(self) -> str:
        """What people call it: `tcp://192.0.2.4:502`."""

    @property
    def hangs_up(self) -> bool:
        """Whether the other side may end the connection as it likes: TCP."""

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as is known."""

    async def open(self, timeout: float) -> None:
        """Connect within `timeout` seconds, or raise LinkError."""

    def configure(self, settings: LineSettings) -> None:
        """Speak with `settings` from now on, open or not; TCP has none. LinkError when the tty has gone."""

    def write(self, frame: bytes) -> None:
        """Send; a connection that is gone shows at the next read."""

    async def read(self, timeout: float) -> bytes:
        """The bytes that came, at least one. TimeoutError after `timeout` seconds, LinkClosed at the end."""

    def discard(self) -> bytes:
        """Take without waiting what came and was not read."""

    def close(self) -> None:
        """End the connection; harmless when there is none."""
