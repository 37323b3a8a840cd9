"""The stand-in of localsettings behaves as the real one was seen to (venus.md §4)."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from dbus_fast import MessageType, Variant

from heliobus.sim.localsettings import NAME, SETTINGS, LocalSettings
from venus_bus import Client, Daemon, ItemsConsumer, plain, running_daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


@pytest_asyncio.fixture(loop_scope="function")
async def settings(daemon: Daemon) -> AsyncIterator[LocalSettings]:
    settings = LocalSettings(daemon.address, items_changed=True)
    await settings.start()
    yield settings
    await settings.stop()


async def add(client: Client, *declarations: dict[str, Variant], path: str = "/") -> list[dict[str, object]]:
    reply = await client.call(NAME, path, "AddSettings", "aa{sv}", [list(declarations)], SETTINGS)
    assert reply.message_type is MessageType.METHOD_RETURN, reply.body
    return [plain(answer) for answer in reply.body[0]]


@pytest.mark.parametrize(
    ("path", "default", "limits", "error"),
    [
        ("/Settings/A/B", Variant("i", 5), (0, 9), 0),
        ("/Settings/A/_B", Variant("i", 5), (0, 9), -2),
        ("/Settings/A/B", Variant("b", True), (0, 9), -3),
        ("/Settings/A/B", Variant("y", 1), (0, 9), -3),
        ("/Settings/A/ü", Variant("i", 5), (0, 9), -4),
        ("/Settings/Known/Text", Variant("i", 5), (0, 9), -5),
        ("/Settings/Devices/x/ClassAndVrmInstance", Variant("s", "nonsense"), (0, 0), -6),
        ("/Settings/A/B", Variant("i", 50), (0, 9), -7),
        ("/Settings/Known", Variant("i", 5), (0, 9), -8),
        ("/Other/A", Variant("i", 5), (0, 9), -9),
    ],
)
async def test_answers_to_add_settings(
    settings: LocalSettings, daemon: Daemon, path: str, default: Variant, limits: tuple[int, int], error: int
) -> None:
    settings.add("/Settings/Known/Text", "x", "s")
    low, high = (Variant("i", limit) for limit in limits)
    async with Client(daemon.address) as client:
        answers = await add(client, {"path": Variant("s", path), "default": default, "min": low, "max": high})
    assert answers[0]["error"] == error
    assert ("value" in answers[0]) is (error == 0)


async def test_a_device_id_with_a_dash_raises_over_d_bus(settings: LocalSettings, daemon: Daemon) -> None:
    async with Client(daemon.address) as client:
        declaration = {"path": Variant("s", "/Settings/Devices/a-b/X"), "default": Variant("i", 1)}
        reply = await client.call(NAME, "/", "AddSettings", "aa{sv}", [[declaration]], SETTINGS)
    assert reply.message_type is MessageType.ERROR


async def test_adding_again_keeps_the_value_even_outside_new_limits(settings: LocalSettings) -> None:
    assert settings.add("/Settings/A/B", 9, "i", 0, 10) == 0
    assert settings.add("/Settings/A/B", 2, "i", 0, 3) == 0
    setting = settings.settings["/Settings/A/B"]
    assert (setting.value, setting.default, setting.high) == (9, 2, 3)


async def test_set_value_converts_or_refuses(settings: LocalSettings, daemon: Daemon) -> None:
    settings.add("/Settings/A/B", 1, "i", 0, 10)
    async with Client(daemon.address) as client:
        for value, answer, stored in (
            (Variant("s", "2"), 0, 2),
            (Variant("d", 1.9), 0, 1),
            (Variant("i", 11), -1, 1),
            (Variant("s", "x"), -1, 1),
            (Variant("ai", []), -1, 1),
        ):
            assert await client.set(NAME, "/Settings/A/B", value) == answer
            assert await client.value(NAME, "/Settings/A/B") == stored
        assert plain((await client.call(NAME, "/Settings/A/B", "GetMax")).body[0]) == 10
        assert plain((await client.call(NAME, "/Settings/A/B", "GetMin")).body[0]) == 0
        assert plain((await client.call(NAME, "/Settings/A/B", "GetDefault")).body[0]) == 1
        assert (await client.call(NAME, "/Settings/A/B", "SetDefault")).body == [0]
        assert await client.text(NAME, "/Settings/A/B") == "1"
        assert await client.value(NAME, "/Settings/A") == {"B": 1}
        assert set((await client.items(NAME))["/Settings/A/B"]) == {"Value", "Text", "Min", "Max", "Default"}
        assert (await client.call(NAME, "/", "RemoveSettings", "as", [["/Settings/A/B"]], SETTINGS)).body == [[0]]
        assert (await client.call(NAME, "/Settings/A/B", "GetValue")).message_type is MessageType.ERROR


async def test_instances_are_unique_per_class(settings: LocalSettings, daemon: Daemon) -> None:
    paths = [f"/Settings/Devices/{device}/ClassAndVrmInstance" for device in "abc"]
    for path, default in zip(paths, ("solarcharger:289", "solarcharger:289", "battery:289"), strict=True):
        settings.add(path, default, "s")
    values = [settings.settings[path].value for path in paths]
    assert values == ["solarcharger:289", "solarcharger:290", "battery:289"]
    assert settings.change(paths[1], "solarcharger:289") == 0
    assert settings.settings[paths[1]].value == "solarcharger:290"
    assert settings.change(paths[1], "nonsense") == -1
    settings.add(paths[2], "grid:30", "s")
    assert settings.settings[paths[2]].value == "battery:289"
    async with Client(daemon.address) as client:
        assert (await client.call(NAME, paths[0], "SetDefault")).message_type is MessageType.ERROR


async def test_add_setting_on_a_group(settings: LocalSettings, daemon: Daemon) -> None:
    body = ["A/B", "C", Variant("d", 1.5), "f", Variant("d", 0.0), Variant("d", 0.0)]
    async with Client(daemon.address) as client:
        reply = await client.call(NAME, "/Settings", "AddSetting", "ssvsvv", body, SETTINGS)
        assert reply.body == [0]
        assert await client.value(NAME, "/Settings/A/B/C") == 1.5


async def test_changes_are_signalled(settings: LocalSettings, daemon: Daemon) -> None:
    settings.add("/Settings/A/B", 1, "i")

    class Listener(ItemsConsumer):
        def heard(self, message: object) -> None:
            self.signals.append({"member": message.member, "path": message.path})  # type: ignore[attr-defined]

    async with Listener(daemon.address, NAME) as client:
        await client.listen()
        settings.change("/Settings/A/B", 2)
        settings.change("/Settings/A/B", 2)
        await client.value(NAME, "/Settings/A/B")
        heard = [signal for signal in client.signals if signal["member"] != "NameAcquired"]
    assert heard == [
        {"member": "PropertiesChanged", "path": "/Settings/A/B"},
        {"member": "ItemsChanged", "path": "/"},
    ]


async def test_the_name_can_be_owned_once(settings: LocalSettings, daemon: Daemon) -> None:
    with pytest.raises(OSError, match="already serves"):
        await LocalSettings(daemon.address).start()
