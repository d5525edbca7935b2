"""The rows of the table: every place of the program, and what is pressed there."""

from __future__ import annotations

from typing import Final

from chat.interface import (
    BotCommand,
    FileState,
    FileView,
    OwnChange,
    PairingStage,
    QuestionView,
    TerminalState,
    TerminalView,
    VerificationView,
)
from protocol.identity.author import recovery_words
from protocol.relay.rendezvous import RelayAddress
from tests.support.fakes.messenger import FakeMessenger
from tests.support.fakes.others import INVITATION
from tests.tui.played import FOLDER, LOCKED, NEW, At, Do, Paste, Row, Step, Text, person

OTHER_RELAY: Final = str(RelayAddress("192.168.1.2", 4746, b"\x08" * 32))
WORDS: Final = recovery_words(bytes(range(32)))  # those of the fake, and what it replaces them with
NEW_WORDS: Final = recovery_words(bytes(range(32, 64)))
QUESTION: Final = QuestionView("a1" * 32, OwnChange.ADDED, "b2" * 32, "c3" * 32)
LONG: Final = Paste("a long line of what somebody wrote elsewhere " * 20)
PASSPHRASE: Final = Text("correct horse")
TYPED: Final = ";,"
"""What is no key of any dialog."""


# What others do.


def _send_file(fake: FakeMessenger) -> None:
    """Bob sends a file, of which all is here."""
    fake.receive_file(person(fake), FileView("report.pdf", "", 7, FileState.WHOLE, 7), b"content")


def _send_links(fake: FakeMessenger) -> None:
    fake.receive(person(fake), "https://example.org or http://example.com")


def _send_code(fake: FakeMessenger) -> None:
    fake.receive(person(fake), "```\nmake test\n```")


def _send_long(fake: FakeMessenger) -> None:
    fake.receive(person(fake), "\n".join(f"line {number}" for number in range(50)))


def _answer(fake: FakeMessenger) -> None:
    bob = person(fake)
    first = fake._conversations[bob].entries[0]
    fake.receive(bob, "An answer to the first.", reply=first.id)


def _send_all(fake: FakeMessenger) -> None:
    """An answer, links, code, a file, a long text: in this order."""
    for send in (_answer, _send_links, _send_code, _send_file, _send_long):
        send(fake)


def _prepare(fake: FakeMessenger) -> None:
    """What some dialogs open for, and nobody who answers by himself."""
    fake.keep_seed()
    _stolen(fake)
    _ask(fake)
    _send_links(fake)
    _send_file(fake)
    _wait(fake)


def _fill(fake: FakeMessenger) -> None:
    fake.fill(person(fake), [f"entry {number}." for number in range(150)], unread=120)


def _stolen(fake: FakeMessenger) -> None:
    """The own identity has two devices more, of which one was copied."""
    states = TerminalState.LIVE, TerminalState.COPIED
    fake.other_terminals = tuple(
        TerminalView(f"{at:x}" * 64, False, state) for at, state in enumerate(states, 11)
    )


def _remember(fake: FakeMessenger) -> None:
    """Bob has what this person wrote before a removal."""
    fake.claim(person(fake), "from before", "earlier")


def _contest(fake: FakeMessenger) -> None:
    """Bob was recovered twice."""
    bob = person(fake)
    numbers = fake.number(bob), fake.number(bob, "another branch")
    fake.verifications[bob] = VerificationView(numbers, None, False, ())


def _verified(fake: FakeMessenger) -> None:
    fake.change_contact(person(fake), verified=True)


def _hold(fake: FakeMessenger) -> None:
    fake.change_identity(person(fake), "removed a device", holds=True)


def _hold_contested(fake: FakeMessenger) -> None:
    _hold(fake)
    _contest(fake)


def _wait_for_answers(fake: FakeMessenger) -> None:
    fake.keep_seed()
    for happens in (_ask, _stolen):
        happens(fake)


def _declare(fake: FakeMessenger) -> None:
    fake.declare(person(fake), (BotCommand("reports", "says how it is"),))


def _wait(fake: FakeMessenger) -> None:
    """Who is called begins to answer, and does no more."""
    fake.prompt = False


def _ask(fake: FakeMessenger) -> None:
    fake.ask(QUESTION)


def _show_words(fake: FakeMessenger) -> None:
    words = ("one", "two", "three", "four", "five")
    fake.move_pairing(next(reversed(fake._pairings)), PairingStage.WORDS, words=words)


