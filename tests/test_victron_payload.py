"""What stands in messages of the Victron topics, and what the package brings with it."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.outputs.mqtt.victron import payload
from victron_broker import ANY_JSON

CONTENTS = ANY_JSON.map(lambda each: json.dumps(each).encode())
WRITES = ANY_JSON.map(lambda each: json.dumps({"value": each}).encode())


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(), CONTENTS, WRITES))
def test_no_payload_raises_anything_but_that_it_is_none(content: bytes) -> None:
    payload.keep_alive(content)
    try:
        value = payload.written(content)
    except payload.NotAWriteError:
        return
    assert not isinstance(value, dict) and value is not None


@pytest.mark.parametrize(
    ("content", "everything", "said"),
    [
        (b"", True, None),
        (b"1", True, None),
        (b"\xff", True, None),
        (b'{"keepalive-options":["suppress-republish"]}', False, None),
        (b'{ "keepalive-options" : [{"full-publish-completed-echo": "a-1"}, "suppress-republish"] }', False, "a-1"),
        (b'{"keepalive-options":[{"full-publish-completed-echo":"B9"}]}', True, "B9"),
        (b'{"keepalive-options":[{"full-publish-completed-echo":5}]}', True, None),
        (b'{"keepalive-options":{}}', True, None),
        (b'["solarcharger/#"]', True, None),
        (b"[" * 50_000, True, None),
    ],
)
def test_what_keep_alives_ask_for(content: bytes, everything: bool, said: str | None) -> None:
    assert payload.keep_alive(content) == payload.KeepAlive(everything, said)


def test_nothing_of_it_needs_a_d_bus() -> None:
    program = (
        "import sys, heliobus.outputs.mqtt.victron.part, heliobus.outputs.influx.venus_layout;"
        "print([name for name in sys.modules if 'dbus' in name.replace('modbus', '') or name in ('paho', 'sqlite3')])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
