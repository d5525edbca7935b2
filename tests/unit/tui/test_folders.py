"""Folders that do not answer: letters are typed, Escape leaves, and other folders are read meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.support.tui.driving import chat, composer, until, until_shown, with_bob_open
from tests.support.tui.opened import on_top
from tui.screens.chat.chat import ChatScreen
from tui.screens.sending import SendFilesDialog
from tui.text.folders import READING_MAX, Folders
from tui.text.paths import Completion, folder_of
from tui.widgets.controls import Field


class Hung:
    """Reads folders, those below `hung` only when they are let go."""

    def __init__(self, hung: str) -> None:
        self.read = list[str]()
        self.released = threading.Event()
        self._hung = hung

    def __call__(self, typed: str) -> Completion:
        self.read.append(folder_of(typed))
        if typed.startswith(self._hung):
            assert self.released.wait(30)
        return Completion(typed)


async def test_a_folder_that_does_not_answer_holds_no_key(tmp_path: Path) -> None:
    for name in ("hung/file", "here/note"):
        path = tmp_path / name
        path.parent.mkdir()
        path.write_bytes(b"x")
    hung = Hung(f"{tmp_path}/hung/")
    async with with_bob_open((100, 30)) as (pilot, messenger, _bob):
        chat(pilot).files._folders = Folders(hung)
        chat(pilot).files._begin = f"{tmp_path}/hung/"
        await pilot.press("alt+a")
        dialog = await on_top(pilot, SendFilesDialog)
        await until_shown(pilot, "This folder is being read…")
        await pilot.press(*"fi")
        assert dialog.query_one("#typed", Field).value == f"{tmp_path}/hung/fi"
        await pilot.press("enter", "escape")
        await on_top(pilot, ChatScreen)
        composer(pilot).focus()
        await pilot.press(*"goes on")
        assert composer(pilot).text == "goes on"
        chat(pilot).files._begin = f"{tmp_path}/here/"
        await pilot.press("alt+a")
        await until_shown(pilot, "note")
        assert hung.read.count(f"{tmp_path}/hung/") == 1, "one thread a folder"
        hung.released.set()
        field = (await on_top(pilot, SendFilesDialog)).query_one("#typed", Field)
        field.value = f"{tmp_path}/hung/f"
        await until_shown(pilot, "1 B")
        await pilot.press("enter")
        await until(pilot, lambda: len(messenger.called("send_file")) == 1)


async def test_folders_that_do_not_answer_take_a_bounded_number_of_threads() -> None:
    hung = Hung("/")
    folders = Folders(hung)
    reads = [asyncio.ensure_future(folders.read(f"/{number}/")) for number in range(READING_MAX + 3)]
    reads.append(asyncio.ensure_future(folders.read("/0/a")))
    for _turn in range(20):
        await asyncio.sleep(0)
    assert len(folders._reading) == READING_MAX
    hung.released.set()
    assert len(await asyncio.gather(*reads)) == READING_MAX + 4
    assert folders._reading == {}


@pytest.mark.parametrize("typed", ["~nobody of this name/x", "~/", "", "/", "relative"])
def test_whatever_is_typed_is_read_or_refused(typed: str) -> None:
    assert Completion(typed).folder.is_absolute()
