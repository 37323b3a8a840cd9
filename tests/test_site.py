"""The site: what changed, who is told, what a mailbox keeps, who takes commands."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.model.command import Change, Command, Control, ControlKind, Done, Outcome, Refused, StoredSetting
from heliobus.model.day import Days
from heliobus.model.device import Device, Identity
from heliobus.model.point import Point, Value
from heliobus.model.quantity import VOLT
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.role import Role
from heliobus.site import Mailbox, Site, Update, silent

POINTS = {name: Point(name, VOLT, name) for name in ("a", "b", "c")}


def device(name: str = "roof", serial: str = "1", points: Mapping[str, Point] | None = None) -> Device:
    identity = Identity("Morningstar", "TriStar MPPT 60", serial)
    found = POINTS if points is None else points
    return Device(name, "", "x", "x", Role.SOLAR_CHARGER, "somewhere", identity, found, f"x_{serial}", 0)


def reading(name: str = "roof", health: Health = Health.OK, time: float = 1.0, **values: Value) -> Reading:
    return Reading(name, time, {**dict.fromkeys(POINTS, 0.0), **values}, health=health)


async def taken(mailbox: Mailbox) -> list[Update]:
    async with asyncio.timeout(1):
        return await mailbox.get()


async def nothing_in(mailbox: Mailbox) -> bool:
    task = asyncio.create_task(mailbox.get())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    return (await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def started(*devices: Device) -> tuple[Site, Mailbox]:
    """A site with these devices and a mailbox whose first letters were taken."""
    site = Site()
    mailbox = site.subscribe()
    for each in devices:
        site.introduce(each)
    if devices:
        await taken(mailbox)
    return site, mailbox


async def test_only_what_changed_is_told() -> None:
    site, mailbox = await started(device())
    site.put(reading(a=1.0))
    assert [update.changed for update in await taken(mailbox)] == [{"a", "b", "c"}]
    site.put(reading(a=1.0))
    assert await nothing_in(mailbox)
    site.put(reading(a=2.0))
    [update] = await taken(mailbox)
    assert (update.changed, update.reading and update.reading.values["a"]) == ({"a"}, 2.0)
    site.put(reading(a=None))
    assert [update.changed for update in await taken(mailbox)] == [{"a"}]
    assert await nothing_in(mailbox)


async def test_zero_and_none_are_different() -> None:
    site, mailbox = await started(device())
    site.put(reading(a=None))
    await taken(mailbox)
    site.put(reading(a=0.0))
    assert [update.changed for update in await taken(mailbox)] == [{"a"}]


async def test_health_days_and_reasons_are_told_without_a_change_of_values() -> None:
    site, mailbox = await started(device())
    first = replace(reading(a=None), reasons={"a": Reason.STALE})
    site.put(first)
    await taken(mailbox)
    day: Days = ()
    for other in (
        replace(first, health=Health.FAILING),
        replace(first, health=Health.FAILING, reasons={"a": Reason.OFFLINE}),
        replace(first, health=Health.FAILING, reasons={"a": Reason.OFFLINE}, days=(*day, object())),  # type: ignore[arg-type]
    ):
        site.put(other)
        [update] = await taken(mailbox)
        assert (update.changed, update.reading) == (frozenset(), other)


async def test_the_newest_reading_is_kept_though_nobody_was_told() -> None:
    site, _ = await started(device())
    site.put(reading(time=1.0))
    site.put(reading(time=6.0))
    newest = site.reading("roof")
    assert newest is not None and newest.time == 6.0


async def test_in_a_mailbox_the_latest_wins_and_changes_add_up() -> None:
    site, mailbox = await started(device(), device("shed", "2"))
    site.put(reading())
    site.put(reading("shed"))
    await taken(mailbox)
    site.put(reading(a=1.0))
    site.put(reading(a=1.0, b=1.0))
    site.put(reading("shed", c=5.0))
    site.put(reading(a=0.0, b=2.0))
    updates = {update.device.name: update for update in await taken(mailbox)}
    assert updates["roof"].changed == {"a", "b"}
    assert updates["roof"].reading == reading(a=0.0, b=2.0)
    assert updates["shed"].changed == {"c"}
    assert await nothing_in(mailbox)


async def test_mailboxes_do_not_wait_for_each_other() -> None:
    site, slow = await started(device())
    quick = site.subscribe()
    await taken(quick)
    for count in range(1000):
        site.put(reading(a=float(count)))
        assert (await taken(quick))[0].reading == reading(a=float(count))
    [late] = await taken(slow)
    assert late.reading == reading(a=999.0)


async def test_get_waits_until_there_is_something() -> None:
    site, mailbox = await started(device())
    waiting = asyncio.create_task(mailbox.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    site.put(reading(a=3.0))
    assert (await waiting)[0].reading == reading(a=3.0)


async def test_a_new_device_is_offline_until_its_first_reading() -> None:
    site, mailbox = await started()
    roof = device()
    site.introduce(roof)
    [update] = await taken(mailbox)
    assert update.device is roof and update.changed == set(POINTS)
    assert update.reading == silent(roof)
    assert set(update.reading.values.values()) == {None}
    assert set(update.reading.reasons.values()) == {Reason.OFFLINE}
    assert site.device("roof") is roof and site.devices == (roof,)


async def test_a_device_introduced_again_unchanged_keeps_its_reading() -> None:
    site, mailbox = await started(device())
    site.put(reading(a=1.0))
    await taken(mailbox)
    site.introduce(device())
    assert await nothing_in(mailbox)
    assert site.reading("roof") == reading(a=1.0)


async def test_another_device_at_its_place_never_shows_the_values_of_the_one_before() -> None:
    site, mailbox = await started(device())
    site.put(reading(a=1.0))
    other = device(serial="2", points={"c": POINTS["c"], "d": Point("d", VOLT, "")})
    site.introduce(other)
    [update] = await taken(mailbox)
    assert update.device is other
    # Only points that the other device has, or an output looks for what is not there.
    assert update.changed == {"c", "d"}
    assert update.reading is not None and update.reading.values == {"c": None, "d": None}


async def test_a_device_that_leaves_is_told_once_and_forgotten() -> None:
    site, mailbox = await started(device())
    site.put(reading(a=1.0))
    site.remove("roof")
    site.remove("roof")
    [update] = await taken(mailbox)
    assert (update.device.name, update.reading, update.changed) == ("roof", None, frozenset())
    assert site.device("roof") is None and site.reading("roof") is None and site.devices == ()
    late = site.subscribe()
    assert await nothing_in(late)


async def test_a_device_that_leaves_and_comes_back_before_the_output_looked_is_there() -> None:
    site, mailbox = await started(device())
    site.remove("roof")
    again = device()
    site.introduce(again)
    site.put(reading(b=2.0))
    [update] = await taken(mailbox)
    assert update.device is again
    assert (update.reading, update.changed) == (reading(b=2.0), set(POINTS))


async def test_who_comes_late_gets_the_present_state() -> None:
    site, _ = await started(device(), device("shed", "2"))
    site.put(reading(a=4.0))
    updates = {update.device.name: update for update in await taken(site.subscribe())}
    assert updates["roof"].reading == reading(a=4.0)
    assert updates["roof"].changed == set(POINTS)
    assert updates["shed"].reading == silent(device("shed", "2"))


async def test_who_has_unsubscribed_gets_nothing() -> None:
    site, mailbox = await started(device())
    site.unsubscribe(mailbox)
    site.put(reading(a=4.0))
    assert await nothing_in(mailbox)


async def test_derived_steps_see_every_reading_in_order() -> None:
    def double(_: Device, before: Reading) -> Reading:
        value = before.values["a"]
        return replace(before, values={**before.values, "b": None if value is None else 2 * float(value)})

    def total(_: Device, before: Reading) -> Reading:
        return replace(before, values={**before.values, "c": before.values["b"]})

    site = Site([double, total])
    site.introduce(device())
    first = site.reading("roof")
    assert first is not None and first.values == {"a": None, "b": None, "c": None}
    site.put(reading(a=3.0))
    second = site.reading("roof")
    assert second is not None and second.values == {"a": 3.0, "b": 6.0, "c": 6.0}


class Obedient:
    """Takes every command, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Command]] = []
        self.noted: list[tuple[Command, str]] = []

    def refusal(self, command: Command) -> str | None:
        self.asked.append(("refusal", command))
        return "not by night" if command.value == 13.0 else None

    def refused(self, command: Command, why: str) -> None:
        self.noted.append((command, why))

    async def command(self, command: Command) -> Outcome:
        self.asked.append(("command", command))
        return Done(command.value)

    async def plan(self, command: Command) -> tuple[Change, ...]:
        self.asked.append(("plan", command))
        return (Change(command.point, "register 0xE000", 1.0, command.value, 1, 2),)

    async def settings(self) -> tuple[StoredSetting, ...]:
        return (StoredSetting(POINTS["a"], "register 0xE000", 7, 1.0),)


