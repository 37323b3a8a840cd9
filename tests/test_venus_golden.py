"""The whole tree of a charger's service, path by path: type, value, text.

HELIOBUS_GOLDEN=write writes the file anew; look at the difference before you commit it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import heliobus
from heliobus.site import Site
from venus_bus import Client, Daemon, plain, running_daemon
from venus_site import SERVICE, charger, offline, serving, site_with

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def tree(daemon: Daemon, site: Site) -> dict[str, list[object]]:
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        items = await client.items(SERVICE)
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


async def test_every_point_of_the_device_has_a_path(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        values = [plain(entry["Value"]) for entry in (await client.items(SERVICE)).values()]
    reading = site.reading(device.name)
    assert reading is not None
    missing = [name for name, value in reading.values.items() if value not in values and value != ""]
    assert missing == []
