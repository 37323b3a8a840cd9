"""docs/contract.md is what the code says, and what it says is what the outputs do."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from heliobus.devices import catalog
from heliobus.model import vocabulary as v
from heliobus.model.point import Point
from heliobus.model.quantity import Kind
from heliobus.model.reading import Reason
from heliobus.model.role import Role
from heliobus.outputs.influx.native import fields_of
from heliobus.outputs.mqtt.values import state
from heliobus.outputs.prometheus.names import metric
from heliobus.sim.fleet import FleetSite
from heliobus.totals import POINTS as TOTAL_POINTS

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines())
    if len(cells) == 6
}


def generator() -> ModuleType:
    path = ROOT / "scripts" / "make_contract.py"
    spec = importlib.util.spec_from_file_location("make_contract", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def points() -> dict[str, Point]:
    found = dict(v.VOCABULARY) | TOTAL_POINTS
    for driver in catalog.drivers():
        found |= driver.points()
    return found


def test_it_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_contract.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_check_sees_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    module = generator()
    target = tmp_path / "contract.md"
    target.write_text(TEXT.replace("battery_voltage", "batterie_voltage", 1), encoding="utf-8")
    monkeypatch.setattr(module, "TARGET", target)
    monkeypatch.setattr(sys, "argv", ["make_contract.py", "--check"])
    assert module.main() == 1
    monkeypatch.setattr(sys, "argv", ["make_contract.py"])
    assert module.main() == 0
    assert target.read_text(encoding="utf-8") == TEXT


def test_every_point_of_every_driver_is_there_with_its_unit() -> None:
    for name, point in points().items():
        cells = ROWS[name]
        assert cells[1] == (point.unit or ("" if point.kind is Kind.NUMBER else str(point.kind))), name
        assert cells[2] == point.doc
        assert cells[3], name


def test_fields_and_metrics_are_those_that_are_written() -> None:
    for name, point in points().items():
        value = "text" if point.kind is Kind.TEXT else 1
        assert re.findall(r"`(\w+)`", ROWS[name][4]) == list(fields_of(point, value)), name
        if point.kind is not Kind.TEXT:
            assert re.findall(r"`(\w+)`", ROWS[name][5]) == [metric(point).name], name


def test_mqtt_keys_are_the_names() -> None:
    for device in FleetSite(1).devices:
        assert list(json.loads(state(device, {}))) == list(device.points)
        assert set(json.loads(state(device, {})).values()) == {None}


def test_every_reason_and_role_is_explained() -> None:
    for reason in Reason:
        assert re.search(rf"^\| {reason.value} \| \w", TEXT, re.MULTILINE)
    for role in Role:
        assert f"| `{role.value}` |" in TEXT


def test_each_driver_says_when_its_points_are_absent() -> None:
    for driver in catalog.drivers():
        section = TEXT.split(f"### {driver.name}\n")[1].split("\n### ")[0]
        told = dict(re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]+) \|$", section, re.MULTILINE))
        assert set(driver.points()) <= set(told)
        assert all(told.values())
