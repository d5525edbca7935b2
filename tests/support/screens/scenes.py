"""Every screen and dialog with the steps that lead there, and their pictures on the fake messenger."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final
from unittest.mock import patch

from msgspec.structs import replace
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from chat.errors import NO_ANSWER
from chat.interface import (
    PASSPHRASES_DIFFER,
    SHORT_PASSPHRASE,
    AddedView,
    AlertKind,
    BotCommand,
    DoorState,
    FileState,
    FileView,
    IdentityChangeView,
    OwnChange,
    PairingStage,
    PictureView,
    QuestionView,
    RelayStanding,
    RetentionView,
    TerminalState,
    TerminalView,
    Unreachable,
    VerificationView,
)
from chat.service.settings import NO_KEY
from chat.service.views import TEXTS, change_text
from chat.storage.errors import StorageFull
from protocol.identity.author import recovery_words
from protocol.identity.reduction import Cause, CauseKind
from protocol.relay.rendezvous import RelayAddress
from tests.support.fakes.demo import demo
from tests.support.fakes.messenger import NO_DEVICE, WRONG, FakeDoor, FakeMessenger
from tests.support.fakes.others import START, WORDS, alert
from tests.support.screens.pictures import Picture, of_strips
from tests.support.tui.driving import OPTIONS, chat, history, running, shown, until
from tui.preferences import Theme
from tui.text import translation
from tui.widgets.people import People


@dataclass(frozen=True, slots=True)
class Keys:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Typed:
    """A text that is typed; `zh` in the Chinese picture."""

    text: str
    zh: str = ""

    def within(self, language: str) -> str:
        return self.zh if self.zh and language.startswith("zh") else self.text


@dataclass(frozen=True, slots=True)
class Seen:
    """A text of the program that is on the screen before the next step, or is not (`gone`)."""

    text: str
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Others:
    """What others do: on the fake only, or by themselves (`real`) in the real program."""

    act: Callable[[FakeMessenger], object]
    real: bool = False


Step = Keys | Typed | Seen | Others


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture. `world`: `new` (no profile), `alone` (nobody around) or `talk` (the sample network).

    `shows`: what tells that it is there. `back`: keys from there to where it began.
    """

    name: str
    world: str
    steps: tuple[Step, ...]
    shows: str
    back: tuple[str, ...] = ("escape",)

    @property
    def real(self) -> bool:
        """Whether the real program can be brought there by keys alone."""
        return all(step.real for step in self.steps if isinstance(step, Others))


def keys(*names: str) -> Keys:
    return Keys(names)


def talk(name: str, shows: str, *steps: Step, back: tuple[str, ...] = ("escape",)) -> Scene:
    return Scene(name, "talk", steps, shows, back)


def dialog(name: str, key: str, shows: str, *more: Step) -> Scene:
    """A dialog over the conversation that one key opens."""
    return talk(name, shows, keys(key), *more)


def acted(name: str, shows: str, act: Callable[[FakeMessenger], object], *more: Step) -> Scene:
    """What others do while the conversation is open."""
    return talk(name, shows, Others(act), *more)


def _ben(fake: FakeMessenger) -> str:
    return next(view.person for view in fake._contacts.values() if view.name == "Ben")


def _hear(fake: FakeMessenger) -> None:
    for number in range(1, 4):
        fake.receive(_ben(fake), f"And one more thing, number {number}.")


def _pin(fake: FakeMessenger) -> None:
    """Everybody but Ben is muted and one of them pinned; so are Ben and the notes."""
    others = [person for person in fake._contacts if person != _ben(fake)]
    for person in others:
        fake.change_contact(person, muted=True)
        fake.receive(person, "This makes no sound.")
    fake.change_contact(others[-1], pinned=True)
    fake.pin_notes()
    fake.change_contact(_ben(fake), pinned=True)


def _time(fake: FakeMessenger) -> None:
    """Ben sets a timer and writes; what he wrote before the last message has disappeared."""
    fake.time(_ben(fake), 3_600)
    gone = fake.receive(_ben(fake), "You will not see this.")
    fake.receive(_ben(fake), "This is gone in an hour.")
    if gone is not None:
        fake.end(gone)


def _declare(fake: FakeMessenger) -> None:
    """Ben is a program that understands commands; one of them is named as one of Parlour's."""
    commands = (("lock", "is not offered"), ("rename-me", "calls you something else"), ("reports", "近况"))
    fake.declare(_ben(fake), tuple(BotCommand(*one) for one in commands))


