"""Takes commands from the broker, has them carried out, and says what became of them."""

import asyncio
import logging

from heliobus.config.table import line
from heliobus.model.clock import Clock
from heliobus.model.command import Command, Control, Done, Outcome, Refused
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.outputs.mqtt import values
from heliobus.outputs.mqtt.moment import iso
from heliobus.outputs.mqtt.orders import BadOrderError, Order, parse
from heliobus.outputs.mqtt.session import ConnectionLostError, Message, PublishRefusedError, Session
from heliobus.outputs.mqtt.topics import Topics
from heliobus.site import Site

log = logging.getLogger("heliobus.mqtt")

ORIGIN = "mqtt"
UNDER_WAY = 16
"""Commands that may be carried out at one time."""


class CommandsPart:
    """Commands on `…/<device>/<point>/set`, answers on `…/<device>/<point>/result`. Implements `Part`.

    A command that was begun goes on though the connection goes; its answer is then lost if there is no new one yet.
    """

    def __init__(self, site: Site, topics: Topics, clock: Clock) -> None:
        self._site = site
        self._topics = topics
        self._clock = clock
        self._session: Session | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, session: Session) -> None:
        """Take commands while the connection lasts."""
        try:
            inbox = await session.subscribe(self._topics.commands())
        except PublishRefusedError as error:
            log.warning("the broker lets us take no commands: %s", error)
            return
        self._session = session
        try:
            while True:
                self._take(await inbox.get())
        finally:
            self._session = None

    async def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _take(self, message: Message) -> None:
        # Who sent it may have put line feeds there.
        topic = line(message.topic)
        if message.retain:
            log.warning("%s: an old command that the broker has kept is ignored: send it without retain", topic)
            return
        if asyncio.get_running_loop().time() > message.expires:
            log.warning("%s: a command that came too late for its sender is ignored", topic)
            return
        if len(self._tasks) >= 2 * UNDER_WAY:
            log.warning("%s: a command is ignored: there are too many at once", topic)
            return
        task = asyncio.create_task(self._carry_out(message, full=len(self._tasks) >= UNDER_WAY))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, message: Message, *, full: bool) -> None:
        spoken, point = message.topic.split("/")[-3:-1]
        device = self._device(message.topic)
        control = None if device is None else device.controls.get(point)
        order = Order(None)
        outcome: Outcome
        try:
            order = parse(message.payload, control)
        except BadOrderError as error:
            order = Order(None, error.id)
            outcome = Refused(str(error))
        else:
            if full:
                outcome = Refused(f"{UNDER_WAY} commands are under way already")
            elif device is None:
                outcome = Refused(f"there is no device {spoken!r}")
            else:
                outcome = await self._outcome(device, control, point, order.value)
        name = spoken if device is None else device.name
        await self._tell(
            f"{message.topic.removesuffix('/set')}/result", self._result(name, point, control, order, outcome)
        )

    def _device(self, topic: str) -> Device | None:
        for device in self._site.devices:
            # Topics are known from the first time that somebody asks for them.
            self._topics.device(device)
        meant = self._topics.commanded(topic)
        return None if meant is None else self._site.device(meant[0])

    async def _outcome(self, device: Device, control: Control | None, point: str, value: Value) -> Outcome:
        if device.controls and control is None:
            known = "can be set of it: " + ", ".join(device.controls)
            return Refused(f"{point} of {device.name} cannot be set; what {known}")
        return await self._site.command(Command(device.name, point, value, ORIGIN))

    def _result(
        self, device: str, point: str, control: Control | None, order: Order, outcome: Outcome
    ) -> dict[str, object]:
        result: dict[str, object] = {"device": device, "point": point, "time": iso(self._clock.time())}
        if isinstance(outcome, Done):
            value = outcome.value if control is None else values.shown(control.point, outcome.value)
            result |= {"outcome": "done", "value": value}
        else:
            result |= {"outcome": "refused" if isinstance(outcome, Refused) else "failed", "why": outcome.why}
        return result if order.id is None else result | {"id": order.id}

    async def _tell(self, topic: str, result: dict[str, object]) -> None:
        if self._session is None:
            log.info("%s: %s; nobody could be told: the connection is gone", line(topic), result["outcome"])
            return
        try:
            await self._session.publish(topic, values.encoded(result), qos=1)
        except (PublishRefusedError, ConnectionLostError) as error:
            log.info("%s: %s; nobody could be told: %s", line(topic), result["outcome"], error)
