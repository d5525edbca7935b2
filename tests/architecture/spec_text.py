"""Reads SPEC.md: its sections, tables, formulas, examples and rules, as the checks of test_spec.py need them.

Rules: the document's form is fixed here once; what does not have it is not found, and a check then fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

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


# --- Sections ---


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


# --- Tables ---

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


# --- Fences, formulas, examples ---


def formulas(text: str) -> dict[str, list[str]]:
    """Lines of the formulas by the name after their fence."""
    return {name: body.splitlines() for kind, name, body in _FENCE.findall(text) if kind == "formula"}


def examples(text: str) -> list[tuple[str, str]]:
    """Name and text of every example, in no certain order."""
    fenced = [
        (name, body.strip("\n")) for kind, name, body in _FENCE.findall(text) if kind in ("hex", "text")
    ]
    return [(name, body) for name, body in fenced if name] + _INLINE_EXAMPLE.findall(text)


# --- Rules ---


@dataclass(frozen=True)
class Rule:
    """A validation rule: its id, its error class, the section that it stands in."""

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


def explanations(text: str) -> list[str]:
    """The paragraphs that explain: those with a bar, and all of sections 1, 2, 18 and 19."""
    barred = [line for line in text.splitlines() if line.startswith(">")]
    explaining = ("1", "2", "18", "19")
    return barred + [
        line
        for section in sections(text).values()
        if section.number.split(".")[0] in explaining
        for line in section.lines
    ]