def _name_relays(fake: FakeMessenger) -> None:
    hosts = ("relay.example.org", "fe80::7", "192.168.1.2", "10.20.30.40")
    standings = (RelayStanding.WAITING, RelayStanding.OTHER_KEY, RelayStanding.UNREACHABLE, None)
    for host, standing in zip(hosts, standings, strict=True):
        address = str(RelayAddress(host, 4746, b"\x09" * 32))
        fake.name_relay(address, invited=host == "192.168.1.2")
        if standing is not None:
            fake.stand_relay(address, standing)


def _stolen(fake: FakeMessenger) -> None:
    """The own identity has two devices more, of which one was copied."""
    states = TerminalState.LIVE, TerminalState.COPIED
    fake.other_terminals = tuple(
        TerminalView(f"{at:x}" * 64, False, state) for at, state in enumerate(states, 11)
    )
    since = datetime(2026, 11, 24, 21, 5, tzinfo=UTC)
    fake.added = (
        AddedView("d" * 64, "tablet", "b" * 64, since, False, False),
        AddedView("e" * 64, "laptop", "b" * 64, None, True, True),
    )


def _several(fake: FakeMessenger) -> None:
    """The own identity has two devices more, of which one was removed."""
    desk, phone = "b4" * 32, "7e" * 32
    here = fake._me.terminal
    fake.other_terminals = (
        TerminalView(desk, False, TerminalState.LIVE, "desk", here),
        TerminalView(phone, False, TerminalState.REMOVED, "old phone", desk, here),
    )


def _thief(fake: FakeMessenger) -> None:
    """A thief of the desk has linked a tablet, paired a contact and compared with another one."""
    _several(fake)
    desk = "b4" * 32
    since = datetime(2026, 11, 24, 21, 5, tzinfo=UTC)
    fake.added = (
        AddedView("d" * 64, "tablet", desk, since, False, False),
        AddedView("e" * 64, "laptop", desk, None, True, True),
    )
    ben, *others = fake._contacts
    fake.paired_by_others = ((ben,), tuple(others[:1]))


def _left(fake: FakeMessenger) -> None:
    """The phone was removed, and a device that it added is in use."""
    _several(fake)
    desk, phone = fake.other_terminals
    fake.other_terminals = (desk, replace(phone, left=True))
    since = datetime(2026, 11, 24, 21, 5, tzinfo=UTC)
    fake.added = (AddedView("d" * 64, "tablet", phone.terminal, since, False, False),)


def _keep(fake: FakeMessenger) -> None:
    """The desk holds all messages."""
    _several(fake)
    fake._retention = RetentionView(30, fake.other_terminals[0].terminal, 412)


def _junior(fake: FakeMessenger) -> None:
    """Nothing on this device ends what a thief of the first one does."""
    desk = TerminalView("b4" * 32, False, TerminalState.LIVE)
    fake.senior_terminals, fake.device_name = (desk,), "laptop"
    fake._me = replace(fake._me, without_words=True)


def _device(fake: FakeMessenger) -> None:
    fake.device_begins("laptop")


SHELF: Final = Path("/tmp/parlour-files")


def _shelve(_fake: FakeMessenger) -> None:
    """A folder with files of every kind that a person may try to send."""
    for name, size in (
        ("Photos/quay.jpg", 2_400_000),
        ("Photos/2026/tables.jpg", 1_100_000),
        ("minutes, 24 November.md", 3_100),
        ("plan-3.svg", 48_300),
        ("plan-4.svg", 51_900),
        ("年度 报告.pdf", 812_000),
    ):
        path = SHELF / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.truncate(size)
    for name, target in (("lost", "nowhere"), ("Photos/all", "..")):
        with suppress(FileExistsError):
            (SHELF / name).symlink_to(target)


def _seal(fake: FakeMessenger) -> None:
    """A file that is sent is encrypted until it is cancelled."""
    _shelve(fake)
    fake.sealing = asyncio.Event()


