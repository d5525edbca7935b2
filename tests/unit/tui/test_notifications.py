"""Notifications: one per burst, without words unless asked for, none for what is watched or muted."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual import events
from textual.pilot import Pilot

from chat.interface import (
    AGAIN,
    BURST,
    ContactChanged,
    ContactRemoved,
    EntryDeleted,
    EntryEdited,
    EntryKind,
    EntryState,
    EntryView,
    Notified,
    Osc,
    Outside,
    closing,
    osc_of,
)
from chat.notifying import _TRACES
from chat.platforms.turns import FileTurn
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, shown, until, until_shown, with_bob_open
from tui.app import ParlourApp
from tui.messages import NotifyEntry
from tui.preferences import Preferences
from tui.terminal import BELL, CURSOR_HIDDEN, Notifier, cursor_given_back, cursor_shown, notification, title

NEEDLE = "needle-that-somebody-wrote"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, Osc.TEXT),
        ({"TERM": "xterm-kitty"}, Osc.KITTY),
        ({"TERM": "foot-extra"}, Osc.TITLED),
        ({"TERM": "football"}, None),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, Osc.TITLED),
        ({"TERM": "tmux-256color", "TMUX": "/s,1,0", "KITTY_WINDOW_ID": "1"}, Osc.KITTY),
        ({}, None),
    ],
)
def test_a_notification_is_sent_where_the_terminal_is_known_to_show_it(
    environment: dict[str, str], expected: Osc | None
) -> None:
    assert osc_of(environment) is expected


@pytest.mark.parametrize("how", Osc)
@pytest.mark.parametrize("environment", [{}, {"TMUX": "/s,1,0"}])
def test_nothing_in_a_text_ends_the_sequence_or_begins_another(how: Osc, environment: dict[str, str]) -> None:
    calm = notification(how, "a b", environment)
    hostile = notification(how, "a\x1b\\\x1b]52;c;\x07\x9c\u202e b", environment)
    for control in ("\x1b", "\x07", "\x9c"):
        assert hostile.count(control) == calm.count(control)
    assert notification(how, "4;1;50", {}).startswith("\x1b]9;Parlour: 4") is (how is Osc.TEXT)
    assert calm.startswith("\x1bPtmux;\x1b\x1b]" if environment else "\x1b]")
    assert len(notification(how, "long " * 1000, {})) < 300


def test_windows_have_a_title_where_the_terminal_has_windows() -> None:
    assert title(3, {"TERM": "xterm"}) == "\x1b]2;(3) Parlour\x1b\\"
    assert title(0, {"TERM": "foot"}) == "\x1b]2;Parlour\x1b\\"
    assert title(3, {"TERM": "linux"}) == ""


def test_a_burst_is_told_once_and_a_long_one_again_after_a_while() -> None:
    clock, written = [0.0], list[str]()
    notifier = Notifier(written.append, {"TERM": "xterm"}, lambda: clock[0])
    told = []
    for moment in (0.0, 0.1, BURST, 2 * BURST - 0.5, *(2 * BURST + one for one in range(int(AGAIN)))):
        clock[0] = moment
        before = len(written)
        notifier.notify(NotifyEntry("Bob", "text"), Preferences())
        told += [moment] * (len(written) - before)
    assert told == [0.0, AGAIN]
    clock[0] += BURST
    notifier.notify(NotifyEntry("Bob", "text"), Preferences())
    assert written == [BELL] * 3


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, [BELL, "\x1b]9;Parlour: A new message\x1b\\"]),
        ({"bell": "off", "notify_content": "on"}, ["\x1b]9;Parlour: Bob: two lines\x1b\\"]),
        ({"bell": "off", "notify_content": "who"}, ["\x1b]9;Parlour: A message from Bob\x1b\\"]),
        ({"bell": "off", "notify": "off", "notify_content": "on"}, []),
    ],
)
def test_what_is_told_is_what_was_chosen(chosen: dict[str, str], expected: list[str]) -> None:
    written = list[str]()
    notifier = Notifier(written.append, {"TERM_PROGRAM": "iTerm.app"}, lambda: 0.0)
    notifier.notify(NotifyEntry("Bob", "two\nlines"), Preferences(None, chosen))
    assert written == expected


@pytest.mark.parametrize(("chosen", "expected"), [("", 0), ("on", 1)])
def test_a_mention_is_notified_of_apart_where_that_was_chosen(chosen: str, expected: int) -> None:
    written = list[str]()
    notifier = Notifier(written.append, {"TERM_PROGRAM": "iTerm.app"}, lambda: 0.0)
    preferences = Preferences(None, {"bell": "off", "notify": "off", "notify_mentions": chosen})
    for mention in (False, True):
        notifier.notify(NotifyEntry("Bob", "@Ann", "b", "1", mention), preferences)
    assert len(written) == expected


def entry_of(person: str, entry: str) -> EntryView:
    return EntryView(
        entry,
        person,
        "Bob",
        False,
        datetime(2026, 12, 1, tzinfo=UTC),
        EntryKind.TEXT,
        "",
        EntryState.RECEIVED,
    )


def test_what_is_read_or_deleted_elsewhere_is_closed_and_all_at_a_lock() -> None:
    written, view = list[str](), FakeMessenger().add_contact("Bob")
    closed = closing(Osc.KITTY, {})
    news = NotifyEntry("Bob", "text", view.person, "1")
    for event, closes in (
        (EntryDeleted(view.person, "2"), False), (ContactChanged(replace(view, unread=2)), False),
        (EntryDeleted(view.person, "1"), True), (ContactChanged(view), True),
        (ContactRemoved(view.person, "Bob"), True),
        (ContactChanged(replace(view, unread=2, blocked=True)), True),
        (EntryEdited(entry_of(view.person, "1")), True), (EntryEdited(entry_of(view.person, "2")), False),
    ):  # fmt: skip
        notifier = Notifier(written.append, {"TERM": "xterm-kitty"}, lambda: 0.0)
        notifier.notify(news, Preferences())
        written.clear()
        notifier.heed(event)
        notifier.heed(event)
        assert written == [closed] * closes
    notifier = Notifier(written.append, {"TERM": "xterm-kitty"}, lambda: 0.0)
    notifier.notify(news, Preferences())
    notifier.close_all()
    assert written[-1] == closed


class Recorder:
    """A way by which nothing is shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def show(self, one: Notified) -> None:
        self.lines.append(one.line)

    async def close(self, tag: str) -> None:
        self.lines.append("closed")

    async def end(self) -> None:
        self.lines.append("end")


