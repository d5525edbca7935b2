"""Pinned conversations come first in the list; muted ones come without a sound and dimmer."""

from __future__ import annotations

from chat.errors import phrase
from chat.interface import ContactView, UsageError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, shown, until, until_shown
from tui.recent import Recent
from tui.screens.finder import in_order


def names(messenger_order: list[ContactView]) -> list[str]:
    return [view.name for view in messenger_order]


async def test_pinned_ones_come_first_and_among_them_the_latest() -> None:
    messenger = FakeMessenger()
    bob, carla, dora = (messenger.add_contact(name) for name in ("Bob", "Carla", "Dora"))
    for friend in (carla, bob, dora):
        messenger.receive(friend.person, "hello")
    async with chatting(messenger, size=(120, 34)) as pilot:
        order = chat(pilot).state.in_order
        assert names(order()) == ["Dora", "Bob", "Carla", "Notes"]
        await messenger.pin(carla.person, True)
        await messenger.pin(messenger._me.person, True)
        await until(pilot, lambda: names(order()) == ["Carla", "Notes", "Dora", "Bob"])
        await messenger.pin(bob.person, True)
        await until(pilot, lambda: names(order()) == ["Bob", "Carla", "Notes", "Dora"])
        messenger.receive(carla.person, "the latest")
        await until(pilot, lambda: names(order()) == ["Carla", "Bob", "Notes", "Dora"])
        assert "Bob ↑" in shown(pilot)
        assert "Notes ↑" in shown(pilot)
        await messenger.pin(messenger._me.person, False)
        await until(pilot, lambda: names(order())[-1] == "Notes")


async def test_a_pin_opens_no_conversation_at_the_start() -> None:
    messenger = FakeMessenger()
    bob, carla = messenger.add_contact("Bob", pinned=True), messenger.add_contact("Carla")
    for friend in (bob, carla):
        messenger.receive(friend.person, "hello")
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: chat(pilot).state.current == carla.person)


async def test_the_open_conversation_is_pinned_and_unpinned_by_its_key_and_so_are_the_notes() -> None:
    messenger = FakeMessenger()
    bob = messenger.add_contact("Bob")
    async with chatting(messenger, size=(120, 34)) as pilot:
        for person in (bob.person, messenger._me.person):
            chat(pilot).open_conversation(person)
            await pilot.press("alt+t")
            await until_shown(pilot, "↑ pinned")
            await until_shown(pilot, "stays at the top of the list")
            await pilot.press("alt+t")
            await until_shown(pilot, "Unpinned.")
            assert "↑ pinned" not in shown(pilot)
        calls = [(one, on) for one in (bob.person, messenger._me.person) for on in (True, False)]
        assert messenger.called("pin") == calls


async def test_the_header_of_a_small_terminal_breaks_between_its_marks() -> None:
    messenger = FakeMessenger()
    marks = {"verified": True, "present": True, "relayed": True, "pinned": True, "muted": True}
    bob = messenger.add_contact("Bob of the long name", **marks)
    async with chatting(messenger, size=(80, 24)) as pilot:
        chat(pilot).open_conversation(bob.person)
        header = chat(pilot).people.header
        await until(pilot, lambda: header.size.height == 2)
        for mark in ("✓ verified", "● online", "⇄ relay", "z muted", "↑ pinned"):
            assert mark in shown(pilot)
        await pilot.resize_terminal(140, 24)
        await until(pilot, lambda: header.size.height == 1)


async def test_a_key_pressed_again_before_the_answer_undoes_and_a_refusal_is_shown() -> None:
    messenger = FakeMessenger()
    bob = messenger.add_contact("Bob")
    async with chatting(messenger, size=(120, 34)) as pilot:
        chat(pilot).open_conversation(bob.person)
        for _ in range(3):
            chat(pilot).actions["mute"]()
        await until(pilot, lambda: len(messenger.called("mute")) == 3)
        assert messenger.called("mute") == [(bob.person, True), (bob.person, False), (bob.person, True)]
        await until_shown(pilot, "z muted")
        messenger.failures["mute"] = UsageError(phrase("The disk is full."))
        chat(pilot).actions["mute"]()
        await until_shown(pilot, "The disk is full.")
        assert "z muted" in shown(pilot)


def test_the_switcher_offers_no_muted_conversation_for_what_is_unread_in_it() -> None:
    def view(name: str, *, unread: int, muted: bool) -> ContactView:
        return ContactView(name, name, name, False, False, False, False, unread, muted=muted)

    bob, carla = view("Bob", unread=3, muted=True), view("Carla", unread=0, muted=False)
    assert in_order([bob, carla], ["Carla"], None) == [carla, bob]
    assert in_order([view("Bob", unread=3, muted=False), carla], ["Carla"], None)[0].name == "Bob"
    assert names(Recent().in_order([carla, view("Dora", unread=0, muted=False)])) == ["Carla", "Dora"]
