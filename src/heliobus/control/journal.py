"""The journal of a change of stored settings: a file that is there only while one is under way (tristar.md §4.5).

It is on disk before each step happens, so that whoever starts next knows what was meant. The charger's own words then
say how far it came.
"""

import asyncio
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from heliobus.atomic import sync_directory, write

VERSION = 1
PATIENCE = 10.0
"""Seconds after which a disk that says nothing is one that fails."""


class JournalError(Exception):
    """The journal cannot be written or taken away; the text is one line."""


class Step(StrEnum):
    """What a change does, or is about to do."""

    PREPARING = "preparing"
    WRITING = "writing"
    VERIFYING = "verifying"
    RESTORING = "restoring"
    RESTARTING = "restarting"
    CHECKING = "checking"


@dataclass(frozen=True, slots=True)
class Entry:
    """One register: its point, its address, the word it had and the one it gets. `found`: a wrong word that it took."""

    point: str
    address: int
    old: int
    new: int
    found: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A change under way: of which device, under which label, who asked and when (UTC seconds since 1970).

    `index` is the entry that is being written in this step. `restored`: the old words are what is wanted now.
    """

    key: str
    label: str
    origin: str
    time: float
    entries: tuple[Entry, ...]
    step: Step = Step.PREPARING
    index: int = 0
    restored: bool = False

    def at(self, step: Step, index: int = 0) -> "Record":
        """The same change at another step; once restoring has begun it stays so."""
        return replace(self, step=step, index=index, restored=self.restored or step is Step.RESTORING)

    def content(self) -> bytes:
        """The file."""
        body = {
            "key": self.key,
            "label": self.label,
            "origin": self.origin,
            "time": self.time,
            "step": self.step.value,
            "index": self.index,
            "restored": self.restored,
            "entries": [[each.point, each.address, each.old, each.new, each.found] for each in self.entries],
        }
        return json.dumps({"version": VERSION, "checksum": _checksum(body), "change": body}, indent=1).encode()


@dataclass(frozen=True, slots=True)
class Damaged:
    """There is a journal, but it cannot be used: some change was under way."""

    why: str


def parse(content: bytes, key: str) -> Record:
    """The record in a file of the device `key`. Raises ValueError, saying what is wrong with it."""
    try:
        document = json.loads(content)
        if document["version"] != VERSION:
            raise ValueError("its version is not known")
        body = document["change"]
        if document["checksum"] != _checksum(body):
            raise ValueError("its checksum is wrong")
        if body["key"] != key:
            raise ValueError(f"it is of device {body['key']}")
        entries = tuple(_entry(*each) for each in body["entries"])
        return Record(
            key,
            str(body["label"]),
            str(body["origin"]),
            float(body["time"]),
            entries,
            Step(body["step"]),
            _word(body["index"]),
            bool(body["restored"]),
        )
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"it is not a journal ({type(error).__name__})") from error


def pending(folder: Path | None, key: str) -> bool:
    """Whether a change of the device `key` was interrupted; a cheap look, before anything is built."""
    return folder is not None and any(os.path.lexists(path) for path in _paths(folder, key))


class Journal:
    """The journal of one device; `folder` None keeps it in memory only."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self._folder = folder
        self._key = key
        self._record: Record | None = None

    @property
    def pending(self) -> bool:
        """Whether a change is under way, or was when somebody stopped."""
        return self._record is not None or pending(self._folder, self._key)

    async def load(self) -> Record | Damaged | None:
        """What was under way, None if nothing."""
        if self._record is None and self._folder is not None:
            found: Record | Damaged | None = await _in_thread(_read, self._folder, self._key)
            if not isinstance(found, Record):
                return found
            self._record = found
        return self._record

    async def save(self, record: Record) -> None:
        """Have `record` on disk. Raises JournalError."""
        self._record = record
        if self._folder is not None:
            await _in_thread(write, _paths(self._folder, self._key)[0], record.content())

    async def close(self, *, damaged: bool = False) -> None:
        """The change is over. What is `damaged` is kept beside, for people. Raises JournalError."""
        self._record = None
        if self._folder is not None:
            await _in_thread(_put_away, self._folder, self._key, damaged)


async def _in_thread(function: Callable[..., Any], *arguments: object) -> Any:
    try:
        async with asyncio.timeout(PATIENCE):
            return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    except TimeoutError:
        raise JournalError("the journal of the change cannot be kept: the disk does not answer") from None
    except OSError as error:
        raise JournalError(f"the journal of the change cannot be kept: {error}") from error


def _paths(folder: Path, key: str) -> tuple[Path, Path]:
    """The journal and the one of the step before, which is found where a crash left that alone."""
    path = folder / f"{key}.journal.json"
    return path, path.with_name(path.name + ".bak")


def _read(folder: Path, key: str) -> Record | Damaged | None:
    whys = []
    for path in _paths(folder, key):
        try:
            return parse(path.read_bytes(), key)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            whys.append(f"{path.name}: {error}")
    return Damaged("; ".join(whys)) if whys else None


def _put_away(folder: Path, key: str, damaged: bool) -> None:
    path, before = _paths(folder, key)
    if damaged and os.path.lexists(path):
        path.replace(path.with_name(path.name + ".damaged"))
    # The journal itself goes last, lest the step before come back to life.
    before.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    if folder.is_dir():
        sync_directory(folder)


def _checksum(body: object) -> int:
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


def _entry(point: object, address: object, old: object, new: object, found: object) -> Entry:
    return Entry(str(point), _word(address), _word(old), _word(new), None if found is None else _word(found))


def _word(value: object) -> int:
    if type(value) is not int or not 0 <= value <= 0xFFFF:
        raise ValueError(f"{value!r} is not a word")
    return value
