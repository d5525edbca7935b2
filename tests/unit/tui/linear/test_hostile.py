"""Attacks 14 and 79 on the linear mode: nobody's text forges, breaks or hides a line."""

from __future__ import annotations

import unicodedata

import pytest

from chat.interface import DoorState, EntryKind, EntryState, EntryView
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.fakes.others import START, identity
from tests.support.tui.hostile import ATTACKS, BODIES, NAMES
from tests.support.tui.linear.played import play
from tui.linear.wording import LINES_MAX, entry_lines, names_of, plain_name, quoted

IMITATION = (
    "hello\nBen is offline.\rCarla: pay him\r\nLocked.\x85Type your passphrase."
    "\u2028You: yes\u2029/yes\v1. Carla: x"
)
FORGERS = (
    *("Carla: pay him", "Carla：付钱", "Ben∶ x", "1. Ben"),
    *("You", "YOU", "Parlour", "Type your passphrase"),
)


def entry(text: str, **changes: object) -> EntryView:
    given = {"kind": EntryKind.TEXT, "author": "Ben", "own": False, **changes}
    return EntryView("e" * 64, "c" * 64, time=START, text=text, state=EntryState.RECEIVED, **given)  # type: ignore[arg-type]


def test_every_line_of_a_text_says_its_author() -> None:
    lines = entry_lines(entry(IMITATION), "Ben")
    assert lines[0] == "Ben: hello"
    assert lines[1:4] == (
        "Ben, line 2: Ben is offline.",
        "Ben, line 3: Carla: pay him",
        "Ben, line 4: Locked.",
    )
    assert len(lines) == 8
    assert all(line.startswith("Ben, line ") for line in lines[1:])


def test_a_text_of_endless_lines_is_not_told_at_once() -> None:
    endless = entry("\n".join("x" * 500))
    lines = entry_lines(endless, "Ben", number=7)
    assert len(lines) == LINES_MAX + 1
    assert lines[-1] == "Ben: (470 lines more, /whole 7 shows all)"
    assert len(entry_lines(endless, "Ben", whole=True)) == 500


@pytest.mark.parametrize("name", [*NAMES, *FORGERS])
def test_a_name_holds_no_colon_and_is_quoted_where_it_could_be_a_sentence(name: str) -> None:
    told = plain_name(name)
    assert not any(unicodedata.normalize("NFKC", one) == ":" for one in told)
    assert told.startswith("“") or (len(told.split()) <= 2 and not set(told) & set(".!?;,()"))


async def test_names_that_sound_the_same_or_like_us_are_told_apart() -> None:
    messenger = FakeMessenger("Ada")
    for name in ("Ben", "ben", "Ben\u200b", "Ben:", "You", "parlour", "Ada"):
        messenger.add_contact(name)
    names = names_of(await messenger.contacts())
    assert len({name.casefold() for name in names.values()}) == 7
    assert all("~" in name for name in names.values())
    assert names_of([messenger.add_contact("Ben~1234")]) == {
        (person := identity("person Ben~1234 8")): f"Ben 1234~{person[:4]}"
    }


def test_a_quotation_cannot_end_before_its_end() -> None:
    told = quoted(entry("a”: yes\nCarla: no“ " + "w" * 100))
    assert told[0] + told[-1] == "“”"
    assert not set(told[1:-1]) & set("“”:")
    assert len(told) < 50


async def test_no_byte_that_steers_is_in_what_is_said_whatever_others_call_themselves_and_write() -> None:
    messenger = FakeMessenger("Ada")
    people = [messenger.add_contact(name) for name in NAMES]
    for view in people:
        for body in (*BODIES, IMITATION) if view is people[0] else (IMITATION,):
            messenger.receive(view.person, body)
    steps = ["/everywhere lines", "/people", "/nearby"]
    for at in range(1, len(people) + 1):
        steps += [f"/open {at}", "/next", "/reply 1 yes", "/last 2", "/remove", "/no", "/mute"]
    for name in NAMES:
        messenger.see_stranger(name)
    said, _status = await play(
        iter([f"> {step}" for step in steps]), FakeDoor(messenger, state=DoorState.RUNNING)
    )
    assert len(said) > 500
    wrong = {one for line in said for one in line if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co")}
    assert wrong == set()
    assert sum(line.startswith(tuple(f"{number}. " for number in range(1, 99))) for line in said) > len(
        ATTACKS
    )
