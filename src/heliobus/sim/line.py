"""The device side of a wire, sans I/O: bytes of requests in, deliveries of answers out. Modbus RTU and Modbus TCP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Delivery, Faults, Framing
from heliobus.wire.modbus.crc import crc16, with_crc

_CHARACTER_BITS = 11
_STALE_SECONDS = 0.1
# Whole request lengths on the serial line; the functions 0x0F and 0x10 carry their own count.
_FIXED_LENGTHS = {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 0x2B: 7}


@dataclass(slots=True)
class Station:
    """The devices behind one address. The first unit is its own; others are bridged and answer after `bridge_seconds`.

    `requests` logs every request with unit id and PDU, also those nobody answers. `speeds` are the bit/s at which units
    on a serial line listen; one that is not there understands any.
    """

    devices: Mapping[int, SimDevice]
    faults: Faults = field(default_factory=Faults)
    bridge_seconds: float = 0.0
    requests: list[tuple[int, bytes]] = field(default_factory=list)
    speeds: Mapping[int, int] = field(default_factory=dict)

    @property
    def network_up(self) -> bool:
        """Whether the station's TCP server runs."""
        return all(device.network_up for device in list(self.devices.values())[:1])

    def answer(self, unit: int, pdu: bytes, serial: bool, baud: int | None = None) -> tuple[float, bytes] | None:
        """The answer PDU and how long it takes, None for silence; `baud` is the speed of the request."""
        self.requests.append((unit, pdu))
        if serial and unit == 0:
            for each, listener in self.devices.items():
                if self._hears(each, baud):
                    listener.answer(pdu, serial=True)
            return None
        if not self._hears(unit, baud):
            return None
        device = self.devices.get(unit)
        if device is None:
            return None
        bridged = not serial and unit != next(iter(self.devices))
        answer = device.answer(pdu, bridged=bridged, serial=serial)
        return None if answer is None else (self.bridge_seconds if bridged else 0.0, answer)

    def _hears(self, unit: int, baud: int | None) -> bool:
        return baud is None or self.speeds.get(unit, baud) == baud


class Line(Protocol):
    """One connection's framing."""

    def feed(self, received: bytes, now: float = 0.0) -> list[Delivery]:
        """Take bytes from the master; what it will get for them."""


class TcpLine:
    """Modbus TCP (MBAP) on one connection."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._buffer = b""

    def feed(self, received: bytes, now: float = 0.0) -> list[Delivery]:
        """Take bytes from the master; a wrong protocol id empties the buffer."""
        self._buffer += received
        deliveries: list[Delivery] = []
        while len(self._buffer) >= 8:
            length = int.from_bytes(self._buffer[4:6], "big")
            if self._buffer[2:4] != b"\0\0" or not 2 <= length <= 254:
                self._buffer = b""
                break
            if len(self._buffer) < 6 + length:
                break
            request, self._buffer = self._buffer[: 6 + length], self._buffer[6 + length :]
            deliveries += self._exchange(request, now)
        return deliveries

    def _exchange(self, request: bytes, now: float) -> list[Delivery]:
        answered = self._station.answer(request[6], request[7:], serial=False)
        if answered is None:
            return []
        delay, pdu = answered
        frame = request[:4] + (len(pdu) + 1).to_bytes(2, "big") + request[6:7] + pdu
        faults = self._station.faults
        return faults.apply(frame, request=request, framing=Framing.TCP, delay=delay, now=now)


class RtuLine:
    """Modbus RTU on one serial line. `bits_per_second` adds the time the answer takes on the wire, None nothing."""

    def __init__(
        self,
        devices: Mapping[int, SimDevice] | Station,
        faults: Faults | None = None,
        *,
        turnaround: float = 0.005,
        bits_per_second: int | None = None,
    ) -> None:
        self._station = devices if isinstance(devices, Station) else Station(devices, faults or Faults())
        self._turnaround = turnaround
        self._bits_per_second = bits_per_second
        self._buffer = b""
        self._last = 0.0

    @property
    def requests(self) -> list[tuple[int, bytes]]:
        """Every request so far: unit id and PDU."""
        return self._station.requests

    def tune(self, bits_per_second: int | None) -> None:
        """The master speaks at this speed from now on: what came before at another one was never understood."""
        if bits_per_second != self._bits_per_second:
            self._bits_per_second = bits_per_second
            self._buffer = b""

    def feed(self, received: bytes, now: float = 0.0) -> list[Delivery]:
        """Take bytes from the master; a pause or a wrong checksum drops what came before, as on a real line."""
        if now - self._last > _STALE_SECONDS:
            self._buffer = b""
        self._last = now
        self._buffer += received
        deliveries: list[Delivery] = []
        while (length := self._length()) and len(self._buffer) >= length:
            request, self._buffer = self._buffer[:length], self._buffer[length:]
            if crc16(request[:-2]) != int.from_bytes(request[-2:], "little"):
                self._buffer = b""
                break
            deliveries += self._exchange(request, now)
        return deliveries

    def _length(self) -> int | None:
        """The length of the request at the head of the buffer, None while unknown."""
        if len(self._buffer) < 4:
            return None
        function = self._buffer[1]
        if function in _FIXED_LENGTHS:
            return _FIXED_LENGTHS[function]
        if function in (0x0F, 0x10):
            return 9 + self._buffer[6] if len(self._buffer) > 6 else None
        # A maker's own function: the frame is whole when its checksum says so.
        whole = crc16(self._buffer[:-2]) == int.from_bytes(self._buffer[-2:], "little")
        return len(self._buffer) if whole else None

    def _exchange(self, request: bytes, now: float) -> list[Delivery]:
        answered = self._station.answer(request[0], request[1:-2], serial=True, baud=self._bits_per_second)
        if answered is None:
            return []
        frame = with_crc(request[:1] + answered[1])
        delay = answered[0] + self._turnaround
        if self._bits_per_second:
            delay += (len(request) + len(frame)) * _CHARACTER_BITS / self._bits_per_second
        faults = self._station.faults
        return faults.apply(frame, request=request, framing=Framing.RTU, delay=delay, now=now)
