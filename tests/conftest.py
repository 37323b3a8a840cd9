"""What every test may count on."""

import signal

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Take Ctrl-C: a background job of a shell ignores it, and so would the commands under test."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
