"""The tables under `[output]` but for that of Venus OS: where else values go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from heliobus.config import secret
from heliobus.config.secret import NO_SECRET, Secret
from heliobus.config.table import ConfigError, Table, line
from heliobus.model.naming import slug

KEYS = ("mqtt", "influx", "history", "files", "web")
"""The tables that are read here."""
OTHERS = frozenset(KEYS) - {"influx"} | {"mqtt-samples"}
"""What a database cannot be called."""
NAME = r"[A-Za-z0-9_-]{1,40}"
TLS_KEYS = ("ca", "certificate", "key")


@dataclass(frozen=True, slots=True)
class Tls:
    """Files for TLS: `ca` None means the authorities of the machine; `certificate` and `key` are the client's own."""

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


NO_TLS_FILES = Tls()


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """`[output.mqtt]`.

    `discovery` is Home Assistant's prefix, empty if it shall not find us. `version` is `auto`, `5` or `3.1.1`. `every`
    is the shortest time in seconds between two states of one device. `record_every` 0 means that no samples go through
    the outbox at QoS 1. `victron` offers the topics of a GX under the portal id `portal`.
    """

    host: str
    port: int
    encrypted: bool = False
    user: str = ""
    password: Secret = NO_SECRET
    tls: Tls = NO_TLS_FILES
    client_id: str = ""
    prefix: str = "heliobus"
    discovery: str = "homeassistant"
    version: str = "auto"
    every: float = 1.0
    record_every: float = 0.0
    outbox_mb: int = 100
    commands: bool = True
    victron: bool = False
    portal: str = ""


@dataclass(frozen=True, slots=True)
class InfluxConfig:
    """`[[output.influx]]`: one database that takes the line protocol.

    `url` is the base (`http://127.0.0.1:8086`), `api` one of v1, v2, v3. `layout` says how measurements are named;
    without `texts` only numbers are written, for databases that make zeros of texts.
    `every` is the seconds between samples of a device, `outbox_mb` and `outbox_days` bound what waits for the database.
    """

    name: str
    url: str
    api: str = "v1"
    database: str = "heliobus"
    org: str = ""
    user: str = ""
    password: Secret = NO_SECRET
    token: Secret = NO_SECRET
    tls: Tls = NO_TLS_FILES
    layout: str = "native"
    measurement: str = "solar"
    texts: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    every: float = 10.0
    outbox_mb: int = 100
    outbox_days: int = 30


@dataclass(frozen=True, slots=True)
class HistoryConfig:
    """`[output.history]`: the SQLite file (None: in the state directory); days that what is kept (0: for ever)."""

    path: Path | None = None
    every: float = 10.0
    raw_days: int = 30
    minute_days: int = 730
    quarter_days: int = 0
    limit_mb: int = 4096
    commit: float = 60.0


@dataclass(frozen=True, slots=True)
class FilesConfig:
    """`[output.files]`: a row per device and `every` seconds in `folder`; `snapshots` is where the seed's files go."""

    folder: Path | None
    formats: tuple[str, ...] = ("csv",)
    every: float = 60.0
    keep_days: int = 0
    snapshots: Path | None = None


@dataclass(frozen=True, slots=True)
class WebConfig:
    """`[output.web]`: where the HTTP server listens, and whether Prometheus may scrape it."""

    host: str = "127.0.0.1"
    port: int = 8080
    metrics: bool = True


@dataclass(frozen=True, slots=True)
class OutputsConfig:
    """All outputs but Venus; None and empty are off."""

    mqtt: MqttConfig | None = None
    influx: tuple[InfluxConfig, ...] = ()
    history: HistoryConfig | None = None
    files: FilesConfig | None = None
    web: WebConfig | None = None

    @property
    def encrypted(self) -> bool:
        """Whether any of them needs TLS."""
        return (self.mqtt is not None and self.mqtt.encrypted) or any(
            each.url.startswith("https:") for each in self.influx
        )

    def __bool__(self) -> bool:
        return any((self.mqtt, self.influx, self.history, self.files, self.web))


