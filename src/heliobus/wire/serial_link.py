"""A tty as a link."""

import contextlib
import errno
import fcntl
import os
import termios
from typing import TYPE_CHECKING

from heliobus.wire.descriptor import Descriptor
from heliobus.wire.link import LinkClosed, LinkError

if TYPE_CHECKING:
    import serial


class SerialLink:
    """A link to the tty at `path`, which no other program can use at the same time."""

    hangs_up = False

    def __init__(self, path: str, baud: int = 9600, bits: int = 8, parity: str = "N", stop: int = 1) -> None:
        self.name = f"serial:{path}"
        self._path = path
        self._baud, self._bits, self._parity, self._stop = baud, bits, parity, stop
        self._port: serial.Serial | None = None
        self._descriptor: Descriptor | None = None

    @property
    def is_open(self) -> bool:
        """Whether the tty is ours and still there, as far as is known."""
        return self._descriptor is not None and not self._descriptor.inbox.ended

    async def open(self, timeout: float) -> None:
        """Open and lock the tty, or raise LinkError; a tty opens at once or not at all."""
        # pyserial costs memory that a site without serial devices need not pay.
        import serial  # noqa: PLC0415

        self.close()
        try:
            port = serial.Serial(
                self._path,
                baudrate=self._baud,
                bytesize=self._bits,
                parity=self._parity,
                stopbits=self._stop,
                timeout=0,
                exclusive=True,
            )
        except serial.SerialException as error:
            raise LinkError(f"{self.name}: {_words(error)}") from None
        except (OSError, ValueError) as error:
            raise LinkError(f"{self.name}: {error}") from None
        _claim(port)
        self._port = port
        self._descriptor = Descriptor(port.fileno())

    def write(self, frame: bytes) -> None:
        """Send; a tty that is gone shows at the next read."""
        if self._descriptor is not None:
            self._descriptor.write(frame)

    async def read(self, timeout: float) -> bytes:
        """The bytes that came. TimeoutError after `timeout` seconds, LinkClosed when the tty has gone."""
        if self._descriptor is None:
            raise LinkClosed(f"{self.name}: not open")
        return await self._descriptor.inbox.get(timeout)

    def discard(self) -> bytes:
        """Take without waiting what came and was not read."""
        return b"" if self._descriptor is None else self._descriptor.inbox.take()

    def close(self) -> None:
        """Give the tty back."""
        if self._descriptor is not None:
            self._descriptor.end()
            self._descriptor = None
        if self._port is not None:
            self._port.close()
            self._port = None


def _claim(port: "serial.Serial") -> None:
    """Keep out programs that do not look at locks, and have bytes handed over without the adapter's 16 ms wait."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(port.fileno(), termios.TIOCEXCL)
    with contextlib.suppress(OSError, ValueError):
        port.set_low_latency_mode(True)


def _words(error: "serial.SerialException") -> str:
    number = error.errno
    if number == errno.ENOENT:
        return "no such tty (is the adapter plugged in?)"
    if number == errno.EACCES:
        return "no permission (add the user to the group dialout)"
    if number in (errno.EBUSY, errno.EAGAIN):
        return "in use by another program"
    return os.strerror(number).lower() if number is not None else f"not a usable tty ({error})"
