"""Two meters of which one always answers first: both answers are whole, and the line still has two meters."""

import pytest

from heliobus.devices.pzem import commissioning, meter
from heliobus.devices.pzem.meter import Meter, MeterError
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.modbus.crc import with_crc
from pzem_line import GENERAL, FakeMeter
from test_pzem_commissioning import Work
from wire_fakes import Script, rtu_bus, running

BEHIND = (0.02, 0.045, 0.08, 0.15)
"""Seconds by which the second meter answers later than the first, which takes 60 ms."""


class TwoMeters:
    """Answers of two meters one after the other."""

    def __init__(self, first: FakeMeter, second: FakeMeter, behind: float) -> None:
        self.meters = ((first, 0.06), (second, 0.06 + behind))
        self.frames: list[bytes] = []

    def __call__(self, frame: bytes) -> Script:
        self.frames.append(frame)
        unit, pdu = frame[0], frame[1:-2]
        return [
            (delay, with_crc(bytes((unit,)) + answer))
            for each, delay in self.meters
            if unit in (each.address, GENERAL) and (answer := each.answer(pdu)) is not None
        ]


def changes() -> list[Work]:
    return [
        lambda bus, found: commissioning.renumber(bus, found, 9),
        lambda bus, found: commissioning.set_alarm_power(bus, found, 100),
        commissioning.reset_energy,
    ]


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("addresses", [(1, 1), (1, 2)])
@pytest.mark.parametrize("unit", [GENERAL, 1])
@pytest.mark.parametrize("work", changes())
def test_a_second_meter_behind_the_first_is_noticed(
    behind: float, addresses: tuple[int, int], unit: int, work: Work
) -> None:
    line = TwoMeters(FakeMeter(addresses[0]), FakeMeter(addresses[1]), behind)

    async def run() -> Meter:
        bus, _ = rtu_bus(line)
        async with running(bus):
            found = await meter.find(bus, unit)
            await work(bus, found)
            return found

    with pytest.raises(MeterError):
        run_virtual(run())
    assert not [frame.hex() for frame in line.frames if frame[1] in (0x06, 0x42)]
