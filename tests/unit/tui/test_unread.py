"""Read means shown: where a conversation opens, which entries are read, and that nobody reads unseen ones."""

from __future__ import annotations

import re

import pytest
from textual import events
from textual.pilot import Pilot

from chat.interface import EntryView, NotPermitted
from tests.support.lab.terminal import Terminal, attached
from tests.support.tui.driving import chat, chatting, history, rows, shown, until, until_shown, with_bob
from tests.support.tui.opened import entries, reading, received
from tests.unit.tui.test_terminal import program
from tui.attention import LASTS

MANY = 3002
BEFORE = 200
RIGHT = b"\x1b[C"


def on_screen(pilot: Pilot[None], held: list[EntryView]) -> set[str]:
    """The entries whose text is in the rows of the history."""
    beside = "\n".join(row.rpartition("▕")[2] for row in rows(pilot))  # the list has last entries, too
    texts = set(re.findall(r"entry \d+\.", beside))
    return {entry.id for entry in held if entry.text in texts}


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (120, 34), (200, 60)])
async def test_a_conversation_opens_at_its_first_unread_entry_and_only_what_is_shown_is_read(
    size: tuple[int, int],
) -> None:
    async with reading(count=MANY + BEFORE, unread=MANY, size=size) as (pilot, messenger, bob):
        held = entries(messenger, bob)[BEFORE:]
        await until(pilot, lambda: len(messenger.unread(bob.person)) < MANY)
        await pilot.pause()
        seen = on_screen(pilot, held)
        assert held[0].id in seen
        assert seen == {entry.id for entry in held[: len(seen)]}
        assert messenger.unread(bob.person) == {entry.id for entry in held} - seen
        assert chat(pilot).state.contacts[bob.person].unread == MANY - len(seen)
        for key in ("pagedown", "pagedown", "pageup", "alt+end"):
            await pilot.press(key)
            if key == "alt+end":
                await until_shown(pilot, held[-1].text)
            await until(pilot, lambda: not on_screen(pilot, held) & messenger.unread(bob.person))
            seen |= on_screen(pilot, held)
        assert messenger.unread(bob.person) == {entry.id for entry in held} - seen
        assert len(messenger.unread(bob.person)) > MANY - 300
        if size[0] >= 70:  # else the list of people gives way to the conversation
            assert "999+" in shown(pilot)
        await pilot.press("alt+home")
        await until(pilot, lambda: history(pilot).cursor in {entry.id for entry in held} - seen)


async def test_the_line_stays_for_the_visit_and_is_gone_at_the_next() -> None:
    messenger, bob = with_bob()
    messenger.fill(bob.person, [f"entry {number}." for number in range(BEFORE)], unread=3)
    carla = messenger.add_contact("Carla")
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(bob.person)
        await until_shown(pilot, " New ")
        await until(pilot, lambda: not messenger.unread(bob.person))
        messenger.receive(bob.person, "one more")
        await until_shown(pilot, "one more")
        await messenger.rename(bob.person, "Robert")
        await until_shown(pilot, "Robert")
        await until(pilot, lambda: len(messenger.called("contacts")) > 1)
        await pilot.pause()
        assert " New " in shown(pilot)
        chat(pilot).open_conversation(carla.person)
        await until(pilot, lambda: carla.person in [call[0] for call in messenger.called("history")])
        chat(pilot).open_conversation(bob.person)
        await until_shown(pilot, "one more")
        assert " New " not in shown(pilot)


async def test_a_late_entry_that_sorts_above_what_is_shown_is_not_read() -> None:
    async with reading(count=80) as (pilot, messenger, bob):
        late = received(messenger, bob, "late", before=entries(messenger, bob)[0].id)
        messenger.receive(bob.person, "new")
        await until(pilot, lambda: messenger.unread(bob.person) == {late.id})
        await pilot.press("alt+home")
        await until_shown(pilot, "█ late")
        await until(pilot, lambda: not messenger.unread(bob.person))


async def test_an_entry_longer_than_the_view_is_read_when_both_of_its_ends_were_shown() -> None:
    messenger, bob = with_bob()
    long = received(messenger, bob, "\n".join(f"line {number}." for number in range(30)))
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "line 0.")
        await pilot.pause()
        assert messenger.unread(bob.person) == {long.id}
        await pilot.press("alt+end")
        await until_shown(pilot, "line 29.")
        await until(pilot, lambda: not messenger.unread(bob.person))


async def test_the_end_of_a_long_entry_alone_does_not_make_it_read() -> None:
    async with reading(count=80) as (pilot, messenger, bob):
        long = received(messenger, bob, "\n".join(f"line {number}." for number in range(25)))
        await until_shown(pilot, "line 24.")
        await pilot.pause()
        assert messenger.unread(bob.person) == {long.id}


