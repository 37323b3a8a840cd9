"""What Prometheus gets: absent what is not measured, base units, and pages that its own tools take."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric as Parsed
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from heliobus.devices import catalog
from heliobus.model import vocabulary as v
from heliobus.model.point import Point
from heliobus.model.quantity import Kind
from heliobus.model.role import Role
from heliobus.outputs.prometheus.exposition import labels, render, wants_open_metrics
from heliobus.outputs.prometheus.names import BASE_UNITS, PREFIX, metric, metric_name
from heliobus.outputs.prometheus.scrape import FIXED, scrape
from heliobus.outputs.status import Statuses
from heliobus.site import Site
from heliobus.totals import POINTS as TOTAL_POINTS
from heliobus.totals import total_device
from shown_site import NOON, TRACER, full, introduced, put, unplug

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "dashboards" / "prometheus"
EVERY_POINT: list[Point] = [
    *(point for driver in catalog.drivers() for point in driver.points().values()),
    *v.VOCABULARY.values(),
    *TOTAL_POINTS.values(),
]
NUMBERS = [point for point in EVERY_POINT if point.kind is not Kind.TEXT]


def page(site: Site, statuses: Statuses | None = None, *, open_metrics: bool = False) -> str:
    return render(scrape(site, "cabin", statuses or Statuses()), open_metrics=open_metrics).decode()


def series(text: str) -> dict[str, float]:
    """Value by name and labels, as Prometheus' own parser reads the page."""
    found: dict[str, float] = {}
    for family in parse_text(text):
        for sample in family.samples:
            key = sample.name + labels(sample.labels)
            assert key not in found, key
            found[key] = sample.value
    return found


def named(text: str, name: str) -> list[float]:
    return [value for key, value in series(text).items() if key.split("{")[0] == name]


