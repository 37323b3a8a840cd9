"""The ledger's file: what a crash, a full disk or rot may do to it."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliobus.ledger import store
from heliobus.ledger.account import Account, step
from heliobus.ledger.coding import MalformedAccountError, decoded, encoded, encoded_day
from heliobus.ledger.sample import Sample
from heliobus.model.localtime import local_time

OSLO = local_time("Europe/Oslo")
NOON = 1_795_258_800.0


class StoppedClock:
    def time(self) -> float:
        return NOON


def account(days: int = 3, lifetime: float = 812.0) -> Account:
    result = None
    for n in range(days):
        sample = Sample(
            NOON + (n - days) * 86_400,
            1000.0 + n,
            lifetime,
            6000.5 + 90 * n,
            87_000.0 + 24 * n,
            60.0,
            0.0,
            0.0,
            3,
            17,
            71.25,
            13.5,
            20.0,
            270.0,
            60.0,
            300.0,
            90.0,
            12.5,
            14.5,
        )
        result = step(result, sample, OSLO)
    assert result is not None
    return result


def text(value: Account) -> str:
    return encoded(value, "[" + ",".join(encoded_day(day) for day in value.past) + "]")


def content(value: Account, key: str = "tristar-01234567") -> bytes:
    return store.file_bytes({key: text(value)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.json"


def test_there_and_back(path: Path) -> None:
    devices = {"tristar-01234567": account(), "tracer æ\ud800": account(40), "new": account(1)}
    store.write(path, store.file_bytes({key: text(value) for key, value in devices.items()}))
    assert store.load(path) == (store.Books(devices), ())
    assert json.loads(path.read_bytes())["version"] == store.VERSION
    assert len(json.loads(path.read_bytes())["accounts"]["tracer æ\ud800"]["past"]) == 30


def test_no_file_is_no_news(path: Path) -> None:
    assert store.load(path) == (store.Books(), ())


def test_the_file_before_is_kept(path: Path) -> None:
    store.write(path, content(account(2)))
    store.write(path, content(account(3)))
    assert store.parse(path.read_bytes()).accounts == {"tristar-01234567": account(3)}
    assert store.parse(Path(f"{path}.bak").read_bytes()).accounts == {"tristar-01234567": account(2)}
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.json", "ledger.json.bak"]


def resigned(change: Callable[[dict[str, Any]], None]) -> bytes:
    """A file with a right checksum whose account was changed."""
    value = json.loads(text(account()))
    change(value)
    return store.file_bytes({"a": json.dumps(value, separators=(",", ":"))})


GOOD = content(account())
DAMAGED = {
    "empty": b"",
    "cut off": GOOD[: len(GOOD) // 2],
    "not a ledger": b"[1, 2]",
    "no version": b'{"accounts": {}}',
    "newer": GOOD.replace(b'"version":2', b'"version":3'),
    "one digit": GOOD.replace(b"6000.5", b"6000.4").replace(b"6180.5", b"6180.4"),
    "no accounts": b'{"version":2,"checksum":"00000000","accounts":[]}',
    "nested": b"[" * 100_000,
    "nested accounts": b'{"version":2,"checksum":"","accounts":{"a":' + b"[" * 900 + b"]" * 900 + b"}}",
    "binary": bytes(range(256)) * 20,
    "zeros": bytes(4096),
    "lifetime is text": resigned(lambda a: a.update(lifetime="812")),
    "lifetime is negative": resigned(lambda a: a.update(lifetime=-1.0)),
    "lifetime is missing": resigned(lambda a: a.pop("lifetime")),
    "flag": resigned(lambda a: a.update(anchored=1)),
    "huge": resigned(lambda a: a.update(time=10**400)),
    "infinite": resigned(lambda a: a.update(power=float("inf"))),
    "no number": resigned(lambda a: a.update(power=float("nan"))),
    "date": resigned(lambda a: a["day"].__setitem__(0, "2026-13-01")),
    "same day twice": resigned(lambda a: a["past"].append(a["past"][0])),
    "errors": resigned(lambda a: a["day"].__setitem__(11, ["17"])),
    "state": resigned(lambda a: a.update(state=3.5)),
    "short day": resigned(lambda a: a["day"].pop()),
    "account is a list": store.file_bytes({"a": "[]"}),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_set_aside_and_restored(path: Path, damage: bytes) -> None:
    store.write(path, content(account(2)))
    store.write(path, content(account(3)))
    path.write_bytes(damage)
    books, notes = store.load(path, StoppedClock())
    assert books.accounts == {"tristar-01234567": account(2)}
    aside = path.with_name("ledger.json.damaged-20261121T110000Z")
    assert aside.read_bytes() == damage
    assert not path.exists()
    assert len(notes) == 2
    assert "damaged" in notes[0]
    assert aside.name in notes[0]
    assert "restored from" in notes[1]
    store.write(path, content(account(4)))
    assert store.load(path) == (store.Books({"tristar-01234567": account(4)}), ())


def test_both_files_damaged(path: Path) -> None:
    store.write(path, content(account(2)))
    store.write(path, content(account(3)))
    path.write_bytes(GOOD[:-20])
    Path(f"{path}.bak").write_bytes(b"")
    books, notes = store.load(path, StoppedClock())
    assert books == store.Books()
    assert len(notes) == 3
    assert "devices' own counters" in notes[-1]
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "ledger.json.bak.damaged-20261121T110000Z",
        "ledger.json.damaged-20261121T110000Z",
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.binary(max_size=300))
def test_any_bytes(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    books, notes = store.load(path, StoppedClock())
    assert books == store.Books()
    assert notes


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, len(GOOD) - 1), bits=st.integers(1, 255), length=st.integers(0, len(GOOD)))
def test_flipped_bits_and_torn_ends(path: Path, position: int, bits: int, length: int) -> None:
    flipped = bytearray(GOOD)
    flipped[position] ^= bits
    for damage in (bytes(flipped), GOOD[:length]):
        path.write_bytes(damage)
        books, notes = store.load(path, StoppedClock())
        assert (books == store.Books()) == bool(notes)
        # Only white space may differ and still be the same ledger.
        assert books in (store.Books(), store.parse(GOOD))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=13) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)
FIELDS = sorted(json.loads(text(account())))


@settings(max_examples=300, deadline=None)
@given(field=st.sampled_from(FIELDS), value=JSON, inside=st.integers(0, 11))
def test_any_value_in_any_field(field: str, value: object, inside: int) -> None:
    fields = json.loads(text(account()))
    if isinstance(fields[field], list) and inside < len(fields[field]):
        fields[field][inside] = value
    else:
        fields[field] = value
    try:
        kept = decoded(fields)
    except MalformedAccountError:
        return
    # What was believed can be worked with and written again.
    after = step(kept, Sample(NOON, 1010.0, 812.0, 6500.0, battery_voltage=13.0), OSLO)
    assert after.lifetime >= kept.lifetime
    store.parse(content(after))


def steps_of_write() -> list[str]:
    return ["open", "fsync", "hardlink_to", "replace 1", "replace 2", "fsync directory"]


class Crash(BaseException):
    """The power goes."""


def break_at(monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException) -> None:
    """Let one step of a write end in `error`."""
    counts = {"fsync": 0, "replace": 0}
    real_fsync, real_replace, real_open, real_link = os.fsync, Path.replace, Path.open, Path.hardlink_to

    def fsync(descriptor: int) -> None:
        counts["fsync"] += 1
        if where == ("fsync" if counts["fsync"] == 1 else "fsync directory"):
            raise error
        real_fsync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        counts["replace"] += 1
        if where == f"replace {counts['replace']}":
            raise error
        return real_replace(self, target)

    def open_(self: Path, mode: str = "r", *rest: Any) -> Any:
        if where == "open" and "w" in mode:
            raise error
        return real_open(self, mode, *rest)

    def link(self: Path, target: Path) -> None:
        if where == "hardlink_to":
            raise error
        real_link(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(Path, "open", open_)
    monkeypatch.setattr(Path, "hardlink_to", link)


@pytest.mark.parametrize("where", steps_of_write())
def test_killed_at_any_step_of_a_write(path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    store.write(path, content(account(1)))
    store.write(path, content(account(2)))
    with monkeypatch.context() as patch:
        break_at(patch, where, Crash())
        with pytest.raises(Crash):
            store.write(path, content(account(3)))
    books, notes = store.load(path)
    assert notes == ()
    expected = account(3) if where == "fsync directory" else account(2)
    assert books.accounts == {"tristar-01234567": expected}
    store.write(path, content(account(4)))
    assert store.load(path) == (store.Books({"tristar-01234567": account(4)}), ())


@pytest.mark.parametrize("where", ["open", "fsync", "replace 1", "replace 2", "fsync directory"])
def test_a_full_disk_is_one_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    store.write(path, content(account(2)))
    with monkeypatch.context() as patch:
        break_at(patch, where, OSError(errno.ENOSPC, "No space left on device"))
        if where == "replace 1":
            store.write(path, content(account(3)))  # the backup then goes another way
        else:
            with pytest.raises(store.LedgerWriteError, match="cannot save the ledger: No space left"):
                store.write(path, content(account(3)))
    books, notes = store.load(path)
    assert notes == ()
    assert books.accounts == {"tristar-01234567": account(3 if where in ("replace 1", "fsync directory") else 2)}
    assert not Path(f"{path}.tmp").exists()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_without_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    store.write(path, content(account(2)))
    with monkeypatch.context() as patch:
        break_at(patch, "hardlink_to", OSError(number, "no hard links here"))
        store.write(path, content(account(3)))
    assert store.parse(path.read_bytes()).accounts == {"tristar-01234567": account(3)}
    assert store.parse(Path(f"{path}.bak").read_bytes()).accounts == {"tristar-01234567": account(2)}


def test_only_the_backup_is_left(path: Path) -> None:
    store.write(path, content(account(2)))
    store.write(path, content(account(3)))
    path.unlink()
    books, notes = store.load(path)
    assert books.accounts == {"tristar-01234567": account(2)}
    assert len(notes) == 1


def test_a_directory_that_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(store.LedgerWriteError):
        store.write(tmp_path / "file" / "ledger.json", GOOD)
    books, notes = store.load(tmp_path / "file" / "ledger.json")
    assert books == store.Books()
    assert notes


def test_an_unreadable_file_is_set_aside_not_overwritten(path: Path) -> None:
    path.mkdir()
    books, notes = store.load(path, StoppedClock())
    assert books == store.Books()
    assert "cannot be read" in notes[0]
    store.write(path, GOOD)
    assert store.load(path)[0]
    assert path.with_name("ledger.json.damaged-20261121T110000Z").is_dir()
