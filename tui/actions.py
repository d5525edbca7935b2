"""Every action once: bindings, key line, menus, palette and help are made from these."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Set
from enum import StrEnum
from typing import Final

from msgspec import Struct
from textual.binding import Binding, BindingsMap
from textual.dom import DOMNode
from textual.keys import _character_to_key

from tui.text.translation import N_, _


class Group(StrEnum):
    """Where an action belongs: the heading in the help, the menu that offers it."""

    FINDING = N_("Navigation")
    ADD = N_("Add a contact")
    CONTACT = N_("This contact")
    READING = N_("Reading and writing")
    ENTRY = N_("Selected message")
    PARLOUR = N_("Parlour")

    @property
    def heading(self) -> str:
        return _(self.value)


class Action(Struct, frozen=True):
    """One thing that a person can do. `usual` are Textual's names of its keys; the first one is shown.

    `vi` are its keys for a person who prefers those of vi, where they differ. A key that types a letter, and
    those of a text field (`SOFT`), work only while no text field has the focus.
    """

    id: str
    usual: str
    label: str
    help: str
    vi: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.usual.split())

    @property
    def vi_keys(self) -> tuple[str, ...]:
        return tuple((self.vi or self.usual).split())

    @property
    def title(self) -> str:
        return _(self.label)

    @property
    def about(self) -> str:
        return _(self.help)

    @property
    def key(self) -> str:
        """The first key that holds now, as people write it; empty where it has none.

        macOS' own terminal sends no Alt: another key goes before one with it.
        """
        keys = keys_of(self.id)
        if sys.platform == "darwin":
            keys = tuple(sorted(keys, key=lambda key: key.startswith("alt+")))
            first = next(map(shown_key, keys_of("alt_key")), "")
            return next((shown_without_alt(key, first) for key in keys), "")
        return next(map(shown_key, keys), "")


_FINDING: Final = (
    Action(
        "switch",
        "ctrl+k",
        N_("Go to"),
        N_("Open a conversation by typing part of the name. Unread ones come first."),
    ),
    Action("palette", "ctrl+p", N_("Commands"), N_("Find any command by name."), vi="ctrl+p colon"),
    Action(
        "search",
        "ctrl+f",
        N_("Search"),
        N_("Search this conversation. Ctrl+F again searches all conversations."),
        vi="ctrl+f slash",
    ),
    Action("next_hit", "alt+n", N_("Next result"), N_("Go to the next older result."), vi="alt+n n"),
    Action("previous_hit", "alt+p", N_("Previous result"), N_("Go to the next newer result."), vi="alt+p N"),
    Action(
        "jump",
        "alt+j ctrl+s",
        N_("Jump"),
        N_("Show a letter on every target. Type the letter to go there."),
        vi="alt+j ctrl+s f",
    ),
    Action(
        "side_bar",
        "alt+c alt+b",  # most terminals send Ctrl+← for Alt+B
        N_("Show or hide the list"),
        N_(
            "Leave the columns of the list to the messages, or show it. A narrow screen shows one of the two."
        ),
    ),
)
_ADD: Final = (
    Action("add", "ctrl+n", N_("Add a contact"), N_("Show every way to add a contact.")),
    Action("invite", "f2", N_("Invite someone"), N_("Create a one-time invitation as text and QR code.")),
    Action("join", "f3", N_("Use an invitation"), N_("Use an invitation that you received.")),
    Action(
        "address",
        "f4",
        N_("Add by network address"),
        N_("Connect to HOST:PORT when the other device does not appear nearby."),
    ),
    Action(
        "visible",
        "f5",
        N_("Let people nearby find me"),
        N_("Be visible to people nearby for two minutes, or hide."),
    ),
)
_CONTACT: Final = (
    Action(
        "contact",
        "ctrl+o",
        N_("This contact"),
        N_("Verify, rename, pin, mute, block or remove this contact, or set its timer."),
    ),
    Action("verify", "ctrl+t", N_("Verify"), N_("Compare the safety number with this contact.")),
    Action("rename", "f6", N_("Rename"), N_("Change the name that you see for this contact.")),
    Action(
        "block",
        "f7",
        N_("Block or unblock"),
        N_("A blocked contact gets no answer, and you see nothing from them."),
    ),
    Action("remove", "f8", N_("Remove"), N_("Delete the contact, their keys and the conversation.")),
    Action(
        "pin",
        "alt+t",
        N_("Pin or unpin"),
        N_("A pinned conversation stays at the top of the list, on all your devices."),
    ),
    Action(
        "mute",
        "alt+m",
        N_("Mute or unmute"),
        N_("A muted contact does not ring the bell, notify or count in the title, on all your devices."),
    ),
    Action(
        "pictures",
        "",
        N_("Show pictures"),
        N_("Show the pictures of this contact as they come, or only when you ask for one."),
    ),
    Action("timer", "", N_("Timer"), N_("Let new messages disappear some time after they were read.")),
    Action(
        "files",
        "",
        N_("Files"),
        N_("Choose up to which size files of this contact come unasked, and go through a relay."),
    ),
    Action(
        "take",
        "",
        N_("Take earlier messages"),
        N_("Take what this contact has of you from before a removal or recovery as yours."),
    ),
    Action("clear", "", N_("Clear"), N_("Delete your copy of all messages in this conversation.")),
)
_READING: Final = (
    Action(
        "next_conversation",
        "alt+down",
        N_("Next"),
        N_("Open the next conversation in the list."),
        vi="alt+down J",
    ),
    Action(
        "previous_conversation",
        "alt+up",
        N_("Previous"),
        N_("Open the previous conversation in the list."),
        vi="alt+up K",
    ),
    Action("older", "pageup", N_("Older"), N_("Scroll back one page."), vi="pageup ctrl+u"),
    Action("newer", "pagedown", N_("Newer"), N_("Scroll forward one page."), vi="pagedown ctrl+d"),
    Action("newest", "alt+end ctrl+end", N_("Newest"), N_("Go to the newest message.")),
    Action("first_unread", "alt+home ctrl+home", N_("First unread"), N_("Go to the first unread message.")),
    Action("day", "f10", N_("Go to a date"), N_("Go to the first message of a day.")),
    Action(
        "choose_entry",
        "ctrl+up",
        N_("Select a message"),
        N_("Move up to the messages. The arrow keys select one, and the keys below act on it."),
    ),
    Action("send_files", "alt+a", N_("Send files"), N_("Choose files or folders, and send them.")),
    Action(
        "edit_sent",
        "alt+h",
        N_("Edit what you sent"),
        N_("Edit your last message, or the one that ↑ has brought back."),
    ),
    Action("voice", "alt+v", N_("Voice message"), N_("Record a voice message, and send it.")),
    Action("cancel_file", "alt+x", N_("Cancel a file"), N_("Do not send the file that is being encrypted.")),
    Action("emoji", "alt+e", N_("Emoji"), N_("Insert an emoji by name. Typing :name: works too.")),
    Action(
        "stop_writing",
        "",
        N_("Leave the message box"),
        N_("Move from the message box to the messages."),
        vi="escape",
    ),
)
_ENTRY: Final = (
    Action("entry", "enter", N_("This message"), N_("Show what you can do with the message.")),
    Action("reply", "r", N_("Reply"), N_("Reply to the message and quote it in one line.")),
    Action("edit", "e", N_("Edit"), N_("Change your message. It keeps its place and is shown as edited.")),
    Action("copy", "c", N_("Copy"), N_("Copy the selected text, or the message, to the clipboard."), vi="y"),
    Action("copy_link", "l", N_("Copy link"), N_("Copy the first link in the message.")),
    Action(
        "open_link",
        "u",
        N_("Open the link"),
        N_("Open a link of the message with a program of your system, after a question."),
    ),
    Action("copy_code", "y", N_("Copy code"), N_("Copy the first code block in the message."), vi="Y"),
    Action(
        "save",
        "s",
        N_("Save the file"),
        N_("Save the file of the message, all of its folder, or those selected; or take it, or pause that."),
    ),
    Action(
        "let_go",
        "x",
        N_("Delete the file from this device"),
        N_("Delete the file on this device. Its message stays here."),
    ),
    Action("open_file", "v", N_("Open the file"), N_("Open a saved file with a program of your system.")),
    Action("show_folder", "w", N_("Show in its folder"), N_("Show a saved file in its folder.")),
    Action("show", "p", N_("Show the picture"), N_("Show the picture of the message, or hide it again.")),
    Action(
        "fold", "z", N_("Fold or unfold"), N_("Show all rows of a long message, or only the first again.")
    ),
    Action("origin", "o", N_("Original message"), N_("Go to the message that this one replies to.")),
    Action("back", "backspace b", N_("Back"), N_("Go back to where you jumped from.")),
    Action(
        "details", "i", N_("Details"), N_("Show the author, the times and the devices that have it."), vi="I"
    ),
    Action(
        "delete",
        "d delete",
        N_("Delete"),
        N_("Delete after confirmation: here, on all your devices, or your own message for everyone."),
    ),
    Action(
        "mark_all_read",
        "shift+end",
        N_("Mark all as read"),
        N_("Mark every message in this conversation as read, even those not yet shown."),
    ),
    Action("oldest", "home g", N_("Oldest"), N_("Go to the first message of the conversation.")),
)
_WRITE: Final = Action("write", "escape", N_("Write"), N_("Go back to the message box."), vi="escape i a")
_PARLOUR: Final = (
    Action("help", "f1", N_("Help"), N_("Show all keys and symbols.")),
    Action("doctor", "f9", N_("Diagnose connection"), N_("Find out why two devices cannot connect.")),
    Action("relays", "alt+r", N_("Relays"), N_("Relays connect you with contacts on other networks.")),
    Action("devices", "alt+d", N_("Your devices"), N_("See your devices, add another one, or remove one.")),
    Action(
        "recovery", "alt+w", N_("Recovery words"), N_("Write down the words that remove a stolen device.")
    ),
    Action(
        "use_recovery",
        "alt+u",
        N_("Use the recovery words"),
        N_("Remove a stolen or copied device with your recovery words."),
    ),
    Action("rename_self", "alt+o", N_("Your name"), N_("Change the name that your contacts see.")),
    Action(
        "passphrase",
        "alt+k",
        N_("Change the passphrase"),
        N_("Change the passphrase that opens this profile."),
    ),
    Action(
        "backup",
        "",
        N_("Back up or export"),
        N_("Write an encrypted backup, or a file for reading, of all your messages."),
    ),
    Action(
        "wipe", "", N_("Destroy this profile"), N_("Destroy the profile on this device, after a question.")
    ),
    Action("settings", "f12 ctrl+g", N_("Settings"), N_("Appearance, notifications, lock and privacy.")),
    Action(
        "own_changes",
        "alt+y",
        N_("Changes of your identity"),
        N_("Say whether a new device or a recovery of your identity was you."),
    ),
    Action(
        "mouse",
        "alt+s",
        N_("Mouse on or off"),
        N_("Leave the mouse to the terminal, which then selects and opens links by itself, or take it back."),
    ),
    Action("theme", "ctrl+b", N_("Next theme"), N_("Switch between dark, light and high contrast.")),
    Action(
        "lock", "alt+l", N_("Lock"), N_("Clear the screen and remove the key from memory. Drafts are kept.")
    ),
    Action("redraw", "ctrl+l", N_("Redraw"), N_("Draw the screen once more, where something wrote over it.")),
    Action(
        "suspend",
        "ctrl+z",
        N_("Suspend"),
        N_("Go to the shell. 'fg' comes back. Nothing is received meanwhile."),
    ),
    Action(
        "alt_key",
        "ctrl+r",
        N_("Alt for the next key"),
        N_("Then a key: as Alt with that key, where a terminal does not send Alt (macOS)."),
    ),
    Action(
        "quit", "ctrl+q", N_("Quit"), N_("Close Parlour. It sends and receives again when you reopen it.")
    ),
)
ACTIONS: Final = (*_FINDING, *_ADD, *_CONTACT, *_READING, *_ENTRY, _WRITE, *_PARLOUR)
_GROUPS: Final[Mapping[Group, tuple[Action, ...]]] = {
    Group.FINDING: _FINDING,
    Group.ADD: _ADD,
    Group.CONTACT: _CONTACT,
    Group.READING: (*_READING, _WRITE),
    Group.ENTRY: _ENTRY,
    Group.PARLOUR: _PARLOUR,
}
BY_ID: Final[Mapping[str, Action]] = {one.id: one for one in ACTIONS}
COMPOSER: Final = frozenset(("stop_writing",))
ON_ENTRY: Final = frozenset(one.id for one in _ENTRY)
STAYING: Final = frozenset(("entry", "show", "fold", "origin", "back", "oldest"))
"""The actions on an entry that only show something: the focus stays among the entries."""
_YIELDING: Final = COMPOSER | ON_ENTRY | {"write"}
"""The actions whose keys go to the widget with the focus first."""
APP_WIDE: Final = frozenset(("help", "mouse", "theme", "lock", "redraw", "suspend", "alt_key", "quit"))
SOFT: Final = frozenset(("ctrl+u", "ctrl+d"))
HINTED: Final = ("help", "switch", "palette", "search", "add", "send_files", "contact", "lock", "quit")
"""The actions of the key line, first the one that explains all others."""
HINTED_ON_ENTRY: Final = ("help", "entry", "reply", "edit", "copy", "delete", "write", "quit")
"""Those while the focus is among the entries."""
_SHOWN: Final = {
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "escape": "Esc",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}

_HERE: Final = {
    "verify --own": ("own_changes", ""),
    "recovery use": ("use_recovery", ""),
    "recovery": ("recovery", ""),
    "terminal add": ("devices", N_("Add a device")),
    "terminal list": ("devices", ""),
    "contacts take": ("contact", N_("Take earlier messages")),
}
"""Commands of the shell: the action that does the same here, and its label where that is not the action's."""
TAKE: Final = "'parlour contacts take'"
_OF_THE_SHELL: Final = re.compile(f"['「]parlour ({'|'.join(_HERE)})['」]")

