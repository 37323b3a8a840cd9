"""How the log looks: one line an event, with the time unless the supervisor adds it."""

import logging
import os
import sys


def start(verbose: bool, *, quiet: bool = False) -> None:
    """Log to stderr: everything when `verbose`, nothing when `quiet` (the command says what went wrong)."""
    journal = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("%(levelname)s %(message)s" if journal else "%(asctime)s %(levelname)s %(message)s")
    )
    level = logging.DEBUG if verbose else logging.CRITICAL if quiet else logging.INFO
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # The event loop's own debug lines say nothing about the site.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
