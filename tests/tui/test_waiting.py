"""Keys that come while an engine does not answer, and while the program ends."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from textual import events
from textual.pilot import Pilot

from chat.interface import DoorState
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import running, shown, until, until_shown
from tests.support.tui.opened import held_up
from tests.tui.played import Paste, Text, events_of, world

UNLOCKED = (Text("correct horse"), "enter")


def door_of(state: DoorState) -> tuple[FakeMessenger, FakeDoor]:
    fake = world(state)
    return fake, FakeDoor(fake, state=state)


def press(pilot: Pilot[None], *steps: str) -> None:
    """Hand all of it over as the driver does with one read of the terminal."""
    driver = pilot.app._driver
    assert driver is not None
    come: Sequence[events.Event] = [event for step in steps for event in events_of(step)]
    for event in come:
        driver.process_message(event)


async def test_what_is_pasted_stands_where_the_keys_before_it_went() -> None:
    fake, door = door_of(DoorState.LOCKED)
    async with running(door) as pilot:
        await until_shown(pilot, "Passphrase")
        press(pilot, *UNLOCKED, "ctrl+k", Text("Carla"), "enter", Paste("one\ntwo"), "enter")
        await until(pilot, lambda: bool(fake.called("send")))
    ((contact, text),) = fake.called("send")
    assert (fake._contacts[str(contact)].name, text) == ("Carla", "one\ntwo")


async def test_one_can_quit_while_the_engine_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _fake, door = door_of(DoorState.LOCKED)
    held_up(monkeypatch, door, "unlock")
    async with running(door) as pilot:
        await until_shown(pilot, "Passphrase")
        press(pilot, *UNLOCKED, Text("Hello"), "ctrl+q")
        await until(pilot, lambda: pilot.app._exit)
        assert "Hello" not in shown(pilot)


@pytest.mark.parametrize(
    ("method", "begin"), [("diagnose", ("f9",)), ("pair_address", ("f4", Text("10.0.0.9:4747"), "enter"))]
)
async def test_keys_go_on_while_an_answer_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, method: str, begin: tuple[str, ...]
) -> None:
    fake, door = door_of(DoorState.RUNNING)
    held_up(monkeypatch, fake, method)
    async with running(door) as pilot:
        await until_shown(pilot, "Write to")
        press(pilot, *begin, "escape", "ctrl+k", Text("Carla"), "enter", Text("Hello"), "enter")
        await until(pilot, lambda: bool(fake.called("send")))


async def test_keys_that_are_on_their_way_when_the_program_ends_end_it_as_any() -> None:
    _fake, door = door_of(DoorState.RUNNING)
    async with running(door) as pilot:
        await until_shown(pilot, "Write to")
        press(pilot, "ctrl+k", Text("Carla"), "enter", Text("Hello"), "enter")
        await until(pilot, lambda: pilot.app.input_queue.holds)  # type: ignore[attr-defined]
