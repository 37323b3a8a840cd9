"""A durable queue on disk between Heliobus and what stores its samples: nothing lost, nothing twice, bounded."""

from heliobus.outputs.outbox.files import Files
from heliobus.outputs.outbox.forwarder import Forwarder
from heliobus.outputs.outbox.opening import opened
from heliobus.outputs.outbox.outbox import Outbox
from heliobus.outputs.outbox.pace import Pace
from heliobus.outputs.outbox.record import Record
from heliobus.outputs.outbox.sink import Sink, SinkAwayError, SinkRefusedError

__all__ = ["Files", "Forwarder", "Outbox", "Pace", "Record", "Sink", "SinkAwayError", "SinkRefusedError", "opened"]
