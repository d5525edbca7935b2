"""The check of readable exports.

Each line of JSON Lines and of a page is written again, from the bytes of its entry and what the line says is
known of it, and must be the same. Markdown has no bytes of entries: its checksum alone can be checked.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chat.interface import EntryState
from chat.service.formats import (
    CLAIMED,
    FORMS,
    OWN,
    Form,
    Known,
    NotVerified,
    Speakers,
    shown,
)
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.entries_and_receipts import conversation_of, parse_entry
from protocol.errors import ProtocolError
from protocol.messages import Entry

PIECE: Final = 64
"""Lines between which others may have the processor."""


class Totals(Struct, frozen=True):
    """What is verified of a file so far. `root` and `checksum`: as in BackupView, empty before the end."""

    entries: int
    conversations: int
    root: str = ""
    checksum: str = ""


class _Begin(Struct, frozen=True):
    person: str
    name: str
    time: str


class _Talk(Struct, frozen=True):
    person: str
    name: str


class _Entry(Struct, frozen=True):
    raw: tuple[str, str, str]
    known: Known


class _EndTalk(Struct, frozen=True):
    pass


class _End(Struct, frozen=True):
    pass


_Part = _Begin | _Talk | _Entry | _EndTalk | _End


class _Again:
    """Writes the parts of a file again, with roots computed from the bytes of its entries."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._own: _Begin | None = None
        self._who: Speakers | None = None
        self._root = RootHash(b"")
        self._conversation = b""
        self._roots = list[tuple[bytes, bytes]]()
        self._entries = 0
        self.totals = Totals(0, 0)

    def write(self, part: _Part) -> str:
        """The line of a part. NotVerified where it is out of its place."""
        if self._own is None or self.totals.root:
            if not isinstance(part, _Begin) or self._own is not None:
                raise NotVerified
            self._own = part
            return self._form.begin(part.person, part.name, datetime.fromisoformat(part.time))
        if self._who is None:
            if isinstance(part, _Talk):
                return self._talk(self._own, part)
            if not isinstance(part, _End):
                raise NotVerified
            root = history_root(self._roots).hex()
            self.totals = Totals(self._entries, len(self._roots), root)
            return self._form.end(self._entries, root)
        if isinstance(part, _Entry):
            return self._entry(part, self._who)
        if not isinstance(part, _EndTalk):
            raise NotVerified
        self._who = None
        self._roots.append((self._conversation, self._root.root))
        return self._form.end_talk(self._conversation.hex(), self._root.count, self._root.root.hex())

    def _talk(self, own: _Begin, part: _Talk) -> str:
        conversation = conversation_of(bytes.fromhex(own.person), bytes.fromhex(part.person))
        if self._roots and conversation <= self._conversation:
            raise NotVerified
        self._conversation, self._root = conversation, RootHash(conversation)
        self._who = Speakers(own.person, own.name, part.person, part.name)
        return self._form.talk(conversation.hex(), part.person, part.name)

    def _entry(self, part: _Entry, who: Speakers) -> str:
        entry = parse_entry(Entry(*map(bytes.fromhex, part.raw)))
        # What has a timer is in no file beyond its end.
        if entry.header.conversation != self._conversation or (entry.has_body and entry.header.timer):
            raise NotVerified
        self._root.add(entry.id, entry.header.content if entry.has_body else NOT_HELD)
        self._entries += 1
        self.totals = Totals(self._entries, len(self._roots))
        return self._form.entry(shown(entry, who, part.known))


def _of_line(line: str) -> _Part:
    """The part that a line of JSON says to be."""
    match json.loads(line):
        case {
            "own": bool(own),
            "state": str(state),
            "kind": str(kind),
            "header": str(header),
            "salt": str(salt),
            "body": str(body),
            **others,
        }:
            claimed = str(others.get("claimed", ""))
            return _Entry((header, salt, body), Known(own, EntryState(state), claimed, kind))
        case {"parlour": _, "person": str(person), "name": str(name), "exported": str(time)}:
            return _Begin(person, name, time)
        case {"conversation": _, "person": str(person), "contact": str(name)}:
            return _Talk(person, name)
        case {"ends": _}:
            return _EndTalk()
        case {"all_entries": _}:
            return _End()
    raise NotVerified


