"""All that the outbox does to the file system, in one place: tests put a full, slow or dying disk here."""

import os
from io import FileIO
from pathlib import Path

from heliobus import atomic


class Files:
    """The real file system. Everything here blocks and raises OSError."""

    def names(self, folder: Path) -> list[str]:
        """The files in `folder`, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        return sorted(os.listdir(folder))  # noqa: PTH208  names alone, no Path for each

    def size(self, path: Path) -> int:
        """Bytes of a file."""
        return path.stat().st_size

    def read(self, path: Path, offset: int = 0, length: int = -1) -> bytes:
        """Part of a file, less at its end."""
        with FileIO(path) as file:
            file.seek(offset)
            return file.read(length) if length >= 0 else file.readall()

    def open(self, path: Path) -> FileIO:
        """A file to append to."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileIO(path, "a")

    def write(self, file: FileIO, content: bytes) -> None:
        """Append all of `content`."""
        view = memoryview(content)
        while view:
            view = view[file.write(view) :]

    def empty(self, file: FileIO) -> None:
        """Throw away what is in an open file."""
        file.truncate(0)

    def remove(self, path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    def sync(self, path: Path) -> None:
        """Have a file on disk, if it still is there."""
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Have the names in `folder` on disk."""
        atomic.sync_directory(folder)
