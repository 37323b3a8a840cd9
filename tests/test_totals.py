"""The sum of several chargers: no error value in it, nothing falls in it, and one member unplugged leaves the rest."""

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import heliobus
from heliobus import config
from heliobus.app import Installation
from heliobus.cli import target
from heliobus.cli.problem import Problem
from heliobus.cli.served import served_total
from heliobus.config import SETTINGS_DEVICE, Config, ConfigError, DeviceConfig, SiteConfig, TotalConfig
from heliobus.model.device import Device, Identity
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.role import ROLES, Role
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tristar import SimTriStar
from heliobus.site import Site, silent
from heliobus.totals import POINTS, Totals, total
from heliobus.wire.address import parse_link

DRIVER = "morningstar-tristar-mppt"
PATIENCE = 30.0
FULL: dict[str, Value] = {
    "pv_power": 300.0,
    "battery_power": 290.0,
    "battery_current": 22.0,
    "battery_voltage": 13.2,
    "battery_temperature": 20.0,
    "load_power": 10.0,
    "yield_today": 1.5,
    "yield_total": 800.0,
}


def member(name: str, time: float = 1.0, **values: Value) -> Reading:
    content = FULL | values
    missing = {point: Reason.STALE for point, value in content.items() if value is None}
    return Reading(name, time, content, missing)


def gone(name: str) -> Reading:
    return Reading(name, 5.0, dict.fromkeys(FULL), dict.fromkeys(FULL, Reason.OFFLINE), Health.OFFLINE)


def values(*readings: Reading | None) -> Mapping[str, Value]:
    found = total("array", readings)
    assert found is not None
    assert set(found.values) == set(POINTS)
    assert {name for name, value in found.values.items() if value is None} == set(found.reasons)
    return found.values


def test_two_members_add_up() -> None:
    found = total("array", [member("roof", 3.0), member("shed", 2.0, pv_power=50.04, battery_voltage=13.1)])
    assert found == Reading(
        "array",
        3.0,
        {
            "pv_power": 350.0,
            "battery_power": 580.0,
            "battery_current": 44.0,
            "load_power": 20.0,
            "yield_today": 3.0,
            "yield_total": 1600.0,
            "battery_voltage_min": 13.1,
            "battery_voltage_max": 13.2,
            "battery_temperature_min": 20.0,
            "battery_temperature_max": 20.0,
            "members": 2,
            "members_answering": 2,
        },
    )


def test_who_is_silent_is_left_out_of_powers_and_voids_the_yields() -> None:
    found = total("array", [member("roof"), gone("shed"), None])
    assert found is not None
    assert found.values["pv_power"] == 300.0 and found.values["battery_voltage_min"] == 13.2
    assert (found.values["yield_today"], found.values["yield_total"]) == (None, None)
    assert found.reasons == {"yield_today": Reason.OFFLINE, "yield_total": Reason.OFFLINE}
    assert (found.values["members"], found.values["members_answering"]) == (3, 1)


def test_a_value_that_is_missing_is_no_zero() -> None:
    found = values(member("roof", pv_power=None, yield_total=None), member("shed", pv_power=-1.5, load_power=None))
    assert found["pv_power"] == -1.5
    assert found["load_power"] == 10.0
    assert found["yield_total"] is None and found["yield_today"] == 3.0
    found = values(member("roof", pv_power=None), member("shed", pv_power=None))
    assert found["pv_power"] is None


def test_what_no_member_has_is_not_supported() -> None:
    reading = Reading("roof", 1.0, {"pv_power": 5.0})
    found = total("array", [reading, reading])
    assert found is not None
    assert found.values["pv_power"] == 10.0
    assert found.reasons["load_power"] is found.reasons["yield_total"] is Reason.NOT_SUPPORTED


def test_nobody_answers() -> None:
    assert total("array", [gone("roof"), None]) is None
    assert total("array", []) is None


NUMBER = st.none() | st.integers(-1000, 1000)


@given(st.lists(st.dictionaries(st.sampled_from(sorted(FULL)), NUMBER), min_size=1, max_size=6))
def test_every_sum_is_that_of_what_is_known(contents: list[dict[str, Value]]) -> None:
    found = values(*(member(str(index), **content) for index, content in enumerate(contents)))
    for point in ("pv_power", "battery_power", "battery_current", "load_power", "yield_today", "yield_total"):
        known = [(FULL | content)[point] for content in contents]
        if None in known and point.startswith("yield"):
            assert found[point] is None
        else:
            numbers = [value for value in known if isinstance(value, int | float)]
            assert found[point] == (sum(numbers) if numbers else None)
    voltages = [value for value in ((FULL | each)["battery_voltage"] for each in contents) if value is not None]
    assert found["battery_voltage_min"] == min(voltages, default=None)  # type: ignore[type-var]
    assert found["battery_voltage_max"] == max(voltages, default=None)  # type: ignore[type-var]


def test_its_role_is_one_that_no_gx_knows() -> None:
    assert ROLES[Role.TOTAL].required <= set(POINTS) == ROLES[Role.TOTAL].required | ROLES[Role.TOTAL].optional


