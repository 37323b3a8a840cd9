"""docs/fleet.md: its commands are run, its broker is started, and a site gets no further than its own topics."""

import asyncio
import getpass
import re
import ssl
import subprocess
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.reasoncodes import ReasonCode

from heliobus import config
from heliobus.cli.private_broker import free_port
from heliobus.cli.sim_fleet import fleet
from heliobus.model.device import Device
from heliobus.outputs.mqtt.topics import Topics
from heliobus.outputs.prometheus.scrape import FIXED
from heliobus.sim.fleet import FleetSite
from servers import Server, name_loopback, program

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "fleet.md").read_text(encoding="utf-8")
MARKED = re.compile(r"<!-- (run|file): ([\w.]+) -->\n```\w+\n(.*?)```", re.DOTALL)
BLOCKS = {name: block for _, name, block in MARKED.findall(TEXT)}
SITES = ("site-0001", "site-0002")
PATIENCE = 15.0


def run(block: str, folder: Path, **replaced: str) -> None:
    for name, value in replaced.items():
        block, count = re.subn(rf"^{name}=.*$", f"{name}={value}", block, flags=re.MULTILINE)
        assert count == 1, name
    done = subprocess.run(["sh", "-eu", "-c", block], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    name_loopback(monkeypatch, "localhost")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's commands were carried out, for two sites and the centre."""
    folder = tmp_path_factory.mktemp("authority")
    run(BLOCKS["authority"], folder)
    run(BLOCKS["broker"], folder, BROKER="localhost")
    for site in (*SITES, "centre"):
        run(BLOCKS["site"], folder, SITE=site)
        run(BLOCKS["sign"], folder, SITE=site)
    return folder


@asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[int]:
    """The page's mosquitto; its port."""
    port = free_port()
    # The paths of the page are relative, for a reader; mosquitto wants them whole.
    text = BLOCKS["mosquitto.conf"].replace("listener 8883", f"listener {port} 127.0.0.1\nuser {getpass.getuser()}")
    text = re.sub(r"^(cafile|certfile|keyfile|acl_file) ", rf"\1 {folder}/", text, flags=re.MULTILINE)
    (folder / "acl").write_text(BLOCKS["acl"])
    (folder / "mosquitto.conf").write_text(f"log_dest stderr\nlog_type all\n{text}")
    server = Server([program("mosquitto"), "-c", str(folder / "mosquitto.conf")], " running")
    await server.start()
    try:
        yield port
    finally:
        await server.stop()


def context(folder: Path, site: str | None) -> ssl.SSLContext:
    """What a client with the certificate of `site` trusts and shows."""
    found = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    if site is not None:
        found.load_cert_chain(folder / f"{site}.pem", folder / f"{site}.key")
    return found


async def greeting(folder: Path, port: int, site: str | None) -> bytes:
    """What the broker says to a CONNECT of MQTT 3.1.1, empty if it hangs up. With TLS 1.3 it does so only then."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=context(folder, site))
    try:
        writer.write(bytes.fromhex("10 0d 0004 4d515454 04 02 003c 0001 78"))
        return await asyncio.wait_for(reader.read(4), PATIENCE)
    except (ssl.SSLError, ConnectionError):
        return b""
    finally:
        writer.close()
        with suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()


def client(folder: Path, port: int, site: str, version: aiomqtt.ProtocolVersion | None = None) -> aiomqtt.Client:
    return aiomqtt.Client(
        "localhost",
        port,
        tls_context=context(folder, site),
        identifier=f"test-{site}",
        protocol=version or aiomqtt.ProtocolVersion.V5,
        timeout=PATIENCE,
    )


async def publish(who: aiomqtt.Client, topic: str) -> str:
    """The broker's answer in words."""
    answered: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
    inner = who._client
    loop = asyncio.get_running_loop()
    before = inner.on_publish

    def told(client, user, number, reason, properties) -> None:  # type: ignore[no-untyped-def]
        loop.call_soon_threadsafe(answered.set_result, reason)
        before(client, user, number, reason, properties)

    inner.on_publish = told
    try:
        await who.publish(topic, b"{}", qos=1)
        return str((await asyncio.wait_for(answered, PATIENCE)).getName())
    finally:
        inner.on_publish = before


async def test_a_site_writes_its_own_topics_and_no_foreign_ones(authority: Path) -> None:
    async with broker(authority) as port, client(authority, port, "centre") as centre:
        await centre.subscribe("heliobus/#", qos=1)
        async with client(authority, port, SITES[0]) as one, client(authority, port, SITES[1]) as two:
            assert await publish(one, f"heliobus/{SITES[0]}/roof/sample") in ("Success", "No matching subscribers")
            assert await publish(one, f"heliobus/{SITES[1]}/roof/sample") == "Not authorized"
            assert await publish(one, f"heliobus/{SITES[1]}/roof/charge_current_limit/set") == "Not authorized"
            assert await publish(two, f"heliobus/{SITES[1]}/roof/sample") in ("Success", "No matching subscribers")
            seen = []
            async with asyncio.timeout(PATIENCE):
                async for message in centre.messages:
                    seen.append(str(message.topic))
                    if len(seen) == 2:
                        break
            assert seen == [f"heliobus/{site}/roof/sample" for site in SITES]


async def test_a_site_hears_its_own_commands_and_no_foreign_ones(authority: Path) -> None:
    async with (
        broker(authority) as port,
        client(authority, port, "centre") as centre,
        client(authority, port, SITES[0]) as one,
    ):
        await one.subscribe("heliobus/#", qos=1)
        await one.subscribe(f"heliobus/{SITES[0]}/+/+/set", qos=1)
        for site in (SITES[1], SITES[0]):
            await publish(centre, f"heliobus/{site}/roof/charge_current_limit/set")
        async with asyncio.timeout(PATIENCE):
            first = await anext(one.messages)
        assert str(first.topic) == f"heliobus/{SITES[0]}/roof/charge_current_limit/set"


async def test_nobody_gets_in_without_a_certificate_or_with_that_of_the_broker(authority: Path) -> None:
    async with broker(authority) as port:
        assert await greeting(authority, port, SITES[0]) == b"\x20\x02\x00\x00"
        for who in (None, "broker"):
            assert await greeting(authority, port, who) == b"", who


async def test_an_old_protocol_is_told_yes_and_nothing_arrives(authority: Path) -> None:
    """Why the page says MQTT 5."""
    async with broker(authority) as port, client(authority, port, "centre") as centre:
        await centre.subscribe("heliobus/#", qos=1)
        async with client(authority, port, SITES[0], aiomqtt.ProtocolVersion.V311) as old:
            assert await publish(old, f"heliobus/{SITES[1]}/roof/sample") == "Success"
            await publish(old, f"heliobus/{SITES[0]}/roof/sample")
            async with asyncio.timeout(PATIENCE):
                first = await anext(centre.messages)
            assert str(first.topic) == f"heliobus/{SITES[0]}/roof/sample"


def test_the_config_of_a_site_is_accepted_and_its_topics_are_those_of_its_certificate() -> None:
    settings = config.parse(tomllib.loads(BLOCKS["site.toml"]), "site.toml")
    mqtt = settings.outputs.mqtt
    assert mqtt is not None
    assert (mqtt.encrypted, mqtt.version, mqtt.record_every) == (True, "5", 10.0)
    assert mqtt.tls.certificate is not None
    assert mqtt.tls.certificate.stem == settings.site.name == SITES[0]
    topics = Topics(mqtt.prefix, settings.site.name)
    device: Device = FleetSite(1).devices[0]
    assert topics.sample(device).startswith(f"heliobus/{SITES[0]}/")
    assert topics.commands() == f"heliobus/{SITES[0]}/+/+/set"


def test_every_toml_of_the_page_is_a_config() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 2
    device = '[[device]]\nname = "a"\ndriver = "pzem-ac"\nlink = "serial:/dev/ttyUSB0"\n'
    for block in blocks:
        whole = block if "[[device]]" in block else device + block
        assert config.parse(tomllib.loads(whole), "fleet.md").outputs


def test_names_on_the_page_are_those_of_the_code() -> None:
    metrics = set(re.findall(r"`(heliobus_\w+)`", TEXT))
    assert metrics <= FIXED
    options = {option for parameter in fleet.params for option in parameter.opts}
    for line in re.findall(r"^heliobus sim fleet .*$", TEXT, re.MULTILINE):
        assert set(re.findall(r"--[a-z]+", line)) <= options


def test_the_table_of_the_outbox_adds_up() -> None:
    rows = re.findall(
        r"^\| (\d+) (s|min) \| ([\d ]+) \| ([\d.]+) MB \| ([\d.]+) MB \| ([\d.]+) MB \|$", TEXT, re.MULTILINE
    )
    assert len(rows) == 4
    for count, unit, values, *sizes in rows:
        daily = 140 * 86_400 / (int(count) * (60 if unit == "min" else 1))
        assert int(values.replace(" ", "")) == daily
        for days, size in zip((1, 7, 30), sizes, strict=True):
            assert float(size) == pytest.approx(2 * daily * days / 1e6, rel=0.25)
