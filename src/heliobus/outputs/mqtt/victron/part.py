"""Victron's topics as a part of the MQTT output: keep-alive, reads, writes, changes. Source: venus.md §6."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from heliobus.config.outputs import MqttConfig
from heliobus.model.clock import Clock
from heliobus.outputs.mqtt.session import ConnectionLostError, Message, PublishRefusedError, Session
from heliobus.outputs.mqtt.victron import payload
from heliobus.outputs.mqtt.victron.services import SERIAL, Publication, Services
from heliobus.outputs.venus.commands import Commands
from heliobus.outputs.venus.kept import kept
from heliobus.site import Mailbox, Site

ORIGIN = "mqtt"
KEEP_ALIVE = 60.0
"""Seconds that one keep-alive lasts."""
HEARTBEAT = 3.0
BETWEEN_FULL = 1 / 3
"""Seconds from one full publication to the next, however many ask for one."""
MOST_ECHOES = 100
PARTING = 1.0
"""Seconds to say that all devices are gone."""

log = logging.getLogger(__name__)


class VictronPart:
    """The tree of a GX below the portal id. `name` is what the installation is called. Implements `Part`."""

    def __init__(self, config: MqttConfig, site: Site, state: Path, clock: Clock, name: str = "") -> None:
        self._config = config
        self._site = site
        self._clock = clock
        self._name = name
        self._kept = kept(state)
        self.portal = self._kept.portal(config.portal)
        # A command goes on when the connection goes: half a command is worse than one nobody waits for.
        self._commands = Commands(site, ORIGIN)

    async def run(self, session: Session) -> None:
        """Serve while the connection lasts. Raises ConnectionLostError, PublishRefusedError if it may not subscribe."""
        wake = asyncio.Event()
        services = Services(self._kept, self._commands, self.portal, self._name, wake.set)
        connection = _Connection(session, self.portal, services, wake, self._clock, self._config)
        mailbox = self._site.subscribe()
        try:
            await connection.serve(mailbox)
        except BaseExceptionGroup as group:
            lost, others = group.split(ConnectionLostError)
            if lost is None or others is not None:
                raise
            raise ConnectionLostError(str(_first(lost))) from group
        finally:
            self._site.unsubscribe(mailbox)
            await connection.part()

    async def close(self) -> None:
        """End the commands that are still under way."""
        await self._commands.close()


class _Connection:
    """One connection while it lasts: nothing is published but the serial until somebody keeps it alive."""

    def __init__(
        self,
        session: Session,
        portal: str,
        services: Services,
        wake: asyncio.Event,
        clock: Clock,
        config: MqttConfig,
    ) -> None:
        self._session = session
        self._portal = portal
        self._services = services
        self._wake = wake
        self._clock = clock
        self._pace = config.every
        self._writable = config.commands
        self._alive_until = 0.0
        self._alive = asyncio.Event()
        self._everything = asyncio.Event()
        self._echoes: list[str | None] = []
        self._sending = asyncio.Lock()
        self._refused = False

    async def serve(self, mailbox: Mailbox) -> None:
        """Serve until the connection is lost."""
        filters = [f"R/{self._portal}/#", *([f"W/{self._portal}/#"] if self._writable else [])]
        inbox = await self._session.subscribe(*filters)
        await self._send(((SERIAL, payload.of_value(self._portal)),), retain=True)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(mailbox))
            tasks.create_task(self._listen(inbox))
            tasks.create_task(self._publish_news())
            tasks.create_task(self._publish_everything())
            tasks.create_task(self._beat())

    async def part(self) -> None:
        """Take all devices away, if anybody looks."""
        gone = self._services.close()
        if not self._listened_to():
            return
        with suppress(ConnectionLostError, TimeoutError):
            async with asyncio.timeout(PARTING):
                await self._send(gone)

    async def _follow(self, mailbox: Mailbox) -> None:
        while True:
            for update in await mailbox.get():
                self._services.show(update)

    async def _publish_news(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            async with self._sending:
                if self._listened_to():
                    await self._send(self._services.news())
                else:
                    self._services.skip_news()
            await asyncio.sleep(self._pace)

    async def _publish_everything(self) -> None:
        while True:
            await self._everything.wait()
            self._everything.clear()
            async with self._sending:
                echoes, self._echoes = self._echoes, []
                await self._send(self._services.all())
                for echo in echoes:
                    await self._send((("full_publish_completed", payload.completed(self._clock.time(), echo)),))
            await asyncio.sleep(BETWEEN_FULL)

    async def _beat(self) -> None:
        while True:
            await self._alive.wait()
            if not self._listened_to():
                self._alive.clear()
                continue
            await self._send((("heartbeat", payload.of_value(int(self._clock.time()))),))
            await asyncio.sleep(HEARTBEAT)

    async def _listen(self, inbox: "asyncio.Queue[Message]") -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await inbox.get()
            kind, _, topic = message.topic.partition(f"/{self._portal}/")
            # What a broker had kept is old, also if it is a command.
            if message.retain or message.expires < loop.time() or not topic:
                continue
            if kind == "W":
                self._write(topic, message.payload)
            elif topic in ("keepalive", SERIAL):
                self._keep_alive(payload.keep_alive(message.payload))
            else:
                async with self._sending:
                    await self._send(self._services.below(topic))

    def _write(self, topic: str, content: bytes) -> None:
        try:
            answer = self._services.write(topic, payload.written(content))
        except payload.NotAWriteError as error:
            log.debug("%s: %s", topic, error)
            return
        log.debug("%s: written, answer %d", topic, answer)

    def _keep_alive(self, wish: payload.KeepAlive) -> None:
        # Who comes first has seen nothing of this connection, whatever he believes to know.
        if wish.everything or not self._listened_to():
            if len(self._echoes) < MOST_ECHOES and wish.echo not in self._echoes:
                self._echoes.append(wish.echo)
            self._everything.set()
        self._alive_until = asyncio.get_running_loop().time() + KEEP_ALIVE
        self._alive.set()

    def _listened_to(self) -> bool:
        return asyncio.get_running_loop().time() < self._alive_until

    async def _send(self, publications: Iterable[Publication], *, retain: bool = False) -> None:
        for topic, content in publications:
            try:
                await self._session.publish(f"N/{self._portal}/{topic}", content, retain=retain)
            except PublishRefusedError as error:
                if not self._refused:
                    log.warning("the broker refuses N/%s/%s: %s", self._portal, topic, error)
                self._refused = True


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
