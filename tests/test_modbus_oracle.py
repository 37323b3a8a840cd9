"""Every function against a foreign implementation: pymodbus' server, over Modbus TCP and over RTU in a TCP stream."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from pymodbus import FramerType, ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from heliobus.wire.address import make_bus, parse_link
from heliobus.wire.bus import ModbusException
from heliobus.wire.modbus.pdu import (
    MaskWriteRegister,
    ReadBits,
    ReadDeviceIdentification,
    ReadRegisters,
    ReadWriteRegisters,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)
from wire_fakes import running

HOLDING = [(37 * at) % 65536 for at in range(400)]
INPUT = [65535 - at for at in range(400)]
COILS = [at % 3 == 0 for at in range(2400)]
INPUTS = [at % 5 == 0 for at in range(2400)]


@asynccontextmanager
async def bus_to_pymodbus(scheme):
    device = SimDevice(
        id=7,
        simdata=(
            [SimData(0, values=COILS, datatype=DataType.BITS)],
            [SimData(0, values=INPUTS, datatype=DataType.BITS)],
            [SimData(0, values=HOLDING, datatype=DataType.REGISTERS)],
            [SimData(0, values=INPUT, datatype=DataType.REGISTERS)],
        ),
    )
    identity = ModbusDeviceIdentification(
        info_name={"VendorName": "Morningstar Corp.", "ProductCode": "TS-MPPT-60", "MajorMinorRevision": "v01.01.01"}
    )
    framer = FramerType.SOCKET if scheme == "tcp" else FramerType.RTU
    server = ModbusTcpServer(device, framer=framer, identity=identity, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    try:
        async with running(make_bus(parse_link(f"{scheme}://127.0.0.1:{port}"))) as bus:
            yield bus
    finally:
        await server.shutdown()
        await asyncio.sleep(0)


@pytest.mark.parametrize("scheme", ["tcp", "rtu+tcp"])
async def test_every_function(scheme):
    async with bus_to_pymodbus(scheme) as bus:

        async def ask(request):
            return await bus.ask(7, request)

        assert await ask(ReadRegisters(0, 125)) == tuple(HOLDING[:125])
        assert await ask(ReadRegisters(200, 7, function=4)) == tuple(INPUT[200:207])
        assert await ask(ReadBits(0, 2000)) == tuple(COILS[:2000])
        assert await ask(ReadBits(3, 19, function=2)) == tuple(INPUTS[3:22])
        assert await ask(WriteRegister(5, 0xFFF0)) == 0xFFF0
        assert await ask(ReadRegisters(5, 1)) == (0xFFF0,)
        assert await ask(WriteRegisters(10, tuple(range(123)))) == tuple(range(123))
        assert await ask(ReadRegisters(10, 123)) == tuple(range(123))
        assert await ask(WriteCoil(1, True)) is True
        assert await ask(WriteCoil(0, False)) is False
        assert await ask(ReadBits(0, 3)) == (False, True, False)
        values = tuple(at % 7 == 0 for at in range(1968))
        assert await ask(WriteCoils(20, values)) == values
        assert await ask(ReadBits(20, 1968)) == values
        assert await ask(WriteRegister(4, 0x12)) == 0x12
        assert await ask(MaskWriteRegister(4, 0xF2, 0x25)) == (0xF2, 0x25)
        assert await ask(ReadRegisters(4, 1)) == (0x17,)
        assert await ask(ReadWriteRegisters(300, 4, 301, (1, 2))) == (HOLDING[300], 1, 2, HOLDING[303])


@pytest.mark.parametrize("scheme", ["tcp", "rtu+tcp"])
async def test_device_identification(scheme):
    async with bus_to_pymodbus(scheme) as bus:
        found = await bus.ask(7, ReadDeviceIdentification())
        assert found.objects == {0: b"Morningstar Corp.", 1: b"TS-MPPT-60", 2: b"v01.01.01"}
        assert not found.more_follows


@pytest.mark.parametrize("scheme", ["tcp", "rtu+tcp"])
async def test_refusal(scheme):
    async with bus_to_pymodbus(scheme) as bus:
        with pytest.raises(ModbusException, match=r"illegal data address \(exception 2\)"):
            await bus.ask(7, ReadRegisters(5000, 2))
        assert len(await bus.ask(7, ReadRegisters(0, 2))) == 2
