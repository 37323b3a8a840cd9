"""A pty on which Tracers at 115200 baud and meters at 9600 answer, as slow as on a wire.

Usage: line_server.py TRACERS METERS. Prints the tty, and the driver of each unit id. Asked anything, it tells how many
requests came.
"""

import asyncio
import sys

from heliobus.sim.pty_server import serve_pty
from heliobus.sim.pzem import SimPzemAc, SimPzemDc
from heliobus.sim.serial_units import SerialDevice, SerialUnits
from heliobus.sim.tracer import SimTracer
from side_process import answer_questions, say

DRIVERS: dict[type[SerialDevice], str] = {SimTracer: "epever-tracer", SimPzemAc: "pzem-ac", SimPzemDc: "pzem-dc"}


def tracer(unit: int) -> SerialDevice:
    return SimTracer(unit, serial=f"00022013012000{unit:02}", hour=12.0, seed=unit)


def meters() -> list[SerialDevice]:
    return [
        *(SimPzemAc(unit, watts=20.0 * unit, wobble=0.05, seed=unit) for unit in (10, 20, 30)),
        SimPzemDc(40, amps=4.0, seed=40),
    ]


async def main(tracer_count: int, meter_count: int) -> None:
    units = SerialUnits([*(tracer(unit) for unit in range(1, tracer_count + 1)), *meters()[:meter_count]])
    async with serve_pty(units, speeds=units.speeds) as server:
        say({"tty": server.path, "drivers": {device.unit: DRIVERS[type(device)] for device in units.devices}})
        await answer_questions(lambda _: len(server.requests))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
