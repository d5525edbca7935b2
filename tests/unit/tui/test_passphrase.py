"""The passphrase dialog: what it refuses, what it asks twice, and that it shows nothing of what is typed."""

from __future__ import annotations

from textual.pilot import Pilot

from chat.interface import SHORT_PASSPHRASE, UnlockCost
from tests.support.tui.driving import shown, until_shown, with_bob_open
from tests.support.tui.opened import opened
from tui.screens.passphrase import PassphraseDialog
from tui.widgets.controls import Field

OLD, NEW = "correct horse", "another long one"


CHANGED = (OLD, NEW, UnlockCost.KEPT, False)


async def type_in(pilot: Pilot[None], *fields: str) -> None:
    for value in fields:
        await pilot.press(*value, "enter")


async def test_the_passphrase_is_changed_and_nothing_of_it_is_shown() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await opened(pilot, "alt+k", PassphraseDialog)
        await pilot.press(*OLD, "enter", *NEW, "enter", *NEW)
        assert dialog.query_one("#new", Field).value == NEW
        assert not any(part in shown(pilot) for part in (OLD, NEW))
        await pilot.press("enter")
        await until_shown(pilot, "The passphrase was changed.")
        assert messenger.called("change_passphrase") == [CHANGED]


async def test_a_new_key_is_offered_after_the_change_and_made_for_a_yes_alone() -> None:
    for answer, asked in (("n", []), ("enter", []), ("y", [(NEW, NEW, UnlockCost.KEPT, True)])):
        async with with_bob_open() as (pilot, messenger, _bob):
            await opened(pilot, "alt+k", PassphraseDialog)
            await type_in(pilot, OLD, NEW, NEW)
            await until_shown(pilot, "Seal the history under a new key?")
            assert "An old copy of the profile's header" in shown(pilot)
            await pilot.press(answer)
            await until_shown(pilot, "The history has a new key." if asked else "The passphrase was changed.")
            assert messenger.called("change_passphrase")[1:] == asked


async def test_a_wrong_passphrase_and_two_that_differ_change_nothing() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, "alt+k", PassphraseDialog)
        await type_in(pilot, OLD, NEW, "another one")
        await until_shown(pilot, "The two passphrases differ.")
        assert messenger.called("change_passphrase") == []
        await type_in(pilot, NEW, NEW)
        await until_shown(pilot, "The passphrase was changed.")
        await pilot.press("n")
        await opened(pilot, "alt+k", PassphraseDialog)
        await type_in(pilot, OLD, NEW, NEW)
        await until_shown(pilot, "Wrong passphrase")
        assert messenger.passphrase == NEW


async def test_an_empty_field_is_asked_for_and_a_short_passphrase_is_confirmed() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await opened(pilot, "alt+k", PassphraseDialog)
        await pilot.press("enter", *"abc", "enter", *"abc", "enter")
        await until_shown(pilot, "Enter a passphrase.")
        assert dialog.focused is dialog.query_one("#old")
        await pilot.press(*OLD, "enter", "enter", "enter")
        await until_shown(pilot, str(SHORT_PASSPHRASE)[:40])
        assert messenger.called("change_passphrase") == []
        await pilot.press("enter")
        await until_shown(pilot, "The passphrase was changed.")
        assert messenger.passphrase == "abc"
