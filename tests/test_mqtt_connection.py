"""Coming in: TLS, certificates, passwords, versions; and one clear line, without a secret, when it does not work."""

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from heliobus.config.outputs import MqttConfig, Tls
from heliobus.config.secret import Secret
from heliobus.outputs.mqtt.identity import client_id
from mqtt_site import BASE, Stage, config, stage, until
from servers import PASSWORD, USER, Certificates, certificates, free_port, mosquitto, probe

ACL = f"user {USER}\ntopic readwrite {BASE}/availability\ntopic readwrite {BASE}/+/availability\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


def secured(port: int, certificates: Certificates, **options: object) -> MqttConfig:
    tls = Tls(certificates.ca, certificates.client, certificates.client_key)
    return config(port, **{"encrypted": True, "tls": tls, **options})


async def connected(on: Stage) -> None:
    await until(lambda: on.status.connected is True and on.status.sent >= 3)


async def complaint(on: Stage, caplog: pytest.LogCaptureFixture, *, most: int = 1) -> str:
    """The only line in the log after several attempts."""
    await until(lambda: on.status.errors >= 4)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert 1 <= len(lines) <= most, lines
    assert on.status.connected is False
    assert any(on.status.last_error in line for line in lines)
    assert PASSWORD not in caplog.text
    assert not any(record.exc_info for record in caplog.records)
    return lines[0]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_with_everything_a_broker_may_want(
    tmp_path: Path, made: Certificates, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    async with (
        mosquitto(tls=made, client_certificates=True) as broker,
        stage(secured(broker.port, made, version=version), tmp_path) as on,
    ):
        await connected(on)
    async with mosquitto(tls=made, password=True) as broker:
        wanted = secured(
            broker.port, made, version=version, user=USER, password=Secret(file=str(file)), tls=Tls(made.ca)
        )
        async with stage(wanted, tmp_path) as on:
            await connected(on)
    assert PASSWORD not in caplog.text
    assert sum("connected to mqtts://127.0.0.1:" in line for line in caplog.messages) == 2


@pytest.mark.parametrize("version", ["auto", "3.1.1"])
async def test_a_wrong_password_is_one_line(
    tmp_path: Path, version: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "heliobus")
    monkeypatch.setenv("TEST_PASSWORD", PASSWORD + "!")
    async with mosquitto(password=True) as broker:
        wanted = config(broker.port, version=version, user=USER, password=Secret(variable="TEST_PASSWORD"))
        async with stage(wanted, tmp_path) as on:
            line = await complaint(on, caplog)
            assert "cannot connect to mqtt://127.0.0.1:" in line
            assert "user" in line
            assert "password" in line
            # The owner sets it right while we run.
            monkeypatch.setenv("TEST_PASSWORD", PASSWORD)
            await connected(on)
    assert PASSWORD not in caplog.text


async def test_a_password_that_cannot_be_read_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with mosquitto(password=True) as broker:
        wanted = config(broker.port, user=USER, password=Secret(file=str(tmp_path / "missing")))
        async with stage(wanted, tmp_path) as on:
            assert "missing: cannot be read: No such file" in await complaint(on, caplog)


@pytest.mark.parametrize("case", ["authority", "none", "strange", "plain", "file", "server"])
async def test_wrong_certificates_are_one_line(
    tmp_path: Path, made: Certificates, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = (made.client, made.client_key)
    tls, said = {
        "authority": (Tls(made.strange_ca, *own), "its certificate does not hold"),
        "none": (Tls(made.ca), "certificate"),
        "strange": (Tls(made.ca, made.strange, made.strange_key), "certificate"),
        "plain": (Tls(made.ca, *own), "is it mqtt:// and not mqtts://?"),
        "file": (Tls(made.ca, made.client, made.strange_key), "cannot be used as certificate"),
        "server": (Tls(tmp_path / "missing.pem"), "missing.pem: cannot be used as ca: No such file"),
    }[case]
    async with (
        mosquitto(tls=None if case == "plain" else made, client_certificates=case != "plain") as broker,
        stage(secured(broker.port, made, tls=tls), tmp_path) as on,
    ):
        # Whose certificate is refused learns it after his own greeting: what he hears first depends on who is faster.
        assert said in await complaint(on, caplog, most=2 if said == "certificate" else 1)


async def test_mqtt_to_a_port_of_mqtts_is_one_line(
    tmp_path: Path, made: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    async with mosquitto(tls=made) as broker, stage(config(broker.port), tmp_path) as on:
        assert "do the port, TLS and certificates fit?" in await complaint(on, caplog)


async def test_nobody_there_is_one_line_and_one_when_he_comes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    port = free_port()
    async with stage(config(port), tmp_path) as on:
        assert "nobody listens there: is the broker running?" in await complaint(on, caplog)
        async with mosquitto(port=port) as broker:
            await connected(on)
            await broker.stop()
            await until(lambda: on.status.connected is False)
            await broker.start()
            await until(lambda: on.status.connected is True)
            await on.stop()
    lines = [record.getMessage() for record in caplog.records]
    assert sum("connected to" in line for line in lines) == 2
    assert sum("lost mqtt://" in line for line in lines) == 1
    assert len(lines) <= 5


async def test_it_ends_when_the_broker_ends_at_the_same_moment(tmp_path: Path) -> None:
    for _ in range(20):
        async with mosquitto() as broker, stage(config(broker.port), tmp_path) as on:
            await until(lambda: on.status.connected is True)
            await broker.stop(kill=True)
            async with asyncio.timeout(5):
                await on.stop()


async def test_what_went_wrong_is_over_when_the_broker_is_there(tmp_path: Path) -> None:
    port = free_port()
    async with stage(config(port), tmp_path) as on:
        await until(lambda: on.status.errors > 0)
        assert "is the broker running?" in on.status.last_error
        async with mosquitto(port=port):
            await connected(on)
            assert on.status.last_error == ""


async def test_what_is_refused_is_said_with_mqtt_5(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules = f"user {USER}\ntopic readwrite {BASE}/availability\n"
    async with mosquitto(password=True, acl=rules) as broker:
        wanted = config(broker.port, user=USER, password=Secret(PASSWORD))
        async with stage(wanted, tmp_path) as on:
            await until(lambda: on.status.refused >= 2)
            assert "Not authorized" in on.status.last_error
            assert on.status.connected is True
            on.put(pv_power=1.0)
    refusals = [line for line in caplog.messages if "does not take" in line]
    assert len(refusals) == 1
    assert "tristar_south/availability: Not authorized" in refusals[0]


async def test_what_is_refused_cannot_be_known_with_3_1_1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with mosquitto(password=True, acl=f"user {USER}\ntopic readwrite other/#\n") as broker:
        wanted = config(broker.port, user=USER, password=Secret(PASSWORD), version="3.1.1")
        async with stage(wanted, tmp_path) as on:
            await connected(on)
            assert on.status.refused == 0


async def test_the_client_id_is_this_machines(tmp_path: Path) -> None:
    machine = tmp_path / "machine-id"
    machine.write_text("0123456789abcdef\n", encoding="ascii")
    one = client_id("Älpli 2", tmp_path, machine)
    assert one.startswith("heliobus-alpli_2-")
    assert one == client_id("Älpli 2", tmp_path, machine)
    assert one != client_id("Älpli 2", tmp_path / "other", machine)
    machine.write_text("fedcba9876543210\n", encoding="ascii")
    assert one != client_id("Älpli 2", tmp_path, machine)
    assert client_id("x", tmp_path, tmp_path / "missing") == client_id("x", tmp_path, tmp_path / "missing")


async def test_it_works_without_openssl(tmp_path: Path) -> None:
    script = f"""
import sys
for name in ("ssl", "_hashlib", "_ssl"):
    sys.modules[name] = None
sys.path.insert(0, {str(Path(__file__).parent)!r})
import asyncio
from pathlib import Path
from mqtt_site import config, stage, until
async def main():
    async with stage(config(int(sys.argv[1])), Path({str(tmp_path)!r})) as on:
        await until(lambda: on.status.connected is True and on.status.sent >= 3)
asyncio.run(main())
"""
    async with mosquitto() as broker, probe(broker.port, f"{BASE}/#") as looking:
        ran = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(broker.port))
        assert await ran.wait() == 0
        await looking.topic(f"{BASE}/tristar_south/state")
