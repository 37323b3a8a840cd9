"""What the server shows: a page that says what there is, health, and metrics."""

import html
import json

from aiohttp import web

from heliobus import __version__
from heliobus.model.clock import Clock
from heliobus.model.device import Device
from heliobus.outputs.prometheus.exposition import OPEN_METRICS, TEXT, render, wants_open_metrics
from heliobus.outputs.prometheus.scrape import scrape
from heliobus.outputs.status import OutputStatus, Statuses
from heliobus.site import Site

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
<p>Heliobus {version}</p>
<ul>
{links}
</ul>
</body>
</html>
"""


class Pages:
    """The routes that every server has."""

    def __init__(self, site: Site, site_name: str, statuses: Statuses, clock: Clock, *, metrics: bool) -> None:
        self._site = site
        self._site_name = site_name
        self._statuses = statuses
        self._clock = clock
        self._metrics = metrics

    def routes(self) -> web.RouteTableDef:
        """The page, /healthz and, if it is wanted, /metrics."""
        table = web.RouteTableDef()
        table.get("/")(self.front)
        table.get("/healthz")(self.health)
        if self._metrics:
            table.get("/metrics")(self.metrics)
        return table

    async def front(self, _: web.Request) -> web.Response:
        """A plain page that links to the others."""
        links = {"/healthz": "How devices and outputs are doing"}
        if self._metrics:
            links["/metrics"] = "Metrics for Prometheus"
        items = "\n".join(f'<li><a href="{path}">{html.escape(text)}</a></li>' for path, text in links.items())
        page = PAGE.format(title=html.escape(self._site_name or "Heliobus"), version=__version__, links=items)
        return web.Response(text=page, content_type="text/html")

    async def health(self, _: web.Request) -> web.Response:
        """JSON: version, devices with health and age of their newest answer in seconds, outputs. 200 while we live."""
        document = {
            "version": __version__,
            "site": self._site_name,
            "devices": [self._device(device) for device in self._site.devices],
            "outputs": [_output(status) for status in self._statuses],
        }
        return web.Response(text=json.dumps(document, indent=2) + "\n", content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        """The metrics, in the format the client likes best."""
        open_metrics = wants_open_metrics(",".join(request.headers.getall("Accept", [])))
        page = render(scrape(self._site, self._site_name, self._statuses), open_metrics=open_metrics)
        return web.Response(body=page, headers={"Content-Type": OPEN_METRICS if open_metrics else TEXT})

    def _device(self, device: Device) -> dict[str, object]:
        reading = self._site.reading(device.name)
        known = reading is not None and reading.time > 0
        return {
            "name": device.name,
            "label": device.label,
            "key": device.key,
            "model": device.identity.model,
            "health": "unknown" if reading is None else reading.health.value,
            # A clock that was set back must not make an answer come from the future.
            "age": max(0.0, round(self._clock.time() - reading.time, 1)) if reading is not None and known else None,
        }


def _output(status: OutputStatus) -> dict[str, object]:
    return {
        "name": status.name,
        "connected": status.connected,
        "waiting": status.waiting,
        "dropped": status.dropped,
        "last_error": status.last_error,
    }
