"""Words that readers stumble over, in the documents and in docstrings, comments and texts of the source."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.imports import PACKAGES, ROOT

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "chat/**/*.md", "protocol/**/*.md", "seeds/*.md", "tests/*.md")
    for path in ROOT.glob(pattern)
)
_OTHERS = ROOT / "tests/vectors", Path(__file__)
"""The builders' comments are in the vectors, and this file has the words."""
SOURCES = sorted(
    path
    for package in (*PACKAGES, "tests")
    for path in ROOT.glob(f"{package}/**/*.py")
    if not any(path.is_relative_to(other) for other in _OTHERS)
)

# CONTRIBUTING.md has the rule. These are the words that broke it most often.
WORDS = re.compile(
    r"\b(?:whoever|whomever|anew|(?:is|are) told|told as|of theirs|stands? (?:in\b(?! for)|for ever)|beside"
    r"|at a walk)\b",
    re.IGNORECASE,
)


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every comment and every string, f-strings included."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or tokenize.tok_name[token.type].startswith(
            ("STRING", "FSTRING_M")
        ):
            yield token.start[0], token.string


def found(source: str) -> list[tuple[int, str]]:
    return [(line, word) for line, text in prose(source) for word in WORDS.findall(text)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_has_none_of_these_words(path: Path) -> None:
    assert WORDS.findall(path.read_text(encoding="utf-8")) == []


def test_the_source_has_none_of_these_words() -> None:
    assert len(SOURCES) > 450
    words = {path.relative_to(ROOT).as_posix(): found(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {name: those for name, those in words.items() if those} == {}


def test_the_words_are_found() -> None:
    source = '"""Whoever is told anew."""\nbeside = f"stands in it, {1} of theirs"  # at a walk\n'
    assert {word for _, word in found(source)} == {
        *("Whoever", "is told", "anew", "stands in", "of theirs", "at a walk"),
    }
