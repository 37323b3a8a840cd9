"""The recorded Tracer2215BN says what it was recorded to say, and counts what is asked in vain."""

import json
from pathlib import Path
from typing import Any

import pytest

from heliobus.sim.recorded import SimRecorded, exchanges_of, recorded_file
from sim_frames import crc, read, request

FILE = Path(__file__).parent / "frames" / "epever_tracer" / "recorded-2215bn.json"
RECORDS: list[dict[str, Any]] = json.loads(FILE.read_text())


@pytest.fixture
def device() -> SimRecorded:
    return recorded_file(FILE)


def test_every_exchange_is_answered_as_recorded(device: SimRecorded) -> None:
    assert len(RECORDS) == 232
    for record in RECORDS:
        asked, said = (bytes.fromhex(record[key]) for key in ("request_hex", "response_hex"))
        assert device.answer(asked[1:-2], serial=True) == said[1:-2]
    assert device.refused.total() == 115
    assert device.refusals_again == {}


def test_blocks_are_put_together(device: SimRecorded) -> None:
    assert read(device, 0x3000, 9) == [15000, 2000, 52000, 0, 2400, 2000, 50000, 0, 2]
    assert read(device, 0x3300, 20)[:4] == [204, 190, 1298, 1295]
    assert read(device, 0x9003, 12, 3)[0] == 1600


@pytest.mark.parametrize(
    ("function", "address", "count"),
    [(4, 0x3000, 15), (4, 0x3100, 18), (3, 0x9000, 16), (4, 0x3202, 1), (3, 0x3000, 2), (1, 2, 5)],
)
def test_a_hole_refuses_the_whole_request(device: SimRecorded, function: int, address: int, count: int) -> None:
    assert device.answer(request(function, address, count)) == bytes((function | 0x80, 2))


def test_what_was_never_recorded_is_refused(device: SimRecorded) -> None:
    assert device.answer(b"\x2b\x0e\x02\x00") == b"\xab\x02"
    assert device.answer(bytes.fromhex("433100001b")) == b"\xc3\x01"
    assert device.answer(request(6, 0x9000, 0)) == b"\x86\x02"
    assert device.answer(request(5, 2, 0)) == b"\x85\x02"


def test_asking_twice_in_vain_is_seen(device: SimRecorded) -> None:
    for _ in range(2):
        device.answer(request(4, 0x300D, 1))
        device.answer(request(4, 0x3000, 1))
        device.answer(request(4, 0x3100, 18))
    assert device.asked_in_vain_again == [(4, 0x300D)]
    assert device.refusals_again == {request(4, 0x300D, 1): 2, request(4, 0x3100, 18): 2}
    assert device.requests[request(4, 0x3000, 1)] == 2


def test_broken_and_lonely_frames_are_left_out() -> None:
    good = bytes.fromhex("010430000001")
    asked = (good + crc(good)).hex()
    said = bytes.fromhex("0104023A98")
    whole = (said + crc(said)).hex()
    records: list[dict[str, object]] = [
        {"request_hex": asked, "response_hex": whole},
        {"request_hex": asked, "response_hex": whole[:-2] + "00"},
        {"request_hex": asked, "response_hex": None},
        {"request_hex": asked},
        {"request_hex": "", "response_hex": ""},
    ]
    assert len(exchanges_of(records)) == 1
    with pytest.raises(ValueError, match="no exchanges"):
        SimRecorded([])


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"words": {}}')
    with pytest.raises(ValueError, match="list of exchanges"):
        recorded_file(path)
