"""The commands as their user types them."""

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import pytest

from daemon import COMMAND, PATIENCE, environment, heliobus
from heliobus.devices import catalog
from heliobus.sim.server import serve_tcp
from heliobus.sim.tristar import SimTriStar
from heliobus.wire.modbus.crc import crc16

DRIVER = "morningstar-tristar-mppt"
CAPTURE = Path(__file__).parent / "frames" / "morningstar_tristar_mppt" / "capture-c.json"


async def spawn(*arguments: str, bus: str | None = None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(bus)
    )


async def first_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        return (await process.stdout.readline()).decode()


async def end(process: asyncio.subprocess.Process) -> int:
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(PATIENCE):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode


@pytest.mark.parametrize(
    "wire", [("--wire", "tcp"), ("--wire", "tcp", "--keep-open"), ("--wire", "rtu+tcp"), ("--wire", "pty")]
)
async def test_the_capture_of_a_real_charger_is_read_as_the_page_says(wire: tuple[str, ...]) -> None:
    sim = await spawn("sim", "tristar", "--port", "0", *wire, "--capture", str(CAPTURE))
    try:
        link = (await first_line(sim)).split()[1]
        result = await heliobus("read", f"{DRIVER}@{link}", "--json")
        assert result.code == 0, result.err
        document = json.loads(result.out)
    finally:
        assert await end(sim) == 0
    values = {name: point["value"] for name, point in document["points"].items()}
    assert document["points"]["battery_voltage"] == {"value": 13.43, "unit": "V", "reason": None}
    assert document["device"]["driver"] == DRIVER
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["time"])
    expected = {
        "battery_sense_voltage": 13.4,
        "pv_voltage": 0.33,
        "battery_current_slow": 0.012,
        "heatsink_temperature": 4,
        "rts_temperature": 5,
        "overall_battery_voltage_min": 0.14,
        "overall_battery_voltage_max": 16.57,
        "operating_hours": 87017,
        "rail_12v": 13.38,
        "rail_3v": 3.62,
        "rail_meterbus": 12.95,
        "rail_1v8": 1.78,
        "reference_voltage": 2.04,
        "faults": 0,
        "alarms": 0,
        "charge_state": 3,
        "nominal_voltage": 12,
        "energy_day_counter": 0,
    }
    assert {name: values[name] for name in expected} == expected
    texts = {name: point.get("text") for name, point in document["points"].items()}
    assert texts["charge_state"] == "NIGHT"
    assert texts["dip_switches"] == "switch 3, switch 4, switch 5, switch 6, switch 8"
    assert texts["day_flags"] == "reset detected, an alarm occurred"
    assert texts["led_state"] == "green"
    assert texts["network_writes"] == "allowed"


async def test_read_a_few_points_as_a_table() -> None:
    async with serve_tcp({1: SimTriStar()}) as server:
        result = await heliobus("read", f"{DRIVER}@tcp://127.0.0.1:{server.port}", "battery_voltage", "charge_state")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("Morningstar TriStar MPPT 60, serial number 10170296, firmware 1.1.42")
    assert re.fullmatch(r"battery_voltage  2\d\.\d\d V", lines[1])
    assert len(lines) == 3


async def test_watch_goes_on_until_it_is_interrupted() -> None:
    async with serve_tcp({1: SimTriStar()}) as server:
        watch = await spawn("read", f"{DRIVER}@tcp://127.0.0.1:{server.port}", "battery_voltage", "--json", "--watch")
        times = {json.loads(await first_line(watch))["time"] for _ in range(2)}
        assert len(times) == 2
        assert await end(watch) == 130


