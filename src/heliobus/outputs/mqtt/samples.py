"""Samples for databases behind a broker: through the outbox, so that none is lost while the broker is away."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from heliobus.model.clock import Clock
from heliobus.outputs.mqtt import values
from heliobus.outputs.mqtt.moment import iso
from heliobus.outputs.mqtt.session import ConnectionLostError, PublishRefusedError, Session
from heliobus.outputs.mqtt.topics import Topics
from heliobus.outputs.outbox import Forwarder, Outbox, Pace, Record, SinkAwayError, SinkRefusedError, opened
from heliobus.outputs.sampler import Sample, Sampler
from heliobus.outputs.status import OutputStatus

NAME = "mqtt-samples"
FOLDER = "outbox-mqtt"
KEPT = 30 * 86_400.0
SEPARATOR = b"\n"
"""Between topic and payload of a record; neither has one."""
PASSING = frozenset({"Quota exceeded"})
"""Refusals that are not about the message: it is taken later."""
PACE = Pace(records=100)
"""Each record is confirmed by itself, so few at a time: what was sent but not confirmed is sent twice."""


def record(topics: Topics, sample: Sample) -> Record:
    """What the outbox keeps of `sample`: its topic and a JSON object with `time` and every point of the device."""
    shown = {name: values.shown(point, sample.values.get(name)) for name, point in sample.device.points.items()}
    payload = values.encoded({"time": iso(sample.time / 1000), **shown})
    return Record(sample.time, topics.sample(sample.device).encode() + SEPARATOR + payload)


class SamplesPart:
    """Publishes records at QoS 1. Implements `Part` and, for the outbox, `Sink`."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._retry: Callable[[], None] | None = None

    async def run(self, session: Session) -> None:
        """Lend the connection to the outbox while it lasts."""
        self._session = session
        if self._retry is not None:
            self._retry()
        try:
            await asyncio.Event().wait()
        finally:
            self._session = None

    async def send(self, records: Sequence[Record]) -> None:
        """Return when the broker has all of `records`. Raises SinkAwayError, SinkRefusedError."""
        session = self._session
        if session is None:
            raise SinkAwayError("there is no connection to the broker")
        # Together, but each begun in its turn: a broker keeps the order of what one client sends.
        answers = await asyncio.gather(*(_publish(session, each) for each in records), return_exceptions=True)
        failures = [each for each in answers if isinstance(each, BaseException)]
        for failure in failures:
            if isinstance(failure, ConnectionLostError):
                raise SinkAwayError(str(failure)) from failure
        for failure in failures:
            if isinstance(failure, PublishRefusedError):
                if str(failure) in PASSING:
                    raise SinkAwayError(str(failure)) from failure
                raise SinkRefusedError(str(failure)) from failure
            raise failure

    async def record(
        self, sampler: Sampler, topics: Topics, state: Path, limit_mb: int, clock: Clock, status: OutputStatus
    ) -> None:
        """Put every sample into the outbox and bring it to the broker, until cancelled."""
        limit = limit_mb * 1_000_000
        outbox = Outbox(state / FOLDER, limit_bytes=limit, keep_seconds=KEPT, clock=clock, status=status)
        await opened(outbox)
        forwarder = Forwarder(outbox, self, name=NAME, pace=PACE)
        self._retry = forwarder.retry_now
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(forwarder.run())
                group.create_task(_collect(sampler, topics, outbox))
        finally:
            self._retry = None
            await outbox.close()


async def _collect(sampler: Sampler, topics: Topics, outbox: Outbox) -> None:
    async for samples in sampler.samples():
        timed = [each for each in samples if each.timed]
        outbox.status.dropped += len(samples) - len(timed)
        await outbox.put([record(topics, each) for each in timed])


async def _publish(session: Session, each: Record) -> None:
    topic, _, payload = each.content.partition(SEPARATOR)
    await session.publish(topic.decode(), payload, qos=1)
