"""A device to command, on the other side of the daemon's socket or opened by this process."""

import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from heliobus import config
from heliobus.cli import target
from heliobus.cli.daemon import OLD_DAEMON, connected
from heliobus.cli.direct import opened
from heliobus.cli.problem import Problem, RefusedByGuard, WrongUse, control_off
from heliobus.config import Config, ConfigError, DeviceConfig, SiteConfig
from heliobus.devices import catalog
from heliobus.model.command import Change, Control, ControlKind, Done, Failed, Outcome, Refused, StoredSetting
from heliobus.model.point import Point, Value
from heliobus.model.quantity import FACTOR, TEXT, Quantity
from heliobus.model.vocabulary import VOCABULARY
from heliobus.outputs.requests import Message, Request, Say


class Counterpart(Protocol):
    """Who answers requests."""

    async def ask(self, request: Request, say: Say) -> Message:
        """The last line of the answer; `say` is given those before it. Raises Problem."""


@dataclass(frozen=True, slots=True)
class Target:
    """What DEVICE on the command line is: its config, None if only a daemon can know it. `anonymous`: DRIVER@LINK."""

    config: Config
    name: str
    device: DeviceConfig | None
    anonymous: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Commanded:
    """A device as it is now; it asks its counterpart on."""

    counterpart: Counterpart
    name: str
    driver: str
    model: str
    serial: str | None
    address: str
    points: dict[str, Point]
    controls: dict[str, Control]

    @property
    def restarts(self) -> bool:
        """Whether a change of its stored settings restarts it."""
        writes = catalog.driver(self.driver).writes
        return writes is not None and writes.eeprom is not None

    def point(self, name: str) -> Point:
        """The point of this name."""
        return _point(name, self.points)

    async def reading(self) -> dict[str, Value]:
        """The newest values by point name. Raises Problem."""
        message = await self._ask("reading")
        if "outcome" in message:
            raise Problem(f"{self.name}: {message.get('why')}")
        return dict(_part(message, "values", dict))

    async def plan(self, point: str, value: Value) -> tuple[Change, ...] | Refused | Failed:
        """What the command would write. Raises Problem."""
        message = await self._ask("plan", point, value)
        if "outcome" in message:
            return _unsuccessful(message)
        try:
            return tuple(Change(**each) for each in _part(message, "changes", list))
        except TypeError:
            raise Problem(OLD_DAEMON) from None

    async def command(self, point: str, value: Value, say: Say | None = None) -> Outcome:
        """Have the command carried out. Raises Problem."""
        message = await self._ask("command", point, value, say)
        return Done(message.get("value")) if message.get("outcome") == "done" else _unsuccessful(message)  # type: ignore[arg-type]

    async def settings(self) -> tuple[StoredSetting, ...]:
        """The charge settings, read now. Raises Problem."""
        message = await self._ask("settings")
        if "outcome" in message:
            raise problem(self.name, _unsuccessful(message))
        try:
            return tuple(
                StoredSetting(self.point(each["point"]), each["place"], each["word"], each["value"])
                for each in _part(message, "settings", list)
            )
        except (KeyError, TypeError):
            raise Problem(OLD_DAEMON) from None

    async def _ask(self, op: str, point: str = "", value: Value = None, say: Say | None = None) -> Message:
        return await self.counterpart.ask(Request(op, self.name, point, value, 1), say or _say_nothing)


def choose(name: str, unit: int | None, path: Path | None, control: bool, *, looks: bool = False) -> Target:
    """What DEVICE means: a name in the config, or DRIVER@LINK, which `control` allows writing to. Raises Problem.

    Who only `looks` needs no leave.
    """
    if "@" not in name:
        if control:
            raise WrongUse(f'--control is for DRIVER@LINK; for {name} the config says it: control = "on"')
        settings = loaded(path)
        return Target(settings, name, next((each for each in settings.devices if each.name == name), None))
    device = target.find(name, unit, path)
    if not control and not looks:
        raise WrongUse(f"add --control to say that you allow writing to {device.link.describe(device.unit)}")
    device = replace(device, options=replace(device.options, on=True))
    try:
        site = config.load(path).site
    except ConfigError as error:
        if path is not None:
            raise WrongUse(str(error)) from None
        site = SiteConfig("site", None, config.default_state())
    return Target(Config("the command line", site, (device,), None), device.name, device, anonymous=True)


