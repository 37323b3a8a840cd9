"""The newest values in files: true at every moment, also when the device, Heliobus or the disk goes."""

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from files_stage import at_work, virtually
from heliobus.config.outputs import FilesConfig
from heliobus.devices.epever.aliases import CHECKS
from heliobus.model import vocabulary as v
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.outputs.files import snapshot
from heliobus.outputs.status import OutputStatus
from heliobus.site import Site
from shown_site import NOON, TRACER, full, introduced, put, unplug

SEED_KEYS = [
    "pvvolt",
    "pvamps",
    "bavolt",
    "baamps",
    "baperc",
    "batemp",
    "bastat",
    "dcvolt",
    "dcamps",
    "epstat",
    "eptemp1",
    "eptemp2",
]
MORE_KEYS = ["pvwatt", "bawatt", "dcwatt", "pvkwhtotal", "dckwhtotal", "pvkwhtoday", "dckwhtoday"]
MEASURED: dict[str, Value] = {
    "pv_voltage": 71.25,
    "pv_current": 2.5,
    "battery_voltage": 26.4,
    "battery_current": 6.1,
    "soc_estimate": 48.0,
    "battery_probe_temperature": -1.5,
    "battery_status": 0,
    "load_voltage": 26.3,
    "load_current": 0.0,
    "charging_status": 11,
    "controller_temperature": 21.0,
    "energy_day_counter": 1234,
}


def writing(site: Site, folder: Path) -> AbstractAsyncContextManager[OutputStatus]:
    """The output at work, its first files written."""
    return at_work(site, FilesConfig(folder=None, snapshots=folder))


def lines(path: Path) -> Mapping[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines())


def get_tracer(folder: Path, unit: int, check: str) -> str:
    """What scripts of the older program do: the line of the key, and what follows its colon."""
    [line] = [line for line in (folder / f"ep_tracer_{unit}.log").read_text().splitlines() if check in line]
    return line.partition(":")[2]


