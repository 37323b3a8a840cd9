"""Who else has a file open: for a line that tells its owner what to stop."""

import os
from pathlib import Path

PROC = Path("/proc")


def holder_of(path: str, proc: Path = PROC) -> str | None:
    """Another process that has `path` locked or open, as `name (pid 123)`; None where that cannot be told.

    The processes of other users show only to root.
    """
    real = os.path.realpath(path)
    pid = _locker(real, proc) or _opener(real, proc)
    if pid is None:
        return None
    try:
        name = (proc / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        name = ""
    return f"{name or 'a program'} (pid {pid})"


def _locker(path: str, proc: Path) -> int | None:
    """The process that holds a flock on the file, by proc_locks(5)."""
    try:
        found = Path(path).stat()
        lines = (proc / "locks").read_text().splitlines()
    except OSError:
        return None
    where = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    for line in lines:
        fields = line.split()
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == where and fields[4].isdigit():
            pid = int(fields[4])
            if pid not in {0, os.getpid()}:
                return pid
    return None


def _opener(path: str, proc: Path) -> int | None:
    for process in proc.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            for descriptor in (process / "fd").iterdir():
                if str(descriptor.readlink()) == path:
                    return int(process.name)
        except OSError:
            # It has ended meanwhile, or belongs to another user.
            continue
    return None