def promtool(*arguments: str, page: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    assert program is not None, "promtool is missing: it is in Debian's package prometheus"
    return subprocess.run([program, *arguments], input=page, capture_output=True, text=True, check=False)


def whole_site() -> tuple[Site, Statuses]:
    """A device of each driver with a value for every point, a total, and an output with all figures."""
    site, statuses = Site(), Statuses()
    for driver in catalog.drivers():
        device = introduced(site, driver.name, driver.name, key=driver.name.replace("-", "_"))
        put(site, device, full(device))
    total = total_device("all", "total of all")
    site.introduce(total)
    put(site, total, full(total))
    status = statuses.open("influx")
    status.connected, status.waiting, status.waiting_bytes, status.oldest = False, 7, 512, NOON - 60
    status.sent, status.dropped, status.refused, status.errors, status.last_success = 1000, 3, 2, 1, NOON
    return site, statuses


def test_a_pulled_cable_takes_the_values_away_and_says_so() -> None:
    site = Site()
    roof, shed = introduced(site), introduced(site, TRACER, "shed")
    for device in (roof, shed):
        put(site, device, full(device))
    assert len(named(page(site), "heliobus_battery_voltage_volts")) == 2
    unplug(site, roof)
    text = page(site)
    own = [key for key in series(text) if f'device="{roof.key}"' in key]
    assert sorted(key.split("{")[0] for key in own) == [
        "heliobus_device_info",
        "heliobus_device_up",
        "heliobus_last_success_timestamp_seconds",
    ]
    assert sorted(named(text, "heliobus_device_up")) == [0, 1]
    assert named(text, "heliobus_last_success_timestamp_seconds") == [NOON, NOON]
    assert len(named(text, "heliobus_battery_voltage_volts")) == 1


def test_a_device_never_heard_of_has_no_time() -> None:
    site = Site()
    introduced(site)
    text = page(site)
    assert named(text, "heliobus_device_up") == [0]
    assert named(text, "heliobus_last_success_timestamp_seconds") == []


def test_none_is_absent_and_zero_is_zero() -> None:
    site = Site()
    device = introduced(site)
    put(site, device, {"pv_power": 0.0, "battery_voltage": None})
    text = page(site)
    assert named(text, "heliobus_pv_power_watts") == [0]
    assert named(text, "heliobus_battery_voltage_volts") == []
    assert "heliobus_battery_voltage_volts" not in text


def test_units_are_base_units() -> None:
    site = Site()
    device = introduced(site)
    values = {
        "yield_today": 1.25,
        "yield_total": 1234.56,
        "energy_day_counter": 500,
        "charge_total_counter": 2.5,
        "bus_latency": 12.3,
        "bus_load": 7.1,
        "operating_hours": 3,
        "days_since_equalize": 2,
        "charger_state": 3,
        "fault_text": "none of these is a number",
    }
    put(site, device, values)
    put(site, introduced(site, TRACER, "shed"), {"clock_drift": -5})
    found = {key.split("{")[0]: value for key, value in series(page(site)).items()}
    assert found["heliobus_yield_today_joules"] == 4_500_000
    assert found["heliobus_yield_joules_total"] == 4_444_416_000
    assert found["heliobus_energy_day_counted_joules"] == 1_800_000
    assert found["heliobus_charge_counted_coulombs_total"] == 9000
    assert found["heliobus_bus_latency_seconds"] == 0.0123
    assert found["heliobus_bus_load_ratio"] == 0.071
    assert found["heliobus_operating_seconds_total"] == 10_800
    assert found["heliobus_interval_since_equalize_seconds"] == 172_800
    assert found["heliobus_clock_drift_seconds"] == -5
    assert found["heliobus_charger_state"] == 3
    assert not any("fault_text" in name for name in found)


def test_labels_say_which_device_it_is() -> None:
    site = Site()
    put(site, introduced(site, label='Ola\'s "roof"\nand \\'), {"pv_power": 1.0})
    put(site, introduced(site, "pzem-ac", "kitchen", role=Role.AC_LOAD), {"ac_power": 2.0})
    families = {family.name: family for family in parse_text(page(site))}
    [charger] = families["heliobus_pv_power_watts"].samples
    assert charger.labels == {
        "site": "cabin",
        "device": "tristar_10170296",
        "name": 'Ola\'s "roof"\nand \\',
        "role": "solarcharger",
    }
    [meter] = families["heliobus_ac_power_watts"].samples
    assert (meter.labels["name"], meter.labels["role"]) == ("kitchen", "acload")
    info = families["heliobus_device_info"].samples[0].labels
    assert (info["vendor"], info["serial"], info["firmware"]) == ("Morningstar", "10170296", "1.2")
    assert info["driver"] == "morningstar-tristar-mppt"


def test_one_key_twice_gives_one_series_and_the_live_one() -> None:
    site = Site()
    live, moved = introduced(site, name="roof", label="Roof"), introduced(site, name="old", label="Roof")
    put(site, live, {"pv_power": 5.0})
    assert moved.key == live.key
    assert named(page(site), "heliobus_pv_power_watts") == [5]
    assert named(page(site), "heliobus_device_up") == [1]


def test_help_tells_the_words_of_numbers() -> None:
    site = Site()
    put(site, introduced(site), {"charger_state": 3, "faults": 1})
    text = page(site)
    assert (
        "# HELP heliobus_charger_state Charge stage, numbers as VE.Direct CS; numbers: 0 off, 2 fault, 3 bulk" in text
    )
    assert "# HELP heliobus_faults Faults: operation stops; bits: 0 overcurrent, 1 FETs shorted" in text


def test_outputs_tell_how_they_are() -> None:
    site, statuses = whole_site()
    statuses.open("files")
    text = page(site, statuses)
    influx = {key.split("{")[0]: value for key, value in series(text).items() if 'output="influx"' in key}
    assert influx == {
        "heliobus_output_connected": 0,
        "heliobus_output_waiting_records": 7,
        "heliobus_output_waiting_bytes": 512,
        "heliobus_output_oldest_timestamp_seconds": NOON - 60,
        "heliobus_output_sent_records_total": 1000,
        "heliobus_output_dropped_records_total": 3,
        "heliobus_output_refused_records_total": 2,
        "heliobus_output_errors_total": 1,
        "heliobus_output_last_success_timestamp_seconds": NOON,
    }
    files = {key.split("{")[0] for key in series(text) if 'output="files"' in key}
    assert "heliobus_output_connected" not in files and "heliobus_output_oldest_timestamp_seconds" not in files


def test_promtool_takes_the_names_of_every_driver() -> None:
    site, statuses = whole_site()
    text = page(site, statuses)
    assert len(series(text)) > 500
    result = promtool("check", "metrics", page=text)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_promtool_would_complain() -> None:
    """The check above is worth something."""
    assert promtool("check", "metrics", page="# TYPE a_millivolts gauge\na_millivolts 1\n").returncode != 0


def families_of(parsed: Iterable[Parsed]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parsed
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def test_both_formats_say_the_same() -> None:
    site, statuses = whole_site()
    open_page = page(site, statuses, open_metrics=True)
    assert open_page.endswith("# EOF\n")
    assert families_of(parse_open_metrics(open_page)) == families_of(parse_text(page(site, statuses)))
    assert "# TYPE heliobus_device info\n" in open_page and "# TYPE heliobus_yield_joules counter\n" in open_page


@given(st.text())
def test_any_text_can_be_a_label(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    # The reference parser splits lines where Prometheus does not.
    if len(text.splitlines()) > 1 or text != "".join(text.splitlines()) or "\r" in text:
        text = re.sub(r"[\r\v\f\x1c-\x1e\x85\u2028\u2029]", " ", text)
    [family] = parse_text(f"a{labels({'name': text})} 1\n")
    assert family.samples[0].labels == {"name": text}


def test_names_are_unambiguous() -> None:
    by_name: dict[str, set[tuple[str, float, bool]]] = {}
    for point in NUMBERS:
        found = metric(point)
        by_name.setdefault(found.name, set()).add((point.name, found.factor, found.counter))
    assert {name: each for name, each in by_name.items() if len(each) > 1} == {}
    assert not by_name.keys() & FIXED
    assert all(re.fullmatch(r"heliobus_[a-z0-9_]+", name) for name in by_name)


def test_every_unit_is_known() -> None:
    assert {point.unit for point in NUMBERS} - BASE_UNITS.keys() == {""}


def test_total_means_counter() -> None:
    assert all(metric(point).counter == metric_name(point).endswith("_total") for point in NUMBERS)
    lasting = {point.name for point in NUMBERS if metric(point).counter}
    assert {"yield_total", "energy_forward", "load_energy_total", "bus_requests", "eeprom_writes"} <= lasting
    assert not {"yield_today", "energy_day_counter", "load_energy_today", "capacity", "soc"} & lasting


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("text/html,application/xhtml+xml", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", True),
        ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75", True),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", False),
        ("application/openmetrics-text;version=9.9.9", False),
        ("application/openmetrics-text;q=many", False),
        (";;;,,,q=", False),
    ],
)
def test_the_format_a_client_likes_best(accept: str, expected: bool) -> None:
    assert wants_open_metrics(accept) is expected


def test_alert_rules_are_sound_and_do_what_they_say() -> None:
    check = promtool("check", "rules", str(RULES / "alerts.yaml"))
    assert check.returncode == 0, check.stdout + check.stderr
    tests = promtool("test", "rules", str(RULES / "alerts_test.yaml"))
    assert tests.returncode == 0, tests.stdout + tests.stderr


def test_alert_rules_ask_for_what_we_show_and_all_are_tested() -> None:
    known = {metric_name(point) for point in NUMBERS} | FIXED
    [group] = yaml.safe_load((RULES / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]:
        asked = set(re.findall(r"\bheliobus_\w+", rule["expr"]))
        assert asked <= known, rule["alert"]
        assert asked or rule["expr"].startswith("up{"), rule["alert"]
    stage = yaml.safe_load((RULES / "alerts_test.yaml").read_text())
    tested = [case for test in stage["tests"] for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in group["rules"]}
    assert {case["alertname"] for case in tested if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in tested if not case.get("exp_alerts")} == names
    given_series = {each["series"].split("{")[0] for test in stage["tests"] for each in test["input_series"]}
    assert given_series - {"up"} <= known
    assert all(name.startswith(PREFIX) or name == "up" for name in given_series)


def test_the_page_for_users_names_what_there_is() -> None:
    text = (ROOT / "docs" / "prometheus.md").read_text()
    named_there = set(re.findall(r"\bheliobus_[a-z0-9_]+\b", text))
    assert named_there <= {metric_name(point) for point in NUMBERS} | FIXED
    assert named_there >= FIXED - {name for name in FIXED if name.startswith("process_")}
    assert all(f"`{name}`" in text for name in FIXED)


def test_it_works_without_openssl_and_without_the_official_client() -> None:
    code = (
        "import sys; sys.modules['ssl'] = sys.modules['_hashlib'] = sys.modules['prometheus_client'] = None\n"
        "import heliobus.outputs.web.output, heliobus.outputs.files.output\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