async def test_record_writes_every_frame(tmp_path: Path) -> None:
    path = tmp_path / "frames.json"
    async with serve_tcp({1: SimTriStar()}) as server:
        result = await heliobus("record", f"{DRIVER}@tcp://127.0.0.1:{server.port}", "-o", str(path), "-n", "2")
        asked = len(server.requests)
    assert result.code == 0, result.err
    recording = json.loads(path.read_text())
    sent = [frame for frame in recording["frames"] if frame[1] == "tx"]
    received = [frame for frame in recording["frames"] if frame[1] == "rx"]
    assert len(sent) == asked
    assert len(received) >= len(sent) - 1
    assert recording["frames"][0][0] == 0.0
    assert recording["reading"]["device"]["serial"] == "10170296"
    assert any(bytes.fromhex(frame[2])[7:8] == b"\x04" for frame in received)


async def test_record_of_a_serial_line_holds_whole_rtu_frames(tmp_path: Path) -> None:
    path = tmp_path / "frames.json"
    sim = await spawn("sim", "tristar", "--wire", "pty")
    try:
        link = (await first_line(sim)).split()[1]
        result = await heliobus("record", f"{DRIVER}@{link}", "-o", str(path), "-n", "1")
        assert result.code == 0, result.err
    finally:
        await end(sim)
    for _, direction, text in json.loads(path.read_text())["frames"]:
        if direction == "tx":
            assert crc16(bytes.fromhex(text)) == 0


async def test_devices_lists_what_the_catalog_finds() -> None:
    listed, points = await asyncio.gather(heliobus("devices", "--json"), heliobus("devices", DRIVER, "--json"))
    assert [row["driver"] for row in json.loads(listed.out)] == [driver.name for driver in catalog.drivers()]
    assert [row["point"] for row in json.loads(points.out)] == list(catalog.driver(DRIVER).points())


async def test_config_check_says_what_it_understood(tmp_path: Path) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_text(
        f"[site]\nname='cabin'\ntimezone='Europe/Oslo'\n[[device]]\nname='roof'\ndriver='{DRIVER}'\n"
        "link='tcp://192.0.2.4'\n[output.venus]\n"
    )
    result = await heliobus("config", "check", str(path))
    assert result.code == 0
    assert "device roof: morningstar-tristar-mppt, Modbus TCP 192.0.2.4, unit 1, every 5 s" in result.out
    assert "time zone Europe/Oslo" in result.out
    assert "control is on" not in result.out


async def test_the_config_is_told_with_what_it_allows(tmp_path: Path) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_text(
        f"""
        [[device]]
        name = "roof"
        driver = "{DRIVER}"
        link = "tcp://192.0.2.4"
        control = "on"
        system_voltage = 24
        chemistry = "agm"
        [device.top_charge]
        voltage = 28.8
        [profile.rest]
        float_voltage = 27.0
        [output.venus]
        """
    )
    result = await heliobus("config", "check", str(path))
    assert result.code == 0, result.err
    assert "control is on: 24 V, chemistry agm, equalize locked, top charge to 28.8 V" in result.out
    assert "profile rest: 1 setting, by hand, for all devices" in result.out


async def test_the_demo_lives_and_ends() -> None:
    process = await spawn("demo", "--plain", "--speed", "60")
    assert process.stdout is not None
    seen = ""
    async with asyncio.timeout(PATIENCE):
        while "yield_today" not in seen or "dbus-send --bus=" not in seen:
            line = (await process.stdout.readline()).decode()
            assert line, seen
            seen += line
    address = re.search(r"dbus-send --bus=(\S+)", seen)
    assert address is not None
    look = await asyncio.create_subprocess_exec(
        "dbus-send",
        f"--bus={address[1]}",
        "--print-reply",
        "--dest=com.victronenergy.solarcharger.tristar_0",
        "/Dc/0/Voltage",
        "com.victronenergy.BusItem.GetValue",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await look.communicate()
    assert re.search(rb"variant\s+double 2\d\.", out), out
    assert "roof: Morningstar TriStar MPPT 60 10170296 ok" in seen
    assert await end(process) == 0


def test_help_names_every_command() -> None:
    from click.testing import CliRunner

    from heliobus.cli.main import COMMANDS, main

    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name in COMMANDS:
        assert re.search(rf"^  {name}\s", result.output, re.MULTILINE)
    assert sys.modules.get("ssl") is not None, "help must not leave anything out of this process"
