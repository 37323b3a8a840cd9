"""Runs `heliobus` on a Python as poor as that of a GX: what Venus OS lacks cannot be imported, nor any other package.

Missing modules: venus.md §8.2, every Venus OS from 3.60 on. Allowed packages: those of `heliobus[venus]`.
"""

import sys
import sysconfig
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

MISSING = {
    "bdb",
    "cmd",
    "curses",
    "dbm",
    "doctest",
    "ensurepip",
    "graphlib",
    "mailbox",
    "pdb",
    "pty",
    "pydoc",
    "resource",
    "sched",
    "sqlite3",
    "statistics",
    "syslog",
    "tomllib",
    "tty",
    "turtle",
    "venv",
    "wave",
    "xmlrpc",
    "zoneinfo",
}
ALLOWED = {"click", "dbus_fast", "heliobus", "serial", "tomli"}
SITE_PACKAGES = sysconfig.get_path("purelib")


class PoorFinder(MetaPathFinder):
    """Finds nothing that a GX would not have."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top in MISSING:
            raise ModuleNotFoundError(f"No module named {fullname!r} on a GX", name=fullname)
        spec = PathFinder.find_spec(fullname, path, target)
        origin = (spec.origin or "") if spec else ""
        # mypyc's and Cython's own shared libraries belong to the packages that are allowed.
        compiled = "__mypyc" in top or top.startswith("_cython")
        if origin.startswith(SITE_PACKAGES) and top not in ALLOWED and not compiled:
            raise ModuleNotFoundError(f"No package {top!r} on a GX", name=fullname)
        return None


def main() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in MISSING]:
        del sys.modules[name]
    sys.meta_path.insert(0, PoorFinder())
    from heliobus.cli.main import main as heliobus

    heliobus()


if __name__ == "__main__":
    main()
