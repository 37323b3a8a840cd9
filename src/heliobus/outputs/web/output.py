"""The HTTP server as an output of the site."""

import asyncio
import logging
from collections.abc import Iterable

from aiohttp import web

from heliobus.config.outputs import WebConfig
from heliobus.model.clock import Clock, SystemClock
from heliobus.outputs.status import Statuses
from heliobus.outputs.web import pages
from heliobus.outputs.web.door import Limits, NotOurs, furnish, names_check, open_door
from heliobus.site import Site

log = logging.getLogger("heliobus.web")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LONGEST_BODY = 64 * 1024


class WebOutput:
    """Serves `routes` and what pages.py has, on the address of `config`. `address` is where, once it does."""

    name = "web"

    def __init__(
        self,
        config: WebConfig,
        site_name: str,
        statuses: Statuses,
        clock: Clock | None = None,
        *,
        routes: Iterable[web.RouteTableDef] = (),
        limits: Limits | None = None,
    ) -> None:
        self._config = config
        self._site_name = site_name
        self._statuses = statuses
        self._status = statuses.open(self.name)
        self._clock = clock or SystemClock()
        self._routes = tuple(routes)
        self._limits = limits or Limits()
        self._listening = asyncio.Event()
        self.address = ("", 0)

    async def run(self, site: Site) -> None:
        """Serve until cancelled; an address that is taken is tried again, with one line in the log."""
        runner = web.AppRunner(
            self._application(site),
            access_log=None,
            logger=_client_log(),
            keepalive_timeout=self._limits.longest,
            lingering_time=0,
            auto_decompress=False,
            shutdown_timeout=1.0,
        )
        await runner.setup()
        pause = FIRST_PAUSE
        try:
            while True:
                try:
                    await self._serve(runner)
                except OSError as error:
                    self._complain(error)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._status.connected = False
            self._listening.clear()
            await runner.cleanup()

    async def listening(self) -> tuple[str, int]:
        """Where it listens; waits until it does."""
        await self._listening.wait()
        return self.address

    def _application(self, site: Site) -> web.Application:
        check = names_check(self._config.host)
        application = web.Application(
            middlewares=() if check is None else (check,), client_max_size=LONGEST_BODY, logger=log
        )
        application.on_response_prepare.append(furnish)
        shown = pages.Pages(site, self._site_name, self._statuses, self._clock, metrics=self._config.metrics)
        for table in (shown.routes(), *self._routes):
            application.add_routes(table)
        return application

    async def _serve(self, runner: web.AppRunner) -> None:
        async with open_door(runner, self._config.host, self._config.port, self._limits) as listener:
            self.address = listener.sockets[0].getsockname()[:2]
            log.info("web: serving http://%s", _endpoint(*self.address))
            self._status.connected, self._status.last_error = True, ""
            self._listening.set()
            await asyncio.Event().wait()

    def _complain(self, error: OSError) -> None:
        why = error.strerror or str(error)
        self._status.errors += 1
        self._status.connected = False
        if why != self._status.last_error:
            self._status.last_error = why
            endpoint = _endpoint(self._config.host, self._config.port)
            log.error("web: cannot listen on %s: %s; trying again until it can", endpoint, why)


def _client_log() -> logging.Logger:
    found = logging.getLogger("heliobus.web.clients")
    if not found.filters:
        found.addFilter(NotOurs())
    return found


def _endpoint(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
