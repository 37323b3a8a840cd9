"""What a database's answers make of us: against one that says what it is told to, and against the real ones."""

import asyncio
import fcntl
import os
import pty
import ssl
import subprocess
import sys
import termios
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web

from databases import influxdb, victoria_metrics
from heliobus.config.outputs import InfluxConfig, Tls
from heliobus.config.secret import Secret
from heliobus.outputs.influx.lines import Row, lines
from heliobus.outputs.influx.request import credentials, parameters
from heliobus.outputs.influx.sink import InfluxSink
from heliobus.outputs.influx.verdict import LONGEST, Verdict, verdict, words_of
from heliobus.outputs.outbox import Record, SinkAwayError, SinkRefusedError

PASSWORD = "hunter2 & more"
TIME = 1_700_000_000_000
Answering = Callable[[bytes], web.Response]


def record(number: int = 0, content: str = "m x=1.0") -> Record:
    time = TIME + number
    return Record(time, f"{content} {time}".encode())


@dataclass
class Scripted:
    """A server that gives `answers` in turn, the last of them for ever, and keeps what it was sent."""

    answers: list[Answering] = field(default_factory=lambda: [lambda _: web.Response(status=204)])
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.Response:
        # aiohttp's server has undone the compression.
        body = await request.read()
        self.requests.append(request)
        self.bodies.append(body)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(body)


@asynccontextmanager
async def scripted(
    *answers: Callable[[bytes], web.Response], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Scripted]:
    server = Scripted(list(answers)) if answers else Scripted()
    application = web.Application(client_max_size=1 << 26)
    application.router.add_route("*", "/{path:.*}", server.take)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http{'s' if tls else ''}://{host}:{port}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def sink_to(url: str, **options: object) -> AsyncIterator[InfluxSink]:
    sink = InfluxSink(replace(InfluxConfig("influx", url), **options))  # type: ignore[arg-type]
    try:
        yield sink
    finally:
        await sink.close()


def says(status: int, text: str = "", **headers: str) -> Answering:
    return lambda _: web.Response(status=status, text=text, headers=headers)


async def away(sink: InfluxSink, *records: Record) -> str:
    with pytest.raises(SinkAwayError) as caught:
        await sink.send(records or [record()])
    return str(caught.value)


# --- what is asked


@pytest.mark.parametrize(
    ("options", "path", "authorization"),
    [
        (
            {"user": "me", "password": Secret(PASSWORD)},
            "/write?db=heliobus&precision=ms",
            "Basic bWU6aHVudGVyMiAmIG1vcmU=",
        ),
        (
            {"api": "v2", "org": "my hut", "database": "b&c", "token": Secret("T0k3n=")},
            "/api/v2/write?org=my+hut&bucket=b%26c&precision=ms",
            "Token T0k3n=",
        ),
        (
            {"api": "v3", "token": Secret("apiv3_x")},
            "/api/v3/write_lp?db=heliobus&precision=millisecond",
            "Bearer apiv3_x",
        ),
        ({"token": Secret("T0k3n")}, "/write?db=heliobus&precision=ms", "Token T0k3n"),
        ({}, "/write?db=heliobus&precision=ms", None),
    ],
)
async def test_each_api_is_asked_in_its_own_way(
    options: dict[str, object], path: str, authorization: str | None
) -> None:
    async with scripted() as server, sink_to(server.url, **options) as sink:
        await sink.send([record(0), record(1)])
        (request,) = server.requests
        assert request.path_qs == path
        assert request.headers.get("Authorization") == authorization
        assert request.headers["Content-Encoding"] == "gzip"
        assert server.bodies == [b"m x=1.0 1700000000000\nm x=1.0 1700000000001"]


def test_no_secret_is_in_a_url() -> None:
    for api in ("v1", "v2", "v3"):
        config = InfluxConfig("i", "http://h", api=api, user="me", password=Secret(PASSWORD), token=Secret("T0k3n"))
        assert not {PASSWORD, "T0k3n", "me"} & set(parameters(config).values())
        assert PASSWORD not in repr(config) and "T0k3n" not in repr(config)
        assert credentials(config)


