"""Readable forms of a history: JSON Lines, an HTML page and Markdown.

Names and texts are those of peers: whatever they hold, a form shows them as plain text. What a form shows of
an entry follows from its bytes and from Known alone, so that `export_check` can write each line again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

from msgspec import Struct

from chat.interface import EntryKind, EntryState
from chat.service.views import AMENDS, utc
from protocol.attachments import safe_name
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_FILE,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
    ParsedEntry,
)
from protocol.messages import EditBody, FileBody
from protocol.redacting import Redacted, Redacting

STATE: Final = "state"
"""Terminals of one person say it to each other: no history shows it."""

KINDS: Final[Mapping[int, str]] = {
    **AMENDS,
    KIND_TEXT: EntryKind.TEXT,
    KIND_FILE: EntryKind.FILE,
    KIND_CUT: EntryKind.CUT,
    KIND_TIMER: EntryKind.TIMER,
    KIND_BOT: EntryKind.BOT,
    KIND_STATE: STATE,
}
"""What an entry of each kind of the protocol is called in a file."""

ABSENT: Final = (EntryKind.DELETED, EntryKind.EXPIRED, EntryKind.MISSING, EntryKind.ELSEWHERE)
"""Why a body is not there. The bytes of an entry do not say it."""


class Speakers(Struct, frozen=True):
    """The two persons of a conversation: ids in hex, and names. Of the notes both are one person."""

    own: str
    name: str
    person: str
    contact: str


class Known(Struct, frozen=True):
    """What this terminal knows of an entry, and its bytes do not say. `claimed`: as in EntryView."""

    own: bool
    state: EntryState
    claimed: str = ""
    absent: str = ""


class Named(Redacting, frozen=True):
    """The file that an entry names. All fields are as in FileView."""

    name: Redacted[str]
    folder: Redacted[str]
    media: str
    size: int
    seconds: int

    def __str__(self) -> str:
        """What is known of the file, and last its name, which nothing follows that it could imitate."""
        facts = [f"{self.size} bytes", self.media, f"{self.seconds} seconds" if self.seconds else ""]
        path = f"{self.folder}/{self.name}" if self.folder else self.name
        return f"({', '.join(filter(None, facts))}) {path}"


class Shown(Redacting, frozen=True):
    """An entry as it is exported. `header`, `salt` and `body` are its bytes; ids are in hex, `time` in UTC.

    `text` is empty but for the kinds `text` and `edit`. `hidden`: it is what terminals of the person say to
    each other, which only proves the root hash.
    """

    id: str
    author: str
    known: Known
    time: datetime
    kind: str
    reply: str
    text: Redacted[str]
    file: Named | None
    header: Redacted[bytes]
    salt: Redacted[bytes]
    body: Redacted[bytes]
    hidden: bool = False


def shown(entry: ParsedEntry, who: Speakers, known: Known) -> Shown:
    """An entry as every form shows it. Raises NotVerified where what is known of it cannot be."""
    if known.claimed not in CLAIMED or (known.own and known.claimed):
        raise NotVerified
    kind: str = KINDS.get(entry.header.kind, EntryKind.UNKNOWN)
    hidden = entry.header.kind == KIND_STATE or (
        who.own == who.person and entry.header.kind in (KIND_BOT, KIND_CUT)
    )
    if not entry.has_body and entry.header.kind not in (*AMENDS, KIND_STATE):
        if known.absent not in ABSENT:
            raise NotVerified
        kind = known.absent
    words = entry.amends if isinstance(entry.amends, EditBody) else entry.said
    return Shown(
        id=entry.id.hex(),
        author=who.name if known.own or known.claimed == BY_DEVICE else who.contact,
        known=known,
        time=utc(entry.header.time),
        kind=kind,
        reply=entry.said.reply.hex() if entry.said is not None else "",
        text="" if words is None else words.text,
        file=None if entry.file is None else _named(entry.file),
        header=entry.header_bytes,
        salt=entry.salt,
        body=entry.body,
        hidden=hidden,
    )


def _named(body: FileBody) -> Named:
    folder = "/".join(map(safe_name, body.folder))
    return Named(safe_name(body.name), folder, body.media, body.size, body.seconds)


class NotVerified(Exception):
    """A file, or a line of it, is not what this program wrote."""


class Form(Protocol):
    """One format: the text of each part of a file, in their order.

    JSON Lines and a page have one line per part. The last line is that of `seal`.
    """

    def begin(self, person: str, name: str, time: datetime) -> str: ...
    def talk(self, conversation: str, person: str, name: str) -> str: ...
    def entry(self, entry: Shown) -> str: ...
    def end_talk(self, conversation: str, count: int, root: str) -> str: ...
    def end(self, count: int, root: str) -> str: ...
    def seal(self, checksum: str) -> str: ...


def stamp(time: datetime) -> str:
    """2026-11-25T09:30:00.000Z"""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_STEERS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = "\u200c\u200d"
"""Scripts and emoji need them."""


def plain(text: str, kept: str = f"\n\t{_JOINERS}") -> str:
    """A text in which what steers, hides or turns is spelled: U+202E instead of the character."""
    text = text.replace("\r\n", "\n")
    return "".join(
        one if one in kept or unicodedata.category(one) not in _STEERS else f"[U+{ord(one):04X}]"
        for one in text
    )


BY_DEVICE: Final = "device"

CLAIMED: Final[Mapping[str, str]] = {
    "": "Contact",
    "contact": "Contact, who says that you wrote this",
    BY_DEVICE: "Another device of yours, which says that you wrote this",
}
"""Who wrote an entry that is not this person's own. It stands before the name, which may say anything."""

