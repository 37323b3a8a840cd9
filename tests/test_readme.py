"""What the README shows must work."""

import re
import tomllib
from pathlib import Path

from heliobus import config
from heliobus.cli.main import COMMANDS
from heliobus.devices import catalog

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def test_the_config_examples_are_good() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 5
    settings = config.parse(tomllib.loads("\n".join(blocks[:2])), "README.md")
    (roof,) = settings.devices
    assert (roof.name, roof.link.host, roof.link.port, roof.unit, roof.poll) == ("roof", "192.168.1.253", 502, 1, 5.0)
    assert settings.venus is not None
    assert settings.site.timezone == "Europe/Oslo"
    # What has to be said of control is said in an example of its own.
    assert not roof.control
    whole = config.parse(tomllib.loads("\n".join(blocks[:4])), "README.md")
    roof, shed, heater = whole.devices
    assert (shed.unit, shed.link.baud, heater.unit, heater.link.baud) == (1, 115200, 10, 9600)
    assert shed.link.endpoint == heater.link.endpoint
    assert [total.devices for total in whole.totals] == [("roof", "shed")]
    outputs = whole.outputs
    assert all((outputs.mqtt, outputs.influx, outputs.history, outputs.files, outputs.web))
    (roof,) = (controlled := config.parse({"output": {"venus": {}}} | tomllib.loads(blocks[4]), "README.md")).devices
    assert roof.options.on and roof.options.highest_voltage == 30.4
    assert [profile.name for profile in controlled.profiles] == ["winter"]


def test_the_table_of_commands_is_complete() -> None:
    shown = {match.split()[0] for match in re.findall(r"^\| `heliobus ([^`]+)`", README, re.MULTILINE)}
    assert shown == set(COMMANDS)


def test_every_device_on_the_command_line_is_one() -> None:
    drivers = {driver.name for driver in catalog.drivers()}
    named = set(re.findall(r"([a-z0-9-]+)@(?:tcp|serial)", README))
    assert named
    assert named <= drivers