async def test_a_changed_secret_acts_at_the_next_write(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    async with scripted() as server, sink_to(server.url, api="v2", token=Secret(file=str(file))) as sink:
        await sink.send([record()])
        file.write_text("second\n")
        await sink.send([record()])
        assert [each.headers["Authorization"] for each in server.requests] == ["Token first", "Token second"]
        file.unlink()
        assert "cannot be read" in await away(sink)
        file.write_text("a\nb")
        said = await away(sink)
        assert "characters" in said and "a\nb" not in said
        assert len(server.requests) == 2


# --- what is answered


@pytest.mark.parametrize(
    ("status", "words", "meaning"),
    [
        (204, "", Verdict.TAKEN),
        (200, "", Verdict.TAKEN),
        (400, 'partial write: field type conflict: input field "x" … dropped=1', Verdict.PARTLY),
        (400, "partial write of line protocol occurred", Verdict.PARTLY),
        (422, "failure writing points to database: partial write: points beyond retention policy", Verdict.PARTLY),
        (400, "unable to parse 'b x=NaN 3000': invalid number", Verdict.REFUSED),
        (400, "field type conflict", Verdict.REFUSED),
        (400, "failed to parse line protocol:errors encountered on line(s)", Verdict.REFUSED),
        (400, "database is required", Verdict.AWAY),
        (400, "gzip: invalid header", Verdict.AWAY),
        (400, "invalid endpoint", Verdict.AWAY),
        (400, "The plain HTTP request was sent to HTTPS port", Verdict.AWAY),
        (413, "Request Entity Too Large", Verdict.TOO_LARGE),
        (415, "gzip encoding is not supported", Verdict.UNCOMPRESSED),
        *((status, "", Verdict.AWAY) for status in (301, 401, 403, 404, 429, 500, 502, 503, 504, 100)),
    ],
)
def test_the_meaning_of_an_answer(status: int, words: str, meaning: Verdict) -> None:
    assert verdict(status, words) is meaning


def test_a_servers_words_are_short_and_one_line() -> None:
    assert words_of(b'{"error":"database not found: \\"x\\""}\n') == 'database not found: "x"'
    assert words_of(b'{"code":"not found","message":"bucket \\"x\\" not found"}') == 'bucket "x" not found'
    assert words_of(b"<html>\r\n<b>502</b>\x1b[31m \xff</html>") == "<html> <b>502</b> [31m \ufffd</html>"
    assert len(words_of(b"x" * 5000)) == LONGEST
    assert words_of(b"[1]") == "[1]"
    assert words_of(b"") == ""


@pytest.mark.parametrize(
    ("options", "answer", "line"),
    [
        (
            {"user": "me", "password": Secret(PASSWORD)},
            says(401, '{"error":"authorization failed"}'),
            "URL does not accept user and password (401: authorization failed)",
        ),
        (
            {"token": Secret("T0k3n")},
            says(401, "bad header: Token T0k3n"),
            "URL does not accept the token (401: bad header: Token …)",
        ),
        (
            {"user": "me", "password": Secret(PASSWORD)},
            says(401, "bad header: Basic bWU6aHVudGVyMiAmIG1vcmU="),
            "URL does not accept user and password (401: bad header: Basic …)",
        ),
        (
            {"token": Secret("T0k3n")},
            says(401, "x" * (LONGEST - 3) + "T0k3n"),
            f"URL does not accept the token (401: {'x' * (LONGEST - 3)}…)",
        ),
    ],
)
async def test_the_line_says_what_to_do(options: dict[str, object], answer: Answering, line: str) -> None:
    async with scripted(answer) as server, sink_to(server.url, **options) as sink:
        assert (await away(sink)).replace(server.url, "URL") == line


async def test_what_is_refused_is_told_in_the_servers_words() -> None:
    answer = says(400, '{"error":"partial write: field type conflict dropped=1"}')
    async with scripted(answer) as server, sink_to(server.url) as sink:
        with pytest.raises(SinkRefusedError, match="partial write: field type conflict"):
            await sink.send([record()])


async def test_too_much_at_once_goes_in_smaller_batches_and_in_order() -> None:
    def answer(body: bytes) -> web.Response:
        return web.Response(status=413 if body.count(b"\n") > 1 else 204)

    async with scripted(answer) as server, sink_to(server.url) as sink:
        await sink.send([record(number) for number in range(7)])
        taken = b"\n".join(body for body in server.bodies if body.count(b"\n") <= 1).split(b"\n")
        assert taken == [record(number).content for number in range(7)]


async def test_one_that_is_too_large_alone_is_refused() -> None:
    async with scripted(says(413)) as server, sink_to(server.url) as sink:
        with pytest.raises(SinkRefusedError):
            await sink.send([record(), record(1)])


async def test_a_server_without_gzip_gets_plain_lines() -> None:
    async with scripted(says(415, "gzip encoding is not supported"), says(204)) as server, sink_to(server.url) as sink:
        await sink.send([record()])
        await sink.send([record(1)])
        assert ["Content-Encoding" in each.headers for each in server.requests] == [True, False, False]


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_respected(status: int) -> None:
    busy = says(status, "busy", **{"Retry-After": "1"})
    async with scripted(busy, says(204)) as server, sink_to(server.url) as sink:
        first = await away(sink)
        assert await away(sink) == first
        assert len(server.requests) == 1
        loop = asyncio.get_running_loop()
        loop.time = lambda real=loop.time: real() + 1.0  # type: ignore[method-assign, misc]
        await sink.send([record()])
        assert len(server.requests) == 2


async def test_an_endless_answer_is_not_read() -> None:
    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with sink_to(f"http://127.0.0.1:{port}") as sink:
            await sink.send([record()])
            await sink.send([record()])


@pytest.mark.parametrize("garbage", [b"", b"\x00\xff\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b"SSH-2.0-x\r\n"])
async def test_garbage_for_an_answer_is_no_answer(garbage: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(garbage)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with sink_to(f"http://127.0.0.1:{port}") as sink:
            assert f"http://127.0.0.1:{port}: " in await away(sink)


async def test_nobody_there() -> None:
    async with scripted() as server:
        url = server.url
    async with sink_to(url, user="me", password=Secret(PASSWORD)) as sink:
        said = await away(sink)
        assert said.startswith(f"{url}: ") and "refused" in said.lower() and PASSWORD not in said
    async with sink_to("http://no-such-host.invalid") as sink:
        assert (await away(sink)).startswith("http://no-such-host.invalid: ")


# --- TLS


def certificates(folder: Path) -> None:
    """A CA, a server's and a client's certificate in `folder`. Blocks."""
    folder.joinpath("ext").write_text("subjectAltName=IP:127.0.0.1\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    ca = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2"]
    for command in (
        ["req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test CA"],
        *(["req", *key, "-keyout", f"{each}.key", "-out", f"{each}.csr", "-subj", f"/CN={each}"] for each in "sc"),
        *(["x509", "-req", "-in", f"{each}.csr", *ca, "-out", f"{each}.pem", "-extfile", "ext"] for each in "sc"),
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


async def test_tls_with_our_own_authority_and_a_clients_certificate(tmp_path: Path) -> None:
    certificates(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem"))
    tls.load_cert_chain(tmp_path / "s.pem", tmp_path / "s.key")
    tls.verify_mode = ssl.CERT_REQUIRED
    good = Tls(tmp_path / "ca.pem", tmp_path / "c.pem", tmp_path / "c.key")
    async with scripted(tls=tls) as server:
        async with sink_to(server.url, tls=good) as sink:
            await sink.send([record()])
        async with sink_to(server.url, tls=replace(good, ca=None)) as sink:
            assert "not trusted" in await away(sink)
        async with sink_to(server.url, tls=Tls(tmp_path / "ca.pem")) as sink:
            await away(sink)
        async with sink_to(server.url, tls=replace(good, ca=tmp_path / "none.pem")) as sink:
            said = await away(sink)
            assert f"{tmp_path / 'none.pem'} cannot be used as ca: No such file" in said
        async with sink_to(server.url, tls=replace(good, certificate=tmp_path / "c.key")) as sink:
            said = await away(sink)
            assert f"{tmp_path / 'c.key'} with {tmp_path / 'c.key'} cannot be used as certificate" in said
        assert len(server.requests) == 1


async def test_https_where_http_is_spoken_is_said_in_words() -> None:
    async with scripted() as server, sink_to(server.url.replace("http:", "https:")) as sink:
        assert "is it http:// and not https://?" in await away(sink)


def test_the_word_for_a_key_is_never_asked_for_on_the_terminal(tmp_path: Path) -> None:
    certificates(tmp_path)
    locked = ["pkey", "-in", "c.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key"]
    subprocess.run(["openssl", *locked], cwd=tmp_path, check=True, capture_output=True)
    code = """
import asyncio, sys
from pathlib import Path
from heliobus.config.outputs import InfluxConfig, Tls
from heliobus.outputs.influx.sink import InfluxSink
from heliobus.outputs.outbox import Record, SinkAwayError

async def main():
    sink = InfluxSink(InfluxConfig("i", "https://127.0.0.1:1", tls=Tls(None, Path("c.pem"), Path("locked.key"))))
    try:
        await sink.send([Record(1, b"m x=1.0 1")])
    except SinkAwayError as error:
        print(error)
    await sink.close()

asyncio.run(main())
"""
    terminal, ours = pty.openpty()
    try:
        ended = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            stdin=ours,
            capture_output=True,
            text=True,
            timeout=10,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(ours, termios.TIOCSCTTY, 0),
            check=True,
        )
    finally:
        os.close(terminal)
        os.close(ours)
    assert ended.stdout.startswith("https://127.0.0.1:1: ")


def test_without_https_it_works_where_openssl_is_left_out() -> None:
    code = """
import sys
sys.modules["ssl"] = sys.modules["_hashlib"] = None
import asyncio
from heliobus.config.outputs import InfluxConfig
from heliobus.outputs.influx.output import InfluxOutput
from heliobus.outputs.influx.sink import InfluxSink
from heliobus.outputs.outbox import Record, SinkAwayError

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        sink = InfluxSink(InfluxConfig("i", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        await sink.send([Record(1, b"m x=1.0 1")])
        await sink.close()
    print("stored")

asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert ended.stdout == "stored\n", ended.stderr


# --- the real ones


async def test_the_same_sample_twice_is_one_point(tmp_path: Path) -> None:
    sample = record(0, 'solar_charger,device=a soc=48.0,state_text="bulk, \\"hot\\""')
    async with influxdb(tmp_path / "i") as influx, victoria_metrics(tmp_path / "v") as victoria:
        for url, api in ((influx.url, "v1"), (victoria.url, "v1"), (victoria.url, "v2")):
            async with sink_to(url, api=api) as sink:
                await sink.send([sample])
                await sink.send([sample, record(1, "solar_charger,device=a soc=49.5")])
        assert await influx.rows("solar_charger") == [
            {"time": TIME, "device": "a", "soc": 48, "state_text": 'bulk, "hot"'},
            {"time": TIME + 1, "device": "a", "soc": 49.5},
        ]
        series = await victoria.export('{__name__="solar_charger_soc"}')
        # `?db=` of the first API becomes a label.
        assert {labels.get("db", "") for labels, _ in series} == {"heliobus", ""}
        assert all(samples == [(TIME, 48), (TIME + 1, 49.5)] for _, samples in series)


async def test_influxdb_1_says_what_is_wrong(tmp_path: Path) -> None:
    async with influxdb(tmp_path, user="admin", password="right") as influx:
        await influx.query("CREATE USER low WITH PASSWORD 'right'")
        wrong = {"user": "admin", "password": Secret("wrong-one")}
        async with sink_to(influx.url, **wrong) as sink:
            said = await away(sink)
            assert said == f"{influx.url} does not accept user and password (401: authorization failed)"
        right = {"user": "admin", "password": Secret("right")}
        async with sink_to(influx.url, **right, database="other") as sink:
            assert 'make it with: CREATE DATABASE "other"' in await away(sink)
            await influx.query('CREATE DATABASE "other"')
            await sink.send([record()])
        async with sink_to(influx.url, user="low", password=Secret("right")) as sink:
            assert 'GRANT WRITE ON "heliobus" TO "low"' in await away(sink)
            await influx.query('GRANT WRITE ON "heliobus" TO "low"')
            await sink.send([record()])
        async with sink_to(influx.url, **right, api="v2") as sink:
            assert 'does not know the API "v2"' in await away(sink)


async def test_influxdb_1_refuses_a_field_that_was_another_kind_and_keeps_the_rest(tmp_path: Path) -> None:
    async with influxdb(tmp_path) as influx, sink_to(influx.url) as sink:
        await sink.send([record(0, "m old=1i")])
        with pytest.raises(SinkRefusedError, match="partial write: field type conflict"):
            await sink.send([record(1, "m x=1.0"), record(2, "m old=1.5"), record(3, "m x=2.0")])
        assert [row["time"] - TIME for row in await influx.rows("m")] == [0, 1, 3]


async def test_influxdb_1_gets_less_at_once(tmp_path: Path) -> None:
    async with influxdb(tmp_path, body=2000) as influx, sink_to(influx.url) as sink:
        await sink.send([record(number) for number in range(500)])
        assert len(await influx.rows("m")) == 500


async def test_the_real_ones_read_awkward_names_as_they_were_meant(tmp_path: Path) -> None:
    names = ["Dach, Süd = 1", 'say "so"', "a\\b\\", "line\nbreak", "#1", "☀ 屋根", "=,= ", "\\,", "'"]
    meant = [name.strip().replace("\\", "/").replace("\n", " ") for name in names]
    texts = [*names, "\\", '\\"', '"']
    rows = [
        Row("solar, charger", {"name": name, "site": name}, {"power, 1=2": 412, "t": text}, TIME + number)
        for number, (name, text) in enumerate(zip(names, texts, strict=False))
    ]
    rows += [Row("texts", {}, {"t": text}, TIME + number) for number, text in enumerate(texts)]
    async with influxdb(tmp_path / "i") as influx, victoria_metrics(tmp_path / "v") as victoria:
        for url in (influx.url, victoria.url):
            async with sink_to(url) as sink:
                await sink.send([Record(TIME, lines(rows))])
        stored = await influx.rows("solar, charger")
        assert [(row["name"], row["site"], row["power, 1=2"]) for row in stored] == [
            (name, name, 412) for name in meant
        ]
        assert [row["t"] for row in await influx.rows("texts")] == [text.replace("\n", " ") for text in texts]
        series = await victoria.export('{__name__="solar, charger_power, 1=2"}')
        assert sorted(labels["name"] for labels, _ in series) == sorted(meant)
        # It has no texts, and says 0 for each: docs/influx.md tells how to drop these series.
        assert {value for _, samples in await victoria.export('{__name__="texts_t"}') for _, value in samples} == {0}
