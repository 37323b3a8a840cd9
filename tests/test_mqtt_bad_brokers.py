"""Brokers that take the connection and hang, do not read, send rubbish, or hang up: nothing of ours minds."""

import asyncio
import logging
import random
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.outputs.mqtt.connection import Settings, connect
from heliobus.outputs.mqtt.paho_client import LARGEST_PACKET, MQTT_3_1_1, MQTT_5
from heliobus.outputs.mqtt.session import ConnectionLostError, PublishRefusedError
from mqtt_site import QUICK, Stage, config, device, reading, stage, until

CONNACK = bytes.fromhex("20020000")
CONNACK_5 = bytes.fromhex("2003000000")
IMPATIENT = replace(QUICK, patience=0.2, keepalive=1)

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Fake:
    port: int
    connections: int = 0


@asynccontextmanager
async def fake(serve: Client) -> AsyncIterator[Fake]:
    """A TCP server that does with each connection what `serve` does."""
    found = Fake(0)
    tasks: set[asyncio.Task[None]] = set()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(welcome, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read CONNECT and say yes, in the version in which it came."""
    head = await reader.read(1024)
    writer.write(CONNACK_5 if head[2:9] == b"\x00\x04MQTT\x05" else CONNACK)


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hangs_after_yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greeted(reader, writer)
    while await reader.read(4096):
        pass


async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greeted(reader, writer)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.Event().wait()


async def rubbish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greeted(reader, writer)
    noise = random.Random(7)
    while True:
        writer.write(noise.randbytes(4096))
        await writer.drain()


async def rubbish_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A message of 256 MB begins."""
    await greeted(reader, writer)
    writer.write(b"\x30\xff\xff\xff\x7f")
    while True:
        writer.write(bytes(65536))
        await writer.drain()


async def crowd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Messages at QoS 2 that never end."""
    await greeted(reader, writer)
    for number in range(1, 65536):
        writer.write(b"\x34\x07\x00\x01a" + number.to_bytes(2, "big") + b"\x00x")
        await writer.drain()
    await asyncio.Event().wait()


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await greeted(reader, writer)
    await asyncio.sleep(0.05)


async def work(on: Stage, seconds: float) -> None:
    """Readings for some time."""
    loop = asyncio.get_running_loop()
    end, number = loop.time() + seconds, 0
    while loop.time() < end:
        number += 1
        on.put(pv_power=float(number))
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "broker", [hangs, hangs_after_yes, never_reads, rubbish, rubbish_at_once, endless, crowd, hangs_up]
)
@pytest.mark.parametrize("version", ["auto", "3.1.1"])
async def test_a_bad_broker_is_left_and_tried_again(
    tmp_path: Path, broker: Client, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tracemalloc.start()
    try:
        async with fake(broker) as there, stage(config(there.port, version=version), tmp_path, timing=IMPATIENT) as on:
            for number in range(5):
                other = device(f"Meter {number}", f"meter_{number}")
                on.site.introduce(other)
                on.site.put(reading(other))
            await work(on, 0.5)
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            await work(on, 0.5)
            await until(lambda: there.connections >= 3)
            _, peak = tracemalloc.get_traced_memory()
            # The peer of this test lives in the same process, and its bytes on the way count as well.
            assert peak - before < 4_000_000
            await until(lambda: on.status.errors >= 3)
            assert on.status.errors
    finally:
        tracemalloc.stop()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_broker_that_does_not_read_holds_up_only_who_sends() -> None:
    async with fake(never_reads) as there:
        wanted = Settings("127.0.0.1", there.port, MQTT_3_1_1, "test", "will", patience=0.3)
        connection = await connect(wanted)
        sends = [asyncio.create_task(connection.publish("a", bytes(60_000))) for _ in range(500)]
        answers = await asyncio.gather(*sends, return_exceptions=True)
        assert isinstance(answers[-1], ConnectionLostError)
        assert "has not answered" in str(answers[-1])
        with pytest.raises(ConnectionLostError):
            await connection.watch()
        await connection.close()


async def test_a_refused_confirmation_is_no_confirmation() -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greeted(reader, writer)
        packet = await reader.read(1024)
        # PUBLISH at QoS 1 to topic "a": its number stands after the topic. 0x87 is `not authorized`.
        number = packet[5:7]
        writer.write(b"\x40\x04" + number + b"\x87\x00")
        await asyncio.Event().wait()

    async with fake(refuses) as there:
        connection = await connect(Settings("127.0.0.1", there.port, MQTT_5, "test", "will", patience=5.0))
        with pytest.raises(PublishRefusedError, match="Not authorized"):
            await connection.publish("a", b"x", qos=1)
        await connection.close()


@pytest.mark.parametrize("version", [MQTT_5, MQTT_3_1_1])
@settings(max_examples=60, deadline=None)
@given(noise=st.binary(min_size=1, max_size=200), greets=st.booleans())
def test_no_rubbish_gets_through(version: int, noise: bytes, greets: bool) -> None:
    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if greets:
            await greeted(reader, writer)
        writer.write(noise)
        await writer.drain()
        writer.close()

    async def meet() -> None:
        async with fake(says) as there:
            try:
                connection = await connect(Settings("127.0.0.1", there.port, version, "test", "will", patience=2.0))
            except ConnectionLostError as error:
                assert str(error)
                return
            with pytest.raises(ConnectionLostError):
                async with asyncio.timeout(5):
                    await connection.watch()
            await connection.close()

    asyncio.run(meet())


async def test_a_packet_may_be_large_but_not_too_large() -> None:
    sizes = asyncio.Queue[int]()

    async def sends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greeted(reader, writer)
        subscribe = await reader.read(1024)
        writer.write(b"\x90\x03" + subscribe[2:4] + b"\x01")
        while True:
            body = b"\x00\x01a" + bytes(await sizes.get() - 3)
            length = len(body)
            head = bytes((length & 127 | 128, length >> 7 & 127 | 128, length >> 14))
            writer.write(b"\x30" + head + body)
            await writer.drain()

    async with fake(sends) as there:
        connection = await connect(Settings("127.0.0.1", there.port, MQTT_3_1_1, "test", "will", patience=5.0))
        inbox = await connection.subscribe("a")
        sizes.put_nowait(LARGEST_PACKET)
        assert len((await inbox.get()).payload) == LARGEST_PACKET - 3
        for _ in range(30):
            sizes.put_nowait(200_000)
        await until(sizes.empty)
        sizes.put_nowait(LARGEST_PACKET + 1)
        with pytest.raises(ConnectionLostError, match="packet"):
            await connection.watch()
        assert inbox.qsize() < 8
        await connection.close()