async def test_it_is_the_interfaces_turn_to_notify_while_a_profile_is_open(tmp_path: Path) -> None:
    """Else `listen`, which may have the engine, notifies of the same message."""
    turn, seen_by_listen = FileTurn(tmp_path / "notifies"), FileTurn(tmp_path / "notifies")
    assert not seen_by_listen.is_taken()
    async with chatting(FakeMessenger("Ann"), outside=Outside(Recorder()), turn=turn) as pilot:
        await until(pilot, seen_by_listen.is_taken)
        await pilot.press("alt+l")
        await until(pilot, lambda: not seen_by_listen.is_taken())


async def test_an_interface_that_cannot_notify_leaves_it_to_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM_PROGRAM", "TMUX", *_TRACES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    turn = FileTurn(tmp_path / "notifies")
    async with chatting(FakeMessenger("Ann"), turn=turn):
        assert not turn.is_taken()


async def test_a_way_outside_of_the_terminal_takes_the_place_of_its_sequence(written: list[str]) -> None:
    messenger, recorder = FakeMessenger("Ann"), Recorder()
    bob = messenger.add_contact("Bob")
    async with chatting(messenger, outside=Outside(recorder)) as pilot:
        await look_away(pilot)
        messenger.receive(bob.person, "hello @Ann")
        await until(pilot, lambda: recorder.lines == ["A new message"])
        await pilot.press("alt+l")
        await until(pilot, lambda: recorder.lines == ["A new message", "closed", "end"])
    assert not any("new message" in one for one in written)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the program writes to the terminal in addition to its picture and the cursor in it."""
    for name, value in (("TERM", "xterm-kitty"), ("TERM_PROGRAM", ""), ("TMUX", "")):
        monkeypatch.setenv(name, value)
    collected: list[str] = []
    cursor = {CURSOR_HIDDEN, cursor_shown(os.environ), cursor_given_back(os.environ)}

    def write(_app: ParlourApp, sequence: str) -> None:
        if sequence not in cursor:
            collected.append(sequence)

    monkeypatch.setattr(ParlourApp, "_write", write)
    return collected


def loud(written: list[str]) -> int:
    """How often it was told, checked to hold nobody's words."""
    assert NEEDLE not in "".join(written)
    return written.count(BELL)


