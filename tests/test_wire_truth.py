"""Whatever a line does to answers within a driver's ceiling, a read gives its own registers or an error."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import BusError, Timing
from heliobus.wire.modbus.pdu import ReadRegisters, WriteRegister
from wire_fakes import rtu_answer, rtu_bus, running, tcp_answer, tcp_bus, values_at

TIMING = Timing(floor=0.05, ceiling=1.0, gap=0.01)


def deeds(*names):
    """What the line does to the first answers, and after how many seconds; most of the later ones come in time."""
    late = st.tuples(st.sampled_from(names), st.floats(0.01, 0.95))
    return st.lists(st.just(("answer", 0.01)) | late, max_size=12)


ADDRESSES = st.lists(st.integers(0, 500), min_size=12, max_size=12)
# A second copy of a valid answer is beyond what RTU can tell, so only TCP is given one.
RTU_DEEDS = deeds("answer", "lost", "flip", "torn", "echo", "noise", "end")
TCP_DEEDS = deeds("answer", "lost", "torn", "twice", "end")


def script(deed, delay, frame, answer):
    """What the line makes of one answer."""
    return {
        "answer": [(delay, answer)],
        "lost": [],
        "flip": [(delay, answer[:-3] + bytes((answer[-3] ^ 0x10,)) + answer[-2:])],
        "torn": [(delay / 2, answer[:4]), (delay, answer[4:])],
        "echo": [(0.005, frame), (delay, answer)],
        "twice": [(delay, answer), (delay + 0.02, answer)],
        "noise": [(delay, b"\xff\x00\x80"), (delay, answer)],
        "end": [(delay, None)],
    }[deed]


def run(make, answer, done, options, wanted):
    left = list(done)

    def device(frame):
        deed, delay = left.pop(0) if left else ("answer", 0.01)
        return script(deed, delay, frame, answer(frame))

    async def main():
        bus, _ = make(device, **options)
        told = []
        async with running(bus):
            for request, _ in wanted:
                try:
                    told.append(await bus.ask(1, request, timing=TIMING))
                except BusError as error:
                    assert "\n" not in str(error)
                    told.append(None)
        return told

    for got, (_, right) in zip(run_virtual(main()), wanted, strict=True):
        assert got is None or got == right


@pytest.mark.parametrize("options", [{}, {"hangs_up": True}, {"silence": 0.004}])
@settings(max_examples=100, deadline=None)
@given(RTU_DEEDS, ADDRESSES)
def test_rtu(options, done, addresses):
    wanted = [(ReadRegisters(at, 4), values_at(at, 4)) for at in addresses]
    run(rtu_bus, rtu_answer, done, options, wanted)


@settings(max_examples=100, deadline=None)
@given(TCP_DEEDS, ADDRESSES)
def test_tcp(done, addresses):
    wanted = [
        (WriteRegister(at, at), at) if at % 3 == 0 else (ReadRegisters(at, 4), values_at(at, 4)) for at in addresses
    ]
    run(tcp_bus, tcp_answer, done, {}, wanted)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(1, 255))
def test_a_flipped_byte_never_passes_the_crc(place, flip):
    def damage(frame):
        answer = bytearray(rtu_answer(frame))
        if struct.unpack(">H", frame[2:4])[0] == 10:
            answer[place % len(answer)] ^= flip
        return [(0.01, bytes(answer))]

    async def main():
        bus, _ = rtu_bus(damage)
        async with running(bus):
            with pytest.raises(BusError):
                await bus.ask(1, ReadRegisters(10, 40), timing=TIMING)
            assert await bus.ask(1, ReadRegisters(20, 40), timing=TIMING) == values_at(20, 40)

    run_virtual(main())
