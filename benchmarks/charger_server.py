"""A lean Modbus TCP server: many TriStars, each on a port of its own, of which 26 registers change at every poll.

What is written to one goes to the simulator, and what that makes of it is shown from then on.

Usage: charger_server.py COUNT keep-open|close. Prints the ports. `close`: hang up after each answer, as a TriStar may.
"""

import asyncio
import os
import struct
import sys
import time

from heliobus.sim.tristar import SimTriStar
from side_process import answer_questions, say

MBAP = struct.Struct(">HHHB")
RAM_COUNT = 92
RAM_REQUEST = struct.pack(">BHH", 4, 0, RAM_COUNT)
VOLTS = (0x18, 0x19, 0x1A, 0x1B, 0x26, 0x33, 0x3D, 0x3E)
AMPS = (0x1C, 0x1D, 0x27)
RAILS = (0x1E, 0x1F, 0x20, 0x21, 0x22)
CELSIUS = (0x23, 0x24, 0x25)
WATTS = (0x3A, 0x3B, 0x3C)
# Register → what is added at every other poll: more than the rounding of the published value.
STEPS = {
    **dict.fromkeys(VOLTS, 8),
    **dict.fromkeys(AMPS, 16),
    **dict.fromkeys(RAILS, 160),
    **dict.fromkeys(CELSIUS, 1),
    **dict.fromkeys(WATTS, 10),
    0x31: 1,
}
# The low words of the counters of charge (0.1 Ah) that rise at every poll.
RISING = (0x35, 0x37, 0x43)
WATT_HOURS = 0x44
POLLS_PER_WATT_HOUR = 3
WRITES = (5, 6)
# Faults, charge state and the two registers of slave control.
STEERED = (0x2C, 0x32, 0x58, 0x59)


class Charger:
    """One TriStar: its RAM is counted and made to change, all else comes from the simulator."""

    def __init__(self, number: int) -> None:
        self._device = SimTriStar(serial=str(10170000 + number), hour=12.0, cloudiness=0.0)
        self._device.advance(60)
        self._words = list(self._device.read_words(4, 0, RAM_COUNT))
        self._number = 0
        self.polls: list[float] = []
        self.writes = 0
        self.others = 0

    def answer(self, pdu: bytes) -> bytes:
        if pdu != RAM_REQUEST:
            return self._other(pdu)
        self.polls.append(time.monotonic())
        self._number += 1
        words = self._words
        sign = 1 if self._number % 2 else -1
        for address, step in STEPS.items():
            words[address] += sign * step
        for address in RISING:
            words[address] = words[address] + 1 & 0xFFFF
        if self._number % POLLS_PER_WATT_HOUR == 0:
            words[WATT_HOURS] = words[WATT_HOURS] + 1 & 0x7FFF
        return struct.pack(f">BB{RAM_COUNT}H", 4, 2 * RAM_COUNT, *words)

    def _other(self, pdu: bytes) -> bytes:
        answer = self._device.answer(pdu) or b""
        self.others += 1
        if pdu[0] in WRITES:
            self.writes += 1
            self._device.advance(1)
            for address in STEERED:
                self._words[address] = self._device.read_words(4, address, 1)[0]
        return answer


class Connection(asyncio.Protocol):
    def __init__(self, charger: Charger, keep_open: bool) -> None:
        self._charger = charger
        self._keep_open = keep_open
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, frame: bytes) -> None:
        transaction, _, _, unit = MBAP.unpack_from(frame)
        pdu = self._charger.answer(frame[MBAP.size :])
        assert self._transport is not None
        self._transport.write(MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu)
        if not self._keep_open:
            self._transport.close()


async def main(count: int, keep_open: bool) -> None:
    chargers = [Charger(number) for number in range(count)]
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda charger=charger: Connection(charger, keep_open), "127.0.0.1", 0)  # type: ignore[misc]
        for charger in chargers
    ]
    say([server.sockets[0].getsockname()[1] for server in servers])

    def answer(question: str) -> object:
        if question == "count":
            return sum(len(charger.polls) for charger in chargers)
        if question == "others":
            return [sum(charger.writes for charger in chargers), sum(charger.others for charger in chargers)]
        return [charger.polls for charger in chargers]

    await answer_questions(answer)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2] == "keep-open"))
    # Hundreds of open sockets need no orderly end.
    os._exit(0)
