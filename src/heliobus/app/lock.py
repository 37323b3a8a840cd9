"""The lock on a state directory: who holds it is the only master of the site's buses."""

import fcntl
from pathlib import Path
from typing import TextIO


class StartError(Exception):
    """The daemon cannot start; the text is one line."""


def take_lock(state: Path) -> TextIO:
    """Hold the state directory, so that two daemons never write one ledger. Raises StartError."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise StartError(f"{state}: cannot keep the ledger there: {error.strerror}; set state in [site]") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StartError(f"{state}: another heliobus is running with this state directory") from None
    return lock
