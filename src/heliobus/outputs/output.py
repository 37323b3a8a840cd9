"""The contract of an output, and the mailbox between the site and it."""

from typing import Protocol

from heliobus.site import Site


class FatalOutputError(Exception):
    """The output cannot go on and the whole process shall end with this one line, for its supervisor to restart."""


class Output(Protocol):
    """Something that shows readings elsewhere. It takes what it wants from its own mailbox and never slows a bus."""

    name: str

    async def run(self, site: Site) -> None:
        """Serve until cancelled. An exception restarts the output with back-off; FatalOutputError ends the process."""
