"""Samples into one database, through an outbox that outlasts its absence."""

import asyncio
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from heliobus.config.outputs import InfluxConfig
from heliobus.model.clock import Clock
from heliobus.outputs.influx.clock_care import ClockCare
from heliobus.outputs.influx.layouts import layout
from heliobus.outputs.influx.lines import Row, lines
from heliobus.outputs.influx.sink import InfluxSink
from heliobus.outputs.outbox import Forwarder, Outbox, Pace, Record, opened
from heliobus.outputs.sampler import Sampler
from heliobus.outputs.status import Statuses
from heliobus.site import Site

MEGABYTE = 1_000_000
DAY = 86_400
PACE = Pace()


class InfluxOutput:
    """One `[[output.influx]]`: its outbox lies in `outbox/<name>` of the state directory."""

    def __init__(
        self, config: InfluxConfig, site_name: str, state: Path, clock: Clock, statuses: Statuses, *, pace: Pace = PACE
    ) -> None:
        self.name = config.name
        self._config = config
        self._site_name = site_name
        self._state = state
        self._clock = clock
        self._status = statuses.open(config.name)
        self._pace = pace

    async def run(self, site: Site) -> None:
        """Sample, keep and forward until cancelled."""
        outbox = Outbox(
            self._state / "outbox" / self.name,
            limit_bytes=self._config.outbox_mb * MEGABYTE,
            keep_seconds=self._config.outbox_days * DAY,
            clock=self._clock,
            status=self._status,
        )
        await opened(outbox)
        sink = InfluxSink(self._config)
        forwarder = Forwarder(outbox, sink, name=self.name, pace=self._pace)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(forwarder.run())
                both.create_task(self._keep(site, outbox))
        finally:
            await sink.close()
            await outbox.close()

    async def _keep(self, site: Site, outbox: Outbox) -> None:
        """Put every sample into the outbox."""
        rows = layout(self._config, self._site_name, site, self._state)
        care = ClockCare(self._clock, self._status)
        async for samples in Sampler(site, self._config.every).samples():
            found = list(records(care.passed(rows(samples))))
            if found:
                await outbox.put(found)


def records(rows: list[Row]) -> Iterator[Record]:
    """Rows of one moment are one record; where nothing was measured there is none."""
    for time, each in groupby(rows, key=lambda row: row.time):
        content = lines(each)
        if content:
            yield Record(time, content)
