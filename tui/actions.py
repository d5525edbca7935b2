"""Every action once: bindings, key line, menus, palette and help are made from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a person can do. `usual` are Textual's names of its keys, the first one is shown.

    `vi` are its keys for a person who prefers those of vi, where they differ. A key that types a letter, and
    those of a text field (`SOFT`), work only while no text field has the focus.
    """

    id: str
    label: str
    help: str
    usual: str = ""
    vi: str = ""
    priority: bool = True

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
        """The first key that holds now, as people write it; empty where it has none."""
        return next(map(shown_key, keys_of(self.id)), "")


_FINDING: Final = (
    Action(
        "switch",
        N_("Go to"),
        N_("Open a conversation by typing part of the name. Unread ones come first."),
        "ctrl+k",
    ),
    Action("palette", N_("Commands"), N_("Find any command by name."), "ctrl+p", vi="ctrl+p colon"),
    Action(
        "search",
        N_("Search"),
        N_("Search this conversation. Ctrl+F again searches all conversations."),
        "ctrl+f",
        vi="ctrl+f slash",
    ),
    Action("next_hit", N_("Next result"), N_("Go to the next older result."), "alt+n", vi="alt+n n"),
    Action("previous_hit", N_("Previous result"), N_("Go to the next newer result."), "alt+p", vi="alt+p N"),
    Action(
        "jump",
        N_("Jump"),
        N_("Show a letter on every target. Type the letter to go there."),
        "alt+j ctrl+s",
        vi="alt+j ctrl+s f",
    ),
)
_ADD: Final = (
    Action("add", N_("Add a contact"), N_("Show every way to add a contact."), "ctrl+n"),
    Action("invite", N_("Invite someone"), N_("Create a one-time invitation as text and QR code."), "f2"),
    Action("join", N_("Use an invitation"), N_("Use an invitation that you received."), "f3"),
    Action(
        "address",
        N_("Pair by address"),
        N_("Connect to HOST:PORT when the other device does not appear nearby."),
        "f4",
    ),
    Action(
        "visible", N_("Toggle visibility"), N_("Be visible to people nearby for two minutes, or hide."), "f5"
    ),
)
_CONTACT: Final = (
    Action(
        "contact", N_("This contact"), N_("Verify, rename, mute, block or remove this contact."), "ctrl+o"
    ),
    Action("verify", N_("Verify"), N_("Compare the safety number with this contact."), "ctrl+t"),
    Action("rename", N_("Rename"), N_("Change the name that you see for this contact."), "f6"),
    Action(
        "block",
        N_("Block or unblock"),
        N_("A blocked contact gets no answer, and you see nothing from them."),
        "f7",
    ),
    Action("remove", N_("Remove"), N_("Delete the contact, their keys and the conversation."), "f8"),
    Action(
        "mute",
        N_("Mute or unmute"),
        N_("Messages from a muted contact do not ring the bell or count in the title."),
        "alt+m",
    ),
)
_READING: Final = (
    Action(
        "next_conversation",
        N_("Next"),
        N_("Open the next conversation in the list."),
        "alt+down",
        vi="alt+down J",
    ),
    Action(
        "previous_conversation",
        N_("Previous"),
        N_("Open the previous conversation in the list."),
        "alt+up",
        vi="alt+up K",
    ),
    Action("older", N_("Older"), N_("Scroll back one page."), "pageup", vi="pageup ctrl+u"),
    Action("newer", N_("Newer"), N_("Scroll forward one page."), "pagedown", vi="pagedown ctrl+d"),
    Action("newest", N_("Newest"), N_("Go to the newest message."), "alt+end ctrl+end"),
    Action("first_unread", N_("First unread"), N_("Go to the first unread message."), "alt+home ctrl+home"),
    Action(
        "mark_all_read",
        N_("Mark all as read"),
        N_("Mark every message in this conversation as read, even those not yet shown."),
    ),
    Action("day", N_("Go to a date"), N_("Go to the first message of a day."), "f10"),
    Action(
        "choose_entry",
        N_("Select a message"),
        N_("Move up to the messages. The arrow keys select one, and the keys below act on it."),
        "ctrl+up",
    ),
    Action("emoji", N_("Emoji"), N_("Insert an emoji by name. Typing :name: works too."), "alt+e"),
    Action(
        "stop_writing",
        N_("Leave the message box"),
        N_("Move from the message box to the messages."),
        vi="escape",
        priority=False,
    ),
)
_ENTRY: Final = (
    Action("entry", N_("This message"), N_("Show what you can do with the message."), "enter"),
    Action("reply", N_("Reply"), N_("Reply to the message and quote it in one line."), "r"),
    Action("copy", N_("Copy"), N_("Copy the text to the clipboard."), "c", vi="y"),
    Action("copy_link", N_("Copy link"), N_("Copy the first link in the message."), "l"),
    Action("copy_code", N_("Copy code"), N_("Copy the first code block in the message."), "y", vi="Y"),
    Action("origin", N_("Original message"), N_("Go to the message that this one replies to."), "o"),
    Action("back", N_("Back"), N_("Go back to where you jumped from."), "backspace b"),
    Action(
        "details", N_("Details"), N_("Show the author, the times and the devices that have it."), "i", vi="I"
    ),
    Action(
        "delete",
        N_("Delete"),
        N_("Delete your copy after confirmation. The contact keeps theirs."),
        "d delete",
    ),
    Action("oldest", N_("Oldest"), N_("Go to the first message of the conversation."), "home g"),
)
_WRITE: Final = Action(
    "write", N_("Write"), N_("Go back to the message box."), "escape", vi="escape i a", priority=False
)
_PARLOUR: Final = (
    Action("help", N_("Help"), N_("Show all keys and symbols."), "f1"),
    Action("doctor", N_("Diagnose connection"), N_("Find out why two devices cannot connect."), "f9"),
    Action("relays", N_("Relays"), N_("Relays connect you with contacts on other networks."), "alt+r"),
    Action("settings", N_("Settings"), N_("Appearance, notifications, lock and privacy."), "f12 ctrl+g"),
    Action("theme", N_("Next theme"), N_("Switch between dark, light and high contrast."), "ctrl+b"),
    Action(
        "lock", N_("Lock"), N_("Clear the screen and remove the key from memory. Drafts are kept."), "ctrl+l"
    ),
    Action(
        "quit", N_("Quit"), N_("Close Parlour. It sends and receives again when you reopen it."), "ctrl+q"
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
APP_WIDE: Final = frozenset(("help", "theme", "lock", "quit"))
SOFT: Final = frozenset(("ctrl+u", "ctrl+d"))
HINTED: Final = ("help", "switch", "palette", "search", "add", "contact", "lock", "quit")
"""The actions of the key line, first the one that explains all others."""
_SHOWN: Final = {
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "escape": "Esc",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
}

_CHARACTERS: Final = {_character_to_key(chr(code)): chr(code) for code in range(0x20, 0x7F)}

_in_use: dict[str, tuple[str, ...]] = {one.id: one.keys for one in ACTIONS}


def use(keys: Mapping[str, tuple[str, ...]]) -> None:
    """Let these keys hold from now on; an action that is not named keeps its own."""
    _in_use.update({one.id: keys.get(one.id, one.keys) for one in ACTIONS})


def keys_of(name: str) -> tuple[str, ...]:
    return _in_use[name]


def action(name: str) -> Action:
    return BY_ID[name]


def of_group(group: Group) -> tuple[Action, ...]:
    return _GROUPS[group]


def command(name: str) -> str:
    """The Textual action that does the action of an id, on any screen or widget."""
    return f"app.{name}" if name in APP_WIDE else f"screen.do({name!r})"


def app_bindings() -> list[Binding]:
    """The keys that work on every screen, also over a dialog."""
    return [binding for one in ACTIONS if one.id in APP_WIDE for binding in _bindings(one)]


def chat_bindings() -> list[Binding]:
    elsewhere = APP_WIDE | COMPOSER | {one.id for one in of_group(Group.ENTRY)}
    return [binding for one in ACTIONS if one.id not in elsewhere for binding in _bindings(one)]


def history_bindings() -> list[Binding]:
    """The keys that work while the history has the focus; the chat screen does what they say."""
    return [binding for one in of_group(Group.ENTRY) for binding in _on_screen(one)]


def composer_bindings() -> list[Binding]:
    return [binding for one in ACTIONS if one.id in COMPOSER for binding in _on_screen(one)]


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


def types_a_letter(key: str) -> bool:
    return key in _CHARACTERS or (len(key) == 1 and key.isprintable())


def named(character: str) -> str:
    return _character_to_key(character)


def _bindings(one: Action) -> list[Binding]:
    return [
        Binding(key, command(one.id), show=False, id=one.id, priority=one.priority and _is_hard(key))
        for key in keys_of(one.id)
    ]


def _on_screen(one: Action) -> list[Binding]:
    return [Binding(key, command(one.id), show=False, id=one.id) for key in keys_of(one.id)]


def _is_hard(key: str) -> bool:
    return key not in SOFT and not types_a_letter(key)
