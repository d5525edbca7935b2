"""Every screen and dialog with the steps that lead there, and their pictures on the fake messenger."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from unittest.mock import patch

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from chat.errors import NO_ANSWER
from chat.interface import (
    PASSPHRASES_DIFFER,
    SHORT_PASSPHRASE,
    DoorState,
    PairingStage,
    RelayStanding,
    Unreachable,
)
from chat.service.settings import NO_KEY
from chat.service.views import TEXTS
from chat.storage.errors import StorageFull
from protocol.identity.reduction import CauseKind
from protocol.relay.rendezvous import RelayAddress
from tests.support.fakes.demo import demo
from tests.support.fakes.messenger import WRONG, FakeDoor, FakeMessenger
from tests.support.fakes.others import WORDS
from tests.support.screens.pictures import Picture, of_strips
from tests.support.tui.driving import OPTIONS, chat, running, shown, until
from tui.preferences import Theme
from tui.text import translation
from tui.widgets.history import History


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that are pressed, by Textual's names."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Typed:
    """A text that is typed; `zh` in the Chinese picture."""

    text: str
    zh: str = ""

    def within(self, language: str) -> str:
        return self.zh if self.zh and language.startswith("zh") else self.text


@dataclass(frozen=True, slots=True)
class Seen:
    """A text that is on the screen before the next step; shown by the program, and so translated."""

    text: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A text that is on the screen no more."""

    text: str


@dataclass(frozen=True, slots=True)
class Others:
    """What others do: on the fake only, or by themselves (`real`) in the real program."""

    act: Callable[[FakeMessenger], object]
    real: bool = False


