"""A tty as a link."""

import contextlib
import errno
import fcntl
import os
import termios
from typing import TYPE_CHECKING

from heliobus.wire.descriptor import Descriptor, DescriptorLink
from heliobus.wire.link import LinkError

if TYPE_CHECKING:
    import serial


class SerialLink(DescriptorLink):
    """A link to the tty at `path`, which no other program can use at the same time."""

    hangs_up = False

    def __init__(self, path: str, baud: int = 9600, bits: int = 8, parity: str = "N", stop: int = 1) -> None:
        super().__init__(f"serial:{path}")
        self._path = path
        self._baud, self._bits, self._parity, self._stop = baud, bits, parity, stop
        self._port: serial.Serial | None = None

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

    def close(self) -> None:
        """Give the tty back."""
        self._unwatch()
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
