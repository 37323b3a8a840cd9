"""A refusal names no register: one that comes late is never believed of the request that is open by then."""

import asyncio

import pytest

from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import BadFrame, ModbusException, NoAnswer, Timing
from heliobus.wire.modbus.crc import with_crc
from heliobus.wire.modbus.pdu import ReadRegisters, WriteRegisters
from wire_fakes import Script, rtu_answer, rtu_bus, running, values_at

TIMING = Timing(floor=0.5, ceiling=0.5)


def refusing(late: float) -> tuple[list[bytes], object]:
    """Refuses the first frame, late, and answers all others."""
    seen: list[bytes] = []

    def device(frame: bytes) -> Script:
        seen.append(frame)
        if len(seen) == 1:
            return [(late, with_crc(bytes((frame[0], frame[1] | 0x80, 2))))]
        if frame[1] == 16:
            return [(0.3, with_crc(frame[:6]))]
        return [(0.3, rtu_answer(frame))]

    return seen, device


@pytest.mark.parametrize("late", [1.15, 1.25])
def test_a_late_refusal_is_not_that_of_another_read(late: float) -> None:
    async def main() -> None:
        seen, device = refusing(late)
        bus, _ = rtu_bus(device)  # type: ignore[arg-type]
        async with running(bus):
            with pytest.raises(NoAnswer):
                await bus.ask(1, ReadRegisters(10, 1), timing=TIMING)
            with pytest.raises(BadFrame, match="may be of an earlier request"):
                await bus.ask(1, ReadRegisters(20, 4), timing=TIMING)
            # What was asked when it came is answered meanwhile, and that must not be taken for this one's.
            assert await bus.ask(1, ReadRegisters(40, 4), timing=TIMING) == values_at(40, 4)
            assert await bus.ask(1, ReadRegisters(20, 4), timing=TIMING) == values_at(20, 4)
            assert len(seen) == 4
        assert bus.statistics.units[1].refusals == 0

    run_virtual(main())


def test_a_late_refusal_is_not_that_of_a_write() -> None:
    """A write whose own answer did not come yet may have been executed."""

    async def main() -> None:
        _, device = refusing(1.2)
        bus, _ = rtu_bus(device)  # type: ignore[arg-type]
        async with running(bus):
            with pytest.raises(NoAnswer):
                await bus.ask(1, WriteRegisters(10, (1, 2), idempotent=False), timing=TIMING)
            with pytest.raises(BadFrame, match="may have been executed"):
                await bus.ask(1, WriteRegisters(20, (1,), idempotent=False), timing=TIMING)

    run_virtual(main())


def test_a_refusal_with_nothing_lost_or_of_the_same_read_is_believed() -> None:
    async def main() -> None:
        seen: list[bytes] = []

        def device(frame: bytes) -> Script:
            seen.append(frame)
            late = len(seen) == 1
            return [(0.7 if late else 0.1, with_crc(bytes((frame[0], frame[1] | 0x80, 2))))]

        bus, _ = rtu_bus(device)
        async with running(bus):
            with pytest.raises(NoAnswer):
                await bus.ask(1, ReadRegisters(10, 1), timing=TIMING)
            with pytest.raises(ModbusException):
                await bus.ask(1, ReadRegisters(10, 1), timing=TIMING)
            with pytest.raises(ModbusException):
                await bus.ask(1, ReadRegisters(10, 1, function=4), timing=TIMING)
            await asyncio.sleep(3.0)
            for address in (30, 50):
                with pytest.raises(ModbusException):
                    await bus.ask(1, ReadRegisters(address, 2), timing=TIMING)

    run_virtual(main())
