"""The MQTT output: one connection, and everything that uses it."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from heliobus.config.outputs import MqttConfig
from heliobus.model.clock import Clock
from heliobus.outputs.mqtt.accounted import Accounted
from heliobus.outputs.mqtt.announced import Announced
from heliobus.outputs.mqtt.client import TIMING, Client, Timing, leaves
from heliobus.outputs.mqtt.commands import CommandsPart
from heliobus.outputs.mqtt.identity import client_id
from heliobus.outputs.mqtt.session import Part, PublishRefusedError, Session
from heliobus.outputs.mqtt.state import StatePart
from heliobus.outputs.mqtt.topics import OFFLINE, ONLINE, Topics
from heliobus.outputs.sampler import Sampler
from heliobus.outputs.status import Statuses
from heliobus.site import Site

if TYPE_CHECKING:
    from heliobus.outputs.mqtt.victron.part import VictronPart
    from heliobus.outputs.venus.kept import Kept

log = logging.getLogger("heliobus.mqtt")

INTRODUCTION = 4.0
"""Seconds that discovery may take before states are published all the same."""


class MqttOutput:
    """Publishes the site `site_name` as `config` says; what has to be remembered is kept in the directory `state`."""

    name = "mqtt"

    def __init__(
        self,
        config: MqttConfig,
        site_name: str,
        state: Path,
        clock: Clock,
        statuses: Statuses,
        *,
        timing: Timing = TIMING,
    ) -> None:
        self._config = config
        self._site_name = site_name
        self._state = state
        self._clock = clock
        self._statuses = statuses
        self._timing = timing
        self._status = statuses.open(self.name)
        self._kept = _with_portal(config, state) if config.victron else None

    async def run(self, site: Site) -> None:
        """Serve until cancelled."""
        config, topics = self._config, Topics(self._config.prefix, self._site_name)
        accounted = Accounted(self._status, self._clock)
        states = StatePart(site, topics, config.every, Announced(self._state), accounted)
        introduced = _Introduced(states, wanted=bool(config.discovery))
        commands = CommandsPart(site, topics, self._clock) if config.commands else None
        parts: list[Part] = [introduced]
        if config.discovery:
            parts.append(self._home_assistant(topics, site, introduced.refresh))
        if commands is not None:
            parts.append(commands)
        victron = self._victron(site) if config.victron else None
        if victron is not None:
            parts.append(victron)
        identity = config.client_id or client_id(self._site_name, self._state)
        client = Client(config, identity, topics.availability, self._status, self._clock, self._timing)

        async def use(session: Session) -> None:
            # Before anybody believes what the broker has kept from before.
            await states.silence(session)
            await accounted.publish(session, topics.availability, ONLINE, keep=True)
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(_permitted(part, session))

        async def farewell(session: Session) -> None:
            await accounted.publish(session, topics.availability, OFFLINE, keep=True)
            await states.silence(session)

        try:
            async with asyncio.TaskGroup() as group:
                if config.record_every > 0:
                    parts.append(self._record(site, topics, group))
                group.create_task(client.run(use, farewell))
        finally:
            for each in (commands, victron):
                if each is not None:
                    await each.close()

    def _home_assistant(self, topics: Topics, site: Site, refresh: Callable[[], None]) -> Part:
        from heliobus.outputs.mqtt.homeassistant.part import HomeAssistant  # noqa: PLC0415  only who wants it pays

        return HomeAssistant(self._config, topics, site, self._site_name, refresh)

    def _victron(self, site: Site) -> "VictronPart":
        from heliobus.outputs.mqtt.victron.part import VictronPart  # noqa: PLC0415  only who wants it pays

        return VictronPart(self._config, site, self._state, self._clock, self._site_name)

    def _record(self, site: Site, topics: Topics, group: asyncio.TaskGroup) -> Part:
        """Samples go into the outbox from now on, and from there to the part that is returned."""
        from heliobus.outputs.mqtt import samples  # noqa: PLC0415  only who wants it pays

        part = samples.SamplesPart()
        config, status = self._config, self._statuses.open(samples.NAME)
        sampler = Sampler(site, config.record_every)
        group.create_task(part.record(sampler, topics, self._state, config.outbox_mb, self._clock, status))
        return part


class _Introduced:
    """Has states published once discovery has told what they belong to. Implements `Part`."""

    def __init__(self, states: StatePart, *, wanted: bool) -> None:
        self._states = states
        self._wanted = wanted
        self._told = asyncio.Event()

    def refresh(self) -> None:
        """Discovery has told all it has: publish everything (again)."""
        self._told.set()
        self._states.refresh()

    async def run(self, session: Session) -> None:
        """Publish states while the connection lasts."""
        if self._wanted:
            self._told.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(INTRODUCTION):
                    await self._told.wait()
        await self._states.run(session)


def _with_portal(config: MqttConfig, state: Path) -> "Kept":
    """What is kept in `state`: while it is held on to, all outputs that ask for the portal id get that of `config`."""
    from heliobus.outputs.venus.kept import kept  # noqa: PLC0415  only who wants it pays

    found = kept(state)
    found.portal(config.portal)
    return found


async def _permitted(part: Part, session: Session) -> None:
    """A part that the broker does not let work is left out."""
    try:
        await part.run(session)
    except* PublishRefusedError as refused:
        log.warning("%s does not work: %s; see the broker's rules", type(part).__name__, next(leaves(refused)))
