"""Readable forms of a history: JSON Lines and an HTML page, which can be verified, and Markdown.

Names and texts are those of peers: whatever they hold, a form shows them as plain text.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

from chat.interface import EntryKind
from chat.service.views import AMENDS, utc
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
    ParsedEntry,
    parse_entry,
)
from protocol.errors import ProtocolError
from protocol.messages import EditBody, Entry
from protocol.redacting import Redacted, Redacting


class Shown(Redacting, frozen=True):
    """An entry as it is exported. `header`, `salt` and `body` are its bytes; ids are in hex, `time` in UTC.

    `text` is empty but for the kinds `text` and `edit`. `hidden`: it is what terminals of the person say to
    each other, which only proves the root hash. `claimed`: as in EntryView.
    """

    id: str
    author: str
    own: bool
    time: datetime
    kind: str
    state: str
    reply: str
    text: Redacted[str]
    header: Redacted[bytes]
    salt: Redacted[bytes]
    body: Redacted[bytes]
    hidden: bool = False
    claimed: str = ""


class NotVerified(Exception):
    """A file, or a line of it, is not what this program wrote."""


class Form(Protocol):
    """One format: the text of each part of a file, in their order."""

    def begin(self, name: str, time: datetime) -> str: ...
    def talk(self, conversation: str, name: str) -> str: ...
    def entry(self, entry: Shown) -> str: ...
    def end_talk(self, conversation: str, count: int, root: str) -> str: ...
    def end(self, count: int, root: str) -> str: ...


def stamp(time: datetime) -> str:
    """2026-11-25T09:30:00.000Z"""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_KEPT: Final = frozenset("\n\t\u200c\u200d")
"""Line breaks, and joiners that scripts and emoji need."""


def plain(text: str) -> str:
    """A text in which what steers, hides or turns is spelled: U+202E instead of the character."""
    text = text.replace("\r\n", "\n")
    return "".join(
        one if one in _KEPT or unicodedata.category(one) not in _STEERS else f"[U+{ord(one):04X}]"
        for one in text
    )


_STEERS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


_CLAIMS: Final = {
    "contact": " (says that you wrote this)",
    "device": " (another device of yours says that you wrote this)",
}


def claim(claimed: str) -> str:
    """What follows the name of who says that this person wrote an entry."""
    return _CLAIMS.get(claimed, "")


class JsonLines:
    """A JSON object per line, in ASCII."""

    def begin(self, name: str, time: datetime) -> str:
        return _line(parlour="history", version=1, name=name, exported=stamp(time))

    def talk(self, conversation: str, name: str) -> str:
        return _line(conversation=conversation, contact=name)

    def entry(self, entry: Shown) -> str:
        raw = {"header": entry.header.hex(), "salt": entry.salt.hex(), "body": entry.body.hex()}
        shown = {"author": entry.author, "own": entry.own, "time": stamp(entry.time), "kind": entry.kind}
        claimed = {"claimed": entry.claimed} if entry.claimed else {}
        said = {"text": entry.text, "state": entry.state, "reply": entry.reply}
        return _line(id=entry.id, **shown, **said, **claimed, **raw)

    def end_talk(self, conversation: str, count: int, root: str) -> str:
        return _line(ends=conversation, entries=count, root=root)

    def end(self, count: int, root: str) -> str:
        return _line(all_entries=count, root=root)


def _line(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=True) + "\n"


_MARKS: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:=@$])")


class Markdown:
    """Markdown in which no name and no text has a mark of its own."""

    def begin(self, name: str, time: datetime) -> str:
        return f"# Messages of {_escaped(name)}\n\nExported {stamp(time)}\n"

    def talk(self, conversation: str, name: str) -> str:
        return f"\n## {_escaped(name)}\n"

    def entry(self, entry: Shown) -> str:
        if entry.hidden:
            return ""
        shown = _escaped(entry.text) if entry.kind == "text" else f"*{entry.kind}* {_escaped(entry.text)}"
        lines = "\n".join(f"> {line}  " for line in shown.split("\n"))
        author = f"**{_escaped(entry.author)}**{claim(entry.claimed)}"
        return f"\n{author} {stamp(entry.time)} {entry.state} `{entry.id}`\n\n{lines}\n"

    def end_talk(self, conversation: str, count: int, root: str) -> str:
        return f"\n{count} messages, root hash `{root}`\n"

    def end(self, count: int, root: str) -> str:
        return f"\nAll conversations: {count} messages, root hash `{root}`\n"


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", plain(text))


_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<title>Parlour</title>
<style>
body {{ font: 16px/1.5 sans-serif; max-width: 44em; margin: auto; padding: 1em; }}
article {{ margin: 0.75em 0; overflow-wrap: anywhere; }}
article p {{ margin: 0; white-space: pre-wrap; }}
small, footer {{ opacity: 0.7; }}
.own {{ margin-left: 3em; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee; }} }}
</style>
<h1>Messages of <bdi>{name}</bdi></h1>
<p>Exported {time}</p>
"""


