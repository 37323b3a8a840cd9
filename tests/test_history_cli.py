"""`heliobus history`: what people and scripts get."""

import csv
import io
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from heliobus.cli.moments import moment, utc
from heliobus.model.localtime import local_time
from heliobus.outputs.history.every import nice, parse
from history_site import BEGIN, DAY, HOUR, OSLO, Diary, device, sample
from socket_site import typed

CONFIG = """
[site]
state = "STATE"
timezone = "Europe/Oslo"
[[device]]
name = "roof"
driver = "morningstar-tristar-mppt"
link = "tcp://192.0.2.4"
[output.history]
"""
DAY_OF_BEGIN = "2026-10-26"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "heliobus.toml"
    path.write_text(CONFIG.replace("STATE", str(tmp_path)))
    with Diary(tmp_path / "history.db") as diary:
        shed = device("shed", "Shed by the lake", "pzem_7")
        for index in range(600):
            now = BEGIN + 10 * index
            silent = 200 <= index < 300
            roof = sample(
                now, pv_power=float(index), charger_state=3 + 2 * (index > 400), fault_text="hot" * (index > 99)
            )
            diary.write(([] if silent else [roof]) + [sample(now, shed, yield_total=100 + index / 10)], now)
    return path


def history(config: Path, *arguments: str) -> Result:
    return typed("history", *arguments, "-c", str(config))


