"""What a search tries, names and writes, without a line."""

import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus import config
from heliobus.cli import scan_tables
from heliobus.cli.problem import WrongUse
from heliobus.cli.scan_targets import targets
from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.inventory import Inventory
from heliobus.model.device import Identity
from heliobus.scan import LIKELY, UNLIKELY, Found, NetworkRangeError, Options, Speed, hosts, speeds, units_of
from heliobus.scan.candidates import first_question, long_patience, short_patience
from heliobus.scan.network import PRIVATE, is_range
from heliobus.scan.ttys import other_program, stable_path, ttys
from heliobus.wire.address import parse_link

TRISTAR = catalog.driver("morningstar-tristar-mppt")
METER = catalog.driver("pzem-ac")
OUTPUT = '[output.venus]\nbus = "unix:path=/nonexistent"\n'


def own(*texts: str) -> list[ipaddress.IPv4Interface]:
    return [ipaddress.IPv4Interface(text) for text in texts]


def test_lan_is_the_own_private_networks_and_never_this_machine() -> None:
    found = hosts("lan", own("127.0.0.1/8", "192.168.1.7/24", "203.0.113.5/24"))
    assert len(found) == 253 and "192.168.1.7" not in found
    assert found[0] == "192.168.1.1" and found[-1] == "192.168.1.254"


def test_a_wide_network_is_searched_around_this_machine() -> None:
    found = hosts("lan", own("10.20.30.40/8"))
    assert {each.rpartition(".")[0] for each in found} == {"10.20.30"}


def test_lan_without_a_private_network() -> None:
    with pytest.raises(NetworkRangeError):
        hosts("lan", own("127.0.0.1/8", "203.0.113.5/24"))


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_nothing_outside_private_networks_is_ever_named(address: int, length: int) -> None:
    text = f"{ipaddress.IPv4Address(address)}/{length}"
    assert is_range(text)
    try:
        found = hosts(text, [])
    except NetworkRangeError:
        return
    assert len(found) <= 256
    for each in found:
        assert any(ipaddress.IPv4Address(each) in network for network in PRIVATE)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=4))
def test_nor_by_lan(interfaces: list[tuple[int, int]]) -> None:
    try:
        found = hosts("lan", [ipaddress.IPv4Interface(each) for each in interfaces])
    except NetworkRangeError:
        return
    assert len(found) <= 256 * len(interfaces)
    for each in found:
        assert any(ipaddress.IPv4Address(each) in network for network in PRIVATE)


def test_every_speed_of_the_drivers_is_tried() -> None:
    found = speeds(catalog.drivers())
    assert set(found) == {Speed(each.baud, each.stop_bits) for each in catalog.drivers()}
    assert found[0].baud == 9600


def test_the_first_question_only_reads_and_waits_as_long_as_the_drivers() -> None:
    for driver in catalog.drivers():
        assert first_question([driver]).function in (3, 4)
    assert short_patience(catalog.drivers()).floor >= max(each.timing.floor for each in catalog.drivers())
    assert long_patience(catalog.drivers()).ceiling >= max(each.timing.ceiling for each in catalog.drivers())


def test_the_order_of_units() -> None:
    drivers = catalog.drivers()
    assert Options(drivers).passes == (LIKELY, UNLIKELY)
    assert Options(drivers, likely_only=True).passes == (LIKELY,)
    assert Options(drivers, units=(9, 3)).passes == ((9, 3),)
    (every,) = Options(drivers, all_units=True).passes
    assert every[:6] == LIKELY and sorted(every) == list(range(1, 248))


def test_lists_of_units() -> None:
    assert units_of("1-3, 10,2") == (1, 2, 3, 10)
    for wrong in ("", "0", "248", "3-1", "1-", "x", "1,,2", "٣"):
        with pytest.raises(ValueError):
            units_of(wrong)


def test_ttys_by_their_lasting_names(tmp_path: Path) -> None:
    for name in ("ttyUSB0", "ttyUSB1", "ttyACM0", "ttyAMA0", "ttyS0", "tty1"):
        (tmp_path / name).touch()
    for folder, link, tty in (
        ("by-id", "usb-FTDI_AB01-if00-port0", "ttyUSB0"),
        ("by-path", "platform-usb-0:1.1", "ttyUSB0"),
        ("by-path", "platform-usb-0:1.2", "ttyUSB1"),
    ):
        (tmp_path / "serial" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "serial" / folder / link).symlink_to(f"../../{tty}")
    consoles = tmp_path / "active"
    consoles.write_text("tty0 ttyAMA0\n")
    assert ttys(tmp_path, consoles) == (
        str(tmp_path / "ttyACM0"),
        str(tmp_path / "serial/by-id/usb-FTDI_AB01-if00-port0"),
        str(tmp_path / "serial/by-path/platform-usb-0:1.2"),
    )
    assert stable_path(str(tmp_path / "ttyS0"), tmp_path) == str(tmp_path / "ttyS0")


