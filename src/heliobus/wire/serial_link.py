"""A tty as a link."""

import asyncio
import contextlib
import errno
import fcntl
import os
import termios
from typing import TYPE_CHECKING

from heliobus.wire.link import LinkClosed, LinkError
from heliobus.wire.pipe import Inbox

if TYPE_CHECKING:
    import serial

_READ_SIZE = 4096


class SerialLink:
    """A link to the tty at `path`, which no other program can use at the same time."""

    hangs_up = False

    def __init__(self, path: str, baud: int = 9600, bits: int = 8, parity: str = "N", stop: int = 1) -> None:
        self.name = f"serial:{path}"
        self._path = path
        self._baud, self._bits, self._parity, self._stop = baud, bits, parity, stop
        self._inbox = Inbox()
        self._port: serial.Serial | None = None

    @property
    def is_open(self) -> bool:
        """Whether the tty is ours and still there, as far as is known."""
        return self._port is not None and not self._inbox.ended

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
        self._inbox = Inbox()
        asyncio.get_running_loop().add_reader(port.fileno(), self._receive)

    def write(self, frame: bytes) -> None:
        """Send; a tty that is gone shows at the next read."""
        if self._port is None or self._inbox.ended:
            return
        # A frame is far smaller than the kernel's buffer; should that be full, the answer will be missed.
        try:
            os.write(self._port.fileno(), frame)
        except BlockingIOError:
            return
        except OSError:
            self._end()

    async def read(self, timeout: float) -> bytes:
        """The bytes that came. TimeoutError after `timeout` seconds, LinkClosed when the tty has gone."""
        if self._port is None:
            raise LinkClosed(f"{self.name}: not open")
        return await self._inbox.get(timeout)

    def discard(self) -> bytes:
        """Take without waiting what came and was not read."""
        return self._inbox.take()

    def close(self) -> None:
        """Give the tty back."""
        if self._port is not None:
            self._end()
            self._port.close()
            self._port = None

    def _receive(self) -> None:
        assert self._port is not None
        try:
            chunk = os.read(self._port.fileno(), _READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if chunk:
            self._inbox.put(chunk)
        else:
            self._end()

    def _end(self) -> None:
        """Nothing more can come: an adapter that was pulled out would be reported as readable for ever."""
        if self._port is not None and not self._inbox.ended:
            asyncio.get_running_loop().remove_reader(self._port.fileno())
            self._inbox.end()


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
