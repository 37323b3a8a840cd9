"""The ledger's file: one JSON for all devices, written so that a crash at any moment leaves a good one behind."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from heliobus import atomic
from heliobus.ledger.account import Account
from heliobus.ledger.coding import MalformedAccountError, decoded, decoded_meter
from heliobus.ledger.meter import MeterAccount
from heliobus.model.clock import Clock, SystemClock

VERSION = 2
# Before there were meters.
_CHARGERS_ONLY = 1
# All days of a hundred thousand devices; a larger file is not ours, and would not fit into a small machine.
_LARGEST_FILE = 64_000_000


@dataclass(slots=True)
class Books:
    """All that is kept, by device key: the accounts of chargers, and those of meters."""

    accounts: dict[str, Account] = field(default_factory=dict)
    meters: dict[str, MeterAccount] = field(default_factory=dict)


class LedgerWriteError(OSError):
    """The ledger could not be saved; the file before it is untouched."""


class _DamagedError(ValueError):
    """The file is not a ledger; the text says in words why."""


def file_bytes(accounts: Mapping[str, str], meters: Mapping[str, str] | None = None) -> bytes:
    """The file's content for accounts that are already encoded as JSON, by device key."""
    body = f'"accounts":{_object(accounts)},"meters":{_object(meters or {})}'
    return f'{{"version":{VERSION},"checksum":"{_checksum(f"{{{body}}}")}",{body}}}\n'.encode()


def parse(content: bytes) -> Books:
    """What is in the content of a file. Raises ValueError with the reason in words."""
    try:
        root = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _DamagedError("it is cut off or not JSON") from error
    if not isinstance(root, dict) or type(root.get("version")) is not int:
        raise _DamagedError("it is not a ledger")
    version = root["version"]
    if version not in (VERSION, _CHARGERS_ONLY):
        raise _DamagedError(f"its format {version} is not known to this version of Heliobus")
    accounts, meters = root.get("accounts"), root.get("meters", {})
    if not isinstance(accounts, dict) or not isinstance(meters, dict):
        raise _DamagedError("it holds no accounts")
    signed = accounts if version == _CHARGERS_ONLY else {"accounts": accounts, "meters": meters}
    try:
        checksum = _checksum(json.dumps(signed, separators=(",", ":")))
    except RecursionError as error:
        raise _DamagedError("it is not a ledger") from error
    if root.get("checksum") != checksum:
        raise _DamagedError("its checksum is wrong")
    try:
        return Books(
            {key: decoded(account) for key, account in accounts.items()},
            {key: decoded_meter(account) for key, account in meters.items()},
        )
    except MalformedAccountError as error:
        raise _DamagedError(str(error)) from error


def write(path: Path, content: bytes) -> None:
    """Put `content` in place of `path`, which stays beside it as `.bak`. Blocks. Raises LedgerWriteError."""
    try:
        atomic.write(path, content)
    except atomic.WriteFailedError as error:
        raise LedgerWriteError(
            error.errno, f"cannot save the ledger: {error.reason}; yields are kept in memory only", str(path)
        ) from error


def load(path: Path, clock: Clock | None = None) -> tuple[Books, tuple[str, ...]]:
    """What is in `path`, or in its `.bak` where it is damaged or missing, and notes in words.

    A damaged file is set aside, never overwritten. No content makes it raise; with nothing to read the books are
    empty, and start again from the devices' own counters.
    """
    clock = clock or SystemClock()
    backup = _beside(path, ".bak")
    books, notes = _read(path, clock)
    if books is not None:
        return books, notes
    older, older_notes = _read(backup, clock)
    if older is not None:
        found = (f"ledger restored from {backup}; the devices' counters make up for what is newer",)
        return older, (*notes, *found)
    notes = (*notes, *older_notes)
    if notes:
        notes = (*notes, "no ledger is left to restore: totals start again from the devices' own counters")
    return Books(), notes


def _read(path: Path, clock: Clock) -> tuple[Books | None, tuple[str, ...]]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise _DamagedError("it is far too large")
        return parse(path.read_bytes()), ()
    except FileNotFoundError:
        return None, ()
    except _DamagedError as error:
        reason = str(error)
    except OSError as error:
        reason = f"it cannot be read ({error.strerror})"
    stamp = datetime.fromtimestamp(clock.time(), UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = _beside(path, f".damaged-{stamp}")
    try:
        path.replace(aside)
    except OSError as error:
        return None, (f"ledger {path} is damaged: {reason}; it cannot be set aside ({error.strerror})",)
    return None, (f"ledger {path} is damaged: {reason}; set aside as {aside.name}",)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _object(texts: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{text}" for key, text in texts.items()) + "}"


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode(errors='surrogatepass')):08x}"
