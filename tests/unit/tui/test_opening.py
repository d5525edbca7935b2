"""Opening what was saved: asked for, twice where a system may run it, and never executed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from textual.pilot import Pilot

from chat.interface import FileState, FileView, UsageError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.tui.driving import chatting, composer, history, until, until_shown, with_bob
from tests.support.tui.opened import on_top
from tui import opening
from tui.opening import is_harmful, open_address, open_path, scheme_of
from tui.screens.dialog import ConfirmDialog, SaveDialog
from tui.screens.links import OpenLinkDialog


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that writes down what it was given to open."""
    log, opener = tmp_path / "opened", tmp_path / "xdg-open"
    opener.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >>"{log}"\n')
    opener.chmod(0o700)
    monkeypatch.setattr(opening, "program", lambda: str(opener))
    monkeypatch.setattr("tui.screens.chat.opening.program", lambda: str(opener))
    log.touch()
    return log


def text_of(path: Path) -> str:
    return path.read_text()


async def saved(pilot: Pilot[None], messenger: FakeMessenger, folder: Path, name: str) -> None:
    """A file of this name is saved, and the cursor is on it."""
    bob = next(iter(messenger._contacts.values()))
    entry = messenger.receive_file(bob.person, FileView(name, "", 3, FileState.WHOLE, 3), b"abc")
    await until_shown(pilot, name)
    history(pilot).choose(entry.id)
    await until(pilot, lambda: history(pilot).has_focus)
    await pilot.press("v")
    await until_shown(pilot, "Save the file first (s).")
    await pilot.press("ctrl+up", "s")
    dialog = await on_top(pilot, SaveDialog)
    dialog.query_one("#folder").value = str(folder)  # type: ignore[attr-defined]
    await pilot.press("enter")
    await until(pilot, lambda: (folder / name).exists())
    await until_shown(pilot, "Saved as")


