"""What the config says of control: options of a device, profiles, seasons; every wrong one is said in a line."""

import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus import config
from heliobus.config import Config, ConfigError, DeviceConfig, parse
from heliobus.config.dates import SEASONS, kind, overlap, within
from heliobus.config.profiles import RANGES
from heliobus.devices import catalog
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import (
    NORTH,
    SOUTH,
    ControlOptions,
    EepromOptions,
    EqualizeOptions,
    Profile,
    Seasons,
    ServerOptions,
    TopChargeOptions,
    When,
)
from heliobus.wire.address import parse_link

ROOF = """
[[device]]
name = "roof"
driver = "morningstar-tristar-mppt"
link = "tcp://192.168.1.100"
"""
BARN = ROOF.replace("roof", "barn").replace("100", "101")
VENUS = "[output.venus]\n"
FLOODED = 'system_voltage = 24\nchemistry = "flooded"\n'


@pytest.fixture(autouse=True)
def _no_gx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "VENUS_VERSION_FILE", tmp_path / "no-such-file")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)


def read(text: str) -> Config:
    return parse(tomllib.loads(text), "cabin.toml")


def options(text: str) -> ControlOptions:
    [device] = read(ROOF + text + VENUS).devices
    return device.options


def profiles(text: str, venus: str = VENUS) -> tuple[Profile, ...]:
    return read(ROOF + BARN + text + venus).profiles


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    line = str(caught.value)
    assert line.startswith("cabin.toml: ")
    assert line.isprintable()
    return line


def test_control_is_off_unless_the_owner_says_so() -> None:
    [device] = read(ROOF + VENUS).devices
    assert device.options == ControlOptions()
    assert not device.control
    assert not options('control = "off"\n').on


def test_a_device_of_the_gx_settings_can_still_be_made_by_position() -> None:
    device = DeviceConfig("charger", "morningstar-tristar-mppt", parse_link("tcp://h"), 3, 2.0)
    assert (device.name, device.unit, device.poll, device.label, device.control) == ("charger", 3, 2.0, "", False)
    assert DeviceConfig("charger", "d", parse_link("tcp://h"), options=ControlOptions(on=True)).control


def test_every_option() -> None:
    found = options(
        'control = "on"\n'
        + FLOODED
        + """
        [device.limits]
        voltage = 31
        current = 45.0
        [device.equalize]
        allowed = true
        time_limit = "2h"
        wait_limit = "36h"
        interval_days = 14
        hottest = 40
        [device.top_charge]
        voltage = 28.7
        tail_current = 1.5
        tail_time = "10m"
        time_limit = "90m"
        wait_limit = "6h"
        [device.server]
        nightly_reset = -1
        reset_when_hung = false
        http_port = 8080
        [device.eeprom]
        interval = "30m"
        daily = 2
        """
    )
    assert found == ControlOptions(
        on=True,
        system_voltage=24,
        chemistry=CHEMISTRIES["flooded"],
        highest_voltage=31.0,
        highest_current=45.0,
        equalize=EqualizeOptions(True, 7200.0, 129600.0, 14.0, 40.0),
        top_charge=TopChargeOptions(28.7, 1.5, 600.0, 5400.0, 21600.0),
        server=ServerOptions(-1, False, 8080),
        eeprom=EepromOptions(1800.0, 2),
    )
    assert isinstance(found.highest_voltage, float)


def test_what_is_not_written_is_as_the_model_has_it() -> None:
    found = options('control = "on"\n[device.top_charge]\nvoltage = 14.4\n[device.equalize]\n[device.server]\n')
    assert found == ControlOptions(on=True, top_charge=TopChargeOptions(14.4))


def test_options_without_control_are_checked_and_wait() -> None:
    found = options(FLOODED + "[device.limits]\nvoltage = 28.8\n")
    assert not found.on
    assert found.highest_voltage == 28.8
    assert "voltage is 99" in problem(ROOF + FLOODED + "[device.limits]\nvoltage = 99\n" + VENUS)


