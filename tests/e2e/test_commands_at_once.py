"""Commands at the same time on one profile: each does its work, no matter which of them has the engine."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from operator import itemgetter
from pathlib import Path

import pytest

from chat.cli.session import NOBODY_TO_ASK
from protocol.relay.rendezvous import RelayAddress
from tests.support.e2e.programs import PATIENCE, Station, end, invited, is_event, listening, pair, wait_event
from tests.support.lab.programs import Program

pytestmark = [pytest.mark.network, pytest.mark.slow]
HOSTS = 1

LONG = 240.0
"""Seconds for fifty processes on a machine that has other things to do."""

SENT = [f"number {number}" for number in range(16)]
RELAYS = [str(RelayAddress("127.0.0.1", port, b"\x09" * 32)) for port in (9, 10, 11)]
DELETED = 4
LISTENED = 3


@pytest.fixture
def ben(ada: Station, ben: Station) -> Station:
    """Ben, who is paired with Ada."""
    pair(ada, ben)
    return ben


def lines_of(old: list[str], number: str) -> list[tuple[str, ...]]:
    """Fifty lines less those of `listen`, the kinds mixed as evenly as they go."""
    wait = ("--wait", str(int(LONG)))
    kinds: list[list[tuple[str, ...]]] = [
        [("send", "Ben", text, *wait) for text in SENT],
        [("history", "Ben")] * 8,
        [("contacts",)] * 6,
        [("relays", "add", address) for address in RELAYS],
        [("relays", "list")] * 3,
        [("verify", "Ben"), ("verify", "Ben", number)] * 2,
        [("delete", "Ben", entry, "--yes") for entry in old],
        [("contacts", "rename", "Ben", "Ben"), ("history", "--search", "old"), ("doctor",)],
    ]
    placed = [(at / len(lines), line) for lines in kinds for at, line in enumerate(lines)]
    return [line for _, line in sorted(placed, key=itemgetter(0))]


def test_fifty_commands_at_once_each_do_their_work(ada: Station, ben: Station) -> None:
    sent = [ada.run("send", "Ben", f"old {number}", "--wait", "0") for number in range(DELETED)]
    old = [outcome.objects[0]["id"] for outcome in sent]
    lines = lines_of(old, ada.run("verify", "Ben").objects[0]["safety_number"])
    assert len(lines) + LISTENED == 50
    with listening(ben), ExitStack() as open_programs:
        running: list[tuple[tuple[str, ...], Program]] = []
        listeners: list[Program] = []
        for number, line in enumerate(lines):
            if number % (len(lines) // LISTENED) == 0 and len(listeners) < LISTENED:
                listeners.append(open_programs.enter_context(ada.start("listen")))
            running.append((line, open_programs.enter_context(ada.start(*line))))
        for program in listeners:  # each at another moment, while others have the engine or want it
            program.wait_for(is_event("ready"), LONG)
            program.process.terminate()
            assert program.wait_exit(LONG) == 0, program.complained
        for line, program in running:
            status = program.wait_exit(LONG)
            assert status == 0 or line == ("doctor",), (line, status, program.complained)
            check(line, program)
    said = ada.run("history", "Ben", "--limit", "100").objects
    assert sorted(entry["text"] for entry in said if entry["kind"] == "text") == sorted(SENT)
    assert {entry["state"] for entry in said if entry["kind"] == "text"} == {"delivered"}
    assert [entry["id"] for entry in said if entry["kind"] == "deleted"] == old
    assert {relay["relay"] for relay in ada.run("relays", "list").objects} == set(RELAYS)
    assert [contact["verified"] for contact in ada.run("contacts").objects] == [True]
    heard = [entry["text"] for entry in ben.run("history", "Ada", "--limit", "100").objects]
    assert sorted(text for text in heard if text in SENT) == sorted(SENT)
    for station in (ada, ben):
        assert station.problems() == ()


def check(line: tuple[str, ...], program: Program) -> None:
    """What a line prints where it did its work."""
    said = [json.loads(text) for text in program.said]
    match line:
        case ("send", *_):
            assert [answer["state"] for answer in said] == ["delivered"]
        case ("contacts", *_):
            assert [contact["name"] for contact in said] == ["Ben"]
        case ("relays", "add", address):
            assert [relay["relay"] for relay in said] == [address]
        case ("verify", *_):
            assert [len(number["safety_number"].split()) for number in said] == [12]
            assert len(line) == 2 or said[0]["verified"]
        case ("delete", _, entry, _):
            assert said == [{"deleted": entry, "conversation": "Ben", "scope": "here"}]
        case ("doctor",):
            assert said


def stopped(program: Program) -> None:
    program.process.terminate()
    program.wait_exit(PATIENCE)


ENDINGS: dict[str, Callable[[Program], None]] = {"stopped": stopped, "killed": Program.kill}


@pytest.mark.parametrize("ending", ENDINGS)
def test_send_waits_on_when_the_command_whose_engine_it_uses_ends(
    ada: Station, ben: Station, ending: str
) -> None:
    with ada.start("listen") as program:
        wait_event(program, "ready")
        with ada.start("send", "Ben", "once", "--wait", str(int(LONG))) as sending:
            wait_event(program, "entry", text="once")
            ENDINGS[ending](program)
            with listening(ben) as (there,):
                wait_event(there, "entry", text="once")
                assert json.loads(sending.line(LONG))["state"] == "delivered"
                assert sending.wait_exit(PATIENCE) == 0
    for station, peer in ((ada, "Ben"), (ben, "Ada")):
        assert [entry["text"] for entry in station.run("history", peer).objects] == ["once"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_listen_takes_over_when_the_command_whose_engine_it_uses_ends(
    ada: Station, ben: Station, ending: str
) -> None:
    with ada.start("invite") as inviting:
        invited(inviting.line(PATIENCE))
        with ada.start("listen") as one, ada.start("listen") as other:
            for program in (one, other):
                wait_event(program, "ready")
            ENDINGS[ending](inviting)
            assert ben.run("send", "Ada", "are you there", "--wait", "60").status == 0
            for program in (one, other):
                wait_event(program, "entry", text="are you there")
            ENDINGS[ending](one)
            assert ben.run("send", "Ada", "still", "--wait", "60").status == 0
            wait_event(other, "entry", text="still")
            end(other)
            assert sum(is_event("ready")(line) for line in other.said) == 1


def test_an_invitation_is_used_at_the_engine_that_came_after(
    ada: Station, ben: Station, tmp_path: Path
) -> None:
    cy = Station("Cy", tmp_path, ada.host).create()
    with ada.start("listen") as program:
        wait_event(program, "ready")
        with ada.start("invite", "--yes") as inviting:
            invitation = invited(inviting.line(PATIENCE))
            end(program)
            assert cy.run("join", invitation).objects == [{"paired": "Ada"}]
            assert json.loads(inviting.line(PATIENCE)) == {"paired": "Cy"}
            assert inviting.wait_exit(PATIENCE) == 0


def test_listen_without_a_passphrase_to_go_on_with_says_so(ada: Station) -> None:
    with ada.start("listen") as first:
        wait_event(first, "ready")
        unasked = Station("Ada", ada.profile.parent, ada.host)
        unasked.options = ()
        with unasked.start("listen") as second:
            wait_event(second, "ready")
            end(first)
            assert second.wait_exit(PATIENCE) == 77
            assert second.complained == [NOBODY_TO_ASK]