def test_who_has_a_tty_open(tmp_path: Path) -> None:
    file = tmp_path / "ttyUSB0"
    file.touch()
    assert other_program(str(file)) is None
    script = f"f = open({str(file)!r}); print('open', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline()
        assert str(process.pid) in (other_program(str(file)) or "")
        process.kill()


def test_targets() -> None:
    found = targets(["/dev/ttyX7", "serial:/dev/ttyX8?baud=19200&stop=2", "tcp://localhost", "tcp://localhost:502"])
    assert [each.place for each in found] == ["/dev/ttyX7", "/dev/ttyX8", "tcp://localhost:502"]
    assert [each.speed for each in found] == [None, Speed(19200, 2), None]
    for wrong in ("ttyX9", "192.0.2.0/24", "http://x", "8.8.8.8"):
        with pytest.raises(WrongUse):
            targets([wrong])


def found(driver: Driver = TRISTAR, link: str = "tcp://192.168.1.5", unit: int = 1, serial: str | None = "7") -> Found:
    address = parse_link(link, baud=driver.baud, stop=driver.stop_bits)
    return Found(driver, address, unit, Identity("Vendor", "Model", serial))


@pytest.mark.parametrize("before", ["", OUTPUT, "# mine\r\n" + OUTPUT.replace("\n", "\r\n"), OUTPUT + "# no newline"])
def test_tables_are_appended_and_the_rest_stays(before: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    path = tmp_path / "heliobus.toml"
    path.write_bytes(before.encode())
    path.chmod(0o600)
    new = [found(), found(METER, "serial:/dev/serial/by-id/usb-x", 4, None)]
    scan_tables.add(path, [scan_tables.table(each) for each in new])
    content = path.read_bytes()
    assert content.startswith(before.encode())
    assert (b"\r\n" in content) == ("\r\n" in before)
    assert path.stat().st_mode & 0o777 == 0o600
    devices = config.load(path).devices
    assert [(each.driver, str(each.link), each.unit) for each in devices] == [
        ("morningstar-tristar-mppt", "tcp://192.168.1.5:502", 1),
        ("pzem-ac", "serial:/dev/serial/by-id/usb-x?baud=9600", 4),
    ]
    registered = scan_tables.registered(path)
    assert [registered.name_of(each) for each in new] == [each.name for each in devices]
    assert registered.name_of(found(unit=2, serial="8")) is None


def test_a_file_is_made_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "heliobus.toml"
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    scan_tables.add(path, [scan_tables.table(found())])
    assert "[output" not in path.read_text()
    monkeypatch.setattr(config, "on_venus_os", lambda: True)
    path.unlink()
    scan_tables.add(path, [scan_tables.table(found())])
    settings = config.load(path)
    assert settings.venus is not None and settings.venus.settings_charger and len(settings.devices) == 1


@pytest.mark.parametrize("before", ["[[device]\n", "device = []\n" + OUTPUT, "\xff", OUTPUT + "[unknown]\n"])
def test_a_file_that_would_not_be_good_is_not_touched(before: str, tmp_path: Path) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_bytes(before.encode("latin-1"))
    with pytest.raises(WrongUse, match="nothing was written") as caught:
        scan_tables.add(path, [scan_tables.table(found())])
    assert str(path) in str(caught.value.message)
    assert path.read_bytes() == before.encode("latin-1")
    assert [each.name for each in tmp_path.iterdir()] == ["heliobus.toml"]


def test_a_device_that_moved_is_known_by_its_serial_number(tmp_path: Path) -> None:
    path, state = tmp_path / "heliobus.toml", tmp_path / "state"
    place = "tcp://192.168.1.9"
    path.write_text(
        f"[site]\nstate = '{state}'\n[[device]]\nname = 'roof'\ndriver = '{TRISTAR.name}'\nlink = '{place}'\n{OUTPUT}"
    )
    (device,) = config.load(path).devices
    inventory = Inventory(state / "devices.json")
    inventory.remember(f"{device.link}#1", TRISTAR.name, TRISTAR.short, Identity("Vendor", "Model", "7"))
    inventory.save()
    registered = scan_tables.registered(path)
    assert registered.name_of(found()) == "roof"
    assert registered.name_of(found(serial="8")) is None
    assert registered.name_of(found(link=place, serial="8")) == "roof"


def test_what_a_device_says_cannot_break_the_file() -> None:
    nasty = Found(TRISTAR, parse_link("tcp://x"), 1, Identity("A\n[[device]]", 'B"\x7f\u2028', "\r\n1"))
    import tomllib

    assert tomllib.loads(scan_tables.table(nasty)) == {
        "device": [{"driver": TRISTAR.name, "link": "tcp://x", "unit": 1}]
    }
