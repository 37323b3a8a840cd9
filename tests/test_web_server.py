"""The HTTP server: what it says, whom it lets in, and what does it no harm."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from heliobus import __version__
from heliobus.config.outputs import WebConfig
from heliobus.outputs.status import Statuses
from heliobus.outputs.web import output as web_output
from heliobus.outputs.web.door import Limits, host_name, on_loopback
from heliobus.outputs.web.output import WebOutput
from heliobus.site import Site
from shown_site import NOON, full, introduced, put, unplug

PATIENCE = 10.0
Address = tuple[str, int]


class Fixed:
    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


@asynccontextmanager
async def serving(site: Site, server: WebOutput) -> AsyncIterator[Address]:
    task = asyncio.create_task(server.run(site))
    try:
        async with asyncio.timeout(PATIENCE):
            yield await server.listening()
    finally:
        task.cancel()
        [ended] = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(ended, asyncio.CancelledError)


def made(
    *, host: str = "127.0.0.1", metrics: bool = True, limits: Limits | None = None, statuses: Statuses | None = None
) -> WebOutput:
    return WebOutput(WebConfig(host, 0, metrics), "cabin <&>", statuses or Statuses(), Fixed(NOON + 7), limits=limits)


async def fetched(address: Address, path: str, **headers: str) -> tuple[int, str, str, dict[str, str]]:
    """Status, type, text and headers."""
    url = f"http://{address[0]}:{address[1]}{path}"
    async with ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, answer.headers["Content-Type"], await answer.text(), dict(answer.headers)


async def test_a_pulled_cable_is_seen_in_the_next_scrape_and_in_health() -> None:
    site = Site()
    device = introduced(site)
    put(site, device, full(device))
    async with serving(site, made()) as address:
        before = (await fetched(address, "/metrics"))[2]
        unplug(site, device)
        after = (await fetched(address, "/metrics"))[2]
        health = json.loads((await fetched(address, "/healthz"))[2])
    assert "heliobus_pv_power_watts{" in before and "heliobus_pv_power_watts{" not in after
    assert (health["devices"][0]["health"], health["devices"][0]["age"]) == ("offline", 7.0)


async def test_health_tells_version_devices_and_outputs() -> None:
    site, statuses = Site(), Statuses()
    put(site, introduced(site, label="The roof"), {"pv_power": 1.0})
    introduced(site, "pzem-ac", "kitchen")
    statuses.open("influx").last_error = "refused"
    async with serving(site, made(statuses=statuses)) as address:
        status, kind, text, _ = await fetched(address, "/healthz")
    assert (status, kind) == (200, "application/json; charset=utf-8")
    document = json.loads(text)
    assert (document["version"], document["site"]) == (__version__, "cabin <&>")
    roof, kitchen = document["devices"]
    assert (roof["name"], roof["label"], roof["key"]) == ("roof", "The roof", "tristar_10170296")
    assert (roof["health"], roof["age"]) == ("ok", 7.0)
    assert (kitchen["health"], kitchen["age"]) == ("unknown", None)
    outputs = {each["name"]: each for each in document["outputs"]}
    assert outputs["influx"]["last_error"] == "refused"
    assert outputs["web"]["connected"] is True


async def test_the_front_page_links_to_the_others() -> None:
    async with serving(Site(), made()) as address:
        status, kind, text, headers = await fetched(address, "/")
        assert (await fetched(address, "/nothing"))[0] == 404
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert 'href="/healthz"' in text and 'href="/metrics"' in text
    assert "<h1>cabin &lt;&amp;&gt;</h1>" in text
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Frame-Options"] == "DENY" and headers["Cache-Control"] == "no-store"
    assert headers["Server"] == "Heliobus"


async def test_metrics_can_be_left_out() -> None:
    async with serving(Site(), made(metrics=False)) as address:
        assert (await fetched(address, "/metrics"))[0] == 404
        assert "/metrics" not in (await fetched(address, "/"))[2]


async def test_the_scraper_gets_the_format_it_likes() -> None:
    async with serving(Site(), made()) as address:
        _, plain, text, _ = await fetched(address, "/metrics", Accept="*/*")
        _, best, open_text, _ = await fetched(address, "/metrics", Accept="application/openmetrics-text;version=1.0.0")
    assert plain == "text/plain; version=0.0.4; charset=utf-8"
    assert best == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert "# EOF" not in text and open_text.endswith("# EOF\n")


async def test_only_reading_is_offered() -> None:
    async with serving(Site(), made()) as address, ClientSession() as session:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            async with session.request(method, f"http://{address[0]}:{address[1]}/healthz") as answer:
                assert answer.status == 405
        async with session.head(f"http://{address[0]}:{address[1]}/healthz") as answer:
            assert answer.status == 200


async def test_other_pages_are_added_as_tables_of_routes() -> None:
    table = web.RouteTableDef()

    @table.get("/more")
    async def more(_: web.Request) -> web.Response:
        return web.Response(text="more")

    server = WebOutput(WebConfig("127.0.0.1", 0), "cabin", Statuses(), routes=[table])
    async with serving(Site(), server) as address:
        status, _, text, headers = await fetched(address, "/more")
    assert (status, text) == (200, "more")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("localhost.", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:80", 200),
        ("evil.example", 403),
        ("evil.example:8080", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost@evil.example", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
async def test_no_web_page_reaches_it_by_a_name_of_its_own(host: str, status: int) -> None:
    async with serving(Site(), made()) as address:
        assert (await fetched(address, "/healthz", Host=host))[0] == status


async def test_on_the_network_any_name_is_good() -> None:
    async with serving(Site(), made(host="0.0.0.0")) as (_, port):
        assert (await fetched(("127.0.0.1", port), "/healthz", Host="cabin.lan"))[0] == 200


def test_what_is_loopback() -> None:
    assert all(map(on_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(on_loopback, ("0.0.0.0", "::", "192.0.2.1", "cabin.lan")))
    assert host_name("[::1]:8080") == "::1" and host_name("[") is None


class Rude:
    """A connection that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, address: Address) -> "Rude":
        return cls(*await asyncio.open_connection(*address))

    async def rest(self) -> bytes:
        """All until the server ends the connection."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def leave(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


async def test_a_client_that_sends_slowly_or_nothing_is_dropped() -> None:
    async with serving(Site(), made(limits=Limits(longest=0.2))) as address:
        silent, slow = await Rude.to(address), await Rude.to(address)
        slow.writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-")
        assert await silent.rest() == b""
        assert await slow.rest() == b""
        for each in (silent, slow):
            await each.leave()
        assert (await fetched(address, "/healthz"))[0] == 200


async def test_a_client_that_drips_its_header_is_dropped_too() -> None:
    async with serving(Site(), made(limits=Limits(longest=0.3))) as address:
        drip = await Rude.to(address)
        drip.writer.write(b"GET /healthz HTTP/1.1\r\n")
        gone = asyncio.create_task(drip.rest())
        while not gone.done():
            drip.writer.write(b"X-A: b\r\n")
            await asyncio.wait([gone], timeout=0.05)
        assert await gone == b""
        await drip.leave()


async def test_a_client_that_does_not_read_is_dropped() -> None:
    table = web.RouteTableDef()

    @table.get("/big")
    async def big(_: web.Request) -> web.Response:
        return web.Response(body=bytes(20_000_000))

    server = WebOutput(WebConfig("127.0.0.1", 0), "", Statuses(), routes=[table], limits=Limits(1, 0.3))
    async with serving(Site(), server) as address:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_connect(deaf, address)
            await asyncio.get_running_loop().sock_sendall(deaf, b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
            # Only one client is let in at a time, so it is its end that lets the next one in.
            async with asyncio.timeout(PATIENCE):
                while not await answered(address):
                    await asyncio.sleep(0.05)


async def answered(address: Address) -> bool:
    one = await Rude.to(address)
    one.writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    found = await one.rest()
    await one.leave()
    return found.startswith(b"HTTP/1.1 200")


async def test_more_clients_than_there_is_room_for_are_turned_away() -> None:
    async with serving(Site(), made(limits=Limits(connections=3))) as address:
        inside = [await Rude.to(address) for _ in range(3)]
        for each in inside:
            each.writer.write(b"GET / HTTP/1.1\r\n")
        outside = await Rude.to(address)
        assert await outside.rest() == b""
        inside[0].writer.write(b"Host: localhost\r\n\r\n")
        assert (await inside[0].rest()).startswith(b"HTTP/1.1 200")
        for each in (*inside, outside):
            await each.leave()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Big: " + 100_000 * b"a" + b"\r\n\r\n",
        b"GET /" + 100_000 * b"a" + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(5000)) + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + 64 * b"\xff" + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n" + 1000 * b"a",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["header", "path", "headers", "tls", "body", "length", "chunk"],
)
async def test_hostile_requests_are_ended_without_a_word_in_the_log(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(Site(), made(limits=Limits(longest=1.0))) as address:
        caplog.clear()
        hostile = await Rude.to(address)
        hostile.writer.write(request_bytes)
        found = await hostile.rest()
        await hostile.leave()
        assert not found.startswith(b"HTTP/1.1 200")
        assert (await fetched(address, "/healthz"))[0] == 200
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_connections_serve_one_request_each() -> None:
    async with serving(Site(), made()) as address:
        one = await Rude.to(address)
        one.writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        assert (await one.rest()).startswith(b"HTTP/1.1 200")
        await one.leave()


async def test_an_error_of_ours_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    table = web.RouteTableDef()

    @table.get("/broken")
    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("a fault of ours")

    server = WebOutput(WebConfig("127.0.0.1", 0), "cabin", Statuses(), routes=[table])
    async with serving(Site(), server) as address:
        assert (await fetched(address, "/broken"))[0] == 500
    assert "a fault of ours" in caplog.text


async def test_a_port_in_use_is_one_line_and_is_taken_when_it_is_free(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_output, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(web_output, "LONGEST_PAUSE", 0.01)
    statuses = Statuses()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = WebOutput(WebConfig("127.0.0.1", port), "cabin", statuses)
        task = asyncio.create_task(server.run(Site()))
        status = statuses.open("web")
        async with asyncio.timeout(PATIENCE):
            while status.errors < 5:
                await asyncio.sleep(0.01)
        assert status.connected is False
    async with asyncio.timeout(PATIENCE):
        assert await server.listening() == ("127.0.0.1", port)
        assert (await fetched(("127.0.0.1", port), "/healthz"))[0] == 200
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    complaints = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(complaints) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in complaints[0] and "in use" in complaints[0]


async def test_the_end_does_not_wait_for_a_client() -> None:
    async with asyncio.timeout(PATIENCE):
        async with serving(Site(), made()) as address:
            idle = await Rude.to(address)
        assert await idle.rest() == b""
        await idle.leave()