async def test_a_saved_file_is_opened_after_a_question_and_its_folder_shown(
    tmp_path: Path, opened: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    messenger, _bob = with_bob()
    async with chatting(messenger, (120, 30)) as pilot:
        await saved(pilot, messenger, folder, "cat.jpg")
        assert composer(pilot).has_focus
        await until_shown(pilot, "Ctrl+↑ v")
        await until_shown(pilot, "Ctrl+↑ w")
        await pilot.press("ctrl+up", "v")
        await on_top(pilot, ConfirmDialog)
        await until_shown(pilot, "cat.jpg?")
        await pilot.press("n", "ctrl+up", "v")
        await on_top(pilot, ConfirmDialog)
        assert text_of(opened) == ""
        await pilot.press("y")
        await until(pilot, lambda: opened.read_text() == f"{folder / 'cat.jpg'}\n")
        await pilot.press("ctrl+up", "w")
        await until(pilot, lambda: opened.read_text() == f"{folder / 'cat.jpg'}\n{folder}\n")


async def test_attack_80_what_a_system_may_run_is_asked_for_twice(tmp_path: Path, opened: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    messenger, _bob = with_bob()
    async with chatting(messenger, (120, 30)) as pilot:
        await saved(pilot, messenger, folder, "cat.jpg.desktop")
        await pilot.press("ctrl+up", "v")
        await until_shown(pilot, "Files from others can do")
        await pilot.press("y")
        await until_shown(pilot, "may run as a program")
        assert text_of(opened) == ""
        await pilot.press("enter")
        await pilot.press("ctrl+up", "v")
        await until_shown(pilot, "Files from others can do")
        await pilot.press("y")
        await until_shown(pilot, "may run as a program")
        await pilot.press("y")
        await until(pilot, lambda: opened.read_text() != "")


@pytest.mark.parametrize("name", ["a.exe", "a.EXE", "a.exe.", "a.tar.sh", "a.jpg.lnk", "x.HTML", "a.js .txt"])
def test_names_that_may_run_are_known(name: str) -> None:
    assert is_harmful(name)


FIREFOX = (
    "accda accdb accde accdr ad ade adp afploc air app application appref-ms appx appxbundle asp "
    "atloc bas bat cer chm cmd com command cpl crt der diagcab exe fileloc ftploc fxp hlp hta inetloc "
    "inf ins isp jar jnlp js jse library-ms lnk mad maf mag mam maq mar mas mat mau mav maw mda mdb "
    "mde mdt mdw mdz msc msh msh1 msh1xml msh2 msh2xml mshxml msi msix msixbundle msp mst ops pcd pif "
    "plg prf prg pst reg scf scr sct search-ms settingcontent-ms shb shs terminal url vb vbe vbs vdx "
    "vsd vsdm vsdx vsmacros vss vssm vssx vst vstm vstx vsw vsx vtx webloc ws wsc wsf wsh xll xrm-ms "
)
"""`sExecutableExts` of xpcom/io/nsLocalFileCommon.cpp in mozilla/gecko-dev, read on 2026-12-02."""
GMAIL = (
    "ade adp apk appx appxbundle bat cab chm cmd com cpl diagcab diagcfg diagpkg dll dmg ex ex_ exe "
    "hta img ins iso isp jar jnlp js jse lib lnk mde mjs msc msi msix msixbundle msp mst nsh pif ps1 "
    "scr sct shb sys vb vbe vbs vhd vxd wsc wsf wsh xll "
)
"""File types blocked in Gmail, support.google.com/mail/answer/6590, read on 2026-12-02."""


@pytest.mark.parametrize("names", [FIREFOX, GMAIL], ids=["Firefox", "Gmail"])
def test_what_browsers_and_mail_programs_hold_back_is_known(names: str) -> None:
    assert [one for one in names.split() if not is_harmful(f"holiday.{one.upper()}")] == []


@pytest.mark.parametrize("name", ["a.jpg", "exe", "a.tar.gz", "notes.txt", ".profile", "a.pdf", "a.docx"])
def test_names_that_only_show_are_known(name: str) -> None:
    assert not is_harmful(name)


async def test_what_is_gone_or_a_link_is_not_opened(tmp_path: Path, opened: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "opened")
    for path in (tmp_path / "gone", tmp_path / "link", Path("relative")):
        with pytest.raises(UsageError):
            await open_path(path)
    assert text_of(opened) == ""
    (tmp_path / "xdg-open").write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(UsageError, match="No program"):
        async with asyncio.timeout(10):
            await open_path(tmp_path)


async def test_a_link_is_opened_after_a_question_that_says_where_it_leads(opened: Path) -> None:
    messenger, bob = with_bob()
    text = "see https://good.example@evil.example/x, http://ко.example and mailto:ann@host.example?subject=1"
    async with chatting(messenger, (120, 30)) as pilot:
        entry = messenger.receive(bob.person, text)
        assert entry is not None
        await until_shown(pilot, "see https")
        await pilot.press("ctrl+up", "u")
        await on_top(pilot, OpenLinkDialog)
        await until_shown(pilot, "Scheme: https   Leads to: evil.example")
        await pilot.press("down")
        await until_shown(pilot, "Scheme: http   Leads to: ко.example (xn--")
        await pilot.press("e")
        await until_shown(pilot, "Scheme: mailto   Leads to: ann@host.example")
        await pilot.press("enter", "ctrl+up", "u")
        await on_top(pilot, OpenLinkDialog)
        assert text_of(opened) == ""
        await pilot.press("y")
        await until(pilot, lambda: opened.read_text() == "https://good.example@evil.example/x\n")


@pytest.mark.parametrize(
    "address",
    (
        *(
            "ftp://host",
            "file:///etc/passwd",
            "javascript:x",
            "https:",
            "https://a b",
            "http://a\n",
            "-x",
            "//h",
        ),
        *(
            "mailto:a@b?attach=/etc/passwd",
            "MAILTO:a@b?subject=x&Attachment=~/.ssh/id",
            "mailto:a@b%3fattach=x",
        ),
    ),
)
async def test_other_links_are_not_opened(address: str, opened: Path) -> None:
    assert scheme_of(address) == ""
    with pytest.raises(UsageError):
        await open_address(address)
    assert text_of(opened) == ""


async def test_a_message_without_a_link_says_so_and_one_with_another_scheme_too(opened: Path) -> None:
    messenger, bob = with_bob()
    async with chatting(messenger, (120, 30)) as pilot:
        messenger.receive(bob.person, "ftp://host.example/file")
        await until_shown(pilot, "ftp://host")
        await pilot.press("ctrl+up", "u")
        await until_shown(pilot, "Only links with https, http or mailto are opened.")
        messenger.receive(bob.person, "nothing")
        await until_shown(pilot, "nothing")
        await pilot.press("ctrl+up", "down", "u")
        await until_shown(pilot, "This message contains no link.")
    assert text_of(opened) == ""