_NAME: Final = r"<bdi>([^<>]*)</bdi>"
_PERSON: Final = r"Person <code>([0-9a-f]{64})</code>"
_BEGIN: Final = re.compile(
    rf"<!doctype html>.*<h1>Messages of {_NAME}</h1><p>{_PERSON}, exported <time>([^<>]*)<.*\n"
)
_SECTION: Final = re.compile(rf"<section .*<h2>{_NAME}</h2><p>{_PERSON}</p>\n")
_ARTICLE: Final = re.compile(
    r'<article [^<>]* data-header="([0-9a-f]*)" data-salt="([0-9a-f]*)" data-body="([0-9a-f]*)">'
    rf"<small>([^<>·]*) · {_NAME} <time>[^<>]*</time> ([a-z]*)</small>"
    r'<p dir="auto">(?:<em>([a-z]*)</em>)?.*\n'
)


def _of_page(line: str) -> _Part:
    """The part that a line of a page says to be."""
    from html import unescape

    if found := _ARTICLE.fullmatch(line):
        header, salt, body, speaker, _, state, kind = found.groups()
        own = speaker == OWN
        claimed = "" if own else _CLAIMS[speaker]
        return _Entry((header, salt, body), Known(own, EntryState(state), claimed, kind or ""))
    if found := _SECTION.fullmatch(line):
        return _Talk(found[2], unescape(found[1]))
    if found := _BEGIN.fullmatch(line):
        return _Begin(found[2], unescape(found[1]), found[3])
    return _EndTalk() if line.endswith("</section>\n") else _End()


_CLAIMS: Final = {said: claimed for claimed, said in CLAIMED.items()}
_READERS: Final[Mapping[str, tuple[str, Callable[[str], _Part]]]] = {
    '{"parlour": "history"': ("jsonl", _of_line),
    "<!doctype html>": ("html", _of_page),
}
_MARKDOWN: Final = "# Messages of "
_COUNT: Final = re.compile(r"All conversations: ([0-9]+) messages, root hash `[0-9a-f]{64}`\n")


def verify(lines: Iterable[str]) -> Totals:
    """Check the lines of a readable export: all of what it shows. Raises NotVerified."""
    return deque(verified(lines), maxlen=1)[0]


def verified(lines: Iterable[str]) -> Iterator[Totals]:
    """What is verified after each piece of a file; the last is of the whole. Raises NotVerified."""
    try:
        yield from _verified(iter(lines))
    except (ProtocolError, ValueError, KeyError, TypeError, RecursionError):
        raise NotVerified from None


class _Lines:
    """Checks lines of JSON or of a page."""

    def __init__(self, form: Form, read: Callable[[str], _Part]) -> None:
        self._read, self._again = read, _Again(form)

    def take(self, line: str) -> None:
        if self._again.write(self._read(line)) != line:
            raise NotVerified

    @property
    def totals(self) -> Totals:
        return self._again.totals


class _Markdown:
    """Counts what Markdown says to have."""

    def __init__(self) -> None:
        self.totals = Totals(0, 0)

    def take(self, line: str) -> None:
        if line.startswith("## "):
            self.totals = Totals(0, self.totals.conversations + 1)
        elif found := _COUNT.fullmatch(line):
            self.totals = Totals(int(found[1]), self.totals.conversations)


def _checker(first: str) -> tuple[Form, _Lines | _Markdown]:
    if first.startswith(_MARKDOWN):
        return FORMS["markdown"], _Markdown()
    for begins, (name, read) in _READERS.items():
        if first.startswith(begins):
            return FORMS[name], _Lines(FORMS[name], read)
    raise NotVerified


def _verified(lines: Iterator[str]) -> Iterator[Totals]:
    line = next(lines, "")
    form, checker = _checker(line)
    summed = sha256()
    while following := list(islice(lines, PIECE)):
        for after in following:
            summed.update(line.encode())
            checker.take(line)
            line = after
        yield checker.totals
    found, checksum = checker.totals, summed.hexdigest()
    if line != form.seal(checksum) or (isinstance(checker, _Lines) and not found.root):
        raise NotVerified
    yield replace(found, checksum=checksum)
