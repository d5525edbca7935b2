"""The catalogue of texts: collected from the source, kept in a .po file, compiled to the .mo that is used."""

from __future__ import annotations

import ast
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from string import Formatter

from tests.architecture.imports import ROOT, sources

LANGUAGE = "zh_CN"
FOLDER = ROOT / "tui" / "locale" / LANGUAGE / "LC_MESSAGES"
PO, MO = FOLDER / "parlour.po", FOLDER / "parlour.mo"

MARKS = {"tui": ("_", "N_", "_n"), "chat": ("phrase",)}
"""The functions whose literal arguments are texts, a package each."""


@dataclass(slots=True)
class Message:
    """One text: `many` is its plural form, `translation` empty where there is none, `files` its places."""

    one: str
    many: str = ""
    translation: str = ""
    files: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What gettext looks up."""
        return f"{self.one}\0{self.many}" if self.many else self.one


class Unclear(Exception):
    """A marked text is no literal, or a line of the catalogue cannot be read."""


def collected() -> dict[str, Message]:
    """Every marked text of the project by its English, in the order of the source."""
    messages: dict[str, Message] = {}
    for package, marks in MARKS.items():
        for path in sources(ROOT, package):
            name = path.relative_to(ROOT).as_posix()
            for found in _in_source(name, path.read_text(encoding="utf-8"), marks):
                message = messages.setdefault(found.one, found)
                message.many = message.many or found.many
                if name not in message.files:
                    message.files.append(name)
    return messages


def _in_source(name: str, source: str, marks: Iterable[str]) -> Iterator[Message]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        if not isinstance(call.func, ast.Name) or call.func.id not in marks:
            continue
        texts = [node.value for node in call.args[:2] if isinstance(node, ast.Constant)]
        if call.func.id == "_" and isinstance(call.args[0], (ast.Name, ast.Attribute, ast.Subscript)):
            continue  # a text of a table, which `N_` has marked
        wanted = 2 if call.func.id == "_n" else 1
        if len(texts) < wanted or not all(isinstance(text, str) for text in texts[:wanted]):
            raise Unclear(f"{name}:{call.lineno}: what {call.func.id} is called with is no literal")
        yield Message(str(texts[0]), str(texts[1]) if wanted == 2 else "", files=[name])


def values_in(text: str) -> set[str]:
    """The names of the values that a text has in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def read_po(text: str) -> tuple[str, dict[str, Message]]:
    """The head of a catalogue (comments and the entry of no text) and its entries by their English."""
    blocks = [block.strip("\n") for block in text.split("\n\n") if block.strip()]
    at = next((at for at, block in enumerate(blocks) if '\nmsgid ""\nmsgstr ""' in f"\n{block}"), 0)
    entries = [_entry(block) for block in blocks[at + 1 :]]
    return "\n\n".join(blocks[: at + 1]), {message.one: message for message in entries}


def _entry(block: str) -> Message:
    parts: dict[str, str] = {}
    message, word = Message(""), ""
    for line in block.splitlines():
        if line.startswith("#: "):
            message.files += line[3:].split()
        elif line.startswith("#"):
            message.comments.append(line)
        else:
            start, quote, rest = line.partition('"')
            word = start.strip() or word
            if not quote or not rest.endswith('"'):
                raise Unclear(f"this line of the catalogue cannot be read: {line}")
            parts[word] = parts.get(word, "") + _unquoted(rest[:-1])
    message.one, message.many = parts.get("msgid", ""), parts.get("msgid_plural", "")
    message.translation = parts.get("msgstr[0]" if message.many else "msgstr", "")
    return message


def written_po(head: str, messages: Iterable[Message]) -> str:
    return "\n\n".join([head, *map(_block, messages)]) + "\n"


def _block(message: Message) -> str:
    lines = [*message.comments, *(f"#: {name}" for name in message.files), f"msgid {_quoted(message.one)}"]
    if message.many:
        lines.append(f"msgid_plural {_quoted(message.many)}")
    lines.append(f"msgstr{'[0]' if message.many else ''} {_quoted(message.translation)}")
    return "\n".join(lines)


_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def _quoted(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'


def _unquoted(text: str) -> str:
    plain = {escaped: character for character, escaped in _ESCAPES.items()}
    return re.sub(r"\\.", lambda found: plain.get(found[0], found[0]), text)


def merged(held: Mapping[str, Message], found: Mapping[str, Message]) -> list[Message]:
    for one, message in found.items():
        if one in held:
            message.translation, message.comments = held[one].translation, held[one].comments
    return list(found.values())


def compiled(head: str, messages: Iterable[Message]) -> bytes:
    """The binary catalogue of what is translated, in the form that gettext reads."""
    texts = {message.key: message.translation for message in messages if message.translation}
    texts[""] = _entry(head[head.index('msgid ""') :]).translation
    pairs = [(key.encode(), texts[key].encode()) for key in sorted(texts, key=str.encode)]
    at, end = 28, 28 + 16 * len(pairs)
    table, strings = b"", b""
    for string in (pair[side] for side in (0, 1) for pair in pairs):
        table += struct.pack("<II", len(string), end + len(strings))
        strings += string + b"\0"
    start = struct.pack("<7I", 0x950412DE, 0, len(pairs), at, at + 8 * len(pairs), 0, 0)
    return start + table + strings


def main() -> int:
    """Bring .po and .mo up to date; 1 where something is left to translate."""
    head, held = read_po(PO.read_text(encoding="utf-8"))
    messages = merged(held, collected())
    PO.write_text(written_po(head, messages), encoding="utf-8")
    MO.write_bytes(compiled(head, messages))
    missing = [message.one for message in messages if not message.translation]
    for one in missing:
        sys.stderr.write(f"to be translated in {PO.relative_to(ROOT)}: {one}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
