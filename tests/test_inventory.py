"""The inventory: numbers and names that follow serial numbers, over restarts and damage."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.inventory import Inventory, Known, device_key, seat_of
from heliobus.ledger.store import LedgerWriteError
from heliobus.model.device import Identity
from heliobus.wire.address import parse_link

ROOF, SHED, BARN = "tcp://192.0.2.4:502#1", "tcp://192.0.2.4:502#2", "serial:/dev/ttyUSB0?baud=9600#1"


def charger(serial: str | None = "10170296", firmware: str = "1.1.42") -> Identity:
    return Identity("Morningstar", "TriStar MPPT 60", serial, firmware, "1.1")


def remember(inventory: Inventory, place: str, identity: Identity, short: str = "tristar") -> Known:
    return inventory.remember(place, "morningstar-tristar-mppt", short, identity)[0]


def reloaded(path: Path) -> Inventory:
    inventory = Inventory(path)
    assert inventory.load() is None
    return inventory


def test_numbers_count_from_zero_within_a_short_name() -> None:
    inventory = Inventory(None)
    assert [remember(inventory, f"p{index}", charger(str(index))).number for index in range(4)] == [0, 1, 2, 3]
    assert remember(inventory, "x", charger("1"), "tracer").number == 0
    assert remember(inventory, "y", charger("9"), "tristar").number == 4


def test_a_number_stays_with_the_serial_number_wherever_it_answers() -> None:
    inventory = Inventory(None)
    first, second = remember(inventory, ROOF, charger("1")), remember(inventory, SHED, charger("2"))
    assert remember(inventory, ROOF, charger("2")) == second
    assert remember(inventory, SHED, charger("1")) == first
    assert remember(inventory, BARN, charger("3")).number == 2
    assert (first.key, second.key) == ("tristar_1", "tristar_2")


def test_what_is_news() -> None:
    inventory = Inventory(None)

    def news(place: str, identity: Identity) -> bool:
        return inventory.remember(place, "d", "tristar", identity)[1]

    assert news(ROOF, charger())
    assert not news(ROOF, charger())
    assert news(ROOF, charger(firmware="1.1.43"))
    assert not news(ROOF, charger(firmware="1.1.43"))
    assert news(SHED, charger())
    assert news(ROOF, charger("2"))


def test_without_a_serial_number_the_place_names_the_device() -> None:
    inventory = Inventory(None)
    roof, shed = remember(inventory, ROOF, charger(None)), remember(inventory, SHED, charger(None))
    assert roof.key == "tristar_tcp_192_0_2_4_502_1"
    assert (roof.number, shed.number) == (0, 1)
    assert remember(inventory, ROOF, charger(None)) == roof


@pytest.mark.parametrize("serial", ["---", "", "  ", "°"])
def test_a_serial_number_without_a_letter_or_digit_names_nothing(serial: str) -> None:
    assert device_key("tristar", serial, ROOF) == device_key("tristar", None, ROOF)


SEAT = "usb-1a86-55d3-5433#u1"


def test_a_device_without_serial_number_stays_itself_when_its_tty_gets_another_name(tmp_path: Path) -> None:
    inventory = Inventory(tmp_path / "devices.json")
    tracer = Identity("EPever", "Tracer 4210AN", None, "1.2", None)

    def seen(inventory: Inventory, place: str, seat: str) -> Known:
        return inventory.remember(place, "epever-tracer", "tracer", tracer, seat)[0]

    before = seen(inventory, "serial:/dev/ttyUSB0?baud=115200#1", SEAT)
    other = seen(inventory, "serial:/dev/ttyUSB1?baud=115200#1", "usb-1a86-55d3-5434#u1")
    assert (before.key, before.number, other.number) == ("tracer_usb_1a86_55d3_5433_u1", 0, 1)
    inventory.save()
    again = reloaded(tmp_path / "devices.json")
    assert again.known("serial:/dev/ttyUSB0?baud=115200#1") == before
    for place in ("serial:/dev/ttyUSB1?baud=115200#1", "serial:/dev/serial/by-id/usb-1a86#1", "serial:/dev/x?stop=2#1"):
        assert seen(again, place, SEAT) == before
    assert seen(again, "serial:/dev/ttyUSB0?baud=115200#1", "usb-1a86-55d3-5434#u1") == other


def test_a_serial_number_counts_more_than_the_seat(tmp_path: Path) -> None:
    """What was written before there were seats is found again, under its key and number."""
    before = Inventory(tmp_path / "devices.json")
    known = remember(before, BARN, charger())
    before.save()
    again = reloaded(tmp_path / "devices.json")
    assert again.known(BARN) == known
    assert again.remember(BARN, "morningstar-tristar-mppt", "tristar", charger(), SEAT) == (known, False)


def test_seats(tmp_path: Path) -> None:
    tty = tmp_path / "ttyX"
    assert seat_of(parse_link(f"serial:{tty}?baud=115200"), 3) == f"{tty}#u3"
    assert seat_of(parse_link(f"serial:{tty}?baud=9600&stop=2"), 3) == f"{tty}#u3"
    assert seat_of(parse_link("tcp://192.0.2.4"), 2) == SHED
    key = device_key("pzem", None, seat_of(parse_link("tcp://192.0.2.4"), 2))
    assert key == "pzem_tcp_192_0_2_4_502_2"


@given(st.text(), st.text(min_size=1), st.sampled_from(("tristar", "pzem")))
def test_keys_are_plain_and_stable(serial: str, place: str, short: str) -> None:
    key = device_key(short, serial, place)
    assert re.fullmatch(r"[A-Za-z0-9_]+", key)
    assert key.startswith(f"{short}_")
    assert key == device_key(short, serial, place)


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "devices.json"
    inventory = Inventory(path)
    assert inventory.load() is None
    roof, shed = remember(inventory, ROOF, charger("1")), remember(inventory, SHED, charger(None))
    inventory.save()
    again = reloaded(path)
    assert (again.known(ROOF), again.known(SHED), again.known(BARN)) == (roof, shed, None)
    assert again.remember(ROOF, "morningstar-tristar-mppt", "tristar", charger("1")) == (roof, False)
    assert remember(again, BARN, charger("7")).number == 2


texts = st.text(st.characters(exclude_categories=()), max_size=12)
identities = st.builds(
    Identity,
    vendor=texts,
    model=texts,
    serial=st.none() | texts,
    firmware=st.none() | texts,
    hardware=st.none() | texts,
    details=st.dictionaries(texts, texts, max_size=3),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(texts, st.sampled_from(("a", "b")), identities), max_size=8, unique_by=lambda each: each[0]))
def test_any_identity_survives_the_file(seen: list[tuple[str, str, Identity]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "devices.json"
        inventory = Inventory(path)
        for place, short, identity in seen:
            inventory.remember(place, f"driver-{short}", short, identity)
        inventory.save()
        again = reloaded(path)
        for place, short, _ in seen:
            known = inventory.known(place)
            assert known is not None and again.known(place) == known
            assert inventory.remember(place, f"driver-{short}", short, known.identity)[0].number == known.number
        numbers = [(known.key, known.number) for known in map(again.known, {place for place, _, _ in seen}) if known]
        for short in ("a", "b"):
            given_out = [number for key, number in set(numbers) if key.startswith(f"{short}_")]
            assert len(given_out) == len(set(given_out))


def test_a_hole_in_the_numbers_is_filled_first(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    numbers = {"tristar_1": 0, "tristar_3": 2, "tristar_4": 7}
    path.write_text(json.dumps({"version": 1, "numbers": numbers, "places": {}}))
    inventory = reloaded(path)
    assert [remember(inventory, f"p{serial}", charger(serial)).number for serial in ("3", "x", "y", "z")] == [
        2,
        1,
        3,
        4,
    ]


KNOWN = {"driver": "d", "key": "k", "number": 0, "identity": {"vendor": "v", "model": "m"}}
DAMAGED = [
    "",
    "{",
    "[]",
    "null",
    "7",
    "{}",
    '{"version": 1}',
    '{"version": 2, "numbers": {}, "places": {}}',
    '{"version": 1, "numbers": [], "places": {}}',
    '{"version": 1, "numbers": {"a": "x"}, "places": {}}',
    '{"version": 1, "numbers": {"a": null}, "places": {}}',
    '{"version": 1, "numbers": {}, "places": {"p": 5}}',
    '{"version": 1, "numbers": {}, "places": {"p": {}}}',
    json.dumps({"version": 1, "numbers": {}, "places": {"p": {**KNOWN, "identity": None}}}),
    json.dumps({"version": 1, "numbers": {}, "places": {"p": {**KNOWN, "identity": {"vendor": "v"}}}}),
    json.dumps({"version": 1, "numbers": {}, "places": {"p": {**KNOWN, "identity": {"vendor": "v", "model": 5}}}}),
    json.dumps({"version": 1, "numbers": {}, "places": {"p": {**KNOWN, "identity": {**KNOWN, "age": 3}}}}),
    json.dumps(
        {"version": 1, "numbers": {}, "places": {"p": {**KNOWN, "identity": {"vendor": "", "model": "", "serial": 5}}}}
    ),
    "[" * 100_000,
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_set_aside_and_the_rest_begins_anew(content: str, tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_text(content)
    inventory = Inventory(path)
    note = inventory.load()
    assert note is not None and "\n" not in note
    assert str(path) in note and "devices.json.damaged" in note
    assert not path.exists()
    assert (tmp_path / "devices.json.damaged").read_text() == content
    assert inventory.known("p") is None
    assert remember(inventory, ROOF, charger()).number == 0
    inventory.save()
    assert reloaded(path).known(ROOF) is not None


def test_binary_rubbish_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    path.write_bytes(bytes(range(256)))
    assert "set aside" in str(Inventory(path).load())


def test_without_a_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert Inventory(tmp_path / "none.json").load() is None
    assert Inventory(None).load() is None
    Inventory(None).save()


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    inventory = Inventory(tmp_path / "state" / "devices.json")
    remember(inventory, ROOF, charger())
    with pytest.raises(LedgerWriteError):
        inventory.save()
