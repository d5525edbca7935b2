"""Both interfaces with the system's keyring: it opens the profile at a start, and at no other time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from chat.interface import Door, Kept, KeyringFailure
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import OPTIONS, burst, composer, running, shown, until, until_shown, with_bob
from tests.support.tui.linear.played import Others, Played, Recorder, play
from tests.support.tui.opened import at_the_door, held_up, on_top
from tui import app
from tui.app import ParlourApp
from tui.linear.program import Program
from tui.screens.chat.chat import ChatScreen
from tui.screens.unlock import UnlockScreen
from tui.terminal import Handover

ASKED = "Enter your passphrase"
ASKED_LINEAR = "Type your passphrase. It is not shown."
OPENING = "Opening with the passphrase in the system's keyring. It may ask you to unlock it."
REFUSED = KeyringFailure("The keyring is locked: unlock it.")
TYPED = (*"five small words", "enter")


class Careless(FakeDoor):
    """A door that opens with the keyring after a lock too, so that only the interface can ask."""

    async def kept(self) -> Kept:
        self._look()
        self.in_keyring = Kept.YES
        return Kept.YES


def kept_door(messenger: FakeMessenger | None = None, kind: type[FakeDoor] = FakeDoor) -> FakeDoor:
    door = kind(messenger or FakeMessenger("Ann"))
    door.in_keyring = Kept.YES
    return door


def called(door: FakeDoor, method: str) -> int:
    return sum(call.method == method for call in door.calls)


async def test_the_keyring_opens_the_profile_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    door = kept_door()
    go_on = held_up(monkeypatch, door, "unlock_kept")
    async with at_the_door(door, OPENING[:40]) as pilot:
        assert "Passphrase" not in shown(pilot)
        go_on.set()
        await on_top(pilot, ChatScreen)
    assert (called(door, "unlock_kept"), called(door, "unlock")) == (1, 0)


async def test_a_keyring_that_fails_is_said_and_what_was_typed_meanwhile_is_the_passphrase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = kept_door()
    door.failures["unlock_kept"] = REFUSED
    go_on = held_up(monkeypatch, door, "unlock_kept")
    async with at_the_door(door, OPENING[:40]) as pilot:
        await burst(pilot, *"correct horse")
        go_on.set()
        await until_shown(pilot, str(REFUSED))
        await pilot.press("enter")
        await on_top(pilot, ChatScreen)


@pytest.mark.parametrize("gives_up", [False, True])
async def test_a_passphrase_that_was_typed_while_the_keyring_opened_is_in_no_message(
    monkeypatch: pytest.MonkeyPatch, gives_up: bool
) -> None:
    messenger, _ = with_bob()
    door, now = kept_door(messenger), [0.0]
    go_on = held_up(monkeypatch, door, "unlock_kept")
    options = replace(OPTIONS, quiet=1.0, monotonic=lambda: now[0])
    async with running(door, options=options) as pilot:
        await until_shown(pilot, OPENING[:40])
        await burst(pilot, *TYPED[:8])
        if gives_up:  # the keys were let through to the first screen, as after a long wait
            app_of(pilot).input_queue._hurry.set()
            await until(pilot, lambda: not app_of(pilot).input_queue.holds)
        go_on.set()
        await on_top(pilot, ChatScreen)
        await until_shown(pilot, "Bob")
        for key in TYPED[8:]:  # the rest, faster than the pause
            now[0] += 0.5
            await pilot.press(key)
        assert composer(pilot).text == ""
        now[0] += 1.0
        await pilot.press("enter", *"Hello", "enter")
        await until(pilot, lambda: bool(messenger.called("send")))
    assert [arguments[1] for arguments in messenger.called("send")] == ["Hello"]


@pytest.mark.parametrize("quick", [True, False])
async def test_keys_after_a_start_in_which_nothing_was_typed_are_a_message(quick: bool) -> None:
    messenger, _ = with_bob()
    options = replace(OPTIONS, quiet=3600.0 if quick else 0.0)
    async with running(kept_door(messenger), options=options) as pilot:
        await on_top(pilot, ChatScreen)
        await until_shown(pilot, "Bob")
        await pilot.press("enter", *"Hello", "enter")
        await until(pilot, lambda: bool(messenger.called("send")))


async def test_after_a_lock_the_passphrase_is_asked_for() -> None:
    door = kept_door(kind=Careless)
    async with running(door) as pilot:
        await on_top(pilot, ChatScreen)
        await pilot.press("alt+l")
        await until_shown(pilot, ASKED)
        assert called(door, "unlock_kept") == 1
        await pilot.press(*"correct horse", "enter")
        await on_top(pilot, ChatScreen)
    assert (called(door, "unlock_kept"), called(door, "unlock")) == (1, 1)


async def test_planted_use_after_a_lock_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(door: Door, **given: Any) -> UnlockScreen:
        return UnlockScreen(door, **{**given, "keyring": True})

    monkeypatch.setattr(app, "UnlockScreen", planted)
    door = kept_door(kind=Careless)
    async with running(door) as pilot:
        await on_top(pilot, ChatScreen)
        await pilot.press("alt+l")
        await until(pilot, lambda: called(door, "unlock_kept") > 1)


async def test_a_program_that_follows_a_locked_one_asks() -> None:
    door = kept_door(kind=Careless)
    async with ParlourApp(door, OPTIONS, Handover("Locked.")).run_test() as pilot:
        await until_shown(pilot, ASKED)
    assert called(door, "unlock_kept") == 0


async def test_a_paused_keyring_is_not_asked() -> None:
    door = kept_door()
    door.in_keyring = Kept.PAUSED
    async with at_the_door(door, ASKED):
        assert called(door, "unlock_kept") == 0


async def test_the_linear_mode_opens_with_the_keyring_and_asks_after_a_lock() -> None:
    door = kept_door(kind=Careless)
    said, status = await play(iter(["> /lock", ">> correct horse", "> /quit"]), door)
    assert (said.count(OPENING), said.count(ASKED_LINEAR), status) == (1, 1, 0)
    assert said.index(OPENING) < said.index("> /lock") < said.index(ASKED_LINEAR)


async def test_the_linear_mode_says_what_failed_and_asks() -> None:
    door = kept_door()
    door.failures["unlock_kept"] = REFUSED
    said, status = await play(iter([">> correct horse", "> /quit"]), door)
    assert said[:3] == [OPENING, str(REFUSED), ASKED_LINEAR]
    assert status == 0


async def test_a_linear_mode_that_follows_a_locked_one_asks() -> None:
    door, output = kept_door(kind=Careless), Recorder()
    assert door.messenger is not None
    steps: Iterator[str] = iter([">> correct horse", "> /quit"])
    played = Played(steps, Others(door.messenger), output)
    await Program(door, OPTIONS, played, output, again=True).run()
    assert played.transcript[0] == ASKED_LINEAR
    assert called(door, "unlock_kept") == 0


def app_of(pilot: Pilot[None]) -> ParlourApp:
    assert isinstance(pilot.app, ParlourApp)
    return pilot.app
