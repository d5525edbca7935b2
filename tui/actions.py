"""Every action that has a key, once: from this registry come bindings, key hints, menus and the help.

Rules: an id is also the name of the `action_…` method that does it; a key is given here and nowhere
else, so that a key map, a palette and the documentation can be made from the same list.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding


class Group(StrEnum):
    """Where an action belongs: the heading in the help, the menu that offers it."""

    ADD = "Add someone"
    CONTACT = "This contact"
    READING = "Reading and writing"
    ENTRY = "A chosen entry"
    PARLOUR = "Parlour"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that a person can do. `keys` are Textual's key names, the first one is shown."""

    id: str
    label: str
    help: str
    keys: tuple[str, ...]
    group: Group
    priority: bool = True
    hint: bool = False

    @property
    def key(self) -> str:
        """The first key as people write it."""
        return shown_key(self.keys[0])


ACTIONS: tuple[Action, ...] = (
    Action(
        "add", "Add someone", "All ways to add a contact, in one menu.", ("ctrl+n",), Group.ADD, hint=True
    ),
    Action(
        "invite",
        "Invite someone",
        "Make a one-time invitation: a text, and a picture to scan.",
        ("f2",),
        Group.ADD,
    ),
    Action("join", "Use an invitation", "Use an invitation that you were given.", ("f3",), Group.ADD),
    Action(
        "address",
        "Pair by address",
        "Connect to HOST:PORT where nobody is found by itself.",
        ("f4",),
        Group.ADD,
    ),
    Action(
        "visible",
        "Be visible, or hide",
        "Let people nearby see you for two minutes, or stop it.",
        ("f5",),
        Group.ADD,
    ),
    Action(
        "contact",
        "This contact",
        "Verify, rename, block or remove the contact.",
        ("ctrl+o",),
        Group.CONTACT,
        hint=True,
    ),
    Action("verify", "Verify", "Compare the safety number with the contact.", ("ctrl+t",), Group.CONTACT),
    Action("rename", "Rename", "Call the contact by another name, here only.", ("f6",), Group.CONTACT),
    Action(
        "block",
        "Block or unblock",
        "A blocked contact gets no answer; nothing of it is shown.",
        ("f7",),
        Group.CONTACT,
    ),
    Action(
        "remove", "Remove", "Forget the contact, its keys and the history with it.", ("f8",), Group.CONTACT
    ),
    Action(
        "next_conversation", "Next", "Open the next conversation of the list.", ("alt+down",), Group.READING
    ),
    Action("previous_conversation", "Previous", "Open the one before.", ("alt+up",), Group.READING),
    Action("older", "Older", "Scroll a page back.", ("pageup",), Group.READING),
    Action("newer", "Newer", "Scroll a page forward.", ("pagedown",), Group.READING),
    Action("newest", "Newest", "Go to the newest entry.", ("alt+end", "ctrl+end"), Group.READING),
    Action(
        "first_unread",
        "First unread",
        "Go to the first entry that was new when the conversation was opened.",
        ("alt+home", "ctrl+home"),
        Group.READING,
    ),
    Action("day", "Go to a day", "Go to the first entry of a day.", ("f10",), Group.READING),
    Action(
        "choose_entry",
        "Choose an entry",
        "Go up into the entries: arrows choose one, then the keys below work.",
        ("ctrl+up",),
        Group.READING,
    ),
    Action("entry", "This entry", "A menu of what can be done with it.", ("enter",), Group.ENTRY),
    Action("reply", "Reply", "Answer the entry: it is quoted in one line.", ("r",), Group.ENTRY),
    Action("copy", "Copy", "Copy the text to the terminal's clipboard.", ("c",), Group.ENTRY),
    Action("copy_link", "Copy the address", "Copy the first address in it.", ("l",), Group.ENTRY),
    Action("copy_code", "Copy the code", "Copy the first block of code in it.", ("y",), Group.ENTRY),
    Action("origin", "What it answers", "Go to the entry that it answers.", ("o",), Group.ENTRY),
    Action("back", "Back", "Go back to where the last jump began.", ("backspace", "b"), Group.ENTRY),
    Action("details", "Details", "Who wrote it where and when, and who has it.", ("i",), Group.ENTRY),
    Action("oldest", "Oldest", "Go to the first entry of all.", ("home", "g"), Group.ENTRY),
    Action(
        "write", "Write", "Go back to the text that you write.", ("escape",), Group.READING, priority=False
    ),
    Action("help", "Help", "This page: all keys and marks.", ("f1",), Group.PARLOUR, hint=True),
    Action(
        "doctor",
        "Ask the doctor",
        "Find out why two terminals do not see each other.",
        ("f9",),
        Group.PARLOUR,
    ),
    Action("settings", "Settings", "Read receipts and typing.", ("f12", "ctrl+g"), Group.PARLOUR),
    Action(
        "theme",
        "Light or dark",
        "Change between dark and light until Parlour closes.",
        ("ctrl+b",),
        Group.PARLOUR,
    ),
    Action(
        "lock",
        "Lock",
        "Drop the key and blank the screen at once; unsent drafts go too.",
        ("ctrl+l",),
        Group.PARLOUR,
        hint=True,
    ),
    Action(
        "quit",
        "Quit",
        "Close Parlour. What waits is sent when it is opened again.",
        ("ctrl+q",),
        Group.PARLOUR,
        hint=True,
    ),
)

_APP_WIDE = frozenset(("help", "theme", "lock", "quit"))
_SHOWN = {"pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc", "enter": "Enter", "tab": "Tab"}


def action(name: str) -> Action:
    """The action of an id."""
    return next(one for one in ACTIONS if one.id == name)


def of_group(group: Group) -> tuple[Action, ...]:
    """The actions of one heading, in order."""
    return tuple(one for one in ACTIONS if one.group is group)


def app_bindings() -> list[Binding]:
    """The keys that work on every screen, also over a dialog."""
    return [_binding(one) for one in ACTIONS if one.id in _APP_WIDE]


def chat_bindings() -> list[Binding]:
    """The keys of the chat screen."""
    return [_binding(one) for one in ACTIONS if one.id not in _APP_WIDE and one.group is not Group.ENTRY]


def history_bindings() -> list[Binding]:
    """The keys that work while the history has the focus; the chat screen does what they say."""
    return [
        Binding(",".join(one.keys), f"screen.{one.id}", one.label, show=False, id=one.id, tooltip=one.help)
        for one in of_group(Group.ENTRY)
    ]


def shown_key(key: str) -> str:
    """A key name as people write it: `ctrl+n` is Ctrl+N."""
    return "+".join(_SHOWN.get(part, part.capitalize()) for part in key.split("+"))


def _binding(one: Action) -> Binding:
    return Binding(",".join(one.keys), one.id, one.label, priority=one.priority, id=one.id, tooltip=one.help)
