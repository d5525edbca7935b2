"""Backups, exports, restoring and the end of a profile, line by line."""

from __future__ import annotations

from pathlib import Path

from chat.interface import DoorState
from chat.storage.errors import StorageFull, WrongPassphrase
from tests.support.fakes.messenger import NEW_WORDS, RECOVERY_ASKED, FakeDoor
from tests.support.tui.linear.played import locked_door, new_door, play
from tui.text.backups import DESTROYS, LOST, NOT_ENCRYPTED, WITH_WORDS, WORDS_NOWHERE, WORDS_ON_PAPER

UNLOCK = ">> correct horse"
SECRET = ">> quite another one"


async def talk(*steps: str, door: FakeDoor | None = None) -> tuple[str, FakeDoor]:
    door = door or locked_door()
    said, _status = await play(iter([UNLOCK, *steps]), door)
    return "\n".join(said), door


async def test_a_backup_is_written_and_says_where_the_words_are() -> None:
    for kept, said in ((True, WORDS_NOWHERE), (False, WORDS_ON_PAPER)):
        door = locked_door()
        assert door.messenger is not None
        if kept:
            door.messenger.keep_seed()
        shown, _ = await talk("> /backup /a.backup", SECRET, SECRET, door=door)
        assert "/a.backup was written and checked" in shown
        assert said in shown
        assert door.messenger.backups == ["/a.backup"]


async def test_words_go_into_the_file_only_when_asked_for() -> None:
    shown, _ = await talk("> /backup words /a.backup", SECRET, SECRET)
    assert WITH_WORDS in shown
    assert WORDS_ON_PAPER not in shown


async def test_an_empty_line_or_two_that_differ_write_nothing_and_a_full_disk_is_said() -> None:
    shown, door = await talk("> /backup /a.backup", SECRET, ">> something else", ">> ")
    assert "The two passphrases differ." in shown
    assert "No backup was written." in shown
    assert door.messenger is not None
    assert door.messenger.backups == []
    full = locked_door()
    assert full.messenger is not None
    full.messenger.failures["back_up"] = StorageFull()
    shown, _ = await talk(
        "> /backup /a.backup", SECRET, SECRET, "> /backup /a.backup", SECRET, SECRET, door=full
    )
    assert "disk is full" in shown
    assert "/a.backup was written and checked" in shown


async def test_an_export_says_that_it_is_not_encrypted() -> None:
    shown, _ = await talk("> /export html /a.html", "> /export pdf /a.pdf", "> /export html /a.html")
    assert NOT_ENCRYPTED in shown
    assert "/a.html was written and checked: " in shown
    assert "Type /export, then html, markdown or jsonl" in shown
    assert "There is such a file." in shown


async def test_a_profile_is_destroyed_only_by_the_word() -> None:
    shown, door = await talk("> /wipe", "> yes", "> /wipe", "> destroy")
    assert shown.count(DESTROYS) == 2
    assert "Nothing was destroyed." in shown
    assert "The profile is destroyed." in shown
    assert await door.state() is DoorState.NEW


async def test_the_first_run_says_what_to_do_without_the_device_and_restores(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = new_door()
    door.failures["restore"] = WrongPassphrase()
    answers = (SECRET, ">> ", "> yes", "> ", SECRET, SECRET)
    restore = (f"> /restore {tmp_path / 'a'}", *answers)
    typed = " ".join(NEW_WORDS[place] for place in RECOVERY_ASKED)
    steps = ["> /lost", "> /restore", *restore, *restore, ">> acorn acorn acorn acorn", f">> {typed}"]
    said, _ = await play(iter(steps), door)
    shown = "\n".join(said)
    assert all(text in shown for text in LOST)
    assert "Wrong passphrase" in shown
    assert "Restored as a new device of Ada" in shown
    calls = [call.arguments for call in door.calls if call.method == "restore"]
    assert calls == [(str(tmp_path / "a"), (), True)] * 2
    assert said.count(f"34 {NEW_WORDS[33]}") == 2, "again after a wrong one"
    assert "Word 3 is another one." in shown
    assert door.written_down


async def test_nothing_is_restored_where_the_new_words_are_not_typed_back(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = new_door()
    steps = [f"> /restore {tmp_path / 'a'}", SECRET, ">> ", "> ", "> ", SECRET, SECRET, ">> "]
    said, _ = await play(iter(steps), door)
    assert any("Nothing was restored: your recovery words are those of before." in line for line in said)
    assert said[-1] == "Type the name."
    assert not door.written_down


async def test_a_restored_device_keeps_the_words_if_nobody_else_has_seen_them(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = new_door()
    steps = [f"> /restore {tmp_path / 'a'}", SECRET, ">> ", "> ", "> yes", SECRET, SECRET]
    said, _ = await play(iter(steps), door)
    assert any("Restored as a new device of Ada" in line for line in said)
    assert not door.written_down


async def test_without_words_there_is_an_archive_and_the_first_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a backup")
    door = new_door()
    door.lacks_words = True
    said, _ = await play(
        iter([f"> /restore {tmp_path / 'a'}", SECRET, ">> ", "> ", "> ", SECRET, SECRET]), door
    )
    shown = "\n".join(said)
    assert "parlour --profile /profile/archives/2026-12-01-00000000" in shown
    assert said[-1] == "Type the name."


async def test_an_archive_says_what_it_is_and_who_its_people_were() -> None:
    door = locked_door()
    assert door.messenger is not None
    door.messenger.become_archive()
    shown, _ = await talk("> /people", door=door)
    assert "Archive of the backup of 2026-12-01" in shown
    assert "was Ben, from a backup: pair again" in shown
