"""Light Markdown in safe text. Time is linear in the text; links are never hidden behind other words."""

from __future__ import annotations

import re

from msgspec import Struct

from tui.text.safe import attaches

Span = tuple[str, str]
"""A style's name and the text that has it."""


class Line(Struct, frozen=True):
    """One line of an entry. `first` stands before its first row, `rest` before those that follow.

    `code` is a line of a block, whose blanks count.
    """

    spans: tuple[Span, ...]
    first: str = ""
    rest: str = ""
    lead: str = "text"
    code: bool = False

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.spans)


_FENCE = re.compile(r" {0,3}(```|~~~)[\w.+#-]{0,24} *")
_QUOTE = re.compile(r"((?:> ?){1,3})(?=\S|$)(.*)")
_ITEM = re.compile(r"( {0,12}(?:[-*•]|\d{1,3}[.)]) +)(?=\S)(.*)")
_URL = r"(?:https?|ftp)://[^\s<>\"`|{}^\\]+|mailto:[^\s<>\"`|{}^\\]+"
_INLINE = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\*\*(?=\S)(?P<bold>[^*]+)(?<=\S)\*\*"
    r"|~~(?=\S)(?P<struck>[^~]+)(?<=\S)~~"
    r"|(?<![\w*])\*(?=[^\s*])(?P<italic>[^*]+)(?<=\S)\*(?![\w*])"
    r"|(?<![\w_])_(?=[^\s_])(?P<slanted>[^_]+)(?<=\S)_(?![\w_])"
    rf"|(?<!\w)(?P<link>{_URL})"
)
_STYLES = {"slanted": "italic"}
_ANY = re.compile(r"[`*~_]|:")
_CLOSERS = ".,;:!?'\"。,、;:!?」』】》"
_CLOSERS_MAX = 4
_PAIRS = {")": "(", "]": "[", "}": "{", "\uff09": "\uff08"}


def lines(text: str) -> list[Line]:
    """The lines of a safe text, in order. Lines that open or close a block of code are not shown."""
    shown: list[Line] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.fullmatch(line)
        if mark and (not fence or fence == mark[1]):
            fence = "" if fence else mark[1]
        elif fence:
            shown.append(Line((("block", line),), code=True))
        else:
            shown.append(_line(line))
    return shown or [Line((("text", text),))]


def addresses(text: str) -> list[str]:
    return [address for line in lines(text) for style, address in line.spans if style == "link"]


def links(text: str) -> list[str]:
    return list(dict.fromkeys(addresses(text)))


def blocks(text: str) -> list[str]:
    """The blocks of code in a safe text, in order; where there is none, the pieces of code within lines."""
    found: list[list[str]] = []
    inside = False
    for line in lines(text):
        if line.code and not inside:
            found.append([])
        if line.code:
            found[-1].append(line.text)
        inside = line.code
    whole = ["\n".join(block) for block in found]
    return whole or [code for line in lines(text) for style, code in line.spans if style == "code"]


def _line(line: str) -> Line:
    quoted = _QUOTE.fullmatch(line)
    if quoted:
        bars = "│ " * quoted[1].count(">")
        spans = tuple(("quote" if style == "text" else style, text) for style, text in inline(quoted[2]))
        return Line(spans, bars, bars, "quote")
    item = _ITEM.fullmatch(line)
    if item:
        return Line(inline(item[2]), item[1], " " * len(item[1]), "item")
    return Line(inline(line))


def inline(line: str) -> tuple[Span, ...]:
    if not _ANY.search(line):
        return (("text", line),)
    spans: list[Span] = []
    done = 0
    for found in _INLINE.finditer(line):
        kind = str(found.lastgroup)
        text = _address(found[kind]) if kind == "link" else found[kind]
        spans += [("text", line[done : found.start()]), (_STYLES.get(kind, kind), text)]
        done = found.start() + len(text) if kind == "link" else found.end()
    spans.append(("text", line[done:]))
    kept = tuple((style, text) for style, text in spans if text)
    # A mark that lost its base would stand on the cell before it, which may be another's.
    if any(attaches(text[0]) for _, text in kept):
        return (("text", line),)
    return kept or (("text", ""),)


def _address(found: str) -> str:
    """An address without the punctuation of the sentence that it ends."""
    for _ in range(_CLOSERS_MAX):
        end = found[-1]
        alone = end in _PAIRS and found.count(_PAIRS[end]) < found.count(end)
        if end not in _CLOSERS and not alone:
            break
        found = found[:-1]
    return found