class Page:
    """One self-contained HTML page: no script, nothing that is fetched, a line per entry."""

    def begin(self, name: str, time: datetime) -> str:
        return _PAGE.format(name=_safe(name), time=stamp(time))

    def talk(self, conversation: str, name: str) -> str:
        return f'<section data-conversation="{conversation}">\n<h2><bdi>{_safe(name)}</bdi></h2>\n'

    def entry(self, entry: Shown) -> str:
        raw = " ".join(
            f'data-{name}="{value.hex()}"'
            for name, value in (("header", entry.header), ("salt", entry.salt), ("body", entry.body))
        )
        shown = _paragraph(entry.kind, entry.text)
        author = f"<bdi>{_safe(entry.author)}</bdi>{claim(entry.claimed)}"
        own = ' class="own"' if entry.own else ""
        own += " hidden" if entry.hidden else ""
        return (
            f'<article id="{entry.id}"{own} {raw}>'
            f"<small>{author} <time>{stamp(entry.time)}</time> {entry.state}</small>"
            f'<p dir="auto">{shown}</p></article>\n'
        )

    def end_talk(self, conversation: str, count: int, root: str) -> str:
        return f'<footer data-entries="{count}">{count} messages, root hash {root}</footer>\n</section>\n'

    def end(self, count: int, root: str) -> str:
        return f"<footer>All conversations: {count} messages, root hash {root}</footer>\n</html>\n"


def _paragraph(kind: str, text: str) -> str:
    if kind == "text":
        return _safe(text)
    return f"<em>{_safe(kind)}</em> {_safe(text)}" if text else f"<em>{_safe(kind)}</em>"


def _safe(text: str) -> str:
    from html import escape  # 0.4 MiB of named characters

    return escape(plain(text), quote=True).replace("\n", "<br>")


FORMS: Final[dict[str, Form]] = {"jsonl": JsonLines(), "markdown": Markdown(), "html": Page()}


# --- Verifying ---


class Totals(Struct, frozen=True):
    """What a verified file has. `root` is the root hash of all its conversations."""

    entries: int
    conversations: int
    root: str


class _Checker:
    """Computes the roots of a file again from the bytes of its entries."""

    def __init__(self) -> None:
        self._root: RootHash | None = None
        self._conversation = b""
        self._roots = list[tuple[bytes, bytes]]()
        self._entries = 0
        self._own = dict[bytes, bool]()
        self.ended: Totals | None = None

    def talk(self, conversation: str) -> None:
        _require(self._root is None and self.ended is None)
        self._conversation = bytes.fromhex(conversation)
        _require(not self._roots or self._conversation > self._roots[-1][0])
        self._root, self._own = RootHash(self._conversation), {}

    def entry(self, identity: str, own: bool, time: str, header: str, salt: str, body: str) -> ParsedEntry:
        """The entry. `own` and `time` as they are shown; all entries of one terminal are own, or none."""
        entry = parse_entry(Entry(bytes.fromhex(header), bytes.fromhex(salt), bytes.fromhex(body)))
        _require(entry.id.hex() == identity and entry.header.conversation == self._conversation)
        _require(stamp(utc(entry.header.time)) == time and not (entry.has_body and entry.header.timer))
        _require(self._own.setdefault(entry.header.author, own) == own)
        if self._root is None:
            raise NotVerified
        self._root.add(entry.id, entry.header.content if entry.has_body else NOT_HELD)
        return entry

    def end_talk(self, count: int, root: str) -> None:
        if self._root is None:
            raise NotVerified
        _require((self._root.count, self._root.root.hex()) == (count, root))
        self._roots.append((self._conversation, self._root.root))
        self._entries, self._root = self._entries + count, None

    def end(self, count: int, root: str) -> None:
        _require(self._root is None and self.ended is None)
        _require(count == self._entries and history_root(self._roots).hex() == root)
        self.ended = Totals(count, len(self._roots), root)


def _require(holds: bool) -> None:
    if not holds:
        raise NotVerified


def verify(lines: Iterable[str]) -> Totals:
    """Check the lines of a JSON Lines file or an HTML page: ids, bodies, shown texts and root hashes.

    Raises NotVerified.
    """
    checker, read = _Checker(), iter(lines)
    try:
        first = next(read, "")
        _require(first in ("<!doctype html>\n",) or first.startswith('{"parlour": "history"'))
        (_verify_page if first.startswith("<") else _verify_lines)(read, checker)
    except (ProtocolError, ValueError, KeyError, TypeError, RecursionError):
        raise NotVerified from None
    if checker.ended is None:
        raise NotVerified
    return checker.ended


