"""The timer of a conversation and clearing it: what is asked, drawn and said."""

from __future__ import annotations

from tests.support.tui.driving import chat, chatting, history, until, until_shown, with_bob
from tests.support.tui.linear.played import locked_door, play
from tests.support.tui.opened import on_top, received
from tui.screens.chat.chat import ChatScreen
from tui.screens.dialog import ConfirmDialog, TimerDialog


async def test_a_timer_is_set_shown_and_ends() -> None:
    messenger, bob = with_bob()
    received(messenger, bob, "from before")
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "from before")
        chat(pilot).action_do("timer")
        await on_top(pilot, TimerDialog)
        await pilot.press(*["backspace"] * 3, *"soon", "enter")
        await until_shown(pilot, "Type off, or a time such as")
        await pilot.press(*["backspace"] * 4, *"1h", "enter")
        await on_top(pilot, ChatScreen)
        await until_shown(pilot, "(timer: new messages disappear 1 hour after they")
        assert messenger.called("set_timer") == [(bob.person, 3_600)]
        entry = received(messenger, messenger._contacts[bob.person], "the secret plan")
        await until_shown(pilot, f"until {entry.expires:%H:%M}")
        answer = messenger.receive(bob.person, "as I said", reply=entry.id)
        assert answer is not None
        await until_shown(pilot, "as I said")
        messenger.end(entry)
        screen = await until_shown(pilot, "(disappeared)")
        assert "secret" not in screen
        history(pilot).choose(entry.id)
        await until(pilot, lambda: history(pilot).has_focus)
        await pilot.press("d")
        await until_shown(pilot, "This message has disappeared.")
        chat(pilot).action_do("timer")
        await on_top(pilot, TimerDialog)
        await pilot.press(*["backspace"] * 2, *"off", "enter")
        await until_shown(pilot, "(timer off: new messages stay)")


async def test_a_conversation_is_cleared_after_a_question() -> None:
    messenger, bob = with_bob()
    received(messenger, bob, "the secret plan")
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "the secret plan")
        chat(pilot).action_do("clear")
        await on_top(pilot, ConfirmDialog)
        await until_shown(pilot, "Clear the conversation with Bob on this device?")
        await pilot.press("y")
        await until_shown(pilot, "The conversation with Bob is cleared.")
        screen = await until_shown(pilot, "(deleted here)")
        assert messenger.called("clear") == [(bob.person,)]
        assert "secret" not in screen


async def test_the_linear_mode_sets_the_timer_and_clears() -> None:
    door = locked_door()
    steps = [">> correct horse", "> /open Ben", "> /timer", "> /timer 1h", "> with a timer"]
    more = ["> /timer soon", "> /timer off", "> /timer off", "> /clear", "> /yes", "> /last"]
    said, _status = await play(iter([*steps, *more]), door)
    text = "\n".join(said)
    for line in (
        "New messages with Ben stay.",
        "(timer: new messages disappear 1 hour after they were read)",
        "Only new messages follow it: /clear deletes those that are there.",
        "Type off, or a time such as 30s, 5m, 1h, 1d or 1w.",
        "(timer off: new messages stay)",
        "Clear the conversation with Ben on this device?",
        "The conversation with Ben is cleared.",
        "(deleted here)",
    ):
        assert line in text, text
    assert door.messenger is not None
    assert [seconds for _person, seconds in door.messenger.called("set_timer")] == [3_600, 0, 0]