DOV_BEGINS: Final = Do("Dov begins a pairing", lambda fake: fake.stranger_begins("Dov"))
WORDS_ARE_THERE: Final = Do("the words are there", _show_words)
DEVICE_BEGINS: Final = Do("a device begins", lambda fake: fake.device_begins("laptop"))


_LINK: Final = ("f3", Text("laptop"), "enter", Text("my secret words"), "enter", Text("my secret words"))


def at(place: str, *steps: Step) -> tuple[Step, ...]:
    return (At(place), *steps)


OPENED: Final = "Dialog "
_TO_NEW_WORDS: Final = "alt+u", Paste(" ".join(WORDS)), "enter", Text("0"), "enter", "y"


def dialog(name: str, *opens: Step, text: str = TYPED, enter: bool = True) -> tuple[Step, ...]:
    """What every dialog has to stand: Tab round, arrows, what is typed and pasted, Enter, and Escape.

    `opens`: how it is opened. `text`: what is typed in it. `enter`: Enter does not close it.
    """
    return at(
        f"{OPENED}{name}",
        *opens,
        *("tab", "shift+tab", Text(text), "up", "down", "ctrl+c", "super+c", LONG),
        *(("enter",) if enter else ()),
        "escape",
    )


def form(name: str, *opens: Step, text: str = TYPED) -> tuple[Step, ...]:
    """The same for a dialog whose text is there again after Escape, at once or after an arrow."""
    once = dialog(name, *opens, text=text, enter=False)
    return (*once, *opens, "up", "enter", *at(f"{name}: after Enter", "escape"))


DIALOGS: Final = (
    Row(
        "Dialogs of finding and sending",
        (
            *dialog("PaletteDialog", "ctrl+p"),
            *form("SearchDialog", "ctrl+f"),
            *dialog("SendFilesDialog", "alt+a", "ctrl+u", Text(FOLDER)),
            *dialog("EmojiDialog", "alt+e"),
            *dialog("SendDialog", "alt+a", "ctrl+u", Text(FOLDER), "insert", "enter", enter=False),
            *dialog("SwitcherDialog", "ctrl+k"),
        ),
    ),
    Row(
        "Dialogs that ask for something",
        (
            *form("JoinDialog", "f3"),
            *form("AddressDialog", "f4"),
            *dialog("BeginDialog", "f4", "ctrl+u", Text("10.0.0.9:4747"), "enter"),
            *form("RenameDialog", "f6"),
            *form("TimerDialog", Text("/timer"), "enter", text="3d"),
            *form("FilesDialog", Text("/files"), "enter", text="12"),
            *form("DayDialog", "f10"),
            *form("RelaysDialog", "alt+r"),
            *form("BackupDialog", Text("/backup"), "enter", "tab"),
            *at("BackupDialog: its passphrases", Text("/backup"), "enter", "f2", "f2", "escape"),
            *dialog("WipeDialog", Text("/wipe"), "enter"),
            *dialog("PassphraseDialog", "alt+k"),
        ),
        before=_wait,
    ),
    Row(
        "Dialogs that show or ask",
        (
            *dialog("MenuDialog", "ctrl+o", enter=False),
            *dialog("AddContactDialog", "ctrl+n", enter=False),
            *dialog("InviteDialog", "f2"),
            *dialog("PairingDialog", DOV_BEGINS),
            *dialog("VerifyDialog", "ctrl+t"),
            *dialog("ConfirmDialog", "f7", enter=False),
            *dialog("RecordingDialog", "alt+v"),
            *dialog("HelpDialog", "f1"),
            *dialog("DoctorDialog", "f9"),
        ),
    ),
    Row(
        "Earlier messages",
        (
            *at("MenuDialog: with what can be taken", "ctrl+o", "end", "up", "enter", "enter"),
            *at("ConfirmDialog: to take it", "ctrl+o", "end", "up", "enter", "y"),
            *at("Take earlier messages, where none is left", "ctrl+p", Text("take"), "enter"),
        ),
        before=_remember,
    ),
    Row(
        "Dialogs of a message and of one's identity",
        (
            *at("Message box", "ctrl+up"),
            *form("SaveDialog", "ctrl+up", "s"),
            *at("SaveDialog: a file of no folder", "ctrl+up", "s", "ctrl+o", "escape"),
            *at("History once more", "ctrl+up"),
            *at("History: a message with links", "ctrl+up", "end", "up"),
            *dialog("OpenLinkDialog", "ctrl+up", "u", enter=False),
            *dialog("DetailsDialog", "ctrl+up", "i"),
            *at("History: one's own message", "ctrl+up", "end", "up", "up", "up"),
            *dialog("DeleteDialog", "ctrl+up", "d", enter=False),
            *at("DeleteDialog: what is out of sight", "ctrl+up", "d", "pagedown", "pageup", "n"),
            *at("History: to the message box", "ctrl+up", "escape"),
            *dialog("QuestionDialog", "alt+y"),
            *dialog("DevicesDialog", "alt+d"),
            *dialog("RemoveDialog", "alt+d", "down", "d", enter=False),
            *at(
                "RemoveDialog: the other answer",
                "alt+d",
                "down",
                "d",
                "e",
                "up",
                "pagedown",
                "pageup",
                "enter",
                "escape",
            ),
            *dialog("AddDialog", "alt+d", "a"),
            *at("DevicesDialog", "escape"),
            *dialog("RecoveryDialog", "alt+w"),
            *dialog("UseRecoveryDialog", "alt+u"),
            *dialog("NewWordsDialog", *_TO_NEW_WORDS, text="abc"),
            *dialog("SettingsDialog", "f12"),
        ),
        before=_prepare,
    ),
    Row("Dialog of linking", dialog("LinkDialog", *_LINK, "enter"), state=NEW),
)

