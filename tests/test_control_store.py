"""What control remembers: on disk when it says so, and never lost to a damaged file."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.control import store as module
from heliobus.control.store import Store, StoreError


async def test_what_is_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path, "tristar_1")
    assert store.load() is None
    await store.keep("slave", {"engaged": ["volts"]})
    await store.keep("limits", {"volts": 28.0})
    again = Store(tmp_path, "tristar_1")
    assert again.load() is None
    assert again.section("slave") == {"engaged": ["volts"]}
    assert again.section("limits") == {"volts": 28.0}
    assert again.section("else") == {}


async def test_a_damaged_file_falls_back_to_the_one_before(tmp_path: Path) -> None:
    store = Store(tmp_path, "tristar_1")
    await store.keep("slave", {"engaged": True})
    await store.keep("limits", {"volts": 28.0})
    (tmp_path / "tristar_1.json").write_bytes(b"\0" * 100)
    again = Store(tmp_path, "tristar_1")
    note = again.load()
    assert note is not None
    assert "cannot be used" in note
    assert again.section("slave") == {"engaged": True}


@given(
    st.one_of(st.binary(max_size=200), st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
)
def test_garbage_is_never_believed(content: bytes | str) -> None:
    raw = content.encode(errors="replace") if isinstance(content, str) else content
    try:
        sections = module._sections(raw)
    except (ValueError, RecursionError):
        return
    assert all(isinstance(each, dict) for each in sections.values())


async def test_a_failed_write_is_not_taken_for_a_done_one(tmp_path: Path) -> None:
    folder = tmp_path / "control"
    folder.write_text("in the way")
    store = Store(folder, "tristar_1")
    for _ in range(2):
        with pytest.raises(StoreError):
            await store.keep("slave", {"engaged": True})
    folder.unlink()
    await store.keep("slave", {"engaged": True})
    assert (folder / "tristar_1.json").exists()


async def test_in_memory_nothing_is_written() -> None:
    store = Store(None, "tristar_1")
    assert store.load() is None
    await store.keep("slave", {"engaged": True})
    assert store.section("slave") == {"engaged": True}