OWN: Final = "You"


def speaker(known: Known) -> str:
    return OWN if known.own else CLAIMED[known.claimed]


class JsonLines:
    """A JSON object per line, in ASCII."""

    def begin(self, person: str, name: str, time: datetime) -> str:
        return _line(parlour="history", version=1, name=name, person=person, exported=stamp(time))

    def talk(self, conversation: str, person: str, name: str) -> str:
        return _line(conversation=conversation, contact=name, person=person)

    def entry(self, entry: Shown) -> str:
        known, file = entry.known, entry.file
        raw = {"header": entry.header.hex(), "salt": entry.salt.hex(), "body": entry.body.hex()}
        said = {"author": entry.author, "own": known.own, "time": stamp(entry.time), "kind": entry.kind}
        said |= {"text": entry.text, "state": known.state.value, "reply": entry.reply}
        claimed = {"claimed": known.claimed} if known.claimed else {}
        named = {"file": {name: getattr(file, name) for name in file.__struct_fields__}} if file else {}
        return _line(id=entry.id, **said, **claimed, **named, **raw)

    def end_talk(self, conversation: str, count: int, root: str) -> str:
        return _line(ends=conversation, entries=count, root=root)

    def end(self, count: int, root: str) -> str:
        return _line(all_entries=count, root=root)

    def seal(self, checksum: str) -> str:
        return _line(sha256=checksum)


def _line(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=True) + "\n"


_MARKS: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&:=@$])")


_ADDRESS: Final = re.compile(
    r"(?<![A-Za-z0-9])https?://[A-Za-z0-9.-]++(?::[0-9]++)?+(?:[/?#][A-Za-z0-9/?#@:.,!~+=%&()_-]{0,2048}+)?+"
    r"(?=[\s>\"\u3001\u3002\u300d\u300f\uff01\uff09\uff0c\uff1a\uff1b\uff1f]|$)"
)
"""An address of the web whose every character is plain between < and >, in each kind of Markdown.

What goes on with another character, as of another script, would be cut to the address of somebody else.
"""


