"""An entry of the history as the commands print it: its fields, and a line to read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from chat.cli.output import block, highlighted, one_line, timestamp
from chat.interface import (
    DeletedBy,
    EntryKind,
    EntryView,
    FileState,
    FileView,
    length_text,
    size_text,
    timer_text,
)

_CONFLICTING: Final = "conflicts with another message"
_QUARANTINED: Final = "from a removed device, perhaps written after its removal"
_CLAIMED: Final = {
    "contact": "says that you wrote this",
    "device": "another device of yours says that you wrote this",
    "earlier": "yours, as this contact has it, from before a removal or recovery",
}
_EDITED: Final = "edited"
UNSHOWN: Final[Mapping[str, str]] = {
    EntryKind.MISSING: "not here yet",
    EntryKind.CUT: "removed a device",
    EntryKind.UNKNOWN: "written by a newer Parlour",
    DeletedBy.AUTHOR: "deleted by its author",
    DeletedBy.MINE: "deleted on all your devices",
    DeletedBy.HERE: "deleted here",
    DeletedBy.NOBODY: "deleted",
}


def entry_fields(entry: EntryView) -> dict[str, object]:
    """The fields of `history --json`."""
    return {
        "id": entry.id,
        "contact": entry.contact,
        "author": entry.author,
        "own": entry.own,
        "time": timestamp(entry.time),
        "kind": entry.kind,
        "text": entry.text,
        "reply": entry.reply,
        "state": entry.state.value,
        "conflicting": entry.conflicting,
        "quarantined": entry.quarantined,
        "claimed": entry.claimed,
        "edited": entry.edited,
        "deleted_by": entry.deleted_by,
        **({"file": file_fields(entry.file)} if entry.file is not None else {}),
        **({"kept_on": entry.kept_on} if entry.kind is EntryKind.ELSEWHERE else {}),
        **({"expires": timestamp(entry.expires)} if entry.expires is not None else {}),
        **({"timer": entry.seconds} if entry.kind is EntryKind.TIMER else {}),
        **(
            {"bot": entry.bot, "commands": [one.name for one in entry.commands]}
            if entry.kind is EntryKind.BOT
            else {}
        ),
    }


def entry_line(entry: EntryView, conversation: str = "", wanted: re.Pattern[str] | None = None) -> str:
    """An entry to read; further lines of its text are indented, and what is `wanted` is marked."""
    where = f"[{conversation}] " if conversation else ""
    marks = [_EDITED] if entry.edited else []
    marks += [entry.state.value] if entry.own else []
    marks += [_CONFLICTING] if entry.conflicting else []
    marks += [_QUARANTINED] if entry.quarantined else []
    marks += [_CLAIMED[entry.claimed]] if entry.claimed else []
    marks += [f"disappears {timestamp(entry.expires)}"] if entry.expires is not None else []
    state = f"  ({', '.join(marks)})" if marks else ""
    text = highlighted(block(entry.text, "    "), wanted)
    file = highlighted(file_text(entry.file), wanted) if entry.file else ""
    said = text if entry.kind is EntryKind.TEXT else file or f"({_unshown(entry)})"
    return f"{timestamp(entry.time)}  {where}{one_line(entry.author)}: {said}{state}"


def file_fields(file: FileView) -> dict[str, object]:
    """What JSON says of a file. Only a file that is whole can be saved."""
    return {
        "name": file.name,
        "folder": file.folder,
        "media": file.media,
        "size": file.size,
        "state": file.state.value,
        "held": file.held,
        **({"last_known_on": file.kept_on} if file.kept_on else {}),
        **({"voice": file.seconds} if file.seconds else {}),
    }


_FILE_STATES: Final = {
    FileState.ASKS: "not taken: 'parlour save' takes it",
    FileState.TAKING: "is taken when it can be",
    FileState.DIRECT: "waits for a direct connection",
    FileState.PAUSED: "paused",
    FileState.WHOLE: "here",
    FileState.LET_GO: "not on this device: 'parlour save' takes it again",
    FileState.WITHHELD: "here, not given to others for now",
}


def file_text(file: FileView) -> str:
    """A file to read: its name, size, and where it stands."""
    held = f"{size_text(file.held)} of " if 0 < file.held < file.size else ""
    gone = file.state is FileState.LET_GO and file.kept_on
    state = _FILE_STATES[file.state] + (f"; last known on {one_line(file.kept_on)}" if gone else "")
    kind = f"voice message, {length_text(file.seconds)}" if file.seconds else "file"
    return f"[{kind}] {one_line(file.path)} ({held}{size_text(file.size)}, {state})"


def _unshown(entry: EntryView) -> str:
    if entry.kind is EntryKind.ELSEWHERE:
        return (
            f"not on this device: on {one_line(entry.kept_on)}" if entry.kept_on else "on no device of yours"
        )
    if entry.kind is EntryKind.BOT:
        names = ", ".join(f"/{one.name}" for one in entry.commands)
        return (f"is a bot with the commands {names}" if names else "is a bot") if entry.bot else "is no bot"
    if entry.kind is not EntryKind.TIMER:
        return UNSHOWN.get(entry.deleted_by or entry.kind, entry.kind)
    if not entry.seconds:
        return "switched the timer off: new messages stay"
    return f"set the timer: new messages disappear {timer_text(entry.seconds)} after they were read"
