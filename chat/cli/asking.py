"""What a line asks of an open messenger: to send, to answer, to mark as read. `listen` reads such lines."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import click

from chat.cli.completing import ENTRY, TALK
from chat.cli.output import find, note, talks
from chat.cli.session import Call, command, coroutine, messenger
from chat.interface import ContactView, EntryView, Messenger, ParlourError, UsageError

SHORTEST: Final = 6
"""Digits of an id that are enough to name one of the newest entries."""

_AMONG: Final = 500  # newest entries whose ids may be shortened

NO_SUCH: Final = (
    "There is no such message in the conversation with {label}: see 'parlour history NAME --json'."
)
_SEVERAL: Final = "Several messages with {label} have an id that begins so: give more of its digits."
_COMMANDS: Final = "send NAME TEXT, reply NAME ID TEXT, read NAME [ID], quit"
_WORD: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(\S+))(?:\s|$)')


async def entry_named(opened: Messenger, label: str, contact: ContactView, typed: str) -> EntryView:
    """The entry of an id, or of the first digits of one of the newest. Raises UsageError."""
    if len(typed) >= 64 or not len(typed) >= SHORTEST:
        entry = await opened.entry(contact.person, typed)
        if entry is None:
            raise UsageError(NO_SUCH.format(label=label))
        return entry
    newest = await opened.history(contact.person, _AMONG)
    fitting = [one for one in newest if one.id.startswith(typed.lower())]
    if len(fitting) > 1:
        raise UsageError(_SEVERAL.format(label=label))
    if not fitting:
        raise UsageError(NO_SUCH.format(label=label))
    return fitting[0]


@command("read")
@click.argument("name", type=TALK)
@click.argument("ids", type=ENTRY, nargs=-1, metavar="[ID]...")
@coroutine
async def read(call: Call, name: str, ids: tuple[str, ...]) -> None:
    """Mark the messages of NAME as read: those with these IDs, or all that came so far.

    'parlour history NAME --json' shows the IDs; the first 6 digits of a recent one are enough. NAME sees that
    you read them, if your settings allow that, as soon as Parlour is open.
    """
    async with messenger(call, offline=True) as opened:
        label, unread = await _mark(opened, name, ids)
        said = f"{unread} messages of {label} are unread." if unread else f"Nothing of {label} is unread."
        call.result({"conversation": label, "unread": unread}, said)


async def _mark(opened: Messenger, name: str, ids: tuple[str, ...]) -> tuple[str, int]:
    """Mark as read; the label of the conversation and how many messages of it are unread then."""
    label, contact = find(await talks(opened), name)
    if ids:
        entries = [await entry_named(opened, label, contact, one) for one in ids]
        await opened.mark_read(contact.person, tuple(one.id for one in entries))
    else:
        await opened.mark_all_read(contact.person)
    return label, find(await talks(opened), contact.person)[1].unread


class Lines:
    """Obeys the lines of standard input, each of which is a command. Each gets one answer, in order.

    An answer is the event `done` or `failed` with the number of its line, from 1.
    """

    def __init__(self, call: Call, opened: Messenger) -> None:
        self._call = call
        self._opened = opened
        self._number = 0
        self._ways: dict[str, Callable[[str], Awaitable[tuple[dict[str, object], str]]]] = {
            "send": self._send,
            "reply": self._reply,
            "read": self._read,
        }

    async def obey(self) -> None:
        """Obey until `quit`, or the end of the input. Raises UsageError: the input is no text."""
        while (line := await self._call.lines.next_line()) is not None:
            self._number += 1
            name, rest = _taken(line) if line.strip() else ("", "")
            if name == "quit":
                return
            if name:
                await self._answer(name, rest)

    async def _answer(self, name: str, rest: str) -> None:
        try:
            if name not in self._ways:
                raise UsageError(f"There is no such command here: {_COMMANDS}.")
            fields, said = await self._ways[name](rest)
        except ParlourError as failure:
            fields = {"event": "failed", "line": self._number, "command": name, "error": str(failure)}
            if self._call.json:
                self._call.result(fields, "")
            else:
                note(f"Line {self._number}: {failure}")
            return
        self._call.result({"event": "done", "line": self._number, "command": name, **fields}, said)

    async def _send(self, rest: str) -> tuple[dict[str, object], str]:
        name, text = _taken(rest)
        label, contact = find(await talks(self._opened), name)
        return await self._give(label, contact, text, "")

    async def _reply(self, rest: str) -> tuple[dict[str, object], str]:
        name, rest = _taken(rest)
        typed, text = _taken(rest)
        label, contact = find(await talks(self._opened), name)
        answered = await entry_named(self._opened, label, contact, typed)
        return await self._give(label, contact, text, answered.id)

    async def _give(
        self, label: str, contact: ContactView, text: str, reply: str
    ) -> tuple[dict[str, object], str]:
        entry = await self._opened.send(contact.person, text, reply, secrets.token_hex(16))
        fields: dict[str, object] = {"id": entry.id, "state": entry.state.value, "conversation": label}
        return fields | {"reply": entry.reply}, f"To {label}: {entry.state.value}"

    async def _read(self, rest: str) -> tuple[dict[str, object], str]:
        name, rest = _taken(rest)
        ids = tuple(rest.split())
        label, unread = await _mark(self._opened, name, ids)
        return {"conversation": label, "unread": unread}, f"{label}: {unread} unread"


def _taken(rest: str) -> tuple[str, str]:
    """The first word, or what is between quotation marks, and what follows it. Raises UsageError."""
    found = _WORD.match(rest)
    if found is None:
        raise UsageError(f"Something is missing: {_COMMANDS}.")
    quoted, plain = found.groups()
    return plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted), rest[found.end() :]
