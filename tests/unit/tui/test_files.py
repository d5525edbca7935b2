"""Files in the history: what their line says, and what is done with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from chat.interface import (
    FILES_RELAYED,
    WITHOUT_ASKING,
    ContactView,
    EntryState,
    EntryView,
    FileState,
    FileView,
)
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chat, chatting, history, until, until_shown, with_bob
from tests.support.tui.opened import on_top
from tui.saving import of_one_folder
from tui.screens.dialog import ConfirmDialog, SaveDialog
from tui.screens.filesizes import FilesDialog
from tui.text.formatting import file_line
from tui.widgets.controls import Field

MIB = 1 << 20


def with_file(state: FileState, held: int = 0) -> tuple[FakeMessenger, ContactView, EntryView]:
    messenger, bob = with_bob()
    file = FileView("report.pdf", "application/pdf", 4 * MIB, state, held)
    return messenger, bob, messenger.receive_file(bob.person, file, b"the report")


async def choose(pilot: Pilot[None], entry: EntryView) -> None:
    """Put the cursor on an entry."""
    await until_shown(pilot, "report.pdf")
    history(pilot).choose(entry.id)
    await until(pilot, lambda: history(pilot).has_focus)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        (FileView("a.bin", "", 900, FileState.WHOLE, 900), "File a.bin, 900 B"),
        (FileView("a.bin", "", 3 * MIB, FileState.ASKS), "File a.bin, 3.0 MiB: not fetched yet"),
        (FileView("a.bin", "", 4 * MIB, FileState.PAUSED, MIB), "File a.bin, 4.0 MiB: paused at 25 %"),
        (FileView("a.bin", "", 4 * MIB, FileState.TAKING, MIB), "File a.bin, 25 % of 4.0 MiB"),
        (
            FileView("a.bin", "", 64 * MIB, FileState.TAKING, MIB, MIB),
            "File a.bin, 1 % of 64 MiB, 1.0 MiB a second, 1:03 left",
        ),
        (
            FileView("a.bin", "", 0, FileState.TAKING),
            "File a.bin, 0 B: comes when a device that has it is online",
        ),
        (FileView("a\u202eb\nc", "", 1, FileState.WHOLE, 1), None),
    ],
)
def test_the_line_of_a_file_says_where_it_stands(file: FileView, line: str | None) -> None:
    said = file_line(file)
    assert line is None or said == line
    assert not set(said) & set("\u202e\n")


async def test_the_history_and_the_list_show_a_file_and_its_progress() -> None:
    messenger, bob, entry = with_file(FileState.TAKING)
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "report.pdf, 4.0 MiB: comes when")
        messenger.move_file(bob.person, entry.id, FileState.TAKING, MIB, MIB)
        await until_shown(pilot, "second, 0:03 left")
        messenger.move_file(bob.person, entry.id, FileState.WHOLE)
        screen = await until_shown(pilot, "File report.pdf, 4.0 MiB")
        assert "25 %" not in screen


async def test_s_takes_a_file_and_pauses_and_saves_it(tmp_path: Path) -> None:
    messenger, bob, entry = with_file(FileState.ASKS)
    messenger.prompt = False
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await pilot.press("s")
        await until(pilot, lambda: messenger.called("take_file") == [(bob.person, entry.id)])
        await until_shown(pilot, "comes when")
        await choose(pilot, entry)
        await pilot.press("s")
        await until(pilot, lambda: messenger.called("pause_file") == [(bob.person, entry.id)])
        await until_shown(pilot, "paused at")
        messenger.move_file(bob.person, entry.id, FileState.WHOLE)
        await until_shown(pilot, "File report.pdf, 4.0 MiB")
        await choose(pilot, entry)
        await pilot.press("s")
        dialog = await on_top(pilot, SaveDialog)
        field = dialog.query_one("#folder")
        assert field.value == "~/Downloads"  # type: ignore[attr-defined]
        field.value = str(tmp_path)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "report.pdf").exists())
        await until_shown(pilot, "Saved as")
    assert (tmp_path / "report.pdf").read_bytes() == b"the report"
    assert messenger._preferences["saved_in"] == str(tmp_path)


def with_folder(*states: FileState) -> tuple[FakeMessenger, list[EntryView]]:
    """A text and a file, then the files of one folder with an answer between them, then another file."""
    messenger, bob = with_bob()
    messenger.prompt = False

    def came(name: str, state: FileState = FileState.WHOLE, folder: str = "") -> EntryView:
        file = FileView(name, "", 10, state, 10 if state is FileState.WHOLE else 0, folder=folder)
        return messenger.receive_file(bob.person, file, b"the report")

    came("before.txt", folder="other")
    begun = [came(f"{number}.txt", state, "trip/day") for number, state in enumerate(states)]
    messenger.say_as_me(bob.person, "between", EntryState.READ)
    last = came("report.pdf", folder="trip")
    came("after.txt")
    return messenger, [*begun, last]


async def answer_in(pilot: Pilot[None], folder: Path) -> str:
    """Choose the folder in the dialog that asks where to save; what it says."""
    dialog = await on_top(pilot, SaveDialog)
    dialog.query_one("#folder", Field).value = str(folder)
    said = str(dialog.query_one("#about", Static).content)
    await pilot.press("enter")
    return said


def saved_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.*"))


async def test_s_saves_all_files_of_a_folder(tmp_path: Path) -> None:
    messenger, entries = with_folder(*[FileState.WHOLE] * 2)
    async with chatting(messenger) as pilot:
        await choose(pilot, entries[-1])
        await pilot.press("s")
        assert "3 files of the folder trip" in await answer_in(pilot, tmp_path)
        await until_shown(pilot, "3 files are saved in")
    assert saved_in(tmp_path) == ["0.txt", "1.txt", "report.pdf"]


async def test_a_folder_is_read_over_many_pages_and_no_further_than_it_goes() -> None:
    messenger, entries = with_folder(*[FileState.WHOLE] * 250)
    for one in (entries[0], entries[120], entries[-1]):
        assert [found.id for found in await of_one_folder(messenger, one)] == [each.id for each in entries]


async def test_only_one_file_of_a_folder_is_saved_where_that_is_chosen(tmp_path: Path) -> None:
    messenger, entries = with_folder(*[FileState.WHOLE] * 2)
    async with chatting(messenger) as pilot:
        await choose(pilot, entries[-1])
        await pilot.press("s")
        await on_top(pilot, SaveDialog)
        await pilot.press("ctrl+o")
        assert "report.pdf" in await answer_in(pilot, tmp_path)
        await until_shown(pilot, "Saved as")
    assert saved_in(tmp_path) == ["report.pdf"]


async def test_what_is_not_here_of_a_folder_is_taken(tmp_path: Path) -> None:
    messenger, entries = with_folder(FileState.WHOLE, FileState.ASKS)
    async with chatting(messenger) as pilot:
        await choose(pilot, entries[-1])
        await pilot.press("s")
        assert "1 is not here yet" in await answer_in(pilot, tmp_path)
        await until_shown(pilot, "2 files are saved in")
        assert [entry for _person, entry in messenger.called("take_file")] == [entries[1].id]
    assert saved_in(tmp_path) == ["0.txt", "report.pdf"]


async def test_a_folder_of_which_nothing_is_here_is_taken_after_a_question() -> None:
    messenger, entries = with_folder(*[FileState.ASKS] * 2)
    messenger.move_file(entries[-1].contact, entries[-1].id, FileState.ASKS)
    async with chatting(messenger) as pilot:
        await choose(pilot, entries[-1])
        await pilot.press("s")
        await on_top(pilot, ConfirmDialog)
        assert messenger.called("take_file") == []
        await until_shown(pilot, "Take 3 files of the folder trip (30 B)?")
        await pilot.press("y")
        await until(pilot, lambda: len(messenger.called("take_file")) == 3)


async def test_selected_files_are_saved_and_deleted_together(tmp_path: Path) -> None:
    messenger, entries = with_folder(*[FileState.WHOLE] * 2)
    async with chatting(messenger) as pilot:
        await choose(pilot, entries[-1])
        await pilot.press("shift+up", "shift+up", "s")
        assert "2 selected files" in await answer_in(pilot, tmp_path)
        await until_shown(pilot, "2 files are saved in")
        await pilot.press("ctrl+up", "x")
        await until_shown(pilot, "Delete the files of 2 messages from this device?")
        await pilot.press("y")
        await until(pilot, lambda: len(messenger.called("let_go_of_file")) == 2)
    assert saved_in(tmp_path) == ["1.txt", "report.pdf"]


async def test_a_question_on_one_of_several_selected_messages_says_which(tmp_path: Path) -> None:
    messenger, entries = with_folder(FileState.WHOLE)
    async with chatting(messenger) as pilot:
        await choose(pilot, entries[-1])
        await pilot.press("shift+up", "d")
        await until_shown(pilot, "The other selected message stays.")
        await pilot.press("n", "ctrl+up", "enter")
        await until_shown(pilot, "2 selected: Copy, Save and Delete the file")
        await until_shown(pilot, "Save the file")


async def test_the_folder_that_is_proposed_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    messenger, _bob, entry = with_file(FileState.WHOLE)
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await pilot.press("s")
        await on_top(pilot, SaveDialog)
        await pilot.press("enter")
        await until_shown(pilot, "Saved as")
        assert saved_in(tmp_path / "Downloads") == ["report.pdf"]
        await choose(pilot, entry)
        await pilot.press("s")
        await answer_in(pilot, tmp_path / "Downlaods")
        await until_shown(pilot, "There is no such folder")
    assert not (tmp_path / "Downlaods").exists()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "Downloads").write_bytes(b"")
    messenger, _bob, entry = with_file(FileState.WHOLE)
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await pilot.press("s")
        await on_top(pilot, SaveDialog)
        await pilot.press("enter")
        await until_shown(pilot, "cannot be made")


async def test_a_text_has_no_file_to_save() -> None:
    messenger, bob = with_bob()
    entry = messenger.receive(bob.person, "hello")
    assert entry is not None
    async with chatting(messenger) as pilot:
        await until_shown(pilot, "hello")
        history(pilot).choose(entry.id)
        await until(pilot, lambda: history(pilot).has_focus)
        await pilot.press("s")
        await until_shown(pilot, "This message has no file.")


async def test_x_lets_go_of_a_file_here_after_a_question() -> None:
    messenger, bob, entry = with_file(FileState.WHOLE)
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await pilot.press("x")
        await on_top(pilot, ConfirmDialog)
        await pilot.press("y")
        await until_shown(pilot, "report.pdf, 4.0 MiB: not on this device")
        assert messenger.called("let_go_of_file") == [(bob.person, entry.id)]
        await choose(pilot, entry)
        await pilot.press("x")
        await until_shown(pilot, "This message has no file on this device.")


async def test_the_size_of_a_contact_is_set_and_made_the_usual_one() -> None:
    messenger, bob = with_bob()
    name = f"{WITHOUT_ASKING}.{bob.person}"
    messenger._preferences[WITHOUT_ASKING] = "7"
    async with chatting(messenger) as pilot:
        chat(pilot).action_do("files")
        await on_top(pilot, FilesDialog)
        await until_shown(pilot, "Empty stands for 7")
        await pilot.press(*"many", "enter")
        await until_shown(pilot, "Enter a number of MiB")
        await pilot.press(*["backspace"] * 4, *"12", "tab", *"90", "enter")
        await until(pilot, lambda: messenger._preferences.get(name) == "12")
        await until(pilot, lambda: messenger._preferences.get(f"{FILES_RELAYED}.{bob.person}") == "90")
        chat(pilot).action_do("files")
        dialog = await on_top(pilot, FilesDialog)
        assert dialog.query_one("#size").value == "12"  # type: ignore[attr-defined]
        await pilot.press(*["backspace"] * 2, "enter")
        await until(pilot, lambda: name not in messenger._preferences)


@pytest.mark.parametrize(
    ("state", "where", "said"),
    [
        (FileState.DIRECT, "", "waits for a direct connection"),
        (FileState.LET_GO, "", "not on this device"),
        (FileState.LET_GO, "desk\u202e\n", "not on this device, last known on desk"),
    ],
)
def test_the_line_says_where_a_file_is(state: FileState, where: str, said: str) -> None:
    line = file_line(FileView("a.txt", "", 5, state, kept_on=where))
    assert line.endswith(said)


async def test_a_file_that_waits_for_a_direct_connection_is_paused() -> None:
    messenger, bob, entry = with_file(FileState.DIRECT)
    async with chatting(messenger) as pilot:
        await choose(pilot, entry)
        await until_shown(pilot, "waits for a")
        await pilot.press("s")
        await until_shown(pilot, "paused at")
    assert messenger.called("pause_file") == [(bob.person, entry.id)]
