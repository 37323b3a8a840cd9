"""Devices on one serial line that know their own unit id: it may change while they run, and two may share one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from heliobus.sim.device import SilenceError, SimDevice

GENERAL_ADDRESS = 0xF8


class SerialDevice(SimDevice):
    """A device with a unit id of its own, 1..247, and the speed (bit/s) it listens at.

    `connected` False: its plug is out, and it keeps silent.
    """

    def __init__(self, unit: int, baud: int) -> None:
        self.unit = unit
        self.baud = baud
        self.connected = True

    @property
    def alive(self) -> bool:
        """Whether it answers at all."""
        return self.connected

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        """As SimDevice, but only while alive."""
        return super().answer(pdu, bridged, serial) if self.alive else None

    def answer_general(self, pdu: bytes) -> bytes | None:
        """The answer PDU to a request for the general address 0xF8, None where the device ignores it."""
        return self.answer(pdu, serial=True) if self.hears_general(pdu) else None

    def hears_general(self, pdu: bytes) -> bool:
        """Whether it answers this request at the general address 0xF8."""
        return False

    def slowness(self, pdu: bytes) -> float:
        """Seconds it takes for this request beyond the turnaround of the line."""
        return 0.0

    def pause(self, pdu: bytes) -> float:
        """Seconds of silence in the middle of its answer to this request."""
        return 0.0


class SerialUnits(Mapping[int, SimDevice]):
    """The devices of a line by the unit ids they have now; key 0xF8 reaches whatever heeds the general address.

    Where two answer at once, the line is silent, or carries garbage if its faults are `SerialFaults` of these units.
    """

    def __init__(self, devices: Iterable[SerialDevice]) -> None:
        self.devices = tuple(devices)
        self.garbles = False

    def __getitem__(self, unit: int) -> SimDevice:
        if unit == GENERAL_ADDRESS:
            return _Shared(self, self.devices, general=True)
        heard = [device for device in self.devices if device.unit == unit]
        if not heard:
            raise KeyError(unit)
        return heard[0] if len(heard) == 1 else _Shared(self, heard, general=False)

    def __iter__(self) -> Iterator[int]:
        return iter(dict.fromkeys(device.unit for device in self.devices))

    def __len__(self) -> int:
        return len({device.unit for device in self.devices})

    def answering(self, request: bytes) -> int:
        """How many devices answer a whole request frame."""
        alive = [device for device in self.devices if device.alive]
        if request[0] == GENERAL_ADDRESS:
            return sum(device.hears_general(request[1:-2]) for device in alive)
        return sum(device.unit == request[0] for device in alive)

    def at(self, unit: int) -> SerialDevice | None:
        """The only device with this id, the first where several share it."""
        return next((device for device in self.devices if device.unit == unit), None)

    @property
    def speeds(self) -> Mapping[int, int]:
        """The speed (bit/s) at which each id listens, and goes on to follow the ids."""
        return _Speeds(self)


class _Shared(SimDevice):
    """All devices that hear one id; time passes for each of them."""

    def __init__(self, units: SerialUnits, devices: Sequence[SerialDevice], *, general: bool) -> None:
        self._units = units
        self._devices = devices
        self._general = general

    def advance(self, seconds: float) -> None:
        for device in self._devices:
            device.advance(seconds)

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        raise SilenceError

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        """The answer of the only one that answers; with several, one that `SerialFaults` makes garbage, or silence."""
        asked = [
            device.answer_general(pdu) if self._general else device.answer(pdu, bridged, serial)
            for device in self._devices
        ]
        answers = [answer for answer in asked if answer is not None]
        if not answers or (len(answers) > 1 and not self._units.garbles):
            return None
        return answers[0]


class _Speeds(Mapping[int, int]):
    """The speeds of a line's ids as they are now; the general address is heard at any."""

    def __init__(self, units: SerialUnits) -> None:
        self._units = units

    def __getitem__(self, unit: int) -> int:
        device = self._units.at(unit)
        if device is None:
            raise KeyError(unit)
        return device.baud

    def __iter__(self) -> Iterator[int]:
        return iter(self._units)

    def __len__(self) -> int:
        return len(self._units)
