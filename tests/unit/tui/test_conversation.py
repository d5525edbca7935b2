"""The chat screen with one conversation: order, delivery, scrolling, reading, writing."""

from __future__ import annotations

import gc
import re
import warnings

import pytest
from textual import events

from chat.interface import EntryState, NotPermitted, UsageError
from tests.support.fakes.messenger import TEXT_LIMIT, FakeMessenger
from tests.support.fakes.others import START
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
    with_bob_open,
    write,
)
from tests.support.tui.opened import held_up, reading, received
from tui.messages import SendText
from tui.preferences import Preferences
from tui.screens.chat.sending import Draft, Drafts
from tui.widgets.people import People


async def test_enter_sends_and_the_delivery_is_shown() -> None:
    async with with_bob_open(present=False) as (pilot, messenger, bob):
        await pilot.press(*"hello", "enter")
        await until_shown(pilot, "… queued")
        assert composer(pilot).text == ""
        messenger.change_contact(bob.person, present=True)
        await until_shown(pilot, "✓✓ delivered")
        entry = (await messenger.history(bob.person))[-1]
        messenger.set_state(bob.person, entry.id, EntryState.READ)
        await until_shown(pilot, "✓✓ read")
        assert messenger.called("send") == [(bob.person, "hello")]


@pytest.mark.parametrize("key", ["ctrl+j", "alt+enter", "shift+enter"])
async def test_other_keys_break_the_line(key: str) -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("a", key, "b", "enter")
        await until(pilot, lambda: bool(messenger.called("send")))
    assert messenger.called("send") == [(bob.person, "a\nb")]


async def test_entries_stand_in_the_order_of_the_messenger_not_of_time() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.receive(bob.person, "first")
        second = received(messenger, bob, "second")
        await until_shown(pilot, "second")
        messenger.receive(bob.person, "between", before=second.id)
        messenger.receive(bob.person, "late, of yesterday", time=START.replace(day=23))
        screen = await until_shown(pilot, "late, of yesterday")
    screen = "\n".join(row.partition("▕")[2] for row in screen.splitlines())  # without the list
    places = [screen.index(text) for text in ("first", "between", "second", "late, of yesterday")]
    assert places == sorted(places)


async def test_entries_of_others_conversations_are_counted_not_shown() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        carla = messenger.add_contact("Carla")
        messenger.receive(carla.person, "not here")
        messenger.receive(carla.person, "nor this")
        await until(pilot, lambda: any("Carla" in row and " 2 " in row for row in rows(pilot)))
        assert "not here" not in shown(pilot)


async def test_drafts_are_kept_a_conversation() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.add_contact("Carla")
        await until_shown(pilot, "Carla")
        await write(pilot, "for Bob")
        await pilot.press("alt+down")
        await until(pilot, lambda: composer(pilot).text == "")
        await write(pilot, "for Carla")
        for key, text in (("alt+up", "for Bob"), ("alt+down", "for Carla")):
            await pilot.press(key)
            await until(pilot, lambda text=text: composer(pilot).text == text)  # type: ignore[misc]
        assert not messenger.called("send")


async def test_new_entries_below_are_counted_and_not_read_while_one_reads_above() -> None:
    async with reading(count=80) as (pilot, messenger, bob):
        await pilot.press("pageup")
        before = [row.partition("▕")[2] for row in rows(pilot)[2:8]]  # without the list
        below = {received(messenger, bob, text).id for text in ("one more", "two more")}
        await until_shown(pilot, "2 new below")
        assert [row.partition("▕")[2] for row in rows(pilot)[2:8]] == before
        assert messenger.unread(bob.person) == below
        await pilot.press("alt+end")
        assert "new below" not in await until_shown(pilot, "two more")
        await until(pilot, lambda: not messenger.unread(bob.person))


