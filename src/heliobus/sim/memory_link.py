"""A link (wire.link.Link) straight into simulated devices: no sockets, so that it runs in virtual time."""

import asyncio
from collections.abc import Mapping

from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Faults, Framing
from heliobus.sim.line import Line, RtuLine, Station, TcpLine
from heliobus.sim.stepper import Stepper
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import LinkError
from heliobus.wire.pipe import Inbox

_USUAL_SPEED = 9600


class MemoryLink:
    """Devices by unit id behind one TCP address or on one serial line.

    `latency` is the delay of each answer (s); `bits_per_second` adds the time on a serial wire and is its speed until
    the master sets another one; `speeds` are those at which units listen. Device time is loop time × `speed`. `paused`
    swallows requests and answers (cable pulled), `refusing` also refuses to open.
    """

    def __init__(
        self,
        devices: Mapping[int, SimDevice],
        framing: Framing = Framing.TCP,
        *,
        name: str = "memory",
        latency: float = 0.0,
        bits_per_second: int | None = None,
        faults: Faults | None = None,
        speed: float = 1.0,
        close_after_answer: bool = False,
        bridge_seconds: float = 0.0,
        speeds: Mapping[int, int] | None = None,
    ) -> None:
        self.name = name
        self.station = Station(devices, faults or Faults(), bridge_seconds, speeds=speeds or {})
        self.paused = False
        self.refusing = False
        self.opened = 0
        self._framing = framing
        self._latency = latency
        self._bits_per_second = bits_per_second or (_USUAL_SPEED if speeds else None)
        self._speed = speed
        self._close_after_answer = close_after_answer and framing is Framing.TCP
        self._stepper: Stepper | None = None
        self._line: Line | None = None
        self._inbox = Inbox()
        self._due: set[asyncio.TimerHandle] = set()

    @property
    def requests(self) -> list[tuple[int, bytes]]:
        """Unit id and PDU of every request, in order."""
        return self.station.requests

    @property
    def hangs_up(self) -> bool:
        """A TCP peer may; a serial line does not."""
        return self._framing is Framing.TCP

    @property
    def is_open(self) -> bool:
        """Whether the connection stands."""
        return self._line is not None and not self._inbox.ended

    async def open(self, timeout: float) -> None:
        """Connect; LinkError when refused or while a TCP server restarts."""
        self.close()
        self._catch_up()
        if self.refusing or (self.hangs_up and not self.station.network_up):
            raise LinkError(f"{self.name}: connection refused")
        self.opened += 1
        self._inbox = Inbox()
        if self._framing is Framing.TCP:
            self._line = TcpLine(self.station)
        else:
            self._line = RtuLine(self.station, bits_per_second=self._bits_per_second)

    def configure(self, settings: LineSettings) -> None:
        """Speak at another speed from now on."""
        if self._bits_per_second is not None:
            self._bits_per_second = settings.baud
        if isinstance(self._line, RtuLine):
            self._line.tune(self._bits_per_second)

    def overhear(self, payload: bytes) -> None:
        """Somebody else on the line says this, at the line's speed."""
        if not self.paused:
            self._inbox.put(payload)

    def write(self, frame: bytes) -> None:
        """Send; on a connection that is gone nothing happens."""
        self._catch_up()
        if not self.is_open or self._line is None or self.paused:
            return
        loop = asyncio.get_running_loop()
        deliveries = self._line.feed(frame, loop.time())
        if self.hangs_up and not self.station.network_up:
            self._inbox.end()
            return
        for index, delivery in enumerate(deliveries):
            last = index == len(deliveries) - 1
            self._schedule(delivery.delay + self._latency, delivery.payload, last)

    async def read(self, timeout: float) -> bytes:
        """The bytes that came; TimeoutError or LinkClosed as in wire.link.Link."""
        return await self._inbox.get(timeout)

    def discard(self) -> bytes:
        """Take without waiting what came and was not read."""
        return self._inbox.take()

    def hang_up(self) -> None:
        """End the connection from the other side."""
        self._inbox.end()

    def close(self) -> None:
        """End the connection; what was under way is lost."""
        for handle in self._due:
            handle.cancel()
        self._due.clear()
        self._line = None

    def _schedule(self, delay: float, payload: bytes, last: bool) -> None:
        inbox, speed = self._inbox, self._bits_per_second

        def deliver() -> None:
            self._due.discard(handle)
            if self.paused:
                return
            # Who listens at another speed than was spoken at hears noise.
            inbox.put(payload if speed == self._bits_per_second else bytes(each ^ 0xA5 for each in payload))
            if last and self._close_after_answer:
                inbox.end()

        handle = asyncio.get_running_loop().call_later(delay, deliver)
        self._due.add(handle)

    def _catch_up(self) -> None:
        if self._stepper is None:
            self._stepper = Stepper(self.station.devices.values(), self._speed)
        self._stepper.catch_up()
