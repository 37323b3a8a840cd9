"""A tty as a link."""

import contextlib
import errno
import fcntl
import os
import termios
from typing import TYPE_CHECKING

from heliobus.wire.descriptor import Descriptor, DescriptorLink
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import LinkBusy, LinkError

if TYPE_CHECKING:
    import serial


_BUSY = (errno.EBUSY, errno.EAGAIN)
_USUAL = LineSettings()


class SerialLink(DescriptorLink):
    """A link to the tty at `path`, which no other program can use at the same time."""

    hangs_up = False

    def __init__(self, path: str, settings: LineSettings = _USUAL) -> None:
        super().__init__(f"serial:{path}")
        self._path = path
        self._settings = settings
        self._port: serial.Serial | None = None

    async def open(self, timeout: float) -> None:
        """Open and lock the tty, or raise LinkBusy or LinkError; a tty opens at once or not at all."""
        # pyserial costs memory that a site without serial devices need not pay.
        import serial  # noqa: PLC0415

        self.close()
        settings = self._settings
        try:
            port = serial.Serial(
                self._path,
                baudrate=settings.baud,
                bytesize=settings.bits,
                parity=settings.parity,
                stopbits=settings.stop,
                timeout=0,
                exclusive=True,
            )
        except serial.SerialException as error:
            kind = LinkBusy if error.errno in _BUSY else LinkError
            raise kind(f"{self.name}: {_words(error)}") from None
        except (OSError, ValueError, termios.error) as error:
            raise LinkError(f"{self.name}: {error}") from None
        _claim(port)
        self._port = port
        self._descriptor = Descriptor(port.fileno())

    def configure(self, settings: LineSettings) -> None:
        """Change speed and character frame without closing the tty. LinkError when it has gone."""
        self._settings = settings
        port = self._port
        if port is None or not self.is_open:
            return
        try:
            # Each setter writes to the tty at once, but only if the value is another one.
            port.apply_settings(
                {
                    "baudrate": settings.baud,
                    "bytesize": settings.bits,
                    "parity": settings.parity,
                    "stopbits": settings.stop,
                }
            )
        except (OSError, ValueError, termios.error) as error:
            raise LinkError(f"{self.name}: cannot be set to {settings.baud} baud: {error}") from None

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
    if number in _BUSY:
        return "in use by another program"
    return os.strerror(number).lower() if number is not None else f"not a usable tty ({error})"