async def test_nothing_is_marked_as_read_under_a_dialog_or_without_focus() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("f1")
        under = received(messenger, bob, "under the help")
        await until(pilot, lambda: len(history(pilot).window) == 1)
        await pilot.pause()
        assert not messenger.called("mark_read")
        await pilot.press("escape")
        await until(pilot, lambda: len(messenger.called("mark_read")) == 1)
        pilot.app.post_message(events.AppBlur())
        await until(pilot, lambda: not pilot.app.app_focus)
        away = received(messenger, bob, "while away")
        await until_shown(pilot, "while away")
        await pilot.hover(offset=(60, 5))  # over a window that has no focus
        assert messenger.called("mark_read") == [(bob.person, (under.id,))]
        pilot.app.post_message(events.AppFocus())
        await until(pilot, lambda: messenger.called("mark_read")[-1:] == [(bob.person, (away.id,))])


async def test_a_refused_text_returns_to_the_composer() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        messenger.failures["send"] = UsageError("The disk is full: free some space.")
        await pilot.press(*"precious", "enter")
        await until_shown(pilot, "The disk is full")
        assert composer(pilot).text == "precious"
        await pilot.press("enter")
        await until_shown(pilot, "✓✓ delivered")
        await pilot.press(*"precious", "enter")
        await until(pilot, lambda: len(messenger.send_ids) == 3)
        refused, again, another = messenger.send_ids
        assert refused == again != another


async def test_a_refused_text_keeps_its_id_over_a_restart_and_loses_it_by_a_change() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        for _ in range(2):
            messenger.failures["send"] = UsageError("The disk is full: free some space.")
            await pilot.press(*"x", "enter")
            await until_shown(pilot, "The disk is full")
            assert composer(pilot).text.startswith("x")
        first, changed = messenger.send_ids
        assert first != changed
        await until(pilot, lambda: f"sending.{bob.person}" in messenger._preferences)
        kept = Drafts(Preferences(messenger, messenger._preferences))
        assert kept.send_id(bob.person, Draft("xx")) == changed
        assert kept.send_id(bob.person, Draft("xx", "answering")) != changed
        await pilot.press("enter")
        await until(pilot, lambda: f"sending.{bob.person}" not in messenger._preferences)


async def test_a_text_over_the_limit_is_counted_and_not_sent() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        await write(pilot, "x" * (TEXT_LIMIT - 1))
        await until_shown(pilot, "16,383 of 16,384")
        await pilot.press("a", "b", "enter")
        await until_shown(pilot, "1 character too many")
        assert not messenger.called("send")
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: len(messenger.called("send")) == 1)


async def test_typing_is_told_at_intervals_and_its_end_at_once() -> None:
    now = 100.0
    async with with_bob_open(monotonic=lambda: now) as (pilot, messenger, bob):
        await pilot.press(*"abc")
        await until(pilot, lambda: bool(messenger.called("typing")))
        assert messenger.called("typing") == [(bob.person, True)]
        now += 10
        await pilot.press("d")
        await until(pilot, lambda: len(messenger.called("typing")) == 2)
        await pilot.press("ctrl+u")
        await until(pilot, lambda: messenger.called("typing")[-1] == (bob.person, False))


async def test_a_change_that_comes_with_an_entry_is_drawn_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of its own would hold up the entry's by a frame."""
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.change_contact(bob.person, typing=True)
        await until_shown(pilot, "typing…")
        go_on = held_up(monkeypatch, messenger, "history")
        messenger.receive(bob.person, "here it is")
        messenger.change_contact(bob.person, typing=False)
        await until(pilot, lambda: not chat(pilot).state.contacts[bob.person].typing)
        assert "typing…" in shown(pilot)
        go_on.set()
        assert "typing…" not in await until_shown(pilot, "here it is")


async def test_a_change_is_drawn_also_when_the_entry_cannot_be_read() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        messenger.change_contact(bob.person, typing=True)
        await until_shown(pilot, "typing…")
        messenger.failures["history"] = NotPermitted("The profile is locked.")
        messenger.receive(bob.person, "not to be read")
        messenger.change_contact(bob.person, typing=False)
        await until(pilot, lambda: "typing…" not in shown(pilot))