# Every key of the parts of the program. A field, a list and a box that scrolls are Textual's.

_FIELD_KEYS: Final = (
    *("left", "right", "home", "end", "shift+left", "shift+right", "ctrl+left", "ctrl+right"),
    *("ctrl+shift+left", "ctrl+shift+right", "home", "ctrl+shift+a", "ctrl+a", "ctrl+e", "shift+home"),
    *("ctrl+x", "ctrl+v", "shift+end", "home", "shift+end", "ctrl+c", "super+c", "home", "delete", "ctrl+d"),
    *("end", "backspace", "ctrl+w", Text("one two"), "ctrl+backspace", "alt+backspace"),
    *(Text("three"), "super+backspace", Text("four"), "home", "ctrl+k", Text("five"), "ctrl+u"),
    *("pageup", "pagedown", "ctrl+pageup", "ctrl+pagedown", "up", "down"),
)
_TEXT_KEYS: Final = (
    *(Text("one two"), "ctrl+j", Text("three four"), "left", "right", "up", "down", "home", "end"),
    *("ctrl+left", "ctrl+right", "ctrl+shift+left", "ctrl+shift+right", "shift+home", "shift+end"),
    *("shift+up", "shift+down", "shift+left", "shift+right", "ctrl+a", "ctrl+e", "pageup", "pagedown"),
    *("ctrl+pageup", "ctrl+pagedown", "backspace", "ctrl+w", "ctrl+backspace", Text("five six")),
    *("alt+backspace", "ctrl+a", "delete", "ctrl+d", "alt+delete", "shift+end", "ctrl+x", "ctrl+v"),
    *("shift+home", "ctrl+c", "end", "super+x", "shift+home", "super+c", "ctrl+u", "super+backspace"),
    *("ctrl+shift+k", "ctrl+underscore", "ctrl+y", "alt+z", "super+y", "super+z", "ctrl+underscore"),
)
_CHAT_OPENS: Final = ("alt+n", "alt+p", "f8", "ctrl+t")
_SCROLLS: Final = ("pagedown", "space", "pageup", "end", "home", "G", "g", "down", "j", "up", "k")

