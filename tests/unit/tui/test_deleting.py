"""Deleting an entry: what is asked, what is in its place, and what is said when."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from chat.errors import phrase
from chat.interface import ContactView, DeletedBy, DeletionScope, EntryKind, EntryState, EntryView, UsageError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import (
    chat,
    chatting,
    composer,
    history,
    rows,
    shown,
    until,
    until_shown,
    with_bob,
)
from tests.support.tui.opened import click, on_top, opened, received
from tui.conversation import Conversation
from tui.messages import NotifyEntry
from tui.screens.chat.chat import ChatScreen
from tui.screens.dialog import MenuDialog

ASKED = "Delete “the secret plan”?"
DONE = "Deleted. The profile file no longer contains it."


def with_a_secret(*, prompt: bool = True) -> tuple[FakeMessenger, ContactView, EntryView]:
    """Bob wrote a secret, which is answered; nothing is cleaned but by `tidy`, where it is not `prompt`."""
    messenger, bob = with_bob(prompt=prompt)
    secret = received(messenger, bob, "the secret plan")
    messenger.receive(bob.person, "as I said", reply=secret.id)
    return messenger, bob, secret


async def choose(pilot: Pilot[None], text: str) -> None:
    """Put the cursor on an entry."""
    await until_shown(pilot, text)
    entry = next(one for one in history(pilot).window.entries if one.text == text)
    history(pilot).choose(entry.id)
    await until(pilot, lambda: history(pilot).has_focus)


async def test_it_is_asked_first_and_deleted_is_said_when_the_file_is_clean() -> None:
    messenger, bob, secret = with_a_secret(prompt=False)
    async with chatting(messenger) as pilot:
        await choose(pilot, "the secret plan")
        await pilot.press("d")
        await until_shown(pilot, ASKED)
        await until(pilot, lambda: "Bob keeps theirs and is not notified." in words(pilot))
        await pilot.press("enter")  # Enter is no yes
        await on_top(pilot, ChatScreen)
        assert not messenger.called("delete")
        await pilot.press("ctrl+up", "d")
        await until_shown(pilot, ASKED)  # what is typed before it is seen answers nothing
        await pilot.press("y")
        screen = await until_shown(pilot, "(deleting…)")
        assert "secret" not in screen
        assert "Bob: (deleting…)" in screen  # what answered it
        assert DONE not in screen
        messenger.erase(0.42)
        await until_shown(pilot, "Erasing deleted messages from the profile file: 42 %…")
        messenger.tidy()
        screen = await until_shown(pilot, DONE)
        assert "(deleting…)" not in screen
        assert "Bob: (deleted here)" in screen
        await pilot.press("ctrl+up", "r")
        await until_shown(pilot, "This message was deleted.")
        await pilot.press("ctrl+up")
        await opened(pilot, "enter", MenuDialog)
        screen = await until_shown(pilot, "Details")
        assert "Reply" not in screen
        assert "Delete" in screen  # on all devices
        await click(pilot, "Delete")
        await until(pilot, lambda: "Deletes it permanently on all your devices" in words(pilot))
        await pilot.press("y")
        await until_shown(pilot, "(deleting…)")
        messenger.tidy()
        await until_shown(pilot, "(deleted on all your devices)")
        await pilot.press("ctrl+up")
        await opened(pilot, "enter", MenuDialog)
        screen = await until_shown(pilot, "Details")
        assert "Delete" not in screen.replace(DONE, "")
    scopes = [DeletionScope.HERE, DeletionScope.MINE]
    assert messenger.called("delete") == [(bob.person, secret.id, one) for one in scopes]


async def test_a_menu_and_the_mouse_delete_too() -> None:
    messenger, _bob, _secret = with_a_secret()
    async with chatting(messenger) as pilot:
        await choose(pilot, "the secret plan")
        await opened(pilot, "enter", MenuDialog)
        await click(pilot, "Delete")
        await click(pilot, "y Yes")
        await until(pilot, lambda: bool(messenger.called("delete")))
        screen = await until_shown(pilot, DONE)
        assert "(deleted here)" in screen


async def test_ones_own_message_that_was_deleted_here_can_still_be_deleted_for_everyone() -> None:
    messenger, bob = with_bob()
    own = messenger.say_as_me(bob.person, "my own secret", EntryState.READ)
    async with chatting(messenger) as pilot:
        await choose(pilot, "my own secret")
        await messenger.delete(bob.person, own.id)
        await until_shown(pilot, "(deleted here)")
        await opened(pilot, "enter", MenuDialog)
        await click(pilot, "Delete")
        await until_shown(pilot, "● On all your devices")
        await pilot.press("e")
        await until(pilot, lambda: "Deletes it permanently for everyone" in words(pilot))
        await click(pilot, "y Yes")
        await until(pilot, lambda: len(messenger.called("delete")) == 2)
        await until(pilot, lambda: "(deleted here)" not in shown(pilot))
        await pilot.press("ctrl+up", "d")
        await until_shown(pilot, "This message was deleted.")
    assert messenger.called("delete")[1] == (bob.person, own.id, DeletionScope.EVERYONE)


async def test_what_waits_is_told_to_go_without_its_words_and_a_refusal_is_said() -> None:
    messenger, bob = with_bob(present=False)
    messenger.say_as_me(bob.person, "not yet gone", EntryState.QUEUED)
    async with chatting(messenger) as pilot:
        await choose(pilot, "not yet gone")
        messenger.failures["delete"] = UsageError(phrase("No such message on this device."))
        await pilot.press("d")
        await until_shown(pilot, "Delete “not")
        assert "Bob has not received it" in words(pilot)
        await pilot.press("y")
        screen = await until_shown(pilot, "No such message on this device.")
        assert "not yet gone" in screen


async def test_what_was_never_sent_is_shown_as_withdrawn_and_not_as_queued() -> None:
    messenger, bob = with_bob(present=False)
    messenger.say_as_me(bob.person, "not yet gone", EntryState.QUEUED)
    async with chatting(messenger) as pilot:
        await choose(pilot, "not yet gone")
        await pilot.press("d")
        await until_shown(pilot, "Delete “not")
        await pilot.press("y")
        screen = await until_shown(pilot, "withdrawn")
        assert "queued" not in screen


async def test_nothing_goes_on_pointing_at_it() -> None:
    """Another client of the profile deletes it: an answer that is written, hits, what can be called back."""
    messenger, bob, secret = with_a_secret()
    own = messenger.say_as_me(bob.person, "my own secret", EntryState.READ)
    async with chatting(messenger) as pilot:
        await choose(pilot, "the secret plan")
        await pilot.press("ctrl+f", *"secret")
        await until_shown(pilot, "2 results")
        await messenger.delete(bob.person, own.id)
        await until_shown(pilot, "1 result ")
        await pilot.press("enter")
        await on_top(pilot, ChatScreen)
        await choose(pilot, "the secret plan")
        await pilot.press("r", "x")
        await until_shown(pilot, "Esc: cancel reply")
        await messenger.delete(bob.person, secret.id)
        await until(pilot, lambda: "Esc: cancel reply" not in shown(pilot))
        await pilot.press("alt+n")  # no hit is left: it asks for words
        await until_shown(pilot, "No messages found.")
        await pilot.press("escape", "ctrl+u", "up")
        assert composer(pilot).text == ""
        assert chat(pilot).composer.drafts.of(bob.person).reply == ""
    assert not messenger.called("send")


async def test_what_is_missing_is_no_deleted_message_and_is_read_when_it_comes() -> None:
    messenger, bob, _ = with_a_secret()
    async with chatting(messenger) as pilot:
        entry = messenger.receive_alone(bob.person)
        screen = await until_shown(pilot, "(not here yet)")
        assert "(deleted here)" not in screen
        await until(pilot, lambda: not messenger.unread(bob.person))
        messenger.complete(entry, "it has come")
        screen = await until_shown(pilot, "it has come")
        assert "(not here yet)" not in screen
        await until(pilot, lambda: not messenger.unread(bob.person))


async def test_case_97_an_entry_of_a_newer_version_is_shown_and_can_be_deleted() -> None:
    messenger, bob, _ = with_a_secret()
    async with chatting(messenger) as pilot:
        entry = messenger.receive_alone(bob.person, EntryKind.UNKNOWN)
        await until_shown(pilot, "(written by a newer Parlour)")
        history(pilot).choose(entry.id)
        await until(pilot, lambda: history(pilot).has_focus)
        await pilot.press("d")
        await until_shown(pilot, "Delete this message?")
        await pilot.press("y")
        await until_shown(pilot, "(deleted here)")
        assert messenger.called("delete")


async def test_case_88_what_is_on_the_screen_is_marked_when_a_cut_leaves_it_out() -> None:
    messenger, bob, _ = with_a_secret()
    async with chatting(messenger) as pilot:
        messenger.receive(bob.person, "written by a thief")
        await until_shown(pilot, "written by a thief")
        assert "from a removed device" not in shown(pilot)
        messenger.leave_out(bob.person)
        await until_shown(pilot, "⚠ from a removed device")


async def test_entries_that_claim_one_place_are_marked_where_they_stand_and_in_their_details() -> None:
    messenger, bob, _ = with_a_secret()
    async with chatting(messenger) as pilot:
        first = messenger.receive(bob.person, "one")
        await until_shown(pilot, "one")
        ids = messenger.conflict(bob.person, first)
        await until_shown(pilot, "two messages of one device conflict")
        await until(pilot, lambda: shown(pilot).count("⚠ conflicts with another message") == 2)
        await choose(pilot, "the other")
        await pilot.press("i")
        screen = await until_shown(pilot, "Conflicting messages")
        assert ids[1][:8] in screen


async def test_an_entry_of_a_removed_terminal_is_marked_and_explained() -> None:
    messenger, bob, _ = with_a_secret()
    async with chatting(messenger) as pilot:
        messenger.quarantine(bob.person, "send money")
        await until_shown(pilot, "⚠ from a removed device")
        await choose(pilot, "send money")
        await pilot.press("i")
        await until_shown(pilot, "Its device was removed")


def unwrapped(pilot: Pilot[None]) -> str:
    """What the rows of the conversation say, without the column of contacts and the bars before them."""
    said = " ".join(row.rpartition("▕")[2] for row in rows(pilot))
    return " ".join(said.replace("▎", " ").split())


@pytest.mark.parametrize(
    ("by", "mark", "cause"),
    [
        ("contact", "⚠ says that you wrote this", "The contact says that you wrote this"),
        (
            "device",
            "⚠ another device of yours says that you wrote this",
            "Another device of yours passed this on",
        ),
    ],
)
async def test_a_claim_is_marked_and_explained_and_is_no_own_message(by: str, mark: str, cause: str) -> None:
    messenger, bob, _ = with_a_secret()
    async with chatting(messenger) as pilot:
        messenger.claim(bob.person, "I owe you", by)
        await until(pilot, lambda: mark in unwrapped(pilot))
        await choose(pilot, "I owe you")
        await pilot.press("i")
        await until_shown(pilot, cause)
        await until_shown(pilot, "Claimed by")


async def test_case_99_the_details_say_that_an_entry_came_from_another_device_of_ones_own() -> None:
    messenger, bob, _ = with_a_secret()
    async with chatting(messenger) as pilot:
        messenger.pass_on(bob.person, "send money")
        await until_shown(pilot, "send money")
        await choose(pilot, "send money")
        await pilot.press("i")
        await until_shown(pilot, "Another device of yours passed this message on")


async def test_a_cut_is_shown_as_a_removal_and_notifies_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    messenger, bob, _ = with_a_secret()
    other = messenger.add_contact("Eve")
    async with chatting(messenger) as pilot:
        posted: list[object] = []
        monkeypatch.setattr(chat(pilot).people.surface, "post", posted.append)
        messenger.cut(other.person)
        messenger.receive(other.person, "can be read")
        await until(pilot, lambda: any(isinstance(one, NotifyEntry) for one in posted))
        assert [one.text for one in posted if isinstance(one, NotifyEntry)] == ["can be read"]
        messenger.cut(bob.person)
        await until_shown(pilot, "(removed a device)")


async def test_content_that_comes_while_a_page_is_read_is_not_lost() -> None:
    messenger, bob, _ = with_a_secret()
    entry = messenger.receive_alone(bob.person)
    before = await messenger.history(bob.person)
    opened = Conversation(messenger, bob.person)
    opened.window.replace(before, complete=True, last=True)
    whole = messenger.complete(entry, "it has come")
    async with opened._reading:
        opened.filled(whole)
        opened.window.replace(before, complete=True, last=True)
    opened._apply_moved()
    held = opened.window.get(entry.id)
    assert held is not None
    assert held.text == "it has come"
    opened.window.replace(before[:1], complete=True, last=False)
    opened.window.origins[entry.id] = entry
    assert opened.filled(whole)
    held = opened.window.get(entry.id)
    assert held is not None
    assert held.text == "it has come"


async def test_what_was_read_before_a_deletion_and_comes_after_it_says_nothing() -> None:
    messenger, bob, secret = with_a_secret()
    conversation = Conversation(messenger, bob.person)
    conversation.erased(secret.id, by=DeletedBy.HERE)
    await conversation.open()
    erased, answer = conversation.window.entries
    assert (erased.kind, erased.text) == ("deleted", "")
    conversation.window.replace([answer], complete=False, last=True)
    await conversation.read_origins([secret.id])
    held = conversation.window.get(secret.id)
    assert held is not None
    assert held.text == ""


def words(pilot: Pilot[None]) -> str:
    """What is shown in a box, as one line; lines of the screen below may stand next to it."""
    return " ".join(" ".join(row.strip(" │─") for row in shown(pilot).split("\n")).split())
