"""delete --for-everyone and edit: what they print, and that what waits is said."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from chat.cli import changes
from chat.interface import ContactView, DeletionScope, TerminalState, TerminalView
from tests.support.cli.line import Line

WAITS = 75


def ben(line: Line, *, present: bool = True) -> tuple[ContactView, str]:
    """Ben, who said something, and the id of what this person answered."""
    friend = line.messenger.add_contact("Ben", present=present)
    line.messenger.receive(friend.person, "theirs")
    line.run("send", "Ben", "mine", "--wait", "0")
    return friend, line.messenger._conversations[friend.person].entries[1].id


def test_a_message_is_deleted_for_everyone(line: Line) -> None:
    friend, mine = ben(line)
    outcome = line.run("delete", "Ben", mine, "--for-everyone", "--yes", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert list(outcome.objects[0]) == ["deleted", "conversation", "scope", "id", "state"]
    assert (outcome.objects[0]["deleted"], outcome.objects[0]["state"]) == (mine, "delivered")
    assert not line.messenger.uncleaned
    assert line.messenger.called("delete") == [(friend.person, mine, DeletionScope.EVERYONE)]
    shown = line.run("history", "Ben", "--json").objects
    assert [entry["kind"] for entry in shown] == ["text", "deleted"]
    assert [entry["deleted_by"] for entry in shown] == ["", "author"]
    assert line.run("history", "Ben").out.splitlines()[-1].endswith("(deleted by its author)  (delivered)")


def test_an_absent_contact_still_holds_it_and_that_is_said(line: Line) -> None:
    _, mine = ben(line, present=False)
    outcome = line.run("delete", "Ben", mine, "--for-everyone", "--yes", "--wait", "0")
    assert outcome.status == WAITS
    assert "To Ben: queued" in outcome.out
    assert "Ben's device still holds it until it is there" in outcome.err


def test_the_last_one_for_everyone_is_ones_own(line: Line) -> None:
    friend, mine = ben(line)
    line.messenger.receive(friend.person, "after it")
    assert (
        line.run("delete", "Ben", "--last", "--for-everyone", "--yes", "--json").objects[0]["deleted"] == mine
    )
    assert line.run("delete", "Ben", "--last", "--for-everyone", "--yes").failed(64)


def test_what_holds_for_other_messages_is_not_deleted_for_everyone(line: Line) -> None:
    friend, mine = ben(line)
    line.run("timer", "Ben", "1h")
    timer = line.messenger._conversations[friend.person].entries[-1]
    assert (timer.kind, timer.own) == ("timer", True)
    assert "other messages" in line.run("delete", "Ben", timer.id, "--for-everyone", "--yes").failed(64)
    outcome = line.run("delete", "Ben", "--last", "--for-everyone", "--yes", "--json")
    assert outcome.objects[0]["deleted"] == mine


def test_another_persons_message_is_not_deleted_for_everyone(line: Line) -> None:
    friend, _ = ben(line)
    theirs = line.messenger._conversations[friend.person].entries[0].id
    assert "Somebody else" in line.run("delete", "Ben", theirs, "--for-everyone", "--yes").failed(64)


def test_what_was_deleted_here_can_still_be_deleted_for_everyone(line: Line) -> None:
    _, mine = ben(line)
    line.run("delete", "Ben", mine, "--yes")
    line.patch.setattr(changes, "is_interactive", lambda: True)
    shown = line.run("delete", "Ben", mine, "--for-everyone", typed="n\n").err
    assert "may have read or copied it. Delete it? [y/n]" in shown
    assert line.run("delete", "Ben", mine, "--for-everyone", typed="y\n").status == 0
    scopes = [DeletionScope.HERE, DeletionScope.EVERYONE]
    assert [called[2] for called in line.messenger.called("delete")] == scopes


def test_a_message_of_either_person_is_deleted_on_all_own_devices(line: Line) -> None:
    friend, mine = ben(line)
    theirs = line.messenger._conversations[friend.person].entries[0].id
    for id in (theirs, mine):
        outcome = line.run("delete", "Ben", id, "--all-mine", "--yes", "--json")
        assert (outcome.status, outcome.err) == (0, "")
        assert outcome.objects == [{"deleted": id, "conversation": "Ben", "scope": "mine", "absent": []}]
    shown = line.run("history", "Ben", "--json").objects
    assert [entry["deleted_by"] for entry in shown] == ["mine", "mine"]
    assert "(deleted on all your devices)" in line.run("history", "Ben").out
    assert not line.messenger.uncleaned
    assert "nothing to delete" in line.run("delete", "Ben", "--last", "--all-mine", "--yes").failed(64)


def test_other_devices_follow_and_that_is_said(line: Line) -> None:
    _, mine = ben(line)
    line.patch.setattr(changes, "is_interactive", lambda: True)
    shown = line.run("delete", "Ben", mine, "--all-mine", typed="n\n").err
    assert "Deletes it on all your devices permanently. Ben keeps theirs and is not notified." in shown
    desk = TerminalView("d1" * 32, False, TerminalState.LIVE)
    gone = TerminalView("e1" * 32, False, TerminalState.REMOVED)
    line.messenger.other_terminals = (desk, gone)
    outcome = line.run("delete", "Ben", mine, "--all-mine", "--yes", "--wait", "0", "--json")
    assert outcome.status == WAITS
    assert outcome.objects[0]["absent"] == [desk.terminal]
    assert "1 of your other devices still holds it until they meet this one" in outcome.err
    line.messenger.other_terminals = (replace(desk, present=True), gone)
    outcome = line.run("delete", "Ben", mine, "--all-mine", "--yes")
    assert (outcome.status, outcome.err) == (0, "")


def test_what_holds_for_other_messages_is_not_deleted_on_all_own_devices(line: Line) -> None:
    friend, _ = ben(line)
    line.run("timer", "Ben", "1h")
    timer = line.messenger._conversations[friend.person].entries[-1]
    assert "other messages" in line.run("delete", "Ben", timer.id, "--all-mine", "--yes").failed(64)


def test_the_question_says_what_deleting_for_everyone_cannot_do(line: Line) -> None:
    ben(line)
    line.patch.setattr(changes, "is_interactive", lambda: True)
    shown = line.run("delete", "Ben", "--last", "--for-everyone", typed="n\n").err
    assert "may have read or copied it. Delete it? [y/n]" in shown


@pytest.mark.parametrize("last", [True, False])
def test_a_message_is_edited(line: Line, last: bool) -> None:
    friend, mine = ben(line)
    line.messenger.receive(friend.person, "after it")
    given = ["--last"] if last else [mine]
    outcome = line.run("edit", "Ben", *given, "mine,", "better", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert list(outcome.objects[0]) == ["edited", "id", "state"]
    assert (outcome.objects[0]["edited"], outcome.objects[0]["state"]) == (mine, "delivered")
    shown = line.run("history", "Ben", "--json").objects
    assert [(entry["text"], entry["edited"]) for entry in shown] == [
        ("theirs", False),
        ("mine, better", True),
        ("after it", False),
    ]
    assert line.run("history", "Ben").out.splitlines()[1].endswith("mine, better  (edited, delivered)")


def test_an_edit_waits_for_an_absent_contact(line: Line) -> None:
    ben(line, present=False)
    outcome = line.run("edit", "Ben", "--last", "better", "--wait", "0")
    assert outcome.status == WAITS
    assert "Ben's device shows the old text until it is there" in outcome.err


@pytest.mark.parametrize("given", [["{mine}"], ["0" * 64, "better"], ["{theirs}", "better"], ["{mine}", " "]])
def test_wrong_use_is_64_and_edits_nothing(line: Line, given: list[str]) -> None:
    friend, mine = ben(line)
    theirs = line.messenger._conversations[friend.person].entries[0].id
    arguments = [argument.format(mine=mine, theirs=theirs) for argument in given]
    assert line.run("edit", "Ben", *arguments).failed(64)
    assert [entry["text"] for entry in line.run("history", "Ben", "--json").objects] == ["theirs", "mine"]