async def look_away(pilot: Pilot[None], *, away: bool = True) -> None:
    pilot.app.post_message(events.AppBlur() if away else events.AppFocus())
    await until(pilot, lambda: pilot.app.app_focus is not away)


async def test_what_is_looked_at_is_not_told_and_what_is_not_is_told_once(written: list[str]) -> None:
    messenger = FakeMessenger("Ann")
    bob, carla = messenger.add_contact(f"{NEEDLE} b"), messenger.add_contact(f"{NEEDLE} c")
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(bob.person)
        messenger.receive(bob.person, NEEDLE)
        await until_shown(pilot, NEEDLE)
        await until(pilot, lambda: not chat(pilot).state.contacts[bob.person].unread)
        assert loud(written) == 0
        assert "(" not in "".join(written)
        for _ in range(40):
            messenger.receive(carla.person, NEEDLE)
        await until(pilot, lambda: any("(40) Parlour" in one for one in written))
        assert loud(written) == 1
        await pilot.press("alt+l")
        await until_shown(pilot, "Enter your passphrase")
        assert title(0, {"TERM": "xterm"}) in written[written.index(title(40, {"TERM": "xterm"})) :]
    assert "".join(written).removesuffix("\x1b[2J").endswith("\x1b[23;2t")


async def test_who_looks_elsewhere_is_told_of_the_open_conversation_too(written: list[str]) -> None:
    async with with_bob_open() as (pilot, messenger, bob):
        await look_away(pilot)
        messenger.receive(bob.person, NEEDLE)
        await until(pilot, lambda: any("(1) Parlour" in one for one in written))
        assert loud(written) == 1
        assert any("A new message" in one for one in written)
        await look_away(pilot, away=False)
        last = {title(0, {"TERM": "xterm"}), closing(Osc.KITTY, {})}  # what is read is closed
        await until(pilot, lambda: set(written[-2:]) == last)


async def test_nothing_is_told_of_who_is_muted(written: list[str]) -> None:
    messenger = FakeMessenger("Ann")
    bob, carla = messenger.add_contact("Bob"), messenger.add_contact("Carla")
    async with chatting(messenger) as pilot:
        chat(pilot).open_conversation(bob.person)
        await pilot.press("alt+m")
        await until_shown(pilot, "z muted")
        assert "Bob z" in shown(pilot)
        chat(pilot).open_conversation(carla.person)
        messenger.receive(bob.person, NEEDLE)
        await until(pilot, lambda: chat(pilot).state.contacts[bob.person].unread == 1)
        await pilot.pause()
        assert loud(written) == 0
        assert "(1)" not in "".join(written)
        chat(pilot).open_conversation(bob.person)
        await pilot.press("alt+m")
        await until_shown(pilot, "Unmuted")
        await look_away(pilot)
        messenger.receive(bob.person, NEEDLE)
        await until(pilot, lambda: loud(written) == 1)
    assert messenger.called("mute") == [(bob.person, True), (bob.person, False)]
