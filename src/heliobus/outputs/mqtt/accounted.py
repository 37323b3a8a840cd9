"""Publishing that keeps account, and goes on where the broker takes one message but not the other."""

import logging

from heliobus.model.clock import Clock
from heliobus.outputs.mqtt.session import PublishRefusedError, Session
from heliobus.outputs.status import OutputStatus

log = logging.getLogger("heliobus.mqtt")


class Accounted:
    """What is published is counted in `status`; the first refusal of a connection is one line in the log."""

    def __init__(self, status: OutputStatus, clock: Clock) -> None:
        self._status = status
        self._clock = clock
        self._complained: Session | None = None

    async def publish(self, session: Session, topic: str, payload: bytes, *, keep: bool) -> None:
        """What the broker shall `keep` it has to confirm, too. Raises ConnectionLostError."""
        try:
            await session.publish(topic, payload, qos=1 if keep else 0, retain=keep)
        except PublishRefusedError as error:
            self._status.refused += 1
            self._status.last_error = f"{topic}: {error}"
            if self._complained is not session:
                self._complained = session
                log.warning("the broker does not take %s: %s; see its rules of who may publish what", topic, error)
        else:
            self._status.sent += 1
            self._status.last_success = self._clock.time()
