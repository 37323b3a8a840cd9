"""The serial link on a pair of pseudo terminals."""

import asyncio
import os
import pty
import subprocess
import sys
import tty
from contextlib import contextmanager

import pytest

from heliobus.wire.address import make_bus, parse_link
from heliobus.wire.bus import LinkDown, Timing
from heliobus.wire.link import LinkClosed, LinkError
from heliobus.wire.modbus.pdu import ReadRegisters, WriteRegister
from heliobus.wire.serial_link import SerialLink
from wire_fakes import rtu_answer, running, values_at


@contextmanager
def terminals():
    """The device's end as a descriptor and our end as a path."""
    device, ours = pty.openpty()
    tty.setraw(device)
    path = os.ttyname(ours)
    os.close(ours)
    try:
        yield device, path
    finally:
        os.close(device)


@contextmanager
def answering(device, *, echo=False):
    """A device on the other end; with `echo` its adapter returns what it hears first."""
    loop = asyncio.get_running_loop()

    def reply():
        frame = os.read(device, 256)
        if echo:
            os.write(device, frame)
        os.write(device, rtu_answer(frame))

    loop.add_reader(device, reply)
    try:
        yield
    finally:
        loop.remove_reader(device)


@pytest.mark.parametrize("echo", [False, True])
async def test_reads_and_writes(echo):
    with terminals() as (device, path):
        async with running(make_bus(parse_link(f"serial:{path}?baud=115200&stop=2"))) as bus:
            with answering(device, echo=echo):
                for at in range(10):
                    assert await bus.ask(1, ReadRegisters(at, 92)) == values_at(at, 92)
                    assert await bus.ask(1, WriteRegister(at, 7)) == 7
            assert bus.statistics.foreign_frames == 0
            assert bus.statistics.units[1].bad_frames == 0


async def test_a_second_opener_is_refused_in_one_line():
    with terminals() as (_, path):
        first, second = SerialLink(path), SerialLink(path)
        await first.open(1)
        with pytest.raises(LinkError, match=f"^serial:{path}: in use by another program$"):
            await second.open(1)
        assert first.is_open
        first.close()
        await asyncio.sleep(0)
        await second.open(1)
        second.close()
        await asyncio.sleep(0)


async def test_another_process_is_refused_too():
    program = (
        "import asyncio, sys\n"
        "from heliobus.wire.serial_link import SerialLink\n"
        "from heliobus.wire.link import LinkError\n"
        "try:\n"
        "    asyncio.run(SerialLink(sys.argv[1]).open(1))\n"
        "except LinkError as error:\n"
        "    print(error)\n"
    )
    with terminals() as (_, path):
        link = SerialLink(path)
        await link.open(1)
        told = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program, path], capture_output=True, text=True, check=True
        )
        link.close()
        await asyncio.sleep(0)
    assert told.stdout == f"serial:{path}: in use by another program\n"


async def test_what_is_no_tty(tmp_path):
    with pytest.raises(LinkError, match=r"^serial:/dev/ttyNONE9: no such tty"):
        await SerialLink("/dev/ttyNONE9").open(1)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(LinkError, match=f"^serial:{file}: not a usable tty") as caught:
        await SerialLink(str(file)).open(1)
    assert "\n" not in str(caught.value)


async def test_the_adapter_is_pulled_out():
    with terminals() as (device, path):
        link = SerialLink(path)
        await link.open(1)
        os.write(device, b"\x01")
        assert await link.read(1) == b"\x01"
        with pytest.raises(TimeoutError):
            await link.read(0.01)
    with pytest.raises(LinkClosed):
        await link.read(1)
    assert not link.is_open
    link.close()
    await asyncio.sleep(0)


async def test_bus_after_the_adapter_was_pulled_out():
    with terminals() as (device, path):
        bus = make_bus(parse_link(f"serial:{path}"))
        task = asyncio.ensure_future(bus.run())
        with answering(device):
            await bus.ask(1, ReadRegisters(0, 1))
    for _ in range(2):
        with pytest.raises(LinkDown):
            await bus.ask(1, ReadRegisters(0, 1), timing=Timing(0.1, 0.1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
