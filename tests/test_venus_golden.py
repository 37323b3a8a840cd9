"""The whole tree of a charger's service, path by path: type, value, text.

HELIOBUS_GOLDEN=write writes the file anew; look at the difference before you commit it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import heliobus
from heliobus.model.device import Device
from heliobus.model.placement import Placement
from heliobus.model.role import Role
from heliobus.outputs.venus.face import service_name
from heliobus.site import Site
from venus_bus import Client, Daemon, plain, running_daemon
from venus_site import (
    COMPANION,
    LOAD_CONTROLS,
    METER_ROLES,
    SERVICE,
    charger,
    controlled,
    controlled_site,
    meter,
    offline,
    reading,
    serving,
    site_with,
    tracer,
)

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def tree(daemon: Daemon, site: Site, service: str = SERVICE) -> dict[str, list[object]]:
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(service)
        items = await client.items(service)
    found = {
        path: [entry["Value"].signature, plain(entry["Value"]), entry["Text"].value] for path, entry in items.items()
    }
    assert found["/Mgmt/ProcessVersion"][1] == heliobus.__version__
    found["/Mgmt/ProcessVersion"] = ["s", "VERSION", "VERSION"]
    return dict(sorted(found.items()))


def check(found: dict[str, list[object]], name: str) -> None:
    path = GOLDEN / name
    if os.environ.get("HELIOBUS_GOLDEN") == "write":
        lines = ",\n".join(
            f"  {json.dumps(key)}: {json.dumps(line, ensure_ascii=False)}" for key, line in found.items()
        )
        path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    assert found == json.loads(path.read_text(encoding="utf-8"))


async def test_the_tree_of_a_charger_at_work(daemon: Daemon) -> None:
    check(await tree(daemon, site_with(charger())), "venus-solarcharger.json")


async def test_the_tree_of_a_charger_that_is_unplugged(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    site.put(offline(device))
    check(await tree(daemon, site), "venus-solarcharger-offline.json")


async def test_the_tree_of_a_charger_under_control(daemon: Daemon) -> None:
    site, _ = controlled_site()
    found = await tree(daemon, site)
    check(
        {path: line for path, line in found.items() if not path.startswith("/History/")},
        "venus-solarcharger-controlled.json",
    )


async def test_the_tree_of_a_charger_under_control_that_is_unplugged(daemon: Daemon) -> None:
    device = controlled()
    site, _ = controlled_site(device)
    site.put(offline(device))
    found = await tree(daemon, site)
    check(
        {path: line for path, line in found.items() if path.startswith(("/Control/", "/Link/", "/Settings/", "/Mode"))},
        "venus-solarcharger-controlled-offline.json",
    )


async def test_the_tree_of_its_switches(daemon: Daemon) -> None:
    site, _ = controlled_site()
    check(await tree(daemon, site, COMPANION), "venus-switch.json")


@pytest.mark.parametrize("role", METER_ROLES)
async def test_the_tree_of_a_meter_in_each_role(daemon: Daemon, role: Role) -> None:
    device = meter(role)
    site = site_with(device)
    check(await tree(daemon, site, service_name(device)), f"venus-{role.value}.json")


async def test_the_tree_of_a_meter_on_the_second_phase(daemon: Daemon) -> None:
    device = meter(Role.GRID_METER, placement=Placement(phase=2))
    found = await tree(daemon, site_with(device), service_name(device))
    check({path: line for path, line in found.items() if path.startswith(("/Ac/", "/Nr"))}, "venus-grid-phase-2.json")


async def test_the_tree_of_a_charger_with_a_load_output(daemon: Daemon) -> None:
    device = tracer()
    site = site_with(device)
    site.put(reading(device, error_ids="epever:e-17, epever:w-9", low_voltage_alarm=1))
    found = await tree(daemon, site, service_name(device))
    bare = await tree(daemon, site_with(charger()))
    new = {path: line for path, line in found.items() if path not in bare or "Consumption" in path}
    check({path: line for path, line in new.items() if not path.startswith("/Tracer/")}, "venus-load.json")
    assert set(bare) - {path.replace("/Tracer/", "/Tristar/") for path in found} == set()


async def test_the_tree_of_the_switch_of_a_load_output(daemon: Daemon) -> None:
    device = tracer(controls=LOAD_CONTROLS)
    site, _ = controlled_site(device)
    check(await tree(daemon, site, service_name(device, "switch")), "venus-switch-load.json")


async def test_a_charger_that_may_not_be_commanded_is_as_it_always_was(daemon: Daemon) -> None:
    """Control that is off leaves no trace, even where the points of control are known."""
    site, _ = controlled_site(controlled(controls={}))
    found = await tree(daemon, site)
    plain_tree = await tree(daemon, site_with(charger()))
    assert not [path for path in found if path.startswith(("/Link/", "/Settings/Charge")) and path not in plain_tree]


@pytest.mark.parametrize(
    "device",
    [charger(), controlled(), tracer(), *(meter(role) for role in METER_ROLES)],
    ids=["read-only", "controlled", "with a load", *METER_ROLES],
)
async def test_every_point_of_the_device_has_a_path(daemon: Daemon, device: Device) -> None:
    site = site_with(device)
    async with serving(site, daemon.address), Client(daemon.address) as client:
        service = service_name(device)
        await client.until_served(service)
        values = [plain(entry["Value"]) for entry in (await client.items(service)).values()]
    reading = site.reading(device.name)
    assert reading is not None
    missing = [name for name, value in reading.values.items() if value not in values and value not in ("", None)]
    assert missing == []
