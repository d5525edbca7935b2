"""A path of Maude in a form that people can read: per step its rule and what it adds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_STEP: Final = re.compile(r"^===\[ c?rl \[([\w-]+)\]", re.MULTILINE)
_STATE: Final = re.compile(r"^state \d+, \w+: (.*)$", re.MULTILINE)
_INNERMOST: Final = re.compile(r"([\w-]*)\(([^()]*)\)")
_NAMED: Final = {"h": "hash", "enc": "cipher", "sg": "signature"}


def readable(path: str) -> str:
    """The output of `show path`. Hashes, ciphertexts and signatures get numbers at their first appearance."""
    names = _Names()
    start = path.index("\nstate 0, ") + 1
    labels = ["at the start", *_STEP.findall(path, start)]
    states = [_pieces(names.short(state)) for state in _STATE.findall(path, start)]
    before: set[str] = set()
    told: set[str] = set()
    out: list[str] = []
    for label, now in zip(labels, states, strict=True):
        out.append(f"    {label}")
        for piece in sorted(now - before):
            out.append(f"        + {piece}")
            out += [f"            {line}" for line in names.meaning(piece, told)]
        before = now
    return "\n".join(out)


class _Names:
    """Short names for large terms."""

    def __init__(self) -> None:
        self._by_term: dict[str, str] = {}
        self._terms: dict[str, str] = {}

    def short(self, text: str) -> str:
        """The text with a name for each large term. Parentheses become ‹ and ›."""
        text = " ".join(text.split())
        while (replaced := _INNERMOST.sub(self._replace, text)) != text:
            text = replaced
        return text

    def _replace(self, match: re.Match[str]) -> str:
        kind = _NAMED.get(match[1])
        if kind is None:
            return f"{match[1]}‹{match[2]}›"
        return self._by_term.setdefault(match[0], self._new(kind, match[0]))

    def _new(self, kind: str, term: str) -> str:
        if term in self._by_term:
            return self._by_term[term]
        name = f"{kind}{len(self._terms) + 1}"
        self._terms[name] = term
        return name

    def meaning(self, piece: str, told: set[str]) -> Iterator[str]:
        """The names in `piece` that were not explained before, each with its term."""
        for name in re.findall(r"\b(?:hash|cipher|signature)\d+\b", piece):
            if name not in told:
                told.add(name)
                yield _round(f"{name} = {self._terms[name]}")
                yield from self.meaning(self._terms[name], told)


def _pieces(state: str) -> set[str]:
    """The parts of a state, and what the intruder knows as `M: …`."""
    known = re.search(r"\{(.*)\}", state)
    outside = re.sub(r"\{.*\}", " ", state)
    parts = {part for part in _split(outside, " ") if part}
    return {_round(part) for part in parts} | {
        f"M: {_round(term)}" for term in _split(known[1] if known else "", " & ")
    }


def _split(text: str, at: str) -> Iterator[str]:
    depth, begun = 0, 0
    for place, letter in enumerate(text):
        depth += (letter == "‹") - (letter == "›")
        if depth == 0 and text.startswith(at, place):
            yield text[begun:place].strip()
            begun = place + len(at)
    yield text[begun:].strip()


def _round(text: str) -> str:
    return text.replace("‹", "(").replace("›", ")")
