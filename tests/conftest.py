"""What every test may count on."""

import os
import signal

import pytest
from hypothesis import Phase, settings
from hypothesis.internal.conjecture import engine

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
BUSY = max(1, WORKERS // 2)
"""How many workers begin with slow tests: these compute, most others wait, and both together use two cores well."""

# A failure is told after seconds: shrinking is ended early, and nothing is searched that only explains it.
engine.MAX_SHRINKING_SECONDS = 15
settings.register_profile(
    "heliobus",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    phases=tuple(phase for phase in Phase if phase is not Phase.explain),
    print_blob=True,
    report_multiple_bugs=False,
)
settings.load_profile("heliobus")


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C: a background job of a shell ignores it, and so would the commands under test.

    And compile each module once for all the commands under test, whatever the machine thinks of __pycache__.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None) is not None:
        os.environ.setdefault("PYTHONPYCACHEPREFIX", str(config.rootpath / ".pytest_cache" / "pycache"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal the slow tests to the fronts of some workers' shares: none of them is left to run alone at the end."""
    place = {}
    for slow in (True, False):
        some = [item for item in items if (item.get_closest_marker("slow") is not None) is slow]
        for index, item in enumerate(some):
            place[item] = (index % BUSY, 0, index) if slow else (index * WORKERS // len(some), 1, index)
    items.sort(key=place.__getitem__)
