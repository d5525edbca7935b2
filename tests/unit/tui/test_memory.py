"""When Python looks for what nothing needs any more: not while somebody waits, and all of it after a lock."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from chat.interface import DoorState
from tests.support.fakes.messenger import FakeDoor
from tests.support.tui.driving import chat, running, until, until_shown, with_bob
from tui import app, textual_fixes
from tui.app import ParlourApp
from tui.widgets.controls import Field


@pytest.fixture(autouse=True)
def as_a_program(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tests share their process with others, so that the interface leaves its memory alone there."""
    monkeypatch.setattr(ParlourApp, "is_headless", False)
    monkeypatch.setattr(app, "_SETTLED_AFTER", 0.01)
    yield
    gc.unfreeze()
    gc.enable()


async def test_what_a_start_made_is_left_alone_until_a_lock() -> None:
    textual_fixes.pause_collection()
    messenger, _bob = with_bob()
    async with running(FakeDoor(messenger, state=DoorState.LOCKED)) as pilot:
        await until(pilot, gc.isenabled)
        pilot.app.screen.query_one("#passphrase", Field).value = "correct horse"
        await pilot.press("enter")
        await until_shown(pilot, "No messages yet.")
        await until(pilot, lambda: not _is_collected(chat(pilot)))
        await pilot.press("alt+l")
        await until_shown(pilot, "Enter your passphrase")
        await until(pilot, lambda: gc.get_freeze_count() == 0)
        assert gc.isenabled()


def _is_collected(thing: object) -> bool:
    """Whether the collector looks at it."""
    return any(one is thing for one in gc.get_objects())
