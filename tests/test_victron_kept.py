"""The file that keeps the portal id, device instances and the owner's choices where there is no localsettings."""

import asyncio
import gc
import json
from pathlib import Path

import pytest

from heliobus.outputs.venus.kept import FILE, Kept, KeptSettings, kept
from heliobus.outputs.venus.setting import Setting


def of(folder: Path) -> Kept:
    return Kept(folder / FILE)


def test_instances_are_unique_in_their_class_and_stay(tmp_path: Path) -> None:
    first = of(tmp_path)
    assert [first.instance("solarcharger", f"tristar_{n}", 278) for n in range(3)] == [278, 279, 280]
    assert first.instance("battery", "bms_1", 278) == 278
    assert first.instance("solarcharger", "tristar_1", 278) == 279
    again = of(tmp_path)
    assert again.instance("solarcharger", "tristar_2", 999) == 280
    assert again.instance("solarcharger", "tracer_9", 278) == 281


def test_another_class_keeps_the_number_if_it_can(tmp_path: Path) -> None:
    found = of(tmp_path)
    assert found.instance("acload", "a", 40) == 40
    assert found.instance("grid", "b", 40) == 40
    assert found.instance("grid", "a", 30) == 41
    assert found.instance("acload", "c", 40) == 40


def test_the_portal_id_is_made_once_and_follows_the_config(tmp_path: Path) -> None:
    made = of(tmp_path).portal()
    assert len(made) == 12
    assert of(tmp_path).portal() == made
    assert of(tmp_path).portal("c0619ab2cd34") == "c0619ab2cd34"
    assert of(tmp_path).portal() == "c0619ab2cd34"


def test_followers_are_told_what_is_known_and_what_is_put(tmp_path: Path) -> None:
    of(tmp_path).put("/Settings/A", "old")
    shared = of(tmp_path)
    told: list[object] = []
    one, other = KeptSettings(shared), KeptSettings(shared)
    assert one.present
    one.follow(Setting("/Settings/A", ""), told.append)
    other.write("/Settings/A", "new")
    other.write("/Settings/B", 1)
    one.forget("/Settings/A")
    other.write("/Settings/A", "unheard")
    assert told == ["old", "new"]


def test_one_process_has_one_file(tmp_path: Path) -> None:
    first = kept(tmp_path)
    assert kept(tmp_path / "x" / "..") is first
    assert kept(tmp_path / "y") is not first
    first.put("/A", 1)
    del first
    gc.collect()
    assert kept(tmp_path).value("/A") == 1


async def test_in_a_loop_a_thread_writes_what_is_newest(tmp_path: Path) -> None:
    found = of(tmp_path)
    for number in range(100):
        found.put("/A", number)
    await asyncio.get_running_loop().shutdown_default_executor()
    assert of(tmp_path).value("/A") == 99


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"version":9}', b'{"version":1,"portal":"a","settings":{"/A":[1]}}', b"\xff", b"[" * 100_000],
)
def test_damage_is_said_and_the_copy_before_it_is_used(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    found = of(tmp_path)
    found.put("/A", 1)
    found.put("/B", 2)
    (tmp_path / FILE).write_bytes(content)
    again = of(tmp_path)
    assert again.value("/A") == 1
    assert len(caplog.records) == 1
    (tmp_path / f"{FILE}.bak").write_bytes(content)
    assert of(tmp_path).value("/A") is None


def test_a_disk_that_takes_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("no directory")
    found = of(tmp_path / "file" / "state")
    assert found.instance("solarcharger", "a", 278) == 278
    assert found.instance("solarcharger", "b", 278) == 279
    (said,) = [record.message for record in caplog.records if "outlast" in record.message]
    assert said.startswith(str(tmp_path)) and "Errno" not in said


def test_the_file_is_readable_by_people(tmp_path: Path) -> None:
    found = of(tmp_path)
    found.portal("c0619ab2cd34")
    found.put("/Settings/Devices/a/CustomName", "Südseite")
    assert json.loads((tmp_path / FILE).read_bytes()) == {
        "version": 1,
        "portal": "c0619ab2cd34",
        "settings": {"/Settings/Devices/a/CustomName": "Südseite"},
    }
    assert sorted(each.name for each in tmp_path.iterdir()) == [FILE, f"{FILE}.bak"]