async def test_a_changed_identity_stops_the_writing_until_it_is_answered() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await pilot.press("h", "i")
        messenger.change_identity(bob.person, "recovered with the recovery words")
        messenger.change_contact(bob.person, held=True)
        await until_shown(pilot, "Compare the safety number before you send")
        chat(pilot).post_message(SendText("on its way", bob.person))
        await pilot.press("j", "enter", "escape")
        assert shown(pilot).count("recovered with the recovery words") == 1
        assert chat(pilot).state.current == bob.person
        await pilot.press("ctrl+t")
        await until_shown(pilot, "They match")
        await pilot.press("v")
        await until(pilot, lambda: messenger.called("verify") == [(bob.person, messenger.number(bob.person))])
        await until(pilot, lambda: "before you send" not in shown(pilot) and composer(pilot).has_focus)
        assert composer(pilot).text == "on its way\nhi"
        assert not messenger.called("send")


async def test_one_refused_call_does_not_end_the_program() -> None:
    failing = {"history": NotPermitted("Parlour is locked: unlock it.")}
    async with reading(failing=failing) as (pilot, messenger, bob):
        await until_shown(pilot, "Parlour is locked")
        messenger.receive(bob.person, "later")
        await until_shown(pilot, "later")


async def test_days_and_authors_part_the_history() -> None:
    async with with_bob_open(size=(80, 34)) as (pilot, messenger, bob):
        messenger.receive(bob.person, "old", time=START.replace(day=21))
        messenger.receive(bob.person, "yesterday", time=START.replace(day=23))
        messenger.receive(bob.person, "today")
        screen = await until_shown(pilot, "today")
    for text in ("Saturday, 21 November 2026", " Yesterday ", " Today ", "▎ Bob"):
        assert text in screen


async def test_the_place_survives_a_resize() -> None:
    messenger, bob = with_bob()
    messenger.fill(bob.person, [f"entry {number} " + "word " * 30 for number in range(60)])
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "entry 59")
        await pilot.press(*["pageup"] * 3)
        top = history(pilot).spot
        await pilot.resize_terminal(120, 34)
        await pilot.pause()
        place = history(pilot).spot
        assert top is not None
        assert place is not None
        assert place[0] == top[0]


async def test_the_cursor_stays_on_a_person_when_the_list_changes_and_enter_opens() -> None:
    async with with_bob_open() as (pilot, messenger, _):
        carla = messenger.add_contact("Carla")
        await until_shown(pilot, "Carla")
        chat(pilot).query_one(People).focus()
        await pilot.press("down")
        messenger.add_contact("Aaron")
        await until_shown(pilot, "Aaron")
        assert chat(pilot).query_one(People).cursor == carla.person
        await pilot.press("enter")
        await until(pilot, lambda: chat(pilot).state.current == carla.person)
        assert pilot.app.focused is composer(pilot)


async def test_attack_14_contacts_that_look_the_same_are_told_apart_and_one_is_verified() -> None:
    messenger = FakeMessenger("Ann")
    for name in ("Bob", "B\u200bob", "Bob\u202e"):
        messenger.add_contact(name)
    first, chosen, _last = await messenger.contacts()
    async with chatting(messenger) as pilot:
        await until(pilot, lambda: chat(pilot).state.current == first.person)
        chat(pilot).query_one(People).focus()
        await pilot.press("down", "enter", "ctrl+t")
        await until_shown(pilot, "Safety number")
        await pilot.press("v")
        screen = (await until_shown(pilot, "✓ verified")).split("\n")
    names = re.findall(r"Bob~[0-9a-f]{4}", "\n".join(row[:25] for row in screen))
    assert len(set(names)) == 3
    assert [row[3:11] for row in screen if row[11:13] == " ✓"] == [f"Bob~{chosen.person[:4]}"]
    assert f"Bob~{chosen.person[:4]}" in screen[0]


async def test_work_that_is_cancelled_before_it_begins_leaves_no_coroutine() -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        carla = messenger.add_contact("Carla")
        await until_shown(pilot, "Carla")
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            for contact in (carla, bob, carla):
                chat(pilot).open_conversation(contact.person)  # each ends the reading of the one before
            await pilot.pause()
            gc.collect()
        assert not warned
