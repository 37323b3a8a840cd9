"""Keeps a connection to the broker: connects, has it used, and connects again, for ever."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from heliobus.config.outputs import MqttConfig
from heliobus.config.secret import SecretError
from heliobus.model.clock import Clock
from heliobus.outputs.daemon_thread import apart
from heliobus.outputs.mqtt.connection import Connection, Settings, UnspokenVersionError, connect
from heliobus.outputs.mqtt.paho_client import MQTT_3_1_1, MQTT_5
from heliobus.outputs.mqtt.session import ConnectionLostError, PublishRefusedError, Session
from heliobus.outputs.status import OutputStatus

log = logging.getLogger("heliobus.mqtt")

MOST_REASONS = 10
FAREWELL = 1.0
"""Seconds that the last messages may take when the daemon ends."""

Use = Callable[[Session], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Timing:
    """In seconds: how long to wait before the next try (any time up to a bound that doubles from `first` to `longest`).

    `calm` is how long a connection has to last for that to begin anew, `patience` how long an answer may take.
    """

    first: float = 1.0
    longest: float = 60.0
    calm: float = 30.0
    patience: float = 10.0
    keepalive: int = 30


TIMING = Timing()


class Client:
    """The connection to the broker of `config`. `will` is the topic on which the broker says `offline` for us."""

    def __init__(
        self, config: MqttConfig, client_id: str, will: str, status: OutputStatus, clock: Clock, timing: Timing = TIMING
    ) -> None:
        self._config = config
        self._client_id = client_id
        self._will = will
        self._status = status
        self._clock = clock
        self._timing = timing
        self._bound = timing.first
        self._old_broker = False
        self._told: set[str] = set()
        self._where = f"{'mqtts' if config.encrypted else 'mqtt'}://{config.host}:{config.port}"

    async def run(self, use: Use, farewell: Use) -> None:
        """Have each connection used by `use` until cancelled; `farewell` says the last words on it then."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                try:
                    connection = await self._connected()
                except ConnectionLostError as error:
                    self._failed(f"cannot connect to {self._where}", str(error))
                else:
                    await self._used(connection, use, farewell)
                    if loop.time() - began > self._timing.calm:
                        self._bound = self._timing.first
                await asyncio.sleep(random.uniform(0, self._bound))
                self._bound = min(2 * self._bound, self._timing.longest)
        finally:
            self._status.connected = False

    async def _connected(self) -> Connection:
        """A new connection, with the newest version of MQTT that the broker speaks. Raises ConnectionLostError."""
        if self._config.version != "auto":
            return await self._connect(MQTT_5 if self._config.version == "5" else MQTT_3_1_1)
        if self._old_broker:
            self._old_broker = False
            connection = await self._connect(MQTT_3_1_1)
            self._old_broker = True
            return connection
        try:
            return await self._connect(MQTT_5)
        except UnspokenVersionError as error:
            connection = await self._connect(MQTT_3_1_1)
            # Who only hung up may have been starting or ending: then MQTT 5 is tried first again next time.
            self._old_broker = error.sure
            return connection

    async def _connect(self, version: int) -> Connection:
        config, timing = self._config, self._timing
        try:
            # A file may be on a disk that hangs.
            password = await apart(config.password.reveal)
        except SecretError as error:
            raise ConnectionLostError(f"password: {error}") from None
        return await connect(
            Settings(
                host=config.host,
                port=config.port,
                version=version,
                client_id=self._client_id,
                will=self._will,
                tls=config.tls if config.encrypted else None,
                user=config.user,
                password=password,
                keepalive=timing.keepalive,
                patience=timing.patience,
            )
        )

    async def _used(self, connection: Connection, use: Use, farewell: Use) -> None:
        self._status.connected, self._status.last_error = True, ""
        self._status.last_success = self._clock.time()
        self._told.clear()
        log.info("connected to %s with %s", self._where, connection.version)
        said = False
        try:
            why = await _end_of(connection, use)
        except asyncio.CancelledError:
            said = await _last_words(connection, farewell)
            raise
        finally:
            self._status.connected = False
            if not said:
                # An orderly end would have the broker forget to say `offline` for us.
                connection.abort()
            await connection.close()
        self._failed(f"lost {self._where}", why)

    def _failed(self, what: str, why: str) -> None:
        self._status.connected = False
        self._status.errors += 1
        self._status.last_error = why
        # The same reason again and again is one line.
        if why not in self._told and len(self._told) < MOST_REASONS:
            self._told.add(why)
            log.warning("%s: %s; trying again, ever more rarely up to every %g s", what, why, self._timing.longest)


async def _end_of(connection: Connection, use: Use) -> str:
    """Have `connection` used until it is gone; returns why. What is no fault of the broker passes.

    No task group: before Python 3.13 it forgets that it was cancelled when one of its tasks fails at the same moment.
    """
    tasks = (asyncio.create_task(connection.watch()), asyncio.create_task(use(connection)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    failures = [failure for end in ends for failure in leaves(end) if not isinstance(failure, asyncio.CancelledError)]
    for failure in failures:
        if not isinstance(failure, ConnectionLostError | PublishRefusedError):
            raise failure
    return str(failures[0])


def leaves(end: BaseException | None) -> Iterator[BaseException]:
    """The single failures of which `end` consists."""
    if isinstance(end, BaseExceptionGroup):
        for each in end.exceptions:
            yield from leaves(each)
    elif end is not None:
        yield end


async def _last_words(connection: Connection, farewell: Use) -> bool:
    """Whether they were said."""
    try:
        async with asyncio.timeout(FAREWELL):
            await farewell(connection)
    except (ConnectionLostError, PublishRefusedError, TimeoutError) as error:
        log.debug("no good-bye: %s", error)
        return False
    return True
