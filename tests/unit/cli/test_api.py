"""api: what is typed is answered, and programs are added, listed and revoked."""

from __future__ import annotations

import json

from chat.api import calls
from chat.interface import ClientRights
from tests.support.cli.line import Line


def said(*methods: str) -> str:
    lines = [json.dumps({"jsonrpc": "2.0", "id": one, "method": one}) for one in methods]
    return "\n".join(lines) + "\n"


def test_lines_are_answered_until_the_input_ends(line: Line) -> None:
    outcome = line.run("api", typed=said("hello", "me"))
    answers = {one["id"]: one["result"] for one in outcome.objects}
    assert (outcome.status, outcome.err) == (0, "")
    assert (answers["hello"]["version"], answers["me"]["name"]) == (calls.VERSION, "Ann")


def test_a_line_that_is_no_text_is_the_last(line: Line) -> None:
    line.patch.setattr("chat.cli.terminal.LINE_BYTES_MAX", 1_000)
    outcome = line.run("api", typed=said("me") + "x" * 2_000 + "\n")
    assert outcome.status == 0
    assert outcome.objects[-1]["error"]["code"] == calls.INVALID_REQUEST


def test_a_token_is_shown_once_and_what_it_allows_is_listed(line: Line) -> None:
    line.messenger.add_contact("Ben")
    assert line.run("api", "add", "alerts", "--with", "Ben", "--send-only").out == "token of alerts\n"
    assert line.run("api", "add", "notes", "--with", "notes", "--read-only", "--json").objects == [
        {"program": "notes", "token": "token of notes"}
    ]
    assert line.run("api", "add", "all").status == 0
    listed = line.run("api", "list")
    assert listed.out.splitlines() == [
        "alerts  has a token, only sends with Ben  0 waiting",
        "all  has a token, reads and writes  0 waiting",
        "notes  has a token, only reads with Notes  0 waiting",
    ]
    assert "token of" not in listed.out
    shown = line.run("api", "list", "--json").objects[0]
    assert shown == {"program": "alerts", "token": True, "rights": "send", "with": "Ben", "waiting": 0}
    assert line.messenger.programs["all"].rights is ClientRights.ALL
    assert line.run("api", "revoke", "all", "--json").objects == [{"revoked": "all"}]
    assert line.run("api", "revoke", "all").failed(64)
    assert line.run("api", "add", "alerts").failed(64)
    assert line.run("api", "add", "other", "--with", "Nobody").failed(64)


def test_a_program_that_only_sends_is_for_one_conversation(line: Line) -> None:
    assert "--with NAME" in line.run("api", "add", "alerts", "--send-only").failed(64)


def test_the_schema_needs_no_profile(line: Line) -> None:
    outcome = line.run("api", "schema")
    assert json.loads(outcome.out)["version"] == calls.VERSION
    assert line.opened == []
