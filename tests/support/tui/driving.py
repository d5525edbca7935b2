"""A pilot on the fake for tests of the interface, which wait for a condition (`until`) and never for time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, timedelta

from msgspec.structs import replace
from textual import _wait, events
from textual.events import Key
from textual.pilot import Pilot

from chat.interface import ContactView, DoorState
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.fakes.others import START
from tui.app import ParlourApp
from tui.preferences import Options
from tui.screens.chat.chat import ChatScreen
from tui.widgets.composer import Composer
from tui.widgets.history import History

# How often the pilot looks whether the program rests after a key. No test relies on it: they use `until`.
_wait.SLEEP_GRANULARITY, _wait.SLEEP_IDLE = 0.002, 0.001

PATIENCE = 20.0
OPTIONS = Options(patience=3600, quiet=0.0, news=3600, now=lambda: START + timedelta(hours=3), zone=UTC)


class Typist(Pilot[None]):
    """A pilot whose keys have reached their widgets when `press` returns."""

    async def press(self, *keys: str) -> None:
        await super().press(*keys)
        assert isinstance(self.app, ParlourApp)
        queue = self.app.input_queue
        await until(self, lambda: not queue.holds)
        await self.pause()


@asynccontextmanager
async def running(
    door: FakeDoor, size: tuple[int, int] = (80, 24), options: Options = OPTIONS, *, attended: bool = True
) -> AsyncIterator[Pilot[None]]:
    """The whole program on a door; `attended`: in a terminal that has the focus, and says so."""
    async with ParlourApp(door, options).run_test(size=size) as pilot:
        if attended:
            pilot.app.post_message(events.AppFocus())
        await pilot.pause()
        yield Typist(pilot.app)


@asynccontextmanager
async def chatting(
    messenger: FakeMessenger, size: tuple[int, int] = (80, 24), *, attended: bool = True, **changed: object
) -> AsyncIterator[Pilot[None]]:
    """The chat screen on a messenger that runs already, for somebody who was asked for the passphrase."""
    options = replace(OPTIONS, **changed)
    door = Asked(messenger, state=DoorState.RUNNING)
    async with running(door, size, options, attended=attended) as pilot:
        await until(
            pilot, lambda: isinstance(pilot.app.screen, ChatScreen) and pilot.app.screen.state.me.name != ""
        )
        await pilot.pause()
        yield pilot


class Asked(FakeDoor):
    """A door whose profile runs, as if its passphrase had been typed in this window."""

    is_passphrase = None  # type: ignore[assignment]


@asynccontextmanager
async def with_bob_open(
    size: tuple[int, int] = (80, 24), *, present: bool = True, prompt: bool = True, **changed: object
) -> AsyncIterator[tuple[Pilot[None], FakeMessenger, ContactView]]:
    """The chat screen with the conversation of `with_bob`."""
    messenger, bob = with_bob(present=present, prompt=prompt)
    async with chatting(messenger, size, **changed) as pilot:  # type: ignore[arg-type]
        yield pilot, messenger, bob


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Give the program turns until something holds."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await pilot.pause(0.001)
    except TimeoutError:
        raise AssertionError(f"what the test waits for did not come; the screen is\n{shown(pilot)}") from None


async def until_shown(pilot: Pilot[None], text: str) -> str:
    await until(pilot, lambda: text in shown(pilot))
    return shown(pilot)


def shown(pilot: Pilot[None]) -> str:
    """What a person would see, a line a row."""
    return "\n".join(rows(pilot))


def rows(pilot: Pilot[None]) -> list[str]:
    """The rows of the screen as text, drawn again."""
    return [strip.text for strip in pilot.app.screen._compositor.render_strips()]


def chat(pilot: Pilot[None]) -> ChatScreen:
    """The chat screen, wherever it is in the stack."""
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, ChatScreen))


def history(pilot: Pilot[None]) -> History:
    return chat(pilot).query_one(History)


def composer(pilot: Pilot[None]) -> Composer:
    return chat(pilot).query_one(Composer)


async def write(pilot: Pilot[None], text: str) -> None:
    """Put a text into the composer as a paste does, without sending it."""
    composer(pilot).insert(text)
    await pilot.pause()


def with_bob(*, present: bool = True, prompt: bool = True) -> tuple[FakeMessenger, ContactView]:
    """A messenger with one contact, whose conversation opens by itself."""
    messenger = FakeMessenger("Ann", prompt=prompt)
    return messenger, messenger.add_contact("Bob", present=present)


async def burst(pilot: Pilot[None], *names: str) -> None:
    """Keys that come in one piece: none waits for what those before it do."""
    for name in names:
        pilot.app.post_message(Key(name, name if len(name) == 1 else None))
    await pilot.pause()