def _send_files(fake: FakeMessenger) -> None:
    """Ben sends files that are here in part, not at all, and as a whole: a picture of an evening."""
    size = 2_400_000
    for file in (
        FileView("minutes, 24 November.md", "", size, FileState.ASKS),
        FileView("tables.jpg", "", size, FileState.TAKING, size // 3, 400_000, folder="Photos"),
    ):
        fake.receive_file(_ben(fake), file)
    entry = fake.receive_file(_ben(fake), FileView("quay.jpg", "", size, FileState.WHOLE, size))
    sky = (bytes((20 + 5 * row, 60 + 2 * row, 150 - 3 * row)) for row in range(24))
    sea = (bytes((10, 40 + row, 70 + 2 * row)) for row in range(16))
    pixels = b"".join(colour * 60 for colour in (*sky, *sea))
    fake.pictures[entry.id] = PictureView(width=60, height=40, pixels=pixels)


def _hold(fake: FakeMessenger) -> None:
    fake.change_identity(_ben(fake), TEXTS[CauseKind.RECOVERED], holds=True)


def _unvouch(fake: FakeMessenger) -> None:
    fake.change_contact(_ben(fake), held=True, unvouched=True, verified=False)


def _remember(fake: FakeMessenger) -> None:
    """Ben has what this person wrote before a removal, and says of one message more that it wrote it."""
    before = datetime(2026, 11, 20, 17, 30, tzinfo=UTC)
    fake.claim(_ben(fake), "I bring the chairs, and the long table for the food.", "earlier", before)
    fake.claim(_ben(fake), "And the music.", "earlier", before)
    fake.claim(_ben(fake), "I pay for all of it.")


def _contest(fake: FakeMessenger) -> None:
    """Ben has a device more, and was recovered twice."""
    ben = _ben(fake)
    fake.change_identity(ben, TEXTS[CauseKind.CONTESTED], holds=True)
    added = Cause(CauseKind.ADDED, b"", b"", b"", "laptop")
    changes = (
        IdentityChangeView(change_text(added), "a1" * 32, "b2" * 32, "c3" * 32),
        IdentityChangeView(TEXTS[CauseKind.RECOVERED], "d4" * 32, "", ""),
    )
    numbers = fake.number(ben), fake.number(ben, "another branch")
    fake.verifications[ben] = VerificationView(numbers, START, True, changes)


def _change(fake: FakeMessenger) -> None:
    """Ben edits his last message, and deletes the one before it for everyone."""
    ben = _ben(fake)
    first, last = [entry.id for entry in fake._conversations[ben].entries if not entry.own][-2:]
    fake.edit_as_them(ben, last, "Three copies, one in colour.")
    fake.delete_as_them(ben, first)
    fake.tidy()


def _alarm(kind: AlertKind, fake: FakeMessenger) -> None:
    fake.alarm(alert(kind))


def _ask(fake: FakeMessenger) -> None:
    fake.ask(QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32))


def _show_words(fake: FakeMessenger) -> None:
    fake.move_pairing(next(reversed(fake._pairings)), PairingStage.WORDS, words=WORDS)


_ADA = (Typed("Ada", "小雨"), keys("enter"))
_LONG = Typed("quiet rivers under old bridges")
_LOOKED = Seen("Checking network, firewall and profile…", gone=True)
FIRST_RUN = (
    Scene("first-run", "new", (), "Start", back=()),
    Scene("first-run-typed", "new", (*_ADA, _LONG, keys("enter"), _LONG), "Repeat the passphrase", back=()),
)
ALONE = (
    Scene("alone", "alone", (), "Diagnose connection", back=()),
    Scene("doctor", "alone", (keys("f9"), _LOOKED), "Diagnosis"),
)

