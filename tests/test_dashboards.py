"""Every query of the dashboards names series that we emit, and finds them in the real stores."""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from dashboard_series import asked, devices, moments, native_lines, scraped
from databases import Database, VictoriaMetrics, influxdb, victoria_metrics
from heliobus.devices import catalog
from heliobus.model import vocabulary as v
from heliobus.model.quantity import Kind
from heliobus.model.role import Role
from heliobus.outputs.influx import seed
from heliobus.outputs.influx.lines import Row, lines
from heliobus.outputs.influx.native import MEASUREMENTS
from heliobus.outputs.prometheus.names import metric_name
from heliobus.outputs.prometheus.scrape import FIXED

ROOT = Path(__file__).resolve().parent.parent
GRAFANA = ROOT / "dashboards" / "grafana"
BOARDS = ("battery", "bus", "charger", "fleet", "today")
STORES = ("influx", "prometheus", "victoriametrics")
FILES = [*(GRAFANA / store / f"{board}.json" for store in STORES for board in BOARDS), GRAFANA / "seed/solar.json"]
NUMBERS = (Kind.NUMBER, Kind.INTEGER, Kind.ENUM, Kind.FLAGS)
POINTS = {name for name, point in v.VOCABULARY.items() if point.kind in NUMBERS}
MEASURED = set(MEASUREMENTS.values())
SEED_FIELDS = {*seed.FIRST, *seed.SHARED, *seed.POWERS, *seed.ENERGIES}
SCHEMA = 39
PATIENCE = 10.0


