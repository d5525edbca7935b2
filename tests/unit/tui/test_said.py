"""The line above the status: what is said there belongs to a conversation, and for how long it stays."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from chat.interface import ContactView
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, composer, history, shown, until, until_shown
from tui.widgets.lines import Said

DELETED = "Deleted. The profile file no longer contains it."


def with_two() -> tuple[FakeMessenger, ContactView, ContactView]:
    """Bob and Carla; Bob wrote last."""
    messenger = FakeMessenger("Ann", prompt=False)
    bob, carla = messenger.add_contact("Bob"), messenger.add_contact("Carla")
    messenger.receive(carla.person, "Which printer?")
    messenger.receive(bob.person, "the secret plan")
    return messenger, bob, carla


def line(pilot: Pilot[None]) -> Said:
    return chat(pilot).query_one(Said)


async def delete(pilot: Pilot[None], contact: ContactView) -> None:
    """Delete the newest entry with a contact, whose file is not cleaned yet."""
    chat(pilot).open_conversation(contact.person)
    await until(pilot, lambda: bool(history(pilot).window.entries))
    history(pilot).choose(history(pilot).window.entries[-1].id)
    await pilot.press("d", "y")
    await until_shown(pilot, "Deleting…")


async def test_a_status_goes_when_another_conversation_is_opened() -> None:
    messenger, bob, carla = with_two()
    async with chatting(messenger) as pilot:
        await delete(pilot, bob)
        messenger.tidy()
        await until_shown(pilot, DELETED)
        chat(pilot).open_conversation(carla.person)
        await until_shown(pilot, "Which printer?")
        assert DELETED not in shown(pilot)


async def test_a_deletion_that_ends_later_is_not_said_in_another_conversation() -> None:
    messenger, bob, carla = with_two()
    async with chatting(messenger) as pilot:
        await delete(pilot, bob)
        chat(pilot).open_conversation(carla.person)
        await until_shown(pilot, "Which printer?")
        messenger.tidy()
        messenger.receive(carla.person, "Come and see")  # said after the cleaning
        assert DELETED not in await until_shown(pilot, "Come and see")
        chat(pilot).open_conversation(bob.person)
        await until_shown(pilot, "(deleted)")


async def test_news_goes_after_a_while_by_itself() -> None:
    messenger, _bob, _carla = with_two()
    async with chatting(messenger, news=0.001) as pilot:
        chat(pilot).surface.say("Something was done.")
        assert line(pilot).display
        await until(pilot, lambda: not line(pilot).display)


@pytest.mark.parametrize("problem", [True, False])
async def test_a_refusal_and_what_the_engine_says_stay(problem: bool) -> None:
    messenger, _bob, _carla = with_two()
    async with chatting(messenger, news=0.001) as pilot:
        if problem:
            chat(pilot).surface.say("The disk is full.", problem=True)
        else:
            messenger.notice("The disk is full.")
        await until_shown(pilot, "The disk is full.")
        assert line(pilot)._timer is None
        chat(pilot).surface.say("Something was done.")
        chat(pilot).surface.say(
            "The disk is full.", problem=True
        )  # no timer of the line before takes it away
        assert line(pilot)._timer is None


async def test_what_belongs_to_no_conversation_outlives_a_change_of_it() -> None:
    messenger, _bob, carla = with_two()
    async with chatting(messenger) as pilot:
        messenger.notice("The disk is full.")
        await until_shown(pilot, "The disk is full.")
        chat(pilot).open_conversation(carla.person)
        assert "The disk is full." in await until_shown(pilot, "Which printer?")


async def test_at_start_the_conversation_with_the_newest_entry_is_open_and_takes_what_is_typed() -> None:
    messenger, bob, carla = with_two()
    messenger.receive(carla.person, "Are you there?")
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: chat(pilot).state.current is not None)
        assert chat(pilot).state.current == carla.person
        await pilot.press(*"Yes", "enter")
        await until(pilot, lambda: messenger.called("send") == [(carla.person, "Yes")])
    assert bob.person != carla.person


async def test_at_start_without_any_entry_the_first_contact_of_the_list_is_open() -> None:
    messenger = FakeMessenger("Ann")
    messenger.add_contact("Carla")
    messenger.add_contact("Abe", blocked=True)
    bob = messenger.add_contact("Bob")
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: chat(pilot).state.current == bob.person)
        assert composer(pilot).has_focus
