"""The layout of Victron's Grafana dashboards: what Venus Influx Loader would have stored of the same devices."""

from pathlib import Path

import pytest

from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.role import Role
from heliobus.outputs.influx.venus_layout import REPEAT, VenusLayout
from heliobus.outputs.sampler import Sample, Sampler
from heliobus.outputs.venus.kept import FILE, Kept, KeptSettings
from venus_site import METER_ROLES, charger, controlled, meter, reading, site_with

TIME = 1_780_000_000_000
PORTAL = "c0619ab2cd34"

Points = dict[tuple[str, str], dict[str, float | str]]


@pytest.fixture
def memory(tmp_path: Path) -> Kept:
    return Kept(tmp_path / FILE)


def sample(device: Device, time: int = TIME, **values: Value) -> Sample:
    return Sample(device, time, reading(device, **values).values)


def points(layout: VenusLayout, each: Sample) -> Points:
    found: Points = {}
    for measurement, tags, fields in layout.points(each):
        assert set(tags) == {"portalId", "instanceNumber", "name"}
        assert len(fields) == 1
        key = (measurement, tags["instanceNumber"])
        assert key not in found
        found[key] = dict(fields)
    return found


def test_numbers_and_texts_have_the_loader_s_names(memory: Kept) -> None:
    layout = VenusLayout(PORTAL, memory, "Cabin")
    found = points(layout, sample(charger()))
    assert found["solarcharger/Yield/Power", "278"] == {"value": 290.2}
    assert found["solarcharger/Dc/0/Voltage", "278"] == {"value": 27.53}
    assert found["solarcharger/State", "278"] == {"value": 3.0}
    assert found["solarcharger/ProductName", "278"] == {"stringValue": "Morningstar TriStar MPPT 60"}
    assert all(type(value) in (float, str) for fields in found.values() for value in fields.values())
    (_, tags, _) = next(iter(layout.points(sample(charger()))))
    assert tags == {"portalId": PORTAL, "instanceNumber": "278", "name": "Cabin"}
    (_, tags, _) = next(iter(VenusLayout(PORTAL, memory).points(sample(charger()))))
    assert tags["name"] == PORTAL


def test_what_is_not_measured_is_left_out_and_days_are(memory: Kept) -> None:
    layout = VenusLayout(PORTAL, memory)
    points(layout, sample(charger()))
    found = points(layout, sample(charger(), TIME + 10_000, battery_voltage=None))
    assert ("solarcharger/Dc/0/Voltage", "278") not in found
    assert found["solarcharger/Pv/V", "278"] == {"value": 84.12}
    assert not [name for name, _ in found if "History/Daily" in name or "DaysAvailable" in name]
    assert ("solarcharger/Pv/V", "278") in points(layout, sample(charger(), TIME + 20_000, battery_voltage=None))


def test_numbers_come_every_time_texts_and_constants_when_they_change_or_an_hour_is_over(memory: Kept) -> None:
    layout = VenusLayout(PORTAL, memory)
    names = ["solarcharger/ProductName", "solarcharger/ProductId", "solarcharger/Tristar/ArrayModeText"]
    assert set(names) <= {name for name, _ in points(layout, sample(charger()))}
    later = points(layout, sample(charger(), TIME + 10_000))
    assert ("solarcharger/Dc/0/Voltage", "278") in later
    assert not set(names) & {name for name, _ in later}
    changed = points(layout, sample(charger(), TIME + 20_000, array_mode=0))
    assert changed["solarcharger/Tristar/ArrayModeText", "278"] == {"stringValue": "off"}
    assert set(names) <= {name for name, _ in points(layout, sample(charger(), TIME + REPEAT + 20_000))}
    # A clock that is set back does not keep it quiet for hours.
    assert set(names) <= {name for name, _ in points(layout, sample(charger(), TIME - REPEAT))}


@pytest.mark.parametrize("role", METER_ROLES)
def test_each_role_has_its_class(memory: Kept, role: Role) -> None:
    found = points(VenusLayout(PORTAL, memory), sample(meter(role)))
    path = "Ac/L1/Power" if any(name.endswith("/Ac/L1/Power") for name, _ in found) else "Dc/0/Power"
    assert [name for name, _ in found if name.endswith(path)] == [f"{role.value}/{path}"]


def test_a_battery_and_a_total_have_no_service_here(memory: Kept) -> None:
    layout = VenusLayout(PORTAL, memory)
    assert list(layout.points(sample(charger(role=Role.TOTAL)))) == []
    assert list(layout.points(sample(charger(role=Role.TOTAL)))) == []


def test_the_paths_of_a_device_under_control_are_those_of_the_bus_and_the_instances_those_of_mqtt(
    memory: Kept,
) -> None:
    memory.instance("solarcharger", "somebody_else", 278)
    found = points(VenusLayout(PORTAL, memory), sample(controlled()))
    assert found["solarcharger/Control/ChargeCurrentLimit", "279"]
    assert found["switch/SwitchableOutput/equalize/State", "50"] == {"value": 0.0}


def test_a_chosen_role_is_followed(memory: Kept) -> None:
    layout = VenusLayout(PORTAL, memory)
    device = meter(Role.AC_LOAD)
    assert ("acload/Ac/L1/Power", "40") in points(layout, sample(device))
    KeptSettings(memory).write(f"/Settings/Devices/{device.key}/Role", "grid")
    assert ("grid/Ac/L1/Power", "40") in points(layout, sample(device, TIME + 10_000))


def test_a_device_that_is_unplugged_gives_nothing(memory: Kept) -> None:
    site = site_with(charger())
    layout, sampler = VenusLayout(PORTAL, memory), Sampler(site, 10)
    assert sum(len(points(layout, each)) for each in sampler.look()) > 40
    site.silence("roof")
    assert sampler.look() == []