_UP = keys("ctrl+up", "up", "up")
_DOWN_AGAIN = ("escape", "alt+end")
_LOCK = (keys("alt+l"), Seen("Locked."))
_LIST = "list"  # what goes to the list of people, which a narrow screen shows only when asked
_DOV = keys(_LIST, "end", "enter")
TALKING = (
    talk("conversation", "Ben", back=()),
    talk("further-up", "Ben", keys("pageup", "pageup"), back=("alt+end",)),
    talk("chosen", "Ben", _UP, back=_DOWN_AGAIN),
    talk("entry-menu", "This message", _UP, keys("enter"), back=("escape", *_DOWN_AGAIN)),
    talk("delete", "Are you sure?", _UP, keys("d"), back=("n", *_DOWN_AGAIN)),
    talk("delete-for-all", "On this device only", _UP, keys("d", "e", "e"), back=("n", *_DOWN_AGAIN)),
    talk("details", "Details", _UP, keys("i"), back=("escape", *_DOWN_AGAIN)),
    talk("editing", "Editing: ", _UP, keys("e"), back=_DOWN_AGAIN),
    talk(
        "replying",
        "Esc: cancel reply",
        _UP,
        keys("r"),
        Typed("Both are in the small room.", "都在小会议室。"),
        back=("escape", "ctrl+u", "alt+end"),
    ),
    talk(
        "writing",
        "plan-3.svg",
        Typed("The quay is free from nine on:", "九点以后码头有空："),
        keys("ctrl+j"),
        Typed("- tables and **chairs**", "- 桌子和**椅子**"),
        keys("ctrl+j"),
        Typed("- `plan-3.svg` at the door", "- 门口贴 `plan-3.svg`"),
        back=("ctrl+u", "backspace", "ctrl+u", "backspace", "ctrl+u"),
    ),
    talk(
        "emoji",
        ":headphone:",
        Typed("The quay is ours ", "码头归我们了 "),
        keys(":", "h", "e", "down"),
        back=("escape", "ctrl+u"),
    ),
    dialog("emoji-chooser", "alt+e", "Emoji", Seen("Part of the name"), Typed("cat")),
    dialog("switcher", "ctrl+k", "Go to a conversation"),
    dialog("commands", "ctrl+p", "Commands"),
    dialog("commands-found", "ctrl+p", "Commands", Seen("Type a command"), Typed("inv", "邀")),
    dialog("search", "ctrl+f", "Search in the conversation with {name}", Typed("plans", "图纸")),
    dialog("search-all", "ctrl+f", "Search in all conversations", keys("ctrl+f"), Typed("ten", "十点")),
    dialog("search-begun", "ctrl+f", "Search in the conversation with {name}"),
    dialog("search-refused", "ctrl+f", "Search in the conversation with {name}", Typed("from:nobody")),
    dialog("search-told", "ctrl+f", "Search in all conversations", keys("ctrl+f"), Typed("from:me p")),
    dialog("jump", "alt+j", "Ben"),
    dialog("day", "f10", "Go to a date"),
    dialog("add", "ctrl+n", "Add a contact"),
    dialog("invitation", "f2", "Invitation"),
    talk(
        "joiner",
        "Yes, it is them",
        Others(lambda fake: fake.use_invitation("parlour:1", "Dov"), real=True),
        back=("n", "escape"),
    ),
    dialog("join", "f3", "Use an invitation"),
    dialog("address", "f4", "Add by network address"),
    dialog("contact-menu", "ctrl+o", "This contact"),
    dialog("safety-number", "ctrl+t", "Safety number"),
    dialog("rename", "f6", "Rename"),
    talk(
        "timer",
        "It holds for new messages only. “Clear” deletes those that are there.",
        keys("ctrl+o"),
        Seen("Rename"),
        keys("end", "up", "up", "enter"),
    ),
    talk("file-size", "Next field", keys("ctrl+o"), Seen("Rename"), keys("end", "up", "enter")),
    talk("clear", "Are you sure?", keys("ctrl+o"), Seen("Rename"), keys("end", "enter")),
    dialog("block", "f7", "Are you sure?"),
    dialog("remove", "f8", "Are you sure?"),
    dialog("help", "f1", "Help"),
    dialog("help-end", "f1", "Help", Seen("Scroll"), keys("end")),
    dialog("relays", "alt+r", "Relays"),
    dialog("settings", "f12", "Settings"),
    dialog("settings-end", "f12", "Settings", Seen("Appearance and keys"), keys("end")),
    talk("away", "Chiara", keys("alt+up"), back=("alt+down",)),
    talk("other-script", "小雨", keys("alt+down"), back=("alt+up",)),
    talk("words", "They match", _DOV, Others(_show_words, real=True), back=("n", "escape")),
    talk("locked", "Show passphrase", *_LOCK, back=()),
    talk("wrong-passphrase", WRONG, *_LOCK, Typed("open sesame"), keys("enter"), back=()),
)