def _words(entry: ParsedEntry) -> str:
    """What a text or an edit says; empty of another entry, and without its body."""
    words = entry.amends if isinstance(entry.amends, EditBody) else entry.said
    return "" if words is None else words.text


STATE: Final = "state"
_WITH_BODY: Final = {
    KIND_TEXT: EntryKind.TEXT,
    KIND_CUT: EntryKind.CUT,
    KIND_TIMER: EntryKind.TIMER,
    KIND_BOT: EntryKind.BOT,
}


def _kinds(entry: ParsedEntry) -> tuple[str, ...]:
    """The kinds as which an entry can be shown. Why it has no body is not in its bytes."""
    kind = entry.header.kind
    if kind in AMENDS:
        return (AMENDS[kind],)
    if kind == KIND_STATE:
        return (STATE,)
    return (
        (_WITH_BODY.get(kind, EntryKind.UNKNOWN),)
        if entry.has_body
        else (EntryKind.DELETED, EntryKind.EXPIRED, EntryKind.MISSING, EntryKind.ELSEWHERE)
    )


def _verify_lines(lines: Iterator[str], checker: _Checker) -> None:
    for line in lines:
        fields = json.loads(line)
        # A name twice, of which another program would take the other, is not written again as it was.
        _require(isinstance(fields, dict) and _line(**fields) == line)
        match fields:
            case {
                "id": str(identity),
                "author": str(),
                "own": bool(own),
                "time": str(time),
                "kind": str(kind),
                "text": str(text),
                "state": str(),
                "reply": str(reply),
                "header": str(header),
                "salt": str(salt),
                "body": str(body),
                **others,
            }:
                entry = checker.entry(identity, own, time, header, salt, body)
                answered = entry.said.reply.hex() if entry.said is not None else ""
                _require(not others and kind in _kinds(entry) and (text, reply) == (_words(entry), answered))
            case {"conversation": str(conversation), "contact": str(), **others}:
                _require(not others)
                checker.talk(conversation)
            case {"ends": str(), "entries": int(count), "root": str(root), **others}:
                _require(not others)
                checker.end_talk(count, root)
            case {"all_entries": int(count), "root": str(root), **others}:
                _require(not others)
                checker.end(count, root)
            case _:
                raise NotVerified


_ARTICLE: Final = re.compile(
    r'<article id="([0-9a-f]{64})"( class="own")?( hidden)? data-header="([0-9a-f]*)" data-salt="([0-9a-f]*)"'
    r' data-body="([0-9a-f]*)"><small><bdi>[^<>]*</bdi> <time>([0-9TZ:.-]*)</time> [a-z]*</small>'
    r'<p dir="auto">(.*)</p></article>\n'
)
_SECTION: Final = re.compile(r'<section data-conversation="([0-9a-f]{64})">\n')
_FOOTER: Final = re.compile(r'<footer data-entries="(\d+)">\1 messages, root hash ([0-9a-f]{64})</footer>\n')
_LAST: Final = re.compile(r"<footer>All conversations: (\d+) messages, root hash ([0-9a-f]{64})</footer>\n")
_HEADING: Final = re.compile(r"<h2><bdi>[^<>]*</bdi></h2>\n")


def _verify_page(lines: Iterator[str], checker: _Checker) -> None:
    head = _PAGE.splitlines(keepends=True)[1:]
    for wanted in head[:-2]:
        _require(next(lines, "") == wanted.replace("{{", "{").replace("}}", "}"))
    for wanted in (r"<h1>Messages of <bdi>[^<>]*</bdi></h1>\n", r"<p>Exported [0-9TZ:.-]*</p>\n"):
        _require(re.fullmatch(wanted, next(lines, "")) is not None)
    for line in lines:
        if found := _ARTICLE.fullmatch(line):
            identity, own, hidden, header, salt, body, time, shown = found.groups()
            entry = checker.entry(identity, own is not None, time, header, salt, body)
            _require(hidden is None or entry.header.kind in (KIND_STATE, KIND_CUT, KIND_BOT))
            words = _words(entry)
            _require(shown in [_paragraph(kind, words) for kind in _kinds(entry)])
        elif found := _SECTION.fullmatch(line):
            checker.talk(found[1])
            _require(_HEADING.fullmatch(next(lines, "")) is not None)
        elif found := _FOOTER.fullmatch(line):
            checker.end_talk(int(found[1]), found[2])
            _require(next(lines, "") == "</section>\n")
        elif found := _LAST.fullmatch(line):
            checker.end(int(found[1]), found[2])
            _require(next(lines, "") == "</html>\n")
        else:
            raise NotVerified
