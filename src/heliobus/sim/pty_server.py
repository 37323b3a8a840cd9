"""Simulated devices on a pseudo-terminal: a serial port that any program can open by its path."""

import asyncio
import os
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Delivery, Faults
from heliobus.sim.line import RtuLine, Station
from heliobus.sim.stepper import Stepper

_SPEEDS = {getattr(termios, name): int(name[1:]) for name in dir(termios) if name[:1] == "B" and name[1:].isdigit()}


class PtyServer:
    """A serial line at `path`; `requests` is what was asked. A `timed` one has the speed its client sets."""

    def __init__(self, station: Station, line: RtuLine, stepper: Stepper, *, timed: bool = False) -> None:
        self.station = station
        self.paused = False
        self._line = line
        self._timed = timed
        self._stepper = stepper
        self._loop = asyncio.get_running_loop()
        self._due: set[asyncio.TimerHandle] = set()
        # Our own end of the slave stays open, else reading fails whenever the last client closes.
        self._master, self._slave = os.openpty()
        _make_raw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._loop.add_reader(self._master, self._readable)

    @property
    def requests(self) -> list[tuple[int, bytes]]:
        """Unit id and PDU of every request, in order."""
        return self.station.requests

    def pause(self) -> None:
        """Pull the cable: nothing is heard, nothing is said."""
        self.paused = True

    def resume(self) -> None:
        """Plug it in again."""
        self.paused = False

    def close(self) -> None:
        """Take the port away."""
        self._loop.remove_reader(self._master)
        for handle in self._due:
            handle.cancel()
        self._due.clear()
        os.close(self._master)
        os.close(self._slave)

    def _readable(self) -> None:
        received = os.read(self._master, 4096)
        if self.paused:
            return
        self._stepper.catch_up()
        if self._timed:
            # Our end of the pair shows the settings of the other one.
            self._line.tune(_SPEEDS.get(termios.tcgetattr(self._master)[4]))
        for delivery in self._line.feed(received, self._loop.time()):
            self._schedule(delivery)

    def _schedule(self, delivery: Delivery) -> None:
        def deliver() -> None:
            self._due.discard(handle)
            if not self.paused:
                os.write(self._master, delivery.payload)

        handle = self._loop.call_later(delivery.delay, deliver)
        self._due.add(handle)


def _make_raw(descriptor: int) -> None:
    """No echo, no line editing, eight bits: what cfmakeraw(3) does."""
    mode = termios.tcgetattr(descriptor)
    mode[0] = mode[1] = mode[3] = 0
    mode[2] = mode[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSANOW, mode)


@asynccontextmanager
async def serve_pty(
    devices: Mapping[int, SimDevice],
    *,
    faults: Faults | None = None,
    speed: float = 1.0,
    turnaround: float = 0.005,
    bits_per_second: int | None = None,
    speeds: Mapping[int, int] | None = None,
) -> AsyncIterator[PtyServer]:
    """Devices by unit id on one serial line; open `server.path`.

    With `speeds`, the bit/s at which units listen, the line has the speed its client sets, and takes that time.
    """
    station = Station(devices, faults or Faults(), speeds=speeds or {})
    line = RtuLine(station, turnaround=turnaround, bits_per_second=bits_per_second)
    async with Stepper(devices.values(), speed) as stepper:
        server = PtyServer(station, line, stepper, timed=speeds is not None)
        try:
            yield server
        finally:
            server.close()