def test_options_belong_to_the_device_above_them() -> None:
    text = ROOF + FLOODED + "[device.limits]\ncurrent = 30\n" + BARN + "[device.limits]\ncurrent = 20\n" + VENUS
    roof, barn = read(text).devices
    assert (roof.options.highest_current, barn.options.highest_current) == (30, 20)
    assert (roof.options.system_voltage, barn.options.system_voltage) == (24, None)
    assert "cabin.toml: [[device]] 2 [device.limits]: current is 0;" in problem(text.replace("= 20", "= 0"))


def test_the_battery_bounds_every_voltage() -> None:
    for system in (12, 24, 48):
        for chemistry in CHEMISTRIES.values():
            head = f'system_voltage = {system}\nchemistry = "{chemistry.name}"\n'
            for table in ("limits", "top_charge"):
                highest = round(chemistry.highest * system / 12, 2)
                options(f"{head}[device.{table}]\nvoltage = {highest}\n")
                line = problem(f"{ROOF}{head}[device.{table}]\nvoltage = {highest + 0.01:.2f}\n{VENUS}")
                assert f"{highest:g} V for a " in line
                assert f"battery of {system} V" in line
                lowest = chemistry.lowest * system / 12
                problem(f"{ROOF}{head}[device.{table}]\nvoltage = {lowest - 0.01:.2f}\n{VENUS}")


@pytest.mark.parametrize("name", [name for name, each in CHEMISTRIES.items() if not each.equalize])
def test_what_must_not_be_equalized_is_not(name: str) -> None:
    line = problem(f'{ROOF}chemistry = "{name}"\n[device.equalize]\nallowed = true\n{VENUS}')
    assert "[[device]] 1 [device.equalize]: allowed is true; allowed: false" in line
    assert "destroys" in line
    assert ('"flooded"' if name == "unknown" else name) in line
    assert not options(f'chemistry = "{name}"\n[device.equalize]\nallowed = false\n').equalize.allowed


def test_every_charge_setting_has_a_sane_range() -> None:
    for driver in catalog.drivers():
        if driver.writes is not None and driver.writes.eeprom is not None:
            for register in driver.writes.eeprom.registers:
                assert register.point.name.startswith("set_")
                assert register.point.quantity in RANGES, register.point.name


# What stands in the one device's table, and words that the line must hold.
WRONG_OPTIONS: list[tuple[str, tuple[str, ...]]] = [
    ("system_voltage = 36\n", ("[[device]] 1:", "system_voltage is 36", "12 or 24 or 48")),
    ("system_voltage = 24.0\n", ("system_voltage is 24.0", "12 or 24 or 48")),
    ("system_voltage = true\n", ("system_voltage is true",)),
    ('chemistry = "lead"\n', ('chemistry is "lead"', '"unknown" or "flooded"', '"lifepo4"')),
    ("control = true\n", ("control is true", '"on" or "off"')),
    ("limits = 5\n", ("[[device]] 1 [device.limits] is 5", "a table")),
    ("[device.limits]\nvolt = 5\n", ("[device.limits]", "'volt'", "did you mean 'voltage'")),
    ('[device.limits]\nvoltage = "28"\n', ('voltage is "28"', "a number from 10 to 60 V for a battery")),
    ("[device.limits]\nvoltage = nan\n", ("voltage is nan",)),
    ("[device.limits]\nvoltage = true\n", ("voltage is true",)),
    (f"[device.limits]\nvoltage = {'9' * 400}\n", ("voltage is a number of many digits",)),
    ("[device.limits]\ncurrent = 0\n", ("current is 0", "a number from 0.5 to 1000 A")),
    ("[device.limits]\ncurrent = inf\n", ("current is inf",)),
    ("[device.equalize]\nallowed = 1\n", ("[device.equalize]", "allowed is 1", "true or false")),
    ('[device.equalize]\ntime_limit = "2d"\n', ('time_limit is "2d"', "a time from 60.0 s to 86400.0 s")),
    ("[device.equalize]\ninterval_days = -1\n", ("interval_days is -1", "0 to 365 days")),
    ("[device.equalize]\nhottest = 90\n", ("hottest is 90", "0 to 60 °C")),
    ("[device.top_charge]\n", ("[device.top_charge]", "voltage is missing", "a number from 10 to 60 V")),
    ("[device.limits]\nvoltage = 28\n[device.top_charge]\nvoltage = 29\n", ("voltage is 29", "10 to 28 V", "limits")),
    ("[device.top_charge]\nvoltage = 28\ntail_current = 0\n", ("tail_current is 0", "0.1 to 1000 A")),
    (
        '[device.top_charge]\nvoltage = 28\ntime_limit = "5m"\n',
        ('tail_time is "300 s"', "less than time_limit, 300 s"),
    ),
    (
        '[device.top_charge]\nvoltage = 28\ntime_limit = "13h"\n',
        ('time_limit is "46800 s"', "at most wait_limit, 43200 s"),
    ),
    ("[device.server]\nnightly_reset = 24\n", ("[device.server]", "nightly_reset is 24", "-1 to 23")),
    ('[device.server]\nreset_when_hung = "no"\n', ("reset_when_hung", "true or false")),
    ("[device.server]\nhttp_port = 0\n", ("http_port is 0", "1 to 65535")),
    ("[device.eeprom]\ndaily = 25\n", ("[device.eeprom]", "daily is 25", "0 to 24")),
    ("[device.eeprom]\ninterval = -1\n", ("interval is -1", "0 s to 2592000.0 s")),
    ("[device.eeproms]\n", ("[[device]] 1: unknown key 'eeproms'", "did you mean 'eeprom'")),
]


