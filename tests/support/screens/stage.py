"""The scenes on the fake: the whole program in this process, with a fixed clock, drawn once.

Rules: nothing waits for time; a cursor does not blink; a step is done when the program rests.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from unittest.mock import patch

from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from chat.interface import DoorState
from tests.support.fakes.demo import demo
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.screens.picture import Picture, of_strips
from tests.support.screens.scenes import Gone, Keys, Others, Scene, Seen, Step, Typed
from tests.support.tui.driving import OPTIONS, chat, running, shown, until
from tui.preferences import Theme
from tui.text import translation
from tui.widgets.history import History

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
