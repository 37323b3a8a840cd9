"""`heliobus decode`: frames of forums and captures."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from heliobus.cli.captured import FrameRefusedError, HexError, NeedsRequestError, Said, parse_hex, understand
from heliobus.cli.decode import command, document
from heliobus.devices import catalog
from heliobus.wire.modbus.crc import with_crc
from heliobus.wire.modbus.pdu import ReadRegisters

FRAMES = Path(__file__).parent / "frames"
NEGATIVE = ("corrupt", "truncated", "noisy", "echo")
DECODED = {1, 2, 3, 4, 5, 6, 16, 43}


def recorded() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for family, driver in (("epever_tracer", "epever-tracer"), ("pzem_ac", "pzem-ac"), ("pzem_dc", "pzem-dc")):
        content = json.loads((FRAMES / family / "public-frames.json").read_text())
        found = content.get("exchanges") or content["frames"]
        rows += [row | {"driver": driver} for row in found if row.get("response_hex")]
    return rows


ROWS = recorded()


def run(*arguments: str) -> tuple[int, Any, str]:
    result = CliRunner().invoke(command, arguments)
    return result.exit_code, json.loads(result.stdout) if result.stdout else None, result.stderr


def test_a_whole_meter() -> None:
    words = (2345, 1000, 0, 2228, 0, 1200, 0, 500, 95, 0)
    answer = with_crc(bytes((1, 4, 20)) + b"".join(word.to_bytes(2, "big") for word in words)).hex(" ")
    code, said, _ = run("pzem-ac", "--request", "01 04 00 00 00 0A 70 0D", answer)
    assert code == 0
    assert said["points"]["ac_voltage"] == {"value": 234.5, "unit": "V", "text": "234.50 V"}
    assert said["points"]["ac_power"]["value"] == 222.8
    assert said["points"]["ac_apparent_power"]["value"] == pytest.approx(234.5)
    assert said["registers"]["0x0000"] == 2345 and len(said["registers"]) == 10
    assert (said["function"], said["unit"], said["frame"]) == (4, 1, "rtu")


def test_what_is_scaled_by_registers_elsewhere_says_so() -> None:
    answer = with_crc(bytes((1, 4, 2, 0x13, 0x88))).hex()
    request = with_crc(bytes((1, 4, 0, 0x18, 0, 1))).hex()
    code, said, _ = run("morningstar-tristar-mppt", "--request", request, answer)
    assert code == 0
    assert said["points"]["battery_voltage"]["value"] is None
    assert "voltage_scaling" in said["points"]["battery_voltage"]["reason"]


def test_texts_need_no_request() -> None:
    row = next(row for row in ROWS if "objects" in row["decoded"])
    code, said, _ = run(row["driver"], row["response_hex"])
    assert code == 0 and said["objects"]["1"] == "Tracer2215BN"


def test_modbus_tcp() -> None:
    request, answer = "0001 0000 0006 01 04 3000 0001", "0001 0000 0005 01 04 02 3A98"
    code, said, _ = run("epever-tracer", "--request", request, answer)
    assert code == 0 and said["frame"] == "tcp" and said["registers"] == {"0x3000": 15000}
    assert run("epever-tracer", "--request", request, answer.replace("0001", "0002", 1))[0] == 1
    assert run("epever-tracer", "--request", "01 04 30 00 00 01 3E CA", answer)[0] == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['kind']}-{(row['request_hex'] or '')[:20]}")
def test_every_recorded_frame_is_understood_or_refused(row: dict[str, Any]) -> None:
    request, answer = parse_hex(row["request_hex"]), parse_hex(row["response_hex"])
    function = request[1]
    if row["kind"] in NEGATIVE or row["kind"] == "captured-exception" or function not in DECODED:
        with pytest.raises(FrameRefusedError):
            understand(request, answer)
        return
    said = understand(request, answer)
    shown = document(catalog.driver(row["driver"]), said)
    assert json.loads(json.dumps(shown)) == shown
    if function in (3, 4):
        assert said.words == tuple(int.from_bytes(answer[at : at + 2], "big") for at in range(3, len(answer) - 2, 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("01 83 02 C0 F1",), "illegal data address"),
        (("01 83 02 C0 F2",), "bad CRC"),
        (("01 04",), "too few"),
        (("--request", "01 04 30 00 00 01 3E CA", "01 04 02 3A"), "cut short: 4 of 7"),
        (("--request", "01 04 30 00 00 01 3E CA", "01 04 30 00 00 01"), "echo"),
        (("--request", "01 04 30 00 00 01 3E CA", "01 04 30 00 00 01 3E CA"), "echo"),
        (("--request", "01 04 30 00 00 01 3E CB", "01 04 02 3A 98 AA 3A"), "the request: bad CRC"),
        (("--request", with_crc(bytes((1, 4, 0x30, 0, 0, 2))).hex(), "01 04 02 3A 98 AA 3A"), "4 bytes instead of 6"),
        (("--request", with_crc(bytes((2, 4, 0x30, 0, 0, 1))).hex(), "01 04 02 3A 98 AA 3A"), "unit 2 was asked"),
        (("--request", "01 04 30 00 00 01 3E CA", "01 83 02 C0 F1"), "function 131 to function 4"),
        (("01 04 30 00 00 01 3E CA",), "a request, not an answer"),
        (("01 42 80 11",), "not one that is decoded"),
        (("00 01 04 02 3A 98 AA 3A",), "lies inside: 01 04 02 3A 98 AA 3A"),
    ],
)
def test_refusals_say_why(arguments: tuple[str, ...], words: str) -> None:
    code, said, _ = run("epever-tracer", *arguments)
    assert code == 1 and set(said) == {"refused"}
    assert words in said["refused"], said["refused"]


def test_an_echo_before_the_answer_is_taken_off() -> None:
    request, answer = "01 04 30 00 00 01 3E CA", "01 04 02 3A 98 AA 3A"
    assert run("epever-tracer", "--request", request, request + answer)[1]["registers"] == {"0x3000": 15000}


@pytest.mark.parametrize(
    "arguments",
    [
        ("epever-tracer", "01 04 02 3A 98 AA 3A"),
        ("epever-tracer", "xyz"),
        ("epever-tracer", "012"),
        ("no-such-driver", "01 83 02 C0 F1"),
        ("epever-tracer", "--request", "", "01 83 02 C0 F1"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...]) -> None:
    code, said, err = run(*arguments)
    assert code == 2 and said is None and len(err.splitlines()) == 1


def test_a_missing_request_is_asked_for() -> None:
    assert "--request" in run("epever-tracer", "01 04 02 3A 98 AA 3A")[2]


@pytest.mark.parametrize(
    "text",
    [
        "01 04 02 3A 98",
        "0104023a98",
        "01:04:02:3a:98",
        "0x01, 0x04, 0x02, 0x3A, 0x98",
        "0x0104023A98",
        "1 4 2 3a 98",
        r"\x01\x04\x02\x3a\x98",
        "01-04-02-3a-98",
        "0104 023a 98",
        "01\n04\t02 3A 98 ",
    ],
)
def test_hex_in_any_form(text: str) -> None:
    assert parse_hex(text) == bytes((1, 4, 2, 0x3A, 0x98))


@given(st.binary(max_size=300), st.none() | st.binary(min_size=1, max_size=40))
def test_garbage_is_refused_and_never_raises_otherwise(answer: bytes, request: bytes | None) -> None:
    try:
        said = understand(request, answer)
    except (FrameRefusedError, NeedsRequestError):
        return
    assert isinstance(said, Said)


@given(st.binary(min_size=1, max_size=60), st.integers(1, 30))
def test_garbage_with_a_good_checksum(body: bytes, count: int) -> None:
    request = with_crc(bytes((1,)) + ReadRegisters(0x3100, count, 4).encode())
    for driver in catalog.drivers():
        for asked in (None, request, with_crc(body)):
            try:
                said = understand(asked, with_crc(body))
            except (FrameRefusedError, NeedsRequestError):
                continue
            json.dumps(document(driver, said))


@given(st.text(max_size=40))
def test_text_is_hex_or_not(text: str) -> None:
    try:
        parse_hex(text)
    except HexError as error:
        assert "\n" not in str(error)