@pytest.mark.parametrize(("text", "words"), WRONG_OPTIONS, ids=range(len(WRONG_OPTIONS)))
def test_wrong_options_are_said_in_one_line(text: str, words: tuple[str, ...]) -> None:
    line = problem(ROOF + text + VENUS)
    for word in words:
        assert word in line, line


def test_profiles() -> None:
    found = profiles(
        """
        [profile.winter]
        absorption_voltage = 28.6
        float_voltage = 27
        absorption_time = "75m"
        float_exit_time = 1800
        equalize_days = 0
        compensation_max = 40
        compensation_min = -10
        temperature_compensation = -0.06
        current_limit = 30
        when = { season = "winter" }
        [profile."the cabin, december"]
        absorption_voltage = 29.2
        devices = ["roof"]
        when = { from = "12-01", to = "02-29" }
        [profile.holidays]
        float_voltage = 0
        devices = ["roof", "barn"]
        when = { from = "2026-12-20", to = 2027-01-05 }
        [profile.rest]
        float_voltage = 26.8
        """
    )
    assert found == (
        Profile(
            "winter",
            {
                "set_absorption_voltage": 28.6,
                "set_float_voltage": 27.0,
                "set_absorption_time": 4500.0,
                "set_float_exit_time": 1800.0,
                "set_equalize_days": 0.0,
                "set_compensation_max": 40.0,
                "set_compensation_min": -10.0,
                "set_temperature_compensation": -0.06,
                "set_current_limit": 30.0,
            },
            (),
            When("winter"),
        ),
        Profile("the cabin, december", {"set_absorption_voltage": 29.2}, ("roof",), When("", "12-01", "02-29")),
        Profile("holidays", {"set_float_voltage": 0.0}, ("roof", "barn"), When("", "2026-12-20", "2027-01-05")),
        Profile("rest", {"set_float_voltage": 26.8}),
    )
    assert profiles("") == ()


def test_a_profile_can_be_for_the_charger_of_the_gx_settings() -> None:
    text = '[profile.x]\nfloat_voltage = 27\ndevices = ["charger"]\n'
    [found] = profiles(text, VENUS + "settings_charger = true\n")
    assert found.devices == ("charger",)
    assert 'devices is "charger"; allowed: names of devices: "roof", "barn"' in problem(ROOF + BARN + text + VENUS)
    [alone] = read(text + '[output.venus]\nbus = "x"\n').profiles
    assert alone == found


