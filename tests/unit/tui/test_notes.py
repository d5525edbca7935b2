"""Notes to oneself in the list of conversations, in the switcher, and what they do not have."""

from __future__ import annotations

from chat.interface import DeletionScope
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, shown, until, until_shown, with_bob, write


async def test_the_notes_are_in_the_list_without_any_contact_and_the_guide_stays() -> None:
    messenger = FakeMessenger()
    async with chatting(messenger, size=(120, 34)) as pilot:
        assert [view.notes for view in chat(pilot).state.in_order()] == [True]
        assert chat(pilot).state.current is None
        people = chat(pilot).people.view
        people.focus()
        people.point_at(messenger._me.person)
        await pilot.press("enter")
        await until_shown(pilot, "Write to yourself")
        await write(pilot, "buy milk")
        await pilot.press("enter")
        await until_shown(pilot, "You: buy milk")
        await until_shown(pilot, "✓ kept")
        assert messenger.called("send")[0][:2] == (messenger._me.person, "buy milk")
        assert not chat(pilot).state.contacts


async def test_they_have_their_place_by_their_last_text_and_none_for_what_they_lack() -> None:
    messenger, bob = with_bob()
    async with chatting(messenger, size=(120, 34)) as pilot:
        own = messenger._me.person
        order = chat(pilot).state.in_order
        assert [view.person for view in order()] == [bob.person, own], "without a text after the contacts"
        await messenger.send(own, "a note")
        await until(pilot, lambda: order()[0].person == own)
        messenger.receive(bob.person, "later")
        await until(pilot, lambda: order()[0].person == bob.person)
        chat(pilot).open_conversation(own)
        await until_shown(pilot, "on your devices only")
        assert "not verified" not in shown(pilot)
        for name in ("verify", "rename", "block", "remove", "mute", "timer"):
            chat(pilot).actions[name]()
            await until_shown(pilot, "These are your own notes")
            chat(pilot).surface.clear()
        assert messenger.called("block") == messenger.called("remove") == []


async def test_a_contact_called_notes_is_told_apart() -> None:
    messenger = FakeMessenger()
    other = messenger.add_contact("Notes")
    async with chatting(messenger, size=(120, 34)) as pilot:
        state = chat(pilot).state
        names = [state.named(view) for view in state.in_order()]
        assert names == [f"Notes~{other.person[:4]}", "Notes"]


async def test_a_note_is_deleted_here_or_on_all_own_devices() -> None:
    messenger = FakeMessenger()
    entry = await messenger.send(messenger._me.person, "a note")
    assert entry.scopes == (DeletionScope.HERE, DeletionScope.MINE)
    gone = await messenger.delete(messenger._me.person, entry.id, DeletionScope.EVERYONE)
    assert (gone.deleted_by, gone.scopes) == ("mine", ())