def good(config: Path, *arguments: str) -> str:
    result = history(config, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def bad(config: Path, *arguments: str) -> str:
    result = history(config, *arguments)
    assert result.exit_code in (1, 2)
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_without_arguments_it_says_what_there_is(config: Path) -> None:
    lines = [line.split() for line in good(config).splitlines()]
    assert lines[0] == ["device", "key", "points", "first", "last"]
    assert lines[1] == ["roof", "tristar_1", "3", "2026-10-26", "08:00:00", "2026-10-26", "09:39:50"]
    assert [line[0] for line in lines[1:]] == ["roof", "shed"]
    lines = good(config, "roof").splitlines()
    assert lines[0].split() == ["device", "key", "point", "unit", "first", "last"]
    assert lines[1].split() == [
        "roof",
        "tristar_1",
        "pv_power",
        "W",
        "2026-10-26",
        "08:00:00",
        "2026-10-26",
        "09:39:50",
    ]
    assert [line.split()[2] for line in lines[1:]] == ["pv_power", "charger_state", "fault_text"]
    assert good(config, "shed").splitlines()[1].startswith("shed")
    documents = json.loads(good(config, "--json"))
    assert [each["key"] for each in documents] == ["tristar_1", "pzem_7"]
    assert documents[0]["points"][0]["first"] == "2026-10-26T08:00:00+01:00"


def test_a_table_has_units_local_times_and_shows_the_gap(config: Path) -> None:
    lines = good(
        config, "roof", "pv_power", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN, "--every", "15m"
    ).splitlines()
    assert lines[0].split() == ["time", "min", "W", "mean", "W", "max", "W", "count"]
    assert lines[1].split() == ["2026-10-26", "08:00:00", "0.0", "44.5", "89.0", "90"]
    raw = good(config, "roof", "pv_power", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN, "--every", "raw").splitlines()
    assert raw[1].split() == ["2026-10-26", "08:00:00", "0.0"]
    assert [line.split() for line in raw if "---" in line] == [["2026-10-26", "08:33:20", "---"]]
    assert len(raw) == 1 + 500 + 1


def test_states_are_words_and_several_points_stand_side_by_side(config: Path) -> None:
    lines = good(
        config, "roof", "pv_power", "charger_state", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN, "--every", "1h"
    ).splitlines()
    assert lines[0].split() == ["time", "pv_power", "W", "charger_state"]
    assert [line.split()[-1] for line in lines[1:]] == ["bulk", "float"]


def test_csv_is_for_spreadsheets(config: Path) -> None:
    text = good(config, "roof", "pv_power", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN, "--every", "1m", "--csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0] == {
        "time": "2026-10-26T08:00:00+01:00",
        "pv_power": "2.5",
        "pv_power_min": "0.0",
        "pv_power_max": "5.0",
    }
    assert [row for row in rows if not row["pv_power"]] == [
        {"time": "2026-10-26T08:34:00+01:00", "pv_power": "", "pv_power_min": "", "pv_power_max": ""}
    ]


def test_json_has_null_for_a_gap(config: Path) -> None:
    text = good(
        config, "tristar_1", "pv_power", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN, "--every", "1m", "--json"
    )
    document = json.loads(text)
    assert document["every"] == "1m" and document["device"]["name"] == "roof"
    rows = document["points"]["pv_power"]["rows"]
    assert document["points"]["pv_power"]["unit"] == "W"
    assert rows[0] == {
        "time": "2026-10-26T08:00:00+01:00",
        "value": 2.5,
        "min": 0.0,
        "mean": 2.5,
        "max": 5.0,
        "last": None,
        "count": 6,
    }
    assert [row["mean"] for row in rows if not row["count"]] == [None]


def test_texts_are_shown_when_they_changed(config: Path) -> None:
    lines = good(config, "roof", "fault_text", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN).splitlines()
    assert [line.split()[1:] for line in lines[1:]] == [
        ["08:00:00", "fault_text", "(empty)"],
        ["08:16:40", "fault_text", "hot"],
    ]
    listed = json.loads(good(config, "roof", "fault_text", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN, "--json"))
    assert listed["points"]["fault_text"][1] == {"time": "2026-10-26T08:16:40+01:00", "text": "hot"}


def test_a_device_is_found_by_name_label_and_key(config: Path) -> None:
    span = ("yield_total", "--from", DAY_OF_BEGIN, "--to", DAY_OF_BEGIN, "--every", "1d")
    texts = {good(config, name, *span) for name in ("shed", "Shed by the lake", "pzem_7")}
    assert len(texts) == 1 and "159.90" in texts.pop()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("rof", "pv_power"), "no device 'rof'; did you mean 'roof'?"),
        (("xyz", "pv_power"), "no device 'xyz'; there are roof, shed"),
        (("roof", "pv_powr"), "no point 'pv_powr'; did you mean 'pv_power'?"),
        (("roof", "pv_power", "--every", "5x"), "--every '5x' is not one of"),
        (("roof", "pv_power", "--from", "last week"), "--from 'last week' is neither"),
        (("roof", "pv_power", "--from", "2026-11-02", "--to", "2026-11-01"), "--from 2026-11-02 is not before"),
        (("roof", "pv_power", "fault_text"), "texts and numbers one after the other"),
        (("roof", "pv_power", "--csv", "--json"), "either --csv or --json"),
        (("export", "x.xlsx"), "has to end in .parquet, .csv or .jsonl"),
        (("export", "/nowhere/x.csv"), "/nowhere/x.csv: cannot be written: No such file"),
    ],
)
def test_errors_are_one_line_that_helps(config: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in bad(config, *arguments)


def test_without_a_history_it_says_how_to_get_one(tmp_path: Path) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_text(CONFIG.replace("STATE", str(tmp_path)))
    assert "there is no history yet" in bad(path)
    path.write_text(path.read_text().replace("[output.history]", "[output.venus]\nbus = 'unix:path=/nowhere'"))
    assert "add [output.history]" in bad(path)


def exported(config: Path, name: str, *arguments: str) -> Path:
    file = config.parent / name
    result = history(config, "export", str(file), *arguments)
    assert result.exit_code == 0, result.output
    assert not list(config.parent.glob("*.tmp")) and not list(config.parent.glob(".heliobus*"))
    return file


def test_the_config_may_stand_before_the_subcommand(config: Path, tmp_path: Path) -> None:
    result = typed("history", "-c", str(config), "export", str(tmp_path / "x.csv"))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "x.csv").exists()
    assert typed("history", "-c", str(config), "roof", "pv_power").exit_code == 0


@pytest.mark.parametrize("step", ["raw", "1m", "7m", "1h", "1d", "1w"])
def test_an_export_has_each_value_once(config: Path, step: str) -> None:
    arguments = ("--from", "2026-10-20", "--to", "2026-11-20", "--every", step)
    rows = list(csv.DictReader(io.StringIO(exported(config, "x.csv", *arguments).read_text(encoding="utf-8"))))
    power = [row for row in rows if row["point"] == "pv_power"]
    assert sum(int(row["count"]) for row in power) == 500
    assert len({row["time"] for row in power}) == len(power)
    assert [row["text"] for row in rows if row["point"] == "fault_text"] == ["", "hot"]


def test_an_export_as_json_lines(config: Path) -> None:
    lines = exported(config, "x.jsonl", "shed").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 600
    assert json.loads(lines[0]) == {
        "time": "2026-10-26T08:00:00+01:00",
        "device": "pzem_7",
        "name": "Shed by the lake",
        "point": "yield_total",
        "unit": "kWh",
        "value": 100.0,
        "min": 100.0,
        "max": 100.0,
        "count": 1,
        "text": None,
    }


