"""contacts and verify, and the labels that name contacts on the line (case 14)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from chat.cli import people
from chat.cli.output import find, label_among, labels
from chat.errors import phrase
from chat.interface import (
    ContactView,
    IdentityChangeView,
    NotPermitted,
    OwnChange,
    QuestionView,
    UsageError,
    VerificationView,
)
from chat.looks import label, look, telling
from tests.support.cli.line import Line


def test_contacts_has_a_line_a_contact(line: Line) -> None:
    ben = line.messenger.add_contact("Ben", present=True, verified=True)
    cleo = line.messenger.add_contact("Cleo", blocked=True)
    dan = line.messenger.add_contact("Dan", present=True, relayed=True)
    outcome = line.run("contacts", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.objects == [
        {
            "name": "Ben",
            "person": ben.person,
            "called": "Ben",
            "verified": True,
            "present": True,
            "seen": None,
            "held": False,
            "unvouched": False,
            "same_key": [],
            "pinned": False,
            "muted": False,
            "bot": False,
            "commands": [],
            "unread": 0,
            "last": None,
        },
        {
            "name": "Cleo",
            "person": cleo.person,
            "called": "Cleo",
            "verified": False,
            "present": False,
            "seen": None,
            "held": False,
            "unvouched": False,
            "same_key": [],
            "pinned": False,
            "muted": False,
            "bot": False,
            "commands": [],
            "unread": 0,
            "last": None,
        },
        {
            "name": "Dan",
            "person": dan.person,
            "called": "Dan",
            "verified": False,
            "present": True,
            "seen": None,
            "held": False,
            "unvouched": False,
            "same_key": [],
            "pinned": False,
            "muted": False,
            "bot": False,
            "commands": [],
            "unread": 0,
            "last": None,
        },
    ]
    marks = ["called", "verified", "present", "seen", "held", "unvouched", "same_key"]
    marks += ["pinned", "muted", "bot", "commands"]
    fields = ["name", "person", *marks, "unread", "last"]
    assert list(outcome.objects[0]) == fields
    assert line.run("contacts").out.splitlines() == [
        "Ben  (verified, online)",
        "Cleo  (not verified, offline, blocked)",
        "Dan  (not verified, online, through a relay)",
    ]
    assert line.run("contacts", "list").out == line.run("contacts").out
    assert line.run("contacts", "list", "--json").objects == outcome.objects


def test_contacts_names_the_last_message_of_each(line: Line) -> None:
    line.messenger.add_contact("Ben", present=True)
    cleo = line.messenger.add_contact("Cleo", unread=2)
    line.messenger.receive(cleo.person, "first")
    theirs = line.messenger.receive(cleo.person, "second")
    (mine,) = line.run("send", "Ben", "hello", "--json").objects
    one, two = line.run("contacts", "--json").objects
    fields = ["id", "time", "own", "kind", "text", "reply"]
    assert list(one["last"]) == fields
    assert (one["last"]["id"], one["last"]["own"], one["last"]["text"]) == (mine["id"], True, "hello")
    assert theirs is not None
    assert (two["last"]["id"], two["last"]["own"], two["last"]["text"]) == (theirs.id, False, "second")
    assert (one["unread"], two["unread"] > 0) == (0, True)
    assert line.run("contacts", "block", "Cleo", "--json").objects[0]["last"] == two["last"]


def test_contacts_and_verify_say_that_nothing_is_sent_to_a_changed_identity(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", present=True, held=True)
    assert line.run("contacts", "--json").objects[0]["held"] is True
    assert line.run("contacts").out == "Ben  (not verified, online, identity changed: nothing is sent)\n"
    assert line.run("verify", "Ben", "--json").objects[0]["held"] is True
    assert "nothing is sent to Ben" in line.run("verify", "Ben").out
    number = line.messenger.number(friend.person)
    (released,) = line.run("verify", "Ben", number, "--json").objects
    assert (released["verified"], released["held"]) == (True, False)
    assert "nothing is sent" not in line.run("verify", "Ben").out


def test_case_82_contacts_says_who_has_the_same_device_key(line: Line) -> None:
    ben = line.messenger.add_contact("Ben")
    mallory = line.messenger.add_contact("Mallory", same_key=(ben.person,))
    line.messenger.change_contact(ben.person, same_key=(mallory.person,))
    listed = line.run("contacts", "--json").objects
    assert [view["same_key"] for view in listed] == [["Mallory"], ["Ben"]]
    assert "the same device key as Mallory" in line.run("contacts").out.splitlines()[0]
    assert line.run("contacts", "block", "Ben", "--json").objects[0]["same_key"] == ["Mallory"]


def test_rename_block_and_unblock_print_what_is_now(line: Line) -> None:
    ben = line.messenger.add_contact("Ben", present=True)
    assert line.run("contacts", "rename", "Ben", " ").status == 64
    assert line.run("contacts", "rename", "Ben").status == 64
    assert line.run("contacts", "rename", "Ben", "Benno", "--json").objects[0]["name"] == "Benno"
    assert "blocked" in line.run("contacts", "block", "Benno").out
    assert "blocked" not in line.run("contacts", "unblock", "Benno").out
    assert line.messenger.called("block") == [(ben.person, True), (ben.person, False)]


def test_pin_and_mute_print_what_is_now_and_pinned_ones_are_listed_first(line: Line) -> None:
    ben, cleo = line.messenger.add_contact("Ben"), line.messenger.add_contact("Cleo")
    assert line.run("contacts", "pin", "Cleo").out == "Cleo  (not verified, offline, pinned)\n"
    assert line.run("contacts", "mute", "Cleo").out == "Cleo  (not verified, offline, pinned, muted)\n"
    listed = line.run("contacts", "--json").objects
    assert [(one["name"], one["pinned"], one["muted"]) for one in listed] == [
        ("Cleo", True, True),
        ("Ben", False, False),
    ]
    assert line.run("contacts", "unpin", "Cleo", "--json").objects[0]["pinned"] is False
    assert line.run("contacts", "unmute", "Cleo", "--json").objects[0]["muted"] is False
    assert line.messenger.called("pin") == [(cleo.person, True), (cleo.person, False)]
    assert line.run("contacts", "mute", "notes").status == 64
    assert line.run("contacts", "pin", "Dan").status == 64
    assert all(call[0] != ben.person for call in line.messenger.called("mute"))


def test_earlier_messages_are_taken_after_a_yes_and_only_where_there_are_some(line: Line) -> None:
    ben = line.messenger.add_contact("Ben")
    line.patch.setattr(people, "is_interactive", lambda: True)
    assert line.run("contacts", "take", "Ben").out.startswith("Nothing to take here.")
    assert line.run("contacts", "take", "Ben", "--json").objects[0] == {"name": "Ben", "taken": 0}
    line.messenger.claim(ben.person, "from before", "earlier")
    refused = line.run("contacts", "take", "Ben", typed="\n")
    assert "Take 1 earlier message, as Ben has it, as yours? It cannot be undone. [y/n]" in refused.err
    assert refused.status == 1
    assert line.messenger.called("take_earlier") == []
    assert line.run("contacts", "take", "Ben", typed="y\n").out == "1 message counts as yours now.\n"


def test_the_notes_are_pinned_by_their_name_whatever_a_contact_is_called(line: Line) -> None:
    line.messenger.add_contact("notes")
    assert line.run("contacts", "pin", "Notes").out == "Notes  (pinned)\n"
    assert line.run("contacts", "unpin", "notes", "--json").objects == [{"name": "Notes", "pinned": False}]
    own = line.messenger._me.person
    assert line.messenger.called("pin") == [(own, True), (own, False)]


@pytest.mark.parametrize(("typed", "status"), [(None, 0), ("y\n", 0), ("n\n", 1), ("", 1)])
def test_remove_forgets_the_contact_and_asks_a_person(line: Line, typed: str | None, status: int) -> None:
    line.messenger.add_contact("Ben")
    line.patch.setattr("chat.cli.people.is_interactive", lambda: typed is not None)
    outcome = line.run("contacts", "remove", "Ben", "--json", typed=typed or "")
    assert (outcome.status, outcome.objects) == (status, [] if status else [{"removed": "Ben"}])
    assert bool(line.run("contacts", "--json").out) is bool(status)


def test_a_removal_that_is_interrupted_says_what_is_left(line: Line) -> None:
    line.messenger.add_contact("Ben")
    line.messenger.failures["remove"] = NotPermitted(phrase("locked"))
    outcome = line.run("contacts", "remove", "Ben", "--yes", "--json")
    assert (outcome.status, outcome.objects) == (1, [])
    assert "If 'parlour contacts' no longer lists Ben" in outcome.err


def test_verify_shows_the_safety_number_and_sets_the_mark(line: Line) -> None:
    line.messenger.add_contact("Ben")
    (shown,) = line.run("verify", "Ben", "--json").objects
    fields = "safety_number", "verified", "held", "unvouched", "contested", "compared", "by", "changes"
    assert tuple(shown) == fields
    assert len(shown["safety_number"].split()) == 12
    text = line.run("verify", "Ben").out
    assert text.split()[:12] == shown["safety_number"].split()
    assert "not verified" in text
    number = shown["safety_number"].split()
    given: list[list[str]] = [[], number, [], ["--no"]]
    marks = [line.run("verify", "Ben", *mark, "--json").objects[0] for mark in given]
    assert [mark["verified"] for mark in marks] == [False, True, True, False]
    assert line.run("contacts", "--json").objects[0]["verified"] is False


def test_whom_only_a_removed_device_paired_is_listed_so(line: Line) -> None:
    line.messenger.add_contact("Ben", held=True, unvouched=True)
    assert "only a removed device paired: nothing is sent" in line.run("contacts").out
    said = line.run("verify", "Ben").out
    assert "Only a removed device of yours has paired with Ben. Until you compare, nothing is sent." in said
    assert "has changed" not in said


def test_verify_shows_what_changed_since_and_every_branch(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", held=True)
    numbers = [line.messenger.number(friend.person, branch) for branch in ("", "other")]
    change = IdentityChangeView(phrase("added a device"), "a1" * 32, "b2" * 32, "c3" * 32)
    found = VerificationView(tuple(numbers), datetime(2026, 11, 24, tzinfo=UTC), True, (change,))
    line.messenger.verifications[friend.person] = found
    (shown,) = line.run("verify", "Ben", "--json").objects
    assert (shown["safety_number"], shown["contested"]) == (numbers[0], numbers[1:])
    assert (shown["compared"], shown["by"]) == ("2026-11-24T00:00:00.000Z", "words")
    assert shown["changes"] == [
        {"cause": "added a device", "operation": "a1" * 32, "terminal": "b2" * 32, "author": "c3" * 32}
    ]
    text = line.run("verify", "Ben").out
    assert "contradict each other" in text
    assert "added a device (device b2b2b2b2b2b2b2b2), signed by device c3c3c3c3c3c3c3c3" in text
    wrong = line.run("verify", "Ben", "1" * 60)
    assert "not the safety number" in wrong.failed(65)
    for no_number in (["yes"], ["yes", "please"], [""]):
        refused = line.run("verify", "Ben", *no_number).failed(64)
        assert "'parlour verify NAME NUMBER' with what Ben reads out" in refused
        assert "intercepting" not in refused
    assert line.run("verify", "Ben", numbers[1]).status == 0
    assert line.messenger.called("verify")[-1] == (friend.person, numbers[1])


@pytest.mark.parametrize("arguments", [[], ["Ben", "12345", "--no"]])
def test_verify_needs_a_name_and_one_answer(line: Line, arguments: list[str]) -> None:
    line.messenger.add_contact("Ben")
    assert "name of a contact" in line.run("verify", *arguments).failed(64)


def test_verify_own_lists_changes_and_confirms_the_named_ones(line: Line) -> None:
    assert "no change" in line.run("verify", "--own").err
    added = QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32)
    recovered = QuestionView("a2" * 32, OwnChange.RECOVERED, "", "")
    line.messenger.ask(added, recovered)
    line.messenger.add_contact("Ben")
    assert "verify --own" in line.run("verify", "Ben").failed(1)
    shown = line.run("verify", "--own", "--json").objects
    assert [list(one) for one in shown] == [["operation", "change", "terminal", "author", "confirmed"]] * 2
    assert [(one["operation"], one["change"], one["confirmed"]) for one in shown] == [
        ("a1" * 32, "added", False),
        ("a2" * 32, "recovered", False),
    ]
    text = line.run("verify", "--own").out
    assert "Was that you? If so, run 'parlour verify --own a1a1a1a1a1a1a1a1'" in text
    assert "If not, someone has your keys: run 'parlour recovery use'." in text
    assert "If not, 'parlour terminal remove c3c3c3c3c3c3c3c3' shuts out both." in text
    for unclear in ("a", "a1a1a1a", "ff", ""):
        assert line.run("verify", "--own", unclear).status == (64 if unclear else 0)
    refused = line.run("verify", "--own", "a1a1a1a1", "--no")
    assert refused.status == 64
    assert "parlour recovery use" in refused.err
    assert not line.messenger.called("confirm_own")
    (done,) = line.run("verify", "--own", "A1A1A1A1", "--json").objects
    assert (done["operation"], done["confirmed"]) == ("a1" * 32, True)
    assert line.messenger.called("confirm_own") == [("a1" * 32,)]
    assert "no change" not in line.run("verify", "--own", "a2a2a2a2").err
    assert line.run("verify", "Ben").status == 0


def person(name: str, digit: str) -> ContactView:
    return ContactView((digit * 64)[:64], name, name, False, False, False, False, 0)


def told_apart(*views: ContactView) -> list[ContactView]:
    """Contacts with the labels that the engine gives them."""
    alike = [[one.person for one in views if look(one.name) == look(view.name)] for view in views]
    return [
        replace(view, label=label(view.name, view.person, telling(held), "Ada"))
        for view, held in zip(views, alike, strict=True)
    ]


def test_a_label_a_name_and_an_id_find_the_contact() -> None:
    ann, ben = person("Ann", "a"), person("Ben", "b")
    for name in ("Ben", "b" * 64, "ben", " Ben "):
        assert find([ann, ben], name) == ("Ben", ben)
    assert label_among([], "e" * 64) == "~eeeeeeee"


@pytest.mark.parametrize(
    "other",
    [
        *("Ben\u200b", "Ben\x1b", "\u202eBen", "Ｂｅｎ", "Ben "),
        *("B\u00aden", "Ben\u3164", "Be\ufe0fn", "Ben\u2800"),
    ],
)
def test_case_14_two_names_that_look_the_same_get_labels_that_do_not(other: str) -> None:
    one, two = told_apart(person("Ben", "a"), person(other, "b"))
    first, second = labels([one, two])
    assert first != second
    assert {first.partition("~")[2], second.partition("~")[2]} == {"aaaa", "bbbb"}
    with pytest.raises(UsageError, match=f"may be somebody else: name {first} or {second}"):
        find([one, two], "Ben")
    for named, view in ((first, one), (second, two)):
        assert find([one, two], named) == (named, view)


def test_a_name_that_was_that_of_two_means_nobody_though_one_is_gone() -> None:
    view = replace(person("Ben", "a"), label="Ben~aaaa")
    for typed in ("Ben", "ben", "Веn"):
        with pytest.raises(UsageError, match="may be somebody else: name Ben~aaaa"):
            find([view, person("Cleo", "c")], typed)
    assert find([view], "Ben~aaaa") == ("Ben~aaaa", view)


@pytest.mark.parametrize("other", ["Ben", "Ben\u200b"])
def test_case_14_a_name_that_imitates_a_suffix_hides_nobody(other: str) -> None:
    everybody = told_apart(person("Ben", "a"), person(other, "b"), person("Ben~aaaa", "c"))
    for order in (everybody, everybody[::-1]):
        held = labels(order)
        assert sorted(view.person[0] for view in held.values()) == ["a", "b", "c"]
        for named, view in held.items():
            assert find(order, named)[1] == view


def test_a_contact_that_is_named_as_the_id_of_another_takes_nothing_from_that_one() -> None:
    ben = person("Ben", "a")
    other = person(ben.person, "b")
    for order in ([ben, other], [other, ben]):
        assert find(order, ben.person)[1] == ben


def test_names_of_nothing_visible_and_ids_with_a_common_beginning_have_labels() -> None:
    (ghost,) = told_apart(person("\u200b\u2060", "d"))
    assert list(labels([ghost])) == ["~dddd"]
    assert find([ghost], "~dddd") == ("~dddd", ghost)
    assert len(labels(told_apart(person("Ben", "ab"), person("Ben", "ab" * 31 + "cd")))) == 2


def test_capitals_tell_nobody_apart_but_are_typed_as_one_likes() -> None:
    lower, upper = told_apart(person("ben", "a"), person("Ben", "b"))
    assert find([lower, upper], "ben~aaaa")[1] == lower
    assert find([lower, upper], "BEN~bbbb")[1] == upper
    for typed in ("ben", "Ben", "BEN"):
        with pytest.raises(UsageError, match="name ben~aaaa or Ben~bbbb"):
            find([lower, upper], typed)


@pytest.mark.parametrize(
    "arguments", [["send", "Ben", "x"], ["history", "Ben"], ["verify", "Ben"], ["contacts", "block", "Ben"]]
)
def test_every_command_refuses_an_ambiguous_name_with_the_labels(line: Line, arguments: list[str]) -> None:
    one, two = (line.messenger.add_contact("Ben") for _ in range(2))
    outcome = line.run(*arguments)
    assert outcome.status == 64
    for view in (one, two):
        assert f"Ben~{view.person[:4]}" in outcome.failure
    assert not line.messenger.called("send")


def test_the_label_that_contacts_shows_is_accepted(line: Line) -> None:
    assert "no contacts yet" in line.run("verify", "Ben").failure
    line.messenger.add_contact("Cleo")
    outcome = line.run("verify", "Ben")
    assert (outcome.status, "Cleo" in outcome.failure) == (64, True)
    for present in (False, True):
        line.messenger.add_contact("Ben", present=present)
    for listed in line.run("contacts", "--json").objects:
        assert line.run("verify", listed["name"]).status == 0
