"""Public exchanges of EPever chargers, a charger that answers from them, and what the driver makes of words."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import plan, rtu_cost
from heliobus.model.point import Value
from heliobus.model.reading import Reason
from heliobus.sim.device import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, RefusalError, SilenceError, SimDevice
from heliobus.wire.modbus.pdu import (
    ReadBits,
    ReadDeviceIdentification,
    ReadRegisters,
    WriteCoil,
    WriteRegisters,
)
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.modbus.vendor import VendorRequest

FRAMES = Path(__file__).parent / "frames" / "epever_tracer" / "public-frames.json"
EXCHANGES: list[dict[str, Any]] = json.loads(FRAMES.read_text(encoding="utf-8"))["exchanges"]
TRACER = catalog.driver("epever-tracer")
DUORACER = catalog.driver("epever-duoracer")
BN = "EPever Tracer2215BN"
AN_24 = "EPever Tracer AN-class, 40 A, 24 V bank"
SPARSE, UNIT_ID = 0x43, 0x45
COST = rtu_cost(115200, 0.01, 0.05)

Row = dict[str, Any]
Request = ReadBits | ReadRegisters | ReadDeviceIdentification | WriteCoil | WriteRegisters | VendorRequest
Tables = Mapping[int, Mapping[int, int]]


def rows(*kinds: str, device: str = "") -> list[Row]:
    """The exchanges of these kinds, of one device or of all."""
    return [row for row in EXCHANGES if row["kind"] in kinds and device in row["device"]]


def request_of(row: Row) -> Request:
    """The request as our own kind of value."""
    frame = bytes.fromhex(row["request_hex"])
    function, first, second = frame[1], int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
    if function in (1, 2):
        return ReadBits(first, second, function)
    if function in (3, 4):
        return ReadRegisters(first, second, function)
    if function == 5:
        return WriteCoil(first, second == 0xFF00)
    if function == 0x10:
        words = [int.from_bytes(frame[at : at + 2], "big") for at in range(7, len(frame) - 2, 2)]
        return WriteRegisters(first, tuple(words))
    if function == 0x2B:
        return ReadDeviceIdentification(frame[3], frame[4])
    return VendorRequest(function, frame[2:-2], 1)


def exchanged(row: Row, answer: bytes | None = None) -> tuple[list[Any], RtuFramer]:
    """What comes of the request of `row`, which must be our own bytes, and of what is answered."""
    framer = RtuFramer()
    sent = framer.encode(bytes.fromhex(row["request_hex"])[0], request_of(row))
    assert sent.hex(" ").upper() == row["request_hex"]
    return framer.feed(bytes.fromhex(row["response_hex"]) if answer is None else answer), framer


def sparse(row: Row) -> dict[int, int]:
    """The words of an answer to function 0x43, by address (epever.md §8.5)."""
    request, answer = bytes.fromhex(row["request_hex"]), bytes.fromhex(row["response_hex"])
    start, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
    size = (count + 7) // 8
    mask = int.from_bytes(answer[3 : 3 + size], "big")
    addresses = [start + bit for bit in range(count) if mask >> bit & 1]
    at = 3 + size
    return {address: int.from_bytes(answer[at + 2 * i : at + 2 * i + 2], "big") for i, address in enumerate(addresses)}


def words_of(row: Row) -> dict[int, dict[int, int]]:
    """The words, or bits, of a good read by table and address; of anything else nothing."""
    request = request_of(row)
    if isinstance(request, ReadRegisters | ReadBits):
        [event], _ = exchanged(row)
        return {request.function: {request.address + at: int(word) for at, word in enumerate(event.result)}}
    if isinstance(request, VendorRequest) and request.function == SPARSE:
        words = sparse(row)
        return {3 if min(words) >= 0x9000 else 4: words}
    return {}


def recorded(device: str = BN, kinds: Iterable[str] = ("captured",)) -> dict[int, dict[int, int]]:
    """All that a device was seen to answer; of the single reads what they said, of the others the holes they show."""
    tables: dict[int, dict[int, int]] = {1: {}, 2: {}, 3: {}, 4: {}}
    chosen = rows(*kinds, device=device)
    # Blocks first, so that the single reads, which belong together, are what is left to be seen.
    for row in sorted(chosen, key=lambda row: request_count(row) == 1):
        for table, words in words_of(row).items():
            tables[table].update(words)
    return tables


def request_count(row: Row) -> int:
    """How many addresses a row reads."""
    request = request_of(row)
    return request.count if isinstance(request, ReadRegisters | ReadBits) else 0


def understood(tables: Tables, driver: Driver = TRACER) -> tuple[dict[str, Value], dict[str, Reason]]:
    """What the driver makes of these words, by table and address; a block without any of them is refused."""
    image = Image(driver)
    waiting = [Slot(block, 5.0, 0.0) for block in plan(driver.registers, driver.limits, COST)]
    image.add(waiting)
    waiting = list(image.slots)
    while waiting:
        slot = waiting.pop()
        block, table = slot.block, tables.get(slot.block.table, {})
        addresses = range(block.address, block.address + block.count)
        if all(address in table for address in addresses):
            image.answer(slot, [table[address] for address in addresses], 0.0)
        else:
            waiting.extend(image.refuse(slot))
    return image.snapshot()


def with_words(changes: Mapping[int, int] = {}, bits: Mapping[int, int] = {}, **options: Any) -> dict[str, Value]:
    """The values of the recorded Tracer2215BN with other words in place of its own (FC04 below 0x9000, FC03 above)."""
    tables = recorded()
    for address, word in changes.items():
        tables[3 if address >= 0x9000 else 4][address] = word
    for address, bit in bits.items():
        tables[2 if address >= 0x2000 else 1][address] = bit
    return understood(tables, **options)[0]


class RecordedTracer(SimDevice):
    """Answers with recorded words exactly, and refuses a request that touches anything else with exception 2.

    `objects` None: function 43 is refused; `silent`: it is not answered.
    """

    def __init__(
        self, tables: Tables, objects: Mapping[int, str] | None = None, *, silent: bool = False, most: int = 125
    ) -> None:
        self.tables = {table: dict(words) for table, words in tables.items()}
        self.objects, self.silent, self.most = objects, silent, most
        self.refused: list[tuple[int, int, int]] = []

    def advance(self, seconds: float) -> None:
        """A recording does not age."""

    def _read(self, function: int, address: int, count: int) -> list[int]:
        table = self.tables.get(function, {})
        addresses = range(address, address + count)
        if count > self.most or not all(each in table for each in addresses):
            self.refused.append((function, address, count))
            raise RefusalError(ILLEGAL_ADDRESS)
        return [table[each] for each in addresses]

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        return self._read(function, address, count)

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        return [bool(bit) for bit in self._read(function, address, count)]

    def identification(self) -> Mapping[int, str]:
        if self.silent:
            raise SilenceError
        if self.objects is None:
            raise RefusalError(ILLEGAL_FUNCTION)
        return self.objects


BN_OBJECTS = {0: "EPsolar Tech co., Ltd", 1: "Tracer2215BN", 2: "V02.05+V07.12", 3: "0002201301200045"}


def low_word(key: str) -> tuple[str, bool] | None:
    """`pv_power_low_word` is the lower half of `pv_power`: its name, and whether it is the lower."""
    found = re.fullmatch(r"(.*)_(low|high)_word", key)
    return (found[1], found[2] == "low") if found else None
