"""The dialogs about backups: what they write, restore and destroy, what they warn of and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from chat.interface import DoorState
from chat.storage.errors import StorageFull, WrongPassphrase
from tests.support.fakes.messenger import NEW_WORDS, RECOVERY_ASKED, FakeDoor, FakeMessenger
from tests.support.tui.driving import chatting, shown, until, until_shown, with_bob, with_bob_open
from tests.support.tui.opened import at_the_door, on_top, type_words
from tui.screens.backup import BackupDialog, LostDialog, RestoreDialog, WipeDialog
from tui.screens.unlock import UnlockScreen
from tui.text.backups import LOST
from tui.widgets.controls import Choice, Field

SECRET = "quite another one"
OWN = "correct horse"


async def type_in(pilot: Pilot[None], *fields: str) -> None:
    for value in fields:
        await pilot.press(*value, "enter")


async def backup_dialog(pilot: Pilot[None]) -> BackupDialog:
    await pilot.press(*"/backup", "enter")
    return await on_top(pilot, BackupDialog)


async def test_a_backup_is_written_and_says_that_words_are_missing() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await backup_dialog(pilot)
        await until_shown(pilot, "Without them the backup can only be read")
        await pilot.press("tab", "tab", *SECRET, "enter", *SECRET)
        assert SECRET not in shown(pilot)
        assert dialog.query_one("#path", Field).value.startswith("~/parlour-")
        path = dialog.path
        await pilot.press("enter")
        await until_shown(pilot, "and checked: 1 message.")
        assert messenger.backups == [path]
        assert Path(path).is_absolute()


async def test_words_that_are_nowhere_are_warned_of_and_can_go_into_the_file() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        messenger.keep_seed()
        await backup_dialog(pilot)
        await until_shown(pilot, "neither in this backup nor")
        await pilot.press("right")
        await until_shown(pilot, "take over")
        await pilot.press("tab", "tab", *SECRET, "enter", *SECRET, "enter")
        await until(pilot, lambda: bool(messenger.backups))


async def test_a_readable_export_asks_for_no_passphrase_and_says_that_it_is_not_encrypted() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await backup_dialog(pilot)
        await pilot.press("right")
        await until_shown(pilot, "not encrypted")
        assert not dialog.query_one("#secret").display
        await pilot.press("tab", "enter")
        await until(pilot, lambda: bool(messenger.backups))
        (path,) = messenger.backups
        assert path.endswith(".html")


@pytest.mark.parametrize(
    ("problem", "said"), [(StorageFull(), "disk is full"), (None, "There is such a file.")]
)
async def test_a_refusal_keeps_what_was_typed(problem: StorageFull | None, said: str) -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await backup_dialog(pilot)
        if problem is None:
            messenger.backups.append(dialog.path)
        else:
            messenger.failures["back_up"] = problem
        await pilot.press("tab", "tab", *SECRET, "enter", *SECRET, "enter")
        await until_shown(pilot, said)
        assert dialog.query_one("#secret", Field).value == SECRET
        await pilot.press("ctrl+u", *"/tmp/another", "enter", "enter", "enter")
        await until_shown(pilot, "and checked: 1 message.")


async def test_an_archive_says_what_it_is_and_who_its_people_were() -> None:
    messenger, _bob = with_bob()
    messenger.become_archive()
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "Archive of the backup of 2026-12-01")
        await until_shown(pilot, "was Bob")
        await until_shown(pilot, "from a backup: pair again")


async def test_passphrases_that_differ_write_nothing() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await backup_dialog(pilot)
        await pilot.press("tab", "tab", *SECRET, "enter", *"another one", "enter")
        await until_shown(pilot, "The two passphrases differ.")
        assert messenger.backups == []


async def restore_dialog(pilot: Pilot[None]) -> RestoreDialog:
    await pilot.press("f4")
    await on_top(pilot, LostDialog)
    await pilot.press("enter")
    return await on_top(pilot, RestoreDialog)


async def test_the_first_screen_says_what_to_do_without_the_device_and_restores_a_backup(
    tmp_path: Path,
) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = FakeDoor(FakeMessenger("Ada"), state=DoorState.NEW)
    async with at_the_door(door, "Lost or backup") as pilot:
        await pilot.press("f4")
        await until_shown(pilot, LOST[0])
        await until_shown(pilot, LOST[4])
        await pilot.press("enter")
        await on_top(pilot, RestoreDialog)
        await type_in(pilot, str(tmp_path / "a"), SECRET, OWN, OWN, "")
        await until_shown(pilot, "New words replace the old ones.")
        await pilot.press("enter", "enter")
        await type_words(pilot, ["acorn"] * 4)
        await until_shown(pilot, "Word 3 is another one.")
        assert f" 1 {NEW_WORDS[0]}" in shown(pilot)
        await pilot.press("enter")
        await type_words(pilot, [NEW_WORDS[place] for place in RECOVERY_ASKED])
        await until_shown(pilot, "Restored as a new device of Ada")
        assert door.written_down
        (call,) = [call for call in door.calls if call.method == "restore"]
        assert call.arguments == (str(tmp_path / "a"), (), False)
        assert SECRET not in shown(pilot)


async def test_who_leaves_the_new_words_has_restored_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = FakeDoor(FakeMessenger("Ada"), state=DoorState.NEW)
    async with at_the_door(door, "Lost or backup") as pilot:
        dialog = await restore_dialog(pilot)
        await type_in(pilot, str(tmp_path / "a"), SECRET, OWN, OWN, "")
        await until_shown(pilot, "New words replace the old ones.")
        await pilot.press("enter", "escape")
        await until_shown(pilot, "Nothing was restored: your recovery words are those of before.")
        assert pilot.app.screen is dialog
        assert not door.written_down


async def test_a_restored_device_keeps_the_words_if_that_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = FakeDoor(FakeMessenger("Ada"), state=DoorState.NEW)
    async with at_the_door(door, "Lost or backup") as pilot:
        dialog = await restore_dialog(pilot)
        _remove, same = dialog.query(Choice)
        same.focus()
        await pilot.press("right")
        dialog.query(Field).first().focus()
        await type_in(pilot, str(tmp_path / "a"), SECRET, OWN, OWN, "")
        await until_shown(pilot, "Restored as a new device of Ada")
        assert not door.written_down


async def test_a_backup_without_words_says_where_its_archive_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = FakeDoor(FakeMessenger("Ada"), state=DoorState.NEW)
    door.lacks_words = True
    async with at_the_door(door, "Lost or backup") as pilot:
        await restore_dialog(pilot)
        await type_in(pilot, str(tmp_path / "a"), SECRET, OWN, OWN, "")
        await until_shown(pilot, "/archives/2026-12-01")


async def test_what_is_lacking_and_a_wrong_passphrase_are_said_and_nothing_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = FakeDoor(FakeMessenger("Ada"), state=DoorState.LOCKED)
    door.failures["restore"] = WrongPassphrase()
    async with at_the_door(door, "Lost or backup") as pilot:
        dialog = await restore_dialog(pilot)
        assert not dialog.query("#words")
        await pilot.press("enter", "enter", "enter")
        await until_shown(pilot, "Enter the name of a file.")
        await type_in(pilot, str(tmp_path / "none"), SECRET, OWN)
        await until_shown(pilot, "Wrong passphrase")
        await type_in(pilot, SECRET, OWN)
        await until_shown(pilot, "cannot be read")
        assert dialog.path == str(tmp_path / "none")


async def test_a_profile_is_destroyed_only_by_the_word() -> None:
    door = FakeDoor(FakeMessenger("Ada"), state=DoorState.LOCKED)
    door.archived = ("/profile/archives/one",)
    async with at_the_door(door, "Destroy") as pilot:
        await pilot.press("f8")
        await on_top(pilot, WipeDialog)
        await until_shown(pilot, "archives (1)")
        await type_in(pilot, "y")
        await until_shown(pilot, "nothing was destroyed")
        await type_in(pilot, "destroy")
        await until_shown(pilot, "The profile is destroyed.")
        assert await door.state() is DoorState.NEW


async def test_an_open_profile_is_locked_and_then_destroyed() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await pilot.press(*"/wipe", "enter")
        await on_top(pilot, WipeDialog)
        await type_in(pilot, "destroy")
        await on_top(pilot, UnlockScreen)
        await until_shown(pilot, "The profile is destroyed.")
        assert messenger.closed


async def test_escape_destroys_nothing() -> None:
    async with with_bob_open() as (pilot, messenger, _bob):
        await pilot.press(*"/wipe", "enter")
        await on_top(pilot, WipeDialog)
        await pilot.press(*"destroy", "escape")
        await pilot.pause()
        assert not messenger.closed
