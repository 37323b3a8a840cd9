"""What may travel on a path, and the pure conversions of the tables."""

import math

import pytest
from dbus_fast import Message
from hypothesis import given
from hypothesis import strategies as st

from heliobus.model.day import Day
from heliobus.model.point import Value
from heliobus.model.role import Role
from heliobus.outputs.venus.face import service_name
from heliobus.outputs.venus.item import Item, Kind, clean, fitting
from heliobus.outputs.venus.leaf import Leaf
from heliobus.outputs.venus.paths import ROLE_PATHS, STATISTICS, camel_case
from heliobus.outputs.venus.paths_identity import PRODUCT_IDS, firmware_number, product_name
from heliobus.outputs.venus.stored_item import acceptable_name
from heliobus.outputs.venus.variant import entry as entry_of
from venus_site import charger

VALUES = st.one_of(st.none(), st.integers(), st.floats(), st.text(st.characters()), st.booleans())


@given(st.sampled_from(["d", "i", "s", "as"]), VALUES)
def test_whatever_comes_can_travel_and_keeps_the_type_of_the_path(kind: Kind, value: Value) -> None:
    item = Item("/X", kind)
    item.take(value)
    entry = entry_of(item)
    allowed = {"d": ("d",), "i": ("i", "x"), "s": ("s",), "as": ("as",)}[kind]
    assert entry["Value"].signature in (*allowed, "ai")
    message = Message.new_signal("/", "a.b", "C", "a{sa{sv}}", [{"/X": entry}])
    message.serial = 1
    assert message._marshall(False)
    assert not (isinstance(item.value, float) and not math.isfinite(item.value))
    assert not isinstance(item.value, bool)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("d", 12, 12.0),
        ("d", True, 1.0),
        ("d", "12", None),
        ("d", math.nan, None),
        ("d", 10**400, None),
        ("i", 3.0, 3),
        ("i", True, 1),
        ("i", math.inf, None),
        ("i", 2**63, None),
        ("i", 2**40, 2**40),
        ("s", "text", "text"),
        ("s", 5, None),
        ("s", "a\0b", "ab"),
        ("s", "a\ud800", "a?"),
    ],
)
def test_what_a_path_may_carry(kind: Kind, value: Value, expected: Value) -> None:
    found = fitting(kind, value)
    assert found == expected
    assert type(found) is type(expected)


def test_clean_leaves_readable_text_alone() -> None:
    assert clean("27.5 °C ☀") == "27.5 °C ☀"
    assert clean("two\nlines") == "two\nlines"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.1.42", 0x010142),
        ("1.57", 0x0157),
        ("2.3.4", 0x020304),
        ("12.34.56", 0x123456),
        (None, None),
        ("", None),
        ("42", None),
        ("v1.2", None),
        ("1.2b", None),
        ("1.123", None),
        ("1.2.3.4", None),
        ("1..2", None),
        ("1.²", None),
    ],
)
def test_firmware_numbers(text: str | None, number: int | None) -> None:
    assert firmware_number(text) == number


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("Roof", True),
        ("", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("a\nb", False),
        ("Süd ☀", True),
        ("\x7f", False),
    ],
)
def test_names_of_devices(text: str, good: bool) -> None:
    assert acceptable_name(text) is good


def test_product_ids_are_outside_of_victrons() -> None:
    assert len(set(PRODUCT_IDS.values())) == len(PRODUCT_IDS)
    for number in PRODUCT_IDS.values():
        assert number != 0x0300
        assert not 0xA000 <= number <= 0xB0FF
        assert not 0xC000 <= number <= 0xC0FF


def test_a_device_without_names_is_still_shown() -> None:
    device = charger()
    identity = type(device.identity)("", "")
    assert product_name(charger(identity=identity)) == "morningstar-tristar-mppt"


def test_names_of_services() -> None:
    assert service_name(charger(number=3)) == "com.victronenergy.solarcharger.tristar_3"
    odd = charger(short="pzem-016", role=Role.AC_LOAD)
    assert service_name(odd) == "com.victronenergy.acload.pzem_016_0"


def test_camel_case() -> None:
    assert camel_case("heatsink_temperature") == "HeatsinkTemperature"
    assert camel_case("supply_12v") == "Supply12v"
    assert camel_case("pzem-016") == "Pzem016"


@pytest.mark.parametrize("role", list(ROLE_PATHS))
def test_tables_name_points_of_the_vocabulary_once_a_path(role: Role) -> None:
    from heliobus.model.vocabulary import VOCABULARY
    from heliobus.outputs.venus.device_tree import KINDS

    leaves: tuple[Leaf, ...] = (*ROLE_PATHS[role].leaves, *STATISTICS)
    paths = [leaf.path for leaf in leaves] + [constant.path for constant in ROLE_PATHS[role].constants]
    assert len(set(paths)) == len(paths)
    for leaf in leaves:
        if leaf.of is not None:
            continue
        # Whole seconds are a double where Victron's chargers send one.
        allowed = ("i", "d") if leaf.path == "/Equalization/TimeRemaining" else (KINDS[VOCABULARY[leaf.point].kind],)
        assert leaf.kind in allowed, leaf.path
        assert not leaf.command or leaf.command == leaf.point
        assert {leaf.needs, leaf.ceiling, leaf.along} - {""} <= set(VOCABULARY)


def test_a_day_of_nothing_is_zero_energy_and_unknown_extremes() -> None:
    from heliobus.outputs.venus.history import DAY_LEAVES

    values = {name: of_day(Day("2026-01-01")) for name, _, of_day, _ in DAY_LEAVES}
    assert values["Yield"] == 0.0
    assert values["MaxPower"] is None
    assert values["LastError1"] == 0