ASK = Command("roof", "a", 5.0, "test")


async def test_commands_go_to_the_device_that_takes_them() -> None:
    site, _ = await started(device("shed", "2"))
    obedient = Obedient()
    site.introduce(device(), obedient)
    assert await site.command(ASK) == Done(5.0)
    assert await site.plan(ASK) == (Change("a", "register 0xE000", 1.0, 5.0, 1, 2),)
    assert await site.settings("roof") == (StoredSetting(POINTS["a"], "register 0xE000", 7, 1.0),)
    assert site.refusal(ASK) is None
    assert site.refusal(replace(ASK, value=13.0)) == "not by night"
    site.refused(ASK, "too late")
    assert obedient.noted == [(ASK, "too late")]
    assert [what for what, _ in obedient.asked] == ["command", "plan", "refusal", "refusal"]


async def test_who_takes_no_commands_says_why() -> None:
    site, _ = await started(device("shed", "2"))
    eager = replace(device("eager", "3"), controls={"a": Control(POINTS["a"], ControlKind.NUMBER)})
    site.introduce(eager)
    for name, why in (
        ("nobody", "there is no device 'nobody'"),
        ("shed", 'control of shed is off: set control = "on" for it in the config'),
        # It has what can be commanded, only nobody has spoken to it yet.
        ("eager", "eager has not answered yet"),
    ):
        command = replace(ASK, device=name)
        assert site.refusal(command) == why
        assert await site.command(command) == Refused(why)
        assert await site.plan(command) == Refused(why)
        assert await site.settings(name) == Refused(why)
        # Nobody keeps a record of it, and nothing breaks.
        site.refused(command, why)


