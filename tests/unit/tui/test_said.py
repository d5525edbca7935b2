"""The line above the status: what is said there belongs to a conversation, and for how long it stays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.events import AppBlur, AppFocus
from textual.pilot import Pilot

from chat.interface import ContactView, EntryState
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, composer, history, shown, until, until_shown
from tests.support.tui.opened import on_top
from tui.screens.dialog import RenameDialog
from tui.widgets.lines import Said

DELETED = "Deleted. The profile file no longer contains it."


@asynccontextmanager
async def with_two(
    **changed: Any,
) -> AsyncIterator[tuple[Pilot[None], FakeMessenger, ContactView, ContactView]]:
    """Abe and Bob, who wrote last, so that his conversation is open."""
    messenger = FakeMessenger("Ann", prompt=False)
    bob, abe = messenger.add_contact("Bob"), messenger.add_contact("Abe")
    messenger.receive(abe.person, "Which printer?")
    messenger.receive(bob.person, "the secret plan")
    async with chatting(messenger, **changed) as pilot:
        await until_shown(pilot, "the secret plan")
        yield pilot, messenger, bob, abe


def line(pilot: Pilot[None]) -> Said:
    return chat(pilot).query_one(Said)


async def delete(pilot: Pilot[None]) -> None:
    """Delete the newest entry with Bob; the file is not cleaned yet."""
    history(pilot).choose(history(pilot).window.entries[-1].id)
    await pilot.press("d")
    await until_shown(pilot, "Are you sure?")  # what is typed before it is seen answers nothing
    await pilot.press("y")
    await until_shown(pilot, "Deleting…")


async def test_a_status_goes_when_another_conversation_is_opened() -> None:
    async with with_two() as (pilot, messenger, _bob, abe):
        await delete(pilot)
        messenger.tidy()
        await until_shown(pilot, DELETED)
        chat(pilot).open_conversation(abe.person)
        await until_shown(pilot, "Write to Abe")
        await until(pilot, lambda: DELETED not in shown(pilot))


async def test_a_deletion_that_ends_later_is_not_said_in_another_conversation() -> None:
    async with with_two() as (pilot, messenger, bob, abe):
        await delete(pilot)
        chat(pilot).open_conversation(abe.person)
        await until_shown(pilot, "Write to Abe")
        messenger.tidy()
        messenger.receive(abe.person, "Come and see")  # said after the cleaning
        assert DELETED not in await until_shown(pilot, "Come and see")
        chat(pilot).open_conversation(bob.person)
        await until_shown(pilot, "(deleted here)")


async def test_a_move_of_history_stands_in_the_status_until_it_ends() -> None:
    async with with_two() as (pilot, messenger, _bob, _abe):
        address = "192.168.1.20:4747"
        await until_shown(pilot, address)
        messenger.move_history("desk\x1b[2J", 12_340, 20_000)
        assert address not in await until_shown(pilot, "History from desk[2J: 12,340 of 20,000")
        messenger.move_history("desk", 20_000, 20_000, moves=False)
        assert "History from" not in await until_shown(pilot, address)


async def test_news_goes_after_a_while_by_itself() -> None:
    async with with_two(news=0.001) as (pilot, _messenger, _bob, _abe):
        chat(pilot).surface.say("Something was done.")
        assert line(pilot).display
        await until(pilot, lambda: not line(pilot).display)


async def test_a_notice_waits_for_somebody_who_reads_it_and_then_goes_by_itself() -> None:
    async with with_two(news=0.001) as (pilot, messenger, _bob, _abe):
        chat(pilot).app.post_message(AppBlur())
        await until(pilot, lambda: not line(pilot)._looked_at())
        messenger.notice("The disk is full.")
        await until_shown(pilot, "The disk is full.")
        assert line(pilot)._timer is None
        chat(pilot).app.post_message(AppFocus())
        await until(pilot, lambda: not line(pilot).display)


async def test_a_refusal_stays() -> None:
    async with with_two(news=0.001) as (pilot, _messenger, _bob, _abe):
        chat(pilot).surface.say("The disk is full.", problem=True)
        await until_shown(pilot, "The disk is full.")
        assert line(pilot)._timer is None
        chat(pilot).surface.say("Something was done.")
        # No timer of the line before takes this one away.
        chat(pilot).surface.say("The disk is full.", problem=True)
        assert line(pilot)._timer is None


@pytest.mark.parametrize(
    ("kept", "changed", "said"),
    [("", {}, True), ("2026-11-24", {}, False), ("2026-11-23", {}, True), ("", {"demo": "x"}, False)],
)
async def test_recovery_words_are_called_to_mind_once_a_day_and_in_no_demo(
    kept: str, changed: dict[str, Any], said: bool
) -> None:
    messenger = FakeMessenger("Ann")
    messenger.add_contact("Bob")
    messenger.keep_seed()
    await messenger.set_preference("reminded", kept)
    async with chatting(messenger, **changed) as pilot:
        await until(pilot, lambda: chat(pilot).state.current is not None)
        await until(pilot, lambda: all(one.group != "start" for one in pilot.app.workers))
        assert ("Write down your recovery words" in str(line(pilot).content)) is said
        assert (await messenger.preferences()).get("reminded", "") == ("2026-11-24" if said else kept)


async def test_ctrl_c_says_how_to_quit() -> None:
    async with with_two() as (pilot, _messenger, _bob, _abe):
        await pilot.press("ctrl+c")
        await until_shown(pilot, "Ctrl+Q quits Parlour.")
        await pilot.press("f6")
        await on_top(pilot, RenameDialog)
        await pilot.press("ctrl+c")
        await until_shown(pilot, "Ctrl+Q quits Parlour.")
        assert len(pilot.app._notifications) == 0


async def test_the_line_of_a_conversation_follows_the_language() -> None:
    async with with_two() as (pilot, messenger, bob, _abe):
        messenger.say_as_me(bob.person, "by post", EntryState.SENT)
        await until_shown(pilot, "You: by post")
        pilot.app.prefer("language", "zh_CN")  # type: ignore[attr-defined]
        assert "You: by post" not in await until_shown(pilot, "你：by post")


async def test_what_belongs_to_no_conversation_outlives_a_change_of_it() -> None:
    async with with_two() as (pilot, messenger, _bob, abe):
        messenger.notice("The disk is full.")
        await until_shown(pilot, "The disk is full.")
        chat(pilot).open_conversation(abe.person)
        assert "The disk is full." in await until_shown(pilot, "Write to Abe")


async def test_at_start_the_conversation_with_the_newest_entry_is_open_and_takes_what_is_typed() -> None:
    async with with_two() as (pilot, messenger, bob, _abe):
        assert chat(pilot).state.current == bob.person
        await pilot.press(*"Yes", "enter")
        await until(pilot, lambda: messenger.called("send") == [(bob.person, "Yes")])


async def test_at_start_without_any_entry_the_first_contact_of_the_list_is_open() -> None:
    messenger = FakeMessenger("Ann")
    messenger.add_contact("Carla")
    messenger.add_contact("Abe", blocked=True)
    bob = messenger.add_contact("Bob")
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: chat(pilot).state.current == bob.person)
        assert composer(pilot).has_focus
