"""What control must remember of one device over a restart: one small JSON file, written before it matters."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heliobus.atomic import WriteFailedError, write

VERSION = 1
PATIENCE = 10.0
"""Seconds after which a disk that says nothing is one that fails."""


class StoreError(Exception):
    """What must be remembered cannot be; the text is one line. What depends on it must not begin."""


class Store:
    """Sections of JSON by name; each part of control owns one. `folder` None keeps them in memory only."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self.folder = folder
        self.key = key
        self._path = None if folder is None else folder / f"{key}.json"
        self._sections: dict[str, Mapping[str, Any]] = {}
        self._writing = asyncio.Lock()
        self._unsaved: set[str] = set()

    def load(self) -> str | None:
        """Read the file, or the one before it if it is damaged; blocks. A note in words if it was."""
        if self._path is None:
            return None
        note = None
        for path in (self._path, self._path.with_name(f"{self._path.name}.bak")):
            try:
                self._sections = _sections(path.read_bytes())
            except FileNotFoundError:
                continue
            except (OSError, ValueError, RecursionError) as error:
                note = f"{path} cannot be used ({error}): control has forgotten what it remembered there"
            else:
                return note
        return note

    def section(self, name: str) -> Mapping[str, Any]:
        """What was kept under `name`; empty if nothing."""
        return self._sections.get(name, {})

    async def keep(self, name: str, section: Mapping[str, Any]) -> None:
        """Remember `section`, on disk when this returns. Raises StoreError."""
        if name not in self._unsaved and self._sections.get(name, {}) == section:
            return
        self._sections[name] = dict(section)
        if self._path is None:
            return
        self._unsaved.add(name)
        try:
            async with asyncio.timeout(PATIENCE), self._writing:
                await self._save(self._path, name)
        except TimeoutError:
            raise StoreError(f"{self._path}: cannot save: the disk does not answer") from None

    async def _save(self, path: Path, name: str) -> None:
        if name not in self._unsaved:
            # Who wrote before has saved this one too.
            return
        saved = dict(self._sections)
        content = json.dumps({"version": VERSION, "sections": saved}, indent=1, sort_keys=True).encode()
        try:
            await asyncio.get_running_loop().run_in_executor(None, write, path, content)
        except WriteFailedError as error:
            raise StoreError(str(error)) from error
        self._unsaved = {each for each in self._unsaved if self._sections[each] is not saved.get(each)}


def _sections(content: bytes) -> dict[str, Mapping[str, Any]]:
    """The sections in the content of a file. Raises ValueError."""
    document = json.loads(content)
    sections = document.get("sections") if isinstance(document, dict) else None
    if not isinstance(sections, dict) or document.get("version") != VERSION:
        raise ValueError("its format is not known")
    if not all(isinstance(each, dict) for each in sections.values()):
        raise ValueError("its sections are not what they should be")
    return sections
