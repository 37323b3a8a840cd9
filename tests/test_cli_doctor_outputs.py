"""`heliobus doctor` on outputs: against a real broker and a real database, and where they are not as they should be."""

import socket
from pathlib import Path

import pytest

from daemon import heliobus, heliobus_run
from databases import influxdb
from heliobus.cli import doctor_machine, doctor_outputs
from heliobus.cli.doctor_finding import Finding, Level
from heliobus.cli.private_broker import free_port
from heliobus.config import load
from servers import PASSWORD, USER, mosquitto


async def examined(folder: Path, outputs: str, *, served: bool = False) -> list[Finding]:
    path = config(folder, outputs)
    return [each async for each in doctor_outputs.outputs(load(path), served=served)]


def config(folder: Path, outputs: str) -> Path:
    path = folder / "heliobus.toml"
    state = f"[site]\nname = 'hut'\nstate = '{folder / 'state'}'\n"
    device = "[[device]]\nname = 'roof'\ndriver = 'morningstar-tristar-mppt'\nlink = 'tcp://127.0.0.1:1'\n"
    path.write_text(state + device + outputs)
    return path


async def only(folder: Path, outputs: str, *, served: bool = False) -> Finding:
    (found,) = await examined(folder, outputs, served=served)
    return found


def mqtt(port: int, password: str) -> str:
    return f"[output.mqtt]\nbroker = 'mqtt://127.0.0.1:{port}'\nuser = '{USER}'\npassword = '{password}'\n"


@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
async def test_a_broker_that_lets_us_in(tmp_path: Path, version: str) -> None:
    async with mosquitto(password=True) as broker:
        found = await only(tmp_path, mqtt(broker.port, PASSWORD) + f"version = '{version}'\n")
    assert (found.level, "lets us in" in found.seen) == (Level.OK, True)
    assert found.seen.endswith("3.1.1" if version == "3.1.1" else "MQTT 5")


async def test_a_broker_that_does_not(tmp_path: Path) -> None:
    async with mosquitto(password=True) as broker:
        found = await only(tmp_path, mqtt(broker.port, "wrong-s3cret"))
    assert found.level is Level.PROBLEM and "user, password" in found.seen and "wrong-s3cret" not in found.line
    found = await only(tmp_path, mqtt(free_port(), PASSWORD))
    assert found.level is Level.PROBLEM and "is the broker running?" in found.seen


async def test_a_database_is_asked_for_its_rights_and_stores_nothing(tmp_path: Path) -> None:
    async with influxdb(tmp_path / "i", user="admin", password="right") as influx:
        table = f"[output.influx]\nurl = '{influx.url}'\nuser = 'admin'\n"
        good = await only(tmp_path, table + "password = 'right'\n")
        assert (good.level, "takes what we write to 'heliobus'" in good.seen) == (Level.OK, True)
        wrong = await only(tmp_path, table + "password = 'wrong'\n")
        assert wrong.level is Level.PROBLEM and "does not accept user and password" in wrong.seen
        absent = await only(tmp_path, table + "password = 'right'\ndatabase = 'none'\n")
        assert absent.level is Level.PROBLEM and 'CREATE DATABASE "none"' in absent.seen
        assert await influx.query("SHOW MEASUREMENTS", "heliobus") == []
    away = await only(tmp_path, table)
    assert away.level is Level.PROBLEM and "refused" in away.seen.lower()


async def test_a_secret_that_is_not_here_may_be_there_for_the_daemon(tmp_path: Path) -> None:
    found = await examined(
        tmp_path,
        "[output.mqtt]\nuser = 'a'\npassword_file = '/nonexistent/p'\n"
        "[output.influx]\nuser = 'a'\npassword_env = 'NO_SUCH_VARIABLE'\n",
    )
    assert [each.level for each in found] == [Level.WARNING, Level.WARNING]
    assert "/nonexistent/p" in found[0].seen and "NO_SUCH_VARIABLE" in found[1].seen


async def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    tables = f"[output.history]\n[output.files]\nfolder = '{tmp_path}/csv'\nsnapshots = '{tmp_path}/file/x'\n"
    found = await examined(tmp_path, tables)
    assert [each.level for each in found] == [Level.OK, Level.OK, Level.PROBLEM]
    assert "can be made" in found[1].seen and "is not a directory" in found[2].seen
    assert not (tmp_path / "csv").exists(), "a look changes nothing"
    monkeypatch.setattr(doctor_machine, "LITTLE", 1 << 62)
    full = await only(tmp_path, "[output.history]\n")
    assert full.level is Level.PROBLEM and "full" in full.seen


async def test_the_port_of_the_web_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        table = f"[output.web]\nlisten = '127.0.0.1:{taken.getsockname()[1]}'\n"
        mine = await only(tmp_path, table, served=True)
        foreign = await only(tmp_path, table)
    free = await only(tmp_path, table)
    silent = await only(tmp_path, table, served=True)
    assert [each.level for each in (mine, foreign, free, silent)] == [
        Level.OK,
        Level.PROBLEM,
        Level.OK,
        Level.PROBLEM,
    ]
    assert "another port" in foreign.remedy


async def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_outputs.importlib.util, "find_spec", lambda _: None)
    found = await examined(tmp_path, "[output.mqtt]\n[output.influx]\n[output.web]\n[output.history]\n")
    assert [each.level for each in found] == [Level.PROBLEM] * 4
    assert {each.remedy for each in found} == {
        "pip install 'heliobus[mqtt]'",
        "pip install 'heliobus[influx]'",
        "remove [output.history]",
        "pip install 'heliobus[web]'",
    }


async def test_the_command_shows_them_beside_a_daemon(tmp_path: Path) -> None:
    async with mosquitto() as broker:
        outputs = f"[output.mqtt]\nbroker = 'mqtt://127.0.0.1:{broker.port}'\n"
        outputs += f"[output.web]\nlisten = '127.0.0.1:{free_port()}'\n"
        path = config(tmp_path, outputs)
        async with heliobus_run(path, None) as daemon:
            await daemon.logged("connected to mqtt")
            await daemon.logged("serving http")
            result = await heliobus("doctor", "-c", str(path))
            assert "ok       mqtt: " in result.out and "takes connections" in result.out, result.out
            assert not daemon.matching("lost"), "the doctor's connection does not drive out that of the daemon"
            await daemon.stop()
