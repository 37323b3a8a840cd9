"""The broker and the Home Assistant of the acceptance test, and what is said of them."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from debian_tree import DebianTree
from hass_api import Hass

CONFIGURATION = """
homeassistant:
  name: Acceptance
  unit_system: metric
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
auth:
config:
onboarding:
recorder:
energy:
logger:
  default: warning
"""
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PATIENCE = 60.0
OURS = ("mqtt", "sensor", "number", "switch", "select", "template", "heliobus", "entity")
HARMLESS = ("No device components to cleanup", "mqtt.discovery is logging too frequently")
"""Home Assistant itself empties the topic of a device it has removed, and wonders about its own messages."""


class Judge:
    """Counts what is as it should be, and tells what is not."""

    def __init__(self) -> None:
        self.failures = 0

    def see(self, what: str, wrong: Iterable[object] | bool) -> None:
        """`wrong` lists what is wrong with `what`, or says whether it is wrong."""
        found = [wrong] if wrong is True else list(wrong or ())
        self.failures += bool(found)
        print(f"{'FAILED' if found else 'ok    '}  {what}", flush=True)
        for each in found[:10]:
            print(f"          {each}")


class Stage:
    """Broker, Home Assistant and the folder in which all logs are."""

    def __init__(self, tree: DebianTree, folder: Path) -> None:
        self.tree = tree
        self.folder = folder
        self.broker_port, self.hass_port = free_port(), free_port()
        self._hass: subprocess.Popen[bytes] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hass]:
        """Both run, and Home Assistant is connected to the broker."""
        inside = self.tree.root / "acceptance"
        shutil.rmtree(inside, ignore_errors=True)
        inside.mkdir()
        (inside / "configuration.yaml").write_text(CONFIGURATION.format(port=self.hass_port))
        (inside / "mosquitto.conf").write_text(
            f"listener {self.broker_port} 127.0.0.1\nallow_anonymous true\nuser root\n"
        )
        broker = self.tree.start(self.folder / "mosquitto.log", "mosquitto", "-c", "/acceptance/mosquitto.conf")
        try:
            self.start_hass()
            async with Hass(self.hass_port) as hass:
                await hass.set_up(self.broker_port)
                yield hass
        finally:
            self.stop_hass()
            end(broker)

    def check_examples(self, judge: Judge) -> None:
        """Home Assistant takes the examples of the documentation as packages."""
        folder = self.tree.root / "examples"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "packages").mkdir(parents=True)
        (folder / "configuration.yaml").write_text("homeassistant:\n  packages: !include_dir_named packages\n")
        for each in sorted(EXAMPLES.glob("homeassistant-*.yaml")):
            shutil.copy(each, folder / "packages" / each.name.replace("-", "_"))
        checked = self.tree.output("hass", "--script", "check_config", "-c", "/examples", "--info", "all")
        wrong = [line for line in checked.splitlines() if "ailed" in line or "nvalid" in line or "ERROR" in line]
        loaded = all(word in checked for word in ("gx_keep_alive", "heliobus_roof_silent", "Dc/0/Voltage"))
        judge.see("the examples are good configuration", wrong or ([] if loaded else [checked]))

    def start_hass(self) -> None:
        """Start Home Assistant, with what it stored if it ran before."""
        self._hass = self.tree.start(self.folder / "hass.log", "hass", "-c", "/acceptance", "--log-no-color")

    def stop_hass(self) -> None:
        """End it properly."""
        if self._hass is not None:
            end(self._hass)

    def complaints(self) -> list[str]:
        """What Home Assistant logged about MQTT and its entities."""
        logs = sorted((self.tree.root / "acceptance").glob("home-assistant.log*"))
        lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
        relevant = [line for line in lines if any(word in line.lower() for word in OURS)]
        return [line for line in relevant if not any(words in line for words in HARMLESS)]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end(process: "subprocess.Popen[Any]") -> None:
    """End a process that was started here."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def until(what: Callable[[Mapping[str, Any]], bool], hass: Hass) -> Mapping[str, Any]:
    """The states in which `what` is so; the last ones if it never becomes so."""
    states: Mapping[str, Any] = {}
    for _ in range(int(PATIENCE)):
        states = await hass.states()
        if what(states):
            break
        await asyncio.sleep(1)
    return states