_DELETED = (_UP, keys("d", "y"))
_SHORT = (*_ADA, Typed("lark"), keys("enter"), Typed("lark"))
_LINK = (keys("f3"), Seen("Name of this device"))
_LINKS = (Typed("laptop", "笔记本"), keys("enter"), _LONG, keys("enter"), _LONG, keys("enter"))
_NOBODY = Others(lambda fake: setattr(fake, "device_nearby", False))
_NAMED = (Others(_name_relays), Seen("key does not match"))
_DOV_BEGINS = Others(lambda fake: fake.stranger_begins("Dov"))
_DOV_IS_AWAY = Others(lambda fake: fake.failures.update(pair_nearby=Unreachable(NO_ANSWER)))
_ADDS = (Seen("Your devices"), keys("a"), Seen("Stop"))
_EXPORTS = (Seen("Back up or export"), keys("right"))
_FULL = Others(lambda fake: fake.failures.update(send=StorageFull()))
ON_THE_FAKE = (
    Scene("link", "new", _LINK, "Name of this device"),
    Scene("link-words", "new", (*_LINK, *_LINKS), "They match"),
    Scene(
        "link-address",
        "new",
        (_NOBODY, *_LINK, *_LINKS, Seen(NO_DEVICE), keys("a")),
        "Type the address that your other device shows while it adds one.",
    ),
    Scene("passphrases-differ", "new", (*_SHORT, Typed("s"), keys("enter")), PASSPHRASES_DIFFER),
    dialog(
        "join-refused",
        "f3",
        "Invitation incomplete: copy all of it, beginning with PARLOUR:.",
        Seen("Use an invitation"),
        Typed("parlour:half"),
        keys("enter"),
    ),
    Scene("short-passphrase", "new", (*_SHORT, keys("enter")), SHORT_PASSPHRASE),
    dialog("relays-named", "alt+r", "Relays", *_NAMED, keys("tab", "down")),
    dialog("relay-damaged", "alt+r", NO_KEY, Typed("192.168.1.2:4746"), keys("enter")),
    acted(
        "relay-removed", "Are you sure?", _name_relays, keys("alt+r"), Seen("Show relays"), keys("tab", "d")
    ),
    acted("timed", "(disappeared)", _time),
    acted("bot", "/rename-me", _declare, keys("/", "r", "e")),
    Scene("lost", "new", (keys("f4"),), "I lost my only device. What now?"),
    Scene(
        "restore", "new", (keys("f4"), Seen("A lost device, or a new one"), keys("enter")), "Restore a backup"
    ),
    acted("backup", "Back up or export", lambda fake: fake.keep_seed(), Typed("/backup"), keys("enter")),
    talk(
        "export",
        "This file is not encrypted: anybody who has it can read it.",
        Typed("/backup"),
        keys("enter"),
        *_EXPORTS,
    ),
    talk("wipe", "Destroy this profile", Typed("/wipe"), keys("enter")),
    talk("locked-lost", "I lost my only device. What now?", *_LOCK, keys("f4"), back=()),
    acted("archive", "from a backup: pair again", lambda fake: fake.become_archive()),
    acted("recovery-hidden", "Let nobody else see the screen.", lambda fake: fake.keep_seed(), keys("alt+w")),
    acted(
        "recovery", " 1 ", lambda fake: fake.keep_seed(), keys("alt+w"), Seen("Recovery words"), keys("enter")
    ),
    acted(
        "recovery-asked",
        "Type word {number}.",
        lambda fake: fake.keep_seed(),
        keys("alt+w"),
        Seen("Recovery words"),
        keys("enter", "enter"),
    ),
    dialog(
        "passphrase",
        "alt+k",
        "Change the passphrase",
        Typed("correct horse"),
        keys("enter"),
        Typed("lark"),
        keys("enter"),
    ),
    dialog("own-name", "alt+o", "The name that your contacts see."),
    acted(
        "use-recovery",
        "{number} of {total} words. Type the next ones, as many as you like.",
        _stolen,
        keys("alt+u"),
    ),
    acted(
        "use-recovery-devices",
        "Type the numbers of the devices to remove, or 0 for none.",
        _stolen,
        keys("alt+u"),
        Seen("Use the recovery words"),
        Typed(" ".join(recovery_words(bytes(range(32))))),
        keys("enter"),
    ),
    acted(
        "use-recovery-sure",
        "Are you sure?",
        _stolen,
        keys("alt+u"),
        Seen("Use the recovery words"),
        Typed(" ".join(recovery_words(bytes(range(32))))),
        keys("enter"),
        Seen("Type the numbers of the devices to remove, or 0 for none."),
        Typed("1"),
        keys("enter"),
    ),
    acted(
        "new-recovery-words",
        " 1 ",
        _stolen,
        keys("alt+u"),
        Seen("Use the recovery words"),
        Typed(" ".join(recovery_words(bytes(range(32))))),
        keys("enter"),
        Seen("Type the numbers of the devices to remove, or 0 for none."),
        Typed("0"),
        keys("enter"),
        Seen("Are you sure?"),
        keys("y"),
        Seen("New recovery words"),
        keys("enter"),
    ),
    acted(
        "send-files-encrypting",
        "{line}  {key} cancels it",
        _seal,
        keys("alt+a"),
        Seen("Send files"),
        Typed(f"{SHELF}/"),
        Seen("plan-4.svg"),
        keys("ctrl+end", "enter"),
    ),
    acted("file-picture", "▀", _send_files, keys("ctrl+up", "p")),
    acted("send-files", "plan-4.svg", _shelve, keys("alt+a"), Seen("Send files"), Typed(f"{SHELF}/")),
    acted(
        "send-files-chosen",
        "{number} chosen",
        _shelve,
        keys("alt+a"),
        Seen("Send files"),
        Typed(f"{SHELF}/"),
        Seen("plan-4.svg"),
        keys("insert", "down", "insert", "insert"),
    ),
    acted(
        "send-files-asked",
        "Photos/quay.jpg, Photos/2026/tables.jpg",
        _shelve,
        keys("alt+a"),
        Seen("Send files"),
        Typed(f"{SHELF}/"),
        Seen("plan-4.svg"),
        keys("insert", "insert", "enter"),
    ),
    acted("devices", "Your devices", _several, keys("alt+d")),
    dialog("device-add", "alt+d", "Add a device", Seen("Your devices"), keys("a")),
    dialog("device-words", "alt+d", "They match", *_ADDS, Others(_device)),
    acted("device-remove", "Are you sure?", _several, keys("alt+d"), Seen("Your devices"), keys("down", "d")),
    acted("device-remove-first", "Are you sure?", _several, keys("alt+d"), Seen("Your devices"), keys("d")),
    acted(
        "device-remove-thief", "Are you sure?", _thief, keys("alt+d"), Seen("Your devices"), keys("down", "d")
    ),
    acted("devices-left", "Your devices", _left, keys("alt+d")),
    acted(
        "device-remove-again", "Are you sure?", _left, keys("alt+d"), Seen("Your devices"), keys("end", "d")
    ),
    acted("keeper", "Settings", _keep, keys("f12"), Seen("Appearance and keys"), keys(*["down"] * 13)),
    *(
        acted(
            f"alert-{kind.value.replace('_', '-')}",
            alert(kind).text,
            partial(_alarm, kind),
        )
        for kind in (AlertKind.TWO_COPIES, AlertKind.OTHER_TWICE, AlertKind.WORDS, AlertKind.REMOVED)
    ),
    acted("devices-without-words", "Your devices", _junior, keys("alt+d")),
    acted("relayed", "⇄ relay", lambda fake: fake.change_contact(_ben(fake), relayed=True)),
    acted("changed", "(deleted by its author)", _change),
    talk("deleting", "(deleting…)", *_DELETED),
    talk(
        "deleted",
        "Deleted. The profile file no longer contains it.",
        *_DELETED,
        Seen("(deleting…)"),
        Others(lambda fake: fake.tidy()),
    ),
    dialog("invitation-picture", "f2", "▀", Seen("Invitation"), keys("p")),
    talk("new-below", " ↓ {number} new below · End ", keys("pageup", "pageup"), Others(_hear)),
    acted("typing", "typing…", lambda fake: fake.change_contact(_ben(fake), typing=True)),
    acted("held", "not verified", _hold),
    acted("held-compared", "Safety number", _hold, keys("ctrl+t")),
    acted("contested", "Safety number", _contest, keys("ctrl+t")),
    acted("unvouched", "not verified", _unvouch),
    acted("unvouched-compared", "Safety number", _unvouch, keys("ctrl+t")),
    acted("claimed", "says that you wrote this", _remember),
    acted("claimed-details", "Details", _remember, keys("ctrl+up", "up", "i")),
    acted("claimed-menu", "Take earlier messages", _remember, keys("ctrl+o")),
    acted(
        "claimed-taken",
        "Are you sure?",
        _remember,
        keys("ctrl+o"),
        Seen("Rename"),
        keys("end", "up", "enter"),
    ),
    acted("asked", "Your identity has changed. Was that you? Press {key} or click here.", _ask),
    acted("question", "Was that you?", _ask, keys("alt+y")),
    acted("not-me", "No", _ask, keys("alt+y"), Seen("Was that you?"), keys("n")),
    acted("pinned", "↑ pinned", _pin),
    acted("blocked", "blocked", lambda fake: fake.change_contact(_ben(fake), blocked=True)),
    acted(
        "notice",
        "The disk is full: nothing was stored. Free some space and try again.",
        lambda fake: fake.notice(StorageFull.what),
    ),
    talk("somebody-begins", "They match", _DOV_BEGINS),
    talk("connecting", "Connecting to {name}…", _DOV),
    talk("waiting", "The other person must confirm too.", _DOV_BEGINS, Seen("They match"), keys("y")),
    talk("failed", "Pairing with {name}", _DOV_IS_AWAY, _DOV),
    talk("too-long", "more than", Typed("more than there is room for, " * 570)),
    talk("cannot-send", "Hello", _FULL, Typed("Hello"), keys("enter")),
)

