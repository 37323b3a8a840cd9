"""Brokers and senders that mean no good, or do not know better."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from heliobus.model.clock import SystemClock
from heliobus.outputs.mqtt.client import Client
from heliobus.outputs.mqtt.commands import CommandsPart
from heliobus.outputs.mqtt.connection import Connection, Settings, connect
from heliobus.outputs.mqtt.orders import BadOrderError, parse
from heliobus.outputs.mqtt.paho_client import MQTT_3_1_1, MQTT_5
from heliobus.outputs.mqtt.session import ConnectionLostError, Message, Session
from heliobus.outputs.mqtt.topics import Topics
from heliobus.outputs.status import OutputStatus
from heliobus.site import Site
from mqtt_site import BASE, CONTROLS, Obeying, Recorded, config, device
from servers import mosquitto, probe

TOPIC = b"a/b/c/set"
GREETING = {MQTT_3_1_1: b"\x20\x02\x00\x00", MQTT_5: b"\x20\x03\x00\x00\x00"}


def publication(number: int, payload: bytes, *, again: bool = False) -> bytes:
    """A PUBLISH of MQTT 3.1.1 at QoS 1."""
    body = len(TOPIC).to_bytes(2, "big") + TOPIC + number.to_bytes(2, "big") + payload
    return bytes((0x3A if again else 0x32, len(body))) + body


@asynccontextmanager
async def talking(*words: bytes, version: int = MQTT_3_1_1) -> AsyncIterator[Connection]:
    """A connection to a broker that greets, and says `words` when it hears the next packet."""

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1000)
            writer.write(GREETING[version])
            while await reader.read(1000):
                for each in words:
                    writer.write(each)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        connection = await connect(Settings("127.0.0.1", port, version, "me", "will", patience=5.0))
        try:
            yield connection
        finally:
            connection.abort()


async def test_what_the_broker_sends_again_is_not_taken_again() -> None:
    agreed = b"\x90\x03\x00\x01\x01"
    messages = publication(1, b"ON"), publication(1, b"ON", again=True), publication(2, b"OFF")
    async with talking(agreed, *messages) as connection:
        inbox = await connection.subscribe("a/b/+/set")
        async with asyncio.timeout(5):
            assert [(await inbox.get()).payload for _ in range(2)] == [b"ON", b"OFF"]


@pytest.mark.parametrize("version", [MQTT_3_1_1, MQTT_5])
async def test_garbage_ends_the_connection_and_nothing_else(version: int) -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    chance = random.Random(1)
    for first in range(0x10, 0x100, 0x05):
        body = chance.randbytes(chance.randrange(0, 40))
        garbage = bytes((first, len(body))) + body
        async with talking(garbage * 3, version=version) as connection:
            with suppress(TimeoutError, ConnectionLostError):
                async with asyncio.timeout(0.05):
                    await connection.subscribe("a/b/+/set")
    assert failures == []


@pytest.mark.parametrize("payload", [b"true", b'{"value": false}', b"1_0", "１２".encode(), "٣".encode()])
def test_what_is_no_number_is_not_taken_for_one(payload: bytes) -> None:
    control = next(each for each in CONTROLS if each.point.name == "remote_charge_current")
    try:
        value = parse(payload, control).value
    except BadOrderError:
        return
    with pytest.raises(ValueError, match="takes a number"):
        control.coerced(value)


async def test_a_topic_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site, charger, session = Site(), device(), Recorded()
    site.introduce(charger, Obeying(charger))
    part = CommandsPart(site, Topics("heliobus", "My cabin"), SystemClock())
    running = asyncio.create_task(part.run(session))
    session.inbox.put_nowait(Message(f"{BASE}/x\n2026-11-21 INFO all is well/y/set", b"1", retain=True))
    async with asyncio.timeout(5):
        while not caplog.messages:
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [message.count("\n") for message in caplog.messages] == [0]


async def test_a_fault_of_ours_leaves_nobody_online() -> None:
    async def use(session: Session) -> None:
        await session.publish(f"{BASE}/availability", b"online", qos=1, retain=True)
        raise ZeroDivisionError

    async def farewell(session: Session) -> None:
        raise AssertionError("nobody has ended us")

    async with mosquitto() as broker, probe(broker.port, f"{BASE}/#") as looking:
        client = Client(config(broker.port), "me", f"{BASE}/availability", OutputStatus("mqtt"), SystemClock())
        with pytest.raises(ZeroDivisionError):
            await client.run(use, farewell)
        await looking.until(lambda seen: seen.payload == b"offline")
        assert looking.on(f"{BASE}/availability") == [b"online", b"offline"]
