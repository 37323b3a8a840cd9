"""A simulated fleet's broker."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import unquote, urlsplit

from heliobus.cli.fleet_load import PATIENCE, Store, StoreError
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config.outputs import NO_TLS_FILES
from heliobus.config.secret import Secret, SecretError
from heliobus.outputs.mqtt.connection import Connection, Settings, connect
from heliobus.outputs.mqtt.paho_client import MQTT_5
from heliobus.outputs.mqtt.samples import SEPARATOR, record
from heliobus.outputs.mqtt.session import ConnectionLostError, PublishRefusedError, Session
from heliobus.outputs.mqtt.topics import Topics
from heliobus.outputs.sampler import Sample
from heliobus.sim.fleet import FleetSite

PORTS = {"mqtt": 1883, "mqtts": 8883}


@asynccontextmanager
async def broker(url: str, secret: Secret, prefix: str, connections: int) -> AsyncIterator[Store]:
    """Publishes each device's sample at QoS 1 on its own topic, over `connections` clients of MQTT 5.

    `secret` is the password of the user in the URL. Raises WrongUse for an impossible URL, Problem where the broker or
    the password cannot be had.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        host, port = None, 0
    if host is None or parts.password is not None:
        # Everybody on the machine may see a command's words.
        raise WrongUse('--mqtt takes "mqtt://[USER@]HOST[:PORT]" or mqtts://…; --token-env names the password')
    try:
        password = secret.reveal()
    except SecretError as error:
        raise Problem(str(error)) from None
    sessions: list[Connection] = []
    try:
        for number in range(1, connections + 1):
            name = f"heliobus-sim-fleet-{os.getpid()}-{number}"
            settings = Settings(
                host,
                port,
                MQTT_5,
                name,
                f"{prefix}/{name}/availability",
                NO_TLS_FILES if parts.scheme == "mqtts" else None,
                unquote(parts.username or ""),
                password,
                patience=PATIENCE,
            )
            sessions.append(await connect(settings))
        yield _Broker(sessions, prefix)
    except ConnectionLostError as error:
        raise Problem(f"{host}:{port}: {error}") from None
    finally:
        for session in sessions:
            await session.close()


class _Broker:
    """A site keeps to one connection, so that its samples stay in order."""

    def __init__(self, sessions: Sequence[Session], prefix: str) -> None:
        self._sessions = sessions
        self._prefix = prefix

    async def send(self, site: FleetSite, samples: Sequence[Sample]) -> int:
        topics = Topics(self._prefix, site.name)
        session = self._sessions[site.number % len(self._sessions)]
        contents = [record(topics, sample).content.partition(SEPARATOR) for sample in samples]
        try:
            await asyncio.gather(*(session.publish(topic.decode(), said, qos=1) for topic, _, said in contents))
        except (PublishRefusedError, ConnectionLostError) as error:
            raise StoreError(str(error)) from None
        return sum(len(topic) + len(said) for topic, _, said in contents)