class Markdown:
    """Markdown in which no name and no text has a mark of its own, and addresses of the web are links."""

    def begin(self, person: str, name: str, time: datetime) -> str:
        return f"# Messages of {_escaped_name(name)}\n\nPerson `{person}`, exported {stamp(time)}\n"

    def talk(self, conversation: str, person: str, name: str) -> str:
        return f"\n## {_escaped_name(name)}\n\nPerson `{person}`\n"

    def entry(self, entry: Shown) -> str:
        if entry.hidden:
            return ""
        shown = _linked(entry.text)
        if entry.kind != EntryKind.TEXT:
            shown = f"*{entry.kind}* {shown or _escaped(str(entry.file or ''))}"
        lines = "\n".join(f"> {line}  " for line in shown.split("\n"))
        author = f"{speaker(entry.known)} · **{_escaped_name(entry.author)}**"
        return f"\n{author} {stamp(entry.time)} {entry.known.state} `{entry.id}`\n\n{lines}\n"

    def end_talk(self, conversation: str, count: int, root: str) -> str:
        return f"\n{count} messages, root hash `{root}`\n"

    def end(self, count: int, root: str) -> str:
        return f"\nAll conversations: {count} messages, root hash `{root}`\n\n"

    def seal(self, checksum: str) -> str:
        return f"SHA-256 of the lines before this one: `{checksum}`\n"


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", plain(text))


def _escaped_name(text: str) -> str:
    return _MARKS.sub(r"\\\1", plain(text, _JOINERS))


def _linked(text: str) -> str:
    """An escaped text in which addresses of the web are links."""
    parts, done = list[str](), 0
    for found in _ADDRESS.finditer(text):
        address = found[0]
        while address[-1] in ".,:!?" or (address[-1] == ")" and address.count("(") < address.count(")")):
            address = address[:-1]
        if address[-1] != "/" or address.count("/") > 2:
            parts += [_escaped(text[done : found.start()]), f"<{address}>"]
            done = found.start() + len(address)
    return "".join((*parts, _escaped(text[done:])))


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
article bdi {{ font-weight: bold; }}
small, footer, section > p {{ opacity: 0.7; overflow-wrap: anywhere; }}
.own {{ margin-left: 3em; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #111; color: #eee; }} }}
</style>
<h1>Messages of <bdi>{name}</bdi></h1>
<p>Person <code>{person}</code>, exported <time>{time}</time></p>
""".replace("\n", "")


class Page:
    """One self-contained HTML page: no script, nothing that is fetched."""

    def begin(self, person: str, name: str, time: datetime) -> str:
        return _PAGE.format(name=_safe_name(name), person=person, time=stamp(time)) + "\n"

    def talk(self, conversation: str, person: str, name: str) -> str:
        head = f"<h2><bdi>{_safe_name(name)}</bdi></h2><p>Person <code>{person}</code></p>"
        return f'<section data-conversation="{conversation}">{head}\n'

    def entry(self, entry: Shown) -> str:
        known = entry.known
        marks = (' class="own"' if known.own else "") + (" hidden" if entry.hidden else "")
        raw = f'data-header="{entry.header.hex()}" data-salt="{entry.salt.hex()}"'
        raw += f' data-body="{entry.body.hex()}"'
        author = f"{speaker(known)} · <bdi>{_safe_name(entry.author)}</bdi>"
        shown = _safe(entry.text)
        if entry.kind != EntryKind.TEXT:
            shown = f"<em>{entry.kind}</em> {shown or _safe(str(entry.file or ''))}"
        return (
            f'<article id="{entry.id}"{marks} {raw}>'
            f"<small>{author} <time>{stamp(entry.time)}</time> {known.state}</small>"
            f'<p dir="auto">{shown}</p></article>\n'
        )

    def end_talk(self, conversation: str, count: int, root: str) -> str:
        return f"<footer>{count} messages, root hash {root}</footer></section>\n"

    def end(self, count: int, root: str) -> str:
        return f"<footer>All conversations: {count} messages, root hash {root}</footer>\n"

    def seal(self, checksum: str) -> str:
        return f"<footer>SHA-256 of the lines before this one: {checksum}</footer></html>\n"


def _safe(text: str) -> str:
    return _html(plain(text)).replace("\n", "<br>")


def _safe_name(text: str) -> str:
    return _html(plain(text, _JOINERS))


def _html(text: str) -> str:
    from html import escape  # 0.4 MiB of named characters

    return escape(text, quote=True)


FORMS: Final[dict[str, Form]] = {"jsonl": JsonLines(), "markdown": Markdown(), "html": Page()}