async def test_the_line_about_new_entries_hides_the_row_under_it() -> None:
    async with reading(count=80) as (pilot, messenger, bob):
        await pilot.press("shift+tab", "up")
        history(pilot).scroll_to(y=history(pilot).scroll_offset.y - 1, animate=False, force=True)
        await pilot.pause()
        first = received(messenger, bob, "first")
        await until_shown(pilot, "1 new below")
        history(pilot).scroll_to(y=history(pilot).scroll_offset.y + 1, animate=False, force=True)
        await pilot.pause()
        assert "first" not in "".join(row.rpartition("▕")[2] for row in rows(pilot))
        assert messenger.unread(bob.person) == {first.id}


async def test_after_end_a_key_marks_all_as_read_and_the_mark_names_it() -> None:
    async with reading(count=BEFORE, unread=40) as (pilot, messenger, bob):
        await until_shown(pilot, "New · Shift+End marks all as read")
        await pilot.press("end")
        await until_shown(pilot, "Messages further up are unread. Ctrl+↑ Shift+End marks all as read.")
        assert messenger.unread(bob.person)
        await pilot.press("ctrl+up", "end")
        await until_shown(pilot, "Messages further up are unread. Shift+End marks all as read.")
        await pilot.press("shift+end")
        await until(pilot, lambda: not messenger.unread(bob.person))
        await until_shown(pilot, "All messages in this conversation are marked as read.")


async def test_nothing_is_read_behind_a_lock() -> None:
    async with reading(count=BEFORE, unread=30) as (pilot, messenger, bob):
        await until(pilot, lambda: len(messenger.unread(bob.person)) < 30)
        await pilot.press("alt+l")
        await until_shown(pilot, "passphrase")
        left = messenger.unread(bob.person)
        messenger.receive(bob.person, "behind the lock")
        await pilot.press(*"abc")
        await pilot.pause()
        assert messenger.unread(bob.person) > left


async def test_nothing_is_read_before_somebody_gave_a_sign() -> None:
    async with reading(count=BEFORE, unread=30, attended=False) as (pilot, messenger, bob):
        await pilot.pause()
        assert len(messenger.unread(bob.person)) == 30
        pilot.app.post_message(events.AppFocus())
        await until(pilot, lambda: len(messenger.unread(bob.person)) < 30)


async def test_a_person_who_gave_no_sign_for_long_reads_nothing() -> None:
    now = 100.0
    async with reading("one", monotonic=lambda: now) as (pilot, messenger, bob):
        await until(pilot, lambda: bool(messenger.called("mark_read")) and not messenger.unread(bob.person))
        now += LASTS
        two = received(messenger, bob, "two")
        await until_shown(pilot, "two")
        await pilot.pause()
        assert messenger.unread(bob.person) == {two.id}
        await pilot.press("a")
        await until(pilot, lambda: not messenger.unread(bob.person))


async def test_a_mark_that_was_refused_is_tried_again() -> None:
    failing = {"mark_read": NotPermitted("The profile is busy: try again.")}
    async with reading("one", failing=failing) as (pilot, messenger, bob):
        await until_shown(pilot, "The profile is busy")
        await pilot.press("pageup", "pagedown")
        await until(pilot, lambda: not messenger.unread(bob.person))


async def test_all_is_marked_as_read_when_a_person_says_so() -> None:
    async with reading(count=MANY + BEFORE, unread=MANY) as (pilot, messenger, bob):
        await pilot.press("ctrl+p", *"mark all", "enter")
        await until(pilot, lambda: not messenger.unread(bob.person))
        assert messenger.called("mark_all_read") == [(bob.person,)]
        assert f"entry {BEFORE}." in shown(pilot)
        assert "999+" not in "".join(rows(pilot))


@pytest.mark.terminal
def test_nothing_is_read_in_a_terminal_that_nobody_attached() -> None:
    with program("unread", "60") as terminal:
        terminal.wait_for(" New ")
        terminal.send("PageDown", "PageDown", "PageUp")  # a script, for nobody
        terminal.wait_quiet()
        assert unread_in(terminal.screen()) == 60
        left = seen_by_somebody(terminal, 60)
        terminal.send("PageDown", "PageDown")
        terminal.wait_quiet()
        assert unread_in(terminal.screen()) == left
        seen_by_somebody(terminal, left)


def seen_by_somebody(terminal: Terminal, before: int) -> int:
    """How many are left once a person who attached has read some."""
    with attached(terminal) as person:
        person.type(RIGHT)
        terminal.wait_for(lambda screen: unread_in(screen) < before)
        terminal.wait_quiet()
        return unread_in(terminal.screen())


def unread_in(screen: str) -> int:
    """The number in the list of people."""
    found = re.search(r"Bob +(\d+)", screen)
    return int(found[1]) if found else 0
