"""The interfaces show every event with every value of each enum in each language. A fault ends neither."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import pytest

from chat.interface import EntryAdded, EntryKind, Event, FileState, FileView, Notice, Phrase
from tests.support.every_event import every_event
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import shown, until_shown, with_bob_open
from tests.support.tui.linear.played import ACTS, Others, play
from tui.linear.history import History
from tui.screens.chat.history import HistoryController
from tui.text import translation

UNLOCK = ">> correct horse"
STEP = 40  # events between two looks: all of them in one frame would be drawn once
UNSHOWN = {"en": "could not be shown", "zh_CN": "无法显示"}


def happen(messenger: FakeMessenger, person: str, event: Event) -> None:
    """An event, and where it is an entry that a history has, the entry in it."""
    if isinstance(event, EntryAdded) and event.entry.kind not in (EntryKind.EDIT, EntryKind.DELETE):
        messenger._conversations[person].entries.append(event.entry)
    messenger.emit(event)


@pytest.mark.parametrize("language", translation.LANGUAGES)
async def test_the_screens_show_every_event(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", language)
    async with with_bob_open((100, 40)) as (pilot, messenger, bob):
        for at, event in enumerate(every_event(bob.person, "Bob", mixed=5)):
            happen(messenger, bob.person, event)
            if at % STEP == 0:
                await pilot.pause()
                assert UNSHOWN[language] not in shown(pilot)
        await pilot.pause()
        assert UNSHOWN[language] not in shown(pilot)
        assert pilot.app.is_running


@pytest.mark.parametrize("language", translation.LANGUAGES)
async def test_the_linear_mode_says_every_event(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", language)
    messenger = FakeMessenger("Ada")
    bob = messenger.add_contact("Bob", present=True)
    events = list(every_event(bob.person, "Bob", mixed=5))

    def happens(on: Others, at: str, _: str) -> None:
        for event in events[int(at) : int(at) + STEP]:
            happen(messenger, bob.person, event)

    monkeypatch.setitem(ACTS, "happens", happens)
    steps: Iterator[str] = (f"* {at} happens" for at in range(0, len(events), STEP))
    steps = chain([UNLOCK, "> /open Bob"], steps)
    said, status = await play(steps, FakeDoor(messenger))
    assert status == 0
    assert not [line for line in said if UNSHOWN[language] in line]
    assert len(said) > len(events) / 4


@pytest.mark.parametrize("language", translation.LANGUAGES)
async def test_a_fault_of_the_screens_in_one_event_is_named_and_ends_nothing(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", language)
    monkeypatch.setattr(HistoryController, "entry_added", _breaks)
    async with with_bob_open((100, 24)) as (pilot, messenger, bob):
        messenger.receive_file(bob.person, FileView("a.bin", "", 12, FileState.WHOLE, 12))
        await until_shown(pilot, UNSHOWN[language])
        messenger.emit(Notice(Phrase("and on it goes")))
        await until_shown(pilot, "and on it goes")


async def test_a_fault_of_the_linear_mode_in_one_event_is_named_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(History, "arrived", _breaks)
    messenger = FakeMessenger("Ada")
    messenger.add_contact("Bob", present=True)
    said, status = await play(
        iter([UNLOCK, "* Bob writes hello", "* Bob says and on it goes"]), FakeDoor(messenger)
    )
    assert status == 0
    (named,) = [line for line in said if UNSHOWN["en"] in line]
    assert named == "EntryAdded could not be shown (KeyError). Please report it."
    assert any("and on it goes" in line for line in said)


def _breaks(*_: object) -> None:
    raise KeyError("a secret of a peer")
