"""The demo network of seeds/, as the command line shows it."""

from __future__ import annotations

from datetime import UTC, datetime

from chat.cli.tools import language
from chat.interface import EntryState
from tests.support.cli.line import Line, Played
from tests.support.fakes.demo import DEMO, demo
from tests.support.fakes.messenger import FakeDoor


def test_the_demo_is_one_network() -> None:
    names = {contact["name"] for contact in DEMO["contacts"]}
    assert {conversation["with"] for conversation in DEMO["conversations"]} <= names
    for conversation in DEMO["conversations"]:
        entries = conversation["entries"]
        assert {entry["author"] for entry in entries} <= {conversation["with"], DEMO["person"]}
        _replies_are_to_what_was_said_before(entries)
        times = [datetime.fromisoformat(entry["time"]) for entry in entries]
        assert times == sorted(times)
        assert all(time.utcoffset() == UTC.utcoffset(None) for time in times)
        own = [entry for entry in entries if entry["author"] == DEMO["person"]]
        assert all(EntryState(entry["state"]) is not EntryState.RECEIVED for entry in own)
        assert all("state" not in entry for entry in entries if entry not in own)
        states = [["read", "delivered", "queued"].index(entry["state"]) for entry in own]
        assert states == sorted(states)
        assert {entry["author"] for entry in entries[len(entries) - conversation["unread"] :]} <= {
            conversation["with"]
        }


def _replies_are_to_what_was_said_before(entries: list[dict[str, str]]) -> None:
    known: set[str] = set()
    for entry in entries:
        assert entry.get("reply") is None or entry["reply"] in known
        known.add(entry.get("id", ""))


def test_the_sample_speaks_the_language_of_the_locale() -> None:
    assert language({}) == language({"LANG": "C.UTF-8"}) == language({"LANG": "it_IT.UTF-8"}) == "en"
    assert language({"LANG": "zh_CN.UTF-8"}) == language({"LANG": "en_US", "LC_ALL": "zh_CN"}) == "zh"


def test_the_command_line_shows_all_of_it(line: Line) -> None:
    line.messenger = Played(DEMO["person"], prompt=False)
    line.door = FakeDoor(demo(line.messenger))
    listed = line.run("contacts", "--json").objects
    assert [contact["name"] for contact in listed] == sorted(contact["name"] for contact in DEMO["contacts"])
    for conversation in DEMO["conversations"]:
        shown = line.run("history", conversation["with"], "--json").objects
        assert [(entry["author"], entry["text"]) for entry in shown] == [
            (entry["author"], entry["text"]) for entry in conversation["entries"]
        ]
    assert "你好" in line.run("history", "--search", "设备").out