async def test_a_device_that_left_takes_no_commands() -> None:
    site, _ = await started()
    obedient = Obedient()
    site.introduce(device(), obedient)
    # Introduced again as it was, it still takes them.
    site.introduce(device())
    assert await site.command(ASK) == Done(5.0)
    site.remove("roof")
    assert await site.command(ASK) == Refused("there is no device 'roof'")
    site.refused(ASK, "too late")
    assert not obedient.noted


async def test_what_control_says_is_put_into_the_newest_reading() -> None:
    site, mailbox = await started(device())
    site.put(replace(reading(a=1.0, b=None, c=None), reasons={"b": Reason.STALE, "c": Reason.STALE}))
    await taken(mailbox)
    site.amend("roof", {"b": 7.0})
    [update] = await taken(mailbox)
    assert update.changed == {"b"}
    assert update.reading is not None
    assert update.reading.values == {"a": 1.0, "b": 7.0, "c": None}
    # What has a value now has no reason to have none.
    assert update.reading.reasons == {"c": Reason.STALE}
    site.amend("roof", {"b": 7.0})
    assert await nothing_in(mailbox)
    site.amend("roof", {"b": None})
    [update] = await taken(mailbox)
    assert update.changed == {"b"} and site.reading("roof") == update.reading
    assert update.reading is not None and update.reading.values["b"] is None


async def test_amending_a_device_that_is_not_there_does_nothing() -> None:
    site, mailbox = await started(device())
    site.amend("nobody", {"a": 1.0})
    assert await nothing_in(mailbox) and site.reading("nobody") is None


async def test_amending_neither_ages_nor_renews_a_reading() -> None:
    site, mailbox = await started(device())
    site.put(replace(reading(time=7.0), health=Health.FAILING))
    await taken(mailbox)
    site.amend("roof", {"a": 2.0})
    [update] = await taken(mailbox)
    assert update.reading is not None
    assert (update.reading.time, update.reading.health) == (7.0, Health.FAILING)


async def test_a_silenced_device_keeps_the_time_it_last_spoke() -> None:
    site, mailbox = await started(device())
    site.put(reading(time=7.0, a=1.0))
    await taken(mailbox)
    site.silence("roof")
    site.silence("nobody")
    [update] = await taken(mailbox)
    assert update.reading == silent(device(), Health.OFFLINE, 7.0)


@pytest.mark.parametrize("health", [Health.UNKNOWN, Health.OFFLINE])
def test_silence_says_why(health: Health) -> None:
    quiet = silent(device(), health, 7.0)
    assert (quiet.device, quiet.time, quiet.health) == ("roof", 7.0, health)
    assert quiet.values == dict.fromkeys(POINTS) and set(quiet.reasons) == set(POINTS)


values = st.one_of(st.none(), st.sampled_from((0.0, 1.0)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(values, values, values, st.booleans()), max_size=30))
def test_an_output_that_follows_the_changes_always_has_the_whole_picture(
    steps: list[tuple[Value, Value, Value, bool]],
) -> None:
    async def follow() -> None:
        site, mailbox = await started(device())
        picture: dict[str, Value] = dict.fromkeys(POINTS)
        for a, b, c, look in steps:
            site.put(reading(a=a, b=b, c=c))
            if look and not await_nothing(mailbox):
                for update in await taken(mailbox):
                    assert update.reading is not None
                    picture |= {name: update.reading.values[name] for name in update.changed}
                assert picture == {"a": a, "b": b, "c": c}

    asyncio.run(follow())


def await_nothing(mailbox: Mailbox) -> bool:
    return not mailbox._filled.is_set()
