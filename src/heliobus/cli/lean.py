"""Keeps out of the daemon what only others need, for the memory of a GX."""

import sys

OPENSSL_MODULES = ("ssl", "_hashlib")


def leave_out_openssl() -> None:
    """Let asyncio and others start without OpenSSL, which costs 4.7 MiB and serves no output of this version.

    They all are written to do without it. It has to happen before the first of them is imported.
    """
    for name in OPENSSL_MODULES:
        # None in this place is how Python is told that a module shall not be found.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
