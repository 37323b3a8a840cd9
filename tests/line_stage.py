"""A noisy RS-485 line with six Tracers and four meters, polled as the daemon does it, in virtual time.

Every answer a device gave is remembered before the line spoils it, so that what is published can be held against it.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from heliobus.devices import catalog
from heliobus.devices.decode import Decoder
from heliobus.devices.driver import Driver, Poll, Recognised, Table
from heliobus.devices.plan import Block, Cost, rtu_cost
from heliobus.devices.poll import NORMAL_PERIOD, ONCE_PERIOD, SLOW_PERIOD, Poller
from heliobus.ledger.ledger import Ledger
from heliobus.model.device import Device
from heliobus.model.localtime import local_time
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.sim.faults import Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.pzem import SimPzemAc, SimPzemDc
from heliobus.sim.serial_faults import SerialFaults
from heliobus.sim.serial_units import SerialDevice, SerialUnits
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import VirtualClock
from heliobus.site import Mailbox, Site
from heliobus.wire.bus import Bus
from heliobus.wire.framer import Framer
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.trace import Frame, Trace

TURNAROUND = 0.005
"""What the simulated line takes between a request and its answer."""


class Witness:
    """Remembers of every unit what the last answers it gave mean, by point, before the line could spoil them."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, str], deque[tuple[float, Value]]] = defaultdict(lambda: deque(maxlen=12))
        self._decoders: dict[tuple[int, int, int, int], list[Decoder]] = {}
        self._polls: dict[tuple[int, str], Poll] = {}

    def listen(self, device: SerialDevice, driver: Driver) -> None:
        """Have `device` tell what it answers to reads."""
        answer = device.answer
        # What is scaled by another register can only be judged together with that.
        for register in (each for each in driver.registers if not each.scale.factors):
            self._polls[device.unit, register.point.name] = register.poll

        def overheard(pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
            answered = answer(pdu, bridged, serial)
            if answered and answered[0] == pdu[0] and pdu[0] in (1, 2, 3, 4):
                self._note(device.unit, driver, pdu, answered)
            return answered

        device.answer = overheard  # type: ignore[method-assign]

    def wrong(self, unit: int, reading: Reading, fast: float) -> list[str]:
        """The points of `reading` whose values the unit did not say, or longer ago than they hold."""
        now = asyncio.get_running_loop().time()
        return [
            name
            for name, value in reading.values.items()
            if value is not None
            and (unit, name) in self._polls
            and not self._confirmed(unit, name, value, now - 2 * period_of(self._polls[unit, name], fast) - 1)
        ]

    def _confirmed(self, unit: int, name: str, value: Value, since: float) -> bool:
        return any(time >= since and said == value for time, said in reversed(self._said[unit, name]))

    def _note(self, unit: int, driver: Driver, pdu: bytes, answered: bytes) -> None:
        body, address, count = answered[2:], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if pdu[0] <= 2:
            words = tuple(body[index // 8] >> index % 8 & 1 for index in range(count))
        else:
            words = tuple(int.from_bytes(body[at : at + 2], "big") for at in range(0, 2 * count, 2))
        now = asyncio.get_running_loop().time()
        for decoder in self._decoding(unit, driver, pdu[0], address, count):
            values, _ = decoder.decode(words, {})
            for name, value in values.items():
                self._said[unit, name].append((now, value))

    def _decoding(self, unit: int, driver: Driver, table: int, address: int, count: int) -> list[Decoder]:
        key = (unit, table, address, count)
        if key not in self._decoders:
            inside = tuple(
                each
                for each in driver.registers
                if each.table == table and address <= each.address and each.end <= address + count
            )
            block = Block(Table(table), address, count, Poll.FAST, inside)
            self._decoders[key] = [Decoder(block)] if inside else []
        return self._decoders[key]


@dataclass(slots=True)
class Usage:
    """Seconds from requests to the ends of their answers, seconds of what the line carried, and requests."""

    seconds: float = 0.0
    carried: float = 0.0
    requests: int = 0


class Meter:
    """Adds up by unit what the line was used for; both sums have the two silences of a request in them."""

    def __init__(self, speeds: Mapping[int, int]) -> None:
        self.usage: dict[int, Usage] = defaultdict(Usage)
        self._speeds = speeds
        self._unit = 0
        self._heard = 0.0

    def hear(self, frame: Frame) -> None:
        """A frame of the trace."""
        if frame.direction == "tx":
            self._unit = frame.data[0]
        usage, character = self.usage[self._unit], 11 / self._speeds[self._unit]
        usage.carried += len(frame.data) * character
        if frame.direction == "tx":
            usage.requests += 1
            usage.seconds += 7 * character
            usage.carried += 7 * character + TURNAROUND
        else:
            usage.seconds += frame.time - self._heard
        self._heard = frame.time


@dataclass(slots=True)
class Line:
    """The line at work, and everything one can ask of it."""

    link: MemoryLink
    bus: Bus
    site: Site
    mailbox: Mailbox
    devices: dict[int, SerialDevice]
    drivers: dict[int, Driver]
    witness: Witness
    meter: Meter
    times: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))


class _Told:
    """A poller's listener that puts readings into the site."""

    def __init__(self, line: Line, unit: int) -> None:
        self._line, self._unit = line, unit

    def recognised(self, recognised: Recognised) -> None:
        driver = recognised.driver
        self._line.drivers[self._unit] = driver
        name = f"unit{self._unit}"
        identity = recognised.identity
        key = f"{driver.short}_{identity.serial or self._unit}"
        self._line.site.introduce(
            Device(name, "", driver.name, driver.short, driver.role, name, identity, driver.points(), key, 0)
        )

    def read(self, reading: Reading) -> None:
        if self._line.site.device(reading.device) is not None:
            self._line.site.put(reading)
            self._line.times[self._unit].append(asyncio.get_running_loop().time())

    def silent(self, why: str) -> None: ...

    def stranger(self, why: str) -> None:
        raise AssertionError(why)


def fleet(start: float, pause: float) -> list[SerialDevice]:
    """Six Tracers of four families at 115200 and four meters at 9600, each with values of its own.

    `pause` is the silence in the middle of a Tracer's statistics, in seconds.
    """
    families = ("BN", "BN", "AN", "strict-AN", "LS-B", "BN")
    tracers: list[SerialDevice] = [
        SimTracer(
            unit,
            family=family,
            serial=f"00022013012000{unit:02}",
            hour=start,
            seed=unit,
            generated=100.0 * unit,
            statistics_pause=pause,
        )
        for unit, family in enumerate(families, start=1)
    ]
    return [
        *tracers,
        SimPzemAc(10, watts=410.0, energy_wh=1000.0, seed=10),
        SimPzemAc(20, watts=6892.3, energy_wh=200_000.0, seed=20),
        SimPzemAc(30, watts=55.0, power_factor=0.5, seed=30),
        SimPzemDc(40, amps=4.0, energy_wh=5.0, seed=40),
    ]


@asynccontextmanager
async def line(
    periods: Mapping[str, float], *, start: float = 0.0, pause: float = 0.04, **accidents: float
) -> AsyncIterator[Line]:
    """The fleet on one line, every driver polled every `periods` seconds, with `accidents` of SerialFaults."""
    devices = fleet(start, pause)
    units = SerialUnits(devices)
    witness = Witness()
    for device in devices:
        witness.listen(device, driver_of(device))
    speeds = {device.unit: device.baud for device in devices}
    faults = SerialFaults(units, late_seconds=1.5, **accidents)  # type: ignore[arg-type]
    link = MemoryLink(units, Framing.RTU, faults=faults, bits_per_second=9600, speeds=speeds)
    clock = VirtualClock(1_780_272_000.0)
    trace = Trace(16)
    meter = Meter(speeds)
    trace.subscribe(meter.hear)
    framer: Framer = RtuFramer(LineSettings(9600).silence)
    bus = Bus(link, framer, trace=trace, wall_clock=clock, settings=LineSettings(9600))
    ledger = Ledger(None, local_time("UTC"), clock)
    site = Site([lambda device, reading: ledger.apply(reading, device.key)])
    at_work = Line(link, bus, site, site.subscribe(), {each.unit: each for each in devices}, {}, witness, meter)
    tasks = [asyncio.create_task(bus.run())]
    for device in devices:
        driver = driver_of(device)
        bus.tune(device.unit, LineSettings(device.baud))
        poller = Poller(
            bus,
            device.unit,
            driver,
            cost_of(driver),
            _Told(at_work, device.unit),
            name=f"unit{device.unit}",
            period=periods[driver.name],
            clock=clock,
        )
        tasks.append(asyncio.create_task(poller.run()))
    try:
        yield at_work
    finally:
        for task in tasks:
            task.cancel()
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            if not isinstance(failure, asyncio.CancelledError):
                raise AssertionError("a task ended before its time") from failure


def driver_of(device: SerialDevice) -> Driver:
    kinds = {SimTracer: "epever-tracer", SimPzemAc: "pzem-ac", SimPzemDc: "pzem-dc"}
    return catalog.driver(kinds[type(device)])  # type: ignore[index]


def cost_of(driver: Driver) -> Cost:
    """What a request costs on the simulated line."""
    return rtu_cost(driver.baud, TURNAROUND)


def period_of(poll: Poll, fast: float) -> float:
    usual = {Poll.FAST: fast, Poll.NORMAL: NORMAL_PERIOD, Poll.SLOW: SLOW_PERIOD, Poll.ONCE: ONCE_PERIOD}
    return max(fast, usual[poll])


def least(driver: Driver, blocks: Sequence[Block], fast: float, seconds: float) -> float:
    """The time on the line, by the cost model, of reading `blocks` in their rhythm for `seconds`."""
    cost = cost_of(driver)
    return sum(cost.of(block.count) * seconds / period_of(block.poll, fast) for block in blocks)
