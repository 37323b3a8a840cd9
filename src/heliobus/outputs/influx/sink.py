"""A database as the other side of an outbox."""

import asyncio
from collections.abc import Sequence

from heliobus.config.outputs import InfluxConfig
from heliobus.outputs.influx.connection import Answer, Connection, UnreachableError
from heliobus.outputs.influx.verdict import Verdict, advice, verdict
from heliobus.outputs.outbox import Record, SinkAwayError, SinkRefusedError

LONGEST_REST = 600.0
"""Seconds that a server's Retry-After may keep us away."""


class InfluxSink:
    """Writes the contents of records, each one or more lines. Writing a record twice is writing it once."""

    def __init__(self, config: InfluxConfig) -> None:
        self._config = config
        self._connection = Connection(config)
        self._compressed = True
        self._rest_until = 0.0
        self._resting = ""

    async def send(self, records: Sequence[Record]) -> None:
        """Return when the database has stored `records`. Raises SinkAwayError, SinkRefusedError."""
        answer = await self._post(b"\n".join(record.content for record in records))
        meaning = verdict(answer.status, answer.words)
        if meaning is Verdict.UNCOMPRESSED and self._compressed:
            # QuestDB before 9.1 and GreptimeDB do not know gzip.
            self._compressed = False
            await self.send(records)
        elif meaning is Verdict.TOO_LARGE and len(records) > 1:
            half = len(records) // 2
            await self.send(records[:half])
            await self.send(records[half:])
        elif meaning in (Verdict.REFUSED, Verdict.PARTLY, Verdict.TOO_LARGE):
            raise SinkRefusedError(f"{self._config.url} refuses samples ({answer.status}: {answer.words})")
        elif meaning is not Verdict.TAKEN:
            why = advice(self._config, answer.status, answer.words)
            self._rest(answer, why)
            raise SinkAwayError(why)

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()

    async def _post(self, body: bytes) -> Answer:
        if asyncio.get_running_loop().time() < self._rest_until:
            raise SinkAwayError(self._resting)
        try:
            return await self._connection.post(body, compressed=self._compressed)
        except UnreachableError as error:
            raise SinkAwayError(str(error)) from None

    def _rest(self, answer: Answer, why: str) -> None:
        if answer.status in (429, 503) and answer.retry_after > 0:
            self._rest_until = asyncio.get_running_loop().time() + min(answer.retry_after, LONGEST_REST)
            self._resting = why
