"""Several devices on one tty in the config: speeds may differ, unit ids may not be the same."""

from pathlib import Path

import pytest

from heliobus import config
from heliobus.config import Config, ConfigError
from heliobus.wire.line_settings import LineSettings


def table(link: str, unit: int, name: str) -> dict[str, object]:
    return {"driver": "morningstar-tristar-mppt", "link": link, "unit": unit, "name": name}


def read(*tables: dict[str, object]) -> Config:
    return config.parse({"device": list(tables), "output": {"venus": {"bus": "unix:path=/none"}}}, "cabin.toml")


def test_units_of_several_speeds_share_a_tty() -> None:
    devices = read(
        table("serial:/dev/ttyUSB0?baud=115200&stop=1", 1, "charger"),
        table("serial:/dev/ttyUSB0?baud=9600&stop=1", 10, "meter"),
        table("serial:/dev/ttyUSB0?baud=9600&stop=2&parity=E&bits=7", 20, "other meter"),
    ).devices
    assert {device.link.endpoint for device in devices} == {"/dev/ttyUSB0"}
    assert [device.link.settings for device in devices] == [
        LineSettings(115200),
        LineSettings(9600),
        LineSettings(9600, 7, "E", 2),
    ]


@pytest.mark.parametrize("link", ["serial:/dev/ttyUSB0?baud=9600", "serial:/dev/ttyUSB0?baud=115200&parity=E"])
def test_a_unit_id_is_unique_on_its_line_whatever_the_speed(link: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(table("serial:/dev/ttyUSB0?baud=115200", 1, "roof"), table(link, 1, "shed"))
    assert str(caught.value) == (
        "cabin.toml: [[device]] 2: unit is 1; allowed: another one, for this one at /dev/ttyUSB0 is 'roof'"
    )


def test_two_names_of_one_tty_are_one_line(tmp_path: Path) -> None:
    tty, name = tmp_path / "ttyUSB0", tmp_path / "usb-1a86_USB_Single_Serial_5433-if00"
    tty.touch()
    name.symlink_to(tty)
    first = table(f"serial:{tty}?baud=9600", 1, "roof")
    with pytest.raises(ConfigError, match="unit is 1"):
        read(first, table(f"serial:{name}?baud=9600", 1, "shed"))
    one, two = read(first, table(f"serial:{name}?baud=9600", 2, "shed")).devices
    assert one.link.endpoint == two.link.endpoint


def test_an_endpoint_has_one_protocol() -> None:
    with pytest.raises(ConfigError, match=r"link is \"rtu\+tcp://h:502\".*'roof'"):
        read(table("tcp://h:502", 1, "roof"), table("rtu+tcp://h:502", 2, "shed"))