NONE = OutputsConfig()


def outputs(table: Table) -> OutputsConfig:
    """The outputs in the table `[output]`. Raises ConfigError."""
    return OutputsConfig(
        mqtt=_mqtt(table.table("mqtt")) if table.has("mqtt") else None,
        influx=_influxes(table),
        history=_history(table.table("history")) if table.has("history") else None,
        files=_files(table.table("files")) if table.has("files") else None,
        web=_web(table.table("web")) if table.has("web") else None,
    )


def check_topics(source: str, names: Iterable[str]) -> None:
    """Refuse names that make the same topics: which device a command means must not depend on who answers first."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(slug(name), name)
        if other != name:
            raise ConfigError(
                f"{source}: {line(repr(other))} and {line(repr(name))} are both called {slug(name)} in topics of "
                "[output.mqtt]; rename one of them"
            )


def _mqtt(table: Table) -> MqttConfig:
    table.only(
        *("broker", "user", *secret.keys("password"), *TLS_KEYS, "client_id", "prefix", "discovery", "version"),
        *("every", "record_every", "outbox_mb", "commands", "victron", "portal"),
    )
    allowed = '"mqtt://HOST[:PORT]" or "mqtts://HOST[:PORT]"'
    broker = table.text("broker", "mqtt://127.0.0.1", allowed)
    scheme, host, port = _address(table, "broker", broker, {"mqtt": 1883, "mqtts": 8883}, allowed)
    encrypted = scheme == "mqtts"
    return MqttConfig(
        host=host,
        port=port,
        encrypted=encrypted,
        user=table.text("user", ""),
        password=secret.secret(table, "password"),
        tls=_tls(table, encrypted=encrypted),
        client_id=table.text("client_id", ""),
        prefix=_topic(table, "prefix", "heliobus"),
        discovery=_topic(table, "discovery", "homeassistant", empty=True),
        version=table.choice("version", "auto", ("auto", "5", "3.1.1")),
        every=table.seconds("every", 1.0, 0.1, 3600),
        record_every=table.seconds("record_every", 0.0, 0, 86_400),
        outbox_mb=table.integer("outbox_mb", 100, 1, 100_000),
        commands=table.flag("commands", True),
        victron=table.flag("victron", False),
        portal=table.matching("portal", "", r"[0-9a-zA-Z]{0,40}", "letters and digits"),
    )


def _influxes(table: Table) -> tuple[InfluxConfig, ...]:
    found: list[InfluxConfig] = []
    for each in table.one_or_more("influx"):
        sink = _influx(each, "influx" if not found else f"influx-{len(found) + 1}")
        if sink.name in OTHERS or any(other.name == sink.name for other in found):
            raise each.error("name", sink.name, "a name that no other output has: its outbox and account are called so")
        found.append(sink)
    return tuple(found)


def _influx(table: Table, name: str) -> InfluxConfig:
    table.only(
        *("name", "url", "api", "database", "bucket", "org", "user", *secret.keys("password"), *secret.keys("token")),
        *(*TLS_KEYS, "layout", "measurement", "texts", "tags", "every", "outbox_mb", "outbox_days"),
    )
    allowed = '"http://HOST[:PORT]" or "https://HOST[:PORT]"'
    url = table.text("url", "http://127.0.0.1:8086", allowed).rstrip("/")
    scheme, _, _ = _address(table, "url", url, {"http": 8086, "https": 8086}, allowed, path=True)
    api = table.choice("api", "v1", ("v1", "v2", "v3"))
    database = table.text("bucket" if table.has("bucket") else "database", "heliobus")
    layout = table.choice("layout", "native", ("native", "venus", "seed"))
    return InfluxConfig(
        name=table.matching("name", name, NAME, "letters, digits, - and _"),
        url=url,
        api=api,
        database=database,
        org=table.text("org", ""),
        user=table.text("user", ""),
        password=secret.secret(table, "password"),
        token=secret.secret(table, "token"),
        tls=_tls(table, encrypted=scheme == "https"),
        layout=layout,
        measurement=table.text("measurement", "solar"),
        texts=table.flag("texts", True),
        tags=table.pairs("tags"),
        every=table.seconds("every", 10.0, 0.2, 86_400),
        outbox_mb=table.integer("outbox_mb", 100, 1, 100_000),
        outbox_days=table.integer("outbox_days", 30, 1, 3650),
    )


def _history(table: Table) -> HistoryConfig:
    table.only("path", "every", "raw_days", "minute_days", "quarter_days", "limit_mb", "commit")
    return HistoryConfig(
        path=table.path("path"),
        every=table.seconds("every", 10.0, 0.2, 3600),
        raw_days=table.integer("raw_days", 30, 1, 36_500),
        minute_days=table.integer("minute_days", 730, 1, 36_500),
        quarter_days=table.integer("quarter_days", 0, 0, 36_500),
        limit_mb=table.integer("limit_mb", 4096, 10, 1_000_000),
        commit=table.seconds("commit", 60.0, 1, 3600),
    )


def _files(table: Table) -> FilesConfig:
    table.only("folder", "formats", "every", "keep_days", "snapshots")
    allowed = 'an array of "csv" and "jsonl"'
    formats = table.texts("formats", allowed) if table.has("formats") else ("csv",)
    if not formats or not set(formats) <= {"csv", "jsonl"} or len(set(formats)) < len(formats):
        raise table.error("formats", list(formats), allowed)
    folder, snapshots = table.path("folder"), table.path("snapshots")
    if folder is None and snapshots is None:
        raise table.missing("folder", "the path of a directory for a file a day, or snapshots for the newest values")
    return FilesConfig(
        folder,
        formats,
        every=table.seconds("every", 60.0, 1, 86_400),
        keep_days=table.integer("keep_days", 0, 0, 36_500),
        snapshots=snapshots,
    )


def _web(table: Table) -> WebConfig:
    table.only("listen", "metrics")
    allowed = '"ADDRESS:PORT", such as "127.0.0.1:8080"'
    listen = table.matching("listen", "127.0.0.1:8080", r".*:[0-9]+", allowed)
    _, host, port = _address(table, "listen", f"http://{listen}", {"http": 8080}, allowed)
    return WebConfig(host, port, metrics=table.flag("metrics", True))


def _address(
    table: Table, key: str, url: str, ports: Mapping[str, int], allowed: str, *, path: bool = False
) -> tuple[str, str, int]:
    """Scheme, host and port of `url`. Raises ConfigError, which does not show what may be a password."""
    shown = url
    if "@" in url or "?" in url:
        shown, allowed = "…", f"{allowed}; user, password and token have keys of their own"
    try:
        parts = urlsplit(url)
        port = ports[parts.scheme] if parts.port is None else parts.port
    except (ValueError, KeyError):
        raise table.error(key, shown, allowed) from None
    extra = (
        parts.query or parts.fragment or parts.username or parts.password or (parts.path not in ("", "/") and not path)
    )
    if not parts.hostname or extra:
        raise table.error(key, shown, allowed)
    return parts.scheme, parts.hostname, port


def _tls(table: Table, *, encrypted: bool) -> Tls:
    for key in TLS_KEYS:
        if table.has(key) and not encrypted:
            raise table.error(
                key, table.text(key, ""), "nothing without TLS: the address does not begin with mqtts or https"
            )
    if table.has("key") and not table.has("certificate"):
        raise table.missing("certificate", "the path of the client's certificate that belongs to the key")
    return Tls(table.path("ca"), table.path("certificate"), table.path("key"))


def _topic(table: Table, key: str, default: str, *, empty: bool = False) -> str:
    """The beginning of topics: no wildcard, no empty level."""
    pattern = r"[^\s+#/$]+(/[^\s+#/$]+)*"
    return table.matching(key, default, f"({pattern})?" if empty else pattern, "a topic without + # $ and spaces")
