"""Every screen, dialog and line in another alphabet: what is still in Latin letters was left out.

Rules: texts come from a catalogue that writes each letter of a text, not of its values, by an Armenian one;
people, entries and addresses have no Latin letters here, so that whatever word has some is the program's.
A new action or transcript is looked at by itself; a new screen that none of them opens is missed by name.
"""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter, ascii_lowercase, ascii_uppercase
from typing import ClassVar

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot
from textual.screen import ModalScreen, Screen

from chat.errors import UsageError, phrase
from chat.interface import (
    DoorState,
    EntryState,
    LinkingStage,
    LinkingView,
    OwnChange,
    PairingStage,
    QuestionView,
    RelayStanding,
    TerminalState,
    TerminalView,
)
from protocol.identity.safety import word_list
from protocol.relay.rendezvous import RelayAddress
from tests.architecture.imports import ROOT, sources
from tests.support.catalogue import collected
from tests.support.fakes.messenger import FakeDoor, FakeMessenger
from tests.support.fakes.others import WORDS
from tests.support.tui.driving import OPTIONS, chat, chatting, rows, running, until
from tests.support.tui.linear.played import FOLDER, locked_door, new_door, play, steps_of
from tests.support.tui.opened import on_top, own_kinds, received
from tui.actions import ACTIONS, command, shown_key
from tui.messages import PairWith
from tui.screens.backup import LostDialog, RestoreDialog
from tui.screens.devices import AddDialog, DevicesDialog, LinkDialog, LinkingDialog
from tui.screens.dialog import Dialog, QuitDialog, RemoveDialog, SaveDialog
from tui.screens.links import OpenLinkDialog
from tui.screens.pairing import BeginDialog, PairingDialog
from tui.screens.recovery import NewWordsDialog
from tui.screens.sending import SendDialog
from tui.screens.unlock import UnlockScreen
from tui.text import translation
from tui.text.people import unfinished_lines
from tui.widgets.composer import Composer

LETTERS = str.maketrans(
    {letter: chr(0x561 + at) for at, letter in enumerate(ascii_lowercase)}
    | {letter: chr(0x531 + at) for at, letter in enumerate(ascii_uppercase)}
)
WORD = re.compile(r"[A-Za-z]{2,}")
TALL = (120, 100)  # nothing that a dialog shows has to be scrolled for

KEYS = {part for one in ACTIONS for key in one.keys for part in WORD.findall(shown_key(key))}
KEYS |= set(WORD.findall("Enter Esc Tab Space Insert"))
# The same in every language: its own name, the words of the protocol, programs and what is typed for them.
SAME = {"English", "PARLOUR", *WORDS, *word_list()}
SAME |= {"backup"}  # how the name of a file ends
SAME |= {"off", "http", "https", "mailto"}  # typed, as a time is, and what an address begins with
SAME |= set(WORD.findall("iptables INPUT policy of drop tcp dport ACCEPT eth"))
# What is typed in the linear mode, and who its transcripts are about.
TYPED = set(WORD.findall("presence typing delivery receipts bell autolock keep files relayed most rate"))
TYPED |= {"language", "on", "off", "en", "drop", "Ada", "Ben", "Inviter"}
IDENTITY = re.compile(
    r"\b[0-9a-f]{8}\b|\bUTC\b|~[0-9a-f]{4}|http://4\.5|\[fe80::1c2d\]|zh_CN|parlour:fake\S+|:[a-z0-9_+-]+:|/[a-z-]+"
)

LOOKED_AT: set[str] = set()
# These have a test of their own.
PAIRING = {"BeginDialog", "PairingDialog", "LinkingDialog", "AddDialog", "LinkDialog"}


class Foreign(gettext.NullTranslations):
    """Every text that the catalogue has, translated letter by letter."""

    known: ClassVar[set[str]] = set()

    def gettext(self, message: str) -> str:
        return foreign(message) if message in self.known else message

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def _of_the_fake() -> Iterator[str]:
    """What the fake says, which no catalogue has to have."""
    for path in sources(ROOT, "tests/support/fakes"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.fixture(autouse=True, scope="module")
def _known() -> None:
    for message in collected().values():
        Foreign.known |= {message.one, message.many}
    Foreign.known |= set(_of_the_fake())


def foreign(text: str) -> str:
    """The text with its letters in the other alphabet, and its values where they are."""
    parts = Formatter().parse(text)
    return "".join(
        words.translate(LETTERS) + (f"{{{name}}}" if name is not None else "") for words, name, _, _ in parts
    )


@pytest.fixture(autouse=True)
def _foreign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))  # what a home has in it is no text of the program
        patch.setenv("PATH", str(tmp_path))  # nothing is recorded here
        patch.setattr(gettext, "translation", lambda *_given, **_named: Foreign())
        translation.use(translation.ENGLISH)
        yield


