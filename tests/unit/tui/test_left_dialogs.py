"""What was typed in a dialog is there again after Escape; secrets are not, and nothing is after a lock."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.fakes.around import PASSPHRASE
from tests.support.fakes.messenger import FakeDoor
from tests.support.tui.driving import (
    chat,
    running,
    shown,
    until,
    until_shown,
    with_bob,
    with_bob_open,
)
from tests.support.tui.opened import on_top, own_kinds
from tui.actions import key_name
from tui.screens.chat.chat import ChatScreen
from tui.screens.dialog import DayDialog, Dialog, RenameDialog, TimerDialog
from tui.screens.filesizes import FilesDialog
from tui.screens.invitations import AddressDialog, JoinDialog
from tui.screens.relays import RelaysDialog
from tui.screens.search import SearchDialog
from tui.widgets.controls import Field

# What opens a dialog, its class, what is typed there, and whether its field is empty at first.
DIALOGS = (
    ("join", JoinDialog, "parlour-invitation-that-was-pasted", True),
    ("address", AddressDialog, "192.168.1.77", True),
    ("relays", RelaysDialog, "parlour-relay:half", True),
    ("day", DayDialog, "2026-01", True),
    ("search", SearchDialog, "coffee", True),
    ("rename", RenameDialog, "Bobby", False),
    ("timer", TimerDialog, "3d", False),
    ("files", FilesDialog, "77", True),
)


async def typed_in(pilot: Pilot[None], name: str, kind: type[Dialog[Any]]) -> Field:
    chat(pilot).action_do(name)
    dialog = await on_top(pilot, kind)
    await until(pilot, lambda: pilot.app.focused is not None and bool(dialog.query(Field)))
    return dialog.query(Field).first()


@pytest.mark.parametrize(("name", "kind", "text", "empty"), DIALOGS, ids=lambda one: str(one))
async def test_escape_keeps_what_was_typed(
    name: str, kind: type[Dialog[Any]], text: str, empty: bool
) -> None:
    async with with_bob_open() as (pilot, _messenger, _bob):
        field = await typed_in(pilot, name, kind)
        before = field.value
        assert (before == "") is empty
        await pilot.press(*text, "escape")
        await on_top(pilot, ChatScreen)
        for _ in range(2):  # also where it was only looked at meanwhile
            field = await typed_in(pilot, name, kind)
            if not empty:
                assert field.value == before, "the field shows what holds"
                await until_shown(pilot, "↑ What you typed")
                await pilot.press("up")
            assert field.value == text
            await pilot.press("escape")
            await on_top(pilot, ChatScreen)
        field = await typed_in(pilot, name, kind)
        await pilot.press("up", "end", "ctrl+u", "escape")
        await on_top(pilot, ChatScreen)
        assert (await typed_in(pilot, name, kind)).value == before


async def test_what_is_done_is_not_offered_again() -> None:
    async with with_bob_open() as (pilot, _messenger, _bob):
        await typed_in(pilot, "rename", RenameDialog)
        await pilot.press(*"Bobby", "escape")
        await typed_in(pilot, "rename", RenameDialog)
        await pilot.press("up", "enter")
        await until(pilot, lambda: "Bobby" in shown(pilot))
        await typed_in(pilot, "rename", RenameDialog)
        await pilot.press("up")
        assert "What you typed" not in shown(pilot)


async def test_a_lock_forgets_what_was_typed() -> None:
    messenger, _bob = with_bob()
    async with running(FakeDoor(messenger)) as pilot:
        for left in (True, False):
            await until_shown(pilot, "Passphrase")
            await pilot.press(*map(key_name, PASSPHRASE), "enter")
            await on_top(pilot, ChatScreen)
            await until(pilot, lambda: chat(pilot).state.current is not None)
            field = await typed_in(pilot, "join", JoinDialog)
            assert field.value == ""
            await pilot.press(*"secret")
            if left:
                await pilot.press("escape")
                await on_top(pilot, ChatScreen)
            pilot.app.copy_to_clipboard("secret")
            await pilot.press("alt+l")
            await until(pilot, lambda: pilot.app.clipboard == "")


def test_fields_with_secrets_are_not_kept() -> None:
    kept = {kind.__name__ for kind in own_kinds(Dialog) if getattr(kind, "KEPT", ())}
    assert kept.isdisjoint(("PassphraseDialog", "RecoveryDialog", "UseRecoveryDialog"))
    assert len(kept) == 10