def loaded(path: Path | None) -> Config:
    """The config. Raises WrongUse."""
    try:
        return config.load(path)
    except ConfigError as error:
        raise WrongUse(str(error)) from None


@asynccontextmanager
async def reached(chosen: Target) -> AsyncIterator[Commanded]:
    """The device while the block runs: through the daemon if one runs, else opened here. Raises Problem."""
    async with connected(chosen.config.site.state) as client:
        if client is not None:
            yield await _find(client, chosen)
            return
    if chosen.device is None:
        raise _unknown(chosen.name, [each.name for each in chosen.config.devices])
    async with opened(chosen.config, chosen.device) as direct:
        yield await _find(direct, chosen)


def check_on(device: Commanded) -> None:
    """Raise RefusedByGuard where nothing of `device` can be commanded, saying where that is changed."""
    if not device.controls:
        raise control_off(device.name)


def problem(name: str, outcome: Refused | Failed) -> Problem:
    """The line and exit code for an outcome that is not what was asked for."""
    return (RefusedByGuard if isinstance(outcome, Refused) else Problem)(f"{name}: {outcome.why}")


async def _find(counterpart: Counterpart, chosen: Target) -> Commanded:
    message = await counterpart.ask(Request("devices", id=1), _say_nothing)
    devices = [_device(counterpart, each) for each in _part(message, "devices", list)]
    if not chosen.anonymous:
        found = next((each for each in devices if each.name == chosen.name), None)
        if found is None:
            raise _unknown(chosen.name, [each.name for each in devices])
        return found
    assert chosen.device is not None
    address = chosen.device.link.describe(chosen.device.unit)
    found = next((each for each in devices if each.address == address), None)
    if found is None:
        raise Problem(
            f"a daemon runs here and does not have {address}: add it to the config of the daemon, or stop the daemon"
        )
    return found


def _device(counterpart: Counterpart, content: dict[str, Any]) -> Commanded:
    try:
        points = catalog.driver(content["driver"]).points()
    except (catalog.UnknownDriverError, KeyError, TypeError):
        raise Problem(OLD_DAEMON) from None
    try:
        controls = [_control(each, points) for each in content["controls"]]
        return Commanded(
            counterpart=counterpart,
            name=content["name"],
            driver=content["driver"],
            model=f"{content['vendor']} {content['model']}",
            serial=content["serial"],
            address=content["address"],
            points=points,
            controls={each.point.name: each for each in controls},
        )
    except (KeyError, TypeError, ValueError):
        raise Problem(OLD_DAEMON) from None


def _control(content: dict[str, Any], points: dict[str, Point]) -> Control:
    kind = ControlKind(content["kind"])
    low, high = content["low"], content["high"]
    return Control(
        point=_point(content["point"], points, TEXT if kind is ControlKind.TEXT else FACTOR),
        kind=kind,
        low=-math.inf if low is None else low,
        high=math.inf if high is None else high,
        locked=content["locked"],
        dynamic=content["dynamic"],
    )


def _point(name: str, points: dict[str, Point], quantity: Quantity = FACTOR) -> Point:
    """The point of this name; one that says nothing where this version does not know it."""
    return points.get(name) or VOCABULARY.get(name) or Point(name, quantity, "")


def _unknown(name: str, names: list[str]) -> WrongUse:
    return WrongUse(f"no device {name!r}; there are {', '.join(names) or 'none'}, or DRIVER@LINK{nearest(name, names)}")


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint at what was meant, empty if nothing is near."""
    import difflib  # noqa: PLC0415  for the error only

    near = difflib.get_close_matches(word, list(words), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _part(message: Message, key: str, kind: type[Any]) -> Any:
    part = message.get(key)
    if not isinstance(part, kind):
        raise Problem(OLD_DAEMON)
    return part


def _unsuccessful(message: Message) -> Refused | Failed:
    why = str(message.get("why") or "for a reason this version does not understand")
    return Refused(why) if message.get("outcome") == "refused" else Failed(why)


async def _say_nothing(_: Message) -> None:
    """Progress nobody wants to see."""