def left(text: str, known: set[str]) -> list[str]:
    """The words in Latin letters that are none of those that are known."""
    return [word for word in WORD.findall(IDENTITY.sub("", text)) if word not in known]


def look(pilot: Pilot[None]) -> None:
    """Nothing on the screen is left in English."""
    screen = pilot.app.screen
    LOOKED_AT.update(kind.__name__ for kind in type(screen).__mro__)
    found = {word: row.strip() for row in rows(pilot) for word in left(row, KEYS | SAME)}
    assert not found, f"{type(screen).__name__} shows words that no catalogue has: {found}"


async def look_again(pilot: Pilot[None]) -> None:
    await pilot.pause()
    look(pilot)


async def settled(pilot: Pilot[None]) -> None:
    """Look once what was begun is done, but for the reading of events, which has no end."""
    await pilot.pause()
    working = [one for one in pilot.app.workers if one.group != "events"]
    if working:
        await pilot.app.workers.wait_for_complete(working)
    await look_again(pilot)


async def look_behind(pilot: Pilot[None], action: str) -> None:
    """Do an action on the chat screen and look at what it opens or says."""
    screen = chat(pilot)
    await screen.run_action(command(action))
    await settled(pilot)
    while isinstance(pilot.app.screen, ModalScreen):
        opened = pilot.app.screen
        if isinstance(opened, Dialog) and opened.query("Field"):
            await pilot.press("enter")  # what is missing is said
            await settled(pilot)
        if pilot.app.screen is opened:
            opened.dismiss(None)
        await pilot.pause()


def peopled() -> tuple[FakeMessenger, str]:
    """Contacts and entries of every kind; the first one's conversation opens by itself."""
    messenger = FakeMessenger("安")
    first = messenger.add_contact("李雷", present=True, verified=True, typing=True)
    messenger.add_contact("韩梅梅", blocked=True)
    unread = messenger.add_contact("王五")
    messenger.see_stranger("赵六")
    messenger.receive(unread.person, "一")
    entry = received(messenger, first, "二 `三` http://4.5")
    messenger.receive(first.person, "六", reply=entry.id)
    messenger.receive(first.person, "七", reply="00" * 32)
    for state in EntryState:
        messenger.say_as_me(first.person, "八", state)
    conversation = messenger._conversations[first.person]
    for kind in ("deleted", "cut", "unknown", "九"):
        held = messenger.say_as_me(first.person, "", EntryState.READ)
        conversation.entries[conversation.index(held.id)] = replace(held, kind=kind)
    for number, standing in enumerate(RelayStanding, 1):
        relay = messenger.name_relay(str(RelayAddress("10.0.0.9", number, b"\x09" * 32)), invited=number == 1)
        messenger.stand_relay(relay.address, standing)
    messenger.change_contact(first.person, relayed=True)
    return messenger, first.person


async def test_the_first_screen() -> None:
    door = FakeDoor(state=DoorState.NEW)
    async with running(door, TALL) as pilot:
        await until(pilot, lambda: door.calls != [])
        look(pilot)
        await pilot.press("enter", "enter", "enter")
        look(pilot)
        for passphrase in ("ab", "abcdefgh", "a b c d e f", "abcdefgh12345"):
            pilot.app.screen.query_one("#passphrase").value = passphrase  # type: ignore[attr-defined]
            await look_again(pilot)
    door = FakeDoor(FakeMessenger("安"))
    async with running(door, TALL) as pilot:
        await until(pilot, lambda: door.calls != [])
        await pilot.press("1", "enter")
        await until(pilot, lambda: len(door.calls) > 1)
        await look_again(pilot)
        door.damage()
        pilot.app.push_screen(UnlockScreen(door, reason="", demo="1"))
        await look_again(pilot)


async def test_nobody_to_talk_with() -> None:
    messenger = FakeMessenger("安")
    async with chatting(messenger, TALL, patience=0.01) as pilot:
        await until(pilot, lambda: bool(messenger.called("diagnose")))
        await look_again(pilot)
        messenger.see_stranger("赵六")
        await look_again(pilot)


