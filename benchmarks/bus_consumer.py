"""The rest of a GX: localsettings, and a consumer that counts what it is told by the chargers' services.

Usage: bus_consumer.py ADDRESS. Prints a line once it listens. Asked to `steer`, it writes what systemcalc writes with
DVCC on.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Coroutine

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from heliobus.sim.localsettings import LocalSettings
from side_process import answer_questions, say

SERVICES = "com.victronenergy.solarcharger"
WATCHED = "/Dc/0/Voltage"
STEER_PERIOD = 3.0
# External control with a battery's management: no more than 28.4 V and 20 A.
STEERING = (
    ("/Link/NetworkMode", Variant("i", 13)),
    ("/Link/ChargeVoltage", Variant("d", 28.4)),
    ("/Link/ChargeCurrent", Variant("d", 20.0)),
)
RULES = (
    "type='signal',interface='com.victronenergy.BusItem',member='ItemsChanged'",
    f"type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0namespace='{SERVICES}'",
)


class Consumer:
    def __init__(self, bus: MessageBus) -> None:
        self._bus = bus
        self._tasks: set[asyncio.Task[None]] = set()
        self.signals: Counter[str] = Counter()
        self.items = 0
        self.accepted = 0
        self._names: set[str] = set()
        self.named_at: float | None = None
        self.measured_at: float | None = None

    async def listen(self) -> None:
        self._bus.add_message_handler(self._hear)
        for rule in RULES:
            await self._bus.call(
                Message(
                    destination="org.freedesktop.DBus",
                    path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus",
                    member="AddMatch",
                    signature="s",
                    body=[rule],
                )
            )

    def answer(self, question: str) -> object:
        if question == "steer":
            self._start(self._steer())
        return {
            "services": len(self.signals),
            "signals": self.signals.total(),
            "items": self.items,
            "accepted": self.accepted,
            "named_at": self.named_at,
            "measured_at": self.measured_at,
        }

    def _hear(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "ItemsChanged":
            items = message.body[0]
            self.signals[message.sender or ""] += 1
            self.items += len(items)
            self._look(items)
        elif message.member == "NameOwnerChanged" and message.body[2]:
            if self.named_at is None:
                self.named_at = time.monotonic()
            self._names.add(message.body[0])
            self._start(self._ask(message.body[2]))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _steer(self) -> None:
        while True:
            for service in self._names:
                for path, value in STEERING:
                    reply = await self._bus.call(
                        Message(
                            destination=service,
                            path=path,
                            interface="com.victronenergy.BusItem",
                            member="SetValue",
                            signature="v",
                            body=[value],
                        )
                    )
                    self.accepted += reply is not None and reply.body == [0]
            await asyncio.sleep(STEER_PERIOD)

    async def _ask(self, service: str) -> None:
        reply = await self._bus.call(
            Message(destination=service, path="/", interface="com.victronenergy.BusItem", member="GetItems")
        )
        if reply is not None and reply.message_type is MessageType.METHOD_RETURN:
            self._look(reply.body[0])

    def _look(self, items: dict[str, dict[str, Variant]]) -> None:
        """Note when the first charger has a battery voltage; an invalid value is an empty array."""
        if self.measured_at is None and WATCHED in items and items[WATCHED]["Value"].signature == "d":
            self.measured_at = time.monotonic()


async def main(address: str) -> None:
    await LocalSettings(address).start()
    consumer = Consumer(await MessageBus(bus_address=address).connect())
    await consumer.listen()
    say("listening")
    await answer_questions(consumer.answer)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