def test_a_pulled_cable_empties_the_files_within_two_periods(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        tracer = introduced(site, TRACER, "shed")
        put(site, tracer, full(tracer))
        async with writing(site, tmp_path):
            assert get_tracer(tmp_path, 1, "bavolt") == "12.34"
            unplug(site, tracer)
            await asyncio.sleep(2)
            found = lines(tmp_path / "ep_tracer_1.log")
            assert {found[key] for key in (*SEED_KEYS, *MORE_KEYS)} == {""}
            assert found["time"] == f"{NOON:.0f}"
            document = json.loads((tmp_path / "shed.json").read_text())
            assert document["health"] == "offline"
            assert {document[name] for name in tracer.points} == {None}

    virtually(main)


def test_the_older_programs_file(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        put(site, introduced(site, TRACER, "shed", unit=3), MEASURED)
        async with writing(site, tmp_path):
            found = lines(tmp_path / "ep_tracer_3.log")
            assert list(found) == [*SEED_KEYS, *MORE_KEYS, "time"]
            assert (found["pvvolt"], found["bavolt"], found["batemp"]) == ("71.25", "26.4", "-1.5")
            assert (found["baperc"], found["bastat"], found["epstat"]) == ("48.0", "0", "11")
            assert (found["dcamps"], found["eptemp2"], found["pvkwhtoday"]) == ("0.0", "", "1.234")
            assert all(get_tracer(tmp_path, 3, key) == found[key] for key in SEED_KEYS)

    virtually(main)


def test_the_keys_are_the_older_programs_checks() -> None:
    """What `heliobus read --value` prints under the same name, but for baperc: a percentage in the file."""
    assert set(snapshot.KEYS) == set(CHECKS)
    for key, (point, times) in snapshot.KEYS.items():
        assert CHECKS[key].point == point
        assert CHECKS[key].times == (0.01 if key == "baperc" else times)
    assert all(sum(key in other for other in (*snapshot.KEYS, "time")) == 1 for key in SEED_KEYS)


def test_every_device_has_a_json_file_and_only_tracers_the_other(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        roof = introduced(site, name="Tak Øst", label="Roof")
        put(site, roof, {"battery_voltage": 26.4, "charger_state": 3, "faults": 0, "fault_text": "", "pv_power": 0.0})
        put(site, introduced(site, "pzem-ac", "kitchen"), {"ac_power": 5.0})
        async with writing(site, tmp_path):
            assert sorted(path.name for path in tmp_path.iterdir()) == ["kitchen.json", "tak_st.json"]
            document = json.loads((tmp_path / "tak_st.json").read_text())
        assert list(document)[:5] == ["source", "device", "key", "health", "time"]
        assert (document["device"], document["key"], document["health"]) == ("Tak Øst", "tristar_10170296", "ok")
        assert document["time"] == "2026-11-21T12:00:00.000+01:00"
        assert (document["battery_voltage"], document["pv_power"], document["pv_voltage"]) == (26.4, 0.0, None)
        assert (document["charger_state"], document["charger_state_text"]) == (3, "bulk")
        assert (document["faults"], document["faults_text"], document["fault_text"]) == (0, "none", "")
        assert set(roof.points) <= set(document)

    virtually(main)


def test_a_device_never_heard_of_has_empty_files(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        introduced(site, TRACER, "shed")
        async with writing(site, tmp_path):
            assert set(lines(tmp_path / "ep_tracer_1.log").values()) == {""}
            document = json.loads((tmp_path / "shed.json").read_text())
            assert (document["health"], document["time"]) == ("unknown", None)

    virtually(main)


def test_two_tracers_of_one_number_never_share_a_file(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        first = introduced(site, TRACER, "shed", key="tracer_1", number=0)
        second = introduced(site, TRACER, "barn", key="tracer_2", number=1)
        put(site, first, {"battery_voltage": 12.0})
        put(site, second, {"battery_voltage": 24.0})
        async with writing(site, tmp_path):
            assert lines(tmp_path / "ep_tracer_1.log")["bavolt"] == "12.0"
            assert lines(tmp_path / "ep_tracer_1_tracer_2.log")["bavolt"] == "24.0"

    virtually(main)


def test_two_devices_called_alike_never_share_a_file(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        put(site, introduced(site, name="Shed A", key="tristar_1"), {"pv_power": 1.0})
        put(site, introduced(site, name="shed_a", key="tristar_2"), {"pv_power": 2.0})
        async with writing(site, tmp_path):
            assert json.loads((tmp_path / "shed_a.tristar_1.json").read_text())["pv_power"] == 1.0
            assert json.loads((tmp_path / "shed_a.tristar_2.json").read_text())["pv_power"] == 2.0

    virtually(main)


def test_files_follow_changes_once_a_second_and_are_left_alone_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    replace = snapshot.replace

    def counted(path: Path, content: bytes) -> None:
        written.append(path.name)
        replace(path, content)

    monkeypatch.setattr(snapshot, "replace", counted)

    async def main() -> None:
        site = Site()
        roof = introduced(site)
        put(site, roof, {"pv_power": 0.0})
        async with writing(site, tmp_path):
            written.clear()
            for number in range(100):
                put(site, roof, {"pv_power": float(number)}, NOON + number / 10)
                await asyncio.sleep(0.1)
            await asyncio.sleep(1.5)
            assert 9 <= len(written) <= 12
            assert json.loads((tmp_path / "roof.json").read_text())["pv_power"] == 99.0
            written.clear()
            await asyncio.sleep(3600)
            assert written == []

    virtually(main)


def test_nobody_ever_sees_half_a_file(tmp_path: Path) -> None:
    path, stop, bad = tmp_path / "roof.json", threading.Event(), []
    texts = [json.dumps({"n": [number] * 20_000}).encode() for number in range(2)]
    snapshot.replace(path, texts[0])

    def look() -> None:
        while not stop.is_set():
            if path.read_bytes() not in texts:
                bad.append(1)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(300):
        snapshot.replace(path, texts[number % 2])
    stop.set()
    reader.join()
    assert not bad
    assert [each.name for each in tmp_path.iterdir()] == ["roof.json"]


def test_at_the_end_nothing_is_measured(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        tracer = introduced(site, TRACER, "shed")
        put(site, tracer, full(tracer))
        async with writing(site, tmp_path):
            pass
        assert {lines(tmp_path / "ep_tracer_1.log")[key] for key in SEED_KEYS} == {""}
        document = json.loads((tmp_path / "shed.json").read_text())
        assert document["health"] == "unknown" and document["battery_voltage"] is None

    virtually(main)


def test_what_a_killed_run_left_goes_at_the_start_and_nothing_else(tmp_path: Path) -> None:
    snapshot.replace(tmp_path / "gone.json", b'{"source":"heliobus","device":"gone","battery_voltage":26.4}\n')
    snapshot.replace(tmp_path / "ep_tracer_6.log", b"bavolt:26.4\n")
    snapshot.replace(tmp_path / "shed.json", b'{"source":"heliobus","battery_voltage":99}\n')
    for name in ("mine.json", "ep_tracer_list.txt", "ep_tracer.log"):
        (tmp_path / name).write_text('{"mine": 1}')
    (tmp_path / "link.json").symlink_to(tmp_path / "shed.json")

    async def main() -> None:
        site = Site()
        introduced(site, TRACER, "shed")
        async with writing(site, tmp_path):
            names = {path.name for path in tmp_path.iterdir()}
            ours = {"shed.json", "ep_tracer_1.log"}
            assert names == ours | {"mine.json", "ep_tracer_list.txt", "ep_tracer.log", "link.json"}
            assert json.loads((tmp_path / "shed.json").read_text())["battery_voltage"] is None

    virtually(main)


def test_a_device_that_leaves_takes_its_files_along(tmp_path: Path) -> None:
    async def main() -> None:
        site = Site()
        put(site, introduced(site, TRACER, "shed"), MEASURED)
        put(site, introduced(site), {"pv_power": 1.0})
        async with writing(site, tmp_path):
            site.remove("shed")
            await asyncio.sleep(2)
            assert [path.name for path in tmp_path.iterdir()] == ["roof.json"]

    virtually(main)


def test_a_folder_that_cannot_be_written_is_said_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "snapshots"
    folder.write_text("in the way")

    async def main() -> None:
        site = Site()
        roof = introduced(site)
        async with writing(site, folder) as status:
            for number in range(20):
                put(site, roof, {"pv_power": float(number)}, NOON + number)
                await asyncio.sleep(1)
            assert status.errors > 5 and "snapshots" in status.last_error
            folder.unlink()
            # Nothing changes any more, and yet the file comes.
            await asyncio.sleep(20)
            assert json.loads((folder / "roof.json").read_text())["pv_power"] == 19.0
            assert status.last_error == ""

    virtually(main)
    said = [record.getMessage() for record in caplog.records if record.name == "heliobus.files"]
    assert [re.sub(r" for .*| in .*", "", line) for line in said] == ["snapshots", "snapshots"]
    assert "cannot be written" in said[0] and "can be written again" in said[1]


def test_a_link_planted_in_a_shared_directory_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / ".roof.json.tmp").symlink_to(precious)
    (folder / "roof.json").symlink_to(precious)
    snapshot.replace(folder / "roof.json", b"ours")
    assert precious.read_text() == "mine"
    assert (folder / "roof.json").read_bytes() == b"ours" and not (folder / "roof.json").is_symlink()


def test_columns_never_take_the_place_of_what_says_whose_they_are() -> None:
    from heliobus.devices import catalog
    from heliobus.model.vocabulary import VOCABULARY

    names = {name for driver in catalog.drivers() for name in driver.points()} | set(VOCABULARY)
    assert not names & {"source", "device", "key", "health", "time"}
    assert not {f"{name}_text" for name in names} & names


@pytest.mark.parametrize(("check", "answer", "code"), [("bavolt", "26.4\n", 0), ("eptemp2", "", 1), ("volt", "", 1)])
def test_the_script_in_the_page_for_users_works(tmp_path: Path, check: str, answer: str, code: int) -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "files.md").read_text()
    script = re.search(r"```sh\n(#!/bin/sh\n.*?)```", page, re.DOTALL)
    assert script is not None
    values = {**dict.fromkeys(v.VOCABULARY), **MEASURED}
    (tmp_path / "ep_tracer_1.log").write_bytes(snapshot.seed_text(Reading("shed", NOON, values)))
    ran = subprocess.run(
        ["sh", "-c", script[1].replace("/run/heliobus", str(tmp_path)), "get_tracer.sh", "1", check],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.returncode) == (answer, code)


def test_the_page_for_users_has_every_key_and_its_point() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "files.md").read_text()
    assert all(f"| `{key}` | `{point}`" in page for key, (point, _) in snapshot.KEYS.items())
