"""A simulated charger, `heliobus run`, a broker and Home Assistant together."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

from hass_api import Hass
from stage import Judge, Stage, end, free_port, until

CONTROLLED = """
[site]
name = "Sim"
state = "{state}"
[[device]]
name = "roof"
driver = "morningstar-tristar-mppt"
link = "tcp://127.0.0.1:{charger}"
poll = "0.5s"
control = "on"
system_voltage = 24
chemistry = "flooded"
[output.mqtt]
broker = "mqtt://127.0.0.1:{broker}"
"""


async def daemon(hass: Hass, stage: Stage, judge: Judge) -> None:
    """A simulated charger, `heliobus run` and Home Assistant together."""
    heliobus = Path(sys.executable).with_name("heliobus")
    port = free_port()
    config = stage.folder / "heliobus.toml"
    state = stage.folder / "state"
    shutil.rmtree(state, ignore_errors=True)
    config.write_text(CONTROLLED.format(state=state, charger=port, broker=stage.broker_port))

    def start(log: str, *command: str) -> "subprocess.Popen[bytes]":
        with (stage.folder / log).open("ab") as file:
            return subprocess.Popen([heliobus, *command], stdout=file, stderr=subprocess.STDOUT)

    charger = start("sim.log", "sim", "tristar", "--port", str(port))
    run = start("heliobus.log", "run", "--config", str(config))
    voltage, switch = "sensor.roof_battery_voltage", "switch.roof_charger_enabled"
    try:
        states = await until(lambda now: now.get(voltage, {}).get("state", "un")[:2] != "un", hass)
        judge.see("a charger appears with a voltage", states.get(voltage, {}).get("state", "un")[:2] == "un")
        states = await until(lambda now: now[switch]["state"] == "on", hass)
        judge.see("its switch is on", states[switch]["state"] != "on")
        await hass.call("switch", "turn_off", entity_id=switch)
        states = await until(lambda now: now[switch]["state"] == "off", hass)
        judge.see("switched off in Home Assistant, it is off", states[switch]["state"] != "off")
        end(charger)
        states = await until(lambda now: now[voltage]["state"] == "unavailable", hass)
        judge.see("unplugged, it is unavailable", states[voltage]["state"] != "unavailable")
        stage.stop_hass()
        stage.start_hass()
        await hass.log_in()
        await asyncio.sleep(20)
        states = await hass.states()
        judge.see("and stays so when Home Assistant restarts", states[voltage]["state"] != "unavailable")
        charger = start("sim.log", "sim", "tristar", "--port", str(port))
        states = await until(lambda now: now[voltage]["state"][:2] != "un", hass)
        judge.see("plugged in, it is back", states[voltage]["state"][:2] == "un")
        stage.stop_hass()
        stage.start_hass()
        await hass.log_in()
        states = await until(lambda now: now.get(voltage, {}).get("state", "un")[:2] != "un", hass)
        judge.see("and again when Home Assistant restarts", states[voltage]["state"][:2] == "un")
        run.kill()
        run.wait()
        states = await until(lambda now: now[voltage]["state"] == "unavailable", hass)
        judge.see("Heliobus killed, it is unavailable", states[voltage]["state"] != "unavailable")
    finally:
        end(run)
        end(charger)
