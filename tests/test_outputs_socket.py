"""The daemon's socket: what is asked, what is answered, and what does it no harm."""

import asyncio
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.model.command import Command, Done, Failed, Outcome, Refused
from heliobus.outputs.requests import BadRequestError, parse
from heliobus.outputs.socket import CLIENTS, LONGEST_LINE, NAME, SocketOutput
from heliobus.site import Site
from socket_site import CONTROLS, STORED, furnished, serving

PATIENCE = 10.0


class Peer:
    """A client that may be as rude as it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, line: bytes) -> None:
        self.writer.write(line)
        await self.writer.drain()

    async def line(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.reader.readline())

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def ask(self, op: str, **fields: object) -> list[Any]:
        """All lines of the answer."""
        await self.send(json.dumps({"id": 7, "op": op, **fields}).encode() + b"\n")
        lines = [await self.line()]
        while not lines[-1].get("final"):
            lines.append(await self.line())
        assert all(line["id"] == 7 for line in lines)
        return lines

    async def last(self, op: str, **fields: object) -> Any:
        return (await self.ask(op, **fields))[-1]

    async def leave(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def peer(path: Path) -> AsyncIterator[Peer]:
    one = Peer(*await asyncio.open_unix_connection(path))
    try:
        yield one
    finally:
        await one.leave()


async def test_devices_are_described_with_what_can_be_commanded(tmp_path: Path) -> None:
    site = Site()
    furnished(site)
    async with serving(site, tmp_path) as path, peer(path) as one:
        [device] = (await one.last("devices"))["devices"]
    assert (device["name"], device["driver"], device["serial"]) == ("roof", "morningstar-tristar-mppt", "10170296")
    assert (device["address"], device["health"]) == ("Modbus TCP 192.0.2.4, unit 1", "ok")
    controls = {each["point"]: each for each in device["controls"]}
    assert list(controls) == [each.point.name for each in CONTROLS]
    assert controls["charge_voltage_limit"] == {
        "point": "charge_voltage_limit",
        "kind": "number",
        "low": 0.0,
        "high": 32.0,
        "locked": "",
        "dynamic": False,
    }
    assert controls["charger_enabled"]["high"] is None, "infinity is not JSON"
    assert controls["equalize_requested"]["locked"] == "equalize is locked"


async def test_a_reading_has_values_and_reasons(tmp_path: Path) -> None:
    site = Site()
    furnished(site)
    site.silence("roof")
    async with serving(site, tmp_path) as path, peer(path) as one:
        answer = await one.last("reading", device="roof")
    assert answer["health"] == "offline"
    assert answer["values"]["charger_enabled"] is None
    assert answer["reasons"]["charger_enabled"] == "offline"


async def test_plan_and_settings(tmp_path: Path) -> None:
    site = Site()
    charger = furnished(site)
    async with serving(site, tmp_path) as path, peer(path) as one:
        plan = await one.last("plan", device="roof", point="charger_enabled", value=0)
        stored = await one.last("settings", device="roof")
        charger.stored = Failed("no answer")
        failed = await one.last("settings", device="roof")
        refused = await one.last("plan", device="roof", point="equalize_requested", value=1)
    change = {"point": "charger_enabled", "place": "coil 0x0002", "old": 1, "new": 0, "old_word": 0, "new_word": 1}
    assert plan["changes"] == [change]
    assert [(each["point"], each["word"], each["unit"]) for each in stored["settings"]] == [
        (each.point.name, each.word, each.point.unit) for each in STORED
    ]
    assert (failed["outcome"], failed["why"]) == ("failed", "no answer")
    assert (refused["outcome"], refused["why"]) == ("refused", "equalize is locked")
    assert not charger.commands


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (Done(0), {"outcome": "done", "value": 0}),
        (Refused("switch 8 is off"), {"outcome": "refused", "why": "switch 8 is off"}),
        (Failed("no answer"), {"outcome": "failed", "why": "no answer"}),
    ],
)
async def test_a_command_ends_with_its_outcome(tmp_path: Path, outcome: Outcome, answer: dict[str, object]) -> None:
    site = Site()
    charger = furnished(site)
    charger.outcome = outcome
    async with serving(site, tmp_path) as path, peer(path) as one:
        lines = await one.ask("command", device="roof", point="charger_enabled", value=0)
    assert lines == [{"id": 7, **answer, "final": True}]
    assert charger.commands == [Command("roof", "charger_enabled", 0, "cli")]


async def test_progress_is_told_while_a_command_runs(tmp_path: Path) -> None:
    site = Site()
    charger = furnished(site)
    site.amend("roof", {"profile_status": "done", "profile_progress": 100.0})
    charger.steps = (("writing", 40.0), ("verifying", 70.0))
    async with serving(site, tmp_path) as path, peer(path) as one:
        lines = await one.ask("command", device="roof", point="apply_profile", value="winter")
    told = [(each["progress"]["profile_status"], each["progress"]["profile_progress"]) for each in lines[:-1]]
    assert told == [("writing", 40.0), ("verifying", 70.0)], "what an earlier change left is not progress of this one"
    assert lines[-1]["outcome"] == "done"


async def test_an_unknown_device_is_refused_in_words(tmp_path: Path) -> None:
    site = Site()
    furnished(site, controls=())
    async with serving(site, tmp_path) as path, peer(path) as one:
        for op in ("command", "plan", "settings", "reading"):
            answer = await one.last(op, device="barn", point="charger_enabled", value=1)
            assert (answer["outcome"], answer["why"]) == ("refused", "there is no device 'barn'")
        off = await one.last("command", device="roof", point="charger_enabled", value=1)
    assert off["outcome"] == "refused" and 'control = "on"' in off["why"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"op": "dance"}',
        b'{"op": ["command"]}',
        b'{"id": {}, "op": "devices"}',
        b'{"id": true, "op": "devices"}',
        b'{"op": "command", "device": 5}',
        b'{"op": "command", "device": "roof", "point": null}',
        b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": true}',
        b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": [1]}',
        b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": NaN}',
        b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": -Infinity}',
        b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": 1e999}',
        b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": ' + b"9" * 400 + b"}",
        b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": ' + b"9" * 5000 + b"}",
    ],
)
async def test_what_is_no_request_is_answered_and_never_reaches_a_device(tmp_path: Path, line: bytes) -> None:
    site = Site()
    charger = furnished(site)
    async with serving(site, tmp_path) as path, peer(path) as one:
        await one.send(line + b"\n")
        answer = await one.line()
        assert answer["final"] is True and answer["error"]
        assert (await one.last("reading", device="roof"))["health"] == "ok", "the connection goes on"
    assert not charger.commands and not charger.plans


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["id", "op", "device", "value"]), inner),
            max_leaves=10,
        ).map(lambda content: json.dumps(content).encode()),
    )
)
def test_parsing_raises_nothing_else(line: bytes) -> None:
    try:
        request = parse(line)
    except BadRequestError:
        return
    json.dumps(request.id)


async def test_a_command_is_finished_though_its_client_goes(tmp_path: Path) -> None:
    site = Site()
    charger = furnished(site)
    charger.gate.clear()
    charger.steps = (("writing", 10.0),)
    async with serving(site, tmp_path) as path:
        async with peer(path) as one:
            await one.send(b'{"op": "command", "device": "roof", "point": "apply_profile", "value": "winter"}\n')
            await charger.begun.wait()
        charger.gate.set()
        async with asyncio.timeout(PATIENCE):
            await charger.ended.wait()
        async with peer(path) as other:
            assert (await other.last("reading", device="roof"))["health"] == "ok"
    assert not site._mailboxes, "nobody listens any more"


async def test_half_a_line_is_no_command(tmp_path: Path) -> None:
    site = Site()
    charger = furnished(site)
    line = b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": 0}'
    async with serving(site, tmp_path) as path:
        async with peer(path) as one:
            await one.send(line)
            one.writer.write_eof()
            assert await one.rest() == b""
        async with peer(path) as other:
            await other.last("devices")
    assert not charger.commands


async def test_a_huge_line_ends_only_its_own_connection(tmp_path: Path) -> None:
    site = Site()
    charger = furnished(site)
    async with serving(site, tmp_path) as path, peer(path) as other:
        async with peer(path) as one:
            await one.send(b'{"op": "command", "value": "' + b"x" * LONGEST_LINE + b'"}\n')
            assert "longer" in (await one.line())["error"]
            assert await one.rest() == b""
        assert (await other.last("devices"))["final"] is True
    assert not charger.commands


async def test_only_so_many_clients_at_a_time(tmp_path: Path) -> None:
    site = Site()
    async with serving(site, tmp_path) as path:
        peers = [Peer(*await asyncio.open_unix_connection(path)) for _ in range(CLIENTS)]
        for one in peers:
            await one.last("devices")
        async with peer(path) as late:
            answer = await late.line()
            assert answer["final"] is True and str(CLIENTS) in answer["error"]
            assert await late.rest() == b""
        await peers.pop().leave()
        async with peer(path) as next_one:
            await next_one.send(b'{"op": "devices"}\n')
            answer = await next_one.line()
        assert "devices" in answer
        for one in peers:
            await one.leave()


async def test_a_command_that_breaks_ends_only_its_own_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site()
    charger = furnished(site)

    async def broken(command: Command) -> Outcome:
        raise RuntimeError("a defect")

    monkeypatch.setattr(charger, "command", broken)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with serving(site, tmp_path) as path, peer(path) as other:
        async with peer(path) as one:
            await one.send(b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": 0}\n')
            assert await one.rest() == b""
        assert "devices" in await other.last("devices")


async def test_it_is_the_owners_alone_and_goes_with_the_daemon(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with serving(Site(), tmp_path) as path:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert os.umask(0) == 0, "the umask of the process is its own affair"
    finally:
        os.umask(before)
    assert not path.exists()


async def test_a_left_over_socket_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(tmp_path / NAME))
    async with serving(Site(), tmp_path) as path, peer(path) as one:
        assert (await one.last("devices"))["devices"] == []


async def test_the_socket_of_somebody_else_is_not_taken_away(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        async with serving(Site(), tmp_path) as path:
            path.unlink()
            other.bind(str(path))
        assert path.exists()


async def test_what_is_no_socket_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / NAME
    path.write_text("precious")
    await SocketOutput(path).run(Site())
    assert path.read_text() == "precious"
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["missing", "x" * 100])
async def test_where_there_can_be_no_socket_the_daemon_does_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    await SocketOutput(tmp_path / name / NAME).run(Site())
    assert len(caplog.records) == 1
    assert "cannot ask the daemon" in caplog.text


async def test_it_ends_at_once_with_clients_and_commands_there(tmp_path: Path) -> None:
    site = Site()
    charger = furnished(site)
    charger.gate.clear()
    async with serving(site, tmp_path) as path:
        idle, busy = [Peer(*await asyncio.open_unix_connection(path)) for _ in range(2)]
        await idle.last("devices")
        await busy.send(b'{"op": "command", "device": "roof", "point": "charger_enabled", "value": 0}\n')
        await charger.begun.wait()
    assert await idle.rest() == b"" and await busy.rest() == b""
    assert not charger.ended.is_set()
    for one in (idle, busy):
        await one.leave()