def test_an_export_as_parquet_is_read_by_duckdb(config: Path) -> None:
    import duckdb

    file = exported(config, "it's.parquet", "--from", "2026-10-20")
    with duckdb.connect() as database:
        quoted = str(file).replace("'", "''")
        found = database.execute(
            f"SELECT device, point, count(*), sum(count), min(epoch(time)), max(value), max(text) FROM '{quoted}' "
            "WHERE point IN ('pv_power', 'fault_text') GROUP BY ALL ORDER BY point"
        ).fetchall()
    assert found == [
        ("tristar_1", "fault_text", 2, None, BEGIN, None, "hot"),
        ("tristar_1", "pv_power", 500, 500, BEGIN, 599.0, None),
    ]


def test_without_duckdb_it_says_what_to_install(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert "pip install 'heliobus[parquet]'" in bad(config, "export", str(config.parent / "x.parquet"))


def test_check_reads_all_of_the_file(config: Path) -> None:
    assert good(config, "check").endswith("sound\n")
    file = config.parent / "history.db"
    content = bytearray(file.read_bytes())
    content[4096 * 12 : 4096 * 13] = bytes(4096)
    file.write_bytes(content)
    assert "at its next start" in bad(config, "check")


NOW = BEGIN + 5 * DAY + 1234.5


def seen(text: str, *, end: bool = False) -> str:
    return f"{OSLO(moment(text, NOW, OSLO, end=end)):%Y-%m-%d %H:%M:%S}"


def test_moments_are_read_as_people_write_them() -> None:
    assert seen("2026-10-25") == "2026-10-25 00:00:00"
    assert seen("2026-10-25", end=True) == "2026-10-26 00:00:00"
    assert seen("2026-10-25 14:30") == seen("2026-10-25T14:30", end=True) == "2026-10-25 14:30:00"
    assert seen("2026-10-25T12:00Z") == "2026-10-25 13:00:00"
    assert seen("today") == "2026-10-31 00:00:00"
    assert seen("yesterday", end=True) == "2026-10-31 00:00:00"
    assert moment("now", NOW, OSLO) == NOW
    assert moment("-7d", NOW, OSLO) == NOW - 7 * DAY == moment("1w", NOW, OSLO)
    for wrong in ("", "tomorrow-ish", "2026-13-01", "-7 moons", "99999-01-01", "0001-01-01T00:00"):
        with pytest.raises(ValueError, match="is neither"):
            moment(wrong, NOW, OSLO)


@given(
    st.integers(946_684_800, 2_114_380_800).map(lambda time: datetime.fromtimestamp(time, UTC).replace(tzinfo=None)),
    st.sampled_from(["Europe/Oslo", "Asia/Kathmandu", "America/Havana", "Australia/Lord_Howe"]),
)
def test_local_times_become_utc_and_back(naive: datetime, zone: str) -> None:
    local = local_time(zone)
    found = local(utc(naive, local)).replace(tzinfo=None)
    exists = naive.replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC")).astimezone(ZoneInfo(zone))
    # A time that clocks skip is moved by what they skip.
    assert found == naive if exists.replace(tzinfo=None) == naive else abs(found - naive).total_seconds() <= HOUR


def test_steps() -> None:
    assert parse("15m").about == 15 * 60_000 and parse("2h").ms == 2 * 3_600_000
    assert parse("1w").days == 7 and parse("3mo").months == 3 and parse("90 min").ms == 90 * 60_000
    assert parse("raw").about == 0
    assert [nice(1000 * seconds, 100)[0] for seconds in (HOUR, DAY, 7 * DAY, 365 * DAY, 3650 * DAY)] == [
        "1m",
        "15m",
        "2h",
        "1w",
        "1mo",
    ]
    for wrong in ("", "0m", "-1d", "1y", "m", "1.5h"):
        with pytest.raises(ValueError, match="is not one of"):
            parse(wrong)


def test_auto_is_a_step_that_fits(config: Path) -> None:
    with Diary(config.parent / "history.db") as diary:
        now = time.time()
        diary.write([sample(now - 10 * index, diary.device, pv_power=1.0) for index in range(600, 0, -1)], now)
    lines = good(config, "roof", "pv_power").splitlines()
    assert 5 <= len(lines) - 1 <= 100
