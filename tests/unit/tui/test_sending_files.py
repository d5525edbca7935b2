"""Sending files: the dialog that finds them, and paths that are pasted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from chat.interface import FileSealing, FileState, FileView, OnlyAsOriginal, UsageError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, composer, history, shown, until, until_shown, with_bob_open
from tests.support.tui.opened import on_top
from tui.screens.sending import SendDialog, SendFilesDialog
from tui.widgets.controls import Field


def made(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1_024)
    return folder


async def opened(pilot: Pilot[None], typed: str) -> SendFilesDialog:
    await pilot.press("alt+a")
    dialog = await on_top(pilot, SendFilesDialog)
    field = dialog.query_one("#typed", Field)
    field.value = typed
    field.cursor_position = len(typed)
    await pilot.pause()
    return dialog


def paths_of(messenger: FakeMessenger) -> list[tuple[object, object]]:
    return [(call[1], call[2]) for call in messenger.called("send_file")]


async def paste(pilot: Pilot[None], text: str) -> None:
    pilot.app.post_message(events.Paste(text))
    await pilot.pause()


async def test_one_file_is_found_and_sent(tmp_path: Path) -> None:
    made(tmp_path, "notes/a.txt", "notes/b.txt", "notes/.hidden")
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, f"{tmp_path}/no")
        shown = await until_shown(pilot, "notes/")
        assert ".hidden" not in shown
        await pilot.press("tab")
        shown = await until_shown(pilot, "a.txt")
        assert "1.0 KiB" in shown
        assert ".hidden" not in shown
        await pilot.press(".")
        await until_shown(pilot, ".hidden")
        await pilot.press("backspace", "down", "enter")
        await until(pilot, lambda: paths_of(messenger) == [(str(tmp_path / "notes/b.txt"), "b.txt")])
        await until_shown(pilot, "File b.txt")


async def test_several_files_and_a_folder_are_chosen_and_asked_for(tmp_path: Path) -> None:
    made(tmp_path, "in/x", "in/y", "in/.git/config", "in/.git/HEAD", "one", "two")
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    async with with_bob_open((100, 30)) as (pilot, messenger, _bob):
        await opened(pilot, f"{tmp_path}/")
        await until_shown(pilot, "two")
        await pilot.press("insert", "insert")
        await until_shown(pilot, "2 chosen")
        await pilot.press("enter")
        await on_top(pilot, SendDialog)
        shown = await until_shown(pilot, "Send 5 files (5.0 KiB) to Bob?")
        assert "1 is left out" in shown
        assert "Hidden, and sent too: in/.git" in shown
        assert messenger.called("send_file") == []
        await pilot.press("y")
        await until(pilot, lambda: len(paths_of(messenger)) == 5)
    wanted = ["in/x", "in/y", "in/.git/HEAD", "in/.git/config", "one"]
    assert [named for _path, named in paths_of(messenger)] == wanted


async def test_what_is_no_file_is_said_and_not_sent(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to nothing").symlink_to(tmp_path / "missing")
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, f"{tmp_path}/")
        shown = await until_shown(pilot, "pipe")
        assert "no file" in shown
        for key in ("enter", "insert"):
            await pilot.press(key)
            await until_shown(pilot, "pipe is a device, a pipe")
        await pilot.press("q", "enter")
        await until_shown(pilot, "No matching file.")
        await pilot.press("escape")
    assert messenger.called("send_file") == []


async def test_files_that_are_dropped_are_asked_for_and_their_paths_go(tmp_path: Path) -> None:
    made(tmp_path, "a b.txt", "c.txt")
    async with with_bob_open() as (pilot, messenger, _bob):
        composer(pilot).focus()
        await pilot.press(*"look:")
        await paste(pilot, f"'{tmp_path}/a b.txt' {tmp_path}/c.txt ")
        await until_shown(pilot, "Send 2 files (2.0 KiB) to Bob?")
        await pilot.press("y")
        await until(pilot, lambda: len(paths_of(messenger)) == 2)
        await until(pilot, lambda: composer(pilot).text == "look:")


async def test_a_paste_that_is_not_sent_stays_and_any_other_text_asks_nothing(tmp_path: Path) -> None:
    made(tmp_path, "c.txt")
    async with with_bob_open() as (pilot, messenger, _bob):
        composer(pilot).focus()
        for key in ("escape", "n", "enter"):
            await paste(pilot, f"{tmp_path}/c.txt ")
            await on_top(pilot, SendDialog)
            await pilot.press(key)
            await until(pilot, lambda: composer(pilot).text == f"{tmp_path}/c.txt ")
            composer(pilot).set_text("")
        for other in (f"{tmp_path}/missing", f"see {tmp_path}/c.txt", "hello"):
            await paste(pilot, other)
            await until(pilot, lambda other=other: composer(pilot).text == other)  # type: ignore[misc]
            await until(pilot, lambda: not any(one.group == "files" for one in chat(pilot).workers))
            assert not isinstance(pilot.app.screen, SendDialog)
            composer(pilot).set_text("")
        assert messenger.called("send_file") == []


async def test_a_file_that_is_refused_is_said(tmp_path: Path) -> None:
    made(tmp_path, "gone")
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, f"{tmp_path}/gone")
        messenger.failures["send_file"] = UsageError("The disk has too little room for this file.")
        await pilot.press("enter")
        await until_shown(pilot, "gone was not sent: The disk has too little room")


async def test_how_much_is_encrypted_is_said_and_a_key_cancels_it(tmp_path: Path) -> None:
    made(tmp_path, "big", "next")
    async with with_bob_open((100, 30)) as (pilot, messenger, bob):
        messenger.sealing = asyncio.Event()
        await opened(pilot, f"{tmp_path}/")
        await until_shown(pilot, "next")
        await pilot.press("insert", "insert", "enter")
        await messenger.sealing.wait()
        (_contact, mine, _client) = next(iter(messenger.sealed))
        messenger.emit(FileSealing(bob.person, mine, 512, 1_024))
        messenger.emit(FileSealing(bob.person, "another", 1_000, 1_024))
        await until_shown(pilot, "Encrypting big, 50 % of 1.0 KiB… (1/2)  Alt+X cancels it")
        await pilot.press("alt+x")
        await until_shown(pilot, "Cancel big?")
        await pilot.press("y")
        await until_shown(pilot, "Cancelled: 2 files were not sent.")
        assert messenger.called("cancel_file") == [(bob.person,)]
        assert len(paths_of(messenger)) == 1
        await pilot.press("alt+x")
        await until_shown(pilot, "No file is being prepared.")


async def test_pictures_are_sent_as_originals_where_that_is_chosen(tmp_path: Path) -> None:
    made(tmp_path, "one", "two", "in/x")
    async with with_bob_open((100, 30)) as (pilot, messenger, _bob):
        await opened(pilot, f"{tmp_path}/o")
        await until_shown(pilot, "Pictures are sent without their place, time and camera.")
        await pilot.press("ctrl+o")
        await until_shown(pilot, "Pictures are sent as they are")
        await pilot.press("enter")
        await until(pilot, lambda: [call[-1] for call in messenger.called("send_file")] == [True])
        await paste(pilot, f"{tmp_path}/two ")
        await until_shown(pilot, "Pictures are sent without their place")
        await pilot.press("o", "o", "o")
        await until_shown(pilot, "Pictures are sent as they are")
        await pilot.press("y")
        await until(pilot, lambda: [call[-1] for call in messenger.called("send_file")] == [True, True])


async def test_a_picture_that_is_damaged_is_offered_as_the_original(tmp_path: Path) -> None:
    made(tmp_path, "in/damaged", "in/whole")
    async with with_bob_open((100, 30)) as (pilot, messenger, _bob):
        await opened(pilot, f"{tmp_path}/in")
        await pilot.press("insert", "enter")
        await on_top(pilot, SendDialog)
        messenger.failures["send_file"] = OnlyAsOriginal("Its metadata cannot be removed.")
        await pilot.press("y")
        said = "damaged was not sent: its metadata cannot be removed. Alt+A offers it as the original."
        await until_shown(pilot, said)
        await pilot.press("alt+a")
        await until_shown(pilot, "1 chosen, 1.0 KiB")
        await until_shown(pilot, "Pictures are sent as they are")
        await pilot.press("enter")
        await until(pilot, lambda: len(paths_of(messenger)) == 3)
    sent = [(call[2], call[-1]) for call in messenger.called("send_file")]
    assert sent == [("in/damaged", False), ("in/whole", False), ("in/damaged", True)]


async def test_a_search_finds_a_file_by_its_name_and_its_folder() -> None:
    async with with_bob_open((100, 30)) as (pilot, messenger, bob):
        messenger.receive_file(bob.person, FileView("quay.jpg", "", 7, FileState.ASKS, folder="Photos 2026"))
        for typed in ("quay", "photos"):
            await pilot.press("ctrl+f", "home", "ctrl+k", *typed)
            await until_shown(pilot, "Photos 2026/quay.jpg")
            await until_shown(pilot, "1 result")
            await pilot.press("enter")
            await until(pilot, lambda: (one := history(pilot).chosen) is not None and one.file is not None)


async def test_what_was_chosen_is_there_again_for_the_same_person_after_escape(tmp_path: Path) -> None:
    made(tmp_path, "one", "two")
    async with with_bob_open((100, 30)) as (pilot, messenger, bob):
        messenger.add_contact("Carla")
        await opened(pilot, f"{tmp_path}/")
        await until_shown(pilot, "two")
        await pilot.press("insert", "insert")
        await until_shown(pilot, "2 chosen")
        await pilot.press("escape")
        chat(pilot).open_conversation(next(one for one in chat(pilot).state.talks if one != bob.person))
        await pilot.press("alt+a")
        await until_shown(pilot, "two")
        assert "2 chosen" not in shown(pilot)
        await pilot.press("escape")
        chat(pilot).open_conversation(bob.person)
        await pilot.press("alt+a")
        await until_shown(pilot, "2 chosen")
        await pilot.press("enter")
        await until(pilot, lambda: len(paths_of(messenger)) == 2)