def charger(name: str) -> Device:
    return Device(
        name, name, DRIVER, "tristar", Role.SOLAR_CHARGER, "somewhere", Identity("a test", "a model"), {}, name, 0
    )


class Stage:
    """A site with a total over two chargers, one of them that of the settings."""

    def __init__(self, *devices: str) -> None:
        self.site = Site()
        self.totals = Totals(self.site, (TotalConfig("array", devices),))
        self.totals.start()

    def put(self, reading: Reading) -> None:
        if self.site.device(reading.device) is None:
            self.site.introduce(charger(reading.device))
        self.site.put(reading)
        self.totals.observe(reading.device)

    def shown(self) -> Reading:
        reading = self.site.reading("array")
        assert reading is not None
        return reading


def test_it_is_a_device_of_the_site() -> None:
    stage = Stage("roof", "shed")
    device = stage.site.device("array")
    assert device is not None
    assert (device.driver, device.key, device.role, device.number) == ("total", "total_array", Role.TOTAL, 0)
    assert stage.shown() == silent(device)
    stage.put(member("roof"))
    assert stage.shown().values["pv_power"] == 300.0
    assert (stage.shown().values["members"], stage.shown().values["members_answering"]) == (2, 1)
    stage.put(member("shed"))
    assert stage.shown().values["pv_power"] == 600.0 and stage.shown().values["yield_total"] == 1600.0
    stage.put(member("elsewhere"))
    assert stage.shown().values["pv_power"] == 600.0
    stage.put(gone("shed"))
    assert stage.shown().values["pv_power"] == 300.0 and stage.shown().health is Health.OK
    stage.put(gone("roof"))
    assert stage.shown().health is Health.OFFLINE
    assert set(stage.shown().values.values()) == {None}
    assert set(stage.shown().reasons.values()) == {Reason.OFFLINE}
    stage.put(member("roof"))
    assert stage.shown().values["pv_power"] == 300.0


def test_an_output_is_told_only_what_changed() -> None:
    stage = Stage("roof")
    stage.put(member("roof"))
    mailbox = stage.site.subscribe()
    asyncio.run(_drained(mailbox.get()))
    stage.put(member("roof", 9.0))
    stage.put(member("roof", 10.0, pv_power=301.0))
    updates = {update.device.name: update for update in asyncio.run(_drained(mailbox.get()))}
    assert updates["array"].changed == {"pv_power"}


async def _drained(waiting: object) -> list[object]:
    return await waiting  # type: ignore[misc,no-any-return]


def test_the_charger_of_the_settings_counts_once_it_is_set_up() -> None:
    stage = Stage("roof", SETTINGS_DEVICE)
    stage.put(member("roof"))
    assert stage.shown().values["yield_total"] == 800.0 and stage.shown().values["members"] == 1
    stage.put(member(SETTINGS_DEVICE))
    assert stage.shown().values["yield_total"] == 1600.0 and stage.shown().values["members"] == 2
    stage.site.remove(SETTINGS_DEVICE)
    stage.totals.observe(SETTINGS_DEVICE)
    assert stage.shown().values["yield_total"] == 800.0 and stage.shown().values["members"] == 1


ROOF = f'[[device]]\nname = "roof"\ndriver = "{DRIVER}"\nlink = "tcp://192.0.2.1"\n'
SHED = ROOF.replace("roof", "shed").replace("192.0.2.1", "192.0.2.2")
VENUS = "[output.venus]\n"


@pytest.fixture
def no_gx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "VENUS_VERSION_FILE", tmp_path / "no-such-file")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)


def read(text: str) -> tuple[TotalConfig, ...]:
    return config.parse(tomllib.loads(text), "cabin.toml").totals


@pytest.mark.usefixtures("no_gx")
def test_the_config_names_its_members() -> None:
    head = ROOF + SHED + VENUS
    assert read(head) == ()
    assert read(head + "[[total]]\n") == (TotalConfig("total", ("roof", "shed")),)
    two = '[[total]]\nname = "array"\ndevices = ["shed"]\n[[total]]\n'
    assert read(head + two) == (TotalConfig("array", ("shed",)), TotalConfig("total", ("roof", "shed")))
    chosen = read(ROOF + VENUS + "settings_charger = true\n[[total]]\n")
    assert chosen == (TotalConfig("total", ("roof", SETTINGS_DEVICE)),)


