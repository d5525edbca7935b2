"""Names on the line: case 14, two that look alike are never one."""

from __future__ import annotations

import pytest

from chat.cli.output import find, label_among, labels
from chat.interface import ContactView, UsageError
from tests.support.cli.line import Line


def person(name: str, digit: str, label: str = "") -> ContactView:
    return ContactView(digit * 64, name, label or name, False, False, False, False, 0)


def test_a_label_a_name_and_an_id_find_the_contact() -> None:
    ann, ben = person("Ann", "a"), person("Ben", "b")
    for name in ("Ben", "b" * 64, "ben", " Ben "):
        assert find([ann, ben], name) == ("Ben", ben)


def test_two_of_one_name_are_told_apart_and_neither_is_guessed() -> None:
    one, two = person("Ben", "a", "Ben~aaaa"), person("Ben", "b", "Ben~bbbb")
    assert list(labels([one, two])) == ["Ben~aaaa", "Ben~bbbb"]
    assert find([one, two], "Ben~bbbb") == ("Ben~bbbb", two)
    with pytest.raises(UsageError, match="Ben~aaaa, Ben~bbbb") as caught:
        find([one, two], "Ben")
    assert caught.value.exit_status == 64


@pytest.mark.parametrize(
    "other",
    [
        "Ben\u200b",
        "Ben\x1b",
        "\u202eBen",
        "Ｂｅｎ",
        "Ben ",
        "B\u00aden",
        "Ben\u3164",
        "Be\ufe0fn",
        "Ben\u2800",
    ],
)
def test_case_14_two_names_that_look_the_same_get_labels_that_do_not(other: str) -> None:
    one, two = person("Ben", "a"), person(other, "b")
    first, second = labels([one, two])
    assert first != second
    assert {first.partition("~")[2], second.partition("~")[2]} == {"aaaa", "bbbb"}
    with pytest.raises(UsageError, match="more than one"):
        find([one, two], "Ben")
    for label, view in ((first, one), (second, two)):
        assert find([one, two], label) == (label, view)


def test_case_14_a_name_that_imitates_a_suffix_takes_no_other_place() -> None:
    one, two = person("Ben", "a", "Ben~aaaa"), person("Ben", "b", "Ben~bbbb")
    liar = person("Ben~aaaa", "c")
    held = labels([one, two, liar])
    assert len(held) == 3
    assert sorted(view.person[0] for view in held.values()) == ["a", "b", "c"]
    for label, view in held.items():
        assert find([one, two, liar], label)[1] == view


def test_case_14_a_name_that_imitates_a_suffix_made_here_hides_nobody() -> None:
    everybody = [person("Ben", "a"), person("Ben\u200b", "b"), person("Ben~aaaa", "c")]
    for order in (everybody, everybody[::-1]):
        held = labels(order)
        assert sorted(view.person[0] for view in held.values()) == ["a", "b", "c"]


def test_a_name_of_nothing_visible_is_shown_by_its_id() -> None:
    ghost = person("\u200b\u2060", "d")
    assert list(labels([ghost])) == ["~dddd"]
    assert find([ghost], "~dddd") == ("~dddd", ghost)


def test_ids_with_a_common_beginning_get_longer_suffixes() -> None:
    one = ContactView("ab" * 32, "Ben", "Ben", False, False, False, False, 0)
    two = ContactView("ab" * 31 + "cd", "Ben", "Ben", False, False, False, False, 0)
    assert len(labels([one, two])) == 2


def test_capitals_count_where_they_tell_two_apart() -> None:
    lower, upper = person("ben", "a"), person("Ben", "b")
    assert find([lower, upper], "ben")[1] == lower
    assert find([lower, upper], "Ben")[1] == upper
    with pytest.raises(UsageError):
        find([lower, upper], "BEN")


def test_who_is_gone_is_named_by_digits() -> None:
    assert label_among([], "e" * 64) == "~eeeeeeee"


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
    line.messenger.add_contact("Ben")
    line.messenger.add_contact("Ben", present=True)
    for listed in line.run("contacts", "--json").objects:
        assert line.run("verify", listed["name"]).status == 0


def test_nobody_of_that_name_is_a_usage_error_with_those_that_there_are(line: Line) -> None:
    assert "no contacts yet" in line.run("verify", "Ben").failure
    line.messenger.add_contact("Cleo")
    outcome = line.run("verify", "Ben")
    assert (outcome.status, "Cleo" in outcome.failure) == (64, True)
