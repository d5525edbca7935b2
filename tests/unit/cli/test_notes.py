"""Notes to oneself: the same commands, under a name that no contact can take."""

from __future__ import annotations

import pytest

from tests.support.cli.line import Line


def test_a_note_is_kept_and_nobody_is_waited_for(line: Line) -> None:
    outcome = line.run("send", "notes", "buy", "milk", "--wait", "60", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert [one["state"] for one in outcome.objects] == ["kept"]
    assert line.run("send", "Notes", "-", typed="bread\n").out == "To Notes: kept\n"
    said = line.run("history", "notes").out.splitlines()
    assert [text.split(": ", 1)[1] for text in said] == ["buy milk  (kept)", "bread  (kept)"]
    found = line.run("history", "--search", "in:notes milk", "--json").objects
    assert [one["text"] for one in found] == ["buy milk"]
    assert "[Notes]" in line.run("history", "--search", "milk").out
    assert line.run("history", "notes", "--search", "bread", "--json").objects[0]["text"] == "bread"


def test_a_note_is_edited_and_deleted(line: Line) -> None:
    line.run("send", "notes", "milk")
    edited = line.run("edit", "notes", "--last", "oat", "milk")
    assert (edited.status, edited.out) == (0, "Edited. To Notes: kept\n")
    (entry,) = line.run("history", "notes", "--json").objects
    assert (entry["text"], entry["edited"]) == ("oat milk", True)
    gone = line.run("delete", "notes", "--last", "--for-everyone", "--yes", "--json")
    assert gone.status == 0
    (entry,) = line.run("history", "notes", "--json").objects
    assert (entry["kind"], entry["deleted_by"]) == ("deleted", "mine")
    assert "nothing to delete" in line.run("delete", "notes", "--last", "--yes").failed(64)


@pytest.mark.parametrize("name", ["Notes", "notes", "NOTES", "\uff2eotes", "No\u200dtes"])
def test_nothing_that_is_meant_for_the_notes_goes_to_a_contact_of_that_name(line: Line, name: str) -> None:
    other = line.messenger.add_contact(name, present=True)
    assert line.run("send", "notes", "a secret").out == "To Notes: kept\n"
    assert line.run("send", name, "another").out == "To Notes: kept\n"
    assert line.messenger.called("send") == [
        (line.messenger._me.person, "a secret"),
        (line.messenger._me.person, "another"),
    ]
    (label,) = [one["name"] for one in line.run("contacts", "--json").objects]
    assert label.endswith(f"~{other.person[:4]}")
    assert line.run("send", label, "to the contact").status == 0
    assert line.messenger.called("send")[-1] == (other.person, "to the contact")


def test_what_only_contacts_have_is_refused_for_the_notes(line: Line) -> None:
    for arguments in (("timer", "notes", "1h"), ("verify", "notes"), ("contacts", "block", "notes")):
        assert "No contact is named notes" in line.run(*arguments).failed(64)
