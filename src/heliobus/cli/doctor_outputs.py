"""What `heliobus doctor` looks at beyond Venus OS: broker, databases, folders and the port of the web server."""

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator
from pathlib import Path

from heliobus.cli.doctor_finding import Finding, ok, problem, warning
from heliobus.cli.doctor_machine import folder
from heliobus.config import Config
from heliobus.config.outputs import InfluxConfig, MqttConfig, WebConfig
from heliobus.config.secret import SecretError

PATIENCE = 10.0
PASSIVE = b"# heliobus doctor"
"""A comment in the line protocol: the database looks at user, rights and name as for a sample, and stores nothing."""
ELSEWHERE = "the daemon may have it all the same, if it runs as another user or in another environment"
PACKAGES = {"mqtt": "paho", "influx": "aiohttp", "web": "aiohttp"}


async def outputs(settings: Config, *, served: bool) -> AsyncIterator[Finding]:
    """A finding about each output but Venus; `served`: the daemon runs, and so has its port and its files."""
    wanted = settings.outputs
    if wanted.mqtt is not None:
        yield _missing("mqtt") or await _broker(wanted.mqtt, settings.site.name)
    for influx in wanted.influx:
        yield _missing("influx") or await _database(influx)
    if wanted.history is not None:
        yield _history(wanted.history.path or settings.site.state / "history.db")
    if wanted.files is not None:
        for path in (wanted.files.folder, wanted.files.snapshots):
            if path is not None:
                yield _folder("files", path)
    if wanted.web is not None:
        yield _missing("web") or await _port(wanted.web, served=served)


def _missing(output: str) -> Finding | None:
    package = PACKAGES[output]
    if importlib.util.find_spec(package) is not None:
        return None
    return problem(f"{output}: {package} is not installed", f"pip install 'heliobus[{output}]'")


async def _broker(config: MqttConfig, site: str) -> Finding:
    from heliobus.outputs.mqtt.connection import Settings, UnspokenVersionError, connect  # noqa: PLC0415  brings paho
    from heliobus.outputs.mqtt.paho_client import MQTT_3_1_1, MQTT_5  # noqa: PLC0415  with paho-mqtt
    from heliobus.outputs.mqtt.session import ConnectionLostError  # noqa: PLC0415  with paho-mqtt
    from heliobus.outputs.mqtt.topics import Topics  # noqa: PLC0415  with paho-mqtt

    where = f"mqtt{'s' if config.encrypted else ''}://{config.host}:{config.port}"
    try:
        password = config.password.reveal()
    except SecretError as error:
        return warning(f"mqtt: no password: {error}", ELSEWHERE)
    versions = {"5": (MQTT_5,), "3.1.1": (MQTT_3_1_1,)}.get(config.version, (MQTT_5, MQTT_3_1_1))
    why = ""
    for version in versions:
        try:
            connection = await connect(
                Settings(
                    host=config.host,
                    port=config.port,
                    version=version,
                    client_id=f"heliobus-doctor-{os.getpid()}",
                    will=f"{Topics(config.prefix, site).base}/doctor",
                    tls=config.tls if config.encrypted else None,
                    user=config.user,
                    password=password,
                    patience=PATIENCE,
                )
            )
        except UnspokenVersionError as error:
            why = str(error)
        except ConnectionLostError as error:
            why = str(error)
            break
        else:
            said = connection.version
            await connection.close()
            return ok(f"mqtt: {where} lets us in, with {said}")
    return problem(f"mqtt: {where}: {why}", "start it, or correct [output.mqtt]")


async def _database(config: InfluxConfig) -> Finding:
    from heliobus.outputs.influx.sink import InfluxSink  # noqa: PLC0415  brings aiohttp
    from heliobus.outputs.outbox import Record, SinkAwayError, SinkRefusedError  # noqa: PLC0415  with aiohttp

    try:
        config.password.reveal(), config.token.reveal()
    except SecretError as error:
        return warning(f"{config.name}: no access to {config.url}: {error}", ELSEWHERE)
    sink = InfluxSink(config)
    try:
        async with asyncio.timeout(PATIENCE):
            await sink.send([Record(0, PASSIVE)])
    except SinkAwayError as error:
        why = str(error)
    except TimeoutError:
        why = f"{config.url}: no answer within {PATIENCE:g} s"
    except SinkRefusedError:
        # That a comment alone is not enough for it is what a database says when all else is well.
        return ok(f"{config.name}: {config.url} answers")
    else:
        return ok(f"{config.name}: {config.url} takes what we write to {config.database!r}")
    finally:
        await sink.close()
    return problem(f"{config.name}: {why}", "until then samples wait in the outbox")


def _history(file: Path) -> Finding:
    if importlib.util.find_spec("_sqlite3") is None:
        return problem("history: this Python has no sqlite3", "remove [output.history]")
    if file.exists() and not os.access(file, os.W_OK):
        return problem(f"history: this user may not write to {file}", "run as the user of the daemon")
    return _folder("history", file.parent)


def _folder(output: str, path: Path) -> Finding:
    return folder(f"{output}: {path}", path, f"correct [output.{output}]")


async def _port(config: WebConfig, *, served: bool) -> Finding:
    where = f"http://{f'[{config.host}]' if ':' in config.host else config.host}:{config.port}/"
    try:
        if served:
            _, writer = await asyncio.wait_for(asyncio.open_connection(_near(config.host), config.port), PATIENCE)
            writer.close()
            return ok(f"web: {where} takes connections")
        server = await asyncio.start_server(lambda _, writer: writer.close(), config.host, config.port)
        server.close()
    except (OSError, TimeoutError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "no answer"
        if served:
            return problem(f"web: the daemon runs, but nobody answers at {where} ({why})", "see its log")
        return problem(f"web: {where}: {why}", "set another port in [output.web], or end the program that has it")
    return ok(f"web: {where} is free")


def _near(host: str) -> str:
    """Where a server that listens on `host` is to be reached from the machine itself."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