SOLSTICE = 'when = { season = "winter" }\n'


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (SOLSTICE, SOLSTICE, "every device"),
        (SOLSTICE, SOLSTICE.replace("winter", "summer"), None),
        (SOLSTICE, 'when = { from = "01-01", to = "01-31" }\n', None),
        ('when = { from = "11-01", to = "01-01" }\n', 'when = { from = "01-01", to = "01-31" }\n', "every device"),
        ('when = { from = "11-01", to = "12-31" }\n', 'when = { from = "01-01", to = "01-31" }\n', None),
        ('when = { from = "02-29", to = "02-29" }\n', 'when = { from = "02-01", to = "03-31" }\n', "every device"),
        (
            'when = { from = "2026-12-20", to = "2027-01-05" }\n',
            'when = { from = "2027-01-05", to = "2027-01-05" }\n',
            "every device",
        ),
        (
            'when = { from = "2026-12-20", to = "2027-01-05" }\n',
            'when = { from = "2027-12-20", to = "2028-01-05" }\n',
            None,
        ),
        ('devices = ["roof"]\n' + SOLSTICE, 'devices = ["barn"]\n' + SOLSTICE, None),
        ('devices = ["roof", "barn"]\n' + SOLSTICE, 'devices = ["barn"]\n' + SOLSTICE, "for barn"),
        ('devices = ["roof"]\n' + SOLSTICE, SOLSTICE, "for roof"),
        ("", SOLSTICE, None),
    ],
)
def test_two_profiles_are_never_due_at_once(one: str, other: str, clash: str | None) -> None:
    text = f"[profile.one]\nfloat_voltage = 27\n{one}[profile.other]\nfloat_voltage = 26\n{other}"
    if clash is None:
        assert len(profiles(text)) == 2
    else:
        line = problem(ROOF + BARN + text + VENUS)
        assert "[profile]: 'one' and 'other' are due at the same time" in line
        assert clash in line


WRONG_PROFILES: list[tuple[str, tuple[str, ...]]] = [
    ("profile = 5\n", ("[profile] is 5", "a table")),
    ("profile.x = 5\n", ("[profile.x] is 5", "a table")),
    ("[profile.x]\n", ("[profile.x]: no setting", "absorption_voltage, float_voltage")),
    ("[profile.x]\nset_float_voltage = 27\n", ("unknown key 'set_float_voltage'", "did you mean 'float_voltage'")),
    ("[profile.x]\nmodbus_unit = 3\n", ("[profile.x]: unknown key 'modbus_unit'",)),
    ("[profile.x]\nfixed_array_voltage = 3\n", ("unknown key 'fixed_array_voltage'",)),
    ("[profile.x]\nfloat_voltage = 71\n", ("[profile.x]: float_voltage is 71", "a number from 0 to 70 V")),
    ("[profile.x]\nfloat_voltage = nan\n", ("float_voltage is nan",)),
    ('[profile.x]\nfloat_voltage = "27"\n', ('float_voltage is "27"',)),
    ('[profile.x]\nabsorption_time = "20h"\n', ('absorption_time is "20h"', "65535.0 s")),
    ("[profile.x]\nequalize_days = -1\n", ("equalize_days is -1", "d")),
    ("[profile.x]\ntemperature_compensation = 0.06\n", ("temperature_compensation is 0.06", "-1 to 0 V/°C")),
    ('[profile."a b"]\nfloat_voltage = 99\n', ('[profile."a b"]: float_voltage',)),
    ('[profile.""]\nfloat_voltage = 27\n', ("a profile's name", "1 to 40 characters")),
    ('[profile." x"]\nfloat_voltage = 27\n', ("a profile's name",)),
    ('[profile."a\\nb"]\nfloat_voltage = 27\n', ("a profile's name",)),
    (f"[profile.{'x' * 41}]\nfloat_voltage = 27\n", ("a profile's name",)),
    ('[profile.x]\nfloat_voltage = 27\ndevices = "roof"\n', ('devices is "roof"', '"roof", "barn"')),
    ("[profile.x]\nfloat_voltage = 27\ndevices = [5]\n", ("devices is an array",)),
    ("[profile.x]\nfloat_voltage = 27\ndevices = []\n", ("devices is an array", "left out it is for all")),
    ('[profile.x]\nfloat_voltage = 27\ndevices = ["rof"]\n', ('devices is "rof"', '"roof", "barn"')),
]
WRONG_WHENS: list[tuple[str, tuple[str, ...]]] = [
    ("5", ("[profile.x.when] is 5", "a table")),
    ("{}", ("[profile.x.when]: from is missing", '"12-01"')),
    ('{ seson = "winter" }', ("'seson'", "did you mean 'season'")),
    ('{ season = "Winter" }', ('season is "Winter"', '"spring" or "summer" or "autumn" or "winter"')),
    ('{ season = "winter", from = "12-01" }', ("season and dates together",)),
    ('{ from = "12-01" }', ("to is missing",)),
    ('{ to = "12-01" }', ("from is missing",)),
    ('{ from = "12-01", to = "2027-01-01" }', ("to is", "written like from")),
    ('{ from = "2027-01-02", to = "2027-01-01" }', ("to is", "not before from, 2027-01-02")),
    *(
        (f"{{ from = {day}, to = {day} }}", ("from is", "a date such as"))
        for day in (
            '"02-30"',
            '"13-01"',
            '"2027-02-29"',
            '"1-1"',
            '"0000-01-01"',
            '"20270101"',
            '"2027-W01-1"',
            '""',
            '"٠١-٠١"',
            "5",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00:00Z",
            "12:00:00",
        )
    ),
]


