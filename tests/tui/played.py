"""One program in which all rows of the table are played: key by key, and all keys at once.

Rules: in a burst an engine answers late, as with a database. The driver gets a burst as it gets one read of
a terminal. Key by key means that each key comes after everything that the key before it began has ended.
Nothing is drawn, and no colour is looked up, which would take most of the time.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import pytest
from textual import events
from textual import screen as textual_screen
from textual._compositor import Compositor
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode
from textual.keys import _character_to_key
from textual.widgets import OptionList

from chat.interface import DoorState, EntryState, Voice
from protocol.relay.rendezvous import RelayAddress
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import OPTIONS
from tests.tui.seen import Seen, changes, home, look, same_in_every_language
from tui.app import ParlourApp
from tui.input_queue import _is_busy
from tui.messages import Opened
from tui.preferences import Preferences
from tui.screens import recording
from tui.screens.unlock import UnlockScreen

RELAY = str(RelayAddress("relay.example.org", 4746, b"\x09" * 32))
SIZE = (100, 40)
ENGLISH, CHINESE = "en", "zh_CN"
NEW, LOCKED, RUNNING = DoorState.NEW, DoorState.LOCKED, DoorState.RUNNING
_PATIENCE = 240.0  # seconds; a machine may have stopped for a minute
_LATE = 40  # turns of the loop; a key that does not wait would be long done
_FIRST_TURNS = 4  # in which what the driver reads reaches the application
_SPUN = 60  # turns without an end, after which the loop may sleep: a thread works
# What runs until the program ends, or until the person has answered.
_ENDLESS = ("events", "link", "recording")
# What a client asks to show things; how often depends on how many of them it shows in between.
_READING = frozenset(
    (
        *("me", "contacts", "nearby", "history", "latest", "entry", "first_unread", "entry_at", "details"),
        *("search", "mark_read", "typing", "settings", "preferences", "verification", "questions", "alerts"),
        *("dismiss_alerts", "diagnose", "state", "attach", "relays", "kept", "retention", "terminals"),
        *("recovery_words", "begin_recovery", "foresee_removal", "foresee_recovery", "takeable"),
    )
)
_KEPT_BY_THE_WAY = ("draft.", "reply.", "sending.", "open.", "words")
# Seconds between two layouts of a screen. A burst has the real time, in which it can come before one.
_DUE, _NEVER_DUE = textual_screen.UPDATE_PERIOD, 3600.0
_CELLS = 40  # of what was asked for
FOLDER = "~/files"
"""A folder of one file, in the home of the one who plays."""
_CHARACTERS = {"enter": "\r", "tab": "\t"}


class Text(str):
    """A text for one field, which is typed in one go."""


class Paste(str):
    """A text that the terminal gives as a paste."""


class At(str):
    """Where what follows is pressed: a heading of the table. A burst ends before it."""


@dataclass(frozen=True)
class Do:
    """What others do, said in a few words."""

    said: str
    act: Callable[[FakeMessenger], object]


Step = str | Do


@dataclass(frozen=True)
class Row:
    """What is pressed one after the other in one world, in one place of the program after the other."""

    world: str
    steps: tuple[Step, ...]
    state: DoorState = RUNNING
    before: Callable[[FakeMessenger], object] = lambda _fake: None
    vi: bool = False


@dataclass(frozen=True)
class Line:
    """What was pressed, what happened, and what the program said."""

    pressed: str
    happened: str
    said: tuple[str, ...]
    heading: bool = False


@dataclass
class Played:
    """A row that was played key by key.

    `looks`: what was there at first, and after each step. `ends`: the outcome before each place, and at last.
    """

    row: Row
    lines: list[Line]
    looks: list[Seen]
    ends: list[object]


@dataclass
class Pressed:
    """The keys that answer where the focus was, and those that were pressed there, each with who answers."""

    answering: set[tuple[str, str]] = field(default_factory=set)
    keys: set[tuple[str, str]] = field(default_factory=set)
    screens: set[str] = field(default_factory=set)
    focused: set[str] = field(default_factory=set)


class Late:
    """A door or a messenger whose answers come some turns later."""

    def __init__(self, real: FakeDoor | FakeMessenger, turns: int) -> None:
        self._real, self._turns = real, turns

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._real, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def late(*arguments: Any, **named: Any) -> Any:
            for _turn in range(self._turns):
                await asyncio.sleep(0)
            answer = await found(*arguments, **named)
            return Late(answer, self._turns) if isinstance(answer, FakeMessenger) else answer

        return late


def world(state: DoorState) -> FakeMessenger:
    """Somebody with two contacts more than the one whose conversation is open."""
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
    return fake


def person(fake: FakeMessenger, name: str = "Bob") -> str:
    return next(view.person for view in fake._contacts.values() if view.name == name)


@dataclass
class Stage:
    """The program, and what is played in it now."""

    app: ParlourApp
    _patch: pytest.MonkeyPatch
    fake: FakeMessenger = field(default_factory=FakeMessenger)
    door: FakeDoor = field(default_factory=FakeDoor)
    pressed: Pressed = field(default_factory=Pressed)
    notes: list[str] = field(default_factory=list)
    """What the program did to the terminal or to itself."""
    _heard: tuple[int, ...] = (0, 0, 0)
    _known: dict[str, str] = field(default_factory=dict)
    _slowly: bool = True

    async def play(self, row: Row, language: str) -> Played:
        """Key by key."""
        await self.begin(row, language, slowly=True)
        played = Played(row, [], [self.look()], [])
        for step in row.steps:
            before = played.looks[-1]
            if isinstance(step, At):
                played.ends.append(self.outcome())
                played.looks.append(before)
                played.lines.append(Line(step, "", (), heading=True))
                continue
            for node, bindings in self.app.screen._binding_chain:
                self._note(step, type(node).__name__, bindings.key_to_bindings)
            self._send([step])
            await self.rest()
            played.looks.append(self.look())
            did, said = changes(before, played.looks[-1])
            did += self._asked()
            played.lines.append(Line(shown_step(step), "; ".join(did) or "nothing", tuple(said)))
        played.ends.append(self.outcome())
        return played

    async def burst(self, slow: Played, language: str, glossary: dict[str, str]) -> list[object]:
        """All keys of a place at once, but for what others do in between: what is there at its end.

        `glossary`: what the program said the first time, and how it says that in this language. There the
        burst has an end, so that it can be read.
        """
        await self.begin(slow.row, language, slowly=False)
        held, ends = list[Step](), list[object]()
        last, before = 0, self.look()
        for at, step in enumerate((*slow.row.steps, At())):
            new = at < len(slow.lines) and any(one not in glossary for one in slow.lines[at].said)
            if isinstance(step, (At, Do)):
                await self._press(held)
            if isinstance(step, At):
                ends.append(self.outcome())
                continue
            held.append(step)
            if new:
                await self._press(held)
                after = self.look()
                ours, theirs = changes(slow.looks[last], slow.looks[at + 1])[1], changes(before, after)[1]
                if len(ours) == len(theirs):
                    for one, other in zip(ours, theirs, strict=True):
                        glossary.setdefault(one, other)
                last, before = at + 1, after
            elif isinstance(step, Do):
                await self._press(held)
        return ends

    async def _press(self, held: list[Step]) -> None:
        """Hand over what is held, and wait for all of it."""
        self._send(held)
        held.clear()
        await self.rest()

    async def begin(self, row: Row, language: str, *, slowly: bool) -> None:
        """Leave what was played before, and start in the world of a row."""
        app, self._slowly = self.app, slowly
        self._patch.setattr(textual_screen, "UPDATE_PERIOD", _NEVER_DUE if slowly else _DUE)
        await self.rest()
        while len(app.screen_stack) > 2:
            app.pop_screen()
        self.fake, self._heard, self._known = world(row.state), (0, 0, 0), {}
        self.fake._preferences = {"language": language, **({"keys": "vi"} if row.vi else {})}
        self.door = FakeDoor(self.fake, state=row.state)
        app.messenger, app._chat, app._last, app._clipboard, app._with_alt = None, None, None, "", False
        app.preferences = Preferences(None, {"language": language})
        turns = 1 if slowly else _LATE
        app._door = cast(Any, Late(self.door, turns))
        app.apply_theme()
        row.before(self.fake)
        if row.state is RUNNING:
            app.post_message(Opened(cast(Any, Late(self.fake, turns))))
        else:
            app.use_keys()
            app.switch_screen(UnlockScreen(app._door))
        await self.rest()
        # In a burst a letter that opens a question would hold back its answer: test_typed_words shows that.
        self._patch.setattr(app.typed, "note", lambda _event: None)
        self.fake.calls.clear()
        self.door.calls.clear()
        self.notes.clear()

    def look(self) -> Seen:
        self.pressed.screens.update(type(screen).__name__ for screen in self.app.screen_stack)
        if self.app.screen.focused is not None:
            self.pressed.focused.add(type(self.app.screen.focused).__name__)
        return look(self.app, self._names())

    def outcome(self) -> object:
        """All that can be compared: what is before the person, and what was asked."""
        return same_in_every_language(self.look()), self._calls(), tuple(self.notes)

    async def rest(self) -> None:
        """Until nothing runs but what runs for ever, and everything is laid out."""
        for _turn in range(_FIRST_TURNS):
            await asyncio.sleep(0)
        async with asyncio.timeout(_PATIENCE):
            for _again in range(2):
                spun = 0
                while self._is_at_work(spun):
                    spun += 1
                    await asyncio.sleep(0 if spun < _SPUN else 0.0005)
                await self._handled()

    async def _handled(self) -> None:
        """Until what handles keys has come to its end: it may wait in the middle of one."""
        screen = self.app.screen
        for pump in filter(None, (self.app, screen, screen.focused)):
            done = asyncio.Event()
            if pump.call_later(done.set):
                await done.wait()

    def _is_at_work(self, spun: int) -> bool:
        app = self.app
        queue = app.input_queue
        if any(map(_is_busy, queue._pumps())):
            return True
        if any(one.group not in _ENDLESS and not one.is_finished for one in app.workers):
            return True
        if spun < 2 * _LATE and any(one.group == "link" for one in app.workers):
            return True  # it asks, and then waits for an answer
        screen = app.screen
        if screen._layout_required or screen._callbacks or screen._dirty_widgets:
            if self._slowly:
                screen._on_timer_update()  # once, in the place of whenever it is due
            return True
        return queue.holds

    def _send(self, steps: Sequence[Step]) -> None:
        """Hand events over as the driver does with those of one read of the terminal."""
        for step in steps:
            if isinstance(step, Do):
                step.act(self.fake)
                continue
            driver = self.app._driver
            assert driver is not None
            for event in events_of(step):
                driver.process_message(event)

    def _note(self, step: Step, who: str, answering: object) -> None:
        assert isinstance(answering, dict)
        self.pressed.answering |= {(who, key) for key in answering}
        if not isinstance(step, Do):
            self.pressed.keys |= {
                (who, event.key) for event in events_of(step) if isinstance(event, events.Key)
            }

    def _names(self) -> dict[str, str]:
        names = {view.instance: view.name for view in self.fake._nearby.values()}
        names |= {self.fake._me.person: "notes"}
        self._known |= {view.person: view.name for view in self.fake._contacts.values()}
        for one in self.fake._conversations.values():
            names |= {entry.id: f"message {number}" for number, entry in enumerate(one.entries, 1)}
        return names | self._known

    def _calls(self) -> tuple[list[str], ...]:
        """What was asked for besides what is shown, with names and texts in the place of ids."""
        names = self._names()
        return tuple(
            [
                f"{call.method}({', '.join(_argument(one, names) for one in call.arguments)})"
                for call in calls
                if call.method not in _READING and not _is_by_the_way(call.method, call.arguments)
            ]
            for calls in (self.door.calls, self.fake.calls)
        )

    def _asked(self) -> list[str]:
        """What was asked for since the last time, and what else was done."""
        done = (*self._calls(), self.notes)
        since = [one for all, heard in zip(done, self._heard, strict=True) for one in all[heard:]]
        self._heard = tuple(map(len, done))
        return since


def _argument(value: object, names: dict[str, str]) -> str:
    if not isinstance(value, str):
        return str(value)
    place, dot, last = value.rpartition(".")
    text = names.get(value) or (f"{place}{dot}{names[last]}" if last in names else value)
    return _short(text.replace(home(), "~"))


def _short(text: str) -> str:
    line = text.replace("\n", "⏎")
    return line if len(line) <= _CELLS else f"{line[:_CELLS]}…"


def _is_by_the_way(method: str, arguments: tuple[object, ...]) -> bool:
    return method == "set_preference" and str(arguments[0]).startswith(_KEPT_BY_THE_WAY)


def shown_step(step: Step) -> str:
    if isinstance(step, Do):
        return f"({step.said})"
    if isinstance(step, (Text, Paste)):
        text = step.replace("\n", "⏎")
        shown = text if len(text) <= 24 else f"{text[:20]}… ({len(step)} characters)"
        return f"“{shown}”" if isinstance(step, Text) else f"paste “{shown}”"
    return step


def events_of(step: str) -> list[events.Event]:
    if isinstance(step, Paste):
        return [events.Paste(str(step))]
    return [_key(one) for one in (step if isinstance(step, Text) else (step,))]


def _key(name: str) -> events.Key:
    if len(name) == 1:
        return events.Key(_character_to_key(name), name)
    return events.Key(name, _CHARACTERS.get(name))


def _undrawn(self: Compositor, *_given: object, **_named: object) -> None:
    self._dirty_regions.clear()


_style_parts: Final = Stylesheet._process_component_classes


def _style_lines_only(self: Stylesheet, node: DOMNode) -> None:
    if isinstance(node, OptionList):  # which asks for it when it is laid out
        _style_parts(self, node)


@contextmanager
def _cheap() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textual_screen, "UPDATE_PERIOD", _DUE)
        patch.setattr(Compositor, "render_update", _undrawn)
        patch.setattr(recording, "Recording", Recorded)
        patch.setattr(Stylesheet, "_process_component_classes", _style_lines_only)
        yield patch


class Recorded:
    """A recording of two seconds, without a recorder."""

    seconds = 2

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    @classmethod
    async def begin(cls) -> Recorded:
        return cls()

    async def stop(self, _now: datetime) -> Voice:
        self.ended.set()
        return Voice("voice.wav", b"RIFF", 2)

    async def discard(self) -> None:
        self.ended.set()


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """A program on the first screen, in which rows can be played."""
    with _cheap() as patch, TemporaryDirectory() as own:
        (Path(own) / "files").mkdir()
        (Path(own) / "files" / "plan.txt").write_bytes(b"7 bytes")
        patch.setenv("HOME", own)
        door = cast(Any, Late(FakeDoor(FakeMessenger("Ann")), 1))
        app = ParlourApp(door, OPTIONS)
        async with app.run_test(size=SIZE):
            app.post_message(events.AppFocus())
            played = Stage(app, patch)
            with pytest.MonkeyPatch.context() as ends:
                ends.setattr(app, "exit", lambda *_given, **_named: played.notes.append("Parlour ends"))
                ends.setattr(app, "_write", lambda text: played.notes.append(_written(text)))
                await played.rest()
                yield played
                await played.rest()


def _written(text: str) -> str:
    return "the terminal is cleared" if text == "\x1b[2J" else "the terminal is written to"