@pytest.mark.usefixtures("no_gx")
@pytest.mark.parametrize(
    ("table", "what"),
    [
        ('devices = ["rof"]', 'devices is "rof"; allowed: names of solar chargers, each once: "roof", "shed"'),
        ('devices = ["roof", "roof"]', 'devices is "roof"; allowed: names of solar chargers, each once'),
        ("devices = []", "devices is an array; allowed: names of solar chargers"),
        ('devices = "roof"', 'devices is "roof"; allowed: names of solar chargers'),
        ('name = "roof"', 'name is "roof"; allowed: a name that nothing else has'),
        ('name = ""', 'name is ""; allowed: a name that nothing else has'),
        ('name = "total"\n[[total]]', '[[total]] 2: name is "total"; allowed: a name'),
        ("members = []", "unknown key 'members'; "),
        ("name = 3", "name is 3; allowed: a text in quotes"),
    ],
)
def test_a_wrong_total_is_one_clear_line(table: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(ROOF + SHED + VENUS + "[[total]]\n" + table + "\n")
    line = str(caught.value)
    assert line.startswith("cabin.toml: [[total]] ") and "\n" not in line
    assert what in line


@pytest.mark.usefixtures("no_gx")
def test_meters_are_not_added_up() -> None:
    meter = '[[device]]\nname = "pump"\ndriver = "pzem-ac"\nlink = "serial:/dev/ttyUSB0"\n'
    assert read(meter + ROOF + VENUS + "[[total]]\n") == (TotalConfig("total", ("roof",)),)
    with pytest.raises(ConfigError, match="nothing to add up"):
        read(meter + VENUS + "[[total]]\n")
    with pytest.raises(ConfigError, match=r'devices is "pump"; allowed: names of solar chargers, each once: "roof"$'):
        read(meter + ROOF + VENUS + '[[total]]\ndevices = ["pump"]\n')


def settings(state: Path, **places: TcpServer) -> Config:
    devices = tuple(
        DeviceConfig(name, DRIVER, parse_link(f"tcp://127.0.0.1:{server.port}"), 1, 0.5, name)
        for name, server in places.items()
    )
    return Config(
        "a test", SiteConfig("cabin", "UTC", state), devices, None, totals=(TotalConfig("array", tuple(places)),)
    )


@asynccontextmanager
async def running(chosen: Config) -> AsyncIterator[Installation]:
    installation = Installation(chosen)
    work = asyncio.create_task(installation.run())
    try:
        yield installation
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def until(site: Site, what: Callable[[Reading], bool]) -> Reading:
    mailbox = site.subscribe()
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                reading = site.reading("array")
                if reading is not None and what(reading):
                    return reading
                await mailbox.get()
    finally:
        site.unsubscribe(mailbox)


async def test_one_member_unplugged(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(serve_tcp({1: SimTriStar(serial="00000001")}))
        two = await stack.enter_async_context(serve_tcp({1: SimTriStar(serial="00000002")}))
        installation = await stack.enter_async_context(running(settings(tmp_path, roof=one, shed=two)))
        site = installation.site
        both = await until(site, lambda reading: reading.values["members_answering"] == 2)
        together = both.values["yield_total"]
        parts = [site.reading(name).values["yield_total"] for name in ("roof", "shed")]  # type: ignore[union-attr]
        assert together == pytest.approx(sum(parts))  # type: ignore[arg-type]
        await two.pause()
        alone = await until(site, lambda reading: reading.values["members_answering"] == 1)
        roof = site.reading("roof")
        assert roof is not None
        assert alone.values["pv_power"] == roof.values["pv_power"] is not None
        assert alone.values["yield_total"] is None and alone.reasons["yield_total"] is Reason.OFFLINE
        await one.pause()
        await until(site, lambda reading: reading.health is Health.OFFLINE)
        await one.resume()
        await two.resume()
        again = await until(site, lambda reading: reading.values["members_answering"] == 2)
        assert again.values["yield_total"] >= together  # type: ignore[operator]
    # Its place in the inventory is nobody's: it is no device that answers anywhere.
    assert "total" not in (tmp_path / "devices.json").read_text()


async def test_the_daemon_is_asked_for_it(tmp_path: Path) -> None:
    async with serve_tcp({1: SimTriStar()}) as server:
        file = tmp_path / "heliobus.toml"
        file.write_text(
            f'[site]\nstate = "{tmp_path}"\n[[device]]\nname = "roof"\ndriver = "{DRIVER}"\npoll = "0.5s"\n'
            f'link = "tcp://127.0.0.1:{server.port}"\n[[total]]\nname = "array"\n[output.venus]\n'
        )
        chosen = target.total("array", file)
        assert chosen == TotalConfig("array", ("roof",))
        with pytest.raises(Problem, match="array: is added up by the daemon, and none runs here"):
            async with served_total(chosen, file):
                pass
        async with running(replace(config.load(file), venus=None)) as installation:
            await until(installation.site, lambda reading: reading.values["members_answering"] == 1)
            found = json.loads(await said("read", "array", "--json", "-c", str(file)))
            assert found["device"]["driver"] == "total" and found["device"]["key"] == "total_array"
            assert found["points"]["members"] == {"value": 1, "unit": None, "reason": None}
            assert found["points"]["pv_power"]["value"] is not None
            assert set(found["points"]) == set(POINTS)
            # Beside it the devices are read as ever.
            assert (await said("read", "roof", "battery_voltage", "--value", "-c", str(file))).strip()
            assert "no point 'pv_powr'; did you mean 'pv_power'?" in await said(
                "read", "array", "pv_powr", "-c", str(file), code=2
            )
            assert "there are roof, array" in await said("read", "aray", "-c", str(file), code=2)


async def said(*arguments: str, code: int = 0) -> str:
    result = await heliobus(*arguments)
    assert result.code == code, result.err
    return result.out if code == 0 else result.err
