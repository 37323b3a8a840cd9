"""What control must remember of one device over a restart: one small JSON file, written before it matters."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heliobus.atomic import WriteFailedError, write

VERSION = 1


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

    def load(self) -> str | None:
        """Read the file; blocks. A note in words if it was damaged, which is then set aside."""
        if self._path is None:
            return None
        try:
            document = json.loads(self._path.read_bytes())
            sections = document["sections"]
            if document["version"] != VERSION or not all(isinstance(each, dict) for each in sections.values()):
                raise ValueError("its format is not known")
            self._sections = dict(sections)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return f"{self._path} cannot be used ({error}): control starts without what it remembered"
        return None

    def section(self, name: str) -> Mapping[str, Any]:
        """What was kept under `name`; empty if nothing."""
        return self._sections.get(name, {})

    async def keep(self, name: str, section: Mapping[str, Any]) -> None:
        """Remember `section`, on disk when this returns. Raises StoreError."""
        if self._sections.get(name, {}) == section:
            return
        self._sections[name] = dict(section)
        if self._path is None:
            return
        async with self._writing:
            content = json.dumps({"version": VERSION, "sections": self._sections}, indent=1, sort_keys=True).encode()
            try:
                await asyncio.get_running_loop().run_in_executor(None, write, self._path, content)
            except WriteFailedError as error:
                raise StoreError(str(error)) from error