_CHARACTERS: Final = {_character_to_key(chr(code)): chr(code) for code in range(0x20, 0x7F)}

_in_use: dict[str, tuple[str, ...]] = {one.id: one.keys for one in ACTIONS}


def use(keys: Mapping[str, tuple[str, ...]]) -> None:
    """Let these keys hold from now on; an action that is not named keeps its own."""
    _in_use.update({one.id: keys.get(one.id, one.keys) for one in ACTIONS})


def keys_of(name: str) -> tuple[str, ...]:
    return _in_use[name]


def held_keys() -> frozenset[str]:
    """Every key that does something now."""
    return frozenset(key for keys in _in_use.values() for key in keys)


def key_name(character: str) -> str:
    """Textual's name of the key that types a character."""
    return _character_to_key(character)


def action(name: str) -> Action:
    return BY_ID[name]


def of_group(group: Group) -> tuple[Action, ...]:
    return _GROUPS[group]


def command(name: str) -> str:
    """The Textual action that does the action of an id, on any screen or widget."""
    return f"app.{name}" if name in APP_WIDE else f"screen.do({name!r})"


def app_bindings() -> list[Binding]:
    """The keys that work on every screen, also over a dialog."""
    return _bindings(APP_WIDE)


def chat_bindings() -> list[Binding]:
    return _bindings(BY_ID.keys() - APP_WIDE - COMPOSER - ON_ENTRY)


