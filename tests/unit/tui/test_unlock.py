"""First run and unlocking: two inputs, every failure on the screen, nothing typed is lost."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from chat.interface import BadData, CannotCreate, DoorState, ParlourError, Unreachable
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import chat, running, shown, until, until_shown
from tests.support.tui.opened import EndsMeanwhile, at_the_door, held_up, on_top
from tui.screens.chat.chat import ChatScreen

ASKED = "Enter your passphrase"
FIELDS = ("name", "passphrase", "again")
GIVEN = (*"Ann", "enter", *"five small words", "enter", *"five small words", "enter")


def new_door() -> FakeDoor:
    return FakeDoor(state=DoorState.NEW)


def called(door: FakeDoor, method: str) -> list[tuple[object, ...]]:
    return [call.arguments for call in door.calls if call.method == method]


async def test_first_run_takes_a_name_and_a_passphrase_which_stays_nowhere() -> None:
    door = new_door()
    async with at_the_door(door, "Name") as pilot:
        assert "P a r l o u r" in shown(pilot)
        assert "cannot be recovered" in shown(pilot)
        _name, *passphrases = (pilot.app.screen.query_one(f"#{field}", Input) for field in FIELDS)
        await pilot.press(*GIVEN)
        await on_top(pilot, ChatScreen)
        assert [field.value for field in passphrases] == ["", ""]
        # The message that submitted it may still be on its way to the application.
        await until(pilot, lambda: "five" not in repr(vars(pilot.app)))
    assert called(door, "create") == [("Ann", "five small words")]


async def test_two_passphrases_that_differ_create_nothing_and_can_be_mended() -> None:
    door = new_door()
    async with at_the_door(door, "Repeat the passphrase") as pilot:
        await pilot.press(*GIVEN[:-2], "enter")
        await until_shown(pilot, "The two passphrases differ.")
        assert not called(door, "create")
        await pilot.press(*"five small words", "enter")  # what differs cannot be seen: it is typed again
        await on_top(pilot, ChatScreen)
    assert called(door, "create") == [("Ann", "five small words")]


async def test_a_short_passphrase_needs_a_second_enter() -> None:
    door = new_door()
    async with at_the_door(door, "Name") as pilot:
        await pilot.press(*"Ann", "enter", *"abc", "enter", *"abc", "enter")
        await until_shown(pilot, "is short and easy to guess")
        assert not called(door, "create")
        await pilot.press("d", "backspace", "enter")
        await pilot.pause()
        assert not called(door, "create")  # it was changed meanwhile: the warning is said once more
        await pilot.press("enter")
        await on_top(pilot, ChatScreen)
    assert called(door, "create") == [("Ann", "abc")]


async def test_colours_chosen_on_the_first_screen_are_kept_in_the_profile_that_opens() -> None:
    messenger = FakeMessenger("Ann")
    messenger._preferences["theme"] = "dark"
    async with at_the_door(FakeDoor(messenger), ASKED) as pilot:
        await pilot.press("ctrl+b", *"correct horse", "enter")
        await on_top(pilot, ChatScreen)
        assert pilot.app.theme == "parlour-light"
        await until(pilot, lambda: messenger._preferences.get("theme") == "light")


async def test_first_run_says_what_is_missing() -> None:
    door = new_door()
    async with at_the_door(door, "Name") as pilot:
        await pilot.press("enter", "enter", "enter")
        await until_shown(pilot, "Enter a name")
        await pilot.press(*"Ann", "enter", "enter", "enter")
        await until_shown(pilot, "Enter a passphrase")
    assert not called(door, "create")


async def test_a_passphrase_is_hidden_until_asked_for_and_its_strength_is_said() -> None:
    async with at_the_door(new_door(), "Name") as pilot:
        await pilot.press(*"Ann", "enter", *"abc")
        assert "abc" not in await until_shown(pilot, "easy to guess")
        await pilot.press("f2")
        await until_shown(pilot, "abc")


async def test_a_wrong_passphrase_is_said_and_may_be_tried_again() -> None:
    door = FakeDoor(FakeMessenger(), passphrase="abc")
    async with at_the_door(door, ASKED) as pilot:
        assert "Repeat" not in shown(pilot)
        await pilot.press(*"wrong", "enter")
        await until_shown(pilot, "Wrong passphrase")
        await pilot.press(*"abc", "enter")  # however short, it is asked for once
        await on_top(pilot, ChatScreen)
    assert called(door, "unlock") == [("wrong",), ("abc",)]


@pytest.mark.parametrize(
    "problem",
    [
        BadData("The header of the profile is damaged: restore it from a backup."),
        CannotCreate("Another engine has this profile open: close it first."),
    ],
)
async def test_other_failures_are_shown_and_keep_what_was_typed(problem: ParlourError) -> None:
    door = FakeDoor(FakeMessenger())
    door.failures["unlock"] = problem
    async with at_the_door(door, ASKED) as pilot:
        await pilot.press(*"correct horse", "enter")
        await until_shown(pilot, str(problem)[:40])
        assert pilot.app.screen.query_one("#passphrase", Input).value == "correct horse"


@pytest.mark.parametrize("typed", ["", "typed after Enter"])
async def test_a_failed_creation_keeps_the_name_and_shows_no_passphrase(typed: str) -> None:
    door = new_door()
    door.failures["create"] = CannotCreate("The folder cannot be written: free some space.")
    async with at_the_door(door, "Name") as pilot:
        name, *passphrases = (pilot.app.screen.query_one(f"#{field}", Input) for field in FIELDS)
        await pilot.press("f2", *GIVEN)
        await until_shown(pilot, "The folder cannot be written")
        assert name.value == "Ann"
        await pilot.press(*typed)
        assert "typed after Enter" not in shown(pilot)
        await pilot.press("f2")
        assert not any(field.password for field in passphrases)
        if not typed:
            await pilot.press("enter")
            await on_top(pilot, ChatScreen)


async def test_attack_72_a_damaged_profile_offers_no_fresh_start() -> None:
    door = FakeDoor(FakeMessenger())
    door.failures["state"] = BadData("The database of this profile is missing: restore it from a backup.")
    async with at_the_door(door, "The database of this profile is missing") as pilot:
        assert "Name" not in shown(pilot)
        assert "Passphrase" not in shown(pilot)
        await pilot.press("f9")
        await until_shown(pilot, "iptables keeps TCP port")
        await pilot.press("escape", "enter")
        await until_shown(pilot, ASKED)
    assert not called(door, "create")


async def test_a_running_engine_is_joined_without_a_passphrase_and_closed_by_quitting() -> None:
    messenger = FakeMessenger("Ann")
    door = FakeDoor(messenger, state=DoorState.RUNNING)
    async with running(door) as pilot:
        await on_top(pilot, ChatScreen)
        await pilot.press("ctrl+q")
    assert [call.method for call in door.calls] == ["state", "attach"]
    assert messenger.called("close")


async def test_a_running_engine_that_does_not_answer_may_be_asked_again() -> None:
    door = FakeDoor(FakeMessenger("Ann"), state=DoorState.RUNNING)
    door.failures["attach"] = Unreachable("The engine does not answer: close the other Parlour.")
    async with at_the_door(door, "The engine does not answer") as pilot:
        await pilot.press("enter")
        await on_top(pilot, ChatScreen)


async def test_an_engine_that_ended_a_moment_ago_leaves_the_passphrase_to_be_asked_for() -> None:
    async with at_the_door(EndsMeanwhile(), ASKED):
        pass


async def test_a_lock_blanks_the_screen_before_the_engine_has_locked_and_asks_for_the_passphrase(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messenger = FakeMessenger("Ann")
    go_on = held_up(monkeypatch, messenger, "lock")
    bob = messenger.add_contact("Bob", present=True)
    messenger.receive(bob.person, "for Ann alone")
    async with at_the_door(FakeDoor(messenger, state=DoorState.RUNNING), "for Ann alone") as pilot:
        await pilot.press("ctrl+o", "alt+l")  # over a dialog too
        screen = await until_shown(pilot, "Locked.")
        assert "Ann" not in screen
        assert "Bob" not in screen
        assert not messenger.closed
        go_on.set()
        assert "for Ann alone" not in await until_shown(pilot, ASKED)
        await pilot.press(*"correct horse", "enter")
        await until_shown(pilot, "for Ann alone")
        assert chat(pilot).state.current == bob.person


async def test_an_engine_that_closes_leads_back_and_says_why() -> None:
    messenger = FakeMessenger("Ann")
    async with running(FakeDoor(messenger, state=DoorState.RUNNING)) as pilot:
        await on_top(pilot, ChatScreen)
        await pilot.pause()
        await messenger.lock()
        assert "Parlour was locked." in await until_shown(pilot, ASKED)
