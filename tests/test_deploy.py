"""The files under deploy/: they fit each other, the config is accepted, nothing listens beyond this machine."""

import getpass
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import yaml

from heliobus import config
from heliobus.cli.private_broker import free_port
from heliobus.config.warnings import warnings
from servers import Server, probe, program

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRET = re.compile(r"password|token|secret", re.IGNORECASE)


def test_four_services_with_health_checks_and_restarts() -> None:
    assert set(SERVICES) == {"heliobus", "mosquitto", "victoriametrics", "grafana"}
    for name, service in SERVICES.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
        for other, wanted in service.get("depends_on", {}).items():
            assert "healthcheck" in SERVICES[other]
            assert wanted == {"condition": "service_healthy"}


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service["ports"]]
    assert len(ports) == 4
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert all("network_mode" not in service and "privileged" not in service for service in SERVICES.values())


def test_images_are_pinned() -> None:
    for name, service in SERVICES.items():
        image, _, tag = service["image"].partition(":")
        assert image
        assert tag == "local" if name == "heliobus" else re.fullmatch(r"v?\d+\.\d+\.\d+", tag), name


def test_mounted_files_exist_and_volumes_are_declared() -> None:
    for service in SERVICES.values():
        for mount in service["volumes"]:
            source, inside, *options = mount.split(":")
            assert inside.startswith("/")
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
                assert options == ["ro"]
            else:
                assert source in COMPOSE["volumes"]


def test_no_secret_is_in_a_file() -> None:
    declared = COMPOSE["secrets"]
    used = {each for service in SERVICES.values() for each in service.get("secrets", ())}
    assert used == set(declared)
    ignored = (DEPLOY / ".gitignore").read_text().split()
    for each in declared.values():
        assert each["file"].split("/")[1] + "/" in ignored
        assert not (DEPLOY / each["file"]).exists()
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if SECRET.search(key):
                assert str(value).startswith("/run/secrets/"), key
    readme = (DEPLOY / "README.md").read_text(encoding="utf-8")
    assert all(each["file"].removeprefix("./") in readme for each in declared.values())


def test_the_config_is_accepted_and_meets_the_services() -> None:
    path = DEPLOY / "heliobus.toml"
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    settings = config.parse(document, path.name)
    mqtt, (influx,), web = settings.outputs.mqtt, settings.outputs.influx, settings.outputs.web
    assert mqtt is not None
    assert web is not None
    assert mqtt.host in SERVICES
    assert f"/run/secrets/{Path(mqtt.password.file).name}" == mqtt.password.file
    assert Path(mqtt.password.file).name in SERVICES["heliobus"]["secrets"]
    assert influx.url == "http://victoriametrics:8428"
    assert any(port.endswith(f":{web.port}") for port in SERVICES["heliobus"]["ports"])
    assert f"heliobus:{settings.site.state}" in SERVICES["heliobus"]["volumes"]
    # Between containers of one machine these two are meant.
    assert {each.partition(":")[0] for each in warnings(settings)} <= {"mqtt", "web"}


def test_the_commented_device_is_accepted_too() -> None:
    text = (DEPLOY / "heliobus.toml").read_text(encoding="utf-8")
    whole = re.sub(r"^# ?(\[\[device\]\]|[a-z]+ = .*)$", r"\1", text, flags=re.MULTILINE)
    assert len(config.parse(tomllib.loads(whole), "heliobus.toml").devices) == 2


def test_grafana_gets_the_provisioning_of_its_store() -> None:
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    (folder,) = (inside for source, inside in mounts.items() if source.endswith("/victoriametrics"))
    (provider,) = yaml.safe_load((ROOT / "dashboards/grafana/provisioning/dashboards/heliobus.yaml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] == folder
    (source,) = (each for each in mounts if each.endswith("datasources/victoriametrics.yaml"))
    (entry,) = yaml.safe_load((DEPLOY / source).read_text())["datasources"]
    assert entry["url"] == "http://victoriametrics:8428"


def test_the_dockerfile_builds_from_what_is_there_as_nobody_special() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY") and "--from" not in line]
    assert all((ROOT / source).exists() for sources in copied for source in sources)
    assert "--require-hashes -r requirements.lock" in text
    assert all("python:3.11-slim" in line for line in text.splitlines() if line.startswith("FROM"))
    user = text.splitlines().index("USER heliobus")
    assert user > max(index for index, line in enumerate(text.splitlines()) if line.startswith("RUN"))
    assert "--groups dialout" in text
    extras = re.search(r"\.\[([a-z,]+)\]", text)
    assert extras is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])


async def test_a_real_mosquitto_takes_the_config_and_lets_in_only_who_has_the_password(tmp_path: Path) -> None:
    passwords, port = tmp_path / "passwords", free_port()
    passwords.write_text("heliobus:the-s3cret\n")
    subprocess.run([program("mosquitto_passwd"), "-U", str(passwords)], check=True, capture_output=True)
    text = (DEPLOY / "mosquitto.conf").read_text(encoding="utf-8")
    for old, new in (
        ("listener 1883", f"listener {port} 127.0.0.1\nuser {getpass.getuser()}"),
        ("/run/secrets/mosquitto-passwords", str(passwords)),
        ("/mosquitto/data/", f"{tmp_path}/"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "mosquitto.conf").write_text(text)
    server = Server([program("mosquitto"), "-c", str(tmp_path / "mosquitto.conf")], " running")
    await server.start()
    try:
        async with probe(port, "#", user="heliobus", password="the-s3cret") as seen:
            await seen.settle()
        with pytest.raises(aiomqtt.MqttError):
            async with probe(port, "#"):
                pass
    finally:
        await server.stop()
