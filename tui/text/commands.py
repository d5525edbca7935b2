"""Commands that are typed in the message box: `/name` does the action of that name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from chat.interface import BotCommand
from tui.actions import ACTIONS, BY_ID
from tui.text.bots import sent_command
from tui.text.emoji import CHOICES_MAX, Begun, Choice
from tui.text.safe import safe_line
from tui.text.translation import _

SLASH: Final = "/"
_WORD: Final = re.compile(r"/([A-Za-z][A-Za-z-]*)(\s+\S.*)?\s*", re.DOTALL)
_BEGUN: Final = re.compile(r"/([A-Za-z0-9_-]*)")
_NOT_HERE: Final = frozenset(("write", "stop_writing", "choose_entry", "alt_key", "edit_sent"))
"""Actions that only move the focus, or mean another key."""


def name_of(action: str) -> str:
    return action.replace("_", "-")


NAMES: Final = {name_of(one.id): one.id for one in ACTIONS if one.id not in _NOT_HERE}
"""What is typed for each action; English in every language, because it is typed."""


OF_LINES: Final = frozenset(
    (
        *("around", "cancel", "close", "everywhere", "export", "hold", "last", "letgo", "me", "name"),
        *(
            "nearby",
            "next",
            "no",
            "open",
            "original",
            "own",
            "pair",
            "people",
            "quiet",
            "read",
            "send",
            "where",
            "whole",
        ),
        *("write", "yes"),
    )
)
"""What the linear mode has besides. What follows one, typed here by habit, must not go to a bot either."""

RESERVED: Final = frozenset(NAMES) | OF_LINES
"""Names that no bot's command takes."""


def typed_for(action: str) -> str:
    """What is typed for an action; empty where that cannot be."""
    return SLASH + name_of(action) if name_of(action) in NAMES else ""


def typed_command(text: str) -> str | None:
    """The word that follows the slash, in whose place a command stands; None for a text.

    Also where more follows: what somebody wants of the program must not go to the contact.
    """
    found = _WORD.fullmatch(text)
    return found[1].lower() if found is not None else None


def stands_alone(text: str) -> bool:
    """Whether nothing follows the command that a text is."""
    found = _WORD.fullmatch(text)
    return found is not None and found[2] is None


def unescaped(text: str) -> str:
    """What is sent of a text: one slash less where it begins with two."""
    return text[1:] if text.startswith(SLASH * 2) else text


def escaped(text: str) -> str:
    """A text as it is written so that it is sent as it is."""
    return SLASH + text if text.startswith(SLASH * 2) or typed_command(text) is not None else text


def begun_command(text: str, commands: Sequence[BotCommand] = ()) -> Begun | None:
    """What completes a command that is all of the text; None where there is none, or it is whole.

    Parlour's own come first, then `commands` of a bot, which have half of the places where Parlour's would
    fill all of them.
    """
    found = _BEGUN.fullmatch(text)
    if found is None or text[1:].lower() in NAMES or sent_command(text, commands):
        return None
    start = found[1].lower()
    own = tuple(
        Choice(BY_ID[NAMES[name]].title, SLASH + name) for name in sorted(NAMES) if name.startswith(start)
    )
    bots = tuple(
        Choice(_("bot: {text}").format(text=safe_line(one.description)), SLASH + one.name)
        for one in commands
        if one.name.startswith(start)
    )
    bots = bots[: max(CHOICES_MAX - len(own), CHOICES_MAX // 2)]
    choices = own[: CHOICES_MAX - len(bots)] + bots
    return Begun(0, choices) if choices else None
