"""What a program on this machine may ask of the site, one JSON object a question, and what it is answered."""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

from heliobus.model.command import Change, Command, Control, Done, Failed, Outcome, Refused, StoredSetting
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Health
from heliobus.model.vocabulary import PROFILE_PROGRESS, PROFILE_STATUS
from heliobus.site import Mailbox, Site

ORIGIN = "cli"
OPERATIONS = ("command", "plan", "settings", "devices", "reading")
PROGRESS = (PROFILE_STATUS.name, PROFILE_PROGRESS.name)
LARGEST = 1e15
"""Beyond this no number means anything here, and whole ones need not fit a float."""

Message = dict[str, object]
Say = Callable[[Message], Awaitable[None]]


class BadRequestError(ValueError):
    """It is not a request; the text says what is wrong with it. `id` is the request's, None if it has none."""

    def __init__(self, why: str, id: int | str | None = None) -> None:  # noqa: A002  the protocol's word
        super().__init__(why)
        self.id = id


@dataclass(frozen=True, slots=True)
class Request:
    """One question: `op` is one of OPERATIONS, `id` comes back with every line of the answer."""

    op: str
    device: str = ""
    point: str = ""
    value: Value = None
    id: int | str | None = None


def parse(line: bytes) -> Request:
    """The request in one line of JSON. Raises BadRequestError."""
    try:
        content = json.loads(line, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadRequestError("not one JSON object on one line") from None
    if not isinstance(content, dict):
        raise BadRequestError("not a JSON object")
    number = content.get("id")
    if number is not None and (not isinstance(number, int | str) or isinstance(number, bool)):
        raise BadRequestError("id is not a whole number or a text")
    op = content.get("op")
    if not isinstance(op, str) or op not in OPERATIONS:
        raise BadRequestError(f"op is none of {', '.join(OPERATIONS)}", number)
    texts = {}
    for key in ("device", "point"):
        text = content.get(key, "")
        if not isinstance(text, str):
            raise BadRequestError(f"{key} is not a text", number)
        texts[key] = text
    return Request(op, texts["device"], texts["point"], _value(content.get("value"), number), number)


def _no_number(word: str) -> float:
    raise ValueError(word)


def _value(value: object, number: int | str | None) -> Value:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST:
        return value
    raise BadRequestError("value is not a number, a text or null", number)


class Requests:
    """Answers requests from `site`. A command that was begun goes on though nobody waits for its end any more."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._commands: set[asyncio.Task[Outcome]] = set()

    async def answer(self, request: Request, say: Say) -> Message:
        """The last line of the answer, without its `id`; `say` is given those before it. What `say` raises passes."""
        device = self._site.device(request.device)
        if request.op == "devices":
            return {"devices": [_described(each, self._health(each.name)) for each in self._site.devices]}
        if device is None:
            return _outcome(Refused(f"there is no device {request.device!r}"))
        if request.op == "reading":
            return self._reading(request.device)
        command = Command(request.device, request.point, request.value, ORIGIN)
        if request.op == "command":
            return _outcome(await self._command(command, say))
        if request.op == "plan":
            changes = await self._site.plan(command)
            return _outcome(changes) if isinstance(changes, Refused | Failed) else {"changes": _changes(changes)}
        settings = await self._site.settings(request.device)
        return _outcome(settings) if isinstance(settings, Refused | Failed) else {"settings": _settings(settings)}

    async def finish(self) -> None:
        """Wait until nothing is under way."""
        while self._commands:
            await asyncio.wait(self._commands)

    async def close(self) -> None:
        """End what is under way."""
        for task in self._commands:
            task.cancel()
        await asyncio.gather(*self._commands, return_exceptions=True)

    async def _command(self, command: Command, say: Say) -> Outcome:
        told = self._progress(command.device)
        # Commands are tasks of their own, so that they end well though the client goes.
        task = asyncio.create_task(self._site.command(command))
        self._commands.add(task)
        task.add_done_callback(self._commands.discard)
        mailbox = self._site.subscribe()
        follower = asyncio.create_task(self._follow(mailbox, command.device, told, say))
        try:
            await asyncio.wait({task, follower}, return_when=asyncio.FIRST_COMPLETED)
            if follower.done():
                follower.result()
            return await asyncio.shield(task)
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            self._site.unsubscribe(mailbox)

    async def _follow(self, mailbox: Mailbox, device: str, told: Mapping[str, Value], say: Say) -> None:
        while True:
            await mailbox.get()
            progress = self._progress(device)
            if progress != told:
                told = progress
                await say({"progress": progress})

    def _progress(self, device: str) -> Mapping[str, Value]:
        reading = self._site.reading(device)
        values = {} if reading is None else reading.values
        return {name: values.get(name) for name in PROGRESS}

    def _health(self, name: str) -> Health:
        reading = self._site.reading(name)
        return Health.UNKNOWN if reading is None else reading.health

    def _reading(self, name: str) -> Message:
        reading = self._site.reading(name)
        if reading is None:
            return _outcome(Failed(f"there is no reading of {name}"))
        return {
            "time": reading.time,
            "health": reading.health,
            "values": dict(reading.values),
            "reasons": dict(reading.reasons),
        }


def _described(device: Device, health: Health) -> Message:
    return {
        "name": device.name,
        "driver": device.driver,
        "vendor": device.identity.vendor,
        "model": device.identity.model,
        "serial": device.identity.serial,
        "firmware": device.identity.firmware,
        "hardware": device.identity.hardware,
        "address": device.address,
        "health": health,
        "controls": [_control(each) for each in device.controls.values()],
    }


def _control(control: Control) -> Message:
    return {
        "point": control.point.name,
        "kind": control.kind.value,
        "low": control.low if math.isfinite(control.low) else None,
        "high": control.high if math.isfinite(control.high) else None,
        "locked": control.locked,
        "dynamic": control.dynamic,
    }


def _changes(changes: tuple[Change, ...]) -> list[Message]:
    return [asdict(change) for change in changes]


def _settings(settings: tuple[StoredSetting, ...]) -> list[Message]:
    return [
        {
            "point": each.point.name,
            "place": each.place,
            "word": each.word,
            "value": each.value,
            "unit": each.point.unit,
        }
        for each in settings
    ]


def _outcome(outcome: Outcome) -> Message:
    if isinstance(outcome, Done):
        return {"outcome": "done", "value": outcome.value}
    return {"outcome": "refused" if isinstance(outcome, Refused) else "failed", "why": outcome.why}