@pytest.mark.parametrize(("text", "words"), WRONG_PROFILES, ids=range(len(WRONG_PROFILES)))
def test_wrong_profiles_are_said_in_one_line(text: str, words: tuple[str, ...]) -> None:
    line = problem(text + ROOF + BARN + VENUS)
    for word in words:
        assert word in line, line


@pytest.mark.parametrize(("when", "words"), WRONG_WHENS, ids=range(len(WRONG_WHENS)))
def test_wrong_dates_are_said_in_one_line(when: str, words: tuple[str, ...]) -> None:
    line = problem(f"{ROOF}{BARN}[profile.x]\nfloat_voltage = 27\nwhen = {when}\n{VENUS}")
    for word in words:
        assert word in line, line


def test_seasons() -> None:
    def found(text: str) -> Seasons:
        return read(f"[site]\n{text}" + ROOF + VENUS).site.seasons

    assert read(ROOF + VENUS).site.seasons == NORTH
    assert found('hemisphere = "north"\n') == NORTH
    assert found('hemisphere = "south"\n') == SOUTH
    assert found('[site.seasons]\nspring = "04-15"\n') == Seasons("04-15", "06-01", "09-01", "12-01")
    assert found('hemisphere = "south"\n[site.seasons]\nwinter = "05-01"\n') == Seasons(
        "09-01", "12-01", "03-01", "05-01"
    )
    assert found('[site.seasons]\nspring = "02-29"\n').spring == "02-29"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('hemisphere = "east"\n', ("[site]", 'hemisphere is "east"', '"north" or "south"')),
        ('[site.seasons]\nfall = "09-01"\n', ("[site.seasons]", "'fall'", "spring, summer, autumn, winter")),
        ('[site.seasons]\nspring = "2026-03-01"\n', ("[site.seasons]: spring is", 'a date such as "12-01"')),
        ("[site.seasons]\nspring = 2026-03-01\n", ("spring is 2026-03-01",)),
        ('[site.seasons]\nspring = "03-32"\n', ("spring is",)),
        ('[site.seasons]\nspring = "06-01"\n', ("one after another",)),
        ('[site.seasons]\nspring = "10-01"\n', ("begin on 10-01, 06-01, 09-01, 12-01", "one after another")),
        ("seasons = 5\n", ("[site.seasons] is 5",)),
    ],
)
def test_wrong_seasons(text: str, words: tuple[str, ...]) -> None:
    line = problem(f"[site]\n{text}" + ROOF + VENUS)
    for word in words:
        assert word in line, line


