"""What docs/influx.md and its examples show must work: the TOML, the lines, the InfluxQL, the names of series."""

import re
import shutil
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from databases import influxdb
from heliobus import config
from heliobus.config.outputs import InfluxConfig
from heliobus.devices import catalog
from heliobus.model.vocabulary import VOCABULARY
from heliobus.outputs.influx.layouts import layout
from heliobus.outputs.influx.lines import lines
from heliobus.outputs.influx.native import MEASUREMENTS, NativeLayout
from heliobus.outputs.prometheus.names import metric_name
from heliobus.outputs.sampler import Sampler
from heliobus.site import Site
from influx_site import CHARGER_VALUES, fed, introduced

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "influx.md").read_text(encoding="utf-8")
TIME = 1_800_000_000.5


def blocks(language: str) -> list[str]:
    parts = re.split(r"^ *```(\w*)\n", PAGE, flags=re.MULTILINE)
    # Text, opening, content, closing, text, opening …
    return [dedent(content) for opening, content in zip(parts[1::4], parts[2::4], strict=True) if opening == language]


def parsed(text: str) -> tuple[InfluxConfig, ...]:
    device = {"name": "roof", "driver": "epever-tracer", "link": "serial:/dev/ttyUSB0"}
    return config.parse(tomllib.loads(text) | {"device": [device]}, "docs/influx.md").outputs.influx


def test_every_config_example_is_good() -> None:
    examples = blocks("toml")
    assert len(examples) == 8
    for text in examples:
        assert parsed(text)


def test_every_key_is_shown() -> None:
    shown = tomllib.loads(blocks("toml")[1])["output"]["influx"][0]
    elsewhere = {"org", "token", "measurement"}
    files = {"tls": {"ca", "certificate", "key"}, "password": {"password_file"}}
    wanted = {each.name for each in fields(InfluxConfig)} - elsewhere
    assert set(shown) == {key for name in wanted for key in files.get(name, {name})}
    assert all(each in PAGE for each in ("org =", "token_file =", "measurement ="))


def test_the_lines_shown_are_what_is_written(tmp_path: Path) -> None:
    shown = [text.strip() for text in blocks("") if "1800000000500" in text]
    site = Site()
    device = introduced(site, "roof", label="Roof")
    fed(site, device, TIME)
    (sample,) = Sampler(site, 1.0).look()
    old = layout(InfluxConfig("old", "http://h", layout="seed"), "Hut 7", site, tmp_path)
    fed(site, device, TIME, {name: CHARGER_VALUES[name] for name in ("battery_voltage", "pv_power", "charger_state")})
    (few,) = Sampler(site, 1.0).look()
    written = lines(NativeLayout("Hut 7", {}).rows([few])).decode()
    fed(site, device, TIME)
    assert [written, lines(old([sample])).decode()] == shown


def test_every_measurement_is_listed() -> None:
    assert all(f"`{each}`" in PAGE for each in MEASUREMENTS.values())


async def test_the_artefacts_are_dropped_as_shown(tmp_path: Path) -> None:
    good = "PVvolt=61,PVamps=6.7,PVwatt={watt},BAvolt=27.3,BAamps=14,BAperc={soc},DCvolt=27,DCamps=1,DCwatt={load}"
    energies = "PVkwh=1000,DCkwh=120,PVkwh2d={day},DCkwh2d=0"
    rows = [
        *({"watt": watt, "soc": 0.4, "load": 30, "day": 1} for watt in (412, 0, -2, -131072)),
        *(
            {"watt": 412, "soc": soc, "load": load, "day": day}
            for soc, load, day in ((-2, 1, 1), (1, -2, 1), (1, 1, -2))
        ),
    ]
    text = "\n".join(f"solar {good},{energies} {1000 + n}".format(**row) for n, row in enumerate(rows))
    async with influxdb(tmp_path, create="solar") as influx:
        import aiohttp

        async with aiohttp.ClientSession() as session:
            parameters = {"db": "solar", "precision": "s"}
            async with session.post(f"{influx.url}/write", params=parameters, data=text) as answer:
                assert answer.status == 204, await answer.text()
        assert len(await influx.rows("solar", "solar")) == len(rows)
        for statement in blocks("sql")[0].strip().splitlines():
            await influx.query(statement, "solar")
        assert [row["time"] for row in await influx.rows("solar", "solar")] == [1_000_000, 1_001_000]
        assert not await influx.rows("solar_clean", "solar")


def test_the_telegraf_snippet_names_what_is_written() -> None:
    snippet: dict[str, Any] = tomllib.loads((DOCS / "examples" / "telegraf.conf").read_text(encoding="utf-8"))
    points = {name for driver in catalog.drivers() for name in driver.points()} | set(VOCABULARY)
    listener = snippet["inputs"]["influxdb_listener"][0]["service_address"]
    comment = (DOCS / "examples" / "telegraf.conf").read_text(encoding="utf-8")
    (ours,) = parsed("\n".join(re.findall(r"^#   (.*)", comment, re.MULTILINE)))
    assert ours.url == f"http://{listener}" and ours.api == "v1"
    passed: list[str] = []
    for output in (each for kind in snippet["outputs"].values() for each in kind):
        passed += output["namepass"]
        assert set(output.get("fieldinclude", ())) <= points
    assert sorted(passed) == sorted(MEASUREMENTS.values()), "each goes somewhere, and once"


def test_the_vmagent_snippet_names_what_is_scraped() -> None:
    text = (DOCS / "examples" / "vmagent.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    listen = re.findall(r"^#   listen = \"(.*)\"", text, re.MULTILINE)
    assert job["static_configs"][0]["targets"] == listen
    (rule,) = job["metric_relabel_configs"]
    pattern = re.compile(rule["regex"])
    metrics = {metric_name(point) for point in VOCABULARY.values()}
    kept = {each for each in metrics if pattern.fullmatch(each)}
    assert len(kept) == rule["regex"].count("|") + 1, kept


def test_vmagent_takes_its_snippet() -> None:
    vmagent = shutil.which("vmagent")
    assert vmagent is not None, "vmagent is missing: apt-get install victoria-metrics"
    command = [vmagent, f"-promscrape.config={DOCS / 'examples' / 'vmagent.yml'}", "-dryRun"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", PAGE))
def test_links_of_the_page_exist(link: str) -> None:
    # Pages that other parts of the project bring.
    assert (DOCS / link).is_file() or link in ("outbox.md", "contract.md")