def history_bindings() -> list[Binding]:
    """The keys that work while the history has the focus; the chat screen does what they say."""
    return _bindings(ON_ENTRY)


def composer_bindings() -> list[Binding]:
    return _bindings(COMPOSER)


def _bindings(names: Set[str]) -> list[Binding]:
    return [
        Binding(key, command(name), show=False, id=name, priority=name not in _YIELDING and _is_hard(key))
        for name in BY_ID
        if name in names
        for key in keys_of(name)
    ]


def with_keys(said: str) -> str:
    """A text for every client, with the interface's commands and keys in place of the shell's."""
    return _OF_THE_SHELL.sub(lambda found: _in_place_of(*_HERE[found[1]]), said)


def _in_place_of(name: str, label: str) -> str:
    """How one does here what a command of the shell does."""
    titled = _("“{command}”").format(command=_(label) if label else action(name).title)
    key = action(name).key
    return _("{command} ({key})").format(command=titled, key=key) if key else titled


def rebind(node: DOMNode, bindings: list[Binding]) -> None:
    """Let a screen or widget that exists answer to these keys in place of those that it had from here."""
    kept = [binding for _key, binding in node._bindings if binding.id not in BY_ID]
    node._bindings = BindingsMap([*bindings, *kept])


def add_keys(node: DOMNode, keys: tuple[str, ...], does: str) -> None:
    """Let a screen answer to these keys too, before its widgets do."""
    added = [Binding(key, does, show=False, priority=_is_hard(key)) for key in keys]
    node._bindings = BindingsMap([*added, *(binding for _key, binding in node._bindings)])


def shown_key(key: str) -> str:
    """A key name as people write it: `ctrl+n` is Ctrl+N, `slash` is /."""
    *modifiers, last = key.split("+")
    typed = _CHARACTERS.get(last, "").strip()
    name = _SHOWN.get(last) or (typed.upper() if modifiers else typed) or last.capitalize()
    return "+".join([*(part.capitalize() for part in modifiers), name])


def shown_without_alt(key: str, first: str) -> str:
    """A key as people write it, with the key that means Alt for the next one in the place of Alt."""
    alone = key.removeprefix("alt+")
    return shown_key(key) if alone == key or not first else f"{first} {shown_key(alone).upper()}"


def types_a_letter(key: str) -> bool:
    return key in _CHARACTERS or (len(key) == 1 and key.isprintable())


def _is_hard(key: str) -> bool:
    return key not in SOFT and not types_a_letter(key)