async def test_every_action_and_what_it_opens() -> None:
    messenger, person = peopled()
    messenger.keep_seed()
    async with chatting(messenger, TALL) as pilot:
        look(pilot)
        chat(pilot).open_conversation(person)
        await look_again(pilot)
        for one in ACTIONS:
            if one.id not in ("quit", "lock", "remove", "next_conversation", "previous_conversation"):
                await look_behind(pilot, one.id)
        await look_behind(pilot, "remove")
        await look_behind(pilot, "next_conversation")
        messenger.ask(QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32))
        await look_behind(pilot, "own_changes")
        messenger.failures["settings"] = UsageError(phrase("This contact is blocked: unblock it first."))
        await look_behind(pilot, "settings")
        view = await messenger.begin_recovery()
        for dialog in (
            *(SaveDialog("2026", "/1"), SendDialog("2026", "/1")),
            OpenLinkDialog(("http://1", "https://2")),
            QuitDialog(unfinished_lines("2026", ("1",))),
            RemoveDialog("2026", "1"),
            *(LostDialog(), RestoreDialog(FakeDoor(messenger), new=True)),
            *(NewWordsDialog(view), NewWordsDialog(view, keeps=True)),
        ):
            await pilot.app.push_screen(dialog)
            await settled(pilot)
            look(pilot)
            pilot.app.pop_screen()
            await pilot.pause()
        await look_behind(pilot, "lock")
    kinds = {kind.__name__ for kind in own_kinds(Screen)}
    assert kinds - LOOKED_AT <= PAIRING, "open these in this test as well"


async def test_what_is_said_and_what_holds_up() -> None:
    messenger, person = peopled()
    async with chatting(messenger, TALL) as pilot:
        chat(pilot).open_conversation(person)
        pilot.app.screen.query_one(Composer).text = "十" * 15_500
        await look_again(pilot)
        pilot.app.screen.query_one(Composer).text = "十" * 17_000
        await pilot.pause()
        await pilot.press("enter")
        look(pilot)
        messenger.notice("The disk is full: nothing was stored. Free some space and try again.")
        await look_again(pilot)
        for holds in (False, True):
            messenger.change_identity(person, "removed a device", holds=holds)
            await look_again(pilot)
        await look_behind(pilot, "verify")
        await messenger.remove(person)
        await look_again(pilot)


async def test_every_stage_of_a_pairing() -> None:
    messenger = FakeMessenger("安", prompt=False)
    async with chatting(messenger, TALL) as pilot:
        stranger = messenger.see_stranger("孙八")
        chat(pilot).post_message(PairWith(stranger.instance, stranger.name))
        await on_top(pilot, BeginDialog)
        look(pilot)
        pilot.app.pop_screen()
        view = messenger.stranger_begins("赵六")
        for stage in PairingStage:
            problem = "You declined. Nothing was stored." if stage is PairingStage.FAILED else ""
            messenger.move_pairing(view.id, stage, problem=problem, words=("一", "二", "三", "四", "五"))
            await look_again(pilot)
            if stage is PairingStage.DONE:
                view = messenger.stranger_begins("钱七")
                messenger.move_pairing(view.id, PairingStage.WORDS, words=("一",))
                await on_top(pilot, PairingDialog)


async def test_the_devices_and_every_stage_of_a_linking() -> None:
    messenger = FakeMessenger("安")
    messenger.device_nearby = False
    door = FakeDoor(messenger, state=DoorState.NEW)
    devices = [TerminalView(f"{at}" * 64, at == 0, state) for at, state in enumerate(TerminalState)]
    devices += [replace(devices[at], terminal=f"{at}a" * 32, added_by="0" * 64) for at in (1, 2)]
    devices.append(replace(devices[-1], terminal="3" * 64, name="二", removed_by="1" * 64))
    async with chatting(messenger, TALL) as pilot:
        me = await messenger.me()
        for dialog in (DevicesDialog(devices, me), AddDialog(messenger, ()), LinkDialog(door, "二", "三")):
            pilot.app.push_screen(dialog)
            await until(pilot, lambda shown=dialog: pilot.app.screen is shown)  # type: ignore[misc]
            await settled(pilot)
            if isinstance(dialog, LinkingDialog):
                for stage in LinkingStage:
                    problem = phrase("You said that the words differ.")
                    dialog.follow(LinkingView("1", stage, "四", ("一",), problem=problem))
                    await look_again(pilot)
            await pilot.press("d", "a", *["enter"] * isinstance(dialog, LinkDialog))
            await look_again(pilot)
            if pilot.app.screen is dialog:
                pilot.app.pop_screen()


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.txt")))
async def test_every_line_of_the_linear_mode(name: str) -> None:
    transcript = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    given = [line for line in transcript if line.startswith((">", "*"))]
    said, _status = await play(steps_of(transcript), new_door() if "first-run" in name else locked_door())
    heard = {word for line in given for word in WORD.findall(line.replace("\\n", " "))}
    # A hit may be part of a word.
    whole = [re.sub("[«»【】]", "", line) for line in said if line not in given]
    found = {word: line for line in whole for word in left(line, SAME | TYPED | heard)}
    assert not found


def test_a_word_that_was_left_out_is_seen() -> None:
    assert left(f"{foreign('Pair with {name}')} now", set()) == ["name", "now"]
    assert left(foreign("Settings") + " Ctrl+K", KEYS) == []
    assert OPTIONS.zone is not None, "else times would have the name of a zone here"
