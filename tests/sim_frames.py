"""Requests to simulated devices, written out by hand so that the tests share no code with the wire layer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heliobus.sim.device import SimDevice

FRAMES = Path(__file__).parent / "frames" / "morningstar_tristar_mppt"


def load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FRAMES / name).read_text())
    return content


def image(*parts: Mapping[str, int]) -> dict[int, int]:
    return {int(address, 16): word for part in parts for address, word in part.items()}


def request(function: int, address: int, value: int) -> bytes:
    return bytes((function,)) + address.to_bytes(2, "big") + value.to_bytes(2, "big")


def mbap(unit: int, pdu: bytes, transaction: int = 1) -> bytes:
    return transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big") + bytes((unit,)) + pdu


def crc(frame: bytes) -> bytes:
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def rtu(unit: int, pdu: bytes) -> bytes:
    return bytes((unit,)) + pdu + crc(bytes((unit,)) + pdu)


def read(device: SimDevice, address: int, count: int = 1, function: int = 4) -> list[int]:
    answer = device.answer(request(function, address, count))
    assert answer is not None
    assert answer[0] == function, answer.hex()
    assert answer[1] == 2 * count
    return [int.from_bytes(answer[2 + 2 * i : 4 + 2 * i], "big") for i in range(count)]


def coils(device: SimDevice, address: int, count: int) -> list[bool]:
    answer = device.answer(request(1, address, count))
    assert answer is not None
    return [bool(answer[2 + i // 8] >> i % 8 & 1) for i in range(count)]


def s16(word: int) -> int:
    return word - 65536 if word > 32767 else word