PLACES: Final = (
    Row(
        "Somebody who talks with Bob",
        (
            *at("Message box: keys that open a dialog", *(s for key in _CHAT_OPENS for s in (key, "escape"))),
            *at(
                "Message box: keys that do something at once",
                *(
                    "alt+c",
                    "alt+b",
                    "f5",
                    "f5",
                    "alt+t",
                    "alt+t",
                    "alt+m",
                    "alt+m",
                    "alt+x",
                    "alt+w",
                    "alt+y",
                ),
                *("alt+down", "alt+up", "ctrl+up", "escape", "ctrl+b", "alt+s", "alt+s", "ctrl+l", "ctrl+z"),
                *("ctrl+r", "escape", "ctrl+r", "m", "ctrl+r", "k", "escape", "tab", "tab", "tab"),
                *("shift+tab", "escape", "ctrl+c", "super+c"),
            ),
            *at("Message box: editing", *_TEXT_KEYS, "ctrl+u", "super+backspace", "ctrl+u"),
            *at(
                "Message box: commands that have no key",
                *(Text("/pictures"), "enter", Text("/mark-all-read"), "enter", Text("/clear"), "enter", "n"),
                *(Text("/files"), "enter", Text("12"), "tab", Text("x"), "enter", "backspace", "enter"),
                *(Text("/timer"), "enter", Text("2x"), "enter", "escape"),
            ),
            *at(
                "List of people",
                *("shift+tab", "shift+tab", "down", "up", "j", "k", "home", "end", "left", "right", "pageup"),
                *("pagedown", "ctrl+pageup", "ctrl+pagedown", "home", "down", "enter", "alt+c", "alt+c"),
                *("space", "shift+tab", "shift+tab", "home", "enter"),
            ),
            *at(
                "History: moving and selecting",
                *("ctrl+up", "up", "down", "k", "j", "home", "end", "g", "G", "pageup", "pagedown", "left"),
                *("right", "ctrl+pageup", "ctrl+pagedown", "shift+up", "shift+down", "shift+up", "c"),
                *("ctrl+up", "shift+up", "super+c", "ctrl+up", "ctrl+c", "ctrl+up", "escape"),
            ),
            *at(
                "History: a text of another",
                *("ctrl+up", "end", "up", "enter", "escape"),
                *(step for key in ("c", "l", "y", "s", "u", "x", "w", "v", "e") for step in (key, "ctrl+up")),
                *(
                    "p",
                    "z",
                    "o",
                    "i",
                    "escape",
                    "ctrl+up",
                    "b",
                    "backspace",
                    "end",
                    "r",
                    Text("answer"),
                    "enter",
                ),
            ),
            *at(
                "History: one's own text",
                *(
                    "ctrl+up",
                    "end",
                    "e",
                    Text("!"),
                    "enter",
                    "ctrl+up",
                    "d",
                    "e",
                    "down",
                    "up",
                    "n",
                    "ctrl+up",
                ),
                *("delete", "enter", "ctrl+up", "e", Text("?"), "escape", "ctrl+up", "d", "y", "escape"),
            ),
            *at(
                "Jumping",
                *(
                    "alt+j",
                    "s",
                    "alt+j",
                    "Z",
                    "alt+j",
                    "enter",
                    "ctrl+s",
                    "d",
                    "alt+j",
                    "up",
                    "alt+j",
                    "tab",
                    "alt+j",
                    "shift+tab",
                    "alt+j",
                    "ctrl+c",
                ),
                *("alt+j", "super+c", "ctrl+k", Text("Bob"), "enter"),
            ),
            *at(
                "Menus",
                *("ctrl+n", "down", "up", "end", "home", "pagedown", "pageup", "left", "right"),
                *(
                    "ctrl+pageup",
                    "ctrl+pagedown",
                    "home",
                    "down",
                    "enter",
                    "escape",
                    "ctrl+o",
                    "down",
                    "enter",
                ),
                "escape",
            ),
            *at("Fields", "f3", Text("one-two three"), *_FIELD_KEYS, "ctrl+e", "ctrl+u", "escape"),
            *at(
                "Switcher, palette and emoji",
                *("ctrl+k", "down", "ctrl+n", "up", "ctrl+p", "pagedown", "pageup", "ctrl+end", "ctrl+home"),
                *("ctrl+k", "escape", "ctrl+p", "down", "ctrl+n", "up", "pagedown", "pageup", "ctrl+end"),
                *("ctrl+home", "ctrl+p", "down", "enter", "escape", "alt+e", "alt+e", "ctrl+n", "ctrl+p"),
                *("pagedown", "pageup", "ctrl+end", "ctrl+home", "escape", "alt+e", Text("cat"), "enter"),
                "ctrl+u",
            ),
            *at(
                "Search",
                *("ctrl+f", Text("room"), "ctrl+f", "down", "up", "ctrl+n", "ctrl+p", "pagedown", "pageup"),
                *("ctrl+end", "ctrl+home", "down", "enter", "alt+n", "alt+n", "alt+p", "escape", "ctrl+f"),
                *("escape", "ctrl+f", Text("nothing"), "enter", "escape"),
            ),
            *at("Diagnosis", "f9", "down", "up", "enter", "escape"),
            *at("Help", "f1", *_SCROLLS, "q", "f1", "f1", "f1", "escape"),
            *at(
                "Details",
                *("ctrl+up", "i", "pagedown", "space", "pageup", "down", "j", "up", "k", "escape", "escape"),
            ),
            *at("Invitation", "f2", "c", "p", "p", "i", "escape"),
            *at(
                "Using an invitation",
                *(
                    "f3",
                    "enter",
                    Text("parlour:half"),
                    "enter",
                    "escape",
                    "f3",
                    Paste(f"{INVITATION}\nrest "),
                ),
                *("enter", Text("Hi"), "enter", "ctrl+k", Text("Bob"), "enter"),
            ),
            *at(
                "Verifying",
                "ctrl+t",
                "n",
                "u",
                "v",
                Text("x"),
                "ctrl+t",
                "u",
                "n",
                "ctrl+t",
                "u",
                "y",
                "ctrl+u",
            ),
            *at(
                "Renaming",
                *("f6", "ctrl+u", "enter", Text("Rob"), "enter", "f6", Text("Bert"), "escape", "f6", "up"),
                *("ctrl+u", Text("Bob"), "enter"),
            ),
            *at(
                "Relays",
                *(
                    "alt+r",
                    Text("nonsense"),
                    "enter",
                    "backspace",
                    "ctrl+u",
                    Text(OTHER_RELAY),
                    "enter",
                    "tab",
                ),
                *(
                    "down",
                    "up",
                    "j",
                    "k",
                    "end",
                    "home",
                    "pagedown",
                    "pageup",
                    "left",
                    "right",
                    "ctrl+pageup",
                ),
                *("ctrl+pagedown", "enter", "c", "d", "n", "tab", "delete", "y", "escape"),
            ),
            *at(
                "The passphrase",
                *("alt+k", "f2", "f2", Text("x"), "tab", Text("abc"), "enter", Text("abd"), "enter", "enter"),
                *("escape", "alt+k", PASSPHRASE, "enter", Text("a new one"), "enter", Text("a new one")),
                "enter",
            ),
            *at(
                "Back up or export",
                *(Text("/backup"), "enter", "right", "l", "left", "h", "space", "enter", "down", "up", "f2"),
                *("escape", Text("/backup"), "enter", "tab", "ctrl+u", Text("/a.backup"), "enter"),
                *(Text("secret words"), "enter", Text("secret"), "enter", Text("secret words"), "enter"),
                *(Text("secret words"), "enter"),
            ),
            *at("Destroying, and not", Text("/wipe"), "enter", Text("yes"), "enter", "f2", "escape"),
            *at(
                "Settings",
                *("f12", "down", "right", "l", "left", "h", "space", "enter", "j", "up", "k", "tab"),
                *("shift+tab", "shift+tab", "up", "k", "down", "j", "up", "space", "escape", "f12"),
                *("shift+tab", "up", "enter", "escape", "f12", "shift+tab", "up", "right", "escape"),
                *("ctrl+g", "shift+tab", "up", "l", "escape"),
            ),
            *at(
                "A date",
                "f10",
                "enter",
                Text("2026"),
                "enter",
                "ctrl+u",
                Text("2026-11-24"),
                "enter",
                "escape",
            ),
            *at(
                "Sending files",
                *("alt+a", "ctrl+u", Text(FOLDER), "pagedown", "pageup", "ctrl+end", "ctrl+home", "ctrl+n"),
                *("ctrl+p", "tab", "shift+tab", Text("fil"), "tab", "insert", "insert", "ctrl+o", "ctrl+o"),
                *("alt+a", "escape", "alt+a", "enter", "alt+a", "insert", "up", "down", "escape", "alt+a"),
                *("insert", "shift+tab", Text("fil"), "insert", "enter", "o", "o", "n"),
                *("alt+a", "ctrl+u", Text(FOLDER), "insert", "enter", "enter", "alt+a"),
                *("ctrl+u", Text(FOLDER), "insert", "enter", "o", "y"),
            ),
            *at(
                "Voice message",
                *("alt+v", "escape", "alt+v", "enter", "alt+v", "alt+v"),
            ),
            *at(
                "Locking",
                Text("half"),
                "f12",
                "down",
                "alt+l",
                Text("wrong"),
                "enter",
                Text("a new one"),
                "enter",
            ),
            *at("Quit", Text(" more"), "ctrl+q"),
        ),
    ),
    Row(
        "Somebody who writes",
        at(
            "Message box: lines, sending, what was sent before",
            *(Text("one"), "alt+enter", Text("two"), "shift+enter", "ctrl+enter", "ctrl+shift+enter", "up"),
            *("enter", "alt+h", "enter", "alt+h", "up", "down", "down", "escape", Text("first"), "enter"),
            *("up", "alt+h", Text(" again"), "escape", "up", "alt+h", "enter", "up", "down", "ctrl+up", "r"),
            Text("yes"),
            *("escape", "escape", "enter", Text(":heart"), "down", "tab", Text(":heart"), "up", "enter"),
            *(Text(":cat"), "escape", "enter", Text(":cat:"), "ctrl+u", Text("/hel"), "tab", "enter"),
            *(
                "escape",
                Text("/nothing"),
                "enter",
                "ctrl+u",
                Text("//help"),
                "enter",
                LONG,
                "ctrl+a",
                "ctrl+k",
            ),
            *(LONG, "enter", Text("/rep"), "down", "enter", "enter", Text("/timer"), "enter", Text("1h")),
            *("enter", "end"),
        ),
        before=_declare,
    ),
    Row(
        "Somebody who was away",
        at(
            "Message box: keys of the history",
            *("pageup", "pageup", "pagedown", "alt+end", "alt+home", "ctrl+end", "ctrl+home", "end"),
            *("ctrl+up", "up", "pageup", "pagedown", "home", "end", "shift+end"),
        ),
        before=_fill,
    ),
    Row(
        "Somebody who was sent an answer, links, code, a file and a long text",
        (
            *at("History: a long text", "ctrl+up", "end", "z", "up", "down", "z"),
            *at(
                "History: a file",
                *(
                    "up",
                    "v",
                    "ctrl+up",
                    "w",
                    "ctrl+up",
                    "p",
                    "s",
                    "ctrl+u",
                    "enter",
                    Text("/nowhere"),
                    "escape",
                ),
                *(
                    "ctrl+up",
                    "s",
                    "up",
                    "escape",
                    "ctrl+up",
                    "enter",
                    "escape",
                    "x",
                    "n",
                    "ctrl+up",
                    "x",
                    "y",
                ),
                *("ctrl+up", "s"),
            ),
            *at("History: code", "ctrl+up", "up", "y"),
            *at(
                "History: links",
                *("ctrl+up", "up", "l", "ctrl+up", "u", "e", "down", "up", "n", "ctrl+up", "u", "enter"),
                *("ctrl+up", "u", "escape", "ctrl+up", "u", "y"),
            ),
            *at(
                "History: an answer", "ctrl+up", "up", "o", "b", "o", "backspace", "enter", "escape", "escape"
            ),
        ),
        before=_send_all,
    ),
    Row(
        "Somebody who prefers the keys of vi",
        at(
            "Keys of vi",
            *("escape", "k", "j", "colon", "escape", "escape", "slash", Text("room"), "enter", "n", "N", "f"),
            *("escape", "escape", "J", "escape", "K", "escape", "ctrl+u", "ctrl+d", "y", "escape", "Y"),
            *(
                "escape",
                "I",
                "escape",
                "escape",
                "i",
                "escape",
                "a",
                Text("fn/:"),
                "ctrl+u",
                "escape",
                "G",
                "slash",
                "slash",
            ),
        ),
        vi=True,
    ),
    Row(
        "Bob's identity has changed, and recoveries of him contradict each other",
        (
            *at("Banner", Text("no"), "enter", "tab", "shift+tab"),
            *at("Several safety numbers", "ctrl+t", "n", "n", "n", "v", Text("yes"), "enter"),
            *at("A verified contact", "ctrl+t", "v", "ctrl+t", "u", "enter"),
            *at(
                "Blocking and removing",
                *("f7", "y", "f7", "n", "f7", "y", "f7", "n", "f8", "n", "f8", "enter", "f8", "y", "f7"),
            ),
        ),
        before=_hold_contested,
    ),
    Row(
        "Somebody who has to answer",
        (
            *at("Keys where something waits", "alt+w", "escape", "alt+y", "escape"),
            *at("A question about one's own devices", "alt+y", "n", "escape", "alt+y", "y", "alt+y"),
            *at(
                "Recovery words",
                *("alt+w", "enter", "down", "up", "enter", "enter", Text("a"), "enter", Text("b"), "enter"),
                *(Text("c"),),
                *("enter", Text("d"), "enter", "enter", Text(WORDS[2]), "enter", Text(WORDS[7]), "enter"),
                *(Text(WORDS[20]), "enter", Text(WORDS[33]), "enter"),
            ),
            *at(
                "Using the recovery words",
                *("alt+u", "enter", Text("a b "), "enter", Paste(" ".join(WORDS)), "enter", "end", "ctrl+u"),
                *(Paste(" ".join(WORDS)), "enter", "enter", Text("9"), "enter", "ctrl+u", Text("1"), "enter"),
                *("n", "alt+u", Paste(" ".join(WORDS)), "enter", Text("0"), "enter", "y", "s", "n"),
            ),
            *at(
                "New recovery words",
                *(*_TO_NEW_WORDS, "enter", "s", "enter"),
                *(Text("a"), "enter", Text("b"), "enter", Text("c"), "enter", Text("d"), "enter", "enter"),
                *(Text(NEW_WORDS[2]), "enter", Text(NEW_WORDS[7]), "enter", Text(NEW_WORDS[20]), "enter"),
                *(Text(NEW_WORDS[33]), "enter", "alt+u", Paste(" ".join(WORDS)), "enter", "enter", "escape"),
            ),
            *at("One's own name", "alt+o", Text("x"), "enter", Text("Hi"), "enter"),
            *at(
                "Devices",
                *("alt+d", "down", "up", "j", "k", "end", "home", "pagedown", "pageup", "left", "right"),
                *("ctrl+pageup", "ctrl+pagedown", "enter", "home", "down", "d", "n", "down", "delete", "y"),
                *("end", "d"),
            ),
            *at(
                "Adding a device",
                *("a", "y", "n", "d", "enter", DEVICE_BEGINS, "d", "d", "n", "enter", "a"),
                *(DEVICE_BEGINS, "tab", "enter", "enter", "escape"),
            ),
        ),
        before=_wait_for_answers,
    ),
    Row(
        "Somebody who pairs",
        (
            *at("Somebody nearby", "shift+tab", "shift+tab", "end", "enter", "escape"),
            *at("Pairing by address", "f4", Text("here"), "enter", "ctrl+u", Text("10.0.0.9:4747"), "enter"),
            *at("Connecting", Text("x"), "d", "enter", WORDS_ARE_THERE),
            *at("Words to compare", Text("x"), "d", "d", "enter", "n", "f4"),
            *at(
                "Connecting once more",
                "enter",
                WORDS_ARE_THERE,
                "y",
                "escape",
                "alt+up",
                "ctrl+k",
                Text("Bob"),
                "enter",
            ),
            *at("Pairing that another begins", DOV_BEGINS, "d", "d", "enter", "x", "n"),
            *at("Pairing that another begins, left by Escape", DOV_BEGINS, "escape"),
            *at("Pairing that waits", DOV_BEGINS, "y", "y", "enter", "escape"),
            *at("Pairing with a button", DOV_BEGINS, "tab", "tab", "enter"),
        ),
        before=_wait,
    ),
    Row(
        "Keys that work everywhere",
        (
            *at("Over a dialog", "f3", "f1", "f1", "ctrl+b", "alt+s", "alt+s", "ctrl+l", "ctrl+z", "ctrl+r"),
            *at("Over a dialog: Escape, and locking", "escape", "escape", "f3", Text("kept"), "alt+l"),
            *at("First screen: the passphrase once more", PASSPHRASE, "enter"),
            *at("Quit over a dialog", "f3", "ctrl+q"),
        ),
    ),
    Row(
        "Nobody yet",
        (
            *at(
                "First screen: a new profile",
                *("tab", Text("short"), "enter", "enter", Text("Ann"), "f2", "enter", "enter", Text("other")),
                *("enter", Text("my secret words"), "enter", Text("my secret words"), "shift+tab", "tab"),
            ),
            *at(
                "First screen: keys that work everywhere",
                *("f1", "escape", "f9", "escape", "ctrl+b", "alt+s", "alt+s", "ctrl+l", "ctrl+z", "ctrl+r"),
                *("escape", "alt+l", "escape", "ctrl+c", "super+c"),
            ),
            *at("First screen: Start", "enter", Text("Hi"), "enter"),
        ),
        state=NEW,
    ),
    Row(
        "Nobody yet, and a backup",
        (
            *at(
                "First screen: without the old device",
                "f4",
                "down",
                "up",
                "ctrl+c",
                "super+c",
                "tab",
                "shift+tab",
                "f4",
                "f8",
                "escape",
                "f4",
                "enter",
                "escape",
            ),
            *at(
                "First screen: a backup that is not there",
                *(
                    "f4",
                    "enter",
                    "f2",
                    "f2",
                    "down",
                    "up",
                    "ctrl+c",
                    "super+c",
                    "enter",
                    "shift+tab",
                    "shift+tab",
                ),
                *("right", "left", "tab"),
                *(Text("/none"), "enter", Text("secret"), "enter", PASSPHRASE, "enter", Text("another")),
                *("enter", "enter", "escape"),
            ),
        ),
        state=NEW,
    ),
    Row(
        "Nobody yet on this device",
        at(
            "First screen: link this device",
            *(*_LINK, "f3", "f3", "enter", "d", "d", "n", "a", "x", "enter", "ctrl+u", Text("10.0.0.9:4747")),
            *("enter", "y", Text("Hi")),
        ),
        state=NEW,
    ),
    Row(
        "A locked profile",
        at(
            "First screen: the passphrase",
            *("f8", "f2", Text("no"), "enter", "escape", "f4", "escape"),
            *("enter", Text("wrong"), "enter", Text("Hello"), "f2", "f3", "enter", PASSPHRASE, "enter"),
            Text("Hi"),
        ),
        state=LOCKED,
    ),
    Row(
        "Somebody who types faster than anything opens",
        (
            *at(
                "Typed ahead: conversations and commands",
                *(
                    "ctrl+k",
                    Text("Carla"),
                    "enter",
                    Text("Hello"),
                    "enter",
                    "alt+up",
                    Text("to Bob"),
                    "alt+down",
                ),
                *(
                    Text("to Carla"),
                    "enter",
                    "alt+up",
                    "enter",
                    "ctrl+k",
                    "ctrl+k",
                    "enter",
                    Text("one"),
                    "enter",
                ),
                *("ctrl+k", Text("Bob"), "enter", Text("/help"), "enter", "escape", Text("two"), "enter"),
                *(Text("hello"), "tab", Text("world"), "enter"),
            ),
            *at(
                "Typed ahead: a message that is found, answered, edited and deleted",
                *(
                    "ctrl+f",
                    Text("room"),
                    "enter",
                    "ctrl+up",
                    "r",
                    Text("found"),
                    "enter",
                    "ctrl+up",
                    "up",
                    "r",
                ),
                *(Text("answer"), "enter", "up", Text(" again"), "enter", "f10", Text("2026-11-24"), "enter"),
                *(
                    "ctrl+up",
                    "r",
                    Text("that day"),
                    "enter",
                    "alt+j",
                    "s",
                    Text("x"),
                    "enter",
                    "ctrl+up",
                    "d",
                    "y",
                ),
                *("escape", Text("Hi"), "enter"),
            ),
            *at(
                "Typed ahead: forms and questions",
                *("f6", "ctrl+u", Text("Carol"), "enter", Text("Hi"), "enter", "f7", "y", "f7", Text("Ho")),
                *("enter", "ctrl+o", "down", "enter", "ctrl+u", Text("Carla"), "enter", Text("He"), "enter"),
                *("ctrl+t", "v", "ctrl+t", "u", "y", Text("Ha"), "enter", "f5", "f5", "f5", "alt+m", "alt+m"),
                *(
                    "alt+m",
                    "f2",
                    "c",
                    "escape",
                    "escape",
                    Text("a"),
                    "enter",
                    "f3",
                    "enter",
                    Text("x"),
                    "enter",
                ),
                *("escape", Text("b"), "enter", "f8", "y", Text("c"), "enter"),
            ),
            *at(
                "Typed ahead: what is one's own",
                *(
                    "alt+r",
                    Text(OTHER_RELAY),
                    "enter",
                    "tab",
                    "down",
                    "c",
                    "escape",
                    "alt+r",
                    "tab",
                    "d",
                    "y",
                ),
                *(
                    Text("x"),
                    "escape",
                    "f12",
                    "down",
                    "right",
                    "escape",
                    "f9",
                    "escape",
                    "alt+d",
                    "a",
                    "escape",
                ),
                *("escape", "ctrl+k", Text("Bob"), "enter", "alt+a", Text("fil"), "insert", "enter", "y"),
                *(Text("Hi"), "enter", "alt+v", "enter", Text("Ho"), "enter", "alt+k", PASSPHRASE, "enter"),
                *(Text("a new one"), "enter", Text("a new one"), "enter", Text("last"), "alt+l"),
                *(Text("a new one"), "enter", Text(" of all"), "enter"),
            ),
        ),
    ),
    Row(
        "A locked profile whose owner types ahead",
        at(
            "Typed ahead: from the passphrase to a message",
            *(PASSPHRASE, "enter", "ctrl+k", Text("Carla"), "enter", Text("Hello"), "enter"),
        ),
        state=LOCKED,
    ),
    Row(
        "Somebody whose message waits",
        (
            *at("A message that waits", Text("Later"), "enter"),
            *at("Quitting, and staying", "ctrl+q", "x", "enter", "ctrl+q", "n"),
            *dialog("QuitDialog", "ctrl+q", enter=False),
            *at("Quitting nevertheless", "ctrl+q", "y"),
        ),
        before=_wait,
    ),
    Row("A locked profile that stays so", at("First screen: Quit", Text("half"), "ctrl+q"), state=LOCKED),
)

ROWS: Final = (*PLACES, *DIALOGS)