def dashboard(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def queries(store: str) -> Iterator[tuple[str, str]]:
    """Where it stands, and the query."""
    for path in sorted((GRAFANA / store).glob("*.json")):
        for panel in dashboard(path)["panels"]:
            for target in panel["targets"]:
                yield f"{path.stem}: {panel['title']}", target.get("expr") or target["query"]


def named(store: str, query: str) -> set[str]:
    """The series that `query` names, as far as its language goes: metrics, or measurements and fields."""
    if store in ("influx", "seed"):
        return set(re.findall(r'"([^"]+)"', re.sub(r'AS "[^"]+"|\("value"\)', "", query))) - {"site", "device", "name"}
    inside = re.findall(r'__name__=~"([^"]+)"', query)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", " ", query)
    words = set(re.findall(r"[a-z_][a-z0-9_]*(?![a-z0-9_]*\s*\()", bare)) - {"offset", "by", "d"}
    return {name for names in inside for name in names.split("|")} | words


def known(store: str) -> set[str]:
    if store == "influx":
        return MEASURED | POINTS
    if store == "seed":
        return SEED_FIELDS | {"${measurement}"}
    if store == "prometheus":
        return {metric_name(v.VOCABULARY[name]) for name in POINTS} | FIXED
    return {f"{MEASUREMENTS[each.role]}_{name}" for each in devices() for name in each.points if name in POINTS}


def test_files_are_those_that_are_declared() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_dashboards.py"), "--check"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert set(GRAFANA.glob("*/*.json")) == set(FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_dashboard_can_be_provisioned_anywhere(path: Path) -> None:
    content = dashboard(path)
    assert "id" not in content
    assert re.fullmatch(r"[a-z-]{1,40}", content["uid"])
    assert content["schemaVersion"] == SCHEMA
    source = content["templating"]["list"][0]
    assert (source["name"], source["type"]) == ("datasource", "datasource")
    numbers = [panel["id"] for panel in content["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in content["panels"]:
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": source["query"], "uid": "${datasource}"}
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


def test_uids_are_different() -> None:
    uids = [dashboard(path)["uid"] for path in FILES]
    assert len(set(uids)) == len(uids)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_panel_with_one_figure_never_shows_an_old_one(path: Path) -> None:
    for panel in dashboard(path)["panels"]:
        if panel["type"] in ("stat", "gauge", "table"):
            wanted = "1d" if panel["title"] == "Last heard of" else "5m"
            assert panel["timeFrom"] == wanted
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is not True


@pytest.mark.parametrize("store", (*STORES, "seed"))
def test_every_query_names_series_that_we_emit(store: str) -> None:
    found = list(queries(store))
    assert len(found) > 10
    for where, query in found:
        names = named(store, query)
        assert names, (where, query)
        assert names <= known(store), (where, query, names - known(store))


@pytest.mark.parametrize("store", (*STORES, "seed"))
def test_a_name_that_nobody_emits_is_found(store: str) -> None:
    _, query = next(queries(store))
    broken = query.replace("pv_power", "pv_pover").replace("BAperc", "BApercent").replace("soc", "sock")
    assert not named(store, broken) <= known(store)


def test_points_of_the_boards_belong_to_drivers_or_roles() -> None:
    """A point of the vocabulary that no driver and no role has would be a panel for ever empty."""
    have = {name for driver in catalog.drivers() for name in driver.points()}
    have |= {name for each in devices() for name in each.points}
    for where, query in queries("influx"):
        assert named("influx", query) - MEASURED <= have, where


@pytest.mark.parametrize("store", ("prometheus", "victoriametrics"))
def test_promql_is_promql(store: str, tmp_path: Path) -> None:
    """promtool reads every expression as that of a rule."""
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is missing: apt-get install prometheus"
    rules = [{"record": f"rule{index}", "expr": asked(query)} for index, (_, query) in enumerate(queries(store))]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


async def post(database: Database, path: str, body: bytes, **parameters: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(database.url + path, data=body, params=parameters) as answer,
    ):
        assert answer.status == 204, await answer.text()


async def empty(database: VictoriaMetrics, store: str) -> list[str]:
    """The panels whose queries bring nothing, although what was written can be seen by now."""
    asking = list(queries(store))
    # It shows samples a moment after it took them.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while asking := [each for each in asking if not await answered(database, each[1])]:
                await asyncio.sleep(0.05)
    return [f"{where}: {asked(query)}" for where, query in asking]


async def answered(database: VictoriaMetrics, query: str) -> bool:
    now = int(time.time())
    parameters = {"query": asked(query), "start": str(now - 600), "end": str(now), "step": "30s", "nocache": "1"}
    return bool(json.loads(await database.get("/api/v1/query_range", **parameters))["data"]["result"])


async def test_victoriametrics_answers_what_native_lines_brought(tmp_path: Path) -> None:
    async with victoria_metrics(tmp_path) as database:
        await post(database, "/write", native_lines(), db="heliobus", precision="ms")
        await database.flush()
        assert await empty(database, "victoriametrics") == []


async def test_victoriametrics_answers_what_was_scraped(tmp_path: Path) -> None:
    """In the place of a Prometheus, which cannot be given the past."""
    async with victoria_metrics(tmp_path) as database:
        for moment in moments():
            await post(database, "/api/v1/import/prometheus", scraped(moment), timestamp=str(1000 * moment))
        await database.flush()
        assert await empty(database, "prometheus") == []


async def test_prometheus_figures_are_in_the_units_of_the_panels(tmp_path: Path) -> None:
    """State of charge in percent and yields in kWh, whatever /metrics has them in."""
    expressions = dict(queries("prometheus"))
    async with victoria_metrics(tmp_path) as database:
        for moment in moments()[-12:-6]:
            await post(database, "/api/v1/import/prometheus", scraped(moment), timestamp=str(1000 * moment))
        await database.flush()
        for where, least in (("today: State of charge", 20.0), ("today: Won today", 100.0)):
            async with asyncio.timeout(PATIENCE):
                while not await answered(database, expressions[where]):
                    await asyncio.sleep(0.05)
            answer = json.loads(await database.get("/api/v1/query", query=asked(expressions[where]), nocache="1"))
            figure = float(answer["data"]["result"][0]["value"][1])
            assert least < figure < 100_000


async def test_influxdb_answers_what_native_lines_brought(tmp_path: Path) -> None:
    async with influxdb(tmp_path) as database:
        await post(database, "/write", native_lines(), db="heliobus", precision="ms")
        for where, query in queries("influx"):
            series = await database.query(asked(query), "heliobus")
            figures = [figure for each in series for row in each["values"] for figure in row[1:]]
            assert any(figure is not None for figure in figures), (where, asked(query))


async def test_influxdb_answers_what_the_seed_wrote(tmp_path: Path) -> None:
    figures = dict.fromkeys(SEED_FIELDS, 0.5)
    rows = [Row("solar", {}, figures, 1000 * moment) for moment in moments()]
    async with influxdb(tmp_path) as database:
        await post(database, "/write", lines(rows), db="heliobus", precision="ms")
        for where, query in queries("seed"):
            series = await database.query(asked(query), "heliobus")
            found = [row[1] for each in series for row in each["values"] if row[1] is not None]
            assert found, (where, asked(query))
            assert found[-1] == (50.0 if "BAperc" in query else 0.5), where


def test_the_old_dashboard_goes_on_with_true_units_and_no_fixed_battery() -> None:
    panels = {panel["title"]: panel for panel in dashboard(GRAFANA / "seed" / "solar.json")["panels"]}
    assert panels["Total won"]["fieldConfig"]["defaults"]["unit"] == "kwatth"
    for panel in panels.values():
        queried = " ".join(target["query"] for target in panel["targets"])
        if re.search("volt|amps|watt", queried):
            assert "max" not in panel["fieldConfig"]["defaults"], panel["title"]
    fields = {field for each in queries("seed") for field in SEED_FIELDS if f'"{field}"' in each[1]}
    assert fields == SEED_FIELDS


def test_provisioning_names_types_and_folders_that_there_are() -> None:
    sources = [yaml.safe_load(path.read_text()) for path in (GRAFANA / "provisioning" / "datasources").glob("*.yaml")]
    entries = [entry for each in sources for entry in each["datasources"]]
    assert {entry["type"] for entry in entries} == {"prometheus", "influxdb"}
    assert len({entry["uid"] for entry in entries}) == len(entries) == 3
    for entry in entries:
        assert all(str(each).startswith("$") for each in entry.get("secureJsonData", {}).values())
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/heliobus.yaml").read_text())["providers"]
    assert provider["options"]["path"].startswith("/var/lib/grafana/")


def test_every_role_has_a_measurement() -> None:
    assert set(MEASUREMENTS) == set(Role)