YEAR = [datetime.date(2024, 1, 1) + datetime.timedelta(days) for days in range(366)]
month_days = st.sampled_from([day.isoformat()[5:] for day in YEAR])
full_dates = st.dates(datetime.date(2024, 1, 1), datetime.date(2026, 12, 31)).map(datetime.date.isoformat)
whens = st.one_of(
    st.sampled_from(SEASONS).map(When),
    st.tuples(month_days, month_days).map(lambda ends: When("", *ends)),
    st.tuples(full_dates, full_dates).map(lambda ends: When("", *sorted(ends))),
)


@settings(max_examples=300, deadline=None)
@given(whens, whens)
def test_an_overlap_is_a_day_on_which_both_are_due(one: When, other: When) -> None:
    assert overlap(one, other) == overlap(other, one)
    if kind(one) is not kind(other):
        assert not overlap(one, other)
        return
    if one.season:
        assert overlap(one, other) == (one.season == other.season)
        return
    days = (
        [(datetime.date(2024, 1, 1) + datetime.timedelta(number)).isoformat() for number in range(3 * 366)]
        if len(one.first) > 5
        else [day.isoformat()[5:] for day in YEAR]
    )
    assert overlap(one, other) == any(within(one, day) and within(other, day) for day in days)


@given(st.dates(), st.booleans())
def test_every_day_is_a_date(day: datetime.date, yearly: bool) -> None:
    text = day.isoformat()[5:] if yearly else day.isoformat()
    [found] = profiles(f'[profile.x]\nfloat_voltage = 27\nwhen = {{ from = "{text}", to = "{text}" }}\n')
    assert found.when == When("", text, text)


leaves = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(-(10**500), 10**500),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from((*CHEMISTRIES, *SEASONS, "on", "off", "5m", "2h", "12-01", "02-29", "2026-12-01", "south", "roof")),
    st.sampled_from((12, 24, 48, 0, 3, 28.8)),
    st.lists(st.sampled_from(("roof", "barn")) | st.integers(), max_size=2),
    st.dates(),
    st.just(datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)),
)


def tables(*names: str, of: st.SearchStrategy[Any] = leaves) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=5), of, max_size=5) | leaves


device_keys = st.fixed_dictionaries(
    {"driver": st.just("morningstar-tristar-mppt"), "link": st.just("tcp://h"), "name": st.just("roof")},
    optional={
        "control": leaves,
        "system_voltage": leaves,
        "chemistry": leaves,
        "limits": tables("voltage", "current"),
        "equalize": tables("allowed", "time_limit", "wait_limit", "interval_days", "hottest"),
        "top_charge": tables("voltage", "tail_current", "tail_time", "time_limit", "wait_limit"),
        "server": tables("nightly_reset", "reset_when_hung", "http_port"),
        "eeprom": tables("interval", "daily"),
    },
)
documents = st.fixed_dictionaries(
    {"device": device_keys.map(lambda table: [table]), "output": st.just({"venus": {}})},
    optional={
        "site": st.fixed_dictionaries({}, optional={"hemisphere": leaves, "seasons": tables(*SEASONS)}),
        "profile": tables(
            "winter",
            "summer",
            of=tables(
                "float_voltage", "absorption_time", "devices", "when", of=leaves | tables("season", "from", "to")
            ),
        ),
    },
)


@settings(max_examples=400, deadline=None)
@given(documents)
def test_no_document_raises_anything_but_a_config_error_of_one_line(document: dict[str, Any]) -> None:
    try:
        found = parse(document, "f.toml")
    except ConfigError as error:
        assert str(error).startswith("f.toml: ")
        assert str(error).isprintable()
        assert len(str(error)) < 2000
    else:
        [device] = found.devices
        control = device.options
        assert control.system_voltage in (None, 12, 24, 48)
        assert control.chemistry.equalize or not control.equalize.allowed
        assert control.highest_voltage is None or 10 <= control.highest_voltage <= 66
        for profile in found.profiles:
            assert profile.settings
            assert all(0 <= value <= 65535 for value in profile.settings.values())
