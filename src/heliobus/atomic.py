"""Files written so that a crash or a power cut at any moment leaves a good one behind."""

import errno
import os
from contextlib import suppress
from pathlib import Path


class WriteFailedError(OSError):
    """A file could not be saved; the one before it is untouched. `reason` is the system's word for it."""

    def __init__(self, error: OSError, path: Path) -> None:
        self.reason = error.strerror or str(error)
        super().__init__(error.errno, f"cannot save: {self.reason}", str(path))


def write(path: Path, content: bytes) -> None:
    """Put `content` in place of `path`, which stays beside it as `.bak`. Blocks. Raises WriteFailedError."""
    temporary = _beside(path, ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _keep(path)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WriteFailedError(error, path) from error


def _keep(path: Path) -> None:
    """Make the present file the backup without a moment in which `path` does not exist."""
    spare = _beside(path, ".bak.tmp")
    try:
        spare.unlink(missing_ok=True)
        spare.hardlink_to(path)
        spare.replace(_beside(path, ".bak"))
    except FileNotFoundError:
        return
    except OSError:
        # No hard links on this file system: for an instant only the backup exists, and loading finds it.
        path.replace(_beside(path, ".bak"))


def sync_directory(directory: Path) -> None:
    """Have the names in `directory` on disk. Blocks. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Network file systems cannot do this for a directory, and need not.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
