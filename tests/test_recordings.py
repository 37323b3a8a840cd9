"""Recordings made by `heliobus record` in tests/frames/DRIVER/: replayed, they must give the reading they hold."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from heliobus.devices import catalog
from heliobus.devices.driver import Recognised
from heliobus.devices.plan import TCP_COST
from heliobus.devices.poll import Poller
from heliobus.model.reading import Reading
from heliobus.model.vocabulary import HEALTH_POINTS, SITE_POINTS
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.modbus.tcp import TcpFramer

FRAMES = Path(__file__).parent / "frames"
RECORDINGS = sorted(path for path in FRAMES.rglob("*.json") if '"frames"' in path.read_text(encoding="utf-8"))
TRANSACTION_ID = 2


class ReplayLink:
    """Answers each recorded request with what was recorded after it; nothing else is answered."""

    hangs_up = True

    def __init__(self, recording: dict[str, Any]) -> None:
        self.name = "replay"
        self.is_open = False
        self._tcp = recording["link"] == "tcp"
        self._answers: dict[bytes, bytes] = {}
        self._inbox: list[bytes] = []
        request = b""
        for _, direction, text in recording["frames"]:
            frame = bytes.fromhex(text)
            if direction == "tx":
                request = self._key(frame)
                self._answers[request] = b""
            else:
                self._answers[request] += frame

    def _key(self, frame: bytes) -> bytes:
        return frame[TRANSACTION_ID:] if self._tcp else frame

    async def open(self, timeout: float) -> None:
        self.is_open = True

    def write(self, frame: bytes) -> None:
        answer = self._answers.get(self._key(frame), b"")
        if answer:
            self._inbox.append(frame[:TRANSACTION_ID] + answer[TRANSACTION_ID:] if self._tcp else answer)

    async def read(self, timeout: float) -> bytes:
        if self._inbox:
            return self._inbox.pop(0)
        await asyncio.sleep(timeout)
        raise TimeoutError

    def discard(self) -> bytes:
        return b""

    def close(self) -> None:
        self.is_open = False


class FirstReading:
    """Listens for one reading."""

    def __init__(self) -> None:
        self.reading: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        self.serial: str | None = None

    def recognised(self, recognised: Recognised) -> None:
        self.serial = recognised.identity.serial

    def read(self, reading: Reading) -> None:
        if not self.reading.done():
            self.reading.set_result(reading)

    def silent(self, why: str) -> None:
        self.reading.set_exception(AssertionError(why))

    def stranger(self, why: str) -> None:
        self.reading.set_exception(AssertionError(why))


async def replay(recording: dict[str, Any]) -> tuple[Reading, str | None]:
    framer = TcpFramer() if recording["link"] == "tcp" else RtuFramer()
    bus = Bus(ReplayLink(recording), framer)
    listener = FirstReading()
    driver = catalog.driver(recording["driver"])
    poller = Poller(bus, recording["unit"], driver, TCP_COST, listener, name="replayed")
    tasks = [asyncio.create_task(bus.run()), asyncio.create_task(poller.run())]
    try:
        return await listener.reading, listener.serial
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_there_is_a_recording() -> None:
    assert RECORDINGS


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_recording_gives_its_reading(path: Path) -> None:
    recording = json.loads(path.read_text(encoding="utf-8"))
    reading, serial = run_virtual(replay(recording))
    counted = {point.name for point in (*HEALTH_POINTS, *SITE_POINTS)}
    expected = {name: point for name, point in recording["reading"]["points"].items() if name not in counted}
    assert {name: reading.values[name] for name in expected} == {name: each["value"] for name, each in expected.items()}
    assert {name: reading.reasons.get(name) for name in expected} == {
        name: each["reason"] for name, each in expected.items()
    }
    assert serial == recording["reading"]["device"]["serial"]
