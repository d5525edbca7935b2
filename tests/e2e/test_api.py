"""Programs at the real command: a bot that is killed, a relay of alerts with a token, and typed lines."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from chat.api import calls
from chat.client import connect
from chat.interface import Closed, EntryAdded, NotPermitted, ParlourError, Unreachable
from tests.architecture.imports import ROOT
from tests.soak import bot
from tests.support.e2e.programs import PATIENCE, Station, is_event, listening, pair, wait_event
from tests.support.lab.programs import Program
from tests.support.machine import needs_root_network

RELAY = str(ROOT / "examples" / "alert_relay.py")


def test_a_bot_that_is_killed_with_its_engine_or_alone_answers_each_command_once(tmp_path: Path) -> None:
    needs_root_network()
    outcome = bot.soak(tmp_path, 200, ("bot", "engine", "both"), seed=2)
    assert outcome.problems() == []
    assert sum(outcome.killed.values()) == 3


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Station, Station]:
    folder = tmp_path_factory.mktemp("two")
    ada, ben = (Station(name, folder).create() for name in ("Ada", "Ben"))
    pair(ada, ben)
    return ada, ben


def report(*alerts: Mapping[str, object]) -> bytes:
    return json.dumps({"version": "4", "receiver": "parlour", "alerts": alerts}).encode()


JSON = "Content-Type: application/json"


async def post(
    port: int, body: bytes, method: str = "POST", fields: str = JSON, host: str = "localhost"
) -> str:
    """The status line of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    async with asyncio.timeout(PATIENCE):
        status = (await reader.read()).decode().partition("\r\n")[0]
    writer.close()
    return status.partition(" ")[2]


def test_an_alert_goes_to_one_conversation_once_and_a_revoked_token_ends_it(
    two: tuple[Station, Station], tmp_path: Path
) -> None:
    ada, ben = two
    socket, token = tmp_path / "alerts.sock", tmp_path / "token"
    added = ada.run("api", "add", "alerts", "--with", "Ben", "--send-only").objects[0]
    token.write_text(f"{added['token']}\n")
    disk = {
        "status": "firing",
        "fingerprint": "f1",
        "startsAt": "2026-12-01T00:00:00Z",
        "labels": {"alertname": "DiskFull", "instance": "db1", "severity": "page"},
        "annotations": {"summary": "5 % are left"},
    }
    with listening(ben) as (hearing,), ada.start("api", "--socket", str(socket)) as serving:
        assert json.loads(serving.line(PATIENCE)) == {"socket": str(socket)}
        line = [sys.executable, RELAY, "--socket", str(socket), "--token-file", str(token), "--port", "0"]
        with Program(line) as relay:
            port = int(relay.wait_for(lambda said: said.startswith("listening"), PATIENCE).rpartition(":")[2])
            for body in (report(disk), report(disk, {**disk, "status": "resolved"})):
                assert asyncio.run(post(port, body)) == "200 OK"
            for text in ("FIRING: DiskFull on db1\n5 % are left", "RESOLVED: DiskFull on db1\n5 % are left"):
                wait_event(hearing, "entry", text=text)
            assert asyncio.run(post(port, b"{")) == "400 Bad Request"
            assert asyncio.run(post(port, b"", "GET")) == "400 Bad Request"
            ada.run("api", "revoke", "alerts")
            assert asyncio.run(post(port, report({**disk, "fingerprint": "f2"}))) == "503 Service Unavailable"
        heard = [json.loads(said)["text"] for said in hearing.said if is_event("entry")(said)]
        assert len(heard) == 2, "what was reported again was sent once"
        asyncio.run(_refused(socket, added["token"]))
    asyncio.run(_nobody(socket))


async def _refused(socket: Path, revoked: str) -> None:
    for token in (revoked, "guessed", ""):
        with pytest.raises(NotPermitted):
            async with connect("alerts", token=token, socket=socket):
                pass


async def _nobody(socket: Path) -> None:
    with pytest.raises(Unreachable):
        async with connect(token="any", socket=socket):
            pass


def test_what_is_typed_is_answered_line_by_line_until_the_input_ends(two: tuple[Station, Station]) -> None:
    ada, _ = two
    lines = (
        '{"jsonrpc": "2.0", "id": 1, "method": "hello"}',
        "nonsense",
        '{"jsonrpc":"2.0","id":2,"method":"me"}',
    )
    done = ada.run("api", typed="\n".join((*lines, "")))
    assert done.status == 0
    said = {one.get("id"): one for one in done.objects}
    assert said[1]["result"]["version"] == calls.VERSION
    assert said[2]["result"]["name"] == "Ada"
    assert said[None]["error"]["code"] == calls.PARSE_ERROR


def test_a_program_of_python_has_every_call_and_ends_with_its_profile(two: tuple[Station, Station]) -> None:
    ada, _ = two

    async def use() -> None:
        async with connect("tool", profile=ada.profile, passphrase_file=ada.options[1]) as parlour:
            (ben,) = await parlour.contacts()
            sent = await parlour.send(ben.person, "from Python", send_id="tool-1")
            assert await parlour.send(ben.person, "from Python", send_id="tool-1") == sent
            assert (await parlour.history(ben.person, 1))[0].id == sent.id
            assert not hasattr(parlour, "invite")
            stream = parlour.subscribe()
            first = await anext(stream)
            assert (first.event, first.message) == (EntryAdded(sent), None)
            await parlour.ack(first)
            await parlour.lock()
            told = [one async for one in stream]
            assert isinstance(told[-1].event, Closed)
            assert told[-1].event.locked
            with pytest.raises(ParlourError):  # that it is locked, or that it has ended
                await parlour.me()

    asyncio.run(use())
