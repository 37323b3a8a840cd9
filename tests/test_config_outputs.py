"""The tables under [output] but Venus: what is understood, what is refused, and that no secret is ever shown."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from heliobus.config import Config, ConfigError, parse
from heliobus.config.outputs import (
    NO_TLS_FILES,
    FilesConfig,
    HistoryConfig,
    InfluxConfig,
    MqttConfig,
    Tls,
    WebConfig,
)
from heliobus.config.secret import Secret, SecretError
from heliobus.config.warnings import warnings

ROOF = '[[device]]\ndriver = "morningstar-tristar-mppt"\nlink = "tcp://192.0.2.4"\n'


def read(text: str) -> Config:
    return parse(tomllib.loads(ROOF + text), "a.toml")


def test_each_table_has_defaults() -> None:
    found = read(
        '[output.mqtt]\n[output.influx]\n[output.history]\n[output.files]\nfolder = "/srv/csv"\n[output.web]\n'
    )
    assert found.venus is None
    outputs = found.outputs
    assert outputs.mqtt == MqttConfig("127.0.0.1", 1883)
    assert outputs.influx == (InfluxConfig("influx", "http://127.0.0.1:8086"),)
    assert outputs.history == HistoryConfig()
    assert outputs.files == FilesConfig(Path("/srv/csv"))
    assert outputs.web == WebConfig()
    assert not outputs.encrypted


def test_everything_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials")
    found = read(
        """
        [output.mqtt]
        broker = "mqtts://broker.example"
        user = "roof"
        password_file = "${CREDENTIALS_DIRECTORY}/mqtt"
        ca = "/etc/ca.pem"
        certificate = "/etc/site.pem"
        key = "/etc/site.key"
        prefix = "sun/all"
        discovery = ""
        version = "3.1.1"
        every = "500ms"
        record_every = "10s"
        commands = false
        victron = true
        portal = "0123456789ab"
        [[output.influx]]
        url = "https://db.example:443/base/"
        api = "v2"
        bucket = "solar"
        org = "home"
        token_env = "TOKEN"
        tags = { region = "north" }
        [[output.influx]]
        name = "old"
        layout = "seed"
        user = "grafana"
        password = "x"
        """
    ).outputs
    assert found.encrypted
    assert found.mqtt == MqttConfig(
        "broker.example",
        8883,
        encrypted=True,
        user="roof",
        password=Secret(file="${CREDENTIALS_DIRECTORY}/mqtt"),
        tls=Tls(Path("/etc/ca.pem"), Path("/etc/site.pem"), Path("/etc/site.key")),
        prefix="sun/all",
        discovery="",
        version="3.1.1",
        every=0.5,
        record_every=10.0,
        commands=False,
        victron=True,
        portal="0123456789ab",
    )
    new, old = found.influx
    assert (new.name, new.url, new.api, new.database) == ("influx", "https://db.example:443/base", "v2", "solar")
    assert (new.org, new.token, new.tags, new.tls) == (
        "home",
        Secret(variable="TOKEN"),
        {"region": "north"},
        NO_TLS_FILES,
    )
    assert (old.name, old.layout, old.user, old.password.reveal()) == ("old", "seed", "grafana", "x")


WRONG = (
    ('[output.mqtt]\nbroker = "http://x"\n', ("[output.mqtt]", 'broker is "http://x"', "mqtt://HOST")),
    ('[output.mqtt]\nbroker = "mqtt://me:hush@x"\n', ("[output.mqtt]", "broker", "mqtt://HOST")),
    ('[output.mqtt]\nprefix = "a/+"\n', ("prefix", "a topic without")),
    ('[output.mqtt]\nprefix = ""\n', ("prefix", "a topic without")),
    ('[output.mqtt]\nca = "/x"\n', ("ca", "mqtts")),
    ('[output.mqtt]\nbroker = "mqtts://x"\nkey = "/x"\n', ("certificate is missing",)),
    ('[output.mqtt]\npassword = "hush"\npassword_env = "X"\n', ("password_env", "not both")),
    ("[output.mqtt]\npassword = 5\n", ("password is not what it has to be",)),
    ("[output.mqtt]\nport = 5\n", ("unknown key 'port'",)),
    ('[output.influx]\nurl = "ftp://x"\n', ("[output.influx]", "http://HOST")),
    ('[[output.influx]]\napi = "v4"\n', ("[[output.influx]] 1", '"v1" or "v2" or "v3"')),
    ('[[output.influx]]\n[[output.influx]]\nname = "influx"\n', ("[[output.influx]] 2", "no other output has")),
    ('[output.influx]\nname = "../x"\n', ("name", "letters, digits")),
    ("[output.influx]\ntags = { a = 1 }\n", ("[output.influx.tags]", "a is 1")),
    ("[output.files]\n", ("folder is missing",)),
    ('[output.files]\nfolder = "/x"\nformats = ["xml"]\n', ("formats", '"csv" and "jsonl"')),
    ('[output.files]\nfolder = "/x"\nformats = []\n', ("formats",)),
    ('[output.files]\nfolder = ""\n', ("folder", "a path")),
    ('[output.web]\nlisten = "8080"\n', ("listen", "ADDRESS:PORT")),
    ('[output.web]\nlisten = "127.0.0.1:99999"\n', ("listen", "ADDRESS:PORT")),
    ("[output.history]\nraw_days = 0\n", ("raw_days",)),
    ("[output.history]\nminutes = 1\n", ("unknown key 'minutes'", "minute_days")),
    ("[output.sqlite]\n", ("unknown key 'sqlite'", "history")),
)


@pytest.mark.parametrize(("text", "words"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said_in_one_line(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as error:
        read(text)
    line = str(error.value)
    assert "\n" not in line and line.startswith("a.toml: ")
    assert "hush" not in line
    for word in words:
        assert word in line, line


def test_a_secret_is_read_when_needed_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text("hush\n")
    from_file, from_environment = Secret(file=str(file)), Secret(variable="HUSH")
    assert from_file.reveal() == "hush"
    with pytest.raises(SecretError, match="the environment has no HUSH"):
        from_environment.reveal()
    monkeypatch.setenv("HUSH", "hush")
    assert from_environment.reveal() == "hush"
    assert "hush" not in repr([from_file, from_environment, Secret("hush")])
    file.unlink()
    with pytest.raises(SecretError, match="cannot be read"):
        from_file.reveal()
    assert not Secret() and Secret().reveal() == ""


def test_what_is_open_is_warned_of() -> None:
    found = read(
        '[output.mqtt]\nbroker = "mqtt://broker.example"\npassword = "x"\n[output.web]\nlisten = "0.0.0.0:80"\n'
    )
    lines = warnings(found)
    assert len(lines) == 3
    assert any("set name in [site]" in line for line in lines)
    assert any("in the clear" in line for line in lines)
    assert any("listens on 0.0.0.0" in line for line in lines)
    named = replace(found, site=replace(found.site, name="cabin"))
    assert len(warnings(named)) == 2


@pytest.mark.parametrize(
    "line",
    [
        '[output.mqtt]\nbroker = "mqtt://me:hunter2@broker.lan"',
        '[output.mqtt]\nbroker = "mqtt://me:hunter2@broker.lan:99999"',
        '[output.mqtt]\nbroker = "tcp://me:hunter2@broker.lan"',
        '[output.mqtt]\nbroker = "mqtt://hunter2@broker.lan"',
        '[output.mqtt]\nbroker = "mqtt://me:hunter2/x@broker.lan"',
        '[output.mqtt]\nbroker = "me:hunter2@broker.lan"',
        '[output.influx]\nurl = "http://db.lan:8086/?u=me&p=hunter2"',
    ],
)
def test_a_password_in_an_address_is_refused_and_not_shown(line: str) -> None:
    with pytest.raises(ConfigError, match="password and token have keys of their own") as refused:
        read(line)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "more",
    [
        '[[device]]\nname = "Roof 1"\n{driver}"tcp://192.0.2.5"\n[[device]]\nname = "roof_1"\n{driver}"tcp://192.0.2.6"\n',
        '[[device]]\nname = "TOTAL"\n{driver}"tcp://192.0.2.5"\n[[total]]\n',
    ],
)
def test_names_that_make_the_same_topics_are_refused(more: str) -> None:
    tables = more.format(driver='driver = "morningstar-tristar-mppt"\nlink = ')
    with pytest.raises(ConfigError, match=r"are both called (roof_1|total) in topics"):
        read(tables + "[output.mqtt]\n")
    assert read(tables + "[output.web]\n").outputs.mqtt is None


@pytest.mark.parametrize("name", ["mqtt", "mqtt-samples", "web"])
def test_a_database_is_not_called_like_another_output(name: str) -> None:
    with pytest.raises(ConfigError, match="a name that no other output has"):
        read(f'[[output.influx]]\nname = "{name}"\n')