EVERY = (*FIRST_RUN, *ALONE, *TALKING, *ON_THE_FAKE)


_SOUGHT = 24  # characters, so that they fit in one row
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class View:
    size: tuple[int, int] = (80, 24)
    theme: Theme = Theme.DARK
    language: str = translation.ENGLISH
    density: str = ""

    def __str__(self) -> str:
        parts = ("x".join(map(str, self.size)), self.theme.value, self.language, self.density)
        return "-".join(part for part in parts if part)


async def take(scene: Scene, view: View) -> Picture:
    with patch.dict(os.environ, {"LANG": view.language}, clear=True):  # nothing of this machine's
        translation.use(view.language)
        async with _stage(scene, view) as (pilot, fake):
            for step in scene.steps:
                await _do(pilot, fake, step, view.language)
            await until(pilot, lambda: words_of(scene.shows) in shown(pilot))
            await _rest(pilot)
            return of_strips(pilot.app.screen._compositor.render_strips(), view.size[0])


def words_of(text: str) -> str:
    """What is sought for a text: in the language in use, the begin of the longest part between its values."""
    shown = translation._(text)
    if shown == text:  # or one that has a form for numbers
        shown = translation._n(text, text, 3)
    return max(re.split(r"\{\w+\}", shown), key=len).strip()[:_SOUGHT]


