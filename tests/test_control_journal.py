"""The journal of a change of settings, and backups: good ones come back as they were, garbage harms nobody."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control_change import KEY, TWO, ChangeRig, apply, assert_sound, recover
from heliobus.control import backup
from heliobus.control.backup import BackupError, Origin, backup_document, parse_backup
from heliobus.control.journal import Damaged, Entry, Journal, JournalError, Record, Step, parse, pending
from heliobus.control.recovery import Way, way
from heliobus.model.command import Done
from heliobus.sim.virtual_time import run_virtual

WORDS = st.integers(0, 0xFFFF)
ENTRIES = st.builds(Entry, st.text(), WORDS, WORDS, WORDS, st.none() | WORDS)
RECORDS = st.builds(
    Record,
    st.just(KEY),
    st.text(),
    st.text(),
    st.floats(0, 4e9),
    st.lists(ENTRIES, max_size=4).map(tuple),
    st.sampled_from(Step),
    WORDS,
    st.booleans(),
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
ONE = Record(KEY, "winter", "test", 1.0, (Entry("set_float_voltage", 0xE001, 1, 2),))


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    assert parse(record.content(), KEY) == record


@given(st.binary() | JSON.map(lambda each: json.dumps(each).encode()))
def test_garbage_is_said_to_be_damaged(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(content, KEY)


@given(RECORDS, st.data())
def test_a_journal_that_was_cut_or_spoiled_is_not_believed(record: Record, data: st.DataObject) -> None:
    content = record.content()
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError, match=r"."):
        parse(content[:cut], KEY)
    spoiled = bytearray(content)
    spoiled[cut] ^= 1 << data.draw(st.integers(0, 7))
    try:
        read = parse(bytes(spoiled), KEY)
    except ValueError:
        return
    # White space and the case of an escape say nothing.
    assert read == record


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 2}, "version"),
        ({"version": None}, "version"),
        ({"checksum": 0}, "checksum"),
        ({"checksum": None}, "checksum"),
        ({"change": None}, "checksum"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, Any], why: str) -> None:
    document = json.loads(ONE.content()) | change
    with pytest.raises(ValueError, match=why):
        parse(json.dumps(document).encode(), KEY)


def test_the_journal_of_another_device_is_not_taken() -> None:
    with pytest.raises(ValueError, match=KEY):
        parse(ONE.content(), "tristar_1")


def test_deep_nesting_is_only_garbage() -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(b"[" * 100_000, KEY)


async def test_it_is_there_only_while_something_is_under_way(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    assert not journal.pending
    assert not pending(tmp_path, KEY)
    assert await journal.load() is None
    await journal.save(ONE)
    await journal.save(ONE.at(Step.WRITING, 3))
    assert pending(tmp_path, KEY)
    assert not pending(tmp_path, "tristar_1")
    assert await Journal(tmp_path, KEY).load() == ONE.at(Step.WRITING, 3)
    await journal.close()
    assert not journal.pending
    assert list(tmp_path.iterdir()) == []


async def test_without_a_folder_it_is_in_memory(tmp_path: Path) -> None:
    journal = Journal(None, KEY)
    await journal.save(ONE)
    assert journal.pending
    assert await journal.load() == ONE
    await journal.close()
    assert not journal.pending
    assert not pending(None, KEY)


async def test_the_step_before_is_taken_where_a_crash_left_only_that(tmp_path: Path) -> None:
    journal = Journal(tmp_path, KEY)
    await journal.save(ONE)
    await journal.save(ONE.at(Step.WRITING))
    (tmp_path / f"{KEY}.journal.json").unlink()
    assert pending(tmp_path, KEY)
    assert await Journal(tmp_path, KEY).load() == ONE
    await journal.save(ONE.at(Step.VERIFYING))
    (tmp_path / f"{KEY}.journal.json").write_bytes(b"spoiled by the disk")
    assert isinstance(await Journal(tmp_path, KEY).load(), Record)


async def test_what_is_damaged_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / f"{KEY}.journal.json"
    path.write_bytes(b"garbage")
    journal = Journal(tmp_path, KEY)
    assert isinstance(await journal.load(), Damaged)
    assert journal.pending
    await journal.close(damaged=True)
    assert not journal.pending
    assert [each.name for each in tmp_path.iterdir()] == [path.name + ".damaged"]


async def test_a_disk_that_takes_nothing_is_said(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(JournalError, match="cannot be kept"):
        await Journal(blocked, KEY).save(ONE)


def test_restoring_once_begun_stays_begun() -> None:
    assert ONE.at(Step.RESTORING).at(Step.RESTARTING).restored
    assert not ONE.at(Step.WRITING).at(Step.RESTARTING).restored


TWO_ENTRIES = (Entry("a", 0xE000, 10, 20), Entry("b", 0xE001, 11, 21))


@pytest.mark.parametrize(
    ("step", "index", "held", "edited", "expected"),
    [
        (Step.PREPARING, 0, (10, 11), False, Way.DROP),
        (Step.PREPARING, 0, (20, 11), True, Way.FINISH),
        (Step.WRITING, 0, (10, 11), False, Way.FINISH),
        (Step.WRITING, 1, (20, 11), True, Way.FINISH),
        (Step.WRITING, 1, (20, 21), True, Way.FINISH),
        (Step.RESTARTING, 0, (20, 21), False, Way.FINISH),
        (Step.RESTORING, 0, (20, 21), True, Way.RESTORE),
        (Step.RESTORING, 0, (10, 11), False, Way.RESTORE),
        # A wrong word while the restart is still due, in what was being written: ours, stored badly.
        (Step.WRITING, 0, (25, 11), True, Way.RESTORE),
        (Step.VERIFYING, 0, (20, 25), True, Way.RESTORE),
        # A wrong word that cannot be ours: somebody else's.
        (Step.WRITING, 0, (20, 25), True, Way.LEAVE),
        (Step.WRITING, 1, (20, 25), False, Way.LEAVE),
        (Step.PREPARING, 0, (25, 11), True, Way.LEAVE),
        (Step.RESTARTING, 0, (25, 21), True, Way.LEAVE),
        (Step.RESTORING, 0, (25, 21), False, Way.LEAVE),
    ],
)
def test_what_is_left_to_do(step: Step, index: int, held: tuple[int, int], edited: bool, expected: Way) -> None:
    record = Record(KEY, "", "", 0.0, TWO_ENTRIES).at(step, index)
    assert way(record, dict(zip("ab", held, strict=True)), edited) is expected


def test_a_wrong_word_that_is_known_is_taken_back_even_after_a_power_cut() -> None:
    entries = (Entry("a", 0xE000, 10, 20, 25), TWO_ENTRIES[1])
    record = Record(KEY, "", "", 0.0, entries).at(Step.RESTORING)
    assert way(record, {"a": 25, "b": 21}, False) is Way.RESTORE


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), edited=st.booleans(), disconnected=st.booleans())
def test_any_garbage_for_a_journal_ends_with_a_charger_that_charges(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, edited: bool, disconnected: bool
) -> None:
    folder = tmp_path_factory.mktemp("garbage")

    async def main() -> None:
        rig = ChangeRig(folder)
        old = rig.words()
        (folder / f"{KEY}.journal.json").write_bytes(content)
        if edited:
            rig.charger.inject_fault(6)
        rig.charger.charger.requests.disconnect = disconnected
        said = await recover(rig)
        assert said is not None
        assert "damaged" in said
        assert "left as they are found" in said
        assert rig.resets() == edited
        assert rig.charger.eeprom_writes == 0
        assert_sound(rig, old)

    run_virtual(main())


def test_a_backup_is_made_before_the_first_write(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path)
        assert await apply(rig, TWO) == Done("winter")
        (file,) = (tmp_path / "backups").iterdir()
        assert file.name == f"{KEY}-20260601T120000Z.json"
        document = json.loads(file.read_bytes())
        assert document["serial"] == "10170296"
        assert document["settings"]["set_float_voltage"] == {
            "value": pytest.approx(26.795, abs=0.001),
            "unit": "V",
            "word": 2439,
            "address": "0xE001",
        }
        assert len(document["settings"]) == 23
        # Restored, it brings back each of the words.
        before = rig.words()
        values = parse_backup(file.read_bytes(), serial="10170296", system_voltage=24)
        assert await apply(rig, values) == Done("winter")
        assert rig.words() != before
        assert rig.words()[0xE001] == 2439
        assert rig.charger.eeprom_writes == 4

    run_virtual(main())


async def test_the_last_ten_backups_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    for index in range(15):
        await backup.keep(tmp_path, KEY, 1_780_000_000.0 + 60 * index, {"number": index})
    await backup.keep(tmp_path, "tristar_1", 1_780_000_000.0, {"number": 100})
    # A clock that was set back costs an old backup, not the new one.
    await backup.keep(tmp_path, KEY, 1_700_000_000.0, {"number": 99})
    numbers = sorted(json.loads(each.read_bytes())["number"] for each in folder.iterdir())
    assert numbers == [6, 7, 8, 9, 10, 11, 12, 13, 14, 99, 100]
    await backup.keep(None, KEY, 0.0, {})


def document(**others: object) -> bytes:
    origin = Origin("10170296", "morningstar-tristar-mppt", 24, 0.0)
    return json.dumps(
        backup_document(origin, []) | {"settings": {"set_float_voltage": {"value": 27.0}}} | others
    ).encode()


def test_a_backup_fits_one_charger_and_one_system() -> None:
    expected = {"set_float_voltage": 27.0}
    assert parse_backup(document(), serial="10170296", system_voltage=24) == expected
    assert parse_backup(document(), serial="1", system_voltage=24, another_serial=True) == expected
    with pytest.raises(BackupError, match="10170296, not of 1"):
        parse_backup(document(), serial="1", system_voltage=24)
    with pytest.raises(BackupError, match="of a 24 V system, and this charger is on 48 V"):
        parse_backup(document(), serial="10170296", system_voltage=48, another_serial=True)
    with pytest.raises(BackupError, match="newer version"):
        parse_backup(document(version=2), serial="10170296", system_voltage=24)
    with pytest.raises(BackupError, match="not a number"):
        parse_backup(document(settings={"x": {"value": "27"}}), serial="10170296", system_voltage=24)


@given(st.binary() | JSON.map(lambda each: json.dumps(each).encode()) | JSON.map(lambda each: document(settings=each)))
def test_garbage_is_no_backup(content: bytes) -> None:
    try:
        values = parse_backup(content, serial="10170296", system_voltage=24)
    except BackupError:
        return
    assert all(isinstance(value, int | float) for value in values.values())