Step = Keys | Typed | Seen | Gone | Others


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture. `world`: `new` (no profile), `alone` (nobody around) or `talk` (the sample network, the
    conversation with Ben open). `shows`: what tells that it is there. `back`: keys from there
    to where it began.
    """

    name: str
    world: str
    steps: tuple[Step, ...]
    shows: str
    back: tuple[str, ...] = ("escape",)

    @property
    def real(self) -> bool:
        """Whether the real program can be brought there by keys alone."""
        return all(step.real for step in self.steps if isinstance(step, Others))


def keys(*names: str) -> Keys:
    return Keys(names)


def dialog(name: str, key: str, shows: str, *more: Step) -> Scene:
    """A dialog over the conversation that one key opens."""
    return Scene(name, "talk", (keys(key), *more), shows)


def _ben(fake: FakeMessenger) -> str:
    return next(view.person for view in fake._contacts.values() if view.name == "Ben")


def _hear(fake: FakeMessenger) -> None:
    for number in range(1, 4):
        fake.receive(_ben(fake), f"And one more thing, number {number}.")


def _name_relays(fake: FakeMessenger) -> None:
    hosts = ("relay.example.org", "fe80::7", "192.168.1.2", "10.20.30.40")
    standings = (RelayStanding.WAITING, RelayStanding.OTHER_KEY, RelayStanding.UNREACHABLE, None)
    for host, standing in zip(hosts, standings, strict=True):
        address = str(RelayAddress(host, 4746, b"\x09" * 32))
        fake.name_relay(address, invited=host == "192.168.1.2")
        if standing is not None:
            fake.stand_relay(address, standing)


def _hold(fake: FakeMessenger) -> None:
    fake.change_identity(_ben(fake), TEXTS[CauseKind.RECOVERED], holds=True)


def _show_words(fake: FakeMessenger) -> None:
    fake.move_pairing(next(reversed(fake._pairings)), PairingStage.WORDS, words=WORDS)


FIRST_RUN = (
    Scene("first-run", "new", (), "Start", back=()),
    Scene(
        "first-run-typed",
        "new",
        (
            Typed("Ada", "小雨"),
            keys("enter"),
            Typed("quiet rivers under old bridges"),
            keys("enter"),
            Typed("quiet rivers under old bridges"),
        ),
        "Repeat the passphrase",
        back=(),
    ),
)
_LOOKING = "Checking network, firewall and profile…"
ALONE = (
    Scene("alone", "alone", (), "Diagnose connection", back=()),
    Scene("doctor", "alone", (keys("f9"), Gone(_LOOKING)), "Diagnosis"),
)

_UP = keys("ctrl+up", "up", "up")
TALKING = (
    Scene("conversation", "talk", (), "Ben", back=()),
    Scene("further-up", "talk", (keys("pageup", "pageup"),), "Ben", back=("alt+end",)),
    Scene("chosen", "talk", (_UP,), "Ben", back=("escape", "alt+end")),
    Scene("entry-menu", "talk", (_UP, keys("enter")), "This message", back=("escape", "escape", "alt+end")),
    Scene("delete", "talk", (_UP, keys("d")), "Are you sure?", back=("n", "escape", "alt+end")),
    Scene("details", "talk", (_UP, keys("i")), "Details", back=("escape", "escape", "alt+end")),
    Scene(
        "replying",
        "talk",
        (_UP, keys("r"), Typed("Both are in the small room.", "都在小会议室。")),
        "Esc: cancel reply",
        back=("escape", "ctrl+u", "alt+end"),
    ),
    Scene(
        "writing",
        "talk",
        (
            Typed("The quay is free from nine on:", "九点以后码头有空："),
            keys("ctrl+j"),
            Typed("- tables and **chairs**", "- 桌子和**椅子**"),
            keys("ctrl+j"),
            Typed("- `plan-3.svg` at the door", "- 门口贴 `plan-3.svg`"),
        ),
        "plan-3.svg",
        back=("ctrl+u", "backspace", "ctrl+u", "backspace", "ctrl+u"),
    ),
    Scene(
        "emoji",
        "talk",
        (Typed("The quay is ours ", "码头归我们了 "), keys(":", "h", "e", "down")),
        ":headphone:",
        back=("escape", "ctrl+u"),
    ),
    dialog("emoji-chooser", "alt+e", "Emoji", Seen("Part of the English name"), Typed("cat")),
    dialog("switcher", "ctrl+k", "Go to a conversation"),
    dialog("commands", "ctrl+p", "Commands"),
    dialog("commands-found", "ctrl+p", "Commands", Seen("Type a command"), Typed("inv", "邀")),
    dialog("search", "ctrl+f", "Search in the conversation with {name}", Typed("plans", "图纸")),
    dialog("search-all", "ctrl+f", "Search in all conversations", keys("ctrl+f"), Typed("ten", "十点")),
    Scene("jump", "talk", (keys("alt+j"),), "Ben"),
    dialog("day", "f10", "Go to a date"),
    dialog("add", "ctrl+n", "Add a contact"),
    dialog("invitation", "f2", "Invitation"),
    Scene(
        "joiner",
        "talk",
        (Others(lambda fake: fake.use_invitation("parlour:1", "Dov"), real=True),),
        "Yes, it is them",
        back=("n", "escape"),
    ),
    dialog("join", "f3", "Use an invitation"),
    dialog("address", "f4", "Pair by address"),
    dialog("contact-menu", "ctrl+o", "This contact"),
    dialog("safety-number", "ctrl+t", "Safety number"),
    dialog("rename", "f6", "Rename"),
    dialog("block", "f7", "Are you sure?"),
    dialog("remove", "f8", "Are you sure?"),
    dialog("help", "f1", "Help"),
    dialog("help-end", "f1", "Help", Seen("Scroll"), keys("end")),
    dialog("relays", "alt+r", "Relays"),
    dialog("settings", "f12", "Settings"),
    dialog("settings-end", "f12", "Settings", Seen("Appearance and keys"), keys("end")),
    Scene("away", "talk", (keys("alt+down"),), "Chiara", back=("alt+up",)),
    Scene("other-script", "talk", (keys("alt+up"),), "小雨", back=("alt+down",)),
    Scene(
        "words",
        "talk",
        (keys("tab", "end", "enter"), Others(_show_words, real=True)),
        "They match",
        back=("n", "escape"),
    ),
    Scene("locked", "talk", (keys("ctrl+l"), Seen("Locked.")), "Show passphrase", back=()),
    Scene(
        "wrong-passphrase",
        "talk",
        (keys("ctrl+l"), Seen("Locked."), Typed("open sesame"), keys("enter")),
        WRONG,
        back=(),
    ),
)


_DELETED = (_UP, keys("d", "y"))
_WORDS = "They match"
_SHORT = (Typed("Ada", "小雨"), keys("enter"), Typed("lark"), keys("enter"), Typed("lark"))
ON_THE_FAKE = (
    Scene("passphrases-differ", "new", (*_SHORT, Typed("s"), keys("enter")), PASSPHRASES_DIFFER),
    dialog(
        "join-refused",
        "f3",
        "This is no invitation, or a part of it is missing: copy the whole line.",
        Seen("Use an invitation"),
        Typed("parlour:half"),
        keys("enter"),
    ),
    Scene("short-passphrase", "new", (*_SHORT, keys("enter")), SHORT_PASSPHRASE),
    dialog(
        "relays-named",
        "alt+r",
        "Relays",
        Others(_name_relays),
        Seen("key does not match"),
        keys("tab", "down"),
    ),
    dialog("relay-damaged", "alt+r", NO_KEY, Typed("192.168.1.2:4746"), keys("enter")),
    Scene(
        "relay-removed",
        "talk",
        (Others(_name_relays), keys("alt+r"), Seen("Show relays"), keys("tab", "d")),
        "Are you sure?",
        back=("n", "escape"),
    ),
    Scene(
        "relayed", "talk", (Others(lambda fake: fake.change_contact(_ben(fake), relayed=True)),), "⇄ relay"
    ),
    Scene("deleting", "talk", _DELETED, "(deleting…)"),
    Scene(
        "deleted",
        "talk",
        (*_DELETED, Seen("(deleting…)"), Others(lambda fake: fake.tidy())),
        "Deleted. The profile file no longer contains it.",
    ),
    dialog("invitation-picture", "f2", "▀", Seen("Invitation"), keys("p")),
    Scene("new-below", "talk", (keys("pageup", "pageup"), Others(_hear)), " ↓ {number} new below · End "),
    Scene("typing", "talk", (Others(lambda fake: fake.change_contact(_ben(fake), typing=True)),), "typing…"),
    Scene("held", "talk", (Others(_hold),), "not verified"),
    Scene("held-compared", "talk", (Others(_hold), keys("ctrl+t")), "Safety number"),
    Scene(
        "blocked",
        "talk",
        (Others(lambda fake: fake._set_contact(replace(fake._contacts[_ben(fake)], blocked=True))),),
        "blocked",
    ),
    Scene(
        "notice",
        "talk",
        (Others(lambda fake: fake.notice(StorageFull.what)),),
        "The disk is full: nothing was stored. Free some space and try again.",
    ),
    Scene("somebody-begins", "talk", (Others(lambda fake: fake.stranger_begins("Dov")),), _WORDS),
    Scene("connecting", "talk", (keys("tab", "end", "enter"),), "Connecting to {name}…"),
    Scene(
        "waiting",
        "talk",
        (Others(lambda fake: fake.stranger_begins("Dov")), Seen("They match"), keys("y")),
        "The other person must confirm too.",
    ),
    Scene(
        "failed",
        "talk",
        (
            Others(lambda fake: fake.failures.update(pair_nearby=Unreachable(NO_ANSWER))),
            keys("tab", "end", "enter"),
        ),
        "Pairing with {name}",
    ),
    Scene(
        "too-long",
        "talk",
        (Others(lambda fake: None), Typed("more than there is room for, " * 570)),
        "more than",
    ),
    Scene(
        "cannot-send",
        "talk",
        (Others(lambda fake: fake.failures.update(send=StorageFull())), Typed("Hello"), keys("enter")),
        "Hello",
    ),
)

EVERY = (*FIRST_RUN, *ALONE, *TALKING, *ON_THE_FAKE)


_SOUGHT = 24  # characters, so that they stand in one row
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class View:
    """How a picture is looked at."""

    size: tuple[int, int] = (80, 24)
    theme: Theme = Theme.DARK
    language: str = translation.ENGLISH
    density: str = ""

    def __str__(self) -> str:
        parts = ("x".join(map(str, self.size)), self.theme.value, self.language, self.density)
        return "-".join(part for part in parts if part)


async def take(scene: Scene, view: View) -> Picture:
    """The picture of a scene on the fake."""
    with patch.dict(os.environ, {"LANG": view.language}, clear=True):  # nothing of this machine's
        return await _take(scene, view)


async def _take(scene: Scene, view: View) -> Picture:
    translation.use(view.language)
    async with _stage(scene, view) as (pilot, fake):
        for step in scene.steps:
            await _do(pilot, fake, step, view.language)
        await until(pilot, lambda: words_of(scene.shows) in shown(pilot))
        await _rest(pilot)
        screen = pilot.app.screen
        return of_strips(screen._compositor.render_strips(), view.size[0])


def words_of(text: str) -> str:
    """What is sought for a text: in the language in use, the begin of the longest part between its values."""
    shown = translation._(text)
    if shown == text:  # or one that has a form for numbers
        shown = translation._n(text, text, 3)
    return max(re.split(r"\{\w+\}", shown), key=len).strip()[:_SOUGHT]


@asynccontextmanager
async def _stage(scene: Scene, view: View) -> AsyncIterator[tuple[Pilot[None], FakeMessenger]]:
    fake = FakeMessenger("Ada", visible=True, prompt=False)
    if scene.world == "talk":
        fake = demo(chinese=view.language != translation.ENGLISH)
    fake.invitation_head, fake.invitation_tail = "PARLOUR:", "A2B3C4D5E6F7" * 12
    fake._preferences = {"theme": view.theme.value, "language": view.language, "density": view.density}
    state = DoorState.NEW if scene.world == "new" else DoorState.RUNNING
    options = replace(OPTIONS, now=lambda: NOW, patience=0.001 if scene.world == "alone" else 3600)
    async with running(FakeDoor(fake, state=state), view.size, options) as pilot:
        if scene.world == "talk":
            await _open(pilot, "Ben")
        yield pilot, fake


async def _open(pilot: Pilot[None], name: str) -> None:
    """Open the conversation with a contact."""
    await until(pilot, lambda: "ChatScreen" in repr(pilot.app.screen_stack))
    await until(pilot, lambda: bool(chat(pilot).state.contacts))
    person = next(view.person for view in chat(pilot).state.contacts.values() if view.name == name)
    chat(pilot).open_conversation(person)
    await until(pilot, lambda: bool(chat(pilot).query_one(History).window.entries))
    await _rest(pilot)


async def _do(pilot: Pilot[None], fake: FakeMessenger, step: Step, language: str) -> None:
    match step:
        case Keys(names):
            for name in names:
                await pilot.press(name)
        case Typed():
            text = step.within(language)
            focused = pilot.app.focused
            if isinstance(focused, Input):
                focused.insert_text_at_cursor(text)
            elif isinstance(focused, TextArea):
                focused.insert(text)
        case Seen(text):
            await until(pilot, lambda: words_of(text) in shown(pilot))
        case Gone(text):
            await until(pilot, lambda: words_of(text) not in shown(pilot))
        case Others(act):
            act(fake)
    await pilot.pause()


async def _rest(pilot: Pilot[None]) -> None:
    """Until two pictures in turn are the same, without a blinking cursor."""
    for field in pilot.app.screen.query("Input, TextArea"):
        field.cursor_blink = False  # type: ignore[attr-defined]
    before = ""
    while before != (now := shown(pilot)):
        before = now
        await pilot.pause(0.005)
