"""What went wrong with a disk, said once."""

import logging

from heliobus.outputs.status import OutputStatus

log = logging.getLogger("heliobus.files")


class Trouble:
    """Tells the log when writing begins to fail and when it works again, and the output's account each time."""

    def __init__(self, what: str, status: OutputStatus) -> None:
        self._what = what
        self._status = status
        self._failed = 0

    def failed(self, error: OSError) -> None:
        """Something could not be written."""
        why = (
            f"{error.filename}: {error.strerror}" if error.filename and error.strerror else error.strerror or str(error)
        )
        self._status.errors += 1
        self._status.last_error = why
        if not self._failed:
            log.error("%s cannot be written: %s; trying on", self._what, why)
        self._failed += 1

    def worked(self, now: float) -> None:
        """Everything was written."""
        self._status.last_success = now
        if self._failed:
            log.warning("%s can be written again; it failed %d times", self._what, self._failed)
            self._failed = 0
            self._status.last_error = ""
