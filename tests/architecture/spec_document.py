"""Parts of SPEC.md: sections, tables, formulas, examples and rules.

A formula is computed as written, with hashlib and PyNaCl and none of the protocol's code, so that one that
differs from the code gives another value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

from tests.architecture.imports import ROOT

SPEC: Final = ROOT / "protocol" / "SPEC.md"

_HEADING: Final = re.compile(r"#{2,4} (\d+(?:\.\d+)*) (.+)")
_FENCE: Final = re.compile(r"^```(\S*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE_EXAMPLE: Final = re.compile(r"^Example `([\w-]+)`: `([0-9a-f]+)`$", re.MULTILINE)
_RULE: Final = re.compile(r"- \*\*(V-[A-Z]{2}-\d\d)\*\* \((\w+)\) (.+)")
_CITED: Final = re.compile(r"§(\d+(?:\.\d+)*)")
_OTHER_DOCUMENT: Final = re.compile(r"(?:Noise|RFC \d+|FIPS \d+|DESIGN) §[\d.]+")


def read() -> str:
    return SPEC.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Section:
    """A numbered section with its own lines, up to the next heading of any level."""

    number: str
    title: str
    lines: tuple[str, ...]


def sections(text: str) -> dict[str, Section]:
    """The numbered sections by number; the text before the first one has the number ''."""
    found: dict[str, Section] = {}
    lines: list[str] = []
    number, title, fenced = "", "", False
    for line in [*text.splitlines(), "## 0 end"]:
        fenced ^= line.startswith("```")
        if not fenced and (heading := _HEADING.fullmatch(line)):
            found[number] = Section(number, title, tuple(lines))
            (number, title), lines = heading.groups(), []
        else:
            lines.append(line)
    return found


def headings(text: str) -> list[str]:
    """The numbers of all headings in their order."""
    return [match[1] for match in re.finditer(r"^#{2,4} (\d+(?:\.\d+)*) ", text, re.MULTILINE)]


def cited(text: str) -> list[str]:
    """The sections of this document that it cites itself."""
    return _CITED.findall(_OTHER_DOCUMENT.sub("", text))


Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table's header cells and its rows."""

    header: Row
    rows: tuple[Row, ...]


def tables(text: str) -> Iterator[Table]:
    """Every table in its order."""
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        header, _, *rows = (_cells(line) for line in block.splitlines())
        yield Table(header, tuple(rows))


def _cells(line: str) -> Row:
    return tuple(cell.strip().strip("`") for cell in line.strip().strip("|").split("|"))


def table(text: str, *header: str) -> Table:
    """The one table whose header begins with these cells."""
    (found,) = [table for table in tables(text) if table.header[: len(header)] == header]
    return found


def formulas(text: str) -> dict[str, list[str]]:
    """Lines of the formulas by the name after their fence."""
    return {name: body.splitlines() for kind, name, body in _FENCE.findall(text) if kind == "formula"}


def examples(text: str) -> list[tuple[str, str]]:
    """Name and text of every example, in no certain order."""
    fenced = [
        (name, body.strip("\n")) for kind, name, body in _FENCE.findall(text) if kind in ("hex", "text")
    ]
    return [(name, body) for name, body in fenced if name] + _INLINE_EXAMPLE.findall(text)


@dataclass(frozen=True)
class Rule:
    """A validation rule: its id, its error class, its section."""

    id: str
    error_class: str
    section: str


def rules(text: str) -> list[Rule]:
    """All rules in the order of the document."""
    return [
        Rule(match[1], match[2], section.number)
        for section in sections(text).values()
        for line in section.lines
        if (match := _RULE.fullmatch(line))
    ]


Value = bytes | int | str

_FORMULA: Final = re.compile(r"(\w+) = (?:(\w+)\((.*)\)|(.+))")
_ARGUMENT: Final = re.compile(r"(\w+) = (.*?)(?:, (?=\w+ = )|$)")
_TERM: Final = re.compile(r'"(.*)"|0x([0-9a-f]{2})|(u16|u32)\((\w+)\)|(\w+)')
_WIDTHS: Final = {"u16": 2, "u32": 4}


@dataclass(frozen=True)
class Formula:
    """One line: what it defines, the function (empty: a concatenation), its arguments."""

    name: str
    function: str
    arguments: Mapping[str, str]

    @property
    def label(self) -> str:
        """The `personal` label, or the text that begins a signed message."""
        written = self.arguments.get("personal", self.arguments.get("message", ""))
        return written.split('"')[1] if self.function else ""

    def compute(self, values: Mapping[str, Value]) -> bytes:
        """The value, from the values of the names that occur in it."""
        if not self.function:
            return _bytes(self.arguments["input"], values)
        return (_b2b if self.function == "B2b" else _ed25519)(self.arguments, values)


def parse(line: str) -> Formula:
    match = _FORMULA.fullmatch(line)
    assert match, line
    name, function, arguments, plain = match.groups()
    if function is None:
        return Formula(name, "", {"input": plain})
    assert function in ("B2b", "Ed25519"), line
    return Formula(name, function, dict(_ARGUMENT.findall(arguments)))


def _b2b(arguments: Mapping[str, str], values: Mapping[str, Value]) -> bytes:
    assert arguments.keys() <= {"key", "personal", "size", "input"}
    return hashlib.blake2b(
        _bytes(arguments["input"], values),
        digest_size=int(arguments.get("size", "32")),
        key=_bytes(arguments.get("key", "empty"), values),
        person=_bytes(arguments["personal"], values),
    ).digest()


def _ed25519(arguments: Mapping[str, str], values: Mapping[str, Value]) -> bytes:
    assert arguments.keys() == {"seed", "message"}
    seed, message = (_bytes(arguments[name], values) for name in ("seed", "message"))
    return SigningKey(seed).sign(message).signature


def _bytes(expression: str, values: Mapping[str, Value]) -> bytes:
    return b"".join(_term(term, values) for term in expression.split(" ‖ "))


def _term(term: str, values: Mapping[str, Value]) -> bytes:
    match = _TERM.fullmatch(term)
    assert match, term
    text, byte, width, number, name = match.groups()
    if text is not None:
        return text.replace("\\0", "\0").encode()
    if byte is not None:
        return bytes.fromhex(byte)
    if width is not None:
        value = values[number]
        assert isinstance(value, int)
        return value.to_bytes(_WIDTHS[width], "big")
    return b"" if name == "empty" else _plain(values[name])


def _plain(value: Value) -> bytes:
    assert not isinstance(value, int), "a number needs a width"
    return value.encode() if isinstance(value, str) else value
