"""The recorded Tracer2215BN, its answers and its refusals, served on a pty and read by the real command."""

import json
from pathlib import Path

from daemon import heliobus
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.recorded import recorded_file
from heliobus.sim.serial_units import SerialUnits

FILE = Path(__file__).parent / "frames" / "epever_tracer" / "recorded-2215bn.json"
KNOWN = {
    "pv_rated_power": 520.0,
    "rated_current": 20.0,
    "charging_mode": 2,
    "pv_voltage": 1.97,
    "battery_voltage": 12.96,
    "controller_temperature": 28.89,
    "soc_estimate": 70.0,
    "system_voltage": 12.0,
    "set_hvd_voltage": 16.0,
}


async def test_it_is_read_whole_and_nothing_is_asked_twice_in_vain(tmp_path: Path) -> None:
    device = recorded_file(FILE)
    units = SerialUnits([device])
    async with serve_pty(units, speeds=units.speeds) as server:
        result = await heliobus("read", f"epever-tracer@serial:{server.path}", "--json", cwd=tmp_path)
    assert result.code == 0, result.err
    points = json.loads(result.out)["points"]
    values = {name: point["value"] for name, point in points.items()}
    assert {name: values[name] for name in KNOWN} == KNOWN
    # Its high word was recorded at another moment than its low one: -655.36 A.
    assert (points["net_battery_current"]["value"], points["net_battery_current"]["reason"]) == (None, "out of range")
    assert points["load_rated_power"]["reason"] == "not supported"
    assert not [name for name, point in points.items() if point["value"] is None and point["reason"] == "offline"]
    assert device.refused.total() > 0
    assert device.asked_in_vain_again == []
    assert device.refusals_again == {}
