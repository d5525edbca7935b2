"""contacts and verify."""

from __future__ import annotations

import pytest

from tests.support.cli.line import Line


def test_contacts_has_a_line_a_contact(line: Line) -> None:
    line.messenger.add_contact("Ben", present=True, verified=True)
    line.messenger.add_contact("Cleo", blocked=True)
    outcome = line.run("contacts", "--json")
    assert outcome.status == 0
    assert outcome.objects == [
        {"name": "Ben", "verified": True, "present": True},
        {"name": "Cleo", "verified": False, "present": False},
    ]
    assert list(outcome.objects[0]) == ["name", "verified", "present"]
    assert line.run("contacts").out.splitlines() == [
        "Ben  (verified, online)",
        "Cleo  (not verified, offline, blocked)",
    ]


def test_contacts_says_who_is_reached_through_a_relay(line: Line) -> None:
    ben = line.messenger.add_contact("Ben", present=True)
    line.messenger.change_contact(ben.person, relayed=True)
    assert line.run("contacts").out == "Ben  (not verified, online, through a relay)\n"


def test_no_contacts_is_no_failure(line: Line) -> None:
    outcome = line.run("contacts", "--json")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


def test_rename_block_and_unblock_print_what_is_now(line: Line) -> None:
    ben = line.messenger.add_contact("Ben", present=True)
    assert line.run("contacts", "rename", "Ben", "Benno", "--json").objects[0]["name"] == "Benno"
    assert "blocked" in line.run("contacts", "block", "Benno").out
    assert "blocked" not in line.run("contacts", "unblock", "Benno").out
    assert line.messenger.called("block") == [(ben.person, True), (ben.person, False)]


def test_rename_to_nothing_is_64(line: Line) -> None:
    line.messenger.add_contact("Ben")
    assert line.run("contacts", "rename", "Ben", " ").status == 64
    assert line.run("contacts", "rename", "Ben").status == 64


def test_remove_forgets_the_contact(line: Line) -> None:
    line.messenger.add_contact("Ben")
    outcome = line.run("contacts", "remove", "Ben", "--json")
    assert (outcome.status, outcome.objects) == (0, [{"removed": "Ben"}])
    assert line.run("contacts", "--json").out == ""


@pytest.mark.parametrize(("typed", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_remove_asks_a_person(line: Line, monkeypatch: pytest.MonkeyPatch, typed: str, status: int) -> None:
    line.messenger.add_contact("Ben")
    monkeypatch.setattr("chat.cli.contacts.is_interactive", lambda: True)
    assert line.run("contacts", "remove", "Ben", typed=typed).status == status
    assert bool(line.messenger._contacts) is bool(status)


def test_verify_shows_the_safety_number_and_the_mark(line: Line) -> None:
    line.messenger.add_contact("Ben")
    (shown,) = line.run("verify", "Ben", "--json").objects
    assert list(shown) == ["safety_number", "verified"]
    assert len(shown["safety_number"].split()) == 12
    assert shown["verified"] is False
    text = line.run("verify", "Ben").out
    assert text.split()[:12] == shown["safety_number"].split()
    assert "not verified" in text


def test_verify_sets_and_takes_away_the_mark(line: Line) -> None:
    line.messenger.add_contact("Ben")
    assert line.run("verify", "Ben", "--yes", "--json").objects[0]["verified"] is True
    assert line.run("verify", "Ben", "--json").objects[0]["verified"] is True
    assert line.run("verify", "Ben", "--no", "--json").objects[0]["verified"] is False
    assert line.run("contacts", "--json").objects[0]["verified"] is False