@asynccontextmanager
async def _stage(scene: Scene, view: View) -> AsyncIterator[tuple[Pilot[None], FakeMessenger]]:
    fake = FakeMessenger("Ada", visible=True, prompt=False)
    if scene.world == "talk":
        fake = demo(chinese=view.language != translation.ENGLISH)
    fake.invitation_head, fake.invitation_tail = "PARLOUR:", "A2B3C4D5E6F7" * 12
    fake._preferences = {"theme": view.theme.value, "language": view.language, "density": view.density}
    state = DoorState.NEW if scene.world == "new" else DoorState.RUNNING
    options = replace(OPTIONS, now=lambda: NOW, patience=0.001 if scene.world == "alone" else 3600)
    async with running(FakeDoor(fake, state=state), view.size, options) as pilot:
        if scene.world == "talk":
            await until(pilot, lambda: "ChatScreen" in repr(pilot.app.screen_stack))
            await until(pilot, lambda: bool(chat(pilot).state.contacts))
            chat(pilot).open_conversation(_ben(fake))
            await until(pilot, lambda: bool(history(pilot).window.entries))
            await _rest(pilot)
        yield pilot, fake


async def _do(pilot: Pilot[None], fake: FakeMessenger, step: Step, language: str) -> None:
    match step:
        case Keys(names):
            for name in names:
                to_list = "tab" if any(one.display for one in pilot.app.screen.query(People)) else "alt+c"
                await pilot.press(to_list if name == _LIST else name)
        case Typed():
            text = step.within(language)
            focused = pilot.app.focused
            if isinstance(focused, Input):
                focused.insert_text_at_cursor(text)
            elif isinstance(focused, TextArea):
                focused.insert(text)
        case Seen(text, gone):
            await until(pilot, lambda: (words_of(text) in shown(pilot)) is not gone)
        case Others(act):
            act(fake)
    await pilot.pause()


async def _rest(pilot: Pilot[None]) -> None:
    """Until two pictures in turn are the same, without a blinking cursor."""
    for field in pilot.app.screen.query("Input, TextArea"):
        field.cursor_blink = False  # type: ignore[attr-defined]
    before = ""
    while before != (now := shown(pilot)):
        before = now
        await pilot.pause(0.005)
