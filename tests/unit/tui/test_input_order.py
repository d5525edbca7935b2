"""Every screen is played in one burst and slowly: both lead to the same screens, focus, values and calls.

Rules: a burst is handed to the driver as a terminal hands over one read; slowly means that each key comes
after everything that the key before it began has ended; the engine answers late, as with a database.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from textual import events
from textual import screen as textual_screen
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList, TextArea

from chat.interface import (
    DoorState,
    EntryState,
    FileState,
    FileView,
    NotSynced,
    OwnChange,
    QuestionView,
    UnlockCost,
)
from chat.service.own_log import NOT_SYNCED
from protocol.identity.author import recovery_words
from protocol.relay.rendezvous import RelayAddress
from tests.support.fakes.messenger import RECOVERY_ASKED, FakeDoor, FakeMessenger
from tests.support.fakes.others import INVITATION
from tests.support.screens.scenes import _stolen
from tests.support.tui.driving import running, shown, until
from tests.support.tui.opened import held_up, own_kinds
from tui.widgets.controls import Choice
from tui.widgets.history import History

FOLDER = str(Path(__file__).parents[3] / "seeds" / "fuzz" / "edit-body")  # of one file
RELAY = str(RelayAddress("relay.example.org", 4746, b"\x09" * 32))
OTHER_RELAY = str(RelayAddress("192.168.1.2", 4746, b"\x08" * 32))
WORDS = recovery_words(bytes(range(32)))  # those of the fake
QUESTION = QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32)
# What runs until the program ends, or until the person has answered.
_ENDLESS = ("events", "link")
_LATE = 40  # turns of the loop; a key that does not wait would be long done
# Seconds between two drawings of a screen. A burst has the real time, in which it can come before a drawing.
_SLOWLY_DRAWN, _QUICKLY_DRAWN = textual_screen.UPDATE_PERIOD, 1 / 600
# What a client asks to show things; how often depends on how many of them it shows in between.
_READING = frozenset(
    (
        *(
            "me",
            "contacts",
            "nearby",
            "history",
            "latest",
            "entry",
            "first_unread",
            "entry_at",
            "details",
            "search",
        ),
        *(
            "mark_read",
            "typing",
            "settings",
            "preferences",
            "set_preference",
            "verification",
            "questions",
            "alerts",
            "dismiss_alerts",
            "diagnose",
        ),
        *("state", "attach", "relays"),
    )
)


class Late:
    """A door or a messenger whose answers come some turns later."""

    def __init__(self, real: FakeDoor | FakeMessenger) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def late(*arguments: Any, **named: Any) -> Any:
            for _turn in range(_LATE):
                await asyncio.sleep(0)
            answer = await found(*arguments, **named)
            return Late(answer) if isinstance(answer, FakeMessenger) else answer

        return late


@dataclass(frozen=True)
class Row:
    """`before`: what is played slowly first, in both ways; `keys`: Textual's names, a text letter by letter.

    `calls`: what has to have been asked of the engine in the end, where the row is about that.
    """

    name: str
    keys: tuple[str, ...]
    state: DoorState = DoorState.RUNNING
    before: tuple[str, ...] = ()
    calls: tuple[tuple[object, ...], ...] | None = None
    happens: Callable[[FakeMessenger], object] = lambda _fake: None


@dataclass(frozen=True)
class Outcome:
    """What a person and the engine have in the end."""

    stack: tuple[str, ...]
    focus: str
    values: tuple[tuple[str, object], ...]
    calls: tuple[tuple[object, ...], ...]
    picture: str


class Text(str):
    """A text for one field, whose keys also the slow way types in one go."""


def row(name: str, *keys: str, **others: Any) -> Row:
    return Row(name, keys, **others)


def talk(name: str, *keys: str, **others: Any) -> Row:
    """A row that begins in the conversation with Bob."""
    return Row(name, keys, before=("ctrl+k", Text("Bob"), "enter"), **others)


def history(name: str, *keys: str, **others: Any) -> Row:
    """A row that begins at the newest entry of that conversation."""
    return Row(name, keys, before=("ctrl+k", Text("Bob"), "enter", "ctrl+up"), **others)


def _send_file(fake: FakeMessenger) -> None:
    """Bob sends a file, of which all is here."""
    bob = next(view for view in fake._contacts.values() if view.name == "Bob")
    fake.receive_file(bob.person, FileView("report.pdf", "", 7, FileState.WHOLE, 7), b"content")


def _send_links(fake: FakeMessenger) -> None:
    bob = next(view for view in fake._contacts.values() if view.name == "Bob")
    fake.receive(bob.person, "https://example.org or http://example.com")


NEW, LOCKED = DoorState.NEW, DoorState.LOCKED
UNLOCKED = (Text("correct horse"), "enter")

# The examples of the fault, each with what has to come of it.
NAMED = (
    row(
        "first-run-tab",
        *(*"Ann", "tab", Text("my secret words"), "enter", Text("my secret words"), "enter", *"Hi"),
        state=NEW,
        calls=(("create", "Ann", "my secret words"),),
    ),
    row(
        "first-run-enter",
        *(*"Ann", "enter", Text("my secret words"), "enter", Text("my secret words"), "enter", *"more"),
        state=NEW,
        calls=(("create", "Ann", "my secret words"),),
    ),
    row("unlock", *UNLOCKED, *"Hello", state=LOCKED, calls=(("unlock", "correct horse"),)),
    row(
        "unlock-and-write",
        *(*UNLOCKED, "ctrl+k", *"Carla", "enter", *"Hello", "enter"),
        state=LOCKED,
        calls=(("unlock", "correct horse"), ("send", "Carla", "Hello")),
    ),
    row("switch", "ctrl+k", *"Carla", "enter", *"Hello"),
    row(
        "switch-and-send", "ctrl+k", *"Carla", "enter", *"Hello", "enter", calls=(("send", "Carla", "Hello"),)
    ),
    talk("palette-theme", "ctrl+p", *"theme", "enter", *"hello", "enter", calls=(("send", "Bob", "hello"),)),
    talk("search", "ctrl+f", *"room", "enter", *"NEXT"),
    talk(
        "search-and-write",
        *("ctrl+f", *"room", "enter", "escape", *"NEXT", "enter"),
        calls=(("send", "Bob", "NEXT"),),
    ),
    talk(
        "reply",
        *("ctrl+up", "r", Text("quick answer"), "enter"),
        calls=(("send", "Bob", "quick answer", "The room is free."),),
    ),
    talk("tab-in-the-composer", *"hello", "tab", *"world", "enter"),
    talk(
        "lock",
        *("alt+l", Text("correct horse"), "enter", *"Hello"),
        calls=(("unlock", "correct horse"), ("lock",), ("close",)),
    ),
)

SCREENS = (
    row("wrong-passphrase", *"wrong", "enter", Text("Hello there"), state=LOCKED),
    row("wrong-passphrase-shown", "f2", *"wrong", "enter", Text("Hello there"), state=LOCKED),
    row("wrong-then-right", *"wrong", "enter", *UNLOCKED, *"Hi", state=LOCKED),
    row(
        "first-run-link",
        *("f3", *"laptop", "enter", Text("my secret words"), "enter", Text("my secret words"), "enter"),
        state=NEW,
        calls=(("link", "laptop", "my secret words"),),
    ),
    row("no-name", "tab", Text("secret"), "enter", *"Ann", "enter", state=NEW),
    talk("unknown-name", "ctrl+k", Text("Nobody"), "enter", *"x", "escape", *"Hi", "enter"),
    talk("switch-twice", "ctrl+k", "ctrl+k", "enter", *"one", "enter", "alt+down", *"two", "enter"),
    talk("next-conversation", Text("to Bob"), "alt+down", Text("to Carla"), "enter", "alt+up", "enter"),
    talk("emoji-chooser", "alt+e", *"cat", "enter", *" sat", "enter"),
    talk("shortcode", Text(":heart"), "down", "enter", *" yes", "enter"),
    talk("recall", *"first", "enter", "alt+h", Text(" again"), "enter"),
    talk("edit-last", *"first", "enter", "up", Text(" again"), "enter", *"Hi", "enter"),
    talk("typed-command", *"/help", "enter", "escape", *"Hi", "enter"),
    talk("completed-command", *"/rena", "tab", "enter", "ctrl+u", *"Rob", "enter", *"Hi", "enter"),
    talk("alt-key", "ctrl+r", "a", "escape", *"Hi", "enter"),
    talk(
        "each-enter-sends", *"a", "enter", *"b", "enter", *"c", "enter", "ctrl+up", "up", "r", *"d", "enter"
    ),
    talk("several-rows", *"one", "ctrl+j", *"two", "up", *"!", "enter"),
    talk("jump", "alt+j", "s", *"x", "enter"),
    talk("jump-nowhere", "alt+j", "escape", *"text", "enter"),
    talk("search-all", "ctrl+f", "ctrl+f", *"room", "down", "enter", "r", Text("answer"), "enter"),
    talk("search-nothing", "ctrl+f", Text("nothing"), "enter", "escape", *"text", "enter"),
    talk("next-hit", "ctrl+f", *"room", "enter", "alt+n", "r", Text("answer"), "enter"),
    talk("day", "f10", Text("2026-11-24"), "enter", "d", "y"),
    talk("no-day", "f10", *"2026", "enter", "escape", *"text", "enter"),
    talk("oldest", "ctrl+up", "g", "r", *"old", "enter"),
    history("entry-menu", "enter", "down", "enter", *"x"),
    history("details", "i", "escape", "r", Text("answer"), "enter"),
    talk("save", "ctrl+up", "s", "escape", "r", Text("answer"), "enter", happens=_send_file),
    talk("open-no-link", "ctrl+up", "u", "e", "n", "r", Text("answer"), "enter", happens=_send_links),
    history("select", "shift+up", "c", "up", "r", Text("answer"), "enter"),
    talk("let-go", "ctrl+up", "x", "y", "r", Text("answer"), "enter", happens=_send_file),
    talk("file-size", "ctrl+o", *["down"] * 8, "enter", *"12", "enter", *"Hi", "enter"),
    talk(
        "send-a-file",
        *("alt+a", Text(__file__), "enter", *"Hi", "enter"),
        calls=(("send_file", "Bob", __file__, "test_input_order.py", False), ("send", "Bob", "Hi")),
    ),
    talk("voice-discarded", "alt+v", "escape", *"Hi", "enter", calls=(("send", "Bob", "Hi"),)),
    talk("send-a-folder", "alt+a", Text(FOLDER), "insert", "enter", "y", *"Hi", "enter"),
    talk("send-no-folder", "alt+a", Text(FOLDER), "insert", "enter", "n", *"Hi", "enter"),
    talk("send-nothing", "alt+a", Text("/nowhere"), "enter", "escape", *"Hi", "enter"),
    talk(
        "send-into-a-folder", "alt+a", Text("/usr/sha"), "tab", "enter", "insert", "insert", "escape", *"Hi"
    ),
    history("delete", "d", "y", "up", "d", "y"),
    history("delete-no", "d", "n", "r", *"kept", "enter"),
    history("origin", "up", "o", "b", "r", Text("answer"), "enter"),
    talk("rename", "f6", "ctrl+u", Text("Robert"), "enter", *"Hi", "enter"),
    talk("rename-empty", "f6", "ctrl+u", "enter", *"Rob", "enter", "f6"),
    talk("block", "f7", "y", "f7", *"Hi", "enter"),
    talk("remove", "f8", "y", *"Hi", "enter"),
    talk("verify", "ctrl+t", "v", "ctrl+t", "u", "y", *"Hi", "enter"),
    talk("contact-menu", "ctrl+o", "down", "enter", "ctrl+u", *"Rob", "enter", *"Hi", "enter"),
    talk("mute", "alt+m", "alt+m", "alt+m", *"Hi", "enter"),
    talk("add-menu", "ctrl+n", "down", "enter", Text("192.168.1.9:4747"), "enter"),
    talk("visible", "f5", "f5", "f5", *"Hi", "enter"),
    talk("invite", "f2", "c", "p", "escape", "escape", *"Hi", "enter"),
    talk("join", "f3", *f"{INVITATION}rest", "enter", *"Hi", "enter"),
    talk("join-nothing", "f3", "enter", *"x", "enter", "escape", *"Hi", "enter"),
    talk("address", "f4", Text("10.0.0.9:4747"), "enter"),
    talk("no-address", "f4", *"here", "enter", "escape", *"Hi", "enter"),
    talk("answer-words", "y", *"Hi", "enter", happens=lambda fake: fake.stranger_begins("Dov")),
    talk("refuse-words", "n", "enter", *"Hi", "enter", happens=lambda fake: fake.stranger_begins("Dov")),
    talk("relay-added", "alt+r", Text(OTHER_RELAY), "enter", "tab", "down", "c", "escape", *"Hi", "enter"),
    talk("relay-wrong", "alt+r", Text("nonsense"), "enter", "backspace", "escape", *"Hi", "enter"),
    talk("relay-removed", "alt+r", "tab", "d", "y", *"text", "escape", *"Hi", "enter"),
    talk(
        "device-added",
        *("alt+d", "a", "x", "escape", "escape", *"Hi", "enter"),
        calls=(
            ("terminals",),
            ("add_terminal", False),
            ("stop_adding",),
            ("terminals",),
            ("send", "Bob", "Hi"),
        ),
    ),
    talk("device-removed", "alt+d", "down", "d", "y", "escape", *"Hi", "enter", happens=_stolen),
    talk("settings", "f12", "down", "right", "down", "down", "right", "escape", *"Hi", "enter"),
    talk("settings-language", "f12", "down", "down", "right", "down", "up", "escape", *"Hi", "enter"),
    talk("settings-of-oneself", "f12", "up", "enter", "escape", *"Hi", "enter"),
    talk("theme", "ctrl+b", "ctrl+b", *"Hi", "enter"),
    talk("help", "f1", "end", "f1", *"Hi", "enter"),
    talk("doctor", "f9", "escape", *"Hi", "enter"),
    talk("doctor-over-help", "f1", "escape", "f9", "escape", "ctrl+k", *"Car", "enter", *"Hi", "enter"),
    talk("settings-lock", "f12", "down", "alt+l", *UNLOCKED, *"Hi"),
    talk(
        "recovery",
        *("alt+w", "enter", *WORDS[2], "enter", *WORDS[7], "enter", *WORDS[20], "enter", *WORDS[33], "enter"),
        *(*"Hi", "enter"),
        happens=lambda fake: fake.keep_seed(),
        calls=(
            ("recovery_words",),
            ("confirm_recovery", tuple(WORDS[place] for place in RECOVERY_ASKED)),
            ("send", "Bob", "Hi"),
        ),
    ),
    talk(
        "recovery-wrong",
        *("alt+w", "enter", *"a", "enter", *"b", "enter", *"c", "enter", *"d", "enter", "enter", *"x"),
        *("escape", *"Hi", "enter"),
        happens=lambda fake: fake.keep_seed(),
    ),
    talk(
        "use-recovery",
        *("alt+u", *(Text(f"{word} ") for word in WORDS), "enter", "1", "enter", "y"),
        *("escape", *"Hi", "enter"),
        happens=_stolen,
    ),
    talk(
        "own-name",
        *("alt+o", "x", "enter", "y", "ctrl+y", *"Hi", "enter"),
        happens=lambda fake: fake.failures.update(rename_self=NotSynced(NOT_SYNCED)),
    ),
    talk(
        "passphrase",
        *(
            "alt+k",
            Text("correct horse"),
            "enter",
            Text("a new one"),
            "enter",
            Text("a new one"),
            "enter",
            *"Hi",
            "enter",
        ),
        calls=(("change_passphrase", "correct horse", "a new one", UnlockCost.KEPT), ("send", "Bob", "Hi")),
    ),
    talk(
        "passphrase-wrong", "alt+k", *"x", "tab", *"abc", "enter", *"abc", "enter", "enter", *"Hi", "escape"
    ),
    talk("timer", "ctrl+p", *"timer", "enter", "ctrl+u", *"1h", "enter", *"Hi", "enter"),
    talk("own-change", "alt+y", "y", *"Hi", "enter", happens=lambda fake: fake.ask(QUESTION)),
    talk("own-change-no", "alt+y", "n", "escape", *"Hi", "enter", happens=lambda fake: fake.ask(QUESTION)),
    talk("people", "shift+tab", "shift+tab", "down", "enter", *"Hi", "enter"),
)

ROWS = (*NAMED, *SCREENS)
PLAYED: set[type] = set()  # the screens that were on top or below


@pytest.mark.parametrize("one", ROWS, ids=lambda one: one.name)
async def test_a_burst_acts_as_if_it_were_typed_slowly(one: Row) -> None:
    slowly, at_once = await play(one, _slowly), await play(one, _at_once)
    assert at_once.stack == slowly.stack
    assert at_once == slowly
    if one.calls is not None:
        assert at_once.calls == one.calls


async def test_what_is_pasted_stands_where_the_keys_before_it_went() -> None:
    fake, door = _world(LOCKED)
    async with _running(door) as pilot:
        before = _keys(*UNLOCKED, "ctrl+k", *"Carla", "enter")
        _send(pilot, [*before, events.Paste("one\ntwo"), _key("enter")])
        await _rest(pilot)
    assert ("send", "Carla", "one\ntwo") in _calls(fake, door)


async def test_one_can_quit_while_the_engine_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _fake, door = _world(LOCKED)
    held_up(monkeypatch, door, "unlock")
    async with _running(door) as pilot:
        _send(pilot, _keys(*UNLOCKED, *"Hello", "ctrl+q"))
        await until(pilot, lambda: pilot.app._exit)
        assert "Hello" not in shown(pilot)


@pytest.mark.parametrize(
    ("method", "begin"), [("diagnose", ("f9",)), ("pair_address", ("f4", Text("10.0.0.9:4747"), "enter"))]
)
async def test_keys_go_on_while_an_answer_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, method: str, begin: tuple[str, ...]
) -> None:
    fake, door = _world(DoorState.RUNNING)
    held_up(monkeypatch, fake, method)
    async with _running(door) as pilot:
        _send(pilot, _keys(*begin, "escape", "ctrl+k", *"Carla", "enter", *"Hello", "enter"))
        await until(pilot, lambda: bool(fake.called("send")))


def test_every_screen_is_played() -> None:
    """A dialog that is added needs a row."""
    wanted = {kind for kind in own_kinds(Screen) if not kind.__subclasses__()}
    for one in ROWS:  # again, where the test above has not
        if not wanted <= PLAYED:
            asyncio.run(play(one, _slowly))
    assert wanted <= PLAYED


async def play(one: Row, typing: Callable[[Pilot[None], Sequence[str]], Awaitable[None]]) -> Outcome:
    """The outcome of a row, typed in one of the two ways."""
    fake, door = _world(one.state)
    drawn = _QUICKLY_DRAWN if typing is _slowly else _SLOWLY_DRAWN
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textual_screen, "UPDATE_PERIOD", drawn)
        return await _played(one, typing, fake, door)


async def _played(
    one: Row,
    typing: Callable[[Pilot[None], Sequence[str]], Awaitable[None]],
    fake: FakeMessenger,
    door: FakeDoor,
) -> Outcome:
    async with _running(door) as pilot:
        await _slowly(pilot, one.before)
        fake.calls.clear()
        one.happens(fake)
        await _rest(pilot)
        PLAYED.update(map(type, pilot.app.screen_stack))
        await typing(pilot, one.keys)
        await _rest(pilot)
        return _outcome(pilot, fake, door)


async def _slowly(pilot: Pilot[None], names: Sequence[str]) -> None:
    for name in names:
        _send(pilot, _keys(name))
        await _rest(pilot)
        PLAYED.update(map(type, pilot.app.screen_stack))


async def _at_once(pilot: Pilot[None], names: Sequence[str]) -> None:
    _send(pilot, _keys(*names))


def _send(pilot: Pilot[None], come: Sequence[events.Event]) -> None:
    """Hand events over as the driver does with those of one read of the terminal."""
    driver = pilot.app._driver
    assert driver is not None
    for event in come:
        driver.process_message(event)


def _keys(*names: str) -> list[events.Key]:
    return [_key(one) for name in names for one in (name if isinstance(name, Text) else (name,))]


def _key(name: str) -> events.Key:
    if len(name) == 1:
        return events.Key(_character_to_key(name), name)
    return events.Key(name, {"enter": "\r", "tab": "\t"}.get(name))


async def _rest(pilot: Pilot[None]) -> None:
    """Until nothing runs but what runs for ever, and everything is drawn."""
    for _again in range(2):
        await pilot.pause()
        await until(pilot, lambda: all(one.group in _ENDLESS for one in pilot.app.workers))
    await pilot.pause(2 * textual_screen.UPDATE_PERIOD)
    await until(pilot, lambda: all(one.group in _ENDLESS for one in pilot.app.workers))


@asynccontextmanager
async def _running(door: FakeDoor) -> AsyncIterator[Pilot[None]]:
    async with running(cast(FakeDoor, Late(door)), (100, 40)) as pilot:
        await _rest(pilot)
        yield pilot


def _world(state: DoorState) -> tuple[FakeMessenger, FakeDoor]:
    fake = FakeMessenger("Ann", visible=True)
    if state is not NEW:
        bob = fake.add_contact("Bob", present=True)
        carla = fake.add_contact("Carla")
        fake.add_contact("Dana", present=True)
        fake.see_stranger("Frank")
        fake.name_relay(RELAY)
        fake.receive(carla.person, "Is there a room?")
        fake.receive(bob.person, "The first of all.")
        fake.say_as_me(bob.person, "I look for a room.", EntryState.READ)
        fake.receive(bob.person, "The room is free.")
    return fake, FakeDoor(fake, state=state)


def _outcome(pilot: Pilot[None], fake: FakeMessenger, door: FakeDoor) -> Outcome:
    focus = pilot.app.focused
    values = [
        (f"{type(screen).__name__} {widget.id}", _value(widget))
        for screen in pilot.app.screen_stack
        for widget in screen.query("Input, TextArea, OptionList, Choice, History")
    ]
    return Outcome(
        tuple(type(screen).__name__ for screen in pilot.app.screen_stack),
        "" if focus is None else f"{type(focus).__name__} {focus.id}",
        tuple(values),
        _calls(fake, door),
        shown(pilot),
    )


def _value(widget: object) -> object:
    match widget:
        case Input():
            return widget.value
        case TextArea():
            return widget.text, widget.cursor_location
        case OptionList():
            return widget.highlighted
        case Choice():
            return widget.chosen
        case History():
            return widget.chosen.text if widget.chosen is not None else None
    raise AssertionError(widget)


def _calls(fake: FakeMessenger, door: FakeDoor) -> tuple[tuple[object, ...], ...]:
    """What was asked for besides what is shown, with names and texts in the place of ids."""
    held = [entry for one in fake._conversations.values() for entry in one.entries]
    words: dict[object, object] = {view.person: view.name for view in fake._contacts.values()}
    words |= {entry.id: entry.text for entry in held}
    return tuple(
        (call.method, *(words.get(argument, argument) for argument in call.arguments))
        for call in (*door.calls, *fake.calls)
        if call.method not in _READING
    )
