"""Where most tests of the interface begin: a conversation that is read, a screen that is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, TypeVar

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from chat.interface import ContactView, DoorState, EntryView, ParlourError
from tests.architecture.imports import ROOT, sources
from tests.support.fakes.messenger import RECOVERY_ASKED, FakeDoor, FakeMessenger
from tests.support.tui.driving import chatting, rows, running, until, until_shown, with_bob
from tui.widgets.controls import Field

Kind = TypeVar("Kind", bound=Screen[Any])
Talk = tuple[Pilot[None], FakeMessenger, ContactView]


@asynccontextmanager
async def reading(
    *said: str,
    count: int = 0,
    unread: int = 0,
    size: tuple[int, int] = (80, 24),
    failing: Mapping[str, ParlourError] = {},
    **changed: Any,
) -> AsyncIterator[Talk]:
    """The conversation with Bob, who wrote `count` numbered entries and then `said`, once it is shown.

    `failing`: what the first call of a method raises.
    """
    messenger, bob = with_bob()
    messenger.failures.update(failing)
    messenger.fill(bob.person, [f"entry {number}." for number in range(count)], unread=unread)
    for text in said:
        messenger.receive(bob.person, text)
    async with chatting(messenger, size, **changed) as pilot:
        if "history" not in failing:
            await until_shown(pilot, " New " if unread else [f"entry {count - 1}.", *said][-1])
        yield pilot, messenger, bob


@asynccontextmanager
async def at_the_door(door: FakeDoor, shows: str) -> AsyncIterator[Pilot[None]]:
    """The first screen, once it shows a text."""
    async with running(door) as pilot:
        await until_shown(pilot, shows)
        yield pilot


class EndsMeanwhile(FakeDoor):
    """A door whose engine runs when one looks, and has ended when one comes."""

    def __init__(self) -> None:
        super().__init__(FakeMessenger("Ada"), state=DoorState.RUNNING)

    async def attach(self) -> FakeMessenger:
        assert self.messenger is not None
        self.messenger.closed = True
        return await super().attach()


def received(messenger: FakeMessenger, contact: ContactView, text: str, **place: Any) -> EntryView:
    """An entry that arrives from a contact who is not blocked."""
    entry = messenger.receive(contact.person, text, **place)
    assert entry is not None
    return entry


def entries(messenger: FakeMessenger, contact: ContactView) -> list[EntryView]:
    """All entries with a contact, in their order."""
    return list(messenger._conversations[contact.person].entries)


def held_up(patch: pytest.MonkeyPatch, subject: object, method: str) -> asyncio.Event:
    """Make the calls of a method wait, from now on, until the event is set."""
    go_on, call = asyncio.Event(), getattr(subject, method)

    async def late(*arguments: Any, **named: Any) -> Any:
        await go_on.wait()
        return await call(*arguments, **named)

    patch.setattr(subject, method, late)
    return go_on


async def on_top(pilot: Pilot[None], kind: type[Kind]) -> Kind:
    """The screen on top, once it is of a kind."""
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    screen = pilot.app.screen
    assert isinstance(screen, kind)
    return screen


async def opened(pilot: Pilot[None], key: str, kind: type[Kind]) -> Kind:
    """The screen that a key opens."""
    await pilot.press(key)
    return await on_top(pilot, kind)


async def type_words(pilot: Pilot[None], words: list[str]) -> None:
    """Answer a dialog that asks for some of the recovery words."""
    for place, word in zip(RECOVERY_ASKED, words, strict=True):
        await until_shown(pilot, f"Type word {place + 1}.")
        pilot.app.screen.query_one("#word", Field).value = word
        await pilot.press("enter")


def place_of(pilot: Pilot[None], text: str) -> tuple[int, int]:
    """Column and row of a text on the screen."""
    row = next(at for at, line in enumerate(rows(pilot)) if text in line)
    return rows(pilot)[row].index(text), row


async def click(pilot: Pilot[None], text: str, right: int = 0) -> None:
    """Click on a text, once it is shown, so many columns to the right of its begin."""
    await until_shown(pilot, text)
    column, row = place_of(pilot, text)
    await pilot.click(offset=(column + right, row))


def own_kinds(base: type) -> set[type]:
    """All subclasses that the interface's screens have of a class."""
    for path in sources(ROOT, "tui/screens"):
        import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    kinds = [base]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return {kind for kind in kinds if kind.__module__.startswith("tui.")}
