"""First run and unlocking: two inputs, every failure on the screen, nothing typed is lost."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import Input

from chat.interface import BadData, CannotCreate, DoorState, ParlourError, Unreachable
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.tui.driving import burst, chat, running, shown, until, until_shown
from tui.screens.chat.chat import ChatScreen


async def test_first_run_takes_a_name_and_a_passphrase() -> None:
    door = FakeDoor(state=DoorState.NEW)
    async with running(door) as pilot:
        screen = await until_shown(pilot, "Name")
        assert "cannot be recovered" in screen
        await pilot.press(*"Ann", "enter", *"five small words", "enter", *"five small words", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    assert _created(door) == [("Ann", "five small words")]


async def test_what_is_typed_in_one_burst_goes_to_its_own_fields() -> None:
    door = FakeDoor(state=DoorState.NEW)
    async with running(door) as pilot:
        await until_shown(pilot, "Name")
        await burst(pilot, *"Ann", "enter", *"quiet-rivers", "enter", *"quiet-rivers", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    assert _created(door) == [("Ann", "quiet-rivers")]


async def test_two_passphrases_that_differ_create_nothing_and_can_be_mended() -> None:
    door = FakeDoor(state=DoorState.NEW)
    async with running(door) as pilot:
        await until_shown(pilot, "Repeat the passphrase")
        await pilot.press(*"Ann", "enter", *"five small words", "enter", *"five small word", "enter")
        await until_shown(pilot, "The two passphrases differ.")
        assert not _created(door)
        await pilot.press(*"five small words", "enter")  # what differs cannot be seen: it is typed again
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    assert _created(door) == [("Ann", "five small words")]


async def test_a_short_passphrase_needs_a_second_enter() -> None:
    door = FakeDoor(state=DoorState.NEW)
    async with running(door) as pilot:
        await until_shown(pilot, "Name")
        await pilot.press(*"Ann", "enter", *"abc", "enter", *"abc", "enter")
        await until_shown(pilot, "is short and easy to guess")
        assert not _created(door)
        await pilot.press("d", "backspace", "enter")
        await pilot.pause()
        assert not _created(door)  # it was changed meanwhile: the warning is said once more
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    assert _created(door) == [("Ann", "abc")]


async def test_an_existing_passphrase_is_asked_for_once_however_short() -> None:
    async with running(FakeDoor(FakeMessenger(), passphrase="abc")) as pilot:
        assert "Repeat" not in await until_shown(pilot, "Enter your passphrase")
        await pilot.press(*"abc", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))


async def test_no_passphrase_stays_in_a_field_once_the_profile_is_open() -> None:
    async with running(FakeDoor(state=DoorState.NEW)) as pilot:
        await until_shown(pilot, "Name")
        first = pilot.app.screen
        fields = [first.query_one(name, Input) for name in ("#passphrase", "#again")]
        await pilot.press(*"Ann", "enter", *"five small words", "enter", *"five small words", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert [field.value for field in fields] == ["", ""]


def _created(door: FakeDoor) -> list[tuple[object, ...]]:
    """Names and passphrases of the profiles that were made."""
    return [call.arguments for call in door.calls if call.method == "create"]


async def test_colours_chosen_on_the_first_screen_are_kept_in_the_profile_that_opens() -> None:
    messenger = FakeMessenger("Ann")
    messenger._preferences["theme"] = "dark"
    async with running(FakeDoor(messenger, passphrase="open")) as pilot:
        await pilot.press("ctrl+b", *"open", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert pilot.app.theme == "parlour-light"
        await until(pilot, lambda: messenger._preferences.get("theme") == "light")


async def test_first_run_says_what_is_missing() -> None:
    door = FakeDoor(state=DoorState.NEW)
    async with running(door) as pilot:
        await until_shown(pilot, "Name")
        await pilot.press("enter", "enter", "enter")
        await until_shown(pilot, "Enter a name")
        await pilot.press(*"Ann", "enter", "enter", "enter")
        await until_shown(pilot, "Enter a passphrase")
    assert not _created(door)


async def test_a_passphrase_is_hidden_until_asked_for_and_its_strength_is_said() -> None:
    async with running(FakeDoor(state=DoorState.NEW)) as pilot:
        await until_shown(pilot, "Name")
        await pilot.press(*"Ann", "enter", *"abc")
        screen = await until_shown(pilot, "easy to guess")
        assert "abc" not in screen
        await pilot.press("f2")
        await until_shown(pilot, "abc")


async def test_a_wrong_passphrase_is_said_and_may_be_tried_again() -> None:
    door = FakeDoor(FakeMessenger())
    async with running(door) as pilot:
        await until_shown(pilot, "Enter your passphrase")
        await pilot.press(*"wrong", "enter")
        await until_shown(pilot, "Wrong passphrase")
        await pilot.press(*"correct horse", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    assert [call.arguments for call in door.calls if call.method == "unlock"] == [
        ("wrong",),
        ("correct horse",),
    ]


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
    async with running(door) as pilot:
        await until_shown(pilot, "Enter your passphrase")
        await pilot.press(*"correct horse", "enter")
        await until_shown(pilot, str(problem)[:40])
        assert pilot.app.screen.query_one("#passphrase", Input).value == "correct horse"


async def test_a_failed_creation_keeps_the_name() -> None:
    door = FakeDoor(state=DoorState.NEW)
    door.failures["create"] = CannotCreate("The folder cannot be written: free some space.")
    async with running(door) as pilot:
        await until_shown(pilot, "Name")
        await pilot.press(*"Ann", "enter", *"quiet rivers", "enter", *"quiet rivers", "enter")
        await until_shown(pilot, "The folder cannot be written")
        assert pilot.app.screen.query_one("#name", Input).value == "Ann"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))


async def test_no_passphrase_is_shown_once_a_creation_began() -> None:
    door = FakeDoor(state=DoorState.NEW)
    door.failures["create"] = CannotCreate("The folder cannot be written: free some space.")
    async with running(door) as pilot:
        await until_shown(pilot, "Name")
        await pilot.press("f2", *"Ann", "enter", *"quiet rivers", "enter", *"quiet rivers", "enter")
        await until_shown(pilot, "The folder cannot be written")
        await pilot.press(*"typed after Enter")
        assert "typed after Enter" not in shown(pilot)
        await pilot.press("f2")
        fields = [pilot.app.screen.query_one(name, Input) for name in ("#passphrase", "#again")]
        assert not any(field.password for field in fields)


async def test_attack_72_a_damaged_profile_offers_no_fresh_start() -> None:
    door = FakeDoor(FakeMessenger())
    door.failures["state"] = BadData("The database of this profile is missing: restore it from a backup.")
    async with running(door) as pilot:
        screen = await until_shown(pilot, "The database of this profile is missing")
        assert "Name" not in screen
        assert "Passphrase" not in screen
        await pilot.press("f9")
        await until_shown(pilot, "iptables keeps TCP port")
        await pilot.press("escape", "enter")
        await until_shown(pilot, "Enter your passphrase")
    assert not [call for call in door.calls if call.method == "create"]


async def test_a_running_engine_is_joined_without_a_passphrase() -> None:
    door = FakeDoor(FakeMessenger("Ann"), state=DoorState.RUNNING)
    async with running(door) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    assert [call.method for call in door.calls] == ["state", "attach"]


async def test_a_running_engine_that_does_not_answer_may_be_asked_again() -> None:
    door = FakeDoor(FakeMessenger("Ann"), state=DoorState.RUNNING)
    door.failures["attach"] = Unreachable("The engine does not answer: close the other Parlour.")
    async with running(door) as pilot:
        await until_shown(pilot, "The engine does not answer")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))


class EndsMeanwhile(FakeDoor):
    """A door whose engine runs when one looks, and has ended when one comes."""

    async def attach(self) -> FakeMessenger:
        assert self.messenger is not None
        self.messenger.closed = True
        return await super().attach()


async def test_an_engine_that_ended_a_moment_ago_leaves_the_passphrase_to_be_asked_for() -> None:
    door = EndsMeanwhile(FakeMessenger("Ann"), state=DoorState.RUNNING)
    async with running(door) as pilot:
        await until_shown(pilot, "Enter your passphrase")


async def test_a_lock_blanks_the_screen_and_asks_for_the_passphrase() -> None:
    messenger = FakeMessenger("Ann")
    bob = messenger.add_contact("Bob", present=True)
    messenger.receive(bob.person, "for Ann alone")
    door = FakeDoor(messenger, state=DoorState.RUNNING)
    async with running(door) as pilot:
        await until_shown(pilot, "for Ann alone")
        await pilot.press("ctrl+o", "ctrl+l")  # over a dialog too
        assert "for Ann alone" not in await until_shown(pilot, "Enter your passphrase")
        assert messenger.called("lock")
        await pilot.press(*"correct horse", "enter")
        await until_shown(pilot, "for Ann alone")
        assert chat(pilot).state.current == bob.person


async def test_the_screen_is_blank_before_the_engine_has_locked() -> None:
    gate = asyncio.Event()

    class Slow(FakeMessenger):
        async def lock(self) -> None:
            await gate.wait()
            await super().lock()

    messenger = Slow("Ann")
    messenger.receive(messenger.add_contact("Bob").person, "for Ann alone")
    async with running(FakeDoor(messenger, state=DoorState.RUNNING)) as pilot:
        await until_shown(pilot, "for Ann alone")
        await pilot.press("ctrl+l")
        screen = await until_shown(pilot, "Locked.")
        assert "Ann" not in screen
        assert "Bob" not in screen
        assert not messenger.closed
        gate.set()
        await until_shown(pilot, "Enter your passphrase")


async def test_an_engine_that_closes_leads_back_and_says_why() -> None:
    messenger = FakeMessenger("Ann")
    door = FakeDoor(messenger, state=DoorState.RUNNING)
    async with running(door) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await pilot.pause()
        await messenger.lock()
        assert "Parlour was locked." in await until_shown(pilot, "Enter your passphrase")


async def test_quitting_closes_the_messenger() -> None:
    messenger = FakeMessenger("Ann")
    async with running(FakeDoor(messenger, state=DoorState.RUNNING)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await pilot.press("ctrl+q")
    assert messenger.called("close")


async def test_first_screen_is_never_blank() -> None:
    async with running(FakeDoor(state=DoorState.NEW)) as pilot:
        assert "P a r l o u r" in shown(pilot)
