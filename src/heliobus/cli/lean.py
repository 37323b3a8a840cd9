"""Keeps out of the daemon what only others need, for the memory of a GX."""

import os
import sys

OPENSSL_MODULES = ("ssl", "_hashlib")
WANTED = "HELIOBUS_OPENSSL"
"""Set in the environment of a process that shall have OpenSSL."""


def leave_out_openssl() -> None:
    """Let asyncio and others start without OpenSSL, which costs 4.7 MiB and serves only outputs with TLS.

    They all are written to do without it. It has to happen before the first of them is imported.
    """
    if os.environ.get(WANTED):
        return
    for name in OPENSSL_MODULES:
        # None in this place is how Python is told that a module shall not be found.
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def bring_openssl() -> None:
    """Go on with OpenSSL: where it was left out this process begins anew, under the same number."""
    if sys.modules.get(OPENSSL_MODULES[0], ...) is not None:
        return
    os.environ[WANTED] = "1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
