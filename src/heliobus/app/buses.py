"""The buses of a site: one to each tty or TCP endpoint, however many devices are on it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from heliobus.app.lock import StartError
from heliobus.supervise import supervise
from heliobus.wire.address import LinkAddress
from heliobus.wire.bus import Bus
from heliobus.wire.link import LinkBusy


@dataclass(slots=True)
class SharedBus:
    """A bus at `endpoint` with the task that owns its link and the number of devices on it."""

    endpoint: str
    bus: Bus
    task: asyncio.Task[None]
    users: int = 0


class Buses:
    """Makes a bus with `make` for the first device at an endpoint, and ends it with the last one."""

    def __init__(self, make: Callable[[LinkAddress], Bus]) -> None:
        self._make = make
        self._buses: dict[str, SharedBus] = {}

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks that own the links."""
        return [shared.task for shared in self._buses.values()]

    async def claim(self, links: Iterable[LinkAddress]) -> None:
        """Open the ttys among `links` before anything else happens. Raises StartError, and then none is kept.

        One that is not there is no mistake: its adapter may be plugged in later.
        """
        for link in links:
            if link.kind != "serial" or link.endpoint in self._buses:
                continue
            try:
                await self._at(link).bus.claim()
            except LinkBusy:
                for shared in self._buses.values():
                    shared.bus.close()
                from heliobus.wire.holder import holder_of  # noqa: PLC0415  only for this line

                holder = holder_of(link.path)
                who = f"another program, {holder}" if holder else "another program"
                raise StartError(
                    f"{link.path} is in use by {who}: stop that program or take this tty out of the config"
                ) from None

    def join(self, link: LinkAddress, unit: int) -> SharedBus:
        """The bus at the link's endpoint, on which `unit` is spoken to as the link says."""
        shared = self._at(link)
        shared.users += 1
        settings = link.settings
        if settings is not None:
            shared.bus.tune(unit, settings)
        return shared

    def leave(self, shared: SharedBus) -> None:
        """A device is not asked any more."""
        shared.users -= 1
        if not shared.users:
            del self._buses[shared.endpoint]
            shared.task.cancel()

    def _at(self, link: LinkAddress) -> SharedBus:
        endpoint = link.endpoint
        shared = self._buses.get(endpoint)
        if shared is None:
            bus = self._make(link)
            task = asyncio.create_task(supervise(bus.name, bus.run))
            shared = self._buses[endpoint] = SharedBus(endpoint, bus, task)
        return shared
